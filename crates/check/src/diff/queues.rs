//! Consume queues: ranges, and between two stores every unit that both have.
//!
//! Each side derives its queues from its log, so with equal logs they are equal unit by unit over the queue offsets that
//! both have. Independent are the beginnings (expiry), the filling before a slave's first message, addresses of
//! extension units, and due times of delayed messages under another `messageDelayLevel`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit, TagsCode};
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::store::{ConsumeQueue, MappedFile};
use mqstore_core::{QueueOffset, StoreError};

use super::report::{DiffReport, QueueDiff, QueueSpan, Which};
use super::{Area, Pair};
use crate::finding::{Finding, Location};
use crate::snapshot::{QueuePosition, Snapshot, SnapshotError, full_text};

const UNIT: u64 = CQ_UNIT_LENGTH as u64;

type Key<'a> = (&'a str, u32);
type Files = BTreeMap<(String, u32), ConsumeQueue>;

/// A unit that differs although both sides have one for its queue offset.
struct Different {
    queue_offset: u64,
    a: CqUnit,
    b: CqUnit,
}

pub(super) fn compare(pair: &mut Pair<'_>, result: &mut DiffReport) -> Result<(), SnapshotError> {
    if !pair.wants(Area::Queues) {
        return Ok(());
    }
    pair.unread(Area::Queues);
    let snapshots = [pair.a.snapshot, pair.b.snapshot];
    let [a, b] = snapshots.map(positions);
    let files = [open(pair, Which::A)?, open(pair, Which::B)?];
    let keys: BTreeSet<Key<'_>> = a.keys().chain(b.keys()).copied().collect();
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        if pair.progress.cancelled() {
            return Err(SnapshotError::Cancelled);
        }
        let (in_a, in_b) = (a.get(&key).copied(), b.get(&key).copied());
        let mut row = QueueDiff {
            topic: key.0.to_owned(),
            queue_id: key.1,
            a: in_a.map(span),
            b: in_b.map(span),
            lag: end(in_a).abs_diff(end(in_b)),
            first_difference: None,
        };
        if let (Some(in_a), Some(in_b)) = (in_a, in_b) {
            match compare_units(&files, key, in_a, in_b, &mut result.compared_units) {
                Ok(different) => {
                    row.first_difference = different.as_ref().map(|different| different.queue_offset);
                    if let Some(different) = different {
                        unit_differs(pair, key, &different);
                    }
                }
                Err(error) => pair.report.skip(format!("consumequeue/{}/{}", key.0, key.1), full_text(&error)),
            }
        }
        if pair.roles.before_after {
            lost(pair, key, in_a, in_b);
        } else {
            behind(pair, &files, key, in_a, in_b);
        }
        rows.push(row);
    }
    rows.sort_by(|x, y| {
        let worst = |row: &QueueDiff| (row.first_difference.is_none(), std::cmp::Reverse(row.lag));
        worst(x).cmp(&worst(y)).then_with(|| (&x.topic, x.queue_id).cmp(&(&y.topic, y.queue_id)))
    });
    result.queues = rows;
    Ok(())
}

fn positions(snapshot: &Snapshot) -> BTreeMap<Key<'_>, QueuePosition> {
    let topics = snapshot.queues.iter();
    topics.flat_map(|(topic, queues)| queues.iter().map(move |q| ((topic.as_str(), q.queue_id), *q))).collect()
}

fn open(pair: &Pair<'_>, which: Which) -> Result<Files, SnapshotError> {
    let Some(store) = &pair.side(which).store else { return Ok(Files::new()) };
    let queues = store.consumequeues()?.into_iter();
    Ok(queues.map(|queue| ((queue.topic().to_owned(), queue.queue_id()), queue)).collect())
}

fn span(queue: QueuePosition) -> QueueSpan {
    QueueSpan { min_offset: queue.min_offset, max_offset: queue.max_offset }
}

fn end(queue: Option<QueuePosition>) -> u64 {
    queue.map_or(0, |queue| queue.max_offset)
}

