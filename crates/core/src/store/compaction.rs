//! Compacted topics: `compaction/compactionLog` and `compaction/compactionCq`, 5.1.0 and later.
//!
//! Beside its ordinary queue and records, a topic with `cleanup.policy=COMPACTION` has a copy that keeps the last message
//! of each key. Log and queue files exist in pairs of one name, the offset of the pair in the compaction log. Gaps are
//! normal, between names (a compaction leaves a pair that is only partly filled) and between queue offsets.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::config::{ConfigDir, Loaded};
use super::mapped_file_queue::{MappedFileQueue, QueueFile};
use super::{Store, queue_folders};
use crate::error::{FormatError, StoreError};
use crate::format::batchconsumequeue::{BatchCqUnit, BatchCqUnits};
use crate::format::commitlog::MessageRecord;
use crate::format::config::position_checkpoint::PositionCheckpoint;
use crate::format::config::{ConfigTable, Document};
use crate::offset::PhysicalOffset;

/// The compacted copy of one queue.
#[derive(Debug, Clone)]
pub struct CompactedQueue {
    topic: String,
    queue_id: u32,
    log: MappedFileQueue,
    queue: MappedFileQueue,
}

/// A pair of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CompactedPair {
    /// Offset of its first byte in the compaction log: the name of both.
    pub file_from_offset: u64,
    /// Units that count.
    pub units: u64,
    /// Queue offset of the first unit.
    pub first_queue_offset: Option<i64>,
    /// Queue offset of the last unit.
    pub last_queue_offset: Option<i64>,
    /// Whether a marker unit closes the queue file. The result of a compaction has none, and neither has the last pair.
    pub closed: bool,
}

impl Store {
    /// The compacted queues, by topic and number.
    pub fn compacted_queues(&self) -> Result<Vec<CompactedQueue>, StoreError> {
        let root = self.root().join("compaction");
        let mut folders: BTreeMap<(String, u32), [Option<PathBuf>; 2]> = BTreeMap::new();
        for (topic, queue_id, dir) in queue_folders(&root.join("compactionLog"))? {
            folders.entry((topic, queue_id)).or_default()[0] = Some(dir);
        }
        for (topic, queue_id, dir) in queue_folders(&root.join("compactionCq"))? {
            folders.entry((topic, queue_id)).or_default()[1] = Some(dir);
        }
        let list = |dir: Option<PathBuf>| MappedFileQueue::list(dir.as_slice());
        let queues = folders.into_iter().map(|((topic, queue_id), [log, queue])| {
            Ok(CompactedQueue { topic, queue_id, log: list(log)?, queue: list(queue)? })
        });
        queues.collect()
    }

    /// `compaction/position-checkpoint`, with the copy chosen as for a config file.
    pub fn compaction_positions(&self) -> Loaded<PositionCheckpoint> {
        let read = |document: Document| PositionCheckpoint::from_root(&document.root);
        let folder = self.root().join("compaction");
        ConfigDir::new(self.root()).load_in(&folder, "position-checkpoint", PositionCheckpoint::TABLES, read)
    }

    /// What an interrupted compaction left: folders `compacting` and `replicating` and files that end in `.delete`. A
    /// start removes them; they mean nothing for log and queues.
    pub fn compaction_leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        for kind in ["compactionLog", "compactionCq"] {
            for (_, _, dir) in queue_folders(&self.root().join("compaction").join(kind))? {
                for entry in fs::read_dir(&dir).map_err(|e| StoreError::io("list", &dir, e))? {
                    let path = entry.map_err(|e| StoreError::io("list", &dir, e))?.path();
                    if is_leftover(&path) {
                        found.push(path);
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name == "compacting" || name == "replicating" || path.extension().is_some_and(|extension| extension == "delete")
}

impl CompactedQueue {
    /// The topic: the name of the folder.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The queue's number in its topic.
    pub fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// The files of the compaction log.
    pub fn log(&self) -> &MappedFileQueue {
        &self.log
    }

    /// The files of the sparse queue.
    pub fn queue(&self) -> &MappedFileQueue {
        &self.queue
    }

    /// Files of the log or the queue without a partner of the same name: a broker does not start with one.
    pub fn unpaired(&self) -> Vec<&QueueFile> {
        let has = |files: &MappedFileQueue, from| files.files().iter().any(|file| file.file_from_offset == from);
        let logs = self.log.files().iter().filter(|file| !has(&self.queue, file.file_from_offset));
        logs.chain(self.queue.files().iter().filter(|file| !has(&self.log, file.file_from_offset))).collect()
    }

    /// Hands every unit that counts to `visit`, in order, with what stands in the compaction log where it points; the
    /// record's physical offset is its place in that log. Says what each pair holds.
    pub fn visit(
        &self,
        mut visit: impl FnMut(&BatchCqUnit, Result<MessageRecord<'_>, FormatError>) -> ControlFlow<()>,
    ) -> Result<Vec<CompactedPair>, StoreError> {
        let mut pairs = Vec::new();
        for queue_file in self.queue.files() {
            let log_file = self.log.files().iter().find(|file| file.file_from_offset == queue_file.file_from_offset);
            let Some(log_file) = log_file else { continue };
            let (queue_map, log_map) = (queue_file.map()?, log_file.map()?);
            let units = BatchCqUnits::new(&queue_map);
            let mut pair = CompactedPair { file_from_offset: queue_file.file_from_offset, ..Default::default() };
            let mut stopped = false;
            for unit in units.iter().take_while(BatchCqUnit::is_valid) {
                pair.units += 1;
                pair.first_queue_offset.get_or_insert(unit.base_offset);
                pair.last_queue_offset = Some(unit.base_offset);
                let at = unit.physical_offset.cast_unsigned();
                let relative = at.checked_sub(log_file.file_from_offset).and_then(|at| usize::try_from(at).ok());
                let bytes = relative.and_then(|at| log_map.get(at..)).unwrap_or_default();
                if visit(&unit, MessageRecord::parse(bytes, PhysicalOffset(at))).is_break() {
                    stopped = true;
                    break;
                }
            }
            pair.closed = units.get(pair.units).is_some_and(|unit| unit.is_marker());
            queue_map.check()?;
            log_map.check()?;
            pairs.push(pair);
            if stopped {
                break;
            }
        }
        Ok(pairs)
    }
}
