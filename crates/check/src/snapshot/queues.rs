//! The range and the last unit of every queue.
//!
//! [`ConsumeQueue::range`] reads every unit of up to three files, as a broker does: of ten thousand queues that would be
//! gigabytes. Here ends are found by doubling and halving, a few units a queue. The results are the same unless a unit in
//! the middle is a hole; then the queue may be taken to go on behind it, and the comparison of the units finds it.
//!
//! Units are read one by one, not mapped: a fault in a mapping brings in the pages around it, and the unwritten rest of
//! ten thousand queue files is 60 GB of them.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use mqstore_core::format::consumequeue::{CQ_UNIT_LENGTH, CqUnit};
use mqstore_core::store::consumequeue::partition_point;
use mqstore_core::store::{ConsumeQueue, QueueFile, Store};
use mqstore_core::{PhysicalOffset, StoreError};

use super::document::{QueuePosition, Snapshot};

const UNIT: u64 = CQ_UNIT_LENGTH as u64;

pub(super) fn read(store: &Store, snapshot: &mut Snapshot) {
    let queues = match store.consumequeues() {
        Ok(queues) => queues,
        Err(error) => return snapshot.cannot_read("consumequeue", &error),
    };
    let log_min = store.commitlog().min_offset();
    for queue in queues {
        match position(&queue, log_min) {
            Ok(position) => snapshot.queues.entry(queue.topic().to_owned()).or_default().push(position),
            Err(error) => snapshot.cannot_read(&format!("consumequeue/{}/{}", queue.topic(), queue.queue_id()), &error),
        }
    }
}

fn position(queue: &ConsumeQueue, log_min: PhysicalOffset) -> Result<QueuePosition, StoreError> {
    let files = queue.queue().files();
    let start = files.first().map_or(0, |file| unit_of(file, 0));
    let mut position = QueuePosition {
        queue_id: queue.queue_id(),
        first_offset: start,
        min_offset: start,
        max_offset: start,
        min_physical_offset: None,
        last: None,
    };
    find_end(files, &mut position)?;
    let in_log = |unit: &CqUnit| unit.physical_offset.cast_unsigned() >= log_min.get() && !unit.is_pre_blank();
    position.min_offset = position.max_offset;
    let last_in_log = position.last.as_ref().is_some_and(in_log);
    for (number, file) in files.iter().enumerate() {
        let units = Units::open(file)?;
        if number == 0 {
            let filling = halve(units.capacity, |n| units.get(n).is_some_and(|unit| unit.is_pre_blank()));
            position.first_offset = unit_of(file, filling).min(position.max_offset);
        }
        if !last_in_log {
            break;
        }
        let n = halve(units.capacity, |n| units.get(n).is_some_and(|unit| unit.is_valid() && !in_log(&unit)));
        if let Some(unit) = units.get(n).filter(CqUnit::is_valid) {
            position.min_offset = unit_of(file, n);
            position.min_physical_offset = Some(unit.physical_offset.cast_unsigned());
            break;
        }
    }
    Ok(position)
}

/// The units of a file, read when asked for.
struct Units {
    file: File,
    capacity: u64,
}

impl Units {
    fn open(file: &QueueFile) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Io { action: "open", path: file.path.clone(), source };
        Ok(Self { file: File::open(&file.path).map_err(failed)?, capacity: file.length / UNIT })
    }

    /// A unit that cannot be read counts as not written.
    fn get(&self, n: u64) -> Option<CqUnit> {
        let mut bytes = [0; CQ_UNIT_LENGTH];
        let at = n.checked_mul(UNIT).filter(|_| n < self.capacity)?;
        loop {
            match self.file.read_exact_at(&mut bytes, at) {
                Ok(()) => return CqUnit::read(&bytes),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

/// The end lies in the last file that begins with a unit.
fn find_end(files: &[QueueFile], position: &mut QueuePosition) -> Result<(), StoreError> {
    for file in files.iter().rev() {
        let units = Units::open(file)?;
        let used = halve(units.capacity, |n| units.get(n).is_some_and(|unit| unit.is_valid()));
        if let Some(last) = used.checked_sub(1).and_then(|n| units.get(n)) {
            position.max_offset = unit_of(file, used);
            position.last = Some(last).filter(|unit| !unit.is_pre_blank());
            break;
        }
    }
    Ok(())
}

fn unit_of(file: &QueueFile, n: u64) -> u64 {
    (file.file_from_offset / UNIT).saturating_add(n)
}

/// The first of `0 .. len` for which `before` is false, if it is true for all smaller ones.
fn halve(len: u64, before: impl Fn(u64) -> bool) -> u64 {
    // Most queues fill little of their files.
    let (mut low, mut high) = (0, 1.min(len));
    while high < len && before(high - 1) {
        low = high;
        high = high.saturating_mul(8).min(len);
    }
    low + partition_point(high - low, |n| before(low + n))
}
