//! Incremental archives: finding the earlier ones that hold their files, and reading those, too.
//!
//! A manifest lists the whole state, and says of each file that is not stored in its own archive which other one stores it.
//! That one is looked for beside the archive under the name it had, then by its id among all archives there, then in the same
//! way in the further folders that the caller names. The name is a hint, the id decides; and what is read is held against
//! the checksums of the manifest that asked for it, so another archive cannot slip in.

mod base;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mqstore_check::{Finding, Location, Report};
use mqstore_core::progress::Progress;

use crate::archive::header::{Kind, MemberHeader};
use crate::catalog::{SUFFIX, peek, show};
use crate::error::BackupError;
use crate::manifest::{EarlierArchive, FileEntry, Manifest};
use crate::partial::parent;
use crate::scan::{Scan, Sink, scan};
use crate::verify::open;

pub use base::Base;

/// An earlier archive that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Where it is.
    pub path: PathBuf,
    /// What the later one says of it.
    pub earlier: EarlierArchive,
}

/// An earlier archive that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingArchive {
    /// What the later one says of it.
    pub earlier: EarlierArchive,
    /// The folders that were searched for its name and its id.
    pub looked_in: Vec<PathBuf>,
    /// What was found under its name instead.
    pub instead: Vec<String>,
}

impl MissingArchive {
    /// File name and id.
    pub fn name(&self) -> String {
        format!("{} ({})", self.earlier.archive, self.earlier.backup_id)
    }

    /// What hangs on it, and where it was looked for.
    pub fn problem(&self) -> String {
        let files = match self.earlier.files {
            1 => "1 file".to_owned(),
            files => format!("{files} files"),
        };
        let folders: Vec<String> = self.looked_in.iter().map(|folder| folder.display().to_string()).collect();
        let mut text = format!("holds {files} of this backup and was not found in {}", folders.join(", "));
        for instead in &self.instead {
            text.push_str(": ");
            text.push_str(instead);
        }
        text
    }
}

/// The archives that hold files of `archive`, whose manifest this is: those that were found, and those that were not. They are
/// looked for in its own folder, then in `folders`.
///
/// Only manifests are read. An archive under the right name whose manifest is damaged counts as found.
pub fn find_links(
    archive: &Path,
    manifest: &Manifest,
    folders: &[PathBuf],
    progress: &dyn Progress,
) -> Result<(Vec<Link>, Vec<MissingArchive>), BackupError> {
    let needs = manifest.since.as_ref().map(|since| since.needs.as_slice()).unwrap_or_default();
    let mut search = Search {
        places: std::iter::once(parent(archive).to_path_buf()).chain(folders.iter().cloned()).collect(),
        ids: None,
    };
    search.places.dedup();
    let (mut links, mut missing) = (Vec::new(), Vec::new());
    for earlier in needs {
        match search.find(earlier, progress)? {
            Ok(path) => links.push(Link { path, earlier: earlier.clone() }),
            Err(instead) => {
                let (earlier, looked_in) = (earlier.clone(), search.places.clone());
                missing.push(MissingArchive { earlier, looked_in, instead });
            }
        }
    }
    Ok((links, missing))
}

/// [`find_links`] for those who need all of them.
pub(crate) fn all_links(
    archive: &Path,
    manifest: &Manifest,
    folders: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Vec<Link>, BackupError> {
    match find_links(archive, manifest, folders, progress)? {
        (links, missing) if missing.is_empty() => Ok(links),
        (_, missing) => Err(BackupError::MissingArchives { missing }),
    }
}

/// The manifest, as far as the footer leads to it. Fails if the archive cannot be opened, or if an earlier one that it needs is
/// not there.
pub(crate) fn peek_and_refuse_missing(
    archive: &Path,
    folders: &[PathBuf],
    progress: &dyn Progress,
) -> Result<Option<Manifest>, BackupError> {
    open(archive)?;
    let manifest = peek(archive);
    if let Some(manifest) = &manifest {
        all_links(archive, manifest, folders, progress)?;
    }
    Ok(manifest)
}

struct Search {
    places: Vec<PathBuf>,
    /// Id → archive, of all places; read when a name does not lead to it.
    ids: Option<HashMap<String, PathBuf>>,
}

impl Search {
    /// Where it is, or what is in its place.
    fn find(
        &mut self,
        earlier: &EarlierArchive,
        progress: &dyn Progress,
    ) -> Result<Result<PathBuf, Vec<String>>, BackupError> {
        let (mut instead, mut damaged) = (Vec::new(), None);
        // The manifest is not to lead anywhere else.
        let is_name = Path::new(&earlier.archive).file_name().is_some_and(|name| name == earlier.archive.as_str());
        for path in self.places.iter().filter(|_| is_name).map(|place| place.join(&earlier.archive)) {
            match show(&path, progress) {
                Ok(manifest) if manifest.backup_id == earlier.backup_id => return Ok(Ok(path)),
                Ok(manifest) => {
                    instead.push(format!("{} is another backup, {}", path.display(), manifest.backup_id));
                }
                Err(BackupError::Cancelled) => return Err(BackupError::Cancelled),
                Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(BackupError::Io { source, .. }) => instead.push(format!("{}: {source}", path.display())),
                Err(_) => {
                    damaged.get_or_insert(path);
                }
            }
        }
        let ids = self.ids.get_or_insert_with(|| ids(&self.places));
        Ok(ids.get(&earlier.backup_id).cloned().or(damaged).ok_or(instead))
    }
}

/// The archives of folders by their ids; what cannot be read is none of them.
fn ids(folders: &[PathBuf]) -> HashMap<String, PathBuf> {
    let mut ids = HashMap::new();
    for folder in folders {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let is_archive = |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(SUFFIX.as_bytes());
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_archive).collect();
        paths.sort_unstable();
        for path in paths {
            if let Some(manifest) = peek(&path) {
                ids.entry(manifest.backup_id).or_insert(path);
            }
        }
    }
    ids
}

