//! The range and the last unit of every queue.

use mqstore_core::store::{ConsumeQueue, Store};
use mqstore_core::{PhysicalOffset, QueueOffset, StoreError};

use super::document::{QueuePosition, Snapshot};

const UNIT: u64 = mqstore_core::format::consumequeue::CQ_UNIT_LENGTH as u64;

pub(super) fn read(store: &Store, snapshot: &mut Snapshot) {
    let queues = match store.consumequeues() {
        Ok(queues) => queues,
        Err(error) => return snapshot.unread("consumequeue", &error),
    };
    let log_min = store.commitlog().min_offset();
    for queue in queues {
        match position(&queue, log_min) {
            Ok(position) => snapshot.queues.entry(queue.topic().to_owned()).or_default().push(position),
            Err(error) => snapshot.unread(&format!("consumequeue/{}/{}", queue.topic(), queue.queue_id()), &error),
        }
    }
}

fn position(queue: &ConsumeQueue, log_min: PhysicalOffset) -> Result<QueuePosition, StoreError> {
    let range = queue.range(log_min)?;
    let last = match range.max_offset.get().checked_sub(1) {
        Some(last) => queue.unit(QueueOffset(last))?.filter(|unit| unit.is_valid() && !unit.is_pre_blank()),
        None => None,
    };
    let first_unit = queue.queue().min_offset().unwrap_or(0) / UNIT;
    let first_offset = first_unit.saturating_add(range.pre_blank).min(range.max_offset.get());
    Ok(QueuePosition {
        queue_id: queue.queue_id(),
        first_offset,
        // With a log that begins at 0 the filling before the first message counts as in the log.
        min_offset: range.min_offset.get().max(first_offset),
        max_offset: range.max_offset.get(),
        min_physical_offset: range.min_physical_offset.map(PhysicalOffset::get),
        last,
    })
}
