//! Offsets of groups, delay levels and the timer: both values, and which one stands after the next sync.
//!
//! A slave asks its master every 10 or 60 seconds and puts the answer over its own table (`SlaveSynchronize`): the
//! master's value stands, also a lower one, and keys that only the slave has stay. From 5.0.0 on a returning master
//! with `enableSlaveActingMaster` takes the slave's table first, if its data version is newer.

use std::collections::BTreeSet;

use mqstore_core::format::config::consumer_offset::split_topic_at_group;
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;

use super::report::{DelayDiff, DiffReport, OffsetDiff, OffsetState, TimerDiff, Which};
use super::{Area, Pair};
use crate::finding::{Finding, Location};
use crate::snapshot::{OffsetTable, QueuePosition, Snapshot, find_queue};

const CONSUMER: &str = "consumerOffset.json";
/// What pull consumers have fetched; whether a slave gets it from its master was not seen.
const PULL: &str = "consumerOffset.json#pullOffsetTable";
const LMQ: &str = "lmqConsumerOffset.json";

pub(super) fn compare(pair: &mut Pair<'_>, result: &mut DiffReport) {
    if pair.wants(Area::Offsets) {
        pair.unread(Area::Offsets);
        consumer_offsets(pair, result);
    }
    if pair.wants(Area::Delay) {
        pair.unread(Area::Delay);
        delay_offsets(pair, result);
    }
    if pair.wants(Area::Timer) {
        pair.unread(Area::Timer);
        timer(pair, result);
    }
}

fn consumer_offsets(pair: &mut Pair<'_>, result: &mut DiffReport) {
    let [a, b] = [pair.a.snapshot, pair.b.snapshot];
    let empty = OffsetTable::new();
    let plain = [a, b].map(|side| side.consumer_offsets.as_ref().unwrap_or(&empty));
    table(pair, result, None, [a, b], plain);
    if a.lmq_consumer_offsets.is_some() || b.lmq_consumer_offsets.is_some() {
        let both = [a, b].map(|side| {
            let lmq = side.lmq_consumer_offsets.clone().unwrap_or_default();
            let single = lmq.lmq_offset_table.into_iter().map(|(key, offset)| (key, [(0, offset)].into()));
            lmq.offset_table.into_iter().chain(single).collect::<OffsetTable>()
        });
        table(pair, result, Some(LMQ), [a, b], both.each_ref());
    }
    if a.pull_offsets.is_some() || b.pull_offsets.is_some() {
        let both = [a, b].map(|side| side.pull_offsets.as_ref().unwrap_or(&empty));
        table(pair, result, Some(PULL), [a, b], both);
    }
    let distance = |diff: &OffsetDiff| diff.a.unwrap_or(0).abs_diff(diff.b.unwrap_or(0));
    result.consumer_offsets.sort_by_key(|diff| std::cmp::Reverse((diff.replayed, distance(diff))));
}

fn table(
    pair: &mut Pair<'_>,
    result: &mut DiffReport,
    file: Option<&'static str>,
    snapshots: [&Snapshot; 2],
    [a, b]: [&OffsetTable; 2],
) {
    let mut keys_a = a.iter().peekable();
    let mut keys_b = b.iter().peekable();
    let none = std::collections::BTreeMap::new();
    // Both tables are sorted: walked side by side, a million offsets need no look-up.
    loop {
        let key = match (keys_a.peek(), keys_b.peek()) {
            (Some((x, _)), Some((y, _))) => (*x).min(*y),
            (Some((x, _)), None) => *x,
            (None, Some((y, _))) => *y,
            (None, None) => break,
        };
        let queues_a = keys_a.next_if(|(x, _)| *x == key).map_or(&none, |(_, queues)| queues);
        let queues_b = keys_b.next_if(|(y, _)| *y == key).map_or(&none, |(_, queues)| queues);
        let Some((topic, group)) = split_topic_at_group(key) else { continue };
        let logical = snapshots.iter().any(|side| side.static_topics.iter().any(|name| name == topic));
        let ranges = snapshots.map(|side| side.queues.get(topic).map(Vec::as_slice).unwrap_or_default());
        let mut one = |queue_id: i32, a: Option<i64>, b: Option<i64>| {
            result.compared_offsets += 1;
            let [a_state, b_state] = [(a, ranges[0]), (b, ranges[1])].map(|(offset, ranges)| {
                offset.filter(|_| !logical).map(|offset| state(offset, find_queue(ranges, queue_id)))
            });
            let bad = |state| matches!(state, Some(OffsetState::BehindMin | OffsetState::BeyondMax));
            if a == b && !bad(a_state) && !bad(b_state) {
                return;
            }
            let diff = judge(pair, file, (topic, group, queue_id), a, b);
            let diff = OffsetDiff { a_state, b_state, ..diff };
            tell(pair, &diff);
            result.consumer_offsets.push(diff);
        };
        if queues_a.len() == queues_b.len() && queues_a.keys().eq(queues_b.keys()) {
            for ((queue_id, a), b) in queues_a.iter().zip(queues_b.values()) {
                one(*queue_id, Some(*a), Some(*b));
            }
        } else {
            let queues: BTreeSet<_> = queues_a.keys().chain(queues_b.keys()).copied().collect();
            for queue_id in queues {
                one(queue_id, queues_a.get(&queue_id).copied(), queues_b.get(&queue_id).copied());
            }
        }
    }
}

