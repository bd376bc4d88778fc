//! Exchanges entries of a store root for others by renames, under a journal.
//!
//! The journal `.STORE.restore-journal.json` lies beside the root from before the first rename until everything is in
//! its new place and on disk. What is on its way is told by what is there, so each step can be done again:
//!
//! ```text
//! before the switch        between               after
//! STORE/index              -                     STORE/index  (of the backup)
//! -                        STORE.before/index    STORE.before/index
//! work/store/index         work/store/index      -
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `schema`, `schema_version` | `mqstore.restore-journal`, 1 |
//! | `root`, `kept` | the store root; the folder that gets what was there |
//! | `moves` | of each entry `live`, its place; `staged`, where the new one lies, absent if there is none; `before`, where the old one goes, absent if there is none |
//! | `abort` | whether `abort` `was` there and is `wanted`, and whence (`staged`) and whither (`before`) it moves |
//! | `record` | what is written to `kept/restore.json` for a later undo |
//! | `work`, `emptied` | folders to be removed at the end; folders to be removed if they are empty then, when it was done |
//!
//! Until the last move is done `abort` is there and `checkpoint` is not: a broker that is started in between although
//! the run was killed reads the whole log, so that its queues lose nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::plan::{Way, What};
use crate::error::BackupError;
use crate::partial::{PartialFile, parent, sync_folder};

const SCHEMA: &str = "mqstore.restore-journal";
const VERSION: u32 = 1;
/// Name of the record in the folder that was kept.
pub(super) const RECORD: &str = "restore.json";

/// An exchange that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Journal {
    schema: String,
    schema_version: u32,
    pub(super) root: PathBuf,
    pub(super) kept: PathBuf,
    pub(super) moves: Vec<Move>,
    pub(super) abort: Abort,
    pub(super) record: Record,
    pub(super) work: Vec<PathBuf>,
    pub(super) emptied: Vec<PathBuf>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Move {
    pub(super) live: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) staged: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) before: Option<PathBuf>,
}

/// The file `abort`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Abort {
    pub(super) was: bool,
    pub(super) wanted: bool,
    /// Absent: an empty one is made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) staged: Option<PathBuf>,
    pub(super) before: PathBuf,
}

/// What an undo needs to know: `restore.json` in the folder that was kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    /// When, RFC 3339.
    pub(super) at: String,
    pub(super) backup_id: String,
    pub(super) what: What,
    pub(super) way: Way,
    /// Where the log ended, a physical offset.
    pub(super) log_end: u64,
    /// Folders of the log.
    pub(super) log_dirs: Vec<PathBuf>,
    /// `live` and `before` of what was moved aside or put there.
    pub(super) moves: Vec<Move>,
    /// Whether `abort` was there.
    pub(super) abort: bool,
    /// Whether the release that it was done for takes the broker's lock, so that a free one tells that none runs.
    pub(super) lock_tells: bool,
}

/// Where the journal of a root lies.
pub(super) fn journal_path(root: &Path) -> PathBuf {
    beside(root, ".", ".restore-journal.json")
}

/// A path beside `path` whose name has this before and behind it.
pub(super) fn beside(path: &Path, before: &str, behind: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(behind);
    path.with_file_name(name)
}

/// The journal of an exchange that was begun and not ended, if there is one.
pub(super) fn pending(root: &Path) -> Result<Option<Journal>, BackupError> {
    let path = journal_path(root);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(BackupError::io("read", &path, source)),
    };
    let journal: Journal = serde_json::from_slice(&text)
        .map_err(|error| BackupError::unusable(&path, format!("is no journal of a restoration: {error}")))?;
    if journal.schema != SCHEMA || journal.schema_version != VERSION || journal.root != root {
        return Err(BackupError::unusable(&path, format!("is no journal of a restoration of {}", root.display())));
    }
    Ok(Some(journal))
}

impl Journal {
    pub(super) fn new(root: &Path, kept: &Path, moves: Vec<Move>, abort: Abort, record: Record) -> Self {
        let record = Record { moves: moves.clone(), abort: abort.was, ..record };
        Self {
            schema: SCHEMA.to_owned(),
            schema_version: VERSION,
            root: root.to_path_buf(),
            kept: kept.to_path_buf(),
            moves,
            abort,
            record,
            work: Vec::new(),
            emptied: Vec::new(),
        }
    }

