//! One consume queue: the files below `consumequeue/<topic>/<queue id>`.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use super::holes::data_ranges;
use super::mapped_file_queue::{MappedFileQueue, QueueFile};
use crate::error::StoreError;
use crate::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit, CqUnits};
use crate::offset::{PhysicalOffset, QueueOffset};

/// Files whose units a broker looks at to find the end of a queue (`ConsumeQueue.recover`).
const RECOVERED_FILES: usize = 3;
const UNIT: u64 = CQ_UNIT_LENGTH as u64;

/// A consume queue in files of 20-byte units.
#[derive(Debug, Clone)]
pub struct ConsumeQueue {
    topic: String,
    queue_id: u32,
    dir: PathBuf,
    files: MappedFileQueue,
}

/// From where to where a queue reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueRange {
    /// The first unit whose message is in the log, as 5.0.0 and later compute it; equals the maximum in an empty queue.
    pub min_offset: QueueOffset,
    /// The offset that the next message would get.
    pub max_offset: QueueOffset,
    /// Physical offset of the message of the first unit at or behind the minimum.
    pub min_physical_offset: Option<PhysicalOffset>,
    /// Physical offset behind the message of the last unit.
    pub max_physical_offset: Option<PhysicalOffset>,
    /// Pre-blank units at the start of the queue.
    pub pre_blank: u64,
    /// Units behind the end of the queue that are not zero: remains of a cut, or what a hole hides.
    pub units_behind_end: u64,
}

impl ConsumeQueue {
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

    fn unit_of(file: &QueueFile, n: u64) -> QueueOffset {
        QueueOffset((file.file_from_offset / UNIT).saturating_add(n))
    }

    /// The range of the queue in a store whose log begins at `log_min`.
    ///
    /// The end is what `ConsumeQueue.recover` finds: from the third last file on, up to the first unit that does not
    /// count. Zero for a queue without files.
    pub fn range(&self, log_min: PhysicalOffset) -> Result<QueueRange, StoreError> {
        let files = self.files.files();
        let Some(first) = files.first() else { return Ok(QueueRange::default()) };
        let mut range = QueueRange { max_offset: Self::unit_of(first, 0), ..QueueRange::default() };
        let mut last = None;
        let mut ended = false;
        for file in files.iter().skip(files.len().saturating_sub(RECOVERED_FILES)) {
            let map = file.map()?;
            let units = CqUnits::new(&map);
            let data = data_ranges(&file.path, 0, map.len() as u64)?;
            if data.iter().map(|range| range.end - range.start).sum::<u64>() * 10 < map.len() as u64 {
                // Each fault would otherwise bring in a read-ahead's length of hole.
                map.advise_random();
            }
            if ended {
                range.units_behind_end += used_units_from(&data, &map, 0);
                map.check()?;
                continue;
            }
            let valid = units.valid_prefix();
            range.max_offset = Self::unit_of(file, valid);
            last = valid.checked_sub(1).and_then(|n| units.get(n)).or(last);
            ended = valid < units.capacity();
            if ended {
                range.units_behind_end += used_units_from(&data, &map, valid);
            }
            map.check()?;
        }
        range.max_physical_offset = last.map(|unit| PhysicalOffset(unit.physical_end()));
        self.find_min(&mut range, first, last, log_min)?;
        Ok(range)
    }

    fn find_min(
        &self,
        range: &mut QueueRange,
        first: &QueueFile,
        last: Option<CqUnit>,
        log_min: PhysicalOffset,
    ) -> Result<(), StoreError> {
        let in_log = |unit: &CqUnit| unit.physical_offset.cast_unsigned() >= log_min.get();
        range.min_offset = range.max_offset;
        if !last.as_ref().is_some_and(in_log) {
            return Ok(());
        }
        for (number, file) in self.files.files().iter().enumerate() {
            let map = file.map()?;
            let units = CqUnits::new(&map);
            if number == 0 {
                range.pre_blank = units.iter().take_while(CqUnit::is_pre_blank).count() as u64;
            }
            // Units rise with the log, so the first one inside it can be searched for; holes and pre-blanks are low. Mostly it
            // is the very first, and a search from the middle would fault in a page of hole at every step.
            let before = |n| units.get(n).is_some_and(|u| u.is_valid() && !in_log(&u));
            let is_first = units.get(0).is_some_and(|u| u.is_valid() && in_log(&u));
            let n = if is_first { 0 } else { partition_point(units.capacity(), before) };
            if let Some(unit) = units.get(n).filter(CqUnit::is_valid) {
                range.min_offset = Self::unit_of(file, n);
                range.min_physical_offset = Some(PhysicalOffset(unit.physical_offset.cast_unsigned()));
                break;
            }
        }
        // With a log that begins at 0 a broker takes the first pre-blank unit for the minimum; its message is none.
        if range.min_offset < Self::unit_of(first, range.pre_blank) {
            let at = Self::unit_of(first, range.pre_blank);
            range.min_physical_offset = self.unit(at)?.map(|u| PhysicalOffset(u.physical_offset.cast_unsigned()));
        }
        Ok(())
    }

    /// The unit at `offset`, used or not. `None` where no file holds it.
    pub fn unit(&self, offset: QueueOffset) -> Result<Option<CqUnit>, StoreError> {
        let Some(at) = offset.get().checked_mul(UNIT) else { return Ok(None) };
        let Some(file) = self.files.find(at) else { return Ok(None) };
        let map = file.map()?;
        let unit = CqUnits::new(&map).get((at - file.file_from_offset) / UNIT);
        map.check()?;
        Ok(unit)
    }

    /// Hands the units of `from .. to` to `visit`, in order; units in a gap between files are left out.
    pub fn visit_units(
        &self,
        from: QueueOffset,
        to: QueueOffset,
        mut visit: impl FnMut(QueueOffset, CqUnit) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        for file in self.files.files() {
            let (start, end) = (Self::unit_of(file, 0), Self::unit_of(file, file.length / UNIT));
            if end <= from || start >= to {
                continue;
            }
            let map = file.map()?;
            let skipped = from.since(start);
            let units = CqUnits::new(&map);
            for n in skipped..to.get().min(end.get()).saturating_sub(start.get()) {
                let Some(unit) = units.get(n) else { break };
                if visit(start + n, unit).is_break() {
                    return map.check();
                }
            }
            map.check()?;
        }
        Ok(())
    }
}

/// Units from number `first` on that are not zero. Only `data` is looked at: most of a queue file is hole.
fn used_units_from(data: &[Range<u64>], map: &[u8], first: u64) -> u64 {
    let mut used = 0;
    let mut next = first;
    for data in data.iter().filter(|data| data.end > first * UNIT) {
        // A unit may lie across the edge of a hole.
        let (from, to) = ((data.start / UNIT).max(next), data.end.div_ceil(UNIT));
        let units = CqUnits::new(map);
        used += (from..to).filter_map(|n| units.get(n)).filter(|u| !u.is_zero()).count() as u64;
        next = to.max(next);
    }
    used
}

/// The first of `0 .. len` for which `before` is false, if it is true for all smaller ones.
///
/// As `slice::partition_point`, for units that are read only when they are asked for.
pub fn partition_point(len: u64, before: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