fn state(offset: i64, queue: Option<&QueuePosition>) -> OffsetState {
    let Some(queue) = queue else { return OffsetState::NoQueue };
    let Ok(offset) = u64::try_from(offset) else { return OffsetState::BehindMin };
    if offset < queue.min_offset {
        OffsetState::BehindMin
    } else if offset > queue.max_offset {
        OffsetState::BeyondMax
    } else {
        OffsetState::Ok
    }
}

fn judge(
    pair: &Pair<'_>,
    file: Option<&'static str>,
    (topic, group, queue_id): (&str, &str, i32),
    a: Option<i64>,
    b: Option<i64>,
) -> OffsetDiff {
    let of = |which| if which == Which::A { a } else { b };
    let winner = pair.roles.winner();
    // Keys that the master does not have stay on the slave.
    let winner = if of(winner).is_none() && !pair.roles.before_after { winner.other() } else { winner };
    let (wins, loses) = (of(winner), of(winner.other()));
    let (replayed, skipped) = match (wins, loses) {
        (Some(wins), Some(loses)) => {
            let distance = wins.abs_diff(loses);
            if wins < loses { (distance, 0) } else { (0, distance) }
        }
        _ => (0, 0),
    };
    OffsetDiff {
        file,
        group: group.to_owned(),
        topic: topic.to_owned(),
        queue_id,
        a,
        b,
        a_state: None,
        b_state: None,
        winner,
        replayed,
        skipped,
    }
}

fn tell(pair: &mut Pair<'_>, diff: &OffsetDiff) {
    if diff.file == Some(PULL) && !pair.roles.before_after {
        return;
    }
    let file = diff.file.filter(|file| *file != PULL).unwrap_or(CONSUMER);
    let place = || {
        Location::path(format!("config/{file}"))
            .in_queue(diff.topic.clone(), diff.queue_id)
            .of_group(diff.group.clone())
    };
    for (which, offset, state) in [(Which::A, diff.a, diff.a_state), (Which::B, diff.b, diff.b_state)] {
        let Some(offset) = offset else { continue };
        let name = pair.roles.name(which);
        let queue = pair.side(which).snapshot.queue(&diff.topic, diff.queue_id).copied();
        let (min, max) = queue.map_or((0, 0), |queue| (queue.min_offset, queue.max_offset));
        let finding = match state {
            Some(OffsetState::BeyondMax) => {
                let message = format!("{name} ({which}): the group is at {offset}, the queue ends at {max}");
                Finding::info("pair.offset-beyond-max", place(), message)
                    .values(format!("at most {max}"), offset)
                    .consequence("up to 4.9.3 the consumer is sent to 0 if the queue begins there, else to the end; later always to the end")
            }
            Some(OffsetState::BehindMin) => {
                let message = format!("{name} ({which}): the group is at {offset}, the queue begins at {min}");
                Finding::info("pair.offset-behind-min", place(), message)
                    .values(format!("at least {min}"), offset)
                    .consequence("messages were removed before the group got them; it goes on at the minimum")
            }
            _ => continue,
        };
        pair.report.push(finding);
    }
    if diff.a == diff.b {
        return;
    }
    let of = |which| if which == Which::A { diff.a } else { diff.b };
    let (first, second) = (of(pair.roles.first), of(pair.roles.second()));
    let finding = if pair.roles.before_after {
        match (first, second) {
            (Some(before), None) => {
                let message = format!("the group had reached {before} and has no offset any more");
                Finding::error("pair.offset-lost", place(), message)
            }
            (Some(before), Some(after)) if after < before => {
                let message =
                    format!("the group is at {after}, before at {before}: it gets {} messages again", before - after);
                Finding::error("pair.offset-lost", place(), message).values(format!("at least {before}"), after)
            }
            _ => return,
        }
    } else {
        match (first, second) {
            (Some(master), Some(slave)) if slave > master => {
                let message = format!(
                    "the slave has {slave}, the master {master}: {} messages are consumed again",
                    diff.replayed
                );
                Finding::warning("pair.offset-goes-back", place(), message)
                    .values(format!("at most {master} on the slave"), slave)
                    .consequence(
                        "the next sync puts the master's value over the slave's; a trace of consuming from the slave",
                    )
                    .suggest(
                        "write the larger offsets with diff --merge-offsets, and put the file to the stopped master",
                    )
            }
            (Some(master), slave) => {
                let distance = master.abs_diff(slave.unwrap_or(0));
                let message = format!(
                    "the slave has {}, the master {master}",
                    slave.map_or("nothing".to_owned(), |s| s.to_string())
                );
                let beyond = pair.options.limits.messages_exceeded(distance);
                let severity = if beyond { crate::Severity::Warning } else { crate::Severity::Info };
                Finding::new("pair.offset-behind", severity, place(), message)
                    .consequence("normal for the time between two syncs; a switch now replays these messages")
            }
            (None, _) => {
                let message = "only the slave has an offset".to_owned();
                Finding::info("pair.offset-on-slave-only", place(), message).consequence(
                    "a sync never removes keys, so groups that were deleted on the master stay on the slave",
                )
            }
        }
    };
    pair.report.push(finding);
}

