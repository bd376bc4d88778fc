//! A consume queue file: `consumequeue/<topic>/<queue id>/<20 digits>`, units of 20 bytes and nothing else.
//!
//! Written and recovered by `ConsumeQueue` (3.2.6 to 5.5.0). The file is named by the byte offset of its first unit in
//! the queue, so the queue offset of a unit is `(file from offset + position) / 20`.
//!
//! ```text
//!     0               8       12              20
//!     +---------------+-------+---------------+
//!     | physical      | size  | tags code     |
//!     | offset        |       |               |
//!     +---------------+-------+---------------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | physical offset | 8 | of the record in the commit log (DLedger: inside its entry) |
//! | size | 4 | total size of the record |
//! | tags code | 8 | hash of the tag, or a due time, or the address of an extension unit ([`TagsCode`]) |
//!
//! Quirks:
//! - A unit counts if its physical offset is not negative and its size is positive; the queue ends at the first unit
//!   that does not. Unwritten space is zero, so that is the first free unit. Nothing else marks the end.
//! - A queue that starts in the middle (a slave, a rebuilt queue) begins with *pre-blank* units
//!   `(0, 0x7FFFFFFF, 0)` from the start of its first file to its first message (`fillPreBlank`). They count as valid.

use crate::bytes::{i32_at, i64_at};

/// Length of a unit in bytes (`CQ_STORE_UNIT_SIZE`).
pub const CQ_UNIT_LENGTH: usize = 8 + 4 + 8;
/// Size of a pre-blank unit.
pub const PRE_BLANK_SIZE: i32 = i32::MAX;

const _: () = assert!(CQ_UNIT_LENGTH == 20);

/// One unit, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CqUnit {
    /// Physical offset of the record.
    pub physical_offset: i64,
    /// Total size of the record in bytes.
    pub size: i32,
    /// What the broker filters by; see [`TagsCode`].
    pub tags_code: i64,
}

/// What a tags code means, told from its value alone as 4.2.0 and later do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsCode {
    /// `String.hashCode` of the tag; 0 also for a message without one.
    Hash(i32),
    /// When the delayed message is due, milliseconds since the epoch (queues of `SCHEDULE_TOPIC_XXXX` only).
    DueTime(i64),
    /// Offset of the unit in the queue's extension ([`consumequeue_ext`](super::consumequeue_ext)).
    ExtAddress(u64),
}

impl CqUnit {
    /// Reads the unit at the start of `bytes`.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self { physical_offset: i64_at(bytes, 0)?, size: i32_at(bytes, 8)?, tags_code: i64_at(bytes, 12)? })
    }

    /// Whether `ConsumeQueue.recover` takes it for a unit.
    #[inline]
    pub fn is_valid(&self) -> bool {
        self.physical_offset >= 0 && self.size > 0
    }

    /// Whether it was never written.
    #[inline]
    pub fn is_zero(&self) -> bool {
        self.physical_offset == 0 && self.size == 0 && self.tags_code == 0
    }

    /// Whether it only fills the space before the first message.
    #[inline]
    pub fn is_pre_blank(&self) -> bool {
        *self == Self { physical_offset: 0, size: PRE_BLANK_SIZE, tags_code: 0 }
    }

    /// Physical offset behind the record. Saturates; an invalid unit gives nonsense, not a panic.
    pub fn physical_end(&self) -> u64 {
        self.physical_offset.cast_unsigned().saturating_add(u64::from(self.size.cast_unsigned()))
    }

    /// The tags code by kind.
    pub fn tags_code_kind(&self) -> TagsCode {
        match i32::try_from(self.tags_code) {
            Ok(hash) => TagsCode::Hash(hash),
            Err(_) if self.tags_code > 0 => TagsCode::DueTime(self.tags_code),
            Err(_) => TagsCode::ExtAddress(self.tags_code.wrapping_sub(i64::MIN).cast_unsigned()),
        }
    }
}

/// The units of one file.
#[derive(Debug, Clone, Copy)]
pub struct CqUnits<'a> {
    bytes: &'a [u8],
}

impl<'a> CqUnits<'a> {
    /// Reads `bytes` as units; a remainder of fewer than 20 bytes is no unit.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// How many units fit, used or not.
    pub fn capacity(&self) -> u64 {
        (self.bytes.len() / CQ_UNIT_LENGTH) as u64
    }

    /// Unit `n` of the file, used or not.
    #[inline]
    pub fn get(&self, n: u64) -> Option<CqUnit> {
        let at = usize::try_from(n).ok()?.checked_mul(CQ_UNIT_LENGTH)?;
        CqUnit::read(self.bytes.get(at..)?)
    }

    /// All units of the file, used or not.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = CqUnit> + use<'a> {
        let (units, _) = self.bytes.as_chunks::<CQ_UNIT_LENGTH>();
        units.iter().map(|unit| CqUnit {
            physical_offset: i64_at(unit, 0).unwrap_or_default(),
            size: i32_at(unit, 8).unwrap_or_default(),
            tags_code: i64_at(unit, 12).unwrap_or_default(),
        })
    }

    /// How many units count from the start of the file on.
    pub fn valid_prefix(&self) -> u64 {
        self.iter().take_while(CqUnit::is_valid).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_read_and_its_tags_code_told_by_value() {
        let bytes = [0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0x82, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0];
        let unit = CqUnit::read(&bytes).unwrap();
        assert_eq!((unit.physical_offset, unit.size, unit.physical_end()), (1024, 130, 1154));
        assert_eq!(unit.tags_code_kind(), TagsCode::Hash(i32::MIN));
        let due = CqUnit { tags_code: 1_700_000_000_000, ..unit };
        assert_eq!(due.tags_code_kind(), TagsCode::DueTime(1_700_000_000_000));
        let ext = CqUnit { tags_code: i64::MIN + 512, ..unit };
        assert_eq!(ext.tags_code_kind(), TagsCode::ExtAddress(512));
        assert_eq!(CqUnit::read(&bytes[..19]), None);
    }

    #[test]
    fn pre_blank_units_count_and_zeros_do_not() {
        let mut bytes = Vec::new();
        for _ in 0..3 {
            bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        bytes.extend_from_slice(&[0; 47]);
        let units = CqUnits::new(&bytes);
        assert_eq!((units.capacity(), units.valid_prefix()), (5, 3));
        assert!(units.get(2).unwrap().is_pre_blank() && !units.get(3).unwrap().is_valid());
        assert_eq!(units.get(5), None);
    }
}
