//! Carries out a plan: reads the files, writes the archive.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

mod unchanged;

use mqstore_core::progress::Progress;
use mqstore_core::store::{Store, StoreOptions};

use crate::archive::header::{Kind, MemberHeader, whole_seconds};
use crate::archive::writer::ArchiveWriter;
use crate::chain::Base;
use crate::digest::{hex, is_mostly_hole, sha256};
use crate::error::BackupError;
use crate::holes::{BLOCK, CHUNK, extents_of, range, read_padded};
use crate::manifest::{
    Capture, Extent, FileClass, FileEntry, FolderEntry, Gap, GapKind, Manifest, Positions, SCHEMA, SCHEMA_VERSION,
    Source, Tool, WHOLE_VERSION,
};
use crate::member;
use crate::partial::{PartialFile, no_follow, parent};
use crate::plan::{BackupPlan, PlanItem, mtime_ns};
use crate::staged::StagedFile;
use crate::sums::SumsWriter;
use crate::throttle::Throttle;
use unchanged::Unchanged;

/// A file up to this length is read once and kept in memory while its holes are found; a longer one is read twice.
const SMALL: u64 = 8 << 20;
/// zstd's levels from 20 on need a window that verification refuses for its memory.
const MAX_LEVEL: i32 = 19;

/// How to write an archive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CreateOptions {
    /// zstd level, 1 to 19.
    pub level: i32,
    /// Threads that compress. The archive does not depend on it.
    pub jobs: u32,
    /// List every file in `SHA256SUMS`, also those of which more than nine tenths are hole.
    pub all_sums: bool,
    /// Read no more than so many bytes a second, so that a running broker keeps its disk.
    pub limit_rate: Option<u64>,
    /// Store only what differs by checksum from this earlier archive, and refer to it for the rest.
    pub since: Option<Base>,
    /// Replace an archive of the same name.
    pub replace: bool,
    /// Time for the manifest; now, if absent.
    pub created_at: Option<SystemTime>,
    /// Program for the manifest.
    pub tool: Tool,
}

impl Default for CreateOptions {
    fn default() -> Self {
        let tool = Tool { name: "mqstore".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        Self {
            level: 3,
            jobs: 1,
            all_sums: false,
            limit_rate: None,
            since: None,
            replace: false,
            created_at: None,
            tool,
        }
    }
}

/// An archive that was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Created {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its length in bytes.
    pub archive_length: u64,
}

impl Created {
    /// Whether everything planned is in it, as it was, without a gap.
    pub fn is_complete(&self) -> bool {
        self.manifest.gaps.is_empty()
    }
}

/// Writes the archive to a file with mode 0600.
///
/// It grows as `NAME.partial` and gets its name when it is complete and on disk; on an error or
/// [`cancelled`](Progress::cancelled) the partial file is removed.
pub fn create_file(
    plan: &BackupPlan,
    path: &Path,
    options: &CreateOptions,
    progress: &dyn Progress,
) -> Result<Created, BackupError> {
    let folder = parent(path).canonicalize().map_err(|source| BackupError::io("open", parent(path), source))?;
    if let Some(source_root) = plan.sources.iter().find(|source| folder.starts_with(source)) {
        return Err(BackupError::ArchiveInsideSource { archive: path.into(), source_root: source_root.clone() });
    }
    if !options.replace && path.symlink_metadata().is_ok() {
        return Err(BackupError::Exists { path: path.into() });
    }
    if let Some(base) = &options.since {
        base.refuse_replacing(path)?;
    }
    let partial = PartialFile::create(path)?;
    let created = create(plan, partial.file(), options, progress)?;
    if let Some(base) = &options.since {
        base.still_there(&created.manifest)?;
    }
    partial.commit()?;
    Ok(created)
}

/// Writes the archive to a stream.
pub fn create(
    plan: &BackupPlan,
    out: impl Write,
    options: &CreateOptions,
    progress: &dyn Progress,
) -> Result<Created, BackupError> {
    if !(1..=MAX_LEVEL).contains(&options.level) {
        return Err(BackupError::unusable(&plan.root, format!("zstd level {} is not in 1 to 19", options.level)));
    }
    if let Some(base) = &options.since {
        base.refuse_other(plan)?;
    }
    let writer = ArchiveWriter::new(out, options.level, options.jobs).map_err(BackupError::Write)?;
    let total = plan.total_bytes();
    let mut run = Run {
        writer,
        progress,
        all_sums: options.all_sums,
        throttle: Throttle::new(options.limit_rate),
        done: 0,
        total,
        buffer: vec![0; usize::try_from(SMALL.min(total.max(CHUNK as u64))).unwrap_or(CHUNK)],
        folders: Vec::new(),
        files: Vec::new(),
        gaps: plan.gaps.clone(),
        sums: if options.since.is_some() { SumsWriter::incremental() } else { SumsWriter::default() },
        unchanged: options.since.as_ref().map(Unchanged::new),
    };
    for item in &plan.items {
        run.check_cancelled()?;
        match plan.staged.get(&item.name) {
            Some(staged) => run.staged(item, staged)?,
            None if item.is_folder => run.folder(item)?,
            None => run.file(item, plan.capture)?,
        }
    }
    run.finish(plan, options)
}

