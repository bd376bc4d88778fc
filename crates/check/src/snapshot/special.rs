//! Positions that lie in other formats than 20-byte units and JSON: batch queues, RocksDB, the log of DLedger.
//!
//! Only where things begin and end is kept, so what a comparison can say about them ends there, and each part is named
//! among the unread ones.

use std::path::Path;

use mqstore_core::StoreError;
use mqstore_core::store::{DledgerLog, RocksDb, SpecialKind, Store};

use super::document::{DledgerPosition, QueuePosition, Snapshot, Unread};

pub(super) fn read(store: &Store, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    batch_queues(store, snapshot);
    for (kind, dir) in store.rocksdb_dirs() {
        if kind == SpecialKind::RocksDbQueues {
            rocksdb_queues(store, &dir, snapshot);
        }
    }
    for queues in snapshot.queues.values_mut() {
        queues.sort_by_key(|queue| queue.queue_id);
    }
    match store.rocksdb_config() {
        Ok(config) => {
            if let Some(table) = config.consumer_offsets {
                snapshot.consumer_offsets = Some(table.offset_table);
            }
        }
        // What is known of the broker's offsets is what a stale file says: nothing.
        Err(error) => {
            snapshot.consumer_offsets = None;
            snapshot.cannot_read("config/consumerOffsets", &error);
        }
    }
    match store.dledgers() {
        Ok(members) => {
            let member = members.iter().find(|member| !member.data().files().is_empty());
            match member.map(position).transpose() {
                Ok(position) => snapshot.dledger = position,
                Err(error) => snapshot.cannot_read("dledger-", &error),
            }
        }
        Err(error) => snapshot.cannot_read("dledger-", &error),
    }
    unread(store, snapshot)
}

fn batch_queues(store: &Store, snapshot: &mut Snapshot) {
    let queues = match store.batch_consumequeues() {
        Ok(queues) => queues,
        Err(error) => return snapshot.cannot_read("batchconsumequeue", &error),
    };
    let log_min = store.log().map_or(store.commitlog().min_offset(), |log| log.min_offset());
    for queue in queues {
        match queue.range(log_min) {
            Ok(range) => snapshot.queues.entry(queue.topic().to_owned()).or_default().push(QueuePosition {
                queue_id: queue.queue_id(),
                first_offset: range.min_offset.get(),
                min_offset: range.min_offset.get(),
                max_offset: range.max_offset.get(),
                min_physical_offset: range.min_physical_offset.map(mqstore_core::PhysicalOffset::get),
                last: None,
            }),
            Err(error) => {
                let what = format!("batchconsumequeue/{}/{}", queue.topic(), queue.queue_id());
                snapshot.cannot_read(&what, &error);
            }
        }
    }
}

fn rocksdb_queues(store: &Store, dir: &Path, snapshot: &mut Snapshot) {
    match RocksDb::open(SpecialKind::RocksDbQueues, dir).and_then(|database| database.queues()) {
        Ok(queues) => {
            for ((topic, queue_id), range) in queues.ranges {
                let Ok(queue_id) = u32::try_from(queue_id) else { continue };
                snapshot.queues.entry(topic).or_default().push(QueuePosition {
                    queue_id,
                    first_offset: range.min_offset.get(),
                    min_offset: range.min_offset.get(),
                    max_offset: range.max_offset.get(),
                    min_physical_offset: None,
                    last: None,
                });
            }
        }
        Err(error) => snapshot.cannot_read(&relative(store, dir), &error),
    }
}

fn position(member: &DledgerLog) -> Result<DledgerPosition, StoreError> {
    let end = member.end()?;
    Ok(DledgerPosition {
        id: member.id().to_owned(),
        min_offset: member.data().min_offset().unwrap_or(0),
        max_offset: end.offset.get(),
        last_index: end.last_index,
        last_term: end.terms.last().copied(),
        committed_index: member.committed_index(),
    })
}

/// Names what a pair should agree on and of which less than the whole is kept. Timers, indexes, POP and compaction are
/// each side's own, so nothing is missed there.
fn unread(store: &Store, snapshot: &mut Snapshot) -> Result<(), StoreError> {
    for part in store.special_parts()? {
        let why = match part.kind {
            SpecialKind::RocksDbQueues => "of consume queues in RocksDB only the ranges are kept, not the units",
            SpecialKind::RocksDbConfig if !part.path.ends_with("consumerOffsets") => {
                "topics and groups in RocksDB are not compared"
            }
            SpecialKind::Dledger => "of the log of a DLedger broker only the range is kept, no digests",
            SpecialKind::BatchQueues => "of queues of batches only the ranges are kept, not the units",
            _ => continue,
        };
        snapshot.unread.push(Unread { what: relative(store, &part.path), why: why.to_owned() });
    }
    Ok(())
}

fn relative(store: &Store, path: &Path) -> String {
    path.strip_prefix(store.root()).unwrap_or(path).to_string_lossy().into_owned()
}
