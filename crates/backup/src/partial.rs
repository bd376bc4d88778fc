//! Files and folders that appear under their name only when they are complete.
//!
//! What is being written lies beside its target under another name, is locked there (`flock`, which the kernel drops
//! with the process) and is renamed when it is complete and on disk. A partial file or folder that nobody has locked is
//! left over from a process that was killed, and is taken over.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::BackupError;

/// A file on its way to `target`, removed when dropped before [`commit`](PartialFile::commit).
#[derive(Debug)]
pub(crate) struct PartialFile {
    file: File,
    partial: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl PartialFile {
    /// Starts `target`, as `target.partial` with mode 0600.
    pub(crate) fn create(target: &Path) -> Result<Self, BackupError> {
        let mut partial = target.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let fail = |action, source| BackupError::io(action, &partial, source);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(no_follow());
        let file = options.open(&partial).map_err(|source| fail("create", source))?;
        lock(&file, &partial)?;
        // Between open and lock its writer may have finished: then this is the complete archive, renamed.
        let (ours, there) = (file.metadata(), fs::symlink_metadata(&partial));
        if !matches!((&ours, &there), (Ok(a), Ok(b)) if (a.dev(), a.ino()) == (b.dev(), b.ino())) {
            return Err(BackupError::InUse { path: partial });
        }
        file.set_len(0).map_err(|source| fail("write", source))?;
        file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(|source| fail("write", source))?;
        Ok(Self { file, partial, target: target.to_path_buf(), committed: false })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Syncs, renames and syncs the folder.
    pub(crate) fn commit(mut self) -> Result<(), BackupError> {
        self.file.sync_all().map_err(|source| BackupError::io("sync", &self.partial, source))?;
        fs::rename(&self.partial, &self.target).map_err(|source| BackupError::io("rename", &self.partial, source))?;
        self.committed = true;
        sync_folder(parent(&self.target))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.committed {
            // There is no better thing to do than to leave it: the next run takes it over.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// A folder on its way to `target`, removed with all it holds when dropped before [`commit`](PartialFolder::commit).
#[derive(Debug)]
pub(crate) struct PartialFolder {
    partial: PathBuf,
    target: PathBuf,
    committed: bool,
    _lock: FolderLock,
}

impl PartialFolder {
    /// Starts `target`, which must be absent or empty, as `.NAME.restore-partial` beside it.
    pub(crate) fn create(target: &Path) -> Result<Self, BackupError> {
        let target = settle(target)?;
        let name = target.file_name().ok_or_else(|| BackupError::unusable(&target, "has no name to restore under"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(".restore-partial");
        let partial = target.with_file_name(hidden);
        let fail = |source| BackupError::io("create", &partial, source);
        let lock = match fs::create_dir(&partial) {
            Ok(()) => open_locked(&partial)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let old = open_locked(&partial)?;
                fs::remove_dir_all(&partial).map_err(|source| BackupError::io("remove", &partial, source))?;
                drop(old);
                fs::create_dir(&partial).map_err(fail)?;
                open_locked(&partial)?
            }
            Err(error) => return Err(fail(error)),
        };
        fs::set_permissions(&partial, fs::Permissions::from_mode(0o700)).map_err(fail)?;
        Ok(Self { partial, target, committed: false, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.partial
    }

    /// Renames the folder, whose content is on disk already, and syncs the one around it.
    pub(crate) fn commit(mut self) -> Result<(), BackupError> {
        // Onto an empty folder a rename works, onto one that got something meanwhile it fails.
        fs::rename(&self.partial, &self.target).map_err(|source| BackupError::io("rename", &self.partial, source))?;
        self.committed = true;
        sync_folder(parent(&self.target))
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.partial);
        }
    }
}

/// The target's own place, checked to be absent or an empty folder that can be renamed over.
fn settle(target: &Path) -> Result<PathBuf, BackupError> {
    let fail = |source| BackupError::io("open", target, source);
    let metadata = match fs::metadata(target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let target = std::path::absolute(target).map_err(fail)?;
            let folder = parent(&target).canonicalize().map_err(|e| BackupError::io("open", parent(&target), e))?;
            let name = target.file_name().map(ToOwned::to_owned);
            return Ok(folder.join(name.unwrap_or_default()));
        }
        Err(error) => return Err(fail(error)),
    };
    let target = target.canonicalize().map_err(fail)?;
    if !metadata.is_dir() {
        return Err(BackupError::unusable(target, "is not a folder"));
    }
    if let Some(entry) = fs::read_dir(&target).map_err(fail)?.next() {
        let found = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
        return Err(BackupError::NotEmpty { path: target, found });
    }
    let around = fs::metadata(parent(&target)).map_err(fail)?;
    if around.dev() != metadata.dev() {
        return Err(BackupError::unusable(target, "is a mount point: name a folder below it that does not exist yet"));
    }
    Ok(target)
}

/// A folder, locked against other runs while this lives.
#[derive(Debug)]
pub(crate) struct FolderLock(File);

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting holds a copy of the descriptor, and the
        // lock with it, until it runs its program.
        let _ = self.0.unlock();
    }
}

/// Locks a folder.
pub(crate) fn open_locked(folder: &Path) -> Result<FolderLock, BackupError> {
    let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(folder);
    let file = file.map_err(|source| BackupError::io("open", folder, source))?;
    lock(&file, folder)?;
    Ok(FolderLock(file))
}

fn lock(file: &File, path: &Path) -> Result<(), BackupError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(BackupError::InUse { path: path.to_path_buf() }),
        // A file system without locks: the partial name is all the protection there is.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(BackupError::io("lock", path, error)),
    }
}

/// The open flag that refuses a symbolic link.
pub(crate) fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

/// The folder around a path; the current one for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(|source| BackupError::io("sync", folder, source))
}

#[cfg(test)]
mod tests {
    use super::open_locked;

    #[test]
    fn a_lock_ends_with_its_owner_although_a_process_being_started_still_has_the_descriptor() {
        let folder = tempfile::tempdir().unwrap();
        let lock = open_locked(folder.path()).unwrap();
        assert!(open_locked(folder.path()).is_err(), "held");
        // What fork gives the child.
        let inherited = lock.0.try_clone().unwrap();
        drop(lock);
        assert!(open_locked(folder.path()).is_ok(), "free again");
        drop(inherited);
    }
}
