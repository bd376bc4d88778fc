//! One pass over an archive: reads every member, hands the data on, and compares what it saw with what the manifest
//! and `SHA256SUMS` say. Verification hands the data to nobody, restoration to the disk.

use std::cmp::Ordering;
use std::io::Read;
use std::path::Path;

use mqstore_check::{Amount, Finding, Location, Report};
use mqstore_core::progress::Progress;

use crate::archive::frames::{End, FrameReader, ReadProblem};
use crate::archive::header::{Kind, MemberHeader};
use crate::archive::reader::ArchiveReader;
use crate::digest::{FileDigest, FileDigests, is_mostly_hole, sha256};
use crate::error::BackupError;
use crate::holes::CHUNK;
use crate::manifest::{Manifest, SCHEMA, SCHEMA_VERSION};
use crate::member::{MANIFEST, SUMS, Section, compare};
use crate::plan::is_commitlog;
use crate::verify::compare_with_documents;

/// Largest manifest or `SHA256SUMS` that is read, in bytes.
pub(crate) const MAX_DOCUMENT: u64 = 128 << 20;
/// Most members of an archive that are read.
const MAX_MEMBERS: usize = 4_000_000;
/// Files that are mostly hole are compared with `SHA256SUMS`, which as a rule does not list them, until this many bytes
/// were hashed for it. What is stored of them is compared with the manifest in any case.
const MOSTLY_HOLE_BUDGET: u64 = 1 << 30;

/// Takes the members of an archive while it is read.
pub(crate) trait Sink {
    /// A folder, or the beginning of a file.
    fn begin(&mut self, header: &MemberHeader) -> Result<(), BackupError>;
    /// Data of the file begun last, in ascending order.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BackupError>;
    /// The end of the file begun last.
    fn end(&mut self) -> Result<(), BackupError>;
}

/// Drops everything.
pub(crate) struct NoSink;

impl Sink for NoSink {
    fn begin(&mut self, _: &MemberHeader) -> Result<(), BackupError> {
        Ok(())
    }
    fn data(&mut self, _: u64, _: &[u8]) -> Result<(), BackupError> {
        Ok(())
    }
    fn end(&mut self) -> Result<(), BackupError> {
        Ok(())
    }
}

/// A member as it was read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) header: MemberHeader,
    pub(crate) digests: Option<FileDigests>,
}

/// What a pass over an archive found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) report: Report,
    /// Absent if it was not reached or cannot be read.
    pub(crate) manifest: Option<Manifest>,
}

/// Reads `source` to its end. `Err` is for a source that cannot be read, a sink that fails, and cancellation; whatever
/// is wrong with the archive is in the report.
pub(crate) fn scan(
    source: impl Read,
    length: Option<u64>,
    sink: &mut dyn Sink,
    progress: &dyn Progress,
) -> Result<Scan, BackupError> {
    let mut pass = Pass {
        reader: ArchiveReader::new(FrameReader::new(source).map_err(BackupError::Read)?),
        length,
        progress,
        buffer: vec![0; CHUNK],
        report: Report::new(),
        seen: Vec::new(),
        manifest_text: None,
        manifest_at: 0,
        sums_text: None,
        mostly_hole_budget: MOSTLY_HOLE_BUDGET,
    };
    let reached_end = match pass.members(sink) {
        Ok(()) => true,
        Err(Stop::Error(error)) => return Err(error),
        Err(Stop::Damage) => false,
    };
    Ok(pass.conclude(reached_end))
}

enum Stop {
    /// The archive cannot be read further; the finding is in the report.
    Damage,
    Error(BackupError),
}

impl From<BackupError> for Stop {
    fn from(error: BackupError) -> Self {
        Self::Error(error)
    }
}

struct Pass<'a, R> {
    reader: ArchiveReader<FrameReader<R>>,
    length: Option<u64>,
    progress: &'a dyn Progress,
    buffer: Vec<u8>,
    report: Report,
    seen: Vec<Seen>,
    manifest_text: Option<Vec<u8>>,
    manifest_at: u64,
    sums_text: Option<Vec<u8>>,
    mostly_hole_budget: u64,
}