struct Run<'a, W> {
    writer: ArchiveWriter<W>,
    progress: &'a dyn Progress,
    all_sums: bool,
    throttle: Throttle,
    done: u64,
    total: u64,
    buffer: Vec<u8>,
    folders: Vec<FolderEntry>,
    files: Vec<FileEntry>,
    gaps: Vec<Gap>,
    sums: SumsWriter,
    unchanged: Option<Unchanged<'a>>,
}

impl<W: Write> Run<'_, W> {
    fn check_cancelled(&self) -> Result<(), BackupError> {
        if self.progress.cancelled() { Err(BackupError::Cancelled) } else { Ok(()) }
    }

    fn gap(&mut self, item: &PlanItem, kind: GapKind, reason: impl Into<String>) {
        self.gaps.push(Gap { path: item.name.clone(), kind, reason: reason.into() });
    }

    fn folder(&mut self, item: &PlanItem) -> Result<(), BackupError> {
        self.member(&MemberHeader::folder(&item.name, item.mode, item.mtime_ns), &[], false)?;
        self.folders.push(FolderEntry { path: item.name.clone(), mtime_ns: item.mtime_ns, mode: item.mode });
        Ok(())
    }

    /// A whole member whose data are at hand.
    fn member(&mut self, header: &MemberHeader, data: &[u8], is_last: bool) -> Result<(), BackupError> {
        let written = self.writer.begin(header, None, is_last).and_then(|()| self.writer.data(0, data));
        written.and_then(|()| self.writer.end()).map_err(BackupError::Write)
    }

    /// A file whose content was read when the plan was made.
    fn staged(&mut self, item: &PlanItem, staged: &StagedFile) -> Result<(), BackupError> {
        let read = Read { length: staged.length, mtime_ns: staged.mtime_ns, mode: staged.mode };
        if let Some(mut entry) = self.content_of(item, &staged.file, &read)? {
            entry.source = staged.source;
            if let Some(doubt) = &staged.doubt {
                self.gap(item, GapKind::Changed, doubt);
            }
            self.files.push(entry);
        }
        Ok(())
    }

    fn file(&mut self, item: &PlanItem, capture: Capture) -> Result<(), BackupError> {
        // Non-blocking: what was a file in the plan may be a pipe by now.
        let flags = no_follow() | rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&item.path);
        let (file, before) = match opened.and_then(|file| file.metadata().map(|metadata| (file, metadata))) {
            Ok((file, metadata)) if metadata.is_file() => (file, metadata),
            Ok(_) => {
                self.gap(item, GapKind::Special, "is no longer a file");
                return Ok(());
            }
            Err(error) => {
                let gone = error.kind() == io::ErrorKind::NotFound;
                self.gap(item, if gone { GapKind::Vanished } else { GapKind::Unreadable }, error.to_string());
                return Ok(());
            }
        };
        let read = Read { length: before.len(), mtime_ns: mtime_ns(&before), mode: before.mode() & 0o7777 };
        if let Some(entry) = self.content_of(item, &file, &read)? {
            let grows = capture == Capture::Live && grows(item.class);
            if let Some(change) = change(item, &file, &before, grows) {
                self.gap(item, GapKind::Changed, change);
            }
            self.files.push(entry);
        }
        Ok(())
    }

    /// Writes the member of a file; `None` if it cannot be read, which is then a gap.
    fn content_of(&mut self, item: &PlanItem, file: &File, read: &Read) -> Result<Option<FileEntry>, BackupError> {
        let extents = match self.extents(file, read.length) {
            Ok(extents) => extents,
            Err(Interruption::Cancelled) => return Err(BackupError::Cancelled),
            Err(Interruption::Io(error)) => {
                self.gap(item, GapKind::Unreadable, error.to_string());
                return Ok(None);
            }
        };
        let entry = match self.unchanged(item, file, read, &extents)? {
            Some(entry) => entry,
            None => self.content(item, file, read, extents)?,
        };
        self.done += read.length;
        self.progress.update(self.done, Some(self.total));
        Ok(Some(entry))
    }

    /// The data between the holes. Those of a small file stand in the buffer afterwards.
    fn extents(&mut self, file: &File, length: u64) -> Result<Vec<Extent>, Interruption> {
        let go_on = || if self.progress.cancelled() { Err(Interruption::Cancelled) } else { Ok(()) };
        extents_of(file, length, &mut self.buffer, go_on)
    }

    /// Hands the data of a file to `take`, piece by piece with its place, at the pace asked for and until that breaks off. A
    /// piece that cannot be read comes with the error. Those of a small file stand in the buffer since its holes were looked for.
    fn read_data(
        &mut self,
        item: &PlanItem,
        file: &File,
        (length, extents): (u64, &[Extent]),
        mut take: impl FnMut(&mut ArchiveWriter<W>, u64, &mut [u8], io::Result<()>) -> Result<ControlFlow<()>, BackupError>,
    ) -> Result<(), BackupError> {
        let is_small = length <= self.buffer.len() as u64;
        for extent in extents {
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                self.check_cancelled()?;
                let (chunk, read) = if is_small {
                    (range(&mut self.buffer, at, end - at), Ok(()))
                } else {
                    let chunk = range(&mut self.buffer, 0, (end - at).min(CHUNK as u64));
                    let read = read_padded(file, at, chunk).map(drop);
                    (chunk, read)
                };
                if chunk.is_empty() {
                    return Err(BackupError::unusable(&item.path, "does not fit the buffer that was made for it"));
                }
                let count = chunk.len() as u64;
                self.throttle.wait(count, self.progress);
                if take(&mut self.writer, at, chunk, read)?.is_break() {
                    return Ok(());
                }
                at += count;
                self.progress.update(self.done + at, Some(self.total));
            }
        }
        Ok(())
    }

    fn content(
        &mut self,
        item: &PlanItem,
        file: &File,
        read: &Read,
        extents: Vec<Extent>,
    ) -> Result<FileEntry, BackupError> {
        let Read { length, mtime_ns, mode } = *read;
        let (name, kind) = (item.name.clone(), Kind::File);
        let header = MemberHeader { name, kind, length, extents, mode, mtime: whole_seconds(mtime_ns) };
        let stored_length = header.stored_length();
        let wants_plain = self.all_sums || !is_mostly_hole(length, stored_length);
        self.writer.begin(&header, Some(wants_plain), false).map_err(BackupError::Write)?;
        let mut unread = None;
        self.read_data(item, file, (length, &header.extents), |writer, at, chunk, read| {
            if let Err(error) = read {
                // The header is written: the length must be kept, so zeros stand for what cannot be read.
                chunk.fill(0);
                unread.get_or_insert((at, error));
            }
            writer.data(at, chunk).map_err(BackupError::Write)?;
            Ok(ControlFlow::Continue(()))
        })?;
        self.writer.end().map_err(BackupError::Write)?;
        if let Some((at, error)) = unread {
            self.gap(item, GapKind::Unreadable, format!("zeros stand for what could not be read at {at}: {error}"));
        }
        // The digest comes when the frames of the file are packed.
        let (path, extents, sha256) = (header.name, header.extents, String::new());
        let (source, class) = (Source::File, item.class);
        let held_in = None;
        Ok(FileEntry { path, length, stored_length, mtime_ns, mode, sha256, extents, source, class, held_in })
    }

    /// Where the store stood. Of a running broker as it stands now: the commit log is looked at behind everything else, so
    /// that it covers what the archived queues point to.
    fn positions(&mut self, plan: &BackupPlan) -> Positions {
        if plan.capture == Capture::Stopped {
            return plan.facts.positions.clone();
        }
        let mut options = StoreOptions::default();
        options.commitlog_dirs.clone_from(&plan.commitlogs);
        match Store::open(&plan.root, options) {
            Ok(store) => {
                let mut facts = crate::facts::gather(&store);
                self.gaps.append(&mut facts.gaps);
                facts.positions.abort |= plan.facts.positions.abort;
                facts.positions.checkpoint.clone_from(&plan.facts.positions.checkpoint);
                facts.positions
            }
            Err(error) => {
                let reason = format!("where the store stood at the end is not known: {error}");
                self.gaps.push(Gap { path: "store".to_owned(), kind: GapKind::Unreadable, reason });
                plan.facts.positions.clone()
            }
        }
    }

    fn finish(mut self, plan: &BackupPlan, options: &CreateOptions) -> Result<Created, BackupError> {
        let created = options.created_at.unwrap_or_else(SystemTime::now);
        let created = jiff::Timestamp::try_from(created)
            .map_err(|error| BackupError::unusable(&plan.root, format!("the time for the manifest: {error}")))?;
        let seconds = u64::try_from(created.as_second()).unwrap_or(0);
        let since = self.unchanged.as_ref().map(Unchanged::since);
        // An incremental archive of an unchanged store is not the one it refers to, though made within the same second.
        let base = since.as_ref().map(|since| since.backup_id.clone().into_bytes()).unwrap_or_default();
        let digests = self.writer.digests().map_err(BackupError::Write)?;
        for (file, digests) in self.files.iter_mut().filter(|file| file.sha256.is_empty()).zip(digests) {
            file.sha256 = hex(&digests.stored);
            match digests.plain {
                Some(whole) => self.sums.line(&hex(&whole), &file.path),
                None => self.sums.left_out(&file.path),
            }
        }
        let digest = self.files.iter().fold(base, |mut all, file| {
            all.extend_from_slice(file.path.as_bytes());
            all.extend_from_slice(file.sha256.as_bytes());
            all
        });
        let digest = hex(&sha256(&digest));
        let manifest = Manifest {
            schema: SCHEMA.to_owned(),
            schema_version: if since.is_some() { SCHEMA_VERSION } else { WHOLE_VERSION },
            backup_id: format!("{}-{}", created.strftime("%Y%m%dT%H%M%SZ"), digest.get(..12).unwrap_or_default()),
            created_at: created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            since,
            tool: options.tool.clone(),
            capture: plan.capture,
            broker: plan.facts.broker.clone(),
            layout: plan.facts.layout.clone(),
            features: plan.facts.features.clone(),
            positions: self.positions(plan),
            excluded: plan.excluded.clone(),
            folders: std::mem::take(&mut self.folders),
            files: std::mem::take(&mut self.files),
            gaps: std::mem::take(&mut self.gaps),
        };
        let mut json = serde_json::to_vec(&manifest).map_err(|error| BackupError::Write(error.into()))?;
        json.push(b'\n');
        self.sums.line(&hex(&sha256(&json)), member::MANIFEST);
        let manifest_frame = self.writer.next_frame().map_err(BackupError::Write)?;
        self.member(&document(member::MANIFEST, &json, seconds), &json, false)?;
        drop(json);
        let sums = std::mem::take(&mut self.sums).finish().into_bytes();
        self.writer.next_frame().map_err(BackupError::Write)?;
        self.member(&document(member::SUMS, &sums, seconds), &sums, true)?;
        let archive_length = self.writer.finish(manifest_frame).map_err(BackupError::Write)?;
        Ok(Created { manifest, archive_length })
    }
}

