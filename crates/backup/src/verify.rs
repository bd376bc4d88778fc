//! Is every byte of an archive still right?

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use mqstore_check::{Finding, Location, Report};
use mqstore_core::progress::Progress;

use crate::archive::header::{Kind, MemberHeader, whole_seconds};
use crate::chain::{IfMissing, check_references, scan_all};
use crate::digest::{hex, is_mostly_hole};
use crate::error::BackupError;
use crate::manifest::{EarlierArchive, FileEntry, FolderEntry, Manifest};
use crate::member::{MANIFEST, SUMS};
use crate::scan::{NoSink, Scan, Seen, scan};
use crate::sums;

/// Every finding id that the verification of an archive can give, with its meaning; sorted.
pub const FINDINGS: &[(&str, &str)] = &[
    ("backup.chain", "an earlier archive does not hold what an incremental one refers to"),
    ("backup.commitlog", "an archive holds a part of the commit log"),
    ("backup.digest", "the content of a file differs from the manifest"),
    ("backup.duplicate", "a member is in an archive twice"),
    ("backup.extents", "the holes of a file differ from the manifest"),
    ("backup.footer", "the footer of an archive is missing or does not fit"),
    ("backup.frame", "a zstd frame of an archive is damaged"),
    ("backup.gap", "a backup was made with a gap"),
    ("backup.header", "a tar header of an archive is malformed"),
    ("backup.length", "the length of a file differs from the manifest"),
    ("backup.log-not-covering", "a log does not reach over what archived queues need"),
    ("backup.manifest", "the manifest of an archive is missing or cannot be read"),
    ("backup.metadata", "kind, mode or time of a member differ from the manifest"),
    ("backup.missing", "a file of the manifest is not in the archive"),
    ("backup.order", "the members of an archive are not sorted"),
    ("backup.other-log", "a log is not the one that a backup was made beside"),
    ("backup.sums", "SHA256SUMS is missing, malformed or contradicts the files"),
    ("backup.table", "the table of frames of an archive is missing or does not fit"),
    ("backup.trailing", "something follows the end of the tar stream"),
    ("backup.truncated", "an archive ends before its last member does"),
    ("backup.unlisted", "a member of an archive is not in its manifest"),
    ("backup.unsafe-name", "a member name leads out of the archive's folders"),
    ("backup.unsupported-member", "an archive holds something that no backup holds"),
];

/// What the verification of an archive found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// Findings `backup.*`, and what was read.
    pub report: Report,
    /// The manifest, if it was reached and can be read; not to be believed if the report has errors.
    pub manifest: Option<Manifest>,
}

/// Reads an archive from a stream and compares every byte of it with its manifest, `SHA256SUMS`, zstd's checksums and
/// its footer. `Err` only if the stream cannot be read or the caller cancelled; damage is in the report.
///
/// Of an incremental archive the earlier ones are not looked at: the report says so, and the outcome is no verdict.
pub fn verify(archive: impl Read, progress: &dyn Progress) -> Result<Verified, BackupError> {
    let Scan { mut report, manifest } = scan(archive, None, &mut NoSink, progress)?;
    for earlier in manifest.iter().flat_map(|manifest| &manifest.since).flat_map(|since| &since.needs) {
        let EarlierArchive { backup_id, archive, files, .. } = earlier;
        let why = format!("holds {files} of this backup's files and is not looked for, the archive having no folder");
        report.skip(format!("{archive} ({backup_id})"), why);
    }
    Ok(Verified { report, manifest })
}

/// [`verify_chain`] with nothing but the archive's own folder.
pub fn verify_file(archive: &Path, progress: &dyn Progress) -> Result<Verified, BackupError> {
    verify_chain(archive, &[], progress)
}

/// [`verify()`] of a file, and of the earlier archives that hold files of it. Those are looked for beside it, then in `folders`;
/// one that is missing is named in the report as skipped, so that the outcome is no verdict.
pub fn verify_chain(archive: &Path, folders: &[PathBuf], progress: &dyn Progress) -> Result<Verified, BackupError> {
    let Scan { report, manifest } = scan_all(archive, folders, IfMissing::Report, &mut NoSink, progress)?;
    Ok(Verified { report, manifest })
}

/// An archive and its length.
pub(crate) fn open(archive: &Path) -> Result<(File, u64), BackupError> {
    let opened = File::open(archive).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
    let (file, metadata) = opened.map_err(|source| BackupError::io("open", archive, source))?;
    if metadata.is_dir() {
        return Err(BackupError::unusable(archive, "is a folder, not an archive"));
    }
    Ok((file, metadata.len()))
}

