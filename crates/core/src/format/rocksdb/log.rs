//! Records in blocks: the format of manifests and of write-ahead logs.

use std::borrow::Cow;

use super::coding::{Cursor, crc32c, mask_crc};
use crate::error::{FormatError, FormatErrorKind};

const BLOCK_LENGTH: usize = 32_768;
const HEAD_LENGTH: usize = 4 + 2 + 1;
const WHOLE: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Type, payload and position of a piece of a record.
type Piece<'a> = (u8, &'a [u8], usize);
/// Position and payload of a record.
type Record<'a> = (u64, Cow<'a, [u8]>);

/// How the records of a file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordsEnd {
    /// With the file, or with zeros that were allocated in advance.
    Clean,
    /// In the middle of a record that was being written; it does not count.
    Torn,
}

/// The records of a file, in order; ends behind the first error.
#[derive(Debug, Clone)]
pub struct LogRecords<'a> {
    file: &'a [u8],
    position: usize,
    end: Option<RecordsEnd>,
}

impl<'a> LogRecords<'a> {
    /// The records of a whole file.
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, position: 0, end: None }
    }

    /// How the records ended; `None` before they did, and after an error.
    pub fn end(&self) -> Option<RecordsEnd> {
        self.end
    }

    fn piece(&mut self) -> Result<Option<Piece<'a>>, FormatError> {
        let in_block = BLOCK_LENGTH - self.position % BLOCK_LENGTH;
        if in_block < HEAD_LENGTH {
            self.position += in_block;
        }
        let position = self.position;
        let mut cursor = Cursor::new(self.file.get(position..).unwrap_or_default(), position as u64);
        let rest = cursor.rest();
        if rest.len() < HEAD_LENGTH {
            self.end = Some(if rest.is_empty() { RecordsEnd::Clean } else { RecordsEnd::Torn });
            return Ok(None);
        }
        let stored = cursor.u32("record crc")?;
        let length = cursor.u16("record length")?;
        let kind = cursor.u8("record type")?;
        if (stored, length, kind) == (0, 0, 0) {
            self.end = Some(RecordsEnd::Clean);
            return Ok(None);
        }
        let Ok(payload) = cursor.bytes("record", usize::from(length)) else {
            self.end = Some(RecordsEnd::Torn);
            return Ok(None);
        };
        let computed = mask_crc(crc32c(&[&[kind], payload]));
        if stored != computed {
            let kind = FormatErrorKind::Crc { field: "record crc", stored, computed };
            return Err(FormatError::new(position as u64, kind));
        }
        self.position += HEAD_LENGTH + payload.len();
        Ok(Some((kind, payload, position)))
    }

    fn record(&mut self) -> Result<Option<Record<'a>>, FormatError> {
        let mut whole: Option<(u64, Vec<u8>)> = None;
        loop {
            let Some((kind, payload, position)) = self.piece()? else {
                if whole.is_some() {
                    self.end = Some(RecordsEnd::Torn);
                }
                return Ok(None);
            };
            match (kind, &mut whole) {
                (WHOLE, None) => return Ok(Some((position as u64, Cow::Borrowed(payload)))),
                (FIRST, None) => whole = Some((position as u64, payload.to_vec())),
                (MIDDLE, Some((_, bytes))) => bytes.extend_from_slice(payload),
                (LAST, Some((start, bytes))) => {
                    bytes.extend_from_slice(payload);
                    return Ok(Some((*start, Cow::Owned(std::mem::take(bytes)))));
                }
                _ => {
                    let (found, expected) = (i64::from(kind), "1 or 2 to begin a record, 3 or 4 to go on with one");
                    let kind = FormatErrorKind::BadValue { field: "record type", found, expected };
                    return Err(FormatError::new(position as u64, kind));
                }
            }
        }
    }
}

impl<'a> Iterator for LogRecords<'a> {
    /// Position of the record in the file, and its payload.
    type Item = Result<(u64, Cow<'a, [u8]>), FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end.is_some() || self.position == usize::MAX {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.position = usize::MAX;
        }
        record.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(kind: u8, payload: &[u8]) -> Vec<u8> {
        let low_first = |number: u32| number.to_be_bytes().into_iter().rev();
        let mut bytes: Vec<u8> = low_first(mask_crc(crc32c(&[&[kind], payload]))).collect();
        bytes.extend(low_first(u32::try_from(payload.len()).unwrap()).take(2));
        bytes.push(kind);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn pieces_are_joined_and_the_tail_of_a_block_is_skipped() {
        let mut file = piece(WHOLE, b"one");
        file.extend(piece(FIRST, &vec![7; BLOCK_LENGTH - file.len() - HEAD_LENGTH - 3]));
        file.extend([0; 3]);
        file.extend(piece(LAST, b"two"));
        let mut records = LogRecords::new(&file);
        assert_eq!(records.next().unwrap().unwrap(), (0, Cow::Borrowed(&b"one"[..])));
        let (position, payload) = records.next().unwrap().unwrap();
        assert_eq!((position, payload.len()), (10, BLOCK_LENGTH - 10 - 7 - 3 + 3));
        assert!(records.next().is_none());
        assert_eq!(records.end(), Some(RecordsEnd::Clean));
    }

    #[test]
    fn a_cut_is_torn_and_a_flipped_bit_an_error() {
        let file = [piece(WHOLE, b"one"), piece(WHOLE, b"three")].concat();
        for length in 11..file.len() {
            let mut records = LogRecords::new(&file[..length]);
            assert_eq!(records.by_ref().flatten().count(), 1, "{length}");
            assert_eq!(records.end(), Some(RecordsEnd::Torn));
        }
        let mut broken = file.clone();
        broken[12] ^= 1;
        let error = LogRecords::new(&broken).last().unwrap().unwrap_err();
        assert_eq!(error.offset, 10);
        assert!(LogRecords::new(&piece(LAST, b"x")).next().unwrap().is_err());
    }
}
