//! The consume queues as the log pass sees them: every record asks for its unit.
//!
//! For each queue a few numbers and a small window of units are kept, read with plain reads that follow the log: 100,000
//! queues need neither as many mappings nor as many open files, and their windows share 64 MiB.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit};
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::store::ConsumeQueue;

use super::ahead::Row;
use super::logreader::LogReader;
use super::names::Names;
use super::parallel::in_order;
use super::queue_state::{QueueState, Special, Tally, unit_path, used_end};
use super::record::{Known, has_unit, number, place};
use super::tagscode::{self, Delays};
use super::{Context, at_most, finding, layout};
use crate::finding::{Location, Severity};

const UNIT: u64 = CQ_UNIT_LENGTH as u64;
/// Bytes that the windows of all queues share.
const WINDOW_BYTES: usize = 64 << 20;

/// All queues.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) states: Vec<QueueState>,
    /// The names of those with a folder, which come first in `states`.
    pub(super) names: Arc<Names>,
    /// Queues that only records name.
    further: HashMap<Box<[u8]>, HashMap<i32, usize>>,
    window_units: u64,
    delays: Delays,
    /// Counts the places where records are missing from the scan, so that a jump over one is no gap.
    breaks: u64,
    /// Units lie in a database that was read: a queue without a row there has none.
    pub(super) in_rocksdb: bool,
}

impl Queues {
    pub(super) fn open(cx: &mut Context<'_>, queues: Vec<ConsumeQueue>) -> Self {
        layout::queues(cx, &queues);
        let window = WINDOW_BYTES / CQ_UNIT_LENGTH / queues.len().max(1);
        let window_units = window.clamp(32, 4096) as u64;
        let (mut states, mut names) = (Vec::with_capacity(queues.len()), Names::default());
        let mut ends = Vec::with_capacity(queues.len());
        let end = |(): &mut (), n: usize| queues.get(n).map(used_end);
        in_order(
            cx.options.jobs,
            queues.len(),
            || (),
            end,
            |_, end| {
                let (end, errors) = end.unwrap_or_default();
                for error in errors {
                    cx.unreadable(&error);
                }
                ends.push(end);
                ControlFlow::Continue(())
            },
        );
        for (queue, end) in queues.into_iter().zip(ends) {
            let Ok(queue_id) = i32::try_from(queue.queue_id()) else { continue };
            let mut state = QueueState::new(queue.topic().to_owned(), queue_id);
            state.first = queue.queue().min_offset().unwrap_or(0) / UNIT;
            state.used_end = end.unwrap_or(state.first);
            let topic = queue.topic();
            names.add(topic.as_bytes(), queue_id, topic != SCHEDULE_TOPIC);
            state.files = Some(queue);
            states.push(state);
        }
        Self {
            states,
            names: Arc::new(names),
            further: HashMap::new(),
            window_units,
            delays: Delays::default(),
            breaks: 0,
            in_rocksdb: false,
        }
    }

    /// A queue, if it is known.
    pub(super) fn get(&self, topic: &str, queue_id: i32) -> Option<&QueueState> {
        self.states.get(self.find(topic.as_bytes(), queue_id)?)
    }

    /// Makes a queue known whose units lie elsewhere than in queue files.
    pub(super) fn add_special(&mut self, topic: &str, queue_id: i32, special: Special) {
        let number = self.number(topic.as_bytes(), queue_id);
        if let Some(state) = self.states.get_mut(number) {
            state.special = Some(special);
        }
    }

    fn find(&self, topic: &[u8], queue_id: i32) -> Option<usize> {
        let in_folder = self.names.find(topic, queue_id).map(|number| number as usize);
        in_folder.or_else(|| self.further.get(topic)?.get(&queue_id).copied())
    }

    /// Leaves the files of a queue alone: its units elsewhere go on behind them.
    pub(super) fn forget_files(&mut self, topic: &str, queue_id: i32) {
        let number = self.number(topic.as_bytes(), queue_id);
        if let Some(state) = self.states.get_mut(number) {
            state.files = None;
        }
    }