/// The first unit that differs. With files on both sides all units are compared, else the last one.
fn compare_units(
    [files_a, files_b]: &[Files; 2],
    key: Key<'_>,
    a: QueuePosition,
    b: QueuePosition,
    compared: &mut u64,
) -> Result<Option<Different>, StoreError> {
    let name = (key.0.to_owned(), key.1);
    let (from, to) = (a.first_offset.max(b.first_offset), a.max_offset.min(b.max_offset));
    if from >= to {
        return Ok(None);
    }
    let unit = |files: &Files, at: u64| match files.get(&name) {
        Some(queue) => queue.unit(QueueOffset(at)),
        None => Ok(None),
    };
    match (files_a.get(&name), files_b.get(&name)) {
        (Some(queue_a), Some(queue_b)) => {
            *compared += to - from;
            compare_files(key.0, queue_a, queue_b, from, to)
        }
        (of_a, of_b) => {
            // The last unit of a snapshot against the store's at that place, or against the other snapshot's last one.
            let at = to - 1;
            let last = |queue: &QueuePosition| queue.last.filter(|_| queue.max_offset == to);
            let unit_a = if of_a.is_some() { unit(files_a, at)? } else { last(&a) };
            let unit_b = if of_b.is_some() { unit(files_b, at)? } else { last(&b) };
            let (Some(unit_a), Some(unit_b)) = (unit_a, unit_b) else { return Ok(None) };
            *compared += 1;
            Ok((!same(key.0, unit_a, unit_b)).then_some(Different { queue_offset: at, a: unit_a, b: unit_b }))
        }
    }
}

