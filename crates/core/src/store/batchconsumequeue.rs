//! One batch queue: the files below `batchconsumequeue/<topic>/<queue id>`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::consumequeue::partition_point;
use super::mapped_file_queue::MappedFileQueue;
use super::{Store, queue_folders};
use crate::error::StoreError;
use crate::format::batchconsumequeue::{BATCH_CQ_UNIT_LENGTH, BatchCqUnit, BatchCqUnits};
use crate::offset::{PhysicalOffset, QueueOffset};

/// Files whose units a broker looks at to find the end of a queue (`BatchConsumeQueue.recover`).
const RECOVERED_FILES: usize = 3;
const UNIT: u64 = BATCH_CQ_UNIT_LENGTH as u64;

/// A queue in files of 46-byte units.
#[derive(Debug, Clone)]
pub struct BatchConsumeQueue {
    topic: String,
    queue_id: u32,
    dir: PathBuf,
    files: MappedFileQueue,
}

/// From where to where a batch queue reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BatchQueueRange {
    /// Queue offset of the first message of the first record that is in the log; equals the maximum if there is none.
    pub min_offset: QueueOffset,
    /// The offset that the next message would get.
    pub max_offset: QueueOffset,
    /// Position in the queue, in bytes, behind the last unit that counts.
    pub end: u64,
    /// Physical offset of the record of the minimum.
    pub min_physical_offset: Option<PhysicalOffset>,
    /// Physical offset behind the record of the last unit.
    pub max_physical_offset: Option<PhysicalOffset>,
    /// Units behind the end that are not zero.
    pub units_behind_end: u64,
}

impl Store {
    /// The batch queues, by topic and number, found as a broker finds consume queues.
    pub fn batch_consumequeues(&self) -> Result<Vec<BatchConsumeQueue>, StoreError> {
        let folders = queue_folders(&self.root().join("batchconsumequeue"))?;
        folders.into_iter().map(|(topic, queue_id, dir)| BatchConsumeQueue::open(topic, queue_id, dir)).collect()
    }
}

impl BatchConsumeQueue {
    pub(super) fn open(topic: String, queue_id: u32, dir: PathBuf) -> Result<Self, StoreError> {
        let files = MappedFileQueue::list(&[&dir])?;
        Ok(Self { topic, queue_id, dir, files })
    }

    /// The topic: the name of the folder.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The queue's number in its topic.
    pub fn queue_id(&self) -> u32 {
        self.queue_id
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files.
    pub fn queue(&self) -> &MappedFileQueue {
        &self.files
    }

    /// The range of the queue in a store whose log begins at `log_min`.
    ///
    /// The end is what `BatchConsumeQueue.recover` finds: from the third last file on, up to the first unit that does
    /// not count. Zero for a queue without units.
    pub fn range(&self, log_min: PhysicalOffset) -> Result<BatchQueueRange, StoreError> {
        let files = self.files.files();
        let mut range = BatchQueueRange { end: self.files.min_offset().unwrap_or(0), ..BatchQueueRange::default() };
        let mut last = None;
        let mut ended = false;
        for file in files.iter().skip(files.len().saturating_sub(RECOVERED_FILES)) {
            let map = file.map()?;
            let units = BatchCqUnits::new(&map);
            let valid = if ended { 0 } else { units.valid_prefix() };
            if !ended {
                range.end = file.file_from_offset.saturating_add(valid * UNIT);
                last = valid.checked_sub(1).and_then(|n| units.get(n)).or(last);
            }
            ended |= valid < units.capacity();
            let behind = units.iter().skip(usize::try_from(valid).unwrap_or(usize::MAX));
            range.units_behind_end += behind.filter(|unit| !unit.is_zero()).count() as u64;
            map.check()?;
        }
        let Some(last) = last else { return Ok(range) };
        range.max_offset = QueueOffset(last.next_offset());
        range.max_physical_offset = Some(PhysicalOffset(last.physical_end()));
        range.min_offset = range.max_offset;
        let in_log = |unit: &BatchCqUnit| unit.physical_offset.cast_unsigned() >= log_min.get();
        for file in files {
            let map = file.map()?;
            let units = BatchCqUnits::new(&map);
            let n = partition_point(units.capacity(), |n| units.get(n).is_some_and(|u| u.is_valid() && !in_log(&u)));
            let found = units.get(n).filter(BatchCqUnit::is_valid);
            map.check()?;
            if let Some(unit) = found {
                range.min_offset = QueueOffset(unit.base_offset.cast_unsigned());
                range.min_physical_offset = Some(PhysicalOffset(unit.physical_offset.cast_unsigned()));
                break;
            }
        }
        Ok(range)
    }

    /// Hands every unit that counts to `visit`, in order, with its position in the queue in bytes. Each file ends at its
    /// first unit that does not count.
    pub fn visit_units(&self, visit: impl FnMut(u64, BatchCqUnit) -> ControlFlow<()>) -> Result<(), StoreError> {
        visit_valid_units(&self.files, visit)
    }
}

pub(super) fn visit_valid_units(
    files: &MappedFileQueue,
    mut visit: impl FnMut(u64, BatchCqUnit) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    for file in files.files() {
        let map = file.map()?;
        let units = BatchCqUnits::new(&map);
        for (unit, n) in units.iter().take_while(BatchCqUnit::is_valid).zip(0u64..) {
            if visit(file.file_from_offset.saturating_add(n * UNIT), unit).is_break() {
                return map.check();
            }
        }
        map.check()?;
    }
    Ok(())
}