    /// The number of a queue; a queue without folder is added.
    fn number(&mut self, topic: &[u8], queue_id: i32) -> usize {
        if let Some(number) = self.find(topic, queue_id) {
            return number;
        }
        let number = self.states.len();
        self.states.push(QueueState::new(String::from_utf8_lossy(topic).into_owned(), queue_id));
        self.further.entry(topic.into()).or_default().insert(queue_id, number);
        number
    }

    /// Takes down a record of a plain queue whose unit lies where it should and says what it should: what most records
    /// are. If that is not so, nothing is taken down and [`record`](Self::record) finds out why.
    #[inline]
    pub(super) fn claim(&mut self, queue: usize, row: &Row) -> bool {
        let (units, breaks) = (self.window_units, self.breaks);
        let Some(state) = self.states.get_mut(queue).filter(|_| !self.in_rocksdb) else { return false };
        state.claim(row, units, breaks)
    }

    /// Records are missing between the last one and the next one, as the caller has told or will tell.
    pub(super) fn records_are_missing(&mut self) {
        self.breaks += 1;
    }

    /// Looks up the unit of a record, and those of the further queues it was dispatched to.
    pub(super) fn record(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut LogReader<'_>,
        path: &str,
        record: &MessageRecord<'_>,
        known: &Known<'_>,
    ) {
        if !has_unit(record) {
            return;
        }
        let n = self.number(record.topic, record.queue_id);
        let (units, breaks) = (self.window_units, self.breaks);
        let Some(state) = self.states.get_mut(n) else { return };
        if state.records.count == 0 && !state.is_there() {
            topic_name(cx, path, record);
        }
        state.records.add(record.position.get());
        let position = record.position.get();
        if self.in_rocksdb && state.special.is_none() {
            state.special = Some(Special::default());
        }
        state.special_record(cx, position);
        if state.files.is_none() && state.special.is_some() {
            state.note(position, record.queue_offset, known.step(record), breaks);
            return;
        }
        if let Some((index, unit)) = state.find(position, record.queue_offset, units) {
            state.matched += 1;
            state.newest_time = state.newest_time.max(record.store_timestamp);
            check_unit(cx, &mut self.delays, state, index, unit, record, known);
            state.align(cx, path, record, index, known.step(record), breaks);
        } else {
            state.note(position, record.queue_offset, known.step(record), breaks);
            state.without_unit(cx, reader, record, units);
        }
        if let Some(names) = known.multi_dispatch {
            self.further_queues(cx, path, record, known, names);
        }
    }

    /// The units of a message in further queues (LMQ). A record without offsets was dispatched to none of them.
    fn further_queues(
        &mut self,
        cx: &mut Context<'_>,
        path: &str,
        record: &MessageRecord<'_>,
        known: &Known<'_>,
        names: &[u8],
    ) {
        let Some(offsets) = known.multi_offsets else { return };
        let names: Vec<&[u8]> = names.split(|b| *b == b',').collect();
        let offsets: Vec<&[u8]> = offsets.split(|b| *b == b',').collect();
        let lmq = |name: &[u8]| name.starts_with(b"%LMQ%");
        let all_lmq = names.iter().all(|name| lmq(name));
        // A name that is no LMQ has an empty offset, and Java drops the last one of those: no queue gets a unit then.
        if offsets.len() != names.len() && all_lmq {
            let message = format!("{} queue names but {} offsets", names.len(), offsets.len());
            let found = finding("commitlog.multi-dispatch", place(path, record), message);
            cx.push(found.values(names.len(), offsets.len()));
            return;
        }
        for (name, offset) in names.iter().zip(&offsets) {
            let queue_id = if lmq(name) { 0 } else { record.queue_id };
            let known_queue = self.names.find(name, queue_id);
            let Some(state) = known_queue.and_then(|n| self.states.get_mut(n as usize)) else { continue };
            let Some(queue_offset) = number(offset) else { continue };
            if state.files.is_none() {
                continue;
            }
            match state.find(record.position.get(), queue_offset, self.window_units) {
                Some((index, unit)) => {
                    state.matched += 1;
                    check_unit(cx, &mut self.delays, state, index, unit, record, known);
                }
                None if !all_lmq => {}
                None if cx.facts.in_motion() => state.behind.add(record.position.get()),
                None => state.missing.add(record.position.get()),
            }
        }
    }

