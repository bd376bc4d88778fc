//! A batch queue file: `batchconsumequeue/<topic>/<queue id>/<20 digits>`, units of 46 bytes and nothing else.
//!
//! Written by `BatchConsumeQueue` (5.0.0 and later) for topics with the attribute `queue.type=BatchCQ`, and by
//! `SparseConsumeQueue` (5.1.0 and later) for the queues of compacted topics, `compaction/compactionCq/<topic>/<id>`.
//!
//! ```text
//!     0               8       12              20              28              36   38      42      46
//!     +---------------+-------+---------------+---------------+---------------+----+-------+-------+
//!     | physical      | size  | tags code     | store         | base          |batch| com-  | re-   |
//!     | offset        |       |               | timestamp     | offset        |size | pacted| served|
//!     +---------------+-------+---------------+---------------+---------------+----+-------+-------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | physical offset | 8 | of the record in the commit log; in a compaction queue, in the compaction log |
//! | size | 4 | total size of the record |
//! | tags code | 8 | hash of the tag; never the address of an extension unit |
//! | store timestamp | 8 | milliseconds since the epoch |
//! | base offset | 8 | queue offset of the first message in the record |
//! | batch size | 2 | messages in the record |
//! | compacted offset | 4 | always -1 |
//! | reserved | 4 | always 0 |
//!
//! Quirks:
//! - The file name is the byte offset of the first unit in the queue, but a unit's place tells nothing about its queue
//!   offset: that is the base offset inside. In a compaction queue the name is that of its log file instead.
//! - A unit counts if physical offset and base are not negative and size and batch size are positive; the queue ends at
//!   the first unit that does not. There are no pre-blank units.
//! - A closed file of a compaction queue ends with a *marker* unit: physical offset and compacted offset -1, the rest 0.
//! - In a batch queue each base follows from the unit before; failed appends of 5.0.0 and 5.1.0 leave gaps. A compaction
//!   queue has gaps wherever a key was written again.

use crate::bytes::{i32_at, i64_at};

/// Length of a unit in bytes (`BatchConsumeQueue.CQ_STORE_UNIT_SIZE`).
pub const BATCH_CQ_UNIT_LENGTH: usize = 8 + 4 + 8 + 8 + 8 + 2 + 4 + 4;
/// The compacted offset of every unit that was written up to now.
pub const NO_COMPACTED_OFFSET: i32 = -1;

const _: () = assert!(BATCH_CQ_UNIT_LENGTH == 46);

/// One unit, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchCqUnit {
    /// Physical offset of the record.
    pub physical_offset: i64,
    /// Total size of the record in bytes.
    pub size: i32,
    /// Hash of the tag, 0 without one.
    pub tags_code: i64,
    /// Store timestamp of the record, milliseconds since the epoch.
    pub store_timestamp: i64,
    /// Queue offset of the first message in the record.
    pub base_offset: i64,
    /// Messages in the record.
    pub batch_size: i16,
    /// Always -1.
    pub compacted_offset: i32,
    /// Always 0.
    pub reserved: i32,
}

impl BatchCqUnit {
    /// The unit that ends a closed file of a compaction queue.
    pub const MARKER: Self = Self {
        physical_offset: -1,
        size: 0,
        tags_code: 0,
        store_timestamp: 0,
        base_offset: 0,
        batch_size: 0,
        compacted_offset: NO_COMPACTED_OFFSET,
        reserved: 0,
    };
    const ZERO: Self = Self { physical_offset: 0, compacted_offset: 0, ..Self::MARKER };