    /// Writes the journal and exchanges everything; takes it all back if something fails.
    pub(super) fn carry_out(&self) -> Result<(), BackupError> {
        let path = journal_path(&self.root);
        if let Err(failed) = write_json(&path, self) {
            return Err(self.abandon(&path, failed));
        }
        let Err(failed) = self.finish() else { return Ok(()) };
        match self.take_back() {
            Ok(()) => Err(failed),
            Err(problem) => Err(self.half_switched(path, &problem.to_string(), failed)),
        }
    }

    /// A journal that may or may not be there, of a switch that was not begun.
    fn abandon(&self, path: &Path, failed: BackupError) -> BackupError {
        match fs::remove_file(path) {
            Ok(()) => failed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => failed,
            Err(error) => self.half_switched(path.to_path_buf(), &error.to_string(), failed),
        }
    }

    fn half_switched(&self, journal: PathBuf, problem: &str, failed: BackupError) -> BackupError {
        BackupError::HalfSwitched {
            root: self.root.clone(),
            journal,
            problem: problem.to_owned(),
            source: Box::new(failed),
        }
    }

    /// Brings everything to its new place, whatever was done already, and ends the journal.
    pub(super) fn finish(&self) -> Result<(), BackupError> {
        for one in &self.moves {
            one.require_staged()?;
        }
        for one in &self.moves {
            create_folders(parent(&one.live))?;
            one.before.as_deref().map_or(Ok(()), |before| create_folders(parent(before)))?;
        }
        create_folders(parent(&self.abort.before))?;
        let abort = self.root.join("abort");
        match &self.abort.staged {
            Some(staged) if !self.abort.was && exists(staged)? => put(staged, &abort)?,
            _ if exists(&abort)? => {}
            _ => create_empty(&abort)?,
        }
        let (checkpoint, others): (Vec<_>, Vec<_>) =
            self.moves.iter().partition(|one| one.live == self.root.join("checkpoint"));
        for one in &checkpoint {
            one.take_out()?;
        }
        self.sync()?;
        for one in &others {
            one.take_out()?;
            one.put_in()?;
        }
        self.sync()?;
        for one in &checkpoint {
            one.put_in()?;
        }
        if !self.abort.wanted && exists(&abort)? {
            // Done once already, and then the one in its place was made by this.
            if self.abort.was && !exists(&self.abort.before)? {
                put(&abort, &self.abort.before)?;
            } else {
                remove_file(&abort)?;
            }
        }
        self.sync()?;
        write_json(&self.kept.join(RECORD), &self.record)?;
        self.end()?;
        remove_empty(&self.emptied);
        Ok(())
    }

    /// Brings everything back to its old place, whatever was done already, and ends the journal.
    pub(super) fn take_back(&self) -> Result<(), BackupError> {
        let abort = self.root.join("abort");
        if self.abort.was && exists(&self.abort.before)? {
            if exists(&abort)? {
                remove_file(&abort)?;
            }
            put(&self.abort.before, &abort)?;
        }
        let is_checkpoint = |one: &&Move| one.live == self.root.join("checkpoint");
        for one in self.moves.iter().filter(is_checkpoint) {
            one.take_back_in()?;
        }
        for one in self.moves.iter().rev().filter(|one| !is_checkpoint(one)) {
            one.take_back_in()?;
            one.take_back_out()?;
        }
        for one in self.moves.iter().filter(is_checkpoint) {
            one.take_back_out()?;
        }
        if !self.abort.was && exists(&abort)? {
            match &self.abort.staged {
                Some(staged) if !exists(staged)? => put(&abort, staged)?,
                _ => remove_file(&abort)?,
            }
        }
        self.sync()?;
        let mut folders: Vec<&Path> = self.moves.iter().filter_map(|one| one.before.as_deref()).map(parent).collect();
        folders.extend(self.moves.iter().map(|one| parent(&one.live)).filter(|folder| *folder != self.root));
        folders.extend([parent(&self.abort.before), self.kept.as_path()]);
        let _ = fs::remove_file(beside(&self.kept.join(RECORD), "", ".partial"));
        remove_empty(&folders);
        self.end()
    }

