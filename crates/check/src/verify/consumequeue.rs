//! The pass over the units: what no record asked for.
//!
//! It looks at units alone: are they in order, is there a hole, do they reach beyond the log? Those that refer into the log
//! are counted. If as many records found their unit, each unit has its record and the log stays closed; only for a
//! queue where the numbers differ are its units followed one by one.

use std::ops::ControlFlow;

use mqstore_core::StoreError;
use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit};
use mqstore_core::progress::Progress;

use super::commitlog::LogFacts;
use super::logreader::LogReader;
use super::parallel::in_order;
use super::queue_state::QueueState;
use super::queues::Queues;
use super::record::has_unit;
use super::{Context, at_most, finding};
use crate::finding::Severity;

const UNIT: u64 = CQ_UNIT_LENGTH as u64;
/// Units of one queue that are told one by one.
const TOLD: u64 = 1000;

/// So many units, the first of them, and the last.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    count: u64,
    first: u64,
    last: u64,
}

impl Run {
    fn add(&mut self, index: u64) {
        if self.count == 0 {
            self.first = index;
        }
        self.count += 1;
        self.last = index;
    }
}

/// What one walk over the units of a queue counts.
#[derive(Debug, Default)]
struct Walk {
    /// Units that refer into what was read of the log, damage left out.
    in_log: u64,
    /// Units behind the last one that refers into the log, which refer behind its end.
    beyond: Run,
    /// Empty units with used ones behind them.
    hole: Run,
    /// Units that are neither empty nor valid.
    invalid: Run,
    /// Used units behind an empty one that are older than those before it.
    stale: Run,
    /// Units whose physical offset is not above that of the one before.
    unordered: Run,
    /// Pre-blank units that are not the beginning of the first file.
    blank: Run,
    /// Files that were looked at, and their bytes.
    files: u64,
    bytes: u64,
    /// Some units could not be read, so that nothing is told of them.
    is_incomplete: bool,
    /// It did not come to the end.
    interrupted: bool,
    /// Files that could not be.
    errors: Vec<StoreError>,
}

/// Looks at every unit; at the quick level at those that refer into what was read of the log.
pub(super) fn pass(cx: &mut Context<'_>, queues: &mut Queues, log: &LogFacts) {
    let mut reader = LogReader::new(cx.log);
    let (full, progress) = (cx.is_full(), cx.progress);
    in_order(
        cx.options.jobs,
        queues.states.len(),
        || (),
        |(), n| queues.states.get(n).and_then(|state| walk(full, progress, state, log)),
        |n, walk| {
            if cx.stopped {
                return ControlFlow::Break(());
            }
            let (Some(state), Some(walk)) = (queues.states.get(n), walk) else { return ControlFlow::Continue(()) };
            for error in &walk.errors {
                cx.unreadable(error);
            }
            cx.total += walk.bytes;
            cx.report.coverage.files.total += walk.files;
            cx.report.coverage.files.seen += walk.files;
            if walk.interrupted {
                cx.interrupt();
            }
            if cx.advance(walk.bytes) && !walk.is_incomplete {
                let unpaired = walk.in_log != state.matched || walk.unordered.count > 0;
                let told = if unpaired && !log.scanned_nothing() { follow(cx, state, log, &mut reader) } else { 0 };
                tell(cx, state, &walk, log, told);
            }
            ControlFlow::Continue(())
        },
    );
}

