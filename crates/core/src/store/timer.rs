//! Timed messages: `timerwheel`, `timerlog/` and `config/timercheck`, which belong together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Store;
use super::commitlog::LogEndKind;
use super::config::ConfigDir;
use super::log::StoreLog;
use super::mapped_file::MappedFile;
use super::mapped_file_queue::MappedFileQueue;
use crate::bytes::is_zero;
use crate::error::{FormatError, FormatErrorKind, StoreError};
use crate::format::commitlog::names;
use crate::format::config::timercheck::TimerCheckpoint;
use crate::format::timer::{TimerEntries, TimerEntry, TimerSlot, TimerUnit, TimerWheel};
use crate::offset::PhysicalOffset;

const MS_PER_HOUR: i64 = 3_600_000;

/// The timer's files.
#[derive(Debug, Clone)]
pub struct TimerStore {
    wheel: Option<PathBuf>,
    wheel_length: u64,
    log: MappedFileQueue,
    checkpoint: Option<TimerCheckpoint>,
}

/// How a scan of the timer log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimerLogEnd {
    /// The first position that holds no entry.
    pub position: u64,
    /// What lies there.
    pub kind: LogEndKind,
    /// Why the bytes there are no unit; `None` where nothing was written.
    pub error: Option<FormatError>,
    /// Units seen.
    pub units: u64,
    /// Blanks seen.
    pub blanks: u64,
}

/// The units of one slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TimerChain {
    /// The units with their positions in the log, the newest first.
    pub units: Vec<(u64, TimerUnit)>,
    /// The chain goes on before the first file of the log, which was dropped with messages that the commit log lost.
    pub expired: bool,
    /// Why the chain could not be followed to its end.
    pub error: Option<FormatError>,
}

impl Store {
    /// The timer's files; all of them may be missing.
    pub fn timer(&self) -> Result<TimerStore, StoreError> {
        let path = self.root().join("timerwheel");
        let (wheel, wheel_length) = match std::fs::metadata(&path) {
            Ok(metadata) => (Some(path), metadata.len()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => (None, 0),
            Err(e) => return Err(StoreError::io("read", path, e)),
        };
        let log = MappedFileQueue::list(&[self.root().join("timerlog")])?;
        Ok(TimerStore { wheel, wheel_length, log, checkpoint: ConfigDir::new(self.root()).timercheck()? })
    }
}

impl TimerStore {
    /// Where the wheel lies; `None` if there is none, as before 5.0.0.
    pub fn wheel_path(&self) -> Option<&Path> {
        self.wheel.as_deref()
    }

    /// Length of the wheel in bytes.
    pub fn wheel_length(&self) -> u64 {
        self.wheel_length
    }

    /// The files of the log.
    pub fn log(&self) -> &MappedFileQueue {
        &self.log
    }

    /// `config/timercheck`; `None` if there is none.
    pub fn checkpoint(&self) -> Option<&TimerCheckpoint> {
        self.checkpoint.as_ref()
    }

    /// Whether no timed message was ever enqueued: there is no log, and the wheel is missing or all zero.
    pub fn is_unused(&self) -> Result<bool, StoreError> {
        if !self.log.files().is_empty() {
            return Ok(false);
        }
        let Some(wheel) = &self.wheel else { return Ok(true) };
        let map = MappedFile::open(wheel)?;
        let unused = is_zero(&map);
        map.check()?;
        Ok(unused)
    }

    /// Hands every slot that is not all zero to `visit`, with its number; many are what an earlier turn left.
    pub fn visit_slots(&self, mut visit: impl FnMut(u64, TimerSlot) -> ControlFlow<()>) -> Result<(), StoreError> {
        let Some(wheel) = &self.wheel else { return Ok(()) };
        let map = MappedFile::open(wheel)?;
        map.advise_sequential();
        for (n, slot) in TimerWheel::new(&map).used() {
            if visit(n, slot).is_break() {
                break;
            }
        }
        map.check()
    }

    /// Hands every unit and blank of the log to `visit`, with its position, and says where and how the log ends.
    pub fn scan_log(
        &self,
        mut visit: impl FnMut(u64, &TimerEntry) -> ControlFlow<()>,
    ) -> Result<TimerLogEnd, StoreError> {
        let position = self.log.min_offset().unwrap_or(0);
        let mut end = TimerLogEnd { position, kind: LogEndKind::FileEnd, error: None, units: 0, blanks: 0 };
        for file in self.log.files() {
            let map = file.map()?;
            map.advise_sequential();
            let mut entries = TimerEntries::new(&map, file.file_from_offset);
            end.position = file.file_from_offset;
            let mut closed = false;
            while let Some(entry) = entries.next() {
                match entry {
                    Ok((position, entry)) => {
                        closed = matches!(entry, TimerEntry::Blank { .. });
                        if closed {
                            end.blanks += 1;
                        } else {
                            end.units += 1;
                            end.position = entries.position();
                        }
                        if visit(position, &entry).is_break() {
                            map.check()?;
                            return Ok(end);
                        }
                    }
                    Err(error) => end.error = Some(error),
                }
            }
            if !closed && end.position < file.end() {
                let relative = usize::try_from(end.position - file.file_from_offset).unwrap_or(usize::MAX);
                let rest = map.get(relative..).unwrap_or_default();
                end.kind = match end.error {
                    _ if is_zero(rest) => LogEndKind::Zeros,
                    Some(FormatError { kind: FormatErrorKind::Truncated { .. }, .. }) => LogEndKind::Torn,
                    _ => LogEndKind::Garbage,
                };
                map.check()?;
                break;
            }
            map.check()?;
        }
        Ok(end)
    }