    /// Reads the unit at the start of `bytes`.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let batch_size = bytes.get(36..)?.first_chunk::<2>().map(|b| i16::from_be_bytes(*b))?;
        Some(Self {
            physical_offset: i64_at(bytes, 0)?,
            size: i32_at(bytes, 8)?,
            tags_code: i64_at(bytes, 12)?,
            store_timestamp: i64_at(bytes, 20)?,
            base_offset: i64_at(bytes, 28)?,
            batch_size,
            compacted_offset: i32_at(bytes, 38)?,
            reserved: i32_at(bytes, 42)?,
        })
    }

    /// Whether `BatchConsumeQueue.recover` takes it for a unit.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.physical_offset >= 0 && self.size > 0 && self.base_offset >= 0 && self.batch_size > 0
    }

    /// Whether it ends a closed file of a compaction queue.
    pub fn is_marker(&self) -> bool {
        *self == Self::MARKER
    }

    /// Whether nothing was ever written here.
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// The queue offset behind the record's last message. Saturates; an invalid unit gives nonsense, not a panic.
    pub fn next_offset(&self) -> u64 {
        self.base_offset.cast_unsigned().saturating_add(u64::from(self.batch_size.cast_unsigned()))
    }

    /// Physical offset behind the record, as [`next_offset`](Self::next_offset).
    pub fn physical_end(&self) -> u64 {
        self.physical_offset.cast_unsigned().saturating_add(u64::from(self.size.cast_unsigned()))
    }
}

/// The units of one file.
#[derive(Debug, Clone, Copy)]
pub struct BatchCqUnits<'a> {
    bytes: &'a [u8],
}

impl<'a> BatchCqUnits<'a> {
    /// Reads `bytes` as units; a remainder of fewer than 46 bytes is no unit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many units fit, used or not.
    pub fn capacity(&self) -> u64 {
        (self.bytes.len() / BATCH_CQ_UNIT_LENGTH) as u64
    }

    /// Unit `n` of the file, used or not.
    #[inline]
    pub fn get(&self, n: u64) -> Option<BatchCqUnit> {
        let at = usize::try_from(n).ok()?.checked_mul(BATCH_CQ_UNIT_LENGTH)?;
        BatchCqUnit::read(self.bytes.get(at..)?)
    }

    /// All units of the file, used or not.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = BatchCqUnit> + use<'a> {
        let (units, _) = self.bytes.as_chunks::<BATCH_CQ_UNIT_LENGTH>();
        units.iter().map(|unit| BatchCqUnit::read(unit).unwrap_or(BatchCqUnit::ZERO))
    }

    /// How many units count from the start of the file on.
    pub fn valid_prefix(&self) -> u64 {
        self.iter().take_while(BatchCqUnit::is_valid).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rustfmt::skip]
    const UNIT: [u8; 46] = [
        0, 0, 0, 0, 0, 0, 4, 0, /* size */ 0, 0, 3, 0, /* tags */ 0, 0, 0, 0, 0, 0x27, 0xA8, 0x47,
        0, 0, 1, 0x8B, 0xCF, 0xE5, 0x68, 0, /* base */ 0, 0, 0, 0, 0, 0, 0, 40, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0,
    ];

    #[test]
    fn a_unit_of_eight_messages_is_read() {
        let unit = BatchCqUnit::read(&UNIT).unwrap();
        assert_eq!((unit.physical_offset, unit.size, unit.physical_end()), (1024, 768, 1792));
        assert_eq!((unit.tags_code, unit.store_timestamp), (2_598_983, 1_700_000_000_000));
        assert_eq!((unit.base_offset, unit.batch_size, unit.next_offset()), (40, 8, 48));
        assert_eq!((unit.compacted_offset, unit.reserved), (-1, 0));
        assert!(unit.is_valid() && !unit.is_marker() && !unit.is_zero());
        assert_eq!(BatchCqUnit::read(&UNIT[..45]), None);
    }

    #[test]
    fn markers_and_zeros_end_the_units_and_are_told_apart() {
        let mut bytes = UNIT.to_vec();
        bytes.extend([0xFF; 8]);
        bytes.extend([0; 30]);
        bytes.extend([0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        bytes.extend([0; 46 + 45]);
        let units = BatchCqUnits::new(&bytes);
        assert_eq!((units.capacity(), units.valid_prefix(), units.iter().len()), (3, 1, 3));
        assert!(units.get(1).unwrap().is_marker() && !units.get(1).unwrap().is_valid());
        assert!(units.get(2).unwrap().is_zero() && !units.get(2).unwrap().is_valid());
        assert_eq!(units.get(3), None);
    }
}
