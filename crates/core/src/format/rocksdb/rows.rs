//! What brokers keep under which key.
//!
//! Numbers are big-endian here, as everywhere but in RocksDB's own parts.
//!
//! ```text
//!     queues, family default   length 4 | 1 | topic | 1 | queue id 4 | 1 | queue offset 8
//!                           -> physical offset 8 | size 4 | tags code 8 | store timestamp 8
//!     queues, family offset    length 4 | 1 | topic | 1 | "max" or "min" | 1 | queue id 4
//!                           -> physical offset 8 | queue offset 8            (of the last, or of the first unit)
//!     config v2 (rdb)          1 | table 2 | record 1 | rest
//! ```
//!
//! Quirks:
//! - Under the topic `CHECKPOINT_TOPIC` the family `offset` holds the physical offset up to which all is dispatched, alone.
//! - A `min` row is there for every queue that anybody asked about, a `max` row for every queue that holds units; `min` is
//!   corrected late. Units above `max` are remains of a cut and do not count.
//!
//! Java: `RocksDBConsumeQueueTable`, `RocksDBConsumeQueueOffsetTable`, `broker/.../config/v2/*` at 5.3.3.

use crate::bytes::{i32_at, i64_at};
use crate::format::consumequeue::CqUnit;

/// Separator between the parts of a key.
const CTRL_1: u8 = 1;
/// The topic whose `max` row is the mark of the dispatcher.
pub const CHECKPOINT_TOPIC: &str = "CHECKPOINT_TOPIC";

/// The key of a queue unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitKey<'a> {
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// The queue.
    pub queue_id: i32,
    /// The unit's number in the queue.
    pub queue_offset: i64,
}

impl<'a> UnitKey<'a> {
    /// Reads a key of the family `default`.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let (topic, rest) = topic_of(key)?;
        let rest: &[u8; 13] = rest.try_into().ok()?;
        let separator = rest.get(4) == Some(&CTRL_1);
        let (queue_id, queue_offset) = (i32_at(rest, 0)?, i64_at(rest, 5)?);
        separator.then_some(Self { topic, queue_id, queue_offset })
    }
}

/// The value of a queue unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitValue {
    /// The unit, as in a queue file.
    pub unit: CqUnit,
    /// Store timestamp of the message, milliseconds since the epoch.
    pub store_timestamp: i64,
}

impl UnitValue {
    /// Reads a value of the family `default`: exactly 28 bytes.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value: &[u8; 28] = value.try_into().ok()?;
        Some(Self { unit: CqUnit::read(value)?, store_timestamp: i64_at(value, 20)? })
    }
}

/// The key of an end of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetKey<'a> {
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// The queue.
    pub queue_id: i32,
    /// The last unit, not the first.
    pub is_max: bool,
}

impl<'a> OffsetKey<'a> {
    /// Reads a key of the family `offset`.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let (topic, rest) = topic_of(key)?;
        let (end, queue_id) = rest.split_first_chunk::<3>()?;
        let is_max = match end {
            b"max" => true,
            b"min" => false,
            _ => return None,
        };
        let queue_id: &[u8; 4] = queue_id.strip_prefix(&[CTRL_1])?.try_into().ok()?;
        Some(Self { topic, queue_id: i32::from_be_bytes(*queue_id), is_max })
    }
}

/// Topic and what follows its separator.
fn topic_of(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    let (topic, rest) = rest.strip_prefix(&[CTRL_1])?.split_at_checked(length)?;
    Some((topic, rest.strip_prefix(&[CTRL_1])?))
}

/// The tables of config v2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum V2Table {
    /// Offsets that groups committed.
    ConsumerOffset,
    /// Offsets of the last pull.
    PullOffset,
    /// Topics.
    Topic,
    /// Subscription groups.
    SubscriptionGroup,
}

/// A key of config v2.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum V2Key<'a> {
    /// The data version of a table; its value is three numbers of 8 bytes: state version, timestamp, counter.
    DataVersion(V2Table),
    /// A topic or group by name; its value is a byte for the serialization (1 JSON) and the JSON.
    Named(V2Table, &'a [u8]),
    /// An offset of a group; its value is a number of 8 bytes.
    Offset {
        /// Committed or pulled.
        table: V2Table,
        /// The consumer group.
        group: &'a [u8],
        /// The topic.
        topic: &'a [u8],
        /// The queue.
        queue_id: i32,
    },
}

impl<'a> V2Key<'a> {
    /// Reads a key of `config/rdb`.
    pub fn parse(key: &'a [u8]) -> Option<Self> {
        let (head, rest) = key.split_first_chunk::<4>()?;
        let table = match head {
            [1, 0, 1, _] => V2Table::ConsumerOffset,
            [1, 0, 2, _] => V2Table::PullOffset,
            [1, 0, 3, _] => V2Table::Topic,
            [1, 0, 4, _] => V2Table::SubscriptionGroup,
            _ => return None,
        };
        match (head.last(), table) {
            (Some(1), _) => (rest == b"data_version").then_some(Self::DataVersion(table)),
            (Some(2), V2Table::Topic | V2Table::SubscriptionGroup) => {
                let (name, rest) = short_text(rest)?;
                rest.is_empty().then_some(Self::Named(table, name))
            }
            (Some(2), V2Table::ConsumerOffset | V2Table::PullOffset) => {
                let (group, rest) = short_text(rest)?;
                let (topic, rest) = short_text(rest.strip_prefix(&[CTRL_1])?)?;
                let queue_id: &[u8; 4] = rest.strip_prefix(&[CTRL_1])?.try_into().ok()?;
                Some(Self::Offset { table, group, topic, queue_id: i32::from_be_bytes(*queue_id) })
            }
            _ => None,
        }
    }
}

fn short_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_queues_are_read_and_longer_ones_are_none() {
        let unit = b"\0\0\0\x02\x01TX\x01\0\0\0\x03\x01\0\0\0\0\0\0\0\x07";
        assert_eq!(UnitKey::parse(unit), Some(UnitKey { topic: b"TX", queue_id: 3, queue_offset: 7 }));
        let end = b"\0\0\0\x02\x01TX\x01max\x01\0\0\0\x03";
        assert_eq!(OffsetKey::parse(end), Some(OffsetKey { topic: b"TX", queue_id: 3, is_max: true }));
        assert_eq!(UnitKey::parse(end), None);
        assert_eq!(OffsetKey::parse(unit), None);
        assert_eq!(UnitKey::parse(b"\x7F\xFF\xFF\xFF\x01T"), None);
    }

    #[test]
    fn keys_of_config_v2_are_read() {
        assert_eq!(V2Key::parse(b"\x01\0\x03\x02\0\x01T"), Some(V2Key::Named(V2Table::Topic, b"T")));
        assert_eq!(V2Key::parse(b"\x01\0\x04\x01data_version"), Some(V2Key::DataVersion(V2Table::SubscriptionGroup)));
        let offset = V2Key::parse(b"\x01\0\x01\x02\0\x01G\x01\0\x02TX\x01\0\0\0\x05");
        let expected = V2Key::Offset { table: V2Table::ConsumerOffset, group: b"G", topic: b"TX", queue_id: 5 };
        assert_eq!(offset, Some(expected));
        assert_eq!(V2Key::parse(b"\x01\0\x03\x02\0\x09T"), None);
    }
}