    /// Follows chains through the log.
    pub fn reader(&self) -> TimerLogReader<'_> {
        TimerLogReader { log: &self.log, mapped: None }
    }
}

/// Reads units of the timer log by position, keeping the last file mapped.
#[derive(Debug)]
pub struct TimerLogReader<'s> {
    log: &'s MappedFileQueue,
    mapped: Option<(u64, MappedFile)>,
}

impl TimerLogReader<'_> {
    /// The unit at `position`. `None` where no file holds the position or nothing was written.
    pub fn unit(&mut self, position: u64) -> Result<Result<Option<TimerUnit>, FormatError>, StoreError> {
        let holds = |(from, map): &(u64, MappedFile)| position >= *from && position - from < map.len() as u64;
        if !self.mapped.as_ref().is_some_and(holds) {
            self.check()?;
            self.mapped = None;
            let Some(file) = self.log.find(position) else { return Ok(Ok(None)) };
            self.mapped = Some((file.file_from_offset, file.map()?));
        }
        let Some((from, map)) = &self.mapped else { return Ok(Ok(None)) };
        let relative = usize::try_from(position.saturating_sub(*from)).unwrap_or(usize::MAX);
        Ok(TimerEntry::read(map.get(relative..).unwrap_or_default(), position).map(|entry| match entry {
            Some(TimerEntry::Unit(unit)) => Some(unit),
            Some(TimerEntry::Blank { .. }) | None => None,
        }))
    }

    /// Follows the chain of a slot from its newest unit back, as the broker does when the slot is due.
    ///
    /// Each unit must lie before the one that names it, so a chain always ends. The first position of the slot is not
    /// needed for it and not looked at.
    pub fn chain(&mut self, slot: &TimerSlot) -> Result<TimerChain, StoreError> {
        let mut chain = TimerChain::default();
        let log_min = self.log.min_offset().unwrap_or(0);
        let mut next = slot.last_position;
        while let Ok(position) = u64::try_from(next) {
            if position < log_min && !self.log.files().is_empty() {
                chain.expired = true;
                break;
            }
            let broken = |found, expected| {
                FormatError::new(position, FormatErrorKind::BadValue { field: "timer position", found, expected })
            };
            match self.unit(position)? {
                Ok(Some(unit)) => {
                    chain.units.push((position, unit));
                    if unit.previous_position >= next {
                        chain.error = Some(broken(unit.previous_position, "one before the unit that names it"));
                        break;
                    }
                    next = unit.previous_position;
                }
                Ok(None) => {
                    chain.error = Some(broken(next, "a position that holds a unit"));
                    break;
                }
                Err(error) => {
                    chain.error = Some(error);
                    break;
                }
            }
        }
        self.check()?;
        Ok(chain)
    }

    fn check(&self) -> Result<(), StoreError> {
        self.mapped.as_ref().map_or(Ok(()), |(_, map)| map.check())
    }
}

/// A timed message, or the cancelling of one, whose slot has not been read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingTimer {
    /// Position of its unit in the timer log.
    pub position: u64,
    /// The unit.
    pub unit: TimerUnit,
    /// Time of its slot, milliseconds since the epoch.
    pub slot_time: i64,
    /// When the message is really due: its `TIMER_OUT_MS`, milliseconds since the epoch. `None` if the message cannot be
    /// read or lacks it.
    pub due_time: Option<i64>,
    /// The topic that the message is for.
    pub topic: Option<String>,
    /// The message's unique key.
    pub unique_key: Option<String>,
    /// How a delete unit of the same slot names the message, if one does.
    pub cancelled: Option<CancelKey>,
}

/// The key by which a delete unit names the message that it cancels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelKey {
    /// The unique key alone: the message will not be delivered.
    Unique,
    /// `topic+unique key`: works only with `appendTopicForTimerDeleteKey=true`, which is not the default, and not at all
    /// in releases without that key; the message is delivered then.
    TopicAndUnique,
}