    /// The newest store time of a message that has a unit.
    pub(super) fn newest_time(&self) -> i64 {
        self.states.iter().map(|state| state.newest_time).max().unwrap_or(0)
    }

    /// Messages without unit that an abnormal start would not find, or that no start looks for.
    pub(super) fn lost(&self) -> u64 {
        self.states.iter().map(|state| state.missing.count).sum()
    }

    /// Behind the last message at or behind `position` that a queue refers to, if there is one.
    pub(super) fn units_from(&self, position: u64) -> Option<u64> {
        let ends = self.states.iter().filter_map(|state| {
            let unit = state.unit_apart(state.used_end.checked_sub(1)?)?;
            let inside = unit.is_valid() && !unit.is_pre_blank();
            (inside && unit.physical_offset.cast_unsigned() >= position).then_some(unit.physical_end())
        });
        ends.max()
    }

    /// Tells what only the whole log shows.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) {
        std::mem::take(&mut self.delays).finish(cx);
        for state in &mut self.states {
            if let Some(pending) = state.pending.take() {
                state.misaligned(cx, pending);
            }
        }
        self.repeated(cx);
        self.without_folder(cx);
        self.without_units(cx);
        for state in &self.states {
            if let Some((position, from, to)) = state.gap {
                let message = format!("queue offsets jump from {from} to {to} in the log at {position}");
                let at = Location::queue(&state.topic, state.queue_id).at(position).at_unit(to);
                cx.push(finding("commitlog.queue-offset-gap", at, message).values(from.saturating_add(1), to));
            }
        }
    }

    /// Queue offsets that come twice: a topic made again, or a rollback.
    fn repeated(&mut self, cx: &mut Context<'_>) {
        let mut benign: HashMap<&str, bool> = HashMap::new();
        let rolled_back = self.states.iter().any(|s| s.stepped_back && s.repeated.count > 0);
        let mut restarts: HashMap<&str, u64> = HashMap::new();
        for state in self.states.iter().filter(|state| state.restarted) {
            let first = restarts.entry(&state.topic).or_insert(state.restart_at);
            *first = state.restart_at.min(*first);
        }
        for state in &self.states {
            // A topic that is deleted loses all its queues: one that went on proves that the others were lost.
            if let Some(first) = restarts.get(state.topic.as_str()) {
                let fits = state.restarted || state.last_position < *first;
                *benign.entry(&state.topic).or_insert(!rolled_back) &= fits;
            }
        }
        let benign: HashMap<String, bool> = benign.into_iter().map(|(topic, fits)| (topic.to_owned(), fits)).collect();
        let mut all = Tally::default();
        let (mut queues, mut example) = (0u64, None);
        for state in &mut self.states {
            if benign.get(&state.topic) == Some(&true) {
                if state.restarted {
                    let lost = state.missing_before_restart;
                    let message = format!(
                        "queue began again at 0 at {}, {} older messages have no unit",
                        state.restart_at, lost.count
                    );
                    let at = Location::queue(&state.topic, state.queue_id).at(state.restart_at).at_unit(0);
                    cx.push(finding("commitlog.queue-offset-restart", at, message));
                }
                continue;
            }
            state.restarted = false;
            state.missing.merge(state.missing_before_restart);
            if state.repeated.count > 0 {
                queues += 1;
                all.merge(state.repeated);
                example = example.or(Some((state.topic.clone(), state.queue_id)));
            }
        }
        if let Some((topic, queue_id)) = example {
            let message = format!(
                "{} messages of {queues} queues carry a queue offset that an earlier message of their queue has",
                all.count
            );
            let at = Location::queue(topic, queue_id).at(all.first).spanning(all.last - all.first);
            cx.push(finding("commitlog.queue-offset-repeated", at, message).values(0, all.count));
        }
    }

    /// Queues that only records name.
    fn without_folder(&mut self, cx: &mut Context<'_>) {
        for state in self.states.iter_mut().filter(|state| !state.is_there()) {
            let missing = std::mem::take(&mut state.missing);
            if missing.count == 0 {
                continue;
            }
            let at = Location::queue(&state.topic, state.queue_id).at(missing.first);
            let text = format!(
                "{} messages of queue {} of topic {} and no queue for them",
                missing.count, state.queue_id, state.topic
            );
            let known = cx.facts.topics.as_ref().map(|topics| topics.contains(&state.topic) || is_system(&state.topic));
            cx.push(match known {
                Some(true) => finding("queue.missing", at, text),
                Some(false) => finding("queue.topic-deleted", at, text),
                None => at_most(Severity::Warning, finding("queue.missing", at, text)),
            });
            if known != Some(false) {
                state.missing = missing;
            }
        }
    }

    fn without_units(&self, cx: &mut Context<'_>) {
        let tell = |tally: fn(&QueueState) -> Tally| {
            let mut all = Tally::default();
            let mut topics: Vec<&str> = Vec::new();
            for state in self.states.iter().filter(|state| state.is_there() || tally(state).count == state.behind.count)
            {
                let one = tally(state);
                all.merge(one);
                if one.count > 0 && topics.last() != Some(&state.topic.as_str()) {
                    topics.push(&state.topic);
                }
            }
            topics.sort_unstable();
            topics.dedup();
            (all, topics.join(", "))
        };
        let (missing, topics) = tell(|state| if state.is_there() { state.missing } else { Tally::default() });
        if missing.count > 0 {
            let message = format!(
                "{} messages from {} to {} have no unit in any queue; topics: {topics}",
                missing.count, missing.first, missing.last
            );
            let at = Location::path("commitlog").at(missing.first).spanning(missing.last - missing.first);
            cx.push(finding("queue.records-without-unit", at, message).values(0, missing.count));
        }
        let (behind, topics) = tell(|state| state.behind);
        if behind.count > 0 {
            let message = format!(
                "the newest {} messages from {} on have no unit yet; topics: {topics}",
                behind.count, behind.first
            );
            let at = Location::path("commitlog").at(behind.first).spanning(behind.last - behind.first);
            cx.push(finding("queue.dispatch-behind", at, message).values(0, behind.count));
        }
    }
}

