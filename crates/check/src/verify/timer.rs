//! The timer: slots of the wheel against chains in the timer log, units against the commit log, messages against units,
//! and how far each of them got by `timercheck`.
//!
//! A slot is pending if its time is not before the last one that was read; older slots are what an earlier turn of the
//! wheel left and mean nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mqstore_core::bytes::is_zero;
use mqstore_core::format::commitlog::{MessageRecord, names};
use mqstore_core::format::config::other::MetricsTable;
use mqstore_core::format::consumequeue::CQ_UNIT_LENGTH;
use mqstore_core::format::java_hash;
use mqstore_core::format::system_topic::TIMER_TOPIC;
use mqstore_core::format::timer::{
    TIMER_SLOT_LENGTH, TIMER_UNIT_LENGTH, TIMER_WHEEL_LENGTH, TimerEntry, TimerSlot, TimerUnit, TimerWheel,
};
use mqstore_core::store::{EntryKind, LogEndKind, MappedFile, TimerStore};

use super::commitlog::LogFacts;
use super::facts::config_dir;
use super::logreader::LogReader;
use super::queue_state::QueueState;
use super::queues::Queues;
use super::record::number;
use super::{Context, at_most, finding, layout};
use crate::finding::{Finding, Location, Severity};

/// One second: the precision of every release's wheel by default, and of the mark how far it was read.
const SECOND_MS: i64 = 1000;

struct Pass<'a, 'b> {
    cx: &'a mut Context<'b>,
    timer: &'a TimerStore,
    wheel: Option<MappedFile>,
    /// Slots before this were read: milliseconds since the epoch.
    read_up_to: i64,
    /// Units in the log of each pending second.
    in_log: BTreeMap<i64, u64>,
    /// Queue offsets of messages that have a unit, as bits from the queue's first one on.
    has_unit: Vec<u64>,
    first_offset: u64,
    /// Units that wait, less those that cancel one, by the topic that the message is for.
    waiting: BTreeMap<String, i64>,
    /// Whether all messages of waiting units could be read.
    all_read: bool,
}

/// Looks at the timer's files.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, log: &LogFacts) {
    let timer = match cx.store.timer() {
        Ok(timer) => timer,
        // A `timercheck` that is too short is told with the config files.
        Err(error) => {
            if !matches!(error, mqstore_core::StoreError::Format { .. }) {
                cx.unreadable(&error);
            }
            return;
        }
    };
    let state = queues.get(TIMER_TOPIC, 0).filter(|state| state.files.is_some());
    let wheel = geometry(cx, &timer);
    let first_offset = state.map_or(0, |state| state.first);
    // Not more than the files hold: their names alone prove nothing.
    let room = state.and_then(|state| state.files.as_ref()).map_or(0, |queue| {
        let bytes: u64 = queue.queue().files().iter().map(|file| file.length).sum();
        bytes / CQ_UNIT_LENGTH as u64
    });
    let offsets = state.map_or(0, |state| state.used_end.saturating_sub(first_offset)).min(room);
    let bits = if cx.is_full() { usize::try_from(offsets.div_ceil(64)).unwrap_or(0) } else { 0 };
    let read_up_to = timer.checkpoint().map_or(i64::MIN, |checkpoint| checkpoint.last_read_time_ms);
    let mut pass = Pass {
        cx,
        timer: &timer,
        wheel,
        read_up_to,
        in_log: BTreeMap::new(),
        has_unit: vec![0; bits],
        first_offset,
        waiting: BTreeMap::new(),
        all_read: true,
    };
    if pass.is_of_other_precision() {
        let why = "its slots are not for seconds: another timerPrecisionMs than 1000 is not read";
        pass.cx.report.skip("timerwheel", why);
        return;
    }
    let mut reader = LogReader::new(pass.cx.log);
    if let Err(error) = pass.units(&mut reader, log) {
        pass.cx.unreadable(&error);
        return;
    }
    if let Err(error) = pass.slots() {
        pass.cx.unreadable(&error);
        return;
    }
    if pass.cx.is_full()
        && let Some(state) = state
    {
        pass.messages(state, &mut reader, log);
    }
    pass.checkpoint(state);
    pass.metrics();
}

