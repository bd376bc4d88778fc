//! Compacted topics: pairs of log and queue files, units against the copies of records, and the position reached.

use std::ops::ControlFlow;

use mqstore_core::StoreError;
use mqstore_core::format::batchconsumequeue::{BATCH_CQ_UNIT_LENGTH, BatchCqUnit, NO_COMPACTED_OFFSET};
use mqstore_core::format::commitlog::{MessageRecord, names};
use mqstore_core::format::java_hash;
use mqstore_core::store::CompactedQueue;

use super::queues::Queues;
use super::{Context, finding};
use crate::finding::Location;

/// Looks at every compacted queue.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues) {
    let compacted = match cx.store.compacted_queues() {
        Ok(compacted) => compacted,
        Err(error) => {
            cx.unreadable(&error);
            return;
        }
    };
    match cx.store.compaction_leftovers() {
        Ok(leftovers) => {
            for path in leftovers {
                let path = cx.relative(&path);
                let message = format!("{path} was left by a compaction that did not end");
                cx.push(finding("queue.compaction-leftover", Location::path(path), message));
            }
        }
        Err(error) => cx.unreadable(&error),
    }
    let positions = cx.store.compaction_positions().into_value();
    for queue in &compacted {
        if cx.stopped {
            return;
        }
        let last = match one(cx, queue) {
            Ok(last) => last,
            Err(error) => {
                cx.unreadable(&error);
                continue;
            }
        };
        let end = queues.get(queue.topic(), queue.queue_id().cast_signed()).and_then(|state| {
            let elsewhere = state.special.map(|special| special.range.1);
            let end = state.files.as_ref().map(|_| state.used_end).or(elsewhere)?;
            i64::try_from(end).ok()
        });
        let position = positions.as_ref().and_then(|positions| positions.of(queue.topic(), queue.queue_id()));
        if let (Some(position), Some(end)) = (position, end)
            && position >= end.max(last.map_or(0, |last| last.saturating_add(1)))
        {
            let message = format!("compacted up to {position}, the queue ends at {end}");
            let at = Location::path("compaction/position-checkpoint");
            let at = at.in_queue(queue.topic(), queue.queue_id().cast_signed()).at_unit(position);
            cx.push(finding("queue.compaction-position", at, message).values(format_args!("below {end}"), position));
        }
    }
}

/// The pairs of one queue; gives the queue offset of its last unit.
fn one(cx: &mut Context<'_>, queue: &CompactedQueue) -> Result<Option<i64>, StoreError> {
    for file in queue.unpaired() {
        let path = cx.relative(&file.path);
        let message = format!("{path} has no partner of the same name");
        cx.push(finding("queue.compaction-pair", Location::path(path), message));
    }
    for files in [queue.log(), queue.queue()] {
        // Names do not meet, and foreign entries are what a compaction leaves.
        for file in files.files().iter().filter(|file| file.length != files.file_size()) {
            let message = format!("length not matched: {} bytes, the others have {}", file.length, files.file_size());
            let at = Location::path(cx.relative(&file.path)).spanning(file.length);
            cx.push(finding("queue.file-length", at, message).values(files.file_size(), file.length));
        }
        let bytes: u64 = files.files().iter().map(|file| file.length).sum();
        cx.report.coverage.files.total += files.files().len() as u64;
        cx.report.coverage.files.seen += files.files().len() as u64;
        cx.total += bytes;
        if !cx.advance(bytes) {
            return Ok(None);
        }
    }
    let dir = format!("compaction/compactionCq/{}/{}", queue.topic(), queue.queue_id());
    let place = |unit: &BatchCqUnit| {
        let at = Location::path(&dir).in_queue(queue.topic(), queue.queue_id().cast_signed());
        at.at_unit(unit.base_offset)
    };
    let mut last: Option<i64> = None;
    let pairs = queue.visit(|unit, record| {
        let wrong = match record {
            Ok(record) => difference(queue, unit, &record),
            Err(error) => Some(format!("no record: {}", error.kind)),
        };
        if let Some(wrong) = wrong {
            let message = format!("unit of queue offset {} at {}: {wrong}", unit.base_offset, unit.physical_offset);
            cx.push(finding("queue.compaction-unit", place(unit), message));
        }
        if last.is_some_and(|last| unit.base_offset <= last) {
            let message = format!("queue offset {} behind {}", unit.base_offset, last.unwrap_or(0));
            cx.push(finding("queue.order", place(unit), message).values("a higher one", unit.base_offset));
        }
        last = Some(unit.base_offset);
        ControlFlow::Continue(())
    })?;
    for (pair, file) in pairs.iter().zip(queue.queue().files()) {
        let map = file.map()?;
        let closing = pair.units.saturating_add(u64::from(pair.closed)).saturating_mul(BATCH_CQ_UNIT_LENGTH as u64);
        let rest = usize::try_from(closing).ok().and_then(|from| map.get(from..)).unwrap_or_default();
        if !mqstore_core::bytes::is_zero(rest) {
            let path = cx.relative(&file.path);
            let message = format!("bytes behind the {} units of {path} that are no unit", pair.units);
            cx.push(finding("queue.compaction-unit", Location::path(path).at(closing), message));
        }
        map.check()?;
    }
    Ok(last)
}

/// How a unit and the copy it leads to differ.
fn difference(queue: &CompactedQueue, unit: &BatchCqUnit, record: &MessageRecord<'_>) -> Option<String> {
    let own = record.topic == queue.topic().as_bytes() && record.queue_id == queue.queue_id().cast_signed();
    if !own {
        return Some(format!("the record is of {:?} queue {}", record.topic_str(), record.queue_id));
    }
    if let Err(error) = record.check_body_crc() {
        return Some(format!("the record is damaged: {}", error.kind));
    }
    let tags = record.properties.get(names::TAGS).unwrap_or_default();
    // The hash of a tag that is not UTF-8 depends on how the broker decodes it.
    let hash = std::str::from_utf8(tags).map_or(unit.tags_code, |_| i64::from(java_hash(tags)));
    let pairs = [
        ("physical offset", unit.physical_offset, record.physical_offset),
        ("queue offset", unit.base_offset, record.queue_offset),
        ("size", i64::from(unit.size), i64::from(record.total_size())),
        ("store time", unit.store_timestamp, record.store_timestamp),
        ("tags code", unit.tags_code, hash),
        ("batch size", i64::from(unit.batch_size), 1),
        ("compacted offset", i64::from(unit.compacted_offset), i64::from(NO_COMPACTED_OFFSET)),
        ("reserved field", i64::from(unit.reserved), 0),
    ];
    let (name, found, expected) = pairs.into_iter().find(|(_, found, expected)| found != expected)?;
    Some(format!("{name} {found}, its record has {expected}"))
}
