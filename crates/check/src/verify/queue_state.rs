//! One consume queue of the log pass: its window of units, and what its records add up to.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use mqstore_core::StoreError;
use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit, CqUnits};
use mqstore_core::store::ConsumeQueue;
use mqstore_core::store::holes::data_ranges;

use super::ahead::Row;
use super::logreader::LogReader;
use super::{Context, finding};
use crate::finding::Location;

const UNIT: u64 = CQ_UNIT_LENGTH as u64;
/// Runs of queue offsets kept for a queue. A healthy one has one run, a rolled back one two.
const MOST_RUNS: usize = 1024;

/// So many records, from here to there.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl Tally {
    pub(super) fn add(&mut self, position: u64) {
        if self.count == 0 {
            self.first = position;
        }
        self.count += 1;
        self.last = self.last.max(position);
    }

    pub(super) fn merge(&mut self, other: Self) {
        if other.count == 0 {
            return;
        }
        self.first = if self.count == 0 { other.first } else { self.first.min(other.first) };
        self.count += other.count;
        self.last = self.last.max(other.last);
    }
}

/// A record whose unit lies beside its queue offset, until the next record of the queue tells which of the two is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) shift: i64,
    pub(super) position: u64,
    pub(super) queue_offset: i64,
    pub(super) index: u64,
    pub(super) step: i64,
}

/// A queue whose units are not in queue files of its own: a batch queue, or one in RocksDB.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Special {
    /// Behind the message of its last unit, or that message: a physical offset. 0 without a unit.
    pub(super) end: u64,
    /// Queue offsets of its first message and behind its last.
    pub(super) range: (u64, u64),
    /// Records before its end.
    pub(super) within: u64,
    /// Where the first of them stands.
    pub(super) first: u64,
}

impl Special {
    pub(super) fn new(end: u64, range: (u64, u64)) -> Self {
        Self { end, range, within: 0, first: 0 }
    }
}

/// One queue: a folder, or only records that name it.
#[derive(Debug)]
pub(super) struct QueueState {
    pub(super) topic: String,
    pub(super) queue_id: i32,
    /// The files; `None` if there is no folder.
    pub(super) files: Option<ConsumeQueue>,
    /// Its units lie elsewhere; beside files only if a broker writes both.
    pub(super) special: Option<Special>,
    /// Number of the first unit that a file has room for.
    pub(super) first: u64,
    /// Number behind the last unit that is not zero.
    pub(super) used_end: u64,
    /// Units that a record was found for.
    pub(super) matched: u64,
    /// Store time of the newest message with a unit.
    pub(super) newest_time: i64,
    /// Whether its records began again at 0.
    pub(super) restarted: bool,
    pub(super) window: Vec<u8>,
    pub(super) window_start: u64,
    pub(super) shift: i64,
    pub(super) pending: Option<Pending>,
    pub(super) previous: Option<(i64, u64)>,
    pub(super) runs: Vec<(i64, i64)>,
    pub(super) repeated: Tally,
    pub(super) stepped_back: bool,
    pub(super) restart_at: u64,
    pub(super) last_position: u64,
    pub(super) records: Tally,
    pub(super) missing: Tally,
    pub(super) missing_before_restart: Tally,
    pub(super) behind: Tally,
    pub(super) gap: Option<(u64, i64, i64)>,
    /// A unit could not be read, as the pass over the units tells.
    pub(super) is_unreadable: bool,
}

/// Path of the file that holds a unit, relative to the store root.
pub(super) fn unit_path(state: &QueueState, index: u64) -> Option<String> {
    let file = state.files.as_ref()?.queue().find(index.checked_mul(UNIT)?)?;
    let name = file.path.file_name()?.to_string_lossy();
    Some(format!("consumequeue/{}/{}/{name}", state.topic, state.queue_id))
}

impl QueueState {
    pub(super) fn new(topic: String, queue_id: i32) -> Self {
        Self {
            topic,
            queue_id,
            files: None,
            special: None,
            first: 0,
            used_end: 0,
            matched: 0,
            newest_time: 0,
            restarted: false,
            window: Vec::new(),
            window_start: 0,
            shift: 0,
            pending: None,
            previous: None,
            runs: Vec::new(),
            repeated: Tally::default(),
            stepped_back: false,
            restart_at: 0,
            last_position: 0,
            records: Tally::default(),
            missing: Tally::default(),
            missing_before_restart: Tally::default(),
            behind: Tally::default(),
            gap: None,
            is_unreadable: false,
        }
    }