impl<R: Read> Pass<'_, R> {
    fn members(&mut self, sink: &mut dyn Sink) -> Result<(), Stop> {
        loop {
            let next = self.reader.next();
            let Some(header) = self.checked(next)? else { return Ok(()) };
            self.place(&header);
            if self.seen.len() >= MAX_MEMBERS {
                let place = Location::default().at(self.reader.frame_at());
                let message = format!("the archive has more than {MAX_MEMBERS} members");
                self.report.push(Finding::error("backup.header", place, message));
                return Err(Stop::Damage);
            }
            let digests = match header.name.as_str() {
                MANIFEST => {
                    self.manifest_at = self.reader.frame_at();
                    let text = self.document(&header)?;
                    let digest = sha256(&text);
                    self.manifest_text = Some(text);
                    Some(FileDigests { stored: digest, plain: Some(digest) })
                }
                SUMS => {
                    self.sums_text = Some(self.document(&header)?);
                    None
                }
                _ => self.content(&header, sink)?,
            };
            self.seen.push(Seen { header, digests });
        }
    }

    /// Sorts what went wrong: damage becomes a finding.
    fn checked<T>(&mut self, result: Result<T, ReadProblem>) -> Result<T, Stop> {
        if self.progress.cancelled() {
            return Err(Stop::Error(BackupError::Cancelled));
        }
        self.progress.update(self.reader.position(), self.length);
        match result {
            Ok(value) => Ok(value),
            Err(ReadProblem::Io(error)) => Err(Stop::Error(BackupError::Read(error))),
            Err(ReadProblem::Damage { id, offset, message }) => {
                let after = self.seen.last().map(|seen| format!(", after {}", seen.header.name)).unwrap_or_default();
                let place = Location::default().at(offset);
                self.report.push(Finding::error(id, place, format!("{message}{after}")));
                Err(Stop::Damage)
            }
        }
    }

    /// Checks that a member stands where it should.
    fn place(&mut self, header: &MemberHeader) {
        let is_folder = header.kind == Kind::Folder;
        let location = || Location::path(&header.name);
        if let Some(Seen { header: previous, .. }) = self.seen.last() {
            let before = (previous.name.as_str(), previous.kind == Kind::Folder);
            let message = match compare(before, (&header.name, is_folder)) {
                Ordering::Less => None,
                Ordering::Equal => Some(("backup.duplicate", "the member is in the archive twice".to_owned())),
                Ordering::Greater => Some(("backup.order", format!("the member comes after {}", previous.name))),
            };
            if let Some((id, message)) = message {
                self.report.push(Finding::error(id, location(), message));
            }
        }
        if Section::Store.rest_of(&header.name).is_some_and(|below| is_commitlog(Path::new(below))) {
            let message = "the archive holds a part of the commit log";
            self.report.push(Finding::error("backup.commitlog", location(), message));
        }
    }

    /// The text of the manifest or `SHA256SUMS`.
    fn document(&mut self, header: &MemberHeader) -> Result<Vec<u8>, Stop> {
        let stored = header.stored_length();
        if header.kind != Kind::File || stored != header.length || stored > MAX_DOCUMENT {
            let message = format!("is no plain file of at most {MAX_DOCUMENT} bytes");
            self.report.push(Finding::error("backup.header", Location::path(&header.name), message));
            return Err(Stop::Damage);
        }
        let mut text = Vec::new();
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = self.reader.data(&mut buffer);
            self.buffer = buffer;
            let count = self.checked(read)?;
            if count == 0 {
                return Ok(text);
            }
            text.extend_from_slice(self.buffer.get(..count).unwrap_or_default());
        }
    }

    fn content(&mut self, header: &MemberHeader, sink: &mut dyn Sink) -> Result<Option<FileDigests>, Stop> {
        sink.begin(header)?;
        if header.kind == Kind::Folder {
            return Ok(None);
        }
        let mut wants_plain = true;
        if is_mostly_hole(header.length, header.stored_length()) {
            let left = self.mostly_hole_budget.checked_sub(header.length);
            wants_plain = left.is_some();
            self.mostly_hole_budget = left.unwrap_or(self.mostly_hole_budget);
        }
        let mut digest = FileDigest::new(header.length, &header.extents, wants_plain);
        for extent in &header.extents {
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
                let mut buffer = std::mem::take(&mut self.buffer);
                let read = self.reader.data(buffer.get_mut(..wanted).unwrap_or_default());
                self.buffer = buffer;
                let count = self.checked(read)?;
                let bytes = self.buffer.get(..count).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(None);
                }
                digest.update(at, bytes);
                sink.data(at, bytes)?;
                at += count as u64;
            }
        }
        sink.end()?;
        Ok(Some(digest.finish()))
    }

    fn conclude(self, reached_end: bool) -> Scan {
        let Self { reader, length, mut report, seen, manifest_text, manifest_at, sums_text, .. } = self;
        let manifest = manifest_text.and_then(|text| parse_manifest(&text, &mut report));
        if manifest.is_none() && reached_end && report.counts().error == 0 && report.coverage.skipped.is_empty() {
            let message = "the archive has no manifest.json";
            report.push(Finding::error("backup.manifest", Location::path(MANIFEST), message));
        }
        let files = seen.iter().filter(|seen| seen.header.kind == Kind::File).count() as u64;
        let documents = 2;
        let listed = manifest.as_ref().map_or(files, |manifest| manifest.stored_files().count() as u64 + documents);
        report.coverage.files = Amount { seen: files, total: listed.max(files) };
        report.coverage.bytes = Amount { seen: reader.position(), total: length.unwrap_or(reader.frames().total()) };
        if let Some(manifest) = &manifest {
            compare_with_documents(manifest, &seen, sums_text.as_deref(), reached_end, &mut report);
        }
        if reached_end {
            let total = reader.frames().total();
            report.coverage.bytes = Amount { seen: total, total };
            check_end(reader.into_frames().finish(), manifest_at, &mut report);
        }
        Scan { report, manifest }
    }
}

