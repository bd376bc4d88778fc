//! Units that do not lie in 20-byte queue files: of batch queues and of queues in RocksDB.
//!
//! There are few such queues, so each is walked by itself behind the log pass, and each unit's record is read. That pass
//! counted the records of each queue; if as many units lead to a record of their queue, each record has its unit.

use mqstore_core::format::consumequeue::CqUnit;

use super::commitlog::LogFacts;
use super::logreader::LogReader;
use super::queue_state::QueueState;
use super::record::{Known, has_unit};
use super::tagscode::{self, Delays};
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// One unit, whatever holds it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    /// Queue offset of the first message in its record.
    pub(super) queue_offset: i64,
    /// Messages in its record.
    pub(super) messages: i64,
    /// What a queue file would hold.
    pub(super) plain: CqUnit,
    /// Store timestamp of the record, milliseconds since the epoch.
    pub(super) store_timestamp: i64,
}

/// What one walk over the units of a queue counts.
#[derive(Debug)]
pub(super) struct Walk<'q> {
    topic: &'q str,
    queue_id: i32,
    previous: Option<Unit>,
    /// Units with a record in what was read of the log.
    matched: u64,
    /// Units that refer behind the end of the log.
    beyond: u64,
    first_beyond: Option<Location>,
    /// Queue offset of the first unit of all.
    first: Option<i64>,
    /// Queue offsets that no unit covers: the last before the first gap, and the first behind it.
    gap: Option<(i64, i64, Location)>,
    delays: Delays,
}

impl<'q> Walk<'q> {
    pub(super) fn new(topic: &'q str, queue_id: i32) -> Self {
        Self {
            topic,
            queue_id,
            previous: None,
            matched: 0,
            beyond: 0,
            first_beyond: None,
            first: None,
            gap: None,
            delays: Delays::default(),
        }
    }

    /// Physical offset of the last unit so far.
    pub(super) fn last_physical_offset(&self) -> Option<i64> {
        self.previous.map(|previous| previous.plain.physical_offset)
    }

    /// Takes the next unit, which lies at `at`.
    pub(super) fn step(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut LogReader<'_>,
        log: &LogFacts,
        at: impl Fn() -> Location,
        unit: Unit,
    ) {
        self.first.get_or_insert(unit.queue_offset);
        if let Some(previous) = self.previous.replace(unit) {
            let expected = previous.queue_offset.saturating_add(previous.messages);
            if unit.plain.physical_offset <= previous.plain.physical_offset || unit.queue_offset < expected {
                let message = format!(
                    "unit of queue offset {} at {} comes behind one of {} at {}",
                    unit.queue_offset,
                    unit.plain.physical_offset,
                    previous.queue_offset,
                    previous.plain.physical_offset
                );
                cx.push(finding("queue.order", at(), message).values(expected, unit.queue_offset));
            } else if unit.queue_offset > expected {
                self.gap.get_or_insert((expected.saturating_sub(1), unit.queue_offset, at()));
            }
        }
        let offset = unit.plain.physical_offset.cast_unsigned();
        if offset >= log.end && log.reached_end {
            self.beyond += 1;
            self.first_beyond.get_or_insert_with(at);
        } else if log.scanned.contains(offset) && !log.damage.contains(offset) {
            self.matched += u64::from(self.record(cx, reader, &at, unit));
        }
    }