/// What waits in the wheel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TimerPending {
    /// Sum of the counters of the pending slots: what the broker reports as `timerCongestNum`.
    pub congestion: i64,
    /// Pending slots.
    pub slots: u64,
    /// Messages that their slot will deliver.
    pub normal: u64,
    /// Messages that are due later and will be put into the wheel again.
    pub rolled: u64,
    /// Of both, those that will not be delivered because they were cancelled by [`CancelKey::Unique`].
    pub cancelled: u64,
    /// Of both, those that somebody tried to cancel by [`CancelKey::TopicAndUnique`]; they count as waiting.
    pub cancelled_with_topic: u64,
    /// Delete units.
    pub deletes: u64,
    /// Messages, not cancelled, that were due before the time asked about.
    pub overdue: u64,
    /// Units whose message the log does not hold any more or cannot be read.
    pub without_message: u64,
    /// Slots whose chain breaks off.
    pub broken_slots: u64,
    /// The earliest time at which a message, not cancelled, is due, milliseconds since the epoch.
    pub first_due: Option<i64>,
    /// Messages, not cancelled, by the hour they are really due in: start of the hour in milliseconds since the epoch.
    pub due_by_hour: BTreeMap<i64, u64>,
}

impl TimerStore {
    /// What waits in the wheel at `now` (milliseconds since the epoch), each unit handed to `visit`: slot by slot as they
    /// lie in the wheel, each from its newest unit back.
    ///
    /// Pending is a slot whose time is not before `lastReadTimeMs` of `timercheck`; without `timercheck`, every slot.
    pub fn pending(
        &self,
        log: &StoreLog,
        now: i64,
        mut visit: impl FnMut(&PendingTimer),
    ) -> Result<TimerPending, StoreError> {
        let mut pending = TimerPending::default();
        let read_up_to = self.checkpoint.map_or(i64::MIN, |checkpoint| checkpoint.last_read_time_ms);
        let mut units = self.reader();
        let mut messages = log.reader();
        let mut failed = None;
        self.visit_slots(|_, slot| {
            if slot.time_ms() < read_up_to {
                return ControlFlow::Continue(());
            }
            pending.slots += 1;
            pending.congestion += i64::from(slot.num);
            let slot_units = units.chain(&slot).and_then(|chain| {
                pending.broken_slots += u64::from(chain.error.is_some());
                chain.units.iter().map(|(at, unit)| read_pending(*at, *unit, &slot, &mut messages)).collect()
            });
            match slot_units {
                Ok(slot_units) => {
                    pending.add_slot(slot_units, now, &mut visit);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        messages.check()?;
        failed.map_or(Ok(pending), Err)
    }
}

/// A unit with what its message says, and the unique key that it cancels if it is a delete unit.
type ReadUnit = (PendingTimer, Option<String>);

fn read_pending(
    position: u64,
    unit: TimerUnit,
    slot: &TimerSlot,
    messages: &mut super::log::LogReader<'_>,
) -> Result<ReadUnit, StoreError> {
    let mut pending = PendingTimer {
        position,
        unit,
        slot_time: slot.time_ms(),
        due_time: None,
        topic: None,
        unique_key: None,
        cancelled: None,
    };
    let mut cancels = None;
    let message = messages.record_at(PhysicalOffset(unit.physical_offset.cast_unsigned()))?;
    if let Some(record) = message.record() {
        let text = |name| record.properties.get_str(name).map(std::borrow::Cow::into_owned);
        pending.due_time = text(names::TIMER_OUT_MS).and_then(|text| text.parse().ok());
        pending.topic = text(names::REAL_TOPIC);
        pending.unique_key = text(names::UNIQ_KEY);
        cancels = text(names::TIMER_DEL_UNIQKEY);
    }
    Ok((pending, cancels))
}

impl TimerPending {
    fn add_slot(&mut self, units: Vec<ReadUnit>, now: i64, visit: &mut impl FnMut(&PendingTimer)) {
        let cancels = |(unit, key): &ReadUnit| key.clone().filter(|_| unit.unit.magic.is_delete());
        let cancelled: BTreeSet<String> = units.iter().filter_map(cancels).collect();
        for (mut unit, _) in units {
            let delete = unit.unit.magic.is_delete();
            unit.cancelled = unit.unique_key.as_ref().filter(|_| !delete).and_then(|key| {
                let with_topic = || format!("{}+{key}", unit.topic.as_deref().unwrap_or_default());
                if cancelled.contains(key) {
                    return Some(CancelKey::Unique);
                }
                cancelled.contains(&with_topic()).then_some(CancelKey::TopicAndUnique)
            });
            self.without_message += u64::from(unit.due_time.is_none());
            if delete {
                self.deletes += 1;
            } else if unit.unit.magic.is_roll() {
                self.rolled += 1;
            } else {
                self.normal += 1;
            }
            self.cancelled += u64::from(unit.cancelled == Some(CancelKey::Unique));
            self.cancelled_with_topic += u64::from(unit.cancelled == Some(CancelKey::TopicAndUnique));
            if !delete && unit.cancelled != Some(CancelKey::Unique) {
                let due = unit.due_time.unwrap_or(unit.slot_time);
                self.overdue += u64::from(due < now);
                self.first_due = Some(self.first_due.map_or(due, |first| first.min(due)));
                *self.due_by_hour.entry(due.div_euclid(MS_PER_HOUR).saturating_mul(MS_PER_HOUR)).or_default() += 1;
            }
            visit(&unit);
        }
    }
}
