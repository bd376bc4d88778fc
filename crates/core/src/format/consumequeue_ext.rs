//! The extension of a consume queue: `consumequeue_ext/<topic>/<queue id>/<20 digits>`, 4.1.0 and later.
//!
//! Written by `ConsumeQueueExt` with `enableConsumeQueueExt=true`. The tags code of the queue unit then holds the
//! address of a unit here: the offset in this file queue with the top bit set.
//!
//! ```text
//!     0    2               10              18   20
//!     +----+---------------+---------------+----+----------------+
//!     |size| tags code     | store time    |bits| filter bit map |
//!     |    |               |               |size|                |
//!     +----+---------------+---------------+----+----------------+
//! ```
//!
//! | field | bytes | meaning |
//! |---|---|---|
//! | size | 2 | of the unit: 20 + bit map size |
//! | tags code | 8 | what the queue unit would have held |
//! | store time | 8 | store timestamp of the message, milliseconds since the epoch |
//! | bit map size | 2 | bytes of the bit map, 0 for none |
//! | filter bit map | n | Bloom filter bits of the consumer groups whose expression matches |
//!
//! Quirks:
//! - A unit never crosses a file. A file that has no room left ends with a size of -1; unwritten space has size 0.
//! - Units that no queue unit refers to are normal: the unit is written first, and again at each try.

use crate::bytes::Reader;
use crate::error::{FormatError, FormatErrorKind};

/// Length of a unit without its bit map in bytes.
pub const MIN_EXT_UNIT_LENGTH: usize = 2 + 8 + 8 + 2;

/// One unit of the extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CqExtUnit<'a> {
    /// Position of the unit in its file in bytes.
    pub position: usize,
    /// What the queue unit would have held as its tags code.
    pub tags_code: i64,
    /// Store timestamp of the message, milliseconds since the epoch.
    pub store_time: i64,
    /// The bit map, empty if there is none.
    pub filter_bit_map: &'a [u8],
}

impl<'a> CqExtUnit<'a> {
    /// Reads the unit at `position` of a file. `None`: the file ends there (size 0 or -1, or no bytes left).
    pub fn read(file: &'a [u8], position: usize) -> Result<Option<Self>, FormatError> {
        let mut reader = Reader::new(file.get(position..).unwrap_or_default(), position as u64);
        if reader.rest().len() < 2 {
            return Ok(None);
        }
        let size = reader.i16("ext unit size")?;
        if size <= 0 {
            return Ok(None);
        }
        let tags_code = reader.i64("ext tags code")?;
        let store_time = reader.i64("ext store time")?;
        let bit_map_size = reader.i16("ext bit map size")?;
        let computed = MIN_EXT_UNIT_LENGTH + usize::try_from(bit_map_size).unwrap_or(0);
        if usize::try_from(size) != Ok(computed) {
            let (declared, computed) = (i64::from(size), i64::try_from(computed).unwrap_or(i64::MAX));
            return Err(FormatError::new(position as u64, FormatErrorKind::LengthMismatch { declared, computed }));
        }
        let filter_bit_map = reader.bytes("ext filter bit map", usize::try_from(bit_map_size).unwrap_or(0))?;
        Ok(Some(Self { position, tags_code, store_time, filter_bit_map }))
    }

    /// Length of the unit in bytes.
    pub fn length(&self) -> usize {
        MIN_EXT_UNIT_LENGTH + self.filter_bit_map.len()
    }
}

/// The units of one file, in order; ends behind the first error.
#[derive(Debug, Clone)]
pub struct CqExtUnits<'a> {
    file: &'a [u8],
    position: usize,
}

impl<'a> CqExtUnits<'a> {
    /// The units of a file.
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0 }
    }
}

impl<'a> Iterator for CqExtUnits<'a> {
    type Item = Result<CqExtUnit<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        let unit = CqExtUnit::read(self.file, self.position).transpose()?;
        match &unit {
            Ok(unit) => self.position += unit.length(),
            Err(_) => self.position = usize::MAX,
        }
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_with_and_without_bit_map_are_read_up_to_the_end_mark() {
        let mut file = vec![0, 20, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        file.extend([0, 22, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0, 2, 0xA5, 0x5A, 0xFF, 0xFF, 0, 0]);
        let units: Vec<_> = CqExtUnits::new(&file).collect::<Result<_, _>>().unwrap();
        assert_eq!(units.len(), 2);
        assert_eq!((units[0].tags_code, units[0].store_time, units[0].position), (7, 256, 0));
        assert_eq!((units[1].filter_bit_map, units[1].position), (&[0xA5, 0x5A][..], 20));
    }

    #[test]
    fn a_size_that_its_bit_map_contradicts_ends_the_units_with_an_error() {
        let file = [0, 21, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        let units: Vec<_> = CqExtUnits::new(&file).collect();
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].unwrap_err().to_string(), "total size 21 but fields add up to 20 at offset 0");
    }
}
