//! Batch queues: files of 46-byte units in `batchconsumequeue`, and whether a topic's queues are of its kind.

use std::collections::BTreeSet;

use mqstore_core::format::batchconsumequeue::{BATCH_CQ_UNIT_LENGTH, BatchCqUnit, BatchCqUnits, NO_COMPACTED_OFFSET};
use mqstore_core::format::consumequeue::CqUnit;
use mqstore_core::store::BatchConsumeQueue;

use super::commitlog::LogFacts;
use super::facts::config_dir;
use super::logreader::LogReader;
use super::queue_state::Special;
use super::queues::Queues;
use super::units::{Unit, Walk};
use super::{Context, at_most, finding, layout};
use crate::finding::{Location, Severity};

const UNIT: u64 = BATCH_CQ_UNIT_LENGTH as u64;

/// Lists the batch queues, looks at their files, and makes them known to `queues`.
pub(super) fn open(cx: &mut Context<'_>, queues: &mut Queues) -> Vec<BatchConsumeQueue> {
    let batch_queues = match cx.store.batch_consumequeues() {
        Ok(batch_queues) => batch_queues,
        Err(error) => {
            cx.unreadable(&error);
            return Vec::new();
        }
    };
    layout::queue_files(cx, batch_queues.iter().map(BatchConsumeQueue::queue));
    for queue in &batch_queues {
        let Ok(queue_id) = i32::try_from(queue.queue_id()) else { continue };
        match queue.range(cx.log.min_offset()) {
            Ok(range) => {
                let end = last_unit(queue).map_or(0, |unit| unit.physical_end());
                let range = (range.min_offset.get(), range.max_offset.get());
                queues.add_special(queue.topic(), queue_id, Special::new(end, range));
            }
            Err(error) => cx.unreadable(&error),
        }
    }
    batch_queues
}

/// The last unit that counts; a hole ends the queue for a broker, but not what was dispatched.
fn last_unit(queue: &BatchConsumeQueue) -> Option<BatchCqUnit> {
    queue.queue().files().iter().rev().find_map(|file| {
        let map = file.map().ok()?;
        let units = BatchCqUnits::new(&map);
        (0..units.capacity()).rev().filter_map(|n| units.get(n)).find(BatchCqUnit::is_valid)
    })
}

/// Looks at every unit, and at the kinds of all queues.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, batch_queues: &[BatchConsumeQueue], log: &LogFacts) {
    let mut reader = LogReader::new(cx.log);
    for queue in batch_queues {
        if cx.stopped {
            return;
        }
        units(cx, queues, queue, log, &mut reader);
    }
    kinds(cx, queues, batch_queues);
}

fn units(cx: &mut Context<'_>, queues: &Queues, queue: &BatchConsumeQueue, log: &LogFacts, reader: &mut LogReader<'_>) {
    let queue_id = queue.queue_id().cast_signed();
    let Some(state) = queues.get(queue.topic(), queue_id) else { return };
    let mut walk = Walk::new(queue.topic(), queue_id);
    // Runs of units that do not count: how many, and where the first lies.
    let [mut empty, mut hole, mut invalid, mut old]: [Option<(u64, Location)>; 4] = [const { None }; 4];
    let add = |run: &mut Option<(u64, Location)>, count: u64, at: Location| {
        run.get_or_insert((0, at)).0 += count;
    };
    for file in queue.queue().files() {
        let map = match file.map() {
            Ok(map) => map,
            Err(error) => {
                cx.unreadable(&error);
                continue;
            }
        };
        cx.total += file.length;
        cx.report.coverage.files.total += 1;
        cx.report.coverage.files.seen += 1;
        let path = cx.relative(&file.path);
        for (unit, n) in BatchCqUnits::new(&map).iter().zip(0u64..) {
            let place = || {
                let at = Location::path(&path).at(n * UNIT).spanning(UNIT).in_queue(queue.topic(), queue_id);
                at.at_unit(unit.base_offset)
            };
            if unit.is_zero() {
                add(&mut empty, 1, place());
                continue;
            }
            if !unit.is_valid() {
                add(&mut invalid, 1, place());
                continue;
            }
            if let Some((count, at)) = empty.take() {
                let older = walk.last_physical_offset().is_some_and(|last| unit.physical_offset <= last);
                if older || (log.reached_end && unit.physical_offset.cast_unsigned() >= log.end) {
                    empty = Some((count, at));
                    add(&mut old, 1, place());
                    continue;
                }
                add(&mut hole, count, at);
            }
            if unit.compacted_offset != NO_COMPACTED_OFFSET || unit.reserved != 0 {
                let message =
                    format!("compacted offset {} and reserved {} of a unit", unit.compacted_offset, unit.reserved);
                let found = finding("queue.invalid-unit", place(), message);
                cx.push(at_most(Severity::Warning, found.values("-1 and 0", "other values")));
            }
            walk.step(cx, reader, log, place, plain(&unit));
        }
        if let Err(error) = map.check() {
            cx.unreadable(&error);
            return;
        }
        if !cx.advance(file.length) {
            return;
        }
    }
    for (run, id, what) in [
        (hole, "queue.hole", "empty units with used ones behind them"),
        (invalid, "queue.invalid-unit", "units that a broker does not take for one"),
        (old, "queue.stale-tail", "old units behind the end of the queue"),
    ] {
        if let Some((count, at)) = run {
            cx.push(finding(id, at, format!("{count} {what}")));
        }
    }
    walk.finish(cx, state, log);
}

fn plain(unit: &BatchCqUnit) -> Unit {
    Unit {
        queue_offset: unit.base_offset,
        messages: i64::from(unit.batch_size),
        plain: CqUnit { physical_offset: unit.physical_offset, size: unit.size, tags_code: unit.tags_code },
        store_timestamp: unit.store_timestamp,
    }
}

/// A broker does not start on a queue that is not of its topic's kind.
fn kinds(cx: &mut Context<'_>, queues: &Queues, batch_queues: &[BatchConsumeQueue]) {
    let table = config_dir(cx.store).topics();
    let Some(table) = table.at(table.newest()).and_then(|loaded| loaded.value()) else { return };
    let is_batch = |topic: &str| {
        let attributes = table.topics.get(topic).and_then(|topic| topic.attributes.as_ref());
        attributes.and_then(|attributes| attributes.get("queue.type")).is_some_and(|kind| kind == "BatchCQ")
    };
    let mut folders: BTreeSet<(&str, bool)> = batch_queues.iter().map(|queue| (queue.topic(), true)).collect();
    let plain = queues.states.iter().filter(|state| state.files.is_some());
    folders.extend(plain.map(|state| (state.topic.as_str(), false)));
    for (topic, in_batch) in folders {
        if is_batch(topic) != in_batch {
            let folder = if in_batch { "batchconsumequeue" } else { "consumequeue" };
            let kind = if in_batch { "no BatchCQ topic" } else { "a BatchCQ topic" };
            let message = format!("{topic:?} is {kind} in topics.json and has queues in {folder}");
            let at = Location { topic: Some(topic.to_owned()), ..Location::path(format!("{folder}/{topic}")) };
            cx.push(finding("queue.type", at, message));
        }
    }
}