    /// Whether there is a queue, in files or elsewhere.
    pub(super) fn is_there(&self) -> bool {
        self.files.is_some() || self.special.is_some_and(|special| special.end > 0)
    }

    /// Physical offset of the last unit in its files.
    pub(super) fn last_physical_offset(&self) -> Option<u64> {
        self.files.as_ref()?;
        let unit = self.unit_apart(self.used_end.checked_sub(1)?)?;
        (unit.is_valid() && !unit.is_pre_blank()).then_some(unit.physical_offset.cast_unsigned())
    }

    /// Counts a record of a queue whose units lie elsewhere.
    pub(super) fn special_record(&mut self, cx: &Context<'_>, position: u64) {
        let Some(special) = &mut self.special else { return };
        if position < special.end {
            if special.within == 0 {
                special.first = position;
            }
            special.within += 1;
        } else if self.files.is_none() {
            let tally = if may_wait(cx, position) { &mut self.behind } else { &mut self.missing };
            tally.add(position);
        }
    }

    /// The place of a unit.
    pub(super) fn unit_place(&self, path: Option<String>, index: u64) -> Location {
        let offset = path.as_ref().and_then(|path| path.rsplit('/').next()?.parse::<u64>().ok());
        let at = Location { path, ..Location::default() }.in_queue(&self.topic, self.queue_id);
        let at = at.at_unit(i64::try_from(index).unwrap_or(i64::MAX)).spanning(UNIT);
        match offset {
            Some(base) => at.at(index.saturating_mul(UNIT).saturating_sub(base)),
            None => at,
        }
    }

    /// The place of a unit with the path of its file.
    pub(super) fn place(&self, index: u64) -> Location {
        self.unit_place(unit_path(self, index), index)
    }

    /// A unit, through the window.
    pub(super) fn unit(&mut self, index: u64, units: u64) -> Option<CqUnit> {
        let in_window = |start: u64| usize::try_from(index.checked_sub(start)?.checked_mul(UNIT)?).ok();
        let cached = in_window(self.window_start).and_then(|at| CqUnit::read(self.window.get(at..)?));
        // A unit that was free when it was read may have been written since.
        if cached.is_some_and(|unit| unit.size != 0) {
            return cached;
        }
        let file = self.files.as_ref()?.queue().find(index.checked_mul(UNIT)?)?;
        let at = index * UNIT - file.file_from_offset;
        let most = (file.length - at).min(units * UNIT);
        let mut window = std::mem::take(&mut self.window);
        window.resize(usize::try_from(most).ok()?, 0);
        let read = File::open(&file.path).and_then(|file| file.read_at(&mut window, at));
        self.is_unreadable |= read.is_err();
        window.truncate(read.unwrap_or(0));
        (self.window, self.window_start) = (window, index);
        CqUnit::read(&self.window)
    }

    /// A unit; leaves the window where it is.
    pub(super) fn unit_apart(&self, index: u64) -> Option<CqUnit> {
        let in_window = index.checked_sub(self.window_start).and_then(|n| usize::try_from(n.checked_mul(UNIT)?).ok());
        if let Some(unit) = in_window.and_then(|at| CqUnit::read(self.window.get(at..)?)).filter(|unit| unit.size != 0)
        {
            return Some(unit);
        }
        let file = self.files.as_ref()?.queue().find(index.checked_mul(UNIT)?)?;
        let mut bytes = [0; CQ_UNIT_LENGTH];
        let open = File::open(&file.path).ok()?;
        open.read_exact_at(&mut bytes, index * UNIT - file.file_from_offset).ok()?;
        CqUnit::read(&bytes)
    }

    /// Takes down a record whose unit lies where the queue's shift says and fits it; says whether it does.
    #[inline]
    pub(super) fn claim(&mut self, row: &Row, units: u64, breaks: u64) -> bool {
        if self.pending.is_some() || self.special.is_some() {
            return false;
        }
        let index = row.queue_offset.checked_add(self.shift).and_then(|index| u64::try_from(index).ok());
        let Some(index) = index.filter(|index| *index < self.used_end) else { return false };
        let fits = self.unit(index, units).is_some_and(|unit| {
            unit.physical_offset.cast_unsigned() == row.position
                && unit.size.cast_unsigned() == row.size
                && unit.tags_code == i64::from(row.tags_hash)
        });
        if !fits {
            return false;
        }
        self.records.add(row.position);
        self.matched += 1;
        self.newest_time = self.newest_time.max(row.store_timestamp);
        self.note(row.position, row.queue_offset, 1, breaks);
        true
    }

