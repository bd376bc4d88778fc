//! What follows what in one file: records, then a blank.

use memchr::memmem;

use super::{BLANK_MAGIC_CODE, MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2, MessageRecord, PHYSICAL_OFFSET_POSITION};
use crate::bytes::{i32_at, i64_at};
use crate::error::FormatError;
use crate::offset::PhysicalOffset;

/// A message, or the filler that closes a file.
#[derive(Debug, Clone, Copy)]
pub enum Entry<'a> {
    /// A message record.
    Message(MessageRecord<'a>),
    /// The filler; the next record is the first of the next file.
    Blank(Blank),
}

/// The filler that closes a file when the next record does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blank {
    /// Where it stands.
    pub position: PhysicalOffset,
    /// Its length as stored; the rest of the file, if the file is sound. Brokers before 5.3.2 do not look at it.
    pub total_size: i32,
}

impl<'a> Entry<'a> {
    /// Reads the entry at the start of `bytes`, which lies at `position` in the log.
    #[inline]
    pub fn parse(bytes: &'a [u8], position: PhysicalOffset) -> Result<Self, FormatError> {
        match MessageRecord::parse(bytes, position) {
            Ok(record) => Ok(Self::Message(record)),
            Err(error) => match (i32_at(bytes, 0), i32_at(bytes, 4)) {
                (Some(total_size), Some(BLANK_MAGIC_CODE)) => Ok(Self::Blank(Blank { position, total_size })),
                _ => Err(error),
            },
        }
    }

    /// Where the entry stands.
    pub fn position(&self) -> PhysicalOffset {
        match self {
            Self::Message(record) => record.position,
            Self::Blank(blank) => blank.position,
        }
    }
}

/// The entries of one file, in order. Ends behind the first error, behind a blank, and at the end of the bytes.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
    position: PhysicalOffset,
}

impl<'a> Entries<'a> {
    /// The entries of a file whose first byte lies at `file_from_offset`.
    pub fn new(bytes: &'a [u8], file_from_offset: PhysicalOffset) -> Self {
        Self::starting_at(bytes, file_from_offset, 0)
    }

    /// The entries from `relative` bytes into the file on.
    pub fn starting_at(bytes: &'a [u8], file_from_offset: PhysicalOffset, relative: usize) -> Self {
        Self { rest: bytes.get(relative..).unwrap_or_default(), position: file_from_offset + relative as u64 }
    }

    /// Where the next entry stands.
    pub fn position(&self) -> PhysicalOffset {
        self.position
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, FormatError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = Entry::parse(self.rest, self.position);
        match &entry {
            Ok(Entry::Message(record)) => {
                self.rest = self.rest.get(record.bytes.len()..).unwrap_or_default();
                self.position = record.end();
            }
            Ok(Entry::Blank(_)) | Err(_) => self.rest = &[],
        }
        Some(entry)
    }
}

/// The first record at or behind `relative` that is surely one: known magic code, a physical offset that names its own
/// place, and fields that add up.
///
/// Finds where the log goes on behind damage, and where a second thread may start in the middle of a file. Do not use it
/// inside a blank: there, old records may lie, with physical offsets of another place.
pub fn resync(bytes: &[u8], file_from_offset: PhysicalOffset, relative: usize) -> Option<MessageRecord<'_>> {
    resync_within(bytes, file_from_offset, relative..bytes.len())
}

/// [`resync`] that looks for records beginning in `range` only; such a record may end behind it.
pub fn resync_within(
    bytes: &[u8],
    file_from_offset: PhysicalOffset,
    range: std::ops::Range<usize>,
) -> Option<MessageRecord<'_>> {
    const COMMON: [u8; 3] = [0xDA, 0xA3, 0x20];
    // The magic code stands four bytes into the record.
    let mut at = range.start.checked_add(4)?;
    let most = range.end.saturating_add(4 + COMMON.len() - 1).min(bytes.len());
    loop {
        at += memmem::find(bytes.get(at..most)?, &COMMON)?;
        let start = at - 4;
        let position = file_from_offset + start as u64;
        if matches!(i32_at(bytes, at), Some(MESSAGE_MAGIC_CODE | MESSAGE_MAGIC_CODE_V2))
            && i64_at(bytes, start + PHYSICAL_OFFSET_POSITION).is_some_and(|o| o.cast_unsigned() == position.get())
            && let Ok(record) = MessageRecord::parse(bytes.get(start..)?, position)
        {
            return Some(record);
        }
        at += 1;
    }
}
