//! Parts of a store in formats of their own: recognised, named and sized, so that nothing is passed over in silence.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::layout::EntryKind;
use super::{RootEntry, Store};
use crate::error::StoreError;

/// A part of a store beside the classic log, queues, index and JSON files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SpecialKind {
    /// Consume queues in RocksDB.
    RocksDbQueues,
    /// Topics, groups or offsets in RocksDB.
    RocksDbConfig,
    /// POP records in RocksDB.
    RocksDbPop,
    /// Index, timers and transactions in RocksDB.
    RocksDbStore,
    /// The log of a DLedger broker.
    Dledger,
    /// The local index of tiered storage.
    Tiered,
    /// Queues of batches.
    BatchQueues,
    /// Compacted topics.
    Compaction,
    /// Timed messages.
    Timer,
}

impl SpecialKind {
    /// The word for it in all outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RocksDbQueues => "rocksdb-queues",
            Self::RocksDbConfig => "rocksdb-config",
            Self::RocksDbPop => "rocksdb-pop",
            Self::RocksDbStore => "rocksdb-store",
            Self::Dledger => "dledger",
            Self::Tiered => "tiered",
            Self::BatchQueues => "batch-queues",
            Self::Compaction => "compaction",
            Self::Timer => "timer",
        }
    }
}

/// A part of a store in a format of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpecialPart {
    /// What it is.
    pub kind: SpecialKind,
    /// Where it lies.
    pub path: PathBuf,
    /// Regular files in it.
    pub files: u64,
    /// Sum of their lengths in bytes; holes count.
    pub bytes: u64,
}

/// Folders below `config/` that are RocksDB databases.
pub(super) const CONFIG_DATABASES: &[&str] =
    &["topics", "subscriptionGroups", "consumerOffsets", "rdb", "users", "acls"];

impl Store {
    /// The parts of the store in formats of their own, by kind.
    pub fn special_parts(&self) -> Result<Vec<SpecialPart>, StoreError> {
        let mut parts = Vec::new();
        for RootEntry { path, kind, .. } in self.entries() {
            let special = match kind {
                EntryKind::ConsumeQueue if is_rocksdb(path) => SpecialKind::RocksDbQueues,
                EntryKind::ConsumeQueueRocksDb => SpecialKind::RocksDbQueues,
                EntryKind::KvStore => SpecialKind::RocksDbPop,
                EntryKind::RocksDbStore => SpecialKind::RocksDbStore,
                EntryKind::Dledger => SpecialKind::Dledger,
                EntryKind::TieredIndex => SpecialKind::Tiered,
                EntryKind::BatchConsumeQueue => SpecialKind::BatchQueues,
                EntryKind::Compaction => SpecialKind::Compaction,
                EntryKind::Timer => SpecialKind::Timer,
                EntryKind::Config => {
                    let databases = CONFIG_DATABASES.iter().map(|name| path.join(name)).filter(|dir| is_rocksdb(dir));
                    for path in databases {
                        parts.push(measure(SpecialKind::RocksDbConfig, path, usize::MAX)?);
                    }
                    continue;
                }
                _ => continue,
            };
            // File queues may share the folder of a RocksDB database, whose own files lie directly in it.
            let depth = if *kind == EntryKind::ConsumeQueue { 1 } else { usize::MAX };
            parts.push(measure(special, path.clone(), depth)?);
        }
        parts.sort_by(|a, b| (a.kind, &a.path).cmp(&(b.kind, &b.path)));
        Ok(parts)
    }
}

/// Whether a RocksDB database lies directly in `dir`.
pub fn is_rocksdb(dir: &Path) -> bool {
    dir.join("CURRENT").is_file()
}

fn measure(kind: SpecialKind, path: PathBuf, depth: usize) -> Result<SpecialPart, StoreError> {
    let (mut files, mut bytes) = (0, 0);
    for entry in WalkDir::new(&path).max_depth(depth) {
        let metadata = entry.and_then(|e| e.metadata());
        let metadata = metadata.map_err(|e| {
            let at = e.path().unwrap_or(&path).to_path_buf();
            StoreError::io("list", at, e.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links")))
        })?;
        if metadata.is_file() {
            files += 1;
            bytes += metadata.len();
        }
    }
    Ok(SpecialPart { kind, path, files, bytes })
}
