//! Where a restoration is made ready: folders beside the store and beside the home folder's configuration, on their file
//! systems, so that renames bring what lies in them into place.

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_core::progress::Progress;

use super::live::Live;
use super::plan::InPlaceOptions;
use super::switch::{beside, create_folders, exists};
use crate::chain::{IfMissing, scan_all};
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::member::Section;
use crate::partial::PartialFolder;
use crate::scan::Scan;
use crate::unpack::{Target, Unpacker, room};

/// A folder for work beside a store, removed when dropped.
#[derive(Debug)]
pub(super) struct WorkFolder {
    pub(super) path: PathBuf,
    /// Leave it when this is dropped.
    pub(super) keep: bool,
}

impl WorkFolder {
    /// Makes it; what a killed run left under the name is removed. Needs the lock of the root.
    pub(super) fn create(path: PathBuf) -> Result<Self, BackupError> {
        let fail = |action, source| BackupError::io(action, &path, source);
        if exists(&path)? {
            fs::remove_dir_all(&path).map_err(|source| fail("remove", source))?;
        }
        fs::create_dir_all(&path).map_err(|source| fail("create", source))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&path, private).map_err(|source| fail("create", source))?;
        Ok(Self { path, keep: false })
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if !self.keep {
            // The next run takes over what cannot be removed.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Where a run makes ready what it restores into `root`.
pub(super) fn work_path(root: &Path) -> PathBuf {
    beside(root, ".", ".restore-work")
}

/// An archive, unpacked and verified.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// The root as archived.
    pub(super) root: PathBuf,
    /// The home folder's `store/config` as archived.
    pub(super) home: PathBuf,
    /// Where those files are put that go into the home folder.
    pub(super) home_out: PathBuf,
    /// The folder for what else there is to be made.
    pub(super) views: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) not_restored: Vec<(Section, u64)>,
    /// The program's folder and that of included files.
    pub(super) folders: Vec<PartialFolder>,
    pub(super) work: Vec<WorkFolder>,
}

impl Unpacked {
    /// Unpacks an archive whose manifest was read already.
    pub(super) fn new(
        archive: &Path,
        manifest: &Manifest,
        options: &InPlaceOptions,
        live: &Live,
        progress: &dyn Progress,
    ) -> Result<Self, BackupError> {
        let mut work = vec![WorkFolder::create(work_path(&live.root))?];
        let base = work_path(&live.root);
        let home_out = match &live.home_config {
            Some(folder) => {
                work.push(WorkFolder::create(work_path(folder))?);
                work_path(folder)
            }
            None => base.join("home-out"),
        };
        let (root, home, views) = (base.join("store"), base.join("home"), base.join("views"));
        let mut targets = Vec::new();
        for (section, folder) in [(Section::Store, &root), (Section::Home, &home)] {
            create_folders(folder)?;
            targets.push(Target { section, folder: folder.clone() });
        }
        let mut folders = Vec::new();
        for (section, path) in [(Section::Program, &options.program), (Section::Include, &options.include)] {
            if let Some(path) = path {
                let folder = PartialFolder::create(path)?;
                targets.push(Target { section, folder: folder.path().to_path_buf() });
                folders.push(folder);
            }
        }
        room(manifest, &targets)?;
        let mut unpacker = Unpacker::new(targets);
        let Scan { report, manifest } = scan_all(archive, &options.chain, IfMissing::Refuse, &mut unpacker, progress)?;
        let manifest = match manifest {
            Some(manifest) if report.counts().error == 0 => manifest,
            _ => return Err(BackupError::Damaged { report: Box::new(report) }),
        };
        unpacker.settle(&manifest, progress)?;
        let not_restored = unpacker.not_restored;
        Ok(Self { root, home, home_out, views, manifest, not_restored, folders, work })
    }
}
