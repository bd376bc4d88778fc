//! Which archives there are and what their manifests say.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mqstore_check::Report;
use mqstore_core::progress::Progress;

use crate::archive::frames::FrameReader;
use crate::archive::reader::ArchiveReader;
use crate::archive::table::read_end;
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::member::MANIFEST;
use crate::scan::{MAX_DOCUMENT, parse_manifest};
use crate::verify::{open, verify_file};

/// How the names of archives end.
pub(crate) const SUFFIX: &str = ".tar.zst";

/// An archive in a folder.
#[derive(Debug)]
#[non_exhaustive]
pub struct Listed {
    /// The archive file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub length: u64,
    /// Its manifest, or why it has none that can be read.
    pub manifest: Result<Manifest, BackupError>,
}

/// The archives (`*.tar.zst`) in a folder, sorted by name, with their manifests. Contents are not verified.
pub fn list(folder: &Path, progress: &dyn Progress) -> Result<Vec<Listed>, BackupError> {
    let fail = |source| BackupError::io("list", folder, source);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_name().as_encoded_bytes().ends_with(SUFFIX.as_bytes()) {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    let mut listed = Vec::new();
    for path in paths {
        let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let manifest = show(&path, progress);
        if let Err(BackupError::Cancelled) = manifest {
            return Err(BackupError::Cancelled);
        }
        listed.push(Listed { path, length, manifest });
    }
    Ok(listed)
}

/// The manifest of an archive. The footer says where it is; without one the whole archive is read.
pub fn show(archive: &Path, progress: &dyn Progress) -> Result<Manifest, BackupError> {
    let (mut file, length) = open(archive)?;
    if let Some(manifest) = by_footer(&mut file, length) {
        return Ok(manifest);
    }
    let verified = verify_file(archive, progress)?;
    verified.manifest.ok_or_else(|| BackupError::Damaged { report: Box::new(verified.report) })
}

/// The manifest of an archive file by its footer, which is cheap; `None` if it cannot be had that way.
pub(crate) fn peek(archive: &Path) -> Option<Manifest> {
    // A pipe can be read only once, and that is for others.
    if !fs::metadata(archive).ok()?.is_file() {
        return None;
    }
    let (mut file, length) = open(archive).ok()?;
    by_footer(&mut file, length)
}

/// The manifest, if the footer leads to one.
pub(crate) fn by_footer(file: &mut File, length: u64) -> Option<Manifest> {
    let (footer, _) = read_end(file, length).ok()??;
    file.seek(SeekFrom::Start(footer.manifest_at)).ok()?;
    let mut reader = ArchiveReader::new(FrameReader::new(file).ok()?);
    let header = reader.next().ok()??;
    if header.name != MANIFEST || header.length > MAX_DOCUMENT || header.stored_length() != header.length {
        return None;
    }
    let mut text = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = reader.data(&mut buffer).ok()?;
        if count == 0 {
            return parse_manifest(&text, &mut Report::new());
        }
        text.extend_from_slice(buffer.get(..count)?);
    }
}