    /// Removes the folders for work, which hold nothing that is still needed, and then the journal.
    fn end(&self) -> Result<(), BackupError> {
        for folder in &self.work {
            // The next run takes over what cannot be removed.
            let _ = fs::remove_dir_all(folder);
        }
        let path = journal_path(&self.root);
        remove_file(&path)?;
        // Should the name come back after a loss of power, all is found in its place.
        let _ = sync_folder(parent(&path));
        Ok(())
    }

    /// Makes the names in all folders concerned durable.
    fn sync(&self) -> Result<(), BackupError> {
        let mut folders: Vec<&Path> = Vec::new();
        for one in &self.moves {
            let paths = [Some(&one.live), one.staged.as_ref(), one.before.as_ref()];
            folders.extend(paths.into_iter().flatten().map(|path| parent(path)));
        }
        folders.extend([self.root.as_path(), parent(&self.abort.before), self.kept.as_path(), parent(&self.kept)]);
        folders.sort_unstable();
        folders.dedup();
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

impl Move {
    /// Refuses to take away what nothing would replace although something should.
    fn require_staged(&self) -> Result<(), BackupError> {
        let (Some(staged), Some(before)) = (&self.staged, &self.before) else { return Ok(()) };
        if exists(before)? || exists(staged)? {
            return Ok(());
        }
        let problem = format!("is gone, which was to replace {}", self.live.display());
        Err(BackupError::refused(staged, problem, "mqstore backup undo takes the restoration back"))
    }

    fn take_out(&self) -> Result<(), BackupError> {
        let Some(before) = &self.before else { return Ok(()) };
        if exists(before)? || !exists(&self.live)? {
            return Ok(());
        }
        put(&self.live, before)
    }

    fn put_in(&self) -> Result<(), BackupError> {
        match &self.staged {
            Some(staged) if exists(staged)? => put(staged, &self.live),
            _ => Ok(()),
        }
    }

    fn take_back_in(&self) -> Result<(), BackupError> {
        match &self.staged {
            Some(staged) if !exists(staged)? && self.is_new()? => {
                create_folders(parent(staged))?;
                put(&self.live, staged)
            }
            _ => Ok(()),
        }
    }

    /// Whether what is in its place is the new one.
    fn is_new(&self) -> Result<bool, BackupError> {
        Ok(exists(&self.live)? && self.before.as_deref().map_or(Ok(true), exists)?)
    }

    fn take_back_out(&self) -> Result<(), BackupError> {
        match &self.before {
            Some(before) if exists(before)? => put(before, &self.live),
            _ => Ok(()),
        }
    }
}

/// Renames onto a name that is free; anything there is somebody else's.
fn put(from: &Path, to: &Path) -> Result<(), BackupError> {
    if exists(to)? {
        let problem = format!("is in the way of {}: a broker was started in the middle of the switch", from.display());
        return Err(BackupError::refused(to, problem, None));
    }
    fs::rename(from, to).map_err(|source| BackupError::io("rename", from, source))
}

pub(super) fn exists(path: &Path) -> Result<bool, BackupError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(source) => Err(BackupError::io("open", path, source)),
    }
}

pub(super) fn create_folders(folder: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(folder).map_err(|source| BackupError::io("create", folder, source))
}

/// Removes folders that hold nothing but the record of a restoration.
fn remove_empty(folders: &[impl AsRef<Path>]) {
    for folder in folders {
        let folder = folder.as_ref();
        // What fails here is not empty, or not ours to remove.
        let only_record = fs::read_dir(folder).is_ok_and(|entries| entries.flatten().all(|e| e.file_name() == RECORD));
        if only_record {
            let _ = fs::remove_file(folder.join(RECORD));
            let _ = fs::remove_dir(folder);
        }
    }
}

/// An empty file that is on disk.
fn create_empty(path: &Path) -> Result<(), BackupError> {
    let file = File::options().write(true).create_new(true).open(path).and_then(|file| file.sync_all());
    file.map_err(|source| BackupError::io("create", path, source))
}

fn remove_file(path: &Path) -> Result<(), BackupError> {
    fs::remove_file(path).map_err(|source| BackupError::io("remove", path, source))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BackupError> {
    let text = serde_json::to_vec_pretty(value)
        .map_err(|error| BackupError::unusable(path, format!("cannot hold the names of the store: {error}")))?;
    let partial = PartialFile::create(path)?;
    io::Write::write_all(&mut partial.file(), &text).map_err(|source| BackupError::io("write", path, source))?;
    partial.commit()
}