/// Lengths and names; the wheel, if it can be read.
fn geometry(cx: &mut Context<'_>, timer: &TimerStore) -> Option<MappedFile> {
    let queue = timer.log();
    layout::foreign(cx, queue.foreign(), "timer.file");
    layout::files(cx, queue, queue.file_size(), ["timer.file"; 3]);
    cx.report.coverage.files.total += queue.files().len() as u64;
    cx.report.coverage.files.seen += queue.files().len() as u64;
    let snapshots = cx
        .store
        .entries()
        .iter()
        .filter(|entry| entry.kind == EntryKind::Timer && entry.path.extension().is_some() && !entry.is_dir);
    for snapshot in snapshots {
        let path = cx.relative(&snapshot.path);
        cx.report.skip(path, "snapshots of the timer wheel are not read");
    }
    let Some(path) = timer.wheel_path() else {
        if !queue.files().is_empty() {
            let found = finding("timer.file", Location::path("timerwheel"), "a timer log without timerwheel");
            cx.push(at_most(Severity::Warning, found));
        }
        return None;
    };
    cx.report.coverage.files.total += 1;
    let length = timer.wheel_length();
    if length != TIMER_WHEEL_LENGTH && length != 0 {
        let message = format!("timerwheel has {length} bytes, expected {TIMER_WHEEL_LENGTH}");
        let at = Location::path("timerwheel").spanning(length);
        cx.push(finding("timer.file", at, message).values(TIMER_WHEEL_LENGTH, length));
    }
    match MappedFile::open(path) {
        Ok(map) => {
            cx.report.coverage.files.seen += 1;
            // Where a second belongs follows from the number of slots.
            (length == TIMER_WHEEL_LENGTH).then_some(map)
        }
        Err(error) => {
            cx.unreadable(&error);
            None
        }
    }
}

/// The place of a unit in its file.
fn unit_place(timer: &TimerStore, position: u64) -> Location {
    let file = timer.log().find(position);
    let name = file.map_or(0, |file| file.file_from_offset);
    Location::path(format!("timerlog/{name:020}")).at(position - name).spanning(TIMER_UNIT_LENGTH as u64)
}

impl Pass<'_, '_> {
    /// The wheel is written every second, so it may be older than the log after a kill; a start sets it right.
    fn push_softened(&mut self, found: Finding) {
        let excused = self.cx.facts.in_motion();
        self.cx.push(if excused { at_most(Severity::Info, found) } else { found });
    }

    /// Whether the slots are for fractions of seconds: then their numbers are so many times that of the present second.
    fn is_of_other_precision(&self) -> bool {
        let first = self.wheel.as_deref().and_then(|wheel| TimerWheel::new(wheel).used().next());
        let Some((_, slot)) = first.filter(|_| self.read_up_to > 0) else { return false };
        let now = self.read_up_to.div_euclid(SECOND_MS);
        [2, 5, 10, 20, 50, 100, 200, 500, 1000].into_iter().any(|finer: i64| {
            let expected = now.saturating_mul(finer);
            slot.second.abs_diff(expected) < expected.unsigned_abs() / 100
        })
    }

    fn slot_of(&self, unit: &TimerUnit) -> Option<TimerSlot> {
        TimerWheel::new(self.wheel.as_deref()?).slot_of(unit.slot_time().div_euclid(SECOND_MS))
    }

