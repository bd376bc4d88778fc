//! A folder of files: paths, mappings, names as offsets, and where the log ends.
//!
//! [`Store::open`] lists a store root and reads the small files; log, queues and index are mapped when asked for, one
//! file at a time. Nothing is ever written, created or locked.

use std::fs;
use std::path::{Path, PathBuf};

pub mod batchconsumequeue;
pub mod commitlog;
pub mod compaction;
pub mod config;
pub mod consumequeue;
pub mod consumequeue_ext;
pub mod dledger;
pub mod holes;
pub mod index;
pub mod layout;
pub mod lock;
pub mod log;
pub mod mapped_file;
pub mod mapped_file_queue;
pub mod pending;
pub mod rocksdb;
pub mod rocksdb_config;
pub mod rocksdb_rows;
pub mod sigbus;
pub mod special;
pub mod timer;

pub use batchconsumequeue::{BatchConsumeQueue, BatchQueueRange};
pub use commitlog::{CommitLog, LogEnd, LogEndKind, StaleTail, is_torn};
pub use compaction::{CompactedPair, CompactedQueue};
pub use consumequeue::{ConsumeQueue, QueueRange};
pub use consumequeue_ext::{BloomAnswer, ConsumeQueueExt, ExtReader, bloom_answers};
pub use dledger::{DledgerEnd, DledgerLog};
pub use index::{IndexService, OpenIndexFile};
pub use layout::EntryKind;
pub use lock::LockState;
pub use log::{Located, LogReader, StoreLog};
pub use mapped_file::{MappedFile, read_instead_of_mapping};
pub use mapped_file_queue::{ForeignEntry, MappedFileQueue, QueueFile};
pub use pending::{Pending, PendingGap, PendingOptions, pending};
pub use rocksdb::{RocksDb, RocksDbFile, RocksDbFileKind};
pub use rocksdb_config::RocksDbConfig;
pub use special::{SpecialKind, SpecialPart};
pub use timer::{CancelKey, PendingTimer, TimerPending, TimerStore};

use crate::error::StoreError;
use crate::format::checkpoint::Checkpoint;
use crate::format::index::IndexGeometry;

/// What the folder itself does not tell.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Folders of the commit log, if it does not lie in `<root>/commitlog`. Several with the multi-path log.
    pub commitlog_dirs: Vec<PathBuf>,
    /// The home folder of the broker's user: 3.5.5 to 3.5.8 keep topics and groups in `<home>/store/config`.
    pub home: Option<PathBuf>,
    /// The folder of DLedger's data files, if it is not `<root>/dledger-<id>/data` (`storePathDLedgerCommitLog`).
    pub dledger_data_dir: Option<PathBuf>,
    /// Slots and indexes of an index file, if the broker's configuration is known.
    pub index_geometry: Option<IndexGeometry>,
}

/// An entry directly below the store root.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RootEntry {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is, by its name.
    pub kind: EntryKind,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// The file that exists while a broker runs and after an unclean stop.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbortFile {
    /// Its content: empty up to 4.9.8, the process id from 5.0.0 on. Cut to 64 bytes.
    pub content: String,
    /// The process id in it.
    pub pid: Option<u32>,
}

/// A store root, opened for reading.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    options: StoreOptions,
    entries: Vec<RootEntry>,
    commitlog: CommitLog,
}

impl Store {
    /// Opens the store at `root` (`storePathRootDir`).
    ///
    /// # Errors
    /// A folder that cannot be listed, and one that holds nothing a broker makes.
    pub fn open(root: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let root = root.as_ref();
        let mut entries = Vec::new();
        for entry in fs::read_dir(root).map_err(|e| StoreError::io("list", root, e))? {
            let entry = entry.map_err(|e| StoreError::io("list", root, e))?;
            let path = entry.path();
            // Follows links: a commitlog folder is often one.
            let is_dir = fs::metadata(&path).is_ok_and(|m| m.is_dir());
            entries.push(RootEntry { kind: EntryKind::of(&entry.file_name()), path, is_dir });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        if !entries.iter().any(|entry| entry.kind.marks_a_store()) && options.commitlog_dirs.is_empty() {
            let problem = "not a store: expected commitlog, consumequeue, index, checkpoint or dledger-* in it";
            return Err(StoreError::layout(root, problem));
        }
        let dirs = match options.commitlog_dirs.as_slice() {
            [] => vec![root.join("commitlog")],
            dirs => dirs.to_vec(),
        };
        Ok(Self { root: root.into(), commitlog: CommitLog::open(dirs)?, options, entries })
    }

    /// The store root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the store was opened with.
    pub fn options(&self) -> &StoreOptions {
        &self.options
    }

    /// What lies directly below the root, by name.
    pub fn entries(&self) -> &[RootEntry] {
        &self.entries
    }

    /// Whether there is an entry of this kind below the root.
    pub fn has(&self, kind: EntryKind) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind)
    }

    /// The commit log. It has no files if its folder is missing, as in a restored backup.
    pub fn commitlog(&self) -> &CommitLog {
        &self.commitlog
    }

    /// The consume queues in files, by topic and number.
    ///
    /// As a broker loads them: every folder below `consumequeue/` is a topic by its name, and in it every entry whose
    /// name is a number is a queue.
    pub fn consumequeues(&self) -> Result<Vec<ConsumeQueue>, StoreError> {
        let folders = queue_folders(&self.root.join("consumequeue"))?;
        folders.into_iter().map(|(topic, queue_id, dir)| ConsumeQueue::open(topic, queue_id, dir)).collect()
    }

    /// The index files.
    pub fn index(&self) -> Result<IndexService, StoreError> {
        IndexService::open(&self.root.join("index"), self.options.index_geometry)
    }

    /// The checkpoint; `None` if there is none.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        let path = self.root.join("checkpoint");
        let Some(bytes) = read_small(&path)? else { return Ok(None) };
        Checkpoint::parse(&bytes).map(Some).map_err(|source| StoreError::Format { path, source })
    }

    /// The abort file; `None` after a clean stop.
    pub fn abort(&self) -> Result<Option<AbortFile>, StoreError> {
        let Some(bytes) = read_small(&self.root.join("abort"))? else { return Ok(None) };
        let content = String::from_utf8_lossy(bytes.get(..bytes.len().min(64)).unwrap_or_default()).into_owned();
        Ok(Some(AbortFile { pid: content.trim().parse().ok(), content }))
    }

    /// Whether a broker holds the lock, asked without taking it.
    pub fn lock(&self) -> Result<LockState, StoreError> {
        lock::probe(&self.root.join("lock"))
    }
}

/// The first 4096 bytes of a file; `None` if there is no such file.
fn read_small(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    use std::io::Read as _;
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(StoreError::io("open", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).map_err(|e| StoreError::io("read", path, e))?;
    Ok(Some(bytes))
}

/// The folders `<topic>/<queue id>` below `dir`, by topic and number; none if `dir` does not exist.
fn queue_folders(dir: &Path) -> Result<Vec<(String, u32, PathBuf)>, StoreError> {
    let mut queues = Vec::new();
    for (topic, dir) in folders(dir)? {
        for (name, dir) in folders(&dir)? {
            let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            if let Some(queue_id) = name.parse().ok().filter(|_| digits) {
                queues.push((topic.clone(), queue_id, dir));
            }
        }
    }
    queues.sort();
    Ok(queues)
}

/// The sub-folders of `dir` with their names; none if `dir` does not exist.
fn folders(dir: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(StoreError::io("list", dir, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| StoreError::io("list", dir, e))?;
        if fs::metadata(entry.path()).is_ok_and(|m| m.is_dir()) {
            found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}