fn check_end(end: End, manifest_at: u64, report: &mut Report) {
    let End { footer, digest, table_problem } = end;
    if let Some(problem) = table_problem {
        report.push(Finding::error("backup.table", Location::default(), problem));
    }
    let mut wrong = |message: &str| {
        report.push(Finding::error("backup.footer", Location::default(), message));
    };
    match footer {
        None => wrong("the archive has no footer: its end is missing, or it was compressed again"),
        Some(footer) if footer.digest != digest => wrong("the archive is not the one that its footer was made for"),
        Some(footer) if footer.manifest_at != manifest_at => wrong("the footer names the wrong place of the manifest"),
        Some(_) => {}
    }
}

/// Reads the manifest; what is wrong with it goes into the report.
pub(crate) fn parse_manifest(text: &[u8], report: &mut Report) -> Option<Manifest> {
    /// What every version has.
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
        schema_version: u32,
    }
    let mut wrong = |message: String| {
        report.push(Finding::error("backup.manifest", Location::path(MANIFEST), message));
        None
    };
    let head: Head = match serde_json::from_slice(text) {
        Ok(head) => head,
        Err(error) => return wrong(format!("the manifest cannot be read: {error}")),
    };
    if head.schema != SCHEMA {
        return wrong(format!("the manifest's schema is {:?}, not {SCHEMA:?}", head.schema));
    }
    if head.schema_version > SCHEMA_VERSION {
        let version = head.schema_version;
        report.skip(MANIFEST, format!("version {version} of its schema, this program knows {SCHEMA_VERSION}"));
        return None;
    }
    match serde_json::from_slice(text) {
        Ok(manifest) => Some(manifest),
        Err(error) => wrong(format!("the manifest cannot be read: {error}")),
    }
}