    /// Every unit of the log: its message, its time, and its slot if it still waits.
    fn units(&mut self, reader: &mut LogReader<'_>, log: &LogFacts) -> Result<(), mqstore_core::StoreError> {
        let timer = self.timer;
        let mut shown = timer.log().min_offset().unwrap_or(0);
        let mut stop = false;
        let end = timer.scan_log(|position, entry| {
            if position - shown >= 1 << 20 {
                let read = position - shown;
                self.cx.total += read;
                stop = !self.cx.advance(read);
                shown = position;
            }
            if let TimerEntry::Unit(unit) = entry {
                self.unit(position, unit, reader, log);
            }
            if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if stop {
            return Ok(());
        }
        let at = unit_place(timer, end.position);
        // Nothing but zeros behind the place of one unit: it was being written.
        let torn = end.kind == LogEndKind::Garbage
            && timer.log().files().last().is_some_and(|file| {
                let behind = end.position.checked_sub(file.file_from_offset).map(|at| at + TIMER_UNIT_LENGTH as u64);
                let behind = behind.and_then(|at| usize::try_from(at).ok());
                file.map().is_ok_and(|map| behind.and_then(|at| map.get(at..)).is_none_or(is_zero))
            });
        let kind = if torn { LogEndKind::Torn } else { end.kind };
        match (kind, end.error) {
            (LogEndKind::Garbage, error) => {
                let why = error.map_or("zeros with bytes behind them".to_owned(), |error| error.kind.to_string());
                let message = format!("no unit at {} of the timer log: {why}", end.position);
                self.cx.push(finding("timer.unit", at, message));
            }
            (LogEndKind::Torn, _) => {
                let message = format!("the timer log ends at {} in a torn unit", end.position);
                self.cx.push(finding("timer.log-tail", at, message));
            }
            _ => {}
        }
        if let Some(checkpoint) = timer.checkpoint() {
            let flushed = checkpoint.last_timer_log_flush_pos;
            if flushed > i64::try_from(end.position).unwrap_or(i64::MAX) {
                let message =
                    format!("timercheck says {flushed} bytes of the timer log, its units end at {}", end.position);
                let at = Location::path("config/timercheck").at(8).spanning(8);
                let found = finding("timer.checkpoint", at, message).values(end.position, flushed);
                self.push_softened(found);
            }
        }
        Ok(())
    }

    fn unit(&mut self, position: u64, unit: &TimerUnit, reader: &mut LogReader<'_>, log: &LogFacts) {
        let time = unit.slot_time();
        let waits = time >= self.read_up_to;
        if waits {
            let second = time.div_euclid(SECOND_MS);
            *self.in_log.entry(second).or_default() += 1;
            let slot = self.slot_of(unit);
            if self.wheel.is_some() && slot.is_none_or(|slot| slot.last_position < position.cast_signed()) {
                let message = format!("unit at {position} waits for second {second}, whose slot does not reach it");
                let at = unit_place(self.timer, position);
                self.push_softened(finding("timer.lost", at, message).values("a slot of that second", "none"));
            }
        }
        if unit.previous_position >= position.cast_signed() || unit.previous_position < -1 {
            let message = format!("unit at {position} names {} as the one before it", unit.previous_position);
            let at = unit_place(self.timer, position);
            self.cx.push(finding("timer.chain", at, message).values("an earlier position", unit.previous_position));
        }
        if self.cx.is_full() {
            self.message(position, unit, waits, reader, log);
        }
    }

    /// The message of a unit: is it the timer's, as long, for the same topic and the same time?
    fn message(&mut self, position: u64, unit: &TimerUnit, waits: bool, reader: &mut LogReader<'_>, log: &LogFacts) {
        let at = || unit_place(self.timer, position);
        let offset = unit.physical_offset.cast_unsigned();
        let expired = unit.physical_offset >= 0 && offset < log.min;
        if expired || (offset < log.end && (!log.scanned.contains(offset) || log.damage.contains(offset))) {
            self.all_read &= !waits;
            return;
        }
        let record = reader.record(offset).filter(|record| record.topic == TIMER_TOPIC.as_bytes());
        let Some(record) = record else {
            self.all_read = false;
            if log.reached_end {
                let message = format!("unit at {position} refers to {offset}, where no timed message stands");
                let found = finding("timer.message", at(), message);
                let found = found.values(format_args!("a message of {TIMER_TOPIC}"), offset);
                self.cx.push(if offset >= log.end && self.cx.facts.in_motion() {
                    at_most(Severity::Info, found)
                } else {
                    found
                });
            }
            return;
        };
        let bit = record.queue_offset.cast_unsigned().wrapping_sub(self.first_offset);
        if let Some(word) = usize::try_from(bit / 64).ok().and_then(|n| self.has_unit.get_mut(n)) {
            *word |= 1 << (bit % 64);
        }
        let topic = record.properties.get(names::REAL_TOPIC).unwrap_or_default();
        // The hash of a topic that is not UTF-8 depends on how the broker decodes it.
        let hash = std::str::from_utf8(topic).is_ok().then(|| java_hash(topic));
        let expected = (record.total_size(), hash.unwrap_or(unit.topic_hash));
        if (u32::try_from(unit.size).unwrap_or(0), unit.topic_hash) != expected {
            let message = format!(
                "unit at {position} gives size {} and topic hash {} for its message",
                unit.size, unit.topic_hash
            );
            let found = finding("timer.message", at(), message);
            let actual = format!("{}, {}", unit.size, unit.topic_hash);
            self.cx.push(found.values(format_args!("{}, {}", expected.0, expected.1), actual));
        }
        let cancels = record.properties.get(names::TIMER_DEL_UNIQKEY).is_some();
        if cancels != unit.magic.is_delete() {
            let word = |yes| if yes { "cancels a message" } else { "is to be delivered" };
            let message = format!("unit at {position} {}, its message {}", word(unit.magic.is_delete()), word(cancels));
            self.cx.push(finding("timer.message", at(), message));
        }
        if let Some(due) = due_time(&record) {
            let early = due.saturating_sub(unit.slot_time());
            let right = if unit.magic.is_roll() { early >= SECOND_MS } else { (0..SECOND_MS).contains(&early) };
            if !right {
                let message = format!("unit at {position} waits for {}, its message is due at {due}", unit.slot_time());
                let found = finding("timer.due-time", at(), message);
                self.cx.push(found.values(due.div_euclid(SECOND_MS).saturating_mul(SECOND_MS), unit.slot_time()));
            }
        }
        if waits {
            let count = if unit.magic.is_delete() { -1 } else { 1 };
            *self.waiting.entry(String::from_utf8_lossy(topic).into_owned()).or_default() += count;
        }
    }

    /// Every slot: is it where its second belongs, and is its chain whole if it still waits?
    fn slots(&mut self) -> Result<(), mqstore_core::StoreError> {
        let Some(wheel) = self.wheel.take() else { return Ok(()) };
        let (mut chains, timer) = (self.timer.reader(), self.timer);
        let slots = TimerWheel::new(&wheel);
        let capacity = i64::try_from(slots.capacity()).unwrap_or(i64::MAX).max(1);
        for (n, slot) in slots.used() {
            let at = || {
                let at = n * TIMER_SLOT_LENGTH as u64;
                Location::path("timerwheel").at(at).spanning(TIMER_SLOT_LENGTH as u64)
            };
            let home = slot.second.rem_euclid(capacity).cast_unsigned();
            if home != n || slot.magic != 0 {
                let message = format!("slot {n} is for second {}, which belongs into slot {home}", slot.second);
                self.push_softened(finding("timer.slot", at(), message).values(home, n));
                continue;
            }
            if slot.time_ms() < self.read_up_to {
                continue;
            }
            let chain = chains.chain(&slot)?;
            let length = chain.units.len() as u64;
            if let Some(error) = chain.error {
                let message = format!("chain of slot {n} for second {} breaks off: {error}", slot.second);
                self.push_softened(finding("timer.chain", at(), message));
                continue;
            }
            if let Some((position, unit)) = chain.units.iter().find(|(_, unit)| unit.slot_time() != slot.time_ms()) {
                let message =
                    format!("chain of slot {n} for second {} holds a unit for {}", slot.second, unit.slot_time());
                let found = finding("timer.chain", unit_place(timer, *position), message);
                self.push_softened(found.values(slot.time_ms(), unit.slot_time()));
                continue;
            }
            let in_log = self.in_log.get(&slot.second).copied().unwrap_or(0);
            let first = chain.units.last().map_or(-1, |(position, _)| position.cast_signed());
            if in_log != length {
                let message =
                    format!("slot {n} for second {} has a chain of {length}, the log {in_log} units", slot.second);
                self.push_softened(finding("timer.chain", at(), message).values(in_log, length));
            } else if !chain.expired && slot.first_position != first {
                let message = format!("slot {n} begins at {}, its chain at {first}", slot.first_position);
                self.push_softened(finding("timer.slot", at(), message).values(first, slot.first_position));
            }
            // A cancelling unit counts down, a lost one does not count: lower is normal, higher is not.
            if u64::try_from(slot.num).is_ok_and(|num| num > length) {
                let message = format!("slot {n} counts {} units, its chain has {length}", slot.num);
                self.push_softened(finding("timer.slot", at(), message).values(length, slot.num));
            }
        }
        wheel.check()
    }

    /// Messages that the timer has taken from its queue, that are not due, and that no unit names.
    fn messages(&mut self, state: &QueueState, reader: &mut LogReader<'_>, log: &LogFacts) {
        let Some(checkpoint) = self.timer.checkpoint() else { return };
        let known = self.first_offset.saturating_add((self.has_unit.len() as u64).saturating_mul(64));
        let taken = u64::try_from(checkpoint.last_timer_queue_offset).unwrap_or(0).min(state.used_end).min(known);
        let (mut lost, mut first) = (0u64, None);
        for n in self.first_offset..taken {
            let bit = n - self.first_offset;
            let word = usize::try_from(bit / 64).ok().and_then(|n| self.has_unit.get(n)).copied().unwrap_or(u64::MAX);
            if word >> (bit % 64) & 1 == 1 {
                continue;
            }
            let Some(unit) = state.unit_apart(n).filter(|unit| unit.is_valid() && !unit.is_pre_blank()) else {
                continue;
            };
            let offset = unit.physical_offset.cast_unsigned();
            if !log.scanned.contains(offset) || log.damage.contains(offset) {
                continue;
            }
            let due = reader.record(offset).and_then(|record| due_time(&record));
            // What is due when it is taken needs no unit.
            if due.is_some_and(|due| due >= self.read_up_to.saturating_add(SECOND_MS)) {
                lost += 1;
                first.get_or_insert((n, offset));
            }
        }
        if let Some((n, offset)) = first {
            let message = format!("{lost} timed messages were taken from the queue, are not due and wait nowhere");
            let at = Location::queue(TIMER_TOPIC, 0).at(offset).at_unit(n.cast_signed());
            self.push_softened(finding("timer.lost", at, message).values(0, lost));
        }
    }

    /// `timercheck` against the queue, and whether it is there at all.
    fn checkpoint(&mut self, state: Option<&QueueState>) {
        let at = || Location::path("config/timercheck");
        let Some(checkpoint) = self.timer.checkpoint() else {
            if !self.timer.log().files().is_empty() {
                self.cx.push(finding("timer.checkpoint", at(), "a timer log without timercheck"));
            }
            return;
        };
        let (taken, end) = (checkpoint.last_timer_queue_offset, state.map_or(0, |state| state.used_end));
        // Queues in RocksDB are not among the files.
        let known =
            state.is_some() || !self.cx.store.rocksdb_dirs().iter().any(|(_, dir)| dir.ends_with("consumequeue"));
        if known && u64::try_from(taken).map_or(true, |taken| taken > end) {
            let message = format!("timercheck has taken {taken} messages, the queue of {TIMER_TOPIC} ends at {end}");
            let found = finding("timer.checkpoint", at().at(16).spanning(8), message);
            self.push_softened(found.values(format_args!("at most {end}"), taken));
        }
    }

    /// `timermetrics` against what waits.
    fn metrics(&mut self) {
        let loaded = config_dir(self.cx.store).load::<MetricsTable>("timermetrics");
        let Some(table) = loaded.value().filter(|_| self.cx.is_full() && self.all_read) else { return };
        for (topic, metric) in &table.counts {
            let waiting = self.waiting.get(topic).copied().unwrap_or(0);
            if metric.count != waiting {
                let message =
                    format!("timermetrics counts {} timed messages for {topic:?}, {waiting} wait", metric.count);
                let at = Location { topic: Some(topic.clone()), ..Location::path("config/timermetrics") };
                self.cx.push(finding("timer.metrics", at, message).values(waiting, metric.count));
            }
        }
    }
}

/// When a message is due, milliseconds since the epoch.
fn due_time(record: &MessageRecord<'_>) -> Option<i64> {
    number(record.properties.get(names::TIMER_OUT_MS)?)
}