fn walk(full: bool, progress: &dyn Progress, state: &QueueState, log: &LogFacts) -> Option<Walk> {
    let files = state.files.as_ref()?.queue().files();
    let mut walk = Walk::default();
    let mut from = 0;
    if !full {
        // Backwards to the first file with units of what was read of the log.
        let needed = log.scanned.first().unwrap_or(u64::MAX);
        from = files.len().saturating_sub(1);
        while from > 0 {
            let last = files.get(from).map_or(0, |file| file.file_from_offset / UNIT);
            let before = last.checked_sub(1).and_then(|index| state.unit_apart(index));
            if before.is_none_or(|unit| unit.physical_end() <= needed) {
                break;
            }
            from -= 1;
        }
    }
    let mut at = Position { previous: None, in_blank: from == 0, empty: Run::default(), ended: false, entered: false };
    for file in files.get(from..).unwrap_or_default() {
        let map = match file.map() {
            Ok(map) => map,
            Err(error) => {
                walk.errors.push(error);
                at.previous = None;
                continue;
            }
        };
        walk.bytes += file.length;
        walk.files += 1;
        map.advise_sequential();
        let first = file.file_from_offset / UNIT;
        let (units, _) = map.as_chunks::<CQ_UNIT_LENGTH>();
        for (n, unit) in units.iter().enumerate() {
            let index = first + n as u64;
            if index >= state.used_end {
                break;
            }
            if let Some(unit) = CqUnit::read(unit) {
                at.step(&mut walk, log, index, unit);
            }
        }
        if let Err(error) = map.check() {
            walk.errors.push(error);
            walk.is_incomplete = true;
        }
        if progress.cancelled() {
            walk.interrupted = true;
            break;
        }
    }
    Some(walk)
}

/// Where a walk is.
struct Position {
    previous: Option<i64>,
    in_blank: bool,
    empty: Run,
    ended: bool,
    entered: bool,
}

impl Position {
    fn step(&mut self, walk: &mut Walk, log: &LogFacts, index: u64, unit: CqUnit) {
        if unit.is_pre_blank() {
            if !self.in_blank {
                walk.blank.add(index);
            }
            return;
        }
        self.in_blank = false;
        if unit.physical_offset == 0 && unit.size == 0 && unit.tags_code == 0 {
            self.empty.add(index);
            return;
        }
        if !unit.is_valid() {
            walk.invalid.add(index);
            return;
        }
        let offset = unit.physical_offset.cast_unsigned();
        let steps_back = self.previous.is_some_and(|previous| unit.physical_offset <= previous);
        if self.empty.count > 0 || self.ended {
            if self.ended || steps_back || (offset >= log.end && log.reached_end) {
                // Behind the end: older units, or units of messages that were cut.
                self.ended = true;
                walk.stale.add(index);
                return;
            }
            walk.hole.count += self.empty.count;
            walk.hole.first = if walk.hole.count == self.empty.count { self.empty.first } else { walk.hole.first };
            walk.hole.last = self.empty.last;
            self.empty = Run::default();
        }
        if steps_back {
            walk.unordered.add(index);
        }
        if offset >= log.end && log.reached_end {
            walk.beyond.add(index);
            return;
        }
        if walk.beyond.count > 0 {
            // What referred behind the log was no end: a unit inside does again.
            walk.in_log += walk.beyond.count;
            walk.beyond = Run::default();
        }
        self.previous = Some(self.previous.unwrap_or(i64::MIN).max(unit.physical_offset));
        self.entered |= offset >= log.min;
        // Once a queue is in the log, a unit below it is no expired one.
        if (log.scanned.contains(offset) && !log.damage.contains(offset)) || (self.entered && offset < log.min) {
            walk.in_log += 1;
        }
    }
}

/// Reads the record of each unit that refers into the log, and tells what is wrong with it.
fn follow(cx: &mut Context<'_>, state: &QueueState, log: &LogFacts, reader: &mut LogReader<'_>) -> u64 {
    let Some(files) = state.files.as_ref() else { return 0 };
    let mut told = 0;
    let mut entered = false;
    let mut before: Option<u64> = None;
    for file in files.queue().files() {
        let Ok(map) = file.map() else { continue };
        let first = file.file_from_offset / UNIT;
        let (units, _) = map.as_chunks::<CQ_UNIT_LENGTH>();
        for (n, unit) in units.iter().enumerate() {
            let index = first + n as u64;
            let Some(unit) = CqUnit::read(unit).filter(|unit| unit.is_valid() && !unit.is_pre_blank()) else {
                continue;
            };
            let offset = unit.physical_offset.cast_unsigned();
            if index >= state.used_end || told >= TOLD {
                return told;
            }
            entered |= offset >= log.min && offset < log.end;
            let inside = log.scanned.contains(offset) && !log.damage.contains(offset) && offset < log.end;
            let expired = entered && offset < log.min;
            // Behind the end, with units that refer into the log behind it.
            let beyond = offset >= log.end && log.reached_end && goes_on(state, log, index);
            if !inside && !expired && !beyond {
                continue;
            }
            if before == Some(offset) {
                let message = format!("units {} and {index} refer to one message at {offset}", index - 1);
                cx.push(finding("queue.duplicate-unit", state.place(index), message).values("another message", offset));
                told += 1;
                continue;
            }
            before = Some(offset);
            told += u64::from(follow_one(cx, state, reader, index, unit));
        }
    }
    told
}

