//! Puts an archive back, into a new folder.
//!
//! Everything is written to `.NAME.restore-partial` beside the target while it is verified, made durable, and renamed
//! at the end. A target therefore never holds half a store, and what is wrong with the archive is known before
//! anything appears under its name.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mqstore_core::progress::Progress;

use crate::archive::header::{Kind, MemberHeader};
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::member::Section;
use crate::partial::{PartialFolder, no_follow, parent, sync_folder};
use crate::scan::{Scan, Sink, scan};
use crate::verify::open;

/// Where to restore to. What has no place here is verified but not written.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// New store root; absent or an empty folder.
    pub to: PathBuf,
    /// Home folder whose `store/config` gets the files of `home/store/config`; that must be absent or empty.
    pub home: Option<PathBuf>,
    /// New program folder; absent or empty.
    pub program: Option<PathBuf>,
    /// New folder for the files of `include`; absent or empty.
    pub include: Option<PathBuf>,
}

/// What was restored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The archive's manifest; its gaps are gaps of the restored store, too.
    pub manifest: Manifest,
    /// Files written.
    pub files: u64,
    /// Their length in bytes, holes included.
    pub bytes: u64,
    /// Files per section that were not asked for.
    pub not_restored: Vec<(Section, u64)>,
}

/// Restores an archive file. The archive is verified as a whole, also what is not restored; with the first thing that is
/// wrong the result is [`BackupError::Damaged`] and nothing is left behind.
///
/// With several targets each appears at once, the store last. A commit log is never written.
pub fn restore(archive: &Path, options: &RestoreOptions, progress: &dyn Progress) -> Result<Restored, BackupError> {
    let (file, length) = open(archive)?;
    let mut writer = Writer::new(options)?;
    let Scan { report, manifest } = scan(file, Some(length), &mut writer, progress)?;
    let manifest = match manifest {
        Some(manifest) if report.counts().error == 0 => manifest,
        _ => return Err(BackupError::Damaged { report: Box::new(report) }),
    };
    for target in &writer.targets {
        target.settle(&manifest, progress)?;
    }
    let Writer { targets, files, bytes, not_restored, .. } = writer;
    // The store is the first target and is to appear last.
    for target in targets.into_iter().rev() {
        target.folder.commit()?;
    }
    Ok(Restored { manifest, files, bytes, not_restored })
}

/// A section and the folder it is restored into.
struct Target {
    section: Section,
    folder: PartialFolder,
}

impl Target {
    fn path_of(&self, name: &str) -> Option<PathBuf> {
        let below = self.section.rest_of(name)?;
        Some(if below.is_empty() { self.folder.path().to_path_buf() } else { self.folder.path().join(below) })
    }

    /// Sets times and modes and makes everything durable: files, then folders from the innermost out.
    fn settle(&self, manifest: &Manifest, progress: &dyn Progress) -> Result<(), BackupError> {
        for entry in &manifest.files {
            if progress.cancelled() {
                return Err(BackupError::Cancelled);
            }
            if let Some(path) = self.path_of(&entry.path) {
                // A set-user-id bit would be that of whoever restores.
                settle(&path, entry.mtime_ns, entry.mode & 0o1777)?;
            }
        }
        for entry in manifest.folders.iter().rev() {
            if let Some(path) = self.path_of(&entry.path) {
                settle(&path, entry.mtime_ns, entry.mode & 0o3777)?;
            }
        }
        sync_folder(self.folder.path())
    }
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

struct Writer {
    targets: Vec<Target>,
    open: Option<(File, PathBuf)>,
    files: u64,
    bytes: u64,
    not_restored: Vec<(Section, u64)>,
}

impl Writer {
    fn new(options: &RestoreOptions) -> Result<Self, BackupError> {
        let home = options.home.as_ref().map(|home| home.join("store").join("config"));
        if let Some(home) = &home {
            let around = parent(home);
            fs::create_dir_all(around).map_err(|source| BackupError::io("create", around, source))?;
        }
        let wanted = [
            (Section::Store, Some(options.to.clone())),
            (Section::Home, home),
            (Section::Program, options.program.clone()),
            (Section::Include, options.include.clone()),
        ];
        let targets = wanted.into_iter().filter_map(|(section, path)| path.map(|path| (section, path)));
        let targets = targets.map(|(section, path)| Ok(Target { section, folder: PartialFolder::create(&path)? }));
        let targets = targets.collect::<Result<_, BackupError>>()?;
        Ok(Self { targets, open: None, files: 0, bytes: 0, not_restored: Vec::new() })
    }

    fn count_as_not_restored(&mut self, name: &str) {
        let Some(section) = Section::of(name) else { return };
        match self.not_restored.iter_mut().find(|(there, _)| *there == section) {
            Some((_, count)) => *count += 1,
            None => self.not_restored.push((section, 1)),
        }
    }
}

impl Sink for Writer {
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
