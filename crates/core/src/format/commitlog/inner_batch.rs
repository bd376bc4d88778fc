//! The messages inside one record, of topics with `queue.type=BatchCQ` (5.0.0 and later).
//!
//! The body of such a record (system flag [`is_inner_batch`](super::SysFlag::is_inner_batch)) is what the producer sent:
//! the messages one behind the other (`MessageDecoder.decodeMessages`).
//!
//! ```text
//!     0       4       8       12      16      20        20 + n
//!     +-------+-------+-------+-------+-------+---------+----+------------+
//!     | total | magic | body  | flag  | body  | body    |len | properties |
//!     | size  | 0     | crc 0 |       | length|         |    |            |
//!     +-------+-------+-------+-------+-------+---------+----+------------+
//! ```
//!
//! Magic code and CRC are 0 and nobody looks at them. The record's queue offset is that of the first message.

use super::{MessageRecord, Properties, names};
use crate::bytes::Reader;
use crate::error::{FormatError, FormatErrorKind};

/// The shortest message of a batch: no body, no properties.
pub const MIN_INNER_MESSAGE_LENGTH: usize = 4 + 4 + 4 + 4 + 4 + 2;

const _: () = assert!(MIN_INNER_MESSAGE_LENGTH == 22);

/// One message of an inner batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InnerMessage<'a> {
    /// Position of the message in the batch in bytes.
    pub position: usize,
    /// The client's own flag.
    pub flag: i32,
    /// The body.
    pub body: &'a [u8],
    /// The message's own properties; those of the batch stand in the record.
    pub properties: Properties<'a>,
}

/// The messages of a batch, in order. Ends behind the first error and at the end of the bytes.
#[derive(Debug, Clone)]
pub struct InnerMessages<'a> {
    rest: &'a [u8],
    position: usize,
}

impl<'a> InnerMessages<'a> {
    /// The messages in `body`, which must not be compressed any more.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body, position: 0 }
    }

    fn read(&self) -> Result<(InnerMessage<'a>, usize), FormatError> {
        let at = self.position as u64;
        let mut reader = Reader::new(self.rest, at);
        let total_size = reader.i32("inner total size")?;
        let _magic = reader.i32("inner magic code")?;
        let _crc = reader.i32("inner body crc")?;
        let flag = reader.i32("inner flag")?;
        let body_length = reader.i32("inner body length")?;
        let negative = |field, found| FormatError::new(at, FormatErrorKind::BadLength { field, found });
        let length = usize::try_from(body_length).map_err(|_| negative("inner body length", i64::from(body_length)))?;
        let body = reader.bytes("inner body", length)?;
        let properties_length = reader.i16("inner properties length")?;
        let length = usize::try_from(properties_length)
            .map_err(|_| negative("inner properties length", i64::from(properties_length)))?;
        let properties = Properties::new(reader.bytes("inner properties", length)?);
        let computed = self.rest.len() - reader.rest().len();
        if usize::try_from(total_size) != Ok(computed) {
            let (declared, computed) = (i64::from(total_size), i64::try_from(computed).unwrap_or(i64::MAX));
            return Err(FormatError::new(at, FormatErrorKind::LengthMismatch { declared, computed }));
        }
        Ok((InnerMessage { position: self.position, flag, body, properties }, computed))
    }
}

impl<'a> Iterator for InnerMessages<'a> {
    type Item = Result<InnerMessage<'a>, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        match &read {
            Ok((_, length)) => {
                self.rest = self.rest.get(*length..).unwrap_or_default();
                self.position += length;
            }
            Err(_) => self.rest = &[],
        }
        Some(read.map(|(message, _)| message))
    }
}

/// The queue offsets that a record takes in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSpan {
    /// Queue offset of the first message.
    pub base_offset: i64,
    /// Number of messages.
    pub batch_size: i16,
}

impl<'a> MessageRecord<'a> {
    /// The messages inside, if the record is an inner batch and its body is not compressed.
    ///
    /// Positions and the offsets of errors count from the start of the body.
    pub fn inner_messages(&self) -> Option<InnerMessages<'a>> {
        let batch = self.sys_flag.is_inner_batch() && self.sys_flag.codec().is_none();
        batch.then(|| InnerMessages::new(self.body))
    }

    /// What a batch queue holds for the record (`DispatchRequest`): `INNER_BASE` and `INNER_NUM` if both are there and
    /// numbers, else its own queue offset and 1.
    pub fn batch_span(&self) -> BatchSpan {
        let base = self.properties.get_str(names::INNER_BASE).and_then(|text| text.parse().ok());
        let number = self.properties.get_str(names::INNER_NUM).and_then(|text| text.parse().ok());
        match (base, number) {
            (Some(base_offset), Some(batch_size)) => BatchSpan { base_offset, batch_size },
            _ => BatchSpan { base_offset: self.queue_offset, batch_size: 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths below 256, as literal bytes.
    fn message(body: &[u8], properties: &[u8]) -> Vec<u8> {
        let low = |length: usize| u8::try_from(length).unwrap();
        let mut bytes = vec![0, 0, 0, low(22 + body.len() + properties.len())];
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, low(body.len())]);
        bytes.extend(body);
        bytes.extend([0, low(properties.len())]);
        bytes.extend(properties);
        bytes
    }

    #[test]
    fn two_messages_are_read_with_their_own_properties() {
        let batch = [message(b"one", b"TAGS\x01a\x02"), message(b"", b"")].concat();
        let messages: Vec<_> = InnerMessages::new(&batch).collect::<Result<_, _>>().unwrap();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].body, messages[0].flag, messages[0].position), (&b"one"[..], 5, 0));
        assert_eq!(messages[0].properties.get("TAGS"), Some(&b"a"[..]));
        assert_eq!((messages[1].body.len(), messages[1].position), (0, 32));
    }

    #[test]
    fn a_batch_cut_anywhere_ends_with_an_error() {
        let batch = [message(b"one", b"TAGS\x01a\x02"), message(b"two", b"")].concat();
        for length in 1..batch.len() {
            let last = InnerMessages::new(&batch[..length]).last().unwrap();
            assert_eq!(last.is_ok(), length == 32, "{length}");
        }
        let mut wrong = message(b"one", b"");
        wrong[3] = 24;
        let error = InnerMessages::new(&wrong).next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), "total size 24 but fields add up to 25 at offset 0");
    }
}