    /// The unit that refers to `position`: where the queue offset says, where the queue's shift says, or anywhere.
    pub(super) fn find(&mut self, position: u64, queue_offset: i64, units: u64) -> Option<(u64, CqUnit)> {
        self.files.as_ref()?;
        let shifts = [Some(self.shift), Some(0), self.pending.map(|p| p.shift)];
        let refers =
            |unit: &CqUnit| unit.physical_offset.cast_unsigned() == position && unit.is_valid() && !unit.is_pre_blank();
        for shift in shifts.into_iter().flatten() {
            let index = queue_offset.checked_add(shift).and_then(|i| u64::try_from(i).ok());
            let unit = index.and_then(|index| self.unit(index, units).map(|unit| (index, unit)));
            if let Some((index, unit)) = unit.filter(|(index, unit)| *index < self.used_end && refers(unit)) {
                return Some((index, unit));
            }
        }
        // Units rise with the log.
        let (mut low, mut high) = (self.first, self.used_end);
        while low < high {
            let middle = low + (high - low) / 2;
            let unit = self.unit_apart(middle);
            if unit.is_some_and(|unit| !unit.is_pre_blank() && unit.physical_offset.cast_unsigned() >= position) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.unit_apart(low).filter(|unit| low < self.used_end && refers(unit)).map(|unit| (low, unit))
    }

    /// Compares the place of a found unit with the record's queue offset.
    pub(super) fn align(
        &mut self,
        cx: &mut Context<'_>,
        path: &str,
        record: &MessageRecord<'_>,
        index: u64,
        step: i64,
        breaks: u64,
    ) {
        let (position, queue_offset) = (record.position.get(), record.queue_offset);
        let shift = i64::try_from(index).unwrap_or(i64::MAX).saturating_sub(queue_offset);
        let here = Pending { shift, position, queue_offset, index, step };
        match self.pending.take() {
            None if shift == self.shift => self.note(position, queue_offset, step, breaks),
            None => self.pending = Some(here),
            Some(before) if shift == self.shift => {
                // The record before was alone with its shift: its queue offset is wrong, not the queue.
                let right = i64::try_from(before.index).unwrap_or(i64::MAX).saturating_sub(self.shift);
                let message = format!(
                    "record at {} carries queue offset {}, its unit is number {}",
                    before.position, before.queue_offset, before.index
                );
                let at = Location::path(path).at(before.position).in_queue(&self.topic, self.queue_id).at_unit(right);
                cx.push(finding("commitlog.queue-offset", at, message).values(right, before.queue_offset));
                self.note(before.position, right, before.step, breaks);
                self.note(position, queue_offset, step, breaks);
            }
            Some(before) => {
                self.note(before.position, before.queue_offset, before.step, breaks);
                self.misaligned(cx, before);
                self.shift = before.shift;
                if shift == self.shift {
                    self.note(position, queue_offset, step, breaks);
                } else {
                    self.pending = Some(here);
                }
            }
        }
    }

    pub(super) fn misaligned(&self, cx: &mut Context<'_>, from: Pending) {
        let message = format!(
            "logic queue order maybe wrong: from unit {} on messages carry queue offsets {} {} their places",
            from.index,
            from.shift.unsigned_abs(),
            if from.shift < 0 { "above" } else { "below" },
        );
        let found = finding("queue.misaligned", self.place(from.index), message);
        cx.push(found.values(from.index, from.queue_offset));
    }

    /// Takes down the queue offset of a record: does it follow the one before, was it there already?
    pub(super) fn note(&mut self, position: u64, queue_offset: i64, step: i64, breaks: u64) {
        self.last_position = position;
        if queue_offset < 0 {
            return;
        }
        let last = queue_offset.saturating_add(step - 1);
        if let Some((previous, at_break)) = self.previous {
            if queue_offset <= previous {
                if queue_offset == 0 {
                    self.restarted = true;
                    self.restart_at = position;
                    let missing = std::mem::take(&mut self.missing);
                    self.missing_before_restart.merge(missing);
                } else {
                    self.stepped_back = true;
                }
            } else if queue_offset > previous.saturating_add(1)
                && at_break == breaks
                && self.gap.is_none()
                && !self.has_unit_before(position, previous.saturating_add(1))
            {
                self.gap = Some((position, previous, queue_offset));
            }
        }
        self.previous = Some((last, breaks));
        if let Some((_, to)) = self.runs.last_mut().filter(|(_, to)| to.saturating_add(1) == queue_offset) {
            *to = last;
            return;
        }
        let room = self.runs.len() < MOST_RUNS;
        let n = self.runs.partition_point(|(from, _)| *from <= queue_offset);
        let before = n.checked_sub(1).and_then(|n| self.runs.get_mut(n));
        match before {
            Some((_, to)) if *to >= queue_offset => {
                self.repeated.add(position);
                *to = (*to).max(last);
            }
            Some((_, to)) if to.saturating_add(1) == queue_offset => *to = last,
            _ if room => self.runs.insert(n, (queue_offset, last)),
            _ => {}
        }
    }

    /// Whether the place of a queue offset has a unit for a message before `position`: then that message is or was there,
    /// and what is wrong with it is told with its unit.
    pub(super) fn has_unit_before(&self, position: u64, queue_offset: i64) -> bool {
        let index = queue_offset.checked_add(self.shift).and_then(|i| u64::try_from(i).ok());
        let unit = index.and_then(|index| self.unit_apart(index));
        unit.is_some_and(|unit| unit.is_valid() && unit.physical_offset.cast_unsigned() < position)
    }

    /// Takes down a record without unit, unless the unit that should be its is damaged: that is told with the unit.
    pub(super) fn without_unit(
        &mut self,
        cx: &Context<'_>,
        reader: &mut LogReader<'_>,
        record: &MessageRecord<'_>,
        units: u64,
    ) {
        let position = record.position.get();
        let may_wait = may_wait(cx, position);
        if self.files.is_none() {
            // Queues in a database that could not be read are unknown.
            if !cx.facts.rocksdb_queues {
                let tally = if may_wait { &mut self.behind } else { &mut self.missing };
                tally.add(position);
            }
            return;
        }
        if self.is_unreadable {
            return;
        }
        let index = record.queue_offset.checked_add(self.shift).and_then(|i| u64::try_from(i).ok());
        let behind_end = index.is_some_and(|index| index >= self.used_end);
        if behind_end && may_wait {
            self.behind.add(position);
            return;
        }
        let unit = index.filter(|_| !behind_end).and_then(|index| self.unit(index, units));
        if let Some(unit) = unit.filter(|unit| !unit.is_pre_blank()) {
            // A hole or an invalid unit; or one that refers to no record or to a record of another queue.
            let owner = unit.is_valid().then(|| reader.record(unit.physical_offset.cast_unsigned())).flatten();
            if owner.is_none_or(|owner| owner.topic != record.topic || owner.queue_id != record.queue_id) {
                return;
            }
        }
        self.missing.add(position);
    }
}

/// Whether a record without unit may be dispatched yet.
fn may_wait(cx: &Context<'_>, position: u64) -> bool {
    (cx.facts.in_motion() && position >= cx.facts.abnormal_from) || cx.facts.controller
}

/// The number behind the last unit of a queue that is not zero, and the files that could not be read on the way. Holes are
/// passed over: most of a queue file is one.
pub(super) fn used_end(queue: &ConsumeQueue) -> (Option<u64>, Vec<StoreError>) {
    let mut errors = Vec::new();
    for file in queue.queue().files().iter().rev() {
        let (map, data) = match file.map().and_then(|map| Ok((data_ranges(&file.path, 0, map.len() as u64)?, map))) {
            Ok((data, map)) => (map, data),
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        let units = CqUnits::new(&map);
        // A unit may lie across the edge of a hole.
        let mut numbers = data.iter().rev().flat_map(|data| (data.start / UNIT..data.end.div_ceil(UNIT)).rev());
        if let Some(n) = numbers.find(|n| units.get(*n).is_some_and(|unit| !unit.is_zero())) {
            return (Some(file.file_from_offset / UNIT + n + 1), errors);
        }
    }
    (None, errors)
}