fn compare_files(
    topic: &str,
    a: &ConsumeQueue,
    b: &ConsumeQueue,
    from: u64,
    to: u64,
) -> Result<Option<Different>, StoreError> {
    let mut map: Option<(u64, MappedFile)> = None;
    let mut found = None;
    let mut failed = None;
    a.visit_units(QueueOffset(from), QueueOffset(to), |at, unit_a| {
        let Some(place) = at.get().checked_mul(UNIT) else { return ControlFlow::Break(()) };
        let Some(file) = b.queue().find(place) else { return ControlFlow::Continue(()) };
        if map.as_ref().is_none_or(|(base, _)| *base != file.file_from_offset) {
            match file.map() {
                Ok(mapped) => map = Some((file.file_from_offset, mapped)),
                Err(error) => {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
        }
        let bytes = map.as_ref().map(|(_, map)| &**map).unwrap_or_default();
        let inside = usize::try_from(place - file.file_from_offset).unwrap_or(usize::MAX);
        match CqUnit::read(bytes.get(inside..).unwrap_or_default()) {
            Some(unit_b) if !same(topic, unit_a, unit_b) => {
                found = Some(Different { queue_offset: at.get(), a: unit_a, b: unit_b });
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    })?;
    failed.map_or(Ok(found), Err)
}

/// Whether two units mean the same message and filter value.
fn same(topic: &str, a: CqUnit, b: CqUnit) -> bool {
    if (a.physical_offset, a.size) != (b.physical_offset, b.size) {
        return false;
    }
    let local = |unit: CqUnit| match unit.tags_code_kind() {
        TagsCode::ExtAddress(_) => true,
        TagsCode::DueTime(_) => topic == SCHEDULE_TOPIC,
        TagsCode::Hash(_) => false,
    };
    a.tags_code == b.tags_code || (local(a) || local(b))
}

fn location(key: Key<'_>) -> Location {
    Location::path(format!("consumequeue/{}/{}", key.0, key.1))
        .in_queue(key.0, i32::try_from(key.1).unwrap_or(i32::MAX))
}

fn unit_differs(pair: &mut Pair<'_>, key: Key<'_>, different: &Different) {
    let Different { queue_offset, a, b } = different;
    let shown = |unit: &CqUnit| format!("{} + {}, tags code {}", unit.physical_offset, unit.size, unit.tags_code);
    let place = location(key).at_unit(i64::try_from(*queue_offset).unwrap_or(i64::MAX));
    let message = format!("the sides have different units for queue offset {queue_offset}");
    let finding = Finding::error("pair.unit-differs", place, message).values(shown(a), shown(b)).consequence(
        "a group that changes sides gets messages twice or never; seen after a rollback that re-used queue offsets",
    );
    pair.report.push(finding);
}

/// Before and after: no queue may be gone or shorter.
fn lost(pair: &mut Pair<'_>, key: Key<'_>, a: Option<QueuePosition>, b: Option<QueuePosition>) {
    let (before, after) = if pair.roles.first == Which::A { (a, b) } else { (b, a) };
    let Some(before) = before else { return };
    let finding = match after {
        None if before.max_offset > 0 => Finding::error(
            "pair.queue-lost",
            location(key),
            format!("the queue is gone; it had reached {}", before.max_offset),
        ),
        Some(after) if after.max_offset < before.max_offset => {
            let message = format!("the queue ends at {}, before at {}", after.max_offset, before.max_offset);
            Finding::error("pair.queue-lost", location(key), message).values(before.max_offset, after.max_offset)
        }
        _ => return,
    };
    pair.report.push(finding.consequence("its messages cannot be consumed, and new ones re-use their queue offsets"));
}

/// Master and slave: a queue may be shorter only by messages that lie behind the end of the shorter log.
fn behind(pair: &mut Pair<'_>, files: &[Files; 2], key: Key<'_>, a: Option<QueuePosition>, b: Option<QueuePosition>) {
    if end(a) == end(b) {
        return;
    }
    let (shorter, in_short, in_long) = if end(a) < end(b) { (Which::A, a, b) } else { (Which::B, b, a) };
    let Some(long) = in_long else { return };
    let name = pair.roles.name(shorter);
    let (short_log, long_log) = (&pair.side(shorter).snapshot.log, &pair.side(shorter.other()).snapshot.log);
    // The first message that the shorter queue lacks, where its unit is at hand; else the range of those it lacks.
    let from = end(in_short).max(long.min_offset);
    let of_long = files.get(usize::from(shorter == Which::A)).and_then(|files| files.get(&(key.0.to_owned(), key.1)));
    let first = of_long.and_then(|queue| queue.unit(QueueOffset(from)).ok().flatten());
    let first = first.map(|unit| unit.physical_offset.cast_unsigned());
    let first = first.or(long.min_physical_offset.filter(|_| from == long.min_offset));
    let last = long.last.map_or(u64::MAX, |unit| unit.physical_end());
    let explained = match first {
        Some(first) => first >= short_log.max_offset || last <= short_log.min_offset,
        None => last > short_log.max_offset || last <= short_log.min_offset,
    };
    let messages = long.max_offset - from;
    let message = match in_short {
        Some(_) => format!("{name} ({shorter}): the queue ends {messages} messages earlier than on the other side"),
        None => format!("{name} ({shorter}): there is no such queue, the other side has {messages} messages in it"),
    };
    if explained && long.min_offset < long.max_offset {
        // The log says how far the side is behind; a queue adds to that only where a limit for messages is passed. A master
        // that is shorter has a slave that is ahead, which is said once.
        let limit = pair.options.limits.messages_exceeded(messages)
            && last > short_log.max_offset
            && shorter == pair.roles.second();
        let finding = if limit {
            Finding::warning("pair.queue-behind", location(key), message)
        } else {
            Finding::info("pair.queue-behind", location(key), message)
        };
        pair.report.push(finding.consequence("its log does not hold these messages yet, or never did"));
    } else if last <= long_log.min_offset {
        pair.report.push(
            Finding::info("pair.queue-lingers", location(key), message).consequence("its messages have left the log"),
        );
    } else {
        let finding = Finding::warning("pair.queue-missing", location(key), message)
            .consequence("both logs hold these messages, so the units are missing: the broker stopped before it had derived them, or lost them")
            .suggest("mqstore boot tells whether the next start derives them");
        pair.report.push(finding);
    }
}
