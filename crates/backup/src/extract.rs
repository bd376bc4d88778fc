//! One file out of an archive, read from the frames that hold it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use mqstore_check::{Finding, Location, Report};
use mqstore_core::progress::Progress;

use crate::archive::frames::ReadProblem;
use crate::archive::header::{Kind, MemberHeader, padding, whole_seconds};
use crate::archive::random::TableReader;
use crate::archive::reader::ArchiveReader;
use crate::archive::table::{Span, read_end};
use crate::catalog::show;
use crate::chain::find_links;
use crate::digest::{FileDigest, hex};
use crate::error::BackupError;
use crate::holes::CHUNK;
use crate::manifest::{FileEntry, Manifest};
use crate::member::compare;
use crate::scan::{Scan, Sink, scan};
use crate::verify::open;

/// Writes the content of one file of an archive, zeros for its holes, and compares it with the manifest. `name` is that of the
/// member, as `store/config/topics.json`. What an incremental archive does not store is read from the earlier one that does,
/// beside it or in `folders`.
///
/// Only the frames are read that hold the manifest and the file; of an archive without a table of frames everything. With
/// [`BackupError::Damaged`] what was written is not to be believed.
pub fn extract(
    archive: &Path,
    name: &str,
    folders: &[PathBuf],
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<FileEntry, BackupError> {
    let manifest = show(archive, progress)?;
    let entry = entry_of(archive, &manifest, name)?;
    let Some(id) = &entry.held_in else {
        stored(archive, &manifest, &entry, out, progress)?;
        return Ok(entry);
    };
    let (links, missing) = find_links(archive, &manifest, folders, progress)?;
    let Some(link) = links.into_iter().find(|link| link.earlier.backup_id == *id) else {
        return Err(BackupError::MissingArchives { missing });
    };
    let earlier = show(&link.path, progress)?;
    let held = entry_of(&link.path, &earlier, name)?;
    if held.held_in.is_some()
        || (&held.sha256, held.length, &held.extents) != (&entry.sha256, entry.length, &entry.extents)
    {
        let message = format!("{} is said to store it, but its manifest says otherwise", link.path.display());
        return Err(damaged(Finding::error("backup.chain", Location::path(name), message)));
    }
    stored(&link.path, &earlier, &held, out, progress)?;
    Ok(entry)
}

fn entry_of(archive: &Path, manifest: &Manifest, name: &str) -> Result<FileEntry, BackupError> {
    let entry = manifest.files.iter().find(|file| file.path == name).cloned();
    entry.ok_or_else(|| BackupError::unusable(archive, format!("holds no file {name}")))
}

/// A file that this archive stores.
fn stored(
    archive: &Path,
    manifest: &Manifest,
    entry: &FileEntry,
    out: &mut dyn Write,
    progress: &dyn Progress,
) -> Result<(), BackupError> {
    let (mut file, length) = open(archive)?;
    let mut content = Content { out, name: &entry.path, at: 0, length: entry.length, is_open: false };
    match read_end(&mut file, length).map_err(BackupError::Read)? {
        Some((footer, spans)) if !spans.is_empty() => {
            by_table(&file, (footer.manifest_at, &spans), manifest, entry, &mut content, progress)
        }
        _ => {
            let whole = File::open(archive).map_err(|source| BackupError::io("open", archive, source))?;
            let Scan { report, .. } = scan(whole, Some(length), &mut content, progress)?;
            if report.counts().error > 0 {
                return Err(BackupError::Damaged { report: Box::new(report) });
            }
            Ok(())
        }
    }
}

fn by_table(
    file: impl Read + Seek,
    (manifest_at, spans): (u64, &[Span]),
    manifest: &Manifest,
    entry: &FileEntry,
    content: &mut Content<'_>,
    progress: &dyn Progress,
) -> Result<(), BackupError> {
    let place = |id, message: String| damaged(Finding::error(id, Location::path(&entry.path), message));
    let frames = TableReader::new(file, spans).map_err(BackupError::Read)?;
    let (at, end) = places(manifest, &entry.path);
    if frames.place_of_frame(manifest_at) != Some(end) {
        return Err(place("backup.table", "the table of frames does not fit the manifest".to_owned()));
    }
    let mut reader = ArchiveReader::new(frames);
    reader.frames_mut().seek(at).map_err(problem)?;
    let header = reader.next().map_err(problem)?;
    let Some(header) = header.filter(|header| *header == header_of(entry)) else {
        return Err(place("backup.missing", "the member is not where manifest and table say".to_owned()));
    };
    content.begin(&header)?;
    let mut digest = FileDigest::new(header.length, &header.extents, false);
    let mut buffer = vec![0; CHUNK];
    for extent in &header.extents {
        let (mut at, end) = (extent.offset, extent.offset + extent.length);
        while at < end {
            if progress.cancelled() {
                return Err(BackupError::Cancelled);
            }
            progress.update(at, Some(header.length));
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let count = reader.data(buffer.get_mut(..wanted).unwrap_or_default()).map_err(problem)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            digest.update(at, bytes);
            content.data(at, bytes)?;
            at += count as u64;
        }
    }
    content.end()?;
    let found = hex(&digest.finish().stored);
    if found != entry.sha256 {
        let finding = Finding::error("backup.digest", Location::path(&entry.path), "SHA-256 differs from the manifest");
        return Err(damaged(finding.values(&entry.sha256, found)));
    }
    Ok(())
}

/// Where a file's member begins in the tar stream, and where the last member but manifest and sums ends.
fn places(manifest: &Manifest, name: &str) -> (u64, u64) {
    let folders = manifest.folders.iter().map(|folder| (folder.path.as_str(), true));
    let files = manifest.stored_files().map(|file| (file.path.as_str(), false));
    let lengths = manifest
        .folders
        .iter()
        .map(|folder| MemberHeader::folder(&folder.path, folder.mode, folder.mtime_ns))
        .chain(manifest.stored_files().map(header_of))
        .map(|header| {
            let stored = header.stored_length();
            header.encode().len() as u64 + stored + padding(stored)
        });
    let mut members: Vec<_> = folders.chain(files).zip(lengths).collect();
    members.sort_by(|(a, _), (b, _)| compare(*a, *b));
    let (mut place, mut end) = (0, 0);
    for (member, length) in members {
        if member == (name, false) {
            place = end;
        }
        end += length;
    }
    (place, end)
}

fn header_of(entry: &FileEntry) -> MemberHeader {
    MemberHeader {
        name: entry.path.clone(),
        kind: Kind::File,
        length: entry.length,
        extents: entry.extents.clone(),
        mode: entry.mode,
        mtime: whole_seconds(entry.mtime_ns),
    }
}

fn problem(problem: ReadProblem) -> BackupError {
    match problem {
        ReadProblem::Io(error) => BackupError::Read(error),
        ReadProblem::Damage { id, offset, message } => {
            damaged(Finding::error(id, Location::default().at(offset), message))
        }
    }
}

fn damaged(finding: Finding) -> BackupError {
    let mut report = Report::new();
    report.push(finding);
    BackupError::Damaged { report: Box::new(report) }
}

/// Takes one member of an archive and writes its content.
struct Content<'a> {
    out: &'a mut dyn Write,
    name: &'a str,
    at: u64,
    length: u64,
    is_open: bool,
}