/// Compares the members seen with the manifest and `SHA256SUMS`.
pub(crate) fn compare_with_documents(
    manifest: &Manifest,
    seen: &[Seen],
    sums_text: Option<&[u8]>,
    reached_end: bool,
    report: &mut Report,
) {
    let mut unlisted: HashMap<&str, &Seen> = seen.iter().map(|seen| (seen.header.name.as_str(), seen)).collect();
    for folder in &manifest.folders {
        match unlisted.remove(folder.path.as_str()) {
            Some(seen) => compare_folder(folder, &seen.header, report),
            None => missing(&folder.path, report),
        }
    }
    let mut plain = Vec::new();
    check_references(manifest, report);
    for file in &manifest.files {
        match unlisted.remove(file.path.as_str()) {
            Some(_) if file.held_in.is_some() => {
                let message = "the manifest says that an earlier archive holds it, but this one does";
                report.push(Finding::error("backup.chain", Location::path(&file.path), message));
            }
            None if file.held_in.is_some() => {}
            Some(seen) => {
                compare_file(file, seen, report);
                plain.push((file.path.as_str(), seen));
            }
            None => missing(&file.path, report),
        }
    }
    if let Some(seen) = unlisted.remove(MANIFEST) {
        plain.push((MANIFEST, seen));
    }
    unlisted.remove(SUMS);
    let mut unlisted: Vec<&str> = unlisted.into_keys().collect();
    unlisted.sort_unstable();
    for name in unlisted {
        let message = "the member is not in the manifest";
        report.push(Finding::error("backup.unlisted", Location::path(name), message));
    }
    if sums_text.is_some() || reached_end {
        compare_sums(sums_text, &plain, report);
    }
    for gap in &manifest.gaps {
        let message = format!("the backup was made with a gap: {}", gap.reason);
        report.push(Finding::warning("backup.gap", Location::path(&gap.path), message));
    }
}

fn missing(name: &str, report: &mut Report) {
    let message = "the manifest lists it but the archive does not hold it";
    report.push(Finding::error("backup.missing", Location::path(name), message));
}

fn differs(id: &'static str, name: &str, what: &str) -> Finding {
    Finding::error(id, Location::path(name), format!("{what} differs from the manifest"))
}

fn compare_folder(listed: &FolderEntry, found: &MemberHeader, report: &mut Report) {
    let name = &listed.path;
    if found.kind != Kind::Folder {
        report.push(differs("backup.metadata", name, "kind").values("folder", "file"));
    }
    compare_times(name, (listed.mode, listed.mtime_ns), found, report);
}

fn compare_times(name: &str, (mode, mtime_ns): (u32, i64), found: &MemberHeader, report: &mut Report) {
    if found.mode != mode {
        report.push(differs("backup.metadata", name, "mode").values(format!("{mode:o}"), format!("{:o}", found.mode)));
    }
    if found.mtime != whole_seconds(mtime_ns) {
        report.push(differs("backup.metadata", name, "time in seconds").values(whole_seconds(mtime_ns), found.mtime));
    }
}

fn compare_file(listed: &FileEntry, seen: &Seen, report: &mut Report) {
    let (name, found) = (&listed.path, &seen.header);
    if found.kind != Kind::File {
        report.push(differs("backup.metadata", name, "kind").values("file", "folder"));
        return;
    }
    if found.length != listed.length {
        report.push(differs("backup.length", name, "length").values(listed.length, found.length));
    }
    if found.stored_length() != listed.stored_length {
        let found = found.stored_length();
        report.push(differs("backup.length", name, "stored length").values(listed.stored_length, found));
    }
    if found.extents != listed.extents {
        let (listed, found) = (listed.extents.len(), found.extents.len());
        report.push(differs("backup.extents", name, "list of extents").values(listed, found));
    }
    if let Some(digests) = seen.digests {
        let digest = hex(&digests.stored);
        if digest != listed.sha256 {
            report.push(differs("backup.digest", name, "SHA-256").values(&listed.sha256, digest));
        }
    }
    compare_times(name, (listed.mode, listed.mtime_ns), found, report);
}

fn compare_sums(text: Option<&[u8]>, files: &[(&str, &Seen)], report: &mut Report) {
    let mut wrong = |message: String| {
        report.push(Finding::error("backup.sums", Location::path(SUMS), message));
    };
    let Some(text) = text else {
        return wrong("the archive has no SHA256SUMS".to_owned());
    };
    let sums = std::str::from_utf8(text).map_err(|_| (0, "is not UTF-8")).and_then(sums::parse);
    let mut sums = match sums {
        Ok(sums) => sums,
        Err((line, problem)) => return wrong(format!("line {line} {problem}")),
    };
    for (name, seen) in files {
        let header = &seen.header;
        let plain = seen.digests.and_then(|digests| digests.plain).map(|plain| hex(&plain));
        match (sums.remove(*name), plain) {
            (Some(listed), Some(found)) if listed != found => {
                let finding = Finding::error("backup.sums", Location::path(*name), "SHA-256 differs from SHA256SUMS");
                report.push(finding.values(listed, found));
            }
            (None, _) if !is_mostly_hole(header.length, header.stored_length()) => {
                let message = "SHA256SUMS does not list the file";
                report.push(Finding::error("backup.sums", Location::path(*name), message));
            }
            _ => {}
        }
    }
    for name in sums.into_keys() {
        let message = "SHA256SUMS lists it but the manifest does not";
        report.push(Finding::error("backup.sums", Location::path(name), message));
    }
}
