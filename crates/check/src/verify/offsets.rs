//! Consumer, LMQ and delay offsets against the range of their queues.

use std::collections::HashMap;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::config::consumer_offset::{CommittedOffset, ConsumerOffsetTable};
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::store::ConsumeQueue;

use super::commitlog::LogFacts;
use super::facts::config_dir;
use super::queue_state::QueueState;
use super::queues::{Queues, is_system};
use super::rocksdb::RocksDbOffset;
use super::{Context, at_most, finding};
use crate::finding::{Finding, Location, Severity};

/// The ranges of the queues that offsets name, each computed once.
struct Ranges<'a> {
    states: HashMap<(&'a str, i32), &'a QueueState>,
    known: HashMap<(String, i32), Option<(u64, u64)>>,
    log_min: PhysicalOffset,
}

impl<'a> Ranges<'a> {
    /// Minimum and maximum of a queue that is there.
    fn of(&mut self, cx: &mut Context<'_>, topic: &str, queue_id: i32) -> Option<((u64, u64), &'a QueueState)> {
        let state = *self.states.get(&(topic, queue_id))?;
        if let Some(special) = state.special.filter(|special| state.files.is_none() && special.end > 0) {
            return Some((special.range, state));
        }
        let queue: &ConsumeQueue = state.files.as_ref()?;
        let key = (topic.to_owned(), queue_id);
        if !self.known.contains_key(&key) {
            let range = match queue.range(self.log_min) {
                Ok(range) => Some((range.min_offset.get(), range.max_offset.get())),
                Err(error) => {
                    cx.unreadable(&error);
                    None
                }
            };
            self.known.insert(key.clone(), range);
        }
        let range = self.known.get(&key).copied().flatten()?;
        (!queue.queue().files().is_empty()).then_some((range, state))
    }
}

/// Compares every stored offset with its queue.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, log: &LogFacts, in_rocksdb: &[RocksDbOffset]) {
    let states = queues.states.iter().map(|state| ((state.topic.as_str(), state.queue_id), state)).collect();
    let log_min = cx.log.min_offset();
    let mut ranges = Ranges { states, known: HashMap::new(), log_min };
    let dir = config_dir(cx.store);
    for (name, loaded) in
        [("consumerOffset.json", dir.consumer_offsets()), ("lmqConsumerOffset.json", dir.lmq_consumer_offsets())]
    {
        if let Some(table) = loaded.value() {
            consumers(cx, &mut ranges, &format!("config/{name}"), table, log);
        }
    }
    for RocksDbOffset { path, topic, group, queue_id, offset } in in_rocksdb {
        let (queue_id, offset) = (*queue_id, *offset);
        consumer(cx, &mut ranges, path, &CommittedOffset { topic, group, queue_id, offset }, log);
    }
    let delays = dir.delay_offsets();
    if let Some(table) = delays.value() {
        for (level, offset) in &table.offset_table {
            delay(cx, &mut ranges, *level, *offset);
        }
    }
}

fn consumers(cx: &mut Context<'_>, ranges: &mut Ranges<'_>, path: &str, table: &ConsumerOffsetTable, log: &LogFacts) {
    for key in table.keys_that_do_not_split() {
        cx.push(finding("offsets.key", Location::path(path), format!("key {key:?} is not topic@group")));
    }
    for committed in table.committed() {
        consumer(cx, ranges, path, &committed, log);
    }
}

fn consumer(
    cx: &mut Context<'_>,
    ranges: &mut Ranges<'_>,
    path: &str,
    committed: &CommittedOffset<'_>,
    log: &LogFacts,
) {
    let CommittedOffset { topic, group, queue_id, offset, .. } = *committed;
    let at = || Location::path(path).in_queue(topic, queue_id).at_unit(offset).of_group(group);
    let Ok(unsigned) = u64::try_from(offset) else {
        cx.push(finding("offsets.negative", at(), format!("{group} has offset {offset} in {topic} queue {queue_id}")));
        return;
    };
    // Queues that could not be read cannot be compared with.
    if cx.facts.rocksdb_queues {
        return;
    }
    let Some(((min, max), state)) = ranges.of(cx, topic, queue_id) else {
        // Consumers commit 0 for queues without a message; offsets of deleted topics linger.
        let folder = format!("consumequeue/{topic}/{queue_id}/");
        if cx.has_io_error(|path, _| path.starts_with(&folder)) {
            return;
        }
        let exists = cx.facts.topics.as_ref().is_some_and(|topics| topics.contains(topic)) && !is_system(topic);
        if unsigned > 0 && exists {
            let message =
                format!("{group} has consumed {offset} messages of {topic} queue {queue_id}, which is not there");
            let found = finding("offsets.no-queue", at(), message);
            cx.push(if cx.facts.slave { at_most(Severity::Info, found) } else { found });
        }
        return;
    };
    if unsigned > max {
        let message = format!("{group} stands at {offset} in {topic} queue {queue_id}, which ends at {max}");
        let found = finding("offsets.beyond-max", at(), message).values(format_args!("at most {max}"), offset);
        cx.push(milder(cx, found, log, state.restarted));
    } else if unsigned < min {
        let message = format!("{group} stands at {offset} in {topic} queue {queue_id}, which begins at {min}");
        cx.push(finding("offsets.behind-min", at(), message).values(format_args!("at least {min}"), offset));
    }
}

/// A slave's queues lag behind the offsets that its master sent, and units may wait for dispatch; a topic that was made
/// again keeps the offsets of its old life, which only a full run can tell.
fn milder(cx: &Context<'_>, found: Finding, log: &LogFacts, restarted: bool) -> Finding {
    if cx.facts.slave || cx.facts.in_motion() {
        at_most(Severity::Info, found)
    } else if restarted || !cx.is_full() || log.scanned_nothing() {
        at_most(Severity::Warning, found)
    } else {
        found
    }
}

fn delay(cx: &mut Context<'_>, ranges: &mut Ranges<'_>, level: i32, offset: i64) {
    let at =
        || Location::path("config/delayOffset.json").in_queue(SCHEDULE_TOPIC, level.saturating_sub(1)).at_unit(offset);
    let Some(unsigned) = u64::try_from(offset).ok().filter(|_| level >= 1) else {
        cx.push(finding("delay.level", at(), format!("level {level} has offset {offset}")));
        return;
    };
    if cx.facts.rocksdb_queues {
        return;
    }
    let (min, max) = ranges.of(cx, SCHEDULE_TOPIC, level - 1).map_or((0, 0), |(range, _)| range);
    if unsigned > max {
        let message = format!("level {level} was delivered up to {offset}, its queue ends at {max}");
        let found = finding("delay.beyond-max", at(), message).values(format_args!("at most {max}"), offset);
        cx.push(if cx.facts.slave || cx.facts.in_motion() { at_most(Severity::Info, found) } else { found });
    } else if unsigned < min {
        let message = format!("level {level} stands at {offset}, its queue begins at {min}");
        cx.push(finding("delay.behind-min", at(), message).values(format_args!("at least {min}"), offset));
    }
}