fn delay_offsets(pair: &mut Pair<'_>, result: &mut DiffReport) {
    let empty = std::collections::BTreeMap::new();
    let tables = [pair.a.snapshot, pair.b.snapshot];
    let [a, b] = tables.map(|side| side.delay_offsets.as_ref().unwrap_or(&empty));
    let levels: BTreeSet<i32> = a.keys().chain(b.keys()).copied().collect();
    for level in levels {
        let (a, b) = (a.get(&level).copied(), b.get(&level).copied());
        let of = |which| if which == Which::A { a } else { b };
        let winner = pair.roles.winner();
        let (wins, loses) = (of(winner).unwrap_or(0), of(winner.other()).unwrap_or(0));
        let replayed = u64::try_from(loses.saturating_sub(wins)).unwrap_or(0);
        result.delay_offsets.push(DelayDiff { level, a, b, winner, replayed });
        // A level that never fired is left out or 0, by release.
        if wins == loses {
            continue;
        }
        let place = Location::path("config/delayOffset.json").in_queue(SCHEDULE_TOPIC, level.saturating_sub(1));
        let (first, second) = (of(pair.roles.first).unwrap_or(0), of(pair.roles.second()).unwrap_or(0));
        let finding = if pair.roles.before_after {
            if second >= first {
                continue;
            }
            let message = format!("delay level {level} is at {second}, before at {first}: its messages fire again");
            Finding::error("pair.delay-lost", place, message).values(format!("at least {first}"), second)
        } else if second > first {
            let message = format!("delay level {level}: the slave has {second}, the master {first}");
            Finding::warning("pair.delay-goes-back", place, message)
                .consequence("the next sync puts the master's value over the slave's, and these messages fire again")
        } else {
            let message = format!("delay level {level}: the slave has {second}, the master {first}");
            let beyond = pair.options.limits.messages_exceeded(first.abs_diff(second));
            let severity = if beyond { crate::Severity::Warning } else { crate::Severity::Info };
            Finding::new("pair.delay-behind", severity, place, message).consequence(
                "normal for the time between two syncs; a slave that becomes master now fires these messages again",
            )
        };
        pair.report.push(finding);
    }
    if pair.roles.before_after {
        return;
    }
    if pair.side(pair.roles.second()).snapshot.delay_offsets_compact {
        let place = Location::path("config/delayOffset.json");
        let finding = Finding::info("pair.delay-compact", place, "the slave's delayOffset.json is one line")
            .consequence("healthy: a slave writes its master's answer as it came (seen on 3.5.8 to 5.3.3)");
        pair.report.push(finding);
    }
}

fn timer(pair: &mut Pair<'_>, result: &mut DiffReport) {
    let (a, b) = (pair.a.snapshot.timer, pair.b.snapshot.timer);
    if a.is_none() && b.is_none() {
        return;
    }
    result.timer = Some(TimerDiff { a, b });
    let of = |which| if which == Which::A { a } else { b };
    let (Some(first), Some(second)) = (of(pair.roles.first), of(pair.roles.second())) else { return };
    let place = Location::path("config/timercheck");
    if pair.roles.before_after {
        if second.last_timer_queue_offset < first.last_timer_queue_offset {
            let message = format!(
                "the timer takes messages from {} on, before from {} on",
                second.last_timer_queue_offset, first.last_timer_queue_offset
            );
            let finding = Finding::warning("pair.timer-goes-back", place, message);
            pair.report.push(finding.consequence("timers are enqueued again; those that fired already fire again"));
        }
    } else if first.last_read_time_ms != second.last_read_time_ms
        || first.last_timer_queue_offset != second.last_timer_queue_offset
    {
        let message = format!(
            "the timer has fired up to {} ms on the master, {} ms on the slave",
            first.last_read_time_ms, second.last_read_time_ms
        );
        let finding = Finding::info("pair.timer", place, message);
        pair.report.push(finding.consequence(
            "a slave copies this time every 3 seconds and enqueues by itself; a switch fires again what lies between",
        ));
    }
}