    /// Compares the unit with its record; whether it is one of this queue.
    fn record(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut LogReader<'_>,
        at: &impl Fn() -> Location,
        unit: Unit,
    ) -> bool {
        let CqUnit { physical_offset: offset, size, .. } = unit.plain;
        let Some(record) = reader.record(offset.cast_unsigned()) else {
            let message =
                format!("unit of queue offset {} refers to {offset}, where no record stands", unit.queue_offset);
            cx.push(finding("queue.unit-offset", at(), message).values("the place of a record", offset));
            return false;
        };
        let own = record.topic == self.topic.as_bytes() && record.queue_id == self.queue_id && has_unit(&record);
        let dispatched = || {
            let names = record.properties.get("INNER_MULTI_DISPATCH");
            names.is_some_and(|names| names.split(|b| *b == b',').any(|name| name == self.topic.as_bytes()))
        };
        if !own && !dispatched() {
            let (topic, queue_id) = (record.topic_str().into_owned(), record.queue_id);
            let message = format!(
                "unit of queue offset {} refers to a message of {topic:?} queue {queue_id} at {offset}",
                unit.queue_offset
            );
            let found = finding("queue.unit-foreign", at(), message);
            let expected = format!("{}/{}", self.topic, self.queue_id);
            cx.push(found.values(expected, format_args!("{topic}/{queue_id}")));
            return false;
        }
        if u32::try_from(size) != Ok(record.total_size()) {
            let message = format!(
                "unit of queue offset {} gives size {size} for a record of {}",
                unit.queue_offset,
                record.total_size()
            );
            cx.push(finding("queue.unit-size", at(), message).values(record.total_size(), size));
        }
        let span = record.batch_span();
        if own && (span.base_offset, i64::from(span.batch_size)) != (unit.queue_offset, unit.messages) {
            let message = format!(
                "unit says {} messages from queue offset {} on, its record {} from {} on",
                unit.messages, unit.queue_offset, span.batch_size, span.base_offset
            );
            let found = finding("queue.unit-span", at(), message);
            let expected = format!("{} from {}", span.batch_size, span.base_offset);
            cx.push(found.values(expected, format_args!("{} from {}", unit.messages, unit.queue_offset)));
        }
        if unit.store_timestamp != record.store_timestamp {
            let message = format!(
                "unit of queue offset {} gives store time {} for a record of {}",
                unit.queue_offset, unit.store_timestamp, record.store_timestamp
            );
            let found = finding("queue.unit-store-time", at(), message);
            cx.push(found.values(record.store_timestamp, unit.store_timestamp));
        }
        let known = Known::of(&record);
        tagscode::check(cx, &mut self.delays, at, unit.plain, &record, &known);
        own
    }

    /// Tells what only the whole queue shows.
    pub(super) fn finish(self, cx: &mut Context<'_>, state: &QueueState, log: &LogFacts) {
        self.delays.finish(cx);
        if let Some(at) = self.first_beyond {
            let message = format!("{} units refer behind the end of the log at {}", self.beyond, log.end);
            let found = finding("queue.unit-beyond-log", at, message);
            cx.push(if cx.facts.in_motion() { at_most(Severity::Info, found) } else { found });
        }
        let (within, first_position) = state.special.map_or((0, 0), |special| (special.within, special.first));
        let queue = || Location::queue(self.topic, self.queue_id);
        let missing = within.saturating_sub(self.matched);
        if missing > 0 && !log.scanned_nothing() {
            // A start of 5.3.2 and later dispatches what lies behind the end of the queues, and 0 is such an end, too.
            if missing == 1 && first_position == 0 && self.first.is_some_and(|first| first > 0) {
                let message = format!("the first message of the log, of {:?}, has no unit", self.topic);
                let at = queue().at(0).at_unit(0);
                cx.push(finding("queue.first-record", at, message).values(0, self.first.unwrap_or(0)));
                return;
            }
            // Where a broker writes both kinds, the second one begins when that was switched on.
            if state.files.is_some() {
                return;
            }
            let example = self.gap.as_ref().map(|(last, next, _)| format!(", the first gap is from {last} to {next}"));
            let message = format!(
                "{missing} messages of {:?} queue {} before the last unit have no unit{}",
                self.topic,
                self.queue_id,
                example.unwrap_or_default()
            );
            let at = queue().at(first_position);
            cx.push(finding("queue.records-without-unit", at, message).values(0, missing));
        } else if let Some((last, next, at)) = self.gap {
            let message = format!("queue offsets jump from {last} to {next}");
            cx.push(finding("queue.gap", at, message).values(last.saturating_add(1), next));
        }
    }
}