/// Why looking for the holes of a file stopped.
enum Interruption {
    Io(io::Error),
    Cancelled,
}

impl From<io::Error> for Interruption {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn document(name: &str, content: &[u8], mtime: u64) -> MemberHeader {
    let length = content.len() as u64;
    let extents = if length == 0 { Vec::new() } else { vec![Extent { offset: 0, length }] };
    MemberHeader { name: name.to_owned(), kind: Kind::File, length, extents, mode: 0o644, mtime }
}

/// A file as it was when it was opened.
#[derive(Debug, Clone, Copy)]
struct Read {
    length: u64,
    mtime_ns: i64,
    mode: u32,
}

/// Files of a running broker that are only ever appended to, or written anew behind what counts: what was there when such a
/// file was opened is archived, and what came later belongs to the next backup.
fn grows(class: FileClass) -> bool {
    matches!(
        class,
        FileClass::Consumequeue
            | FileClass::ConsumequeueExt
            | FileClass::Batchconsumequeue
            | FileClass::Index
            | FileClass::Timer
            | FileClass::Compaction
            | FileClass::Dledger
    )
}

/// What changed about a file since it was opened; of one that `grows` it is no news that it was written to.
fn change(item: &PlanItem, file: &File, before: &Metadata, grows: bool) -> Option<String> {
    let after = match file.metadata() {
        Ok(after) => after,
        Err(error) => return Some(format!("cannot be looked at again: {error}")),
    };
    if after.len() < before.len() || !grows && after.len() != before.len() {
        return Some(format!("length {} when opened, {} when read", before.len(), after.len()));
    }
    if !grows && mtime_ns(&after) != mtime_ns(before) {
        return Some("was written to while it was read".to_owned());
    }
    match std::fs::symlink_metadata(&item.path) {
        Ok(named) if (named.dev(), named.ino()) == (before.dev(), before.ino()) => None,
        Ok(_) => Some("was replaced while it was read".to_owned()),
        Err(error) => Some(format!("was removed while it was read: {error}")),
    }
}

const _: () = assert!((CHUNK as u64).is_multiple_of(BLOCK) && SMALL >= CHUNK as u64);