/// Topics that brokers use themselves; they need not stand in topics.json.
pub(super) fn is_system(topic: &str) -> bool {
    const NAMES: &[&str] = &[
        SCHEDULE_TOPIC,
        "TRANS_CHECK_MAX_TIME_TOPIC",
        "OFFSET_MOVED_EVENT",
        "SELF_TEST_TOPIC",
        "BenchmarkTest",
        "TBW102",
        "CHECKPOINT_TOPIC",
    ];
    NAMES.contains(&topic) || topic.starts_with("RMQ_SYS_") || topic.starts_with("rmq_sys_")
}

fn topic_name(cx: &mut Context<'_>, path: &str, record: &MessageRecord<'_>) {
    let usual = |b: &u8| b.is_ascii_alphanumeric() || b"%|_-".contains(b);
    let odd = record.topic.iter().any(|b| !usual(b) && *b != b'+') && !record.topic.starts_with(b"%LMQ%");
    let plus = record.topic.contains(&b'+') && !record.topic.starts_with(b"%RETRY%");
    if record.topic.is_empty() || odd || plus {
        let message = format!("topic {:?} of a record", record.topic_str());
        cx.push(finding("commitlog.topic", place(path, record), message));
    }
}

fn check_unit(
    cx: &mut Context<'_>,
    delays: &mut Delays,
    state: &QueueState,
    index: u64,
    unit: CqUnit,
    record: &MessageRecord<'_>,
    known: &Known<'_>,
) {
    let at = || state.unit_place(unit_path(state, index), index);
    if u32::try_from(unit.size) != Ok(record.total_size()) {
        let message = format!("unit {index} gives size {} for a record of {}", unit.size, record.total_size());
        cx.push(finding("queue.unit-size", at(), message).values(record.total_size(), unit.size));
    }
    tagscode::check(cx, delays, at, unit, record, known);
}