/// What is done if an earlier archive is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Fail.
    Refuse,
    /// Go on and say so in the report.
    Report,
}

/// [`scan`] of an archive file, and of the earlier ones that hold its files: those files are handed to the sink, too, behind
/// the archive's own, everything else that the earlier ones hold is only verified.
pub(crate) fn scan_all(
    archive: &Path,
    folders: &[PathBuf],
    if_missing: IfMissing,
    sink: &mut dyn Sink,
    progress: &dyn Progress,
) -> Result<Scan, BackupError> {
    let (file, length) = open(archive)?;
    let Scan { mut report, manifest } = scan(file, Some(length), sink, progress)?;
    let manifest = match manifest {
        Some(manifest) if manifest.since.is_some() && report.counts().error == 0 => manifest,
        manifest => return Ok(Scan { report, manifest }),
    };
    let (links, missing) = find_links(archive, &manifest, folders, progress)?;
    if if_missing == IfMissing::Refuse && !missing.is_empty() {
        return Err(BackupError::MissingArchives { missing });
    }
    for one in missing {
        report.coverage.files.total += one.earlier.files;
        report.skip(one.name(), one.problem());
    }
    for link in &links {
        scan_link(link, &manifest, sink, progress, &mut report)?;
    }
    Ok(Scan { report, manifest: Some(manifest) })
}

fn scan_link(
    link: &Link,
    manifest: &Manifest,
    sink: &mut dyn Sink,
    progress: &dyn Progress,
    report: &mut Report,
) -> Result<(), BackupError> {
    let id = &link.earlier.backup_id;
    let wanted: Vec<&FileEntry> = manifest.files.iter().filter(|file| file.held_in.as_ref() == Some(id)).collect();
    let names = wanted.iter().map(|file| file.path.as_str()).collect();
    let mut only = Only { sink, names, passing: false };
    let (file, length) = open(&link.path)?;
    let found = scan(file, Some(length), &mut only, progress)?;
    let name = link.path.file_name().unwrap_or_default().to_string_lossy();
    // What was in doubt when it was made is not, where a later capture found the same.
    for finding in found.report.findings().iter().filter(|finding| finding.id != "backup.gap") {
        let mut finding = finding.clone();
        finding.message = format!("{}, in the earlier archive {name}", finding.message);
        report.push(finding);
    }
    let coverage = &found.report.coverage;
    for skipped in &coverage.skipped {
        report.skip(format!("{name}: {}", skipped.what), skipped.why.clone());
    }
    for (all, of_link) in [(&mut report.coverage.files, coverage.files), (&mut report.coverage.bytes, coverage.bytes)] {
        all.seen += of_link.seen;
        all.total += of_link.total;
    }
    let Some(earlier) = found.manifest else { return Ok(()) };
    let held: HashMap<&str, &FileEntry> = earlier.stored_files().map(|file| (file.path.as_str(), file)).collect();
    for file in wanted {
        let message = match held.get(file.path.as_str()) {
            Some(held) if (held.length, &held.extents, &held.sha256) == (file.length, &file.extents, &file.sha256) => {
                continue;
            }
            Some(_) => format!("the earlier archive {name} holds other content than the manifest says"),
            None => format!("the manifest says that the earlier archive {name} holds it, but that does not"),
        };
        report.push(Finding::error("backup.chain", Location::path(&file.path), message));
    }
    Ok(())
}

/// Hands on only the files of these names.
struct Only<'a> {
    sink: &'a mut dyn Sink,
    names: HashSet<&'a str>,
    passing: bool,
}

impl Sink for Only<'_> {
    fn begin(&mut self, header: &MemberHeader) -> Result<(), BackupError> {
        self.passing = header.kind == Kind::File && self.names.contains(header.name.as_str());
        if self.passing { self.sink.begin(header) } else { Ok(()) }
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        if self.passing { self.sink.data(offset, bytes) } else { Ok(()) }
    }

    fn end(&mut self) -> Result<(), BackupError> {
        if self.passing { self.sink.end() } else { Ok(()) }
    }
}

/// Checks what a manifest says of earlier archives against itself.
pub(crate) fn check_references(manifest: &Manifest, report: &mut Report) {
    let mut wrong = |path: &str, message: String| {
        report.push(Finding::error("backup.chain", Location::path(path), message));
    };
    let needs = manifest.since.as_ref().map(|since| since.needs.as_slice()).unwrap_or_default();
    let mut ids = HashSet::new();
    for EarlierArchive { backup_id, .. } in needs {
        if *backup_id == manifest.backup_id {
            wrong(crate::member::MANIFEST, format!("the archive refers to itself, {backup_id}"));
        }
        if !ids.insert(backup_id.as_str()) {
            wrong(crate::member::MANIFEST, format!("the archive names the earlier one {backup_id} twice"));
        }
    }
    for file in &manifest.files {
        if let Some(id) = file.held_in.as_deref().filter(|id| !ids.contains(id)) {
            wrong(&file.path, format!("the manifest says that it is in {id}, which is none of the archives it needs"));
        }
    }
}
