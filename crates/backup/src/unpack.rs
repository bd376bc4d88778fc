//! Writes the members of an archive to disk: files with their holes, then times, modes and durability.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mqstore_core::progress::Progress;

use crate::archive::header::{Kind, MemberHeader};
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::member::Section;
use crate::partial::{no_follow, parent, sync_folder};
use crate::scan::Sink;

/// What a file takes on disk is a multiple of this.
const BLOCK: u64 = 4096;

/// A section and the folder, there already, that its members are written into.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) section: Section,
    pub(crate) folder: PathBuf,
}

impl Target {
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        let below = self.section.rest_of(name)?;
        Some(if below.is_empty() { self.folder.clone() } else { self.folder.join(below) })
    }
}

/// Takes the members of an archive; what belongs to no target is counted and dropped.
#[derive(Debug)]
pub(crate) struct Unpacker {
    targets: Vec<Target>,
    open: Option<(File, PathBuf)>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) not_restored: Vec<(Section, u64)>,
}

impl Unpacker {
    pub(crate) fn new(targets: Vec<Target>) -> Self {
        Self { targets, open: None, files: 0, bytes: 0, not_restored: Vec::new() }
    }

    /// Sets times and modes and makes everything durable: files, then folders from the innermost out.
    pub(crate) fn settle(&self, manifest: &Manifest, progress: &dyn Progress) -> Result<(), BackupError> {
        for target in &self.targets {
            for entry in &manifest.files {
                if progress.cancelled() {
                    return Err(BackupError::Cancelled);
                }
                if let Some(path) = target.path_of(&entry.path) {
                    // A set-user-id bit would be that of whoever restores.
                    settle(&path, entry.mtime_ns, entry.mode & 0o1777)?;
                }
            }
            for entry in manifest.folders.iter().rev() {
                if let Some(path) = target.path_of(&entry.path) {
                    settle(&path, entry.mtime_ns, entry.mode & 0o3777)?;
                }
            }
            sync_folder(&target.folder)?;
        }
        Ok(())
    }

    fn count_as_not_restored(&mut self, name: &str) {
        let Some(section) = Section::of(name) else { return };
        match self.not_restored.iter_mut().find(|(there, _)| *there == section) {
            Some((_, count)) => *count += 1,
            None => self.not_restored.push((section, 1)),
        }
    }
}

/// Fails before content is written that does not fit.
pub(crate) fn room(manifest: &Manifest, targets: &[Target]) -> Result<(), BackupError> {
    let mut needed: BTreeMap<u64, (u64, &Path)> = BTreeMap::new();
    for target in targets {
        let device = fs::metadata(&target.folder).map_err(|source| BackupError::io("open", &target.folder, source))?;
        let (bytes, _) = needed.entry(device.dev()).or_insert((0, &target.folder));
        for file in manifest.files.iter().filter(|file| target.path_of(&file.path).is_some()) {
            *bytes = bytes.saturating_add(file.stored_length.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX));
        }
    }
    for (needed, folder) in needed.into_values() {
        let free = rustix::fs::statvfs(folder).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
        // A file system that does not say how much is free gets its chance.
        if let Ok(free) = free
            && free < needed
        {
            let problem = format!("the backup needs {needed} bytes there, {free} are free");
            return Err(BackupError::io("unpack into", folder, io::Error::new(io::ErrorKind::StorageFull, problem)));
        }
    }
    Ok(())
}

fn settle(path: &Path, mtime_ns: i64, mode: u32) -> Result<(), BackupError> {
    let fail = |source| BackupError::io("finish", path, source);
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path).map_err(fail)?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(fail)?;
    let distance = Duration::from_nanos(mtime_ns.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    let time = if mtime_ns < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    file.set_times(FileTimes::new().set_modified(time.unwrap_or(epoch))).map_err(fail)?;
    file.sync_all().map_err(fail)
}

impl Sink for Unpacker {
    fn begin(&mut self, header: &MemberHeader) -> Result<(), BackupError> {
        let Some(path) = self.targets.iter().find_map(|target| target.path_of(&header.name)) else {
            if header.kind == Kind::File {
                self.count_as_not_restored(&header.name);
            }
            return Ok(());
        };
        let folder = if header.kind == Kind::Folder { &path } else { parent(&path) };
        fs::create_dir_all(folder).map_err(|source| BackupError::io("create", folder, source))?;
        if header.kind == Kind::File {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let file = file.and_then(|file| file.set_len(header.length).map(|()| file));
            let file = file.map_err(|source| BackupError::io("create", &path, source))?;
            self.files += 1;
            self.bytes = self.bytes.saturating_add(header.length);
            self.open = Some((file, path));
        }
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), BackupError> {
        match &self.open {
            Some((file, path)) => {
                file.write_all_at(bytes, offset).map_err(|source| BackupError::io("write", path, source))
            }
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), BackupError> {
        self.open = None;
        Ok(())
    }
}
