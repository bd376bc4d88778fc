//! The archive that a new one refers to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use mqstore_check::Report;
use mqstore_core::progress::Progress;
use mqstore_core::store::{Store, StoreOptions};

use super::{Link, MissingArchive, all_links, check_references};
use crate::catalog::{peek, show};
use crate::error::BackupError;
use crate::log_identity::{self, LogMatch};
use crate::manifest::{EarlierArchive, FileEntry, Manifest};
use crate::partial::parent;
use crate::plan::BackupPlan;

/// What to do where an incremental archive is not wanted.
const WHOLE: &str = "a backup without --since needs no earlier archive";

/// An archive that a new one is to refer to for what did not change since.
#[derive(Debug, Clone)]
pub struct Base {
    path: PathBuf,
    manifest: Manifest,
    links: Vec<Link>,
}

impl Base {
    /// Reads its manifest and finds the archives that it refers to itself, beside it or in `folders`. Contents are not read:
    /// [`verify_chain`](crate::verify_chain) does that, of the new archive, too.
    ///
    /// Fails with [`BackupError::Damaged`] if the manifest cannot be read or contradicts itself, and with
    /// [`BackupError::MissingArchives`] if the archive is no longer the whole with what there is.
    pub fn open(archive: &Path, folders: &[PathBuf], progress: &dyn Progress) -> Result<Self, BackupError> {
        let manifest = show(archive, progress)?;
        let mut report = Report::new();
        check_references(&manifest, &mut report);
        if report.counts().error > 0 {
            return Err(BackupError::Damaged { report: Box::new(report) });
        }
        let links = all_links(archive, &manifest, folders, progress)?;
        Ok(Self { path: archive.to_path_buf(), manifest, links })
    }

    /// The archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Refuses a store that is not of the same broker: by cluster, name and id, and where a name is not known on both sides by
    /// the commit log, of which the archive has a digest.
    pub fn refuse_other(&self, plan: &BackupPlan) -> Result<(), BackupError> {
        let refuse = |problem: String| Err(BackupError::refused(&self.path, problem, WHOLE));
        let (earlier, now) = (&self.manifest.broker, &plan.facts.broker);
        if let Some((key, earlier, now)) = earlier.difference(now) {
            return refuse(format!("is a backup of a broker with {key} {earlier}, expected {now}"));
        }
        if earlier.name.is_some() && now.name.is_some() {
            return Ok(());
        }
        let Some(positions) = &self.manifest.positions.commitlog else { return Ok(()) };
        let mut options = StoreOptions::default();
        options.commitlog_dirs.clone_from(&plan.commitlogs);
        // A log that cannot be read tells nothing, and is no reason to make no backup.
        let store = Store::open(&plan.root, options);
        let found = store.and_then(|store| log_identity::compare(positions, store.commitlog(), None));
        match found {
            Ok(LogMatch::Differs(range)) => refuse(format!(
                "was made beside another commit log than the one of {}: bytes {} to {} differ",
                plan.root.display(),
                range.from,
                range.to
            )),
            _ => Ok(()),
        }
    }

    /// Refuses to put an archive in the place of one that it would refer to.
    pub(crate) fn refuse_replacing(&self, archive: &Path) -> Result<(), BackupError> {
        let target = archive.canonicalize();
        let mut needed = std::iter::once(&self.path).chain(self.links.iter().map(|link| &link.path));
        let mut is_needed = |target: &PathBuf| needed.any(|path| path.canonicalize().is_ok_and(|path| path == *target));
        match target {
            Ok(target) if is_needed(&target) => {
                Err(BackupError::refused(archive, "would be replaced by an archive that refers to it", WHOLE))
            }
            _ => Ok(()),
        }
    }

    /// Fails if an archive that this manifest needs went away meanwhile.
    pub(crate) fn still_there(&self, manifest: &Manifest) -> Result<(), BackupError> {
        let needs = manifest.since.as_ref().map(|since| since.needs.as_slice()).unwrap_or_default();
        let gone = |earlier: &&EarlierArchive| {
            let path = self.path_of(&earlier.backup_id);
            path.and_then(peek).is_none_or(|found| found.backup_id != earlier.backup_id)
        };
        let missing: Vec<_> = needs.iter().filter(gone).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing = missing.into_iter().map(|earlier| {
            let folder = self.path_of(&earlier.backup_id).map(|path| parent(path).to_path_buf());
            let instead = vec!["it was there when this backup began".to_owned()];
            MissingArchive { earlier: earlier.clone(), looked_in: folder.into_iter().collect(), instead }
        });
        Err(BackupError::MissingArchives { missing: missing.collect() })
    }

    /// The archive of this id, itself or one that it refers to.
    pub(crate) fn path_of(&self, backup_id: &str) -> Option<&Path> {
        if backup_id == self.manifest.backup_id {
            return Some(&self.path);
        }
        self.links.iter().find(|link| link.earlier.backup_id == backup_id).map(|link| link.path.as_path())
    }

    /// Its files by name, with the id of the archive that holds each.
    pub(crate) fn files(&self) -> HashMap<&str, (&FileEntry, &str)> {
        let own = self.manifest.backup_id.as_str();
        let files = self.manifest.files.iter();
        files.map(|file| (file.path.as_str(), (file, file.held_in.as_deref().unwrap_or(own)))).collect()
    }
}
