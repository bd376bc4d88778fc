//! A big-endian cursor over bytes that cannot panic and names the field it could not read.
//!
//! Every reader of the crate goes through [`Reader`], for three reasons: it never indexes a slice, so hostile input
//! ends in an error; it knows the absolute offset of the next byte, so the error says where; and it is the only user
//! of `byteorder`, so no other module can read a number in the wrong order.

use byteorder::{BigEndian, ByteOrder};

/// The bytes ended before a field did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} needs {needed} bytes at offset {offset}, {available} are left")]
pub struct Truncated {
    /// Name of the field that was being read.
    pub field: &'static str,
    /// Absolute offset of the field's first byte.
    pub offset: u64,
    /// Length of the field in bytes.
    pub needed: usize,
    /// Bytes that were left.
    pub available: usize,
}

/// A cursor over `bytes`, whose first byte lies at a known absolute offset.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`; `base_offset` is the absolute offset of `bytes[0]`.
    #[inline]
    pub fn new(bytes: &'a [u8], base_offset: u64) -> Self {
        Self { rest: bytes, offset: base_offset }
    }

    /// Absolute offset of the next byte.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes not read yet.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    #[inline]
    pub fn bytes(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], Truncated> {
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                // Saturates: a hostile file name can put the base at the end of the number range.
                self.offset = self.offset.saturating_add(len as u64);
                Ok(head)
            }
            None => Err(self.truncated(field, len)),
        }
    }

    #[cold]
    fn truncated(&self, field: &'static str, needed: usize) -> Truncated {
        Truncated { field, offset: self.offset, needed, available: self.rest.len() }
    }

    /// The next byte as Java's signed `byte`.
    #[inline]
    pub fn i8(&mut self, field: &'static str) -> Result<i8, Truncated> {
        let bytes = self.bytes(field, 1)?;
        Ok(bytes.first().map_or(0, |b| b.cast_signed()))
    }

    /// The next two bytes as Java's `short`.
    #[inline]
    pub fn i16(&mut self, field: &'static str) -> Result<i16, Truncated> {
        self.bytes(field, 2).map(BigEndian::read_i16)
    }

    /// The next four bytes as Java's `int`.
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32, Truncated> {
        self.bytes(field, 4).map(BigEndian::read_i32)
    }

    /// The next eight bytes as Java's `long`.
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64, Truncated> {
        self.bytes(field, 8).map(BigEndian::read_i64)
    }
}

/// The big-endian `int` at `at`, or `None` past the end.
#[inline]
pub fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk::<4>().map(|b| i32::from_be_bytes(*b))
}

/// The big-endian `long` at `at`, or `None` past the end.
#[inline]
pub fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..)?.first_chunk::<8>().map(|b| i64::from_be_bytes(*b))
}

/// Whether every byte is zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    // Chunks of 32 compile to vector compares; a plain byte loop does not.
    let (chunks, rest) = bytes.as_chunks::<32>();
    chunks.iter().all(|c| c == &[0; 32]) && rest.iter().all(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_field_names_itself_and_its_place() {
        let mut reader = Reader::new(&[0, 0, 0, 7, 1, 2], 100);
        assert_eq!(reader.i32("total size"), Ok(7));
        let error = reader.i64("queue offset").unwrap_err();
        assert_eq!(error, Truncated { field: "queue offset", offset: 104, needed: 8, available: 2 });
        assert_eq!(error.to_string(), "queue offset needs 8 bytes at offset 104, 2 are left");
        assert_eq!(reader.rest(), [1, 2], "a failed read moves nothing");
    }

    #[test]
    fn zero_is_told_from_a_single_bit_anywhere() {
        for len in [0, 1, 31, 32, 33, 100] {
            let mut bytes = vec![0u8; len];
            assert!(is_zero(&bytes));
            for at in 0..len {
                bytes[at] = 0x80;
                assert!(!is_zero(&bytes), "{at} of {len}");
                bytes[at] = 0;
            }
        }
    }
}
