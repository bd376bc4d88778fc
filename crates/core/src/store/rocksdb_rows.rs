//! Keys and values of RocksDB databases.

use std::collections::BTreeMap;

use super::mapped_file::MappedFile;
use super::rocksdb::RocksDb;
use crate::error::{FormatError, StoreError};
use crate::format::rocksdb::rows::{CHECKPOINT_TOPIC, OffsetKey, UnitKey, UnitValue};
use crate::format::rocksdb::{SstError, SstFile, ValueKind};
use crate::offset::{PhysicalOffset, QueueOffset};

/// Keys with their values, by key.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A range of keys that was removed up to a sequence number: the first key, and the one behind the last.
#[derive(Debug)]
struct RangeDeletion {
    from: Vec<u8>,
    to: Vec<u8>,
    sequence: u64,
}

/// The ends of a queue, as the family `offset` has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RocksDbQueueRange {
    /// Queue offset of the first unit; corrected late, so it may be lower than the first message in the log.
    pub min_offset: QueueOffset,
    /// The offset that the next message would get.
    pub max_offset: QueueOffset,
    /// Physical offset of the message of the last unit.
    pub last_physical_offset: i64,
}

/// What the database of queues holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RocksDbQueues {
    /// Topic and queue → its ends; queues that hold a unit only.
    pub ranges: BTreeMap<(String, i32), RocksDbQueueRange>,
    /// Physical offset up to which all records are dispatched.
    pub dispatched: Option<PhysicalOffset>,
    /// Rows of queues that hold no unit: somebody asked about them.
    pub empty_queues: u64,
    /// Rows that are neither.
    pub unknown_rows: u64,
}

impl RocksDb {
    /// The rows of a column family whose keys are `wanted`, all in memory; none if there is no such family.
    ///
    /// Of several entries with one key the newest counts, and what was removed is left out. Writes that are only in the
    /// write-ahead log are not seen ([`wal_bytes`](Self::wal_bytes)).
    pub fn rows(&self, family: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<Rows, StoreError> {
        let mut newest: BTreeMap<Vec<u8>, (u64, Option<Vec<u8>>)> = BTreeMap::new();
        let mut removed: Vec<RangeDeletion> = Vec::new();
        let Some(family) = self.manifest().column_family(family) else { return Ok(Rows::new()) };
        for file in family.files.values() {
            let path = self.sst_path(file.number);
            let map = MappedFile::open(&path)?;
            let visited = SstFile::parse(&map).and_then(|sst| {
                sst.visit(|entry| {
                    if entry.kind == ValueKind::RangeDeletion {
                        let (from, to) = (entry.key.to_vec(), entry.value.to_vec());
                        removed.push(RangeDeletion { from, to, sequence: entry.sequence });
                    } else if wanted(entry.key)
                        && newest.get(entry.key).is_none_or(|(sequence, _)| *sequence < entry.sequence)
                    {
                        let value = (entry.kind == ValueKind::Value).then(|| entry.value.to_vec());
                        newest.insert(entry.key.to_vec(), (entry.sequence, value));
                    }
                })
            });
            map.check()?;
            visited.map_err(|error| match error {
                SstError::Format(source) => StoreError::Format { path, source },
                other => StoreError::layout(path, other.to_string()),
            })?;
        }
        let is_removed = |key: &[u8], sequence: u64| {
            removed.iter().any(|range| range.sequence > sequence && *range.from <= *key && *key < *range.to)
        };
        let rows = newest.into_iter().filter_map(|(key, (sequence, value))| {
            let value = value?;
            (!is_removed(&key, sequence)).then_some((key, value))
        });
        Ok(rows.collect())
    }

    /// The ends of all queues, of a database of queues.
    pub fn queues(&self) -> Result<RocksDbQueues, StoreError> {
        let mut queues = RocksDbQueues::default();
        let rows = self.rows("offset", |_| true)?;
        let number = |value: &[u8], at| crate::bytes::i64_at(value, at);
        let mut lowest = BTreeMap::new();
        for (key, value) in &rows {
            match (OffsetKey::parse(key), value.len()) {
                (Some(key), 8) if key.topic == CHECKPOINT_TOPIC.as_bytes() => {
                    queues.dispatched = number(value, 0).map(|offset| PhysicalOffset(offset.cast_unsigned()));
                }
                (Some(key), 16) => {
                    let name = (String::from_utf8_lossy(key.topic).into_owned(), key.queue_id);
                    let (physical, offset) = (number(value, 0).unwrap_or(0), number(value, 8).unwrap_or(0));
                    if key.is_max {
                        let max_offset = QueueOffset(offset.saturating_add(1).cast_unsigned());
                        let min_offset = QueueOffset(0);
                        let range = RocksDbQueueRange { min_offset, max_offset, last_physical_offset: physical };
                        queues.ranges.insert(name, range);
                    } else {
                        lowest.insert(name, QueueOffset(offset.cast_unsigned()));
                    }
                }
                _ => queues.unknown_rows += 1,
            }
        }
        for (name, min_offset) in lowest {
            match queues.ranges.get_mut(&name) {
                Some(range) => range.min_offset = min_offset,
                None => queues.empty_queues += 1,
            }
        }
        Ok(queues)
    }

    /// The units of one queue by queue offset, of a database of queues; those above the queue's end do not count for the
    /// broker.
    pub fn queue_units(&self, topic: &str, queue_id: i32) -> Result<BTreeMap<i64, UnitValue>, StoreError> {
        let is_queue = |key: &[u8]| {
            UnitKey::parse(key).is_some_and(|key| key.topic == topic.as_bytes() && key.queue_id == queue_id)
        };
        let mut units = BTreeMap::new();
        for (key, value) in self.rows("default", is_queue)? {
            let key = UnitKey::parse(&key).map_or(0, |key| key.queue_offset);
            let unit = UnitValue::parse(&value).ok_or_else(|| StoreError::Format {
                path: self.dir().to_path_buf(),
                source: FormatError::new(
                    key.cast_unsigned(),
                    crate::error::FormatErrorKind::BadLength {
                        field: "length of a unit",
                        found: i64::try_from(value.len()).unwrap_or(i64::MAX),
                    },
                ),
            })?;
            units.insert(key, unit);
        }
        Ok(units)
    }
}