/// Whether a unit that refers into the log comes behind unit `index`.
fn goes_on(state: &QueueState, log: &LogFacts, index: u64) -> bool {
    let last = state.used_end.checked_sub(1).filter(|last| *last > index);
    let unit = last.and_then(|last| state.unit_apart(last));
    unit.is_some_and(|unit| unit.is_valid() && unit.physical_offset.cast_unsigned() < log.end)
}

fn follow_one(cx: &mut Context<'_>, state: &QueueState, reader: &mut LogReader<'_>, index: u64, unit: CqUnit) -> bool {
    let offset = unit.physical_offset.cast_unsigned();
    let Some(record) = reader.record(offset) else {
        let message = format!("unit {index} refers to {offset}, where no record stands");
        let found = finding("queue.unit-offset", state.place(index), message);
        cx.push(found.values("the place of a record", offset));
        return true;
    };
    let own = record.topic == state.topic.as_bytes() && record.queue_id == state.queue_id && has_unit(&record);
    let dispatched = record
        .properties
        .get("INNER_MULTI_DISPATCH")
        .is_some_and(|names| names.split(|b| *b == b',').any(|name| name == state.topic.as_bytes()));
    if own || dispatched {
        return false;
    }
    let (topic, queue_id) = (record.topic_str().into_owned(), record.queue_id);
    let what = if has_unit(&record) { "" } else { ", a record that has no unit" };
    let message = format!("unit {index} refers to a message of {topic:?} queue {queue_id} at {offset}{what}");
    let found = finding("queue.unit-foreign", state.place(index), message);
    cx.push(found.values(format_args!("{}/{}", state.topic, state.queue_id), format_args!("{topic}/{queue_id}")));
    true
}

fn tell(cx: &mut Context<'_>, state: &QueueState, walk: &Walk, log: &LogFacts, told: u64) {
    let span = |run: Run| state.place(run.first).spanning((run.last - run.first + 1) * UNIT);
    if walk.beyond.count > 0 && !log.scanned_nothing() {
        let Run { count, first, .. } = walk.beyond;
        let message = format!("{count} units from {first} on refer behind the end of the log at {}", log.end);
        let found = finding("queue.unit-beyond-log", span(walk.beyond), message);
        let excused = cx.facts.in_motion();
        // 3.2.6 removes abort at every stop, whatever is not dispatched.
        let doubtful = log.before_unique_keys && cx.facts.before_lock;
        cx.push(match (excused, doubtful) {
            (true, _) => at_most(Severity::Info, found),
            (false, true) => at_most(Severity::Warning, found),
            (false, false) => found,
        });
    }
    for (run, id, units, what) in [
        (walk.hole, "queue.hole", "empty units", " with used ones behind them"),
        (walk.invalid, "queue.invalid-unit", "units", " have a negative offset or no size"),
        (walk.blank, "queue.pre-blank", "blank units", ", behind the beginning of the queue"),
        (walk.stale, "queue.stale-tail", "old units", " behind the end of the queue"),
    ] {
        if run.count > 0 {
            cx.push(finding(id, span(run), format!("{} {units} from {} on{what}", run.count, run.first)));
        }
    }
    if walk.unordered.count > 0 && told == 0 {
        let Run { count, first, .. } = walk.unordered;
        let message = format!("physical offsets step back {count} times, first at unit {first}");
        cx.push(finding("queue.order", span(walk.unordered), message));
    }
}

impl LogFacts {
    /// No log was read, so nothing can be said about where units lead.
    pub(super) fn scanned_nothing(&self) -> bool {
        self.scanned.first().is_none()
    }
}