impl Content<'_> {
    fn zeros_up_to(&mut self, offset: u64) -> Result<(), BackupError> {
        let count = offset.saturating_sub(self.at);
        std::io::copy(&mut std::io::repeat(0).take(count), &mut self.out).map_err(BackupError::Write)?;
        self.at = offset;
        Ok(())
    }
}

impl Sink for Content<'_> {
    fn begin(&mut self, header: &MemberHeader) -> Result<(), BackupError> {
        self.is_open = header.name == self.name;
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        if self.is_open {
            self.zeros_up_to(offset)?;
            self.out.write_all(bytes).map_err(BackupError::Write)?;
            self.at = offset + bytes.len() as u64;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), BackupError> {
        if std::mem::take(&mut self.is_open) { self.zeros_up_to(self.length) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io::{self, Cursor, SeekFrom};
    use std::ops::Range;

    use mqstore_core::progress::NoProgress;

    use super::*;
    use crate::plan::{PlanOptions, plan};
    use crate::{CreateOptions, StoreFacts, create};

    /// Remembers what was read.
    struct Watched<'a>(Cursor<&'a [u8]>, &'a RefCell<Vec<Range<u64>>>);

    impl Read for Watched<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let at = self.0.position();
            let count = self.0.read(out)?;
            self.1.borrow_mut().push(at..at + count as u64);
            Ok(count)
        }
    }

    impl Seek for Watched<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn of_the_frames_only_those_are_read_that_hold_the_file() {
        let root = tempfile::tempdir().unwrap();
        let queue = |number: u64| root.path().join(format!("consumequeue/T/{number}/00000000000000000000"));
        for number in 0..9u64 {
            let path = queue(number);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, mqstore_testkit::noise(3_000_000, number)).unwrap();
        }
        let long = mqstore_testkit::noise(20_000_000, 77);
        std::fs::create_dir(root.path().join("index")).unwrap();
        std::fs::write(root.path().join("index/1"), &long).unwrap();
        let plan = plan(root.path(), &PlanOptions::default(), StoreFacts::default()).unwrap();
        let mut archive = Vec::new();
        let manifest = create(&plan, &mut archive, &CreateOptions::default(), &NoProgress).unwrap().manifest;
        let (footer, spans) = read_end(&mut Cursor::new(&archive), archive.len() as u64).unwrap().unwrap();
        // Two queues a frame, the long file in three, manifest, sums, footer.
        assert_eq!(spans.len(), 5 + 3 + 3);
        for (name, expected, frames) in [
            ("store/consumequeue/T/4/00000000000000000000", std::fs::read(queue(4)).unwrap(), 2..3),
            ("store/index/1", long, 5..8),
        ] {
            let entry = manifest.files.iter().find(|file| file.path == name).unwrap();
            let (mut out, seen) = (Vec::new(), RefCell::default());
            let file = Watched(Cursor::new(&archive), &seen);
            let mut content = Content { out: &mut out, name, at: 0, length: entry.length, is_open: false };
            by_table(file, (footer.manifest_at, &spans), &manifest, entry, &mut content, &NoProgress).unwrap();
            assert!(out == expected, "{name}");
            let end = |number: usize| spans[..number].iter().map(|span| u64::from(span.packed)).sum::<u64>();
            let allowed = end(frames.start)..end(frames.end);
            let read: u64 = seen.borrow().iter().map(|range| range.end - range.start).sum();
            assert!(seen.borrow().iter().all(|range| allowed.start <= range.start && range.end <= allowed.end));
            assert_eq!(read, allowed.end - allowed.start, "{name}: each byte once");
        }
    }
}
