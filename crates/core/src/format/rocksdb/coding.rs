//! Numbers as RocksDB writes them: fixed ones little-endian, others as varints, seven bits a byte.

use crate::bytes::Truncated;
use crate::error::{FormatError, FormatErrorKind};

/// A cursor over little-endian numbers, varints and texts with a length before them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`, whose first byte lies at `offset`.
    pub(super) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { rest: bytes, offset }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], FormatError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(Truncated { field, offset: self.offset, needed: len, available: self.rest.len() }.into());
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(len as u64);
        Ok(head)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, FormatError> {
        Ok(self.bytes(field, 1)?.first().copied().unwrap_or_default())
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, FormatError> {
        Ok(u16::try_from(little_endian(self.bytes(field, 2)?)).unwrap_or_default())
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        Ok(u32::try_from(little_endian(self.bytes(field, 4)?)).unwrap_or_default())
    }

    pub(super) fn varint(&mut self, field: &'static str) -> Result<u64, FormatError> {
        let start = self.offset;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(field)?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FormatError::new(start, FormatErrorKind::BadValue { field, found: -1, expected: "a varint of 64 bits" }))
    }

    pub(super) fn varint_u32(&mut self, field: &'static str) -> Result<u32, FormatError> {
        let start = self.offset;
        let value = self.varint(field)?;
        u32::try_from(value).map_err(|_| {
            let found = i64::try_from(value).unwrap_or(i64::MAX);
            FormatError::new(start, FormatErrorKind::BadValue { field, found, expected: "a number of 32 bits" })
        })
    }

    /// A varint length and as many bytes.
    pub(super) fn text(&mut self, field: &'static str) -> Result<&'a [u8], FormatError> {
        let length = self.varint_u32(field)?;
        self.bytes(field, length as usize)
    }
}

/// The little-endian number in up to eight bytes.
pub(super) fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

const CRC32C_TABLE: [u32; 256] = {
    let mut table = [0u32; 256];
    let mut n = 0;
    while n < 256 {
        let mut crc = n;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, which refuses a wrong index")]
        {
            table[n as usize] = crc;
        }
        n += 1;
    }
    table
};

/// CRC-32C (Castagnoli) of the pieces one behind the other.
pub fn crc32c(pieces: &[&[u8]]) -> u32 {
    let bytes = pieces.iter().flat_map(|piece| piece.iter());
    !bytes.fold(!0, |crc, byte| {
        let low = (crc ^ u32::from(*byte)) & 0xFF;
        crc >> 8 ^ CRC32C_TABLE.get(low as usize).copied().unwrap_or_default()
    })
}

/// A CRC as RocksDB stores it.
pub fn mask_crc(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_that_of_the_check_value_and_of_a_record_that_a_broker_wrote() {
        assert_eq!(crc32c(&[b"123456789"]), 0xE306_9283);
        assert_eq!(crc32c(&[b"1234", b"56789"]), 0xE306_9283);
        // The first record of a manifest of 5.3.3: type 1, and an edit that says which logs are gone.
        assert_eq!(mask_crc(crc32c(&[&[1], &[0x88, 0x40, 1, 5]])), 0x2267_5C3B);
    }

    #[test]
    fn varints_end_where_they_say_and_never_behind_64_bits() {
        let mut cursor = Cursor::new(&[0xA5, 0x11, 0x7F, 0x80], 7);
        assert_eq!((cursor.varint("a").unwrap(), cursor.varint("b").unwrap()), (0x8A5, 0x7F));
        assert_eq!(cursor.varint("c").unwrap_err().to_string(), "c needs 1 bytes, 0 are left at offset 11");
        assert!(Cursor::new(&[0xFF; 12], 0).varint("d").is_err());
        assert!(Cursor::new(&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F], 0).varint_u32("e").is_err());
        assert_eq!(little_endian(&[1, 2, 3]), 0x03_0201);
    }
}
