//! One message record.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{HOST_V4_LENGTH, HOST_V6_LENGTH, Host, MIN_RECORD_LENGTH, Properties, SysFlag};
use super::{MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2, names};
use crate::bytes::Reader;
use crate::error::{FormatError, FormatErrorKind};
use crate::offset::PhysicalOffset;

/// Which of the two record layouts a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MagicCode {
    /// One-byte topic length, all releases.
    V1,
    /// Two-byte topic length, 5.1.0 and later, for topics of more than 127 characters.
    V2,
}

/// A message record, borrowed from the bytes of its file. Fields are as stored, signed as Java wrote them.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct MessageRecord<'a> {
    /// Where the record was found; [`physical_offset`](Self::physical_offset) is where it says it is.
    pub position: PhysicalOffset,
    /// The whole record.
    pub bytes: &'a [u8],
    /// The layout.
    pub magic: MagicCode,
    /// CRC-32 of the body, top bit cleared.
    pub body_crc: i32,
    /// Queue of the topic.
    pub queue_id: i32,
    /// The client's own flag.
    pub flag: i32,
    /// Number in the queue.
    pub queue_offset: i64,
    /// Physical offset as stored.
    pub physical_offset: i64,
    /// How to read the record and what it is.
    pub sys_flag: SysFlag,
    /// When the client made it, milliseconds since the epoch.
    pub born_timestamp: i64,
    born_host: &'a [u8],
    /// When a broker stored it, milliseconds since the epoch.
    pub store_timestamp: i64,
    store_host: &'a [u8],
    /// Deliveries that failed.
    pub reconsume_times: i32,
    /// Physical offset of the prepared or half record of a committed message, else 0.
    pub prepared_transaction_offset: i64,
    /// The body as stored, perhaps compressed.
    pub body: &'a [u8],
    /// The topic's bytes.
    pub topic: &'a [u8],
    /// The properties.
    pub properties: Properties<'a>,
}

impl<'a> MessageRecord<'a> {
    /// Reads the record at the start of `bytes`, which lies at `position` in the log and may go on behind the record.
    ///
    /// Checks what `CommitLog.checkMessageAndReturnSize` checks except for the CRC: magic code, lengths, and that the
    /// fields add up to the total size.
    #[inline]
    pub fn parse(bytes: &'a [u8], position: PhysicalOffset) -> Result<Self, FormatError> {
        Self::parse_hosts(bytes, position, None)
    }

    /// Reads a record whose system flag claims an IPv6 store host while it holds an IPv4 one and 12 bytes of padding.
    ///
    /// 5.0.0 to 5.3.3 write such records when a consumer sends back a message that was stored under an IPv6 address and
    /// the broker's own address is IPv4 by now. Every release cuts its log there at the next start.
    pub fn parse_with_short_store_host(bytes: &'a [u8], position: PhysicalOffset) -> Result<Self, FormatError> {
        Self::parse_hosts(bytes, position, Some(HOST_V4_LENGTH))
    }

    #[inline]
    fn parse_hosts(
        bytes: &'a [u8],
        position: PhysicalOffset,
        store_host_length: Option<usize>,
    ) -> Result<Self, FormatError> {
        let at = position.get();
        let mut reader = Reader::new(bytes, at);
        let total_size = reader.i32("total size")?;
        let magic = match reader.i32("magic code")? {
            MESSAGE_MAGIC_CODE => MagicCode::V1,
            MESSAGE_MAGIC_CODE_V2 => MagicCode::V2,
            other => return Err(unknown_magic(at, other)),
        };
        let record = usize::try_from(total_size).ok().filter(|size| *size >= MIN_RECORD_LENGTH);
        let Some(record_length) = record else {
            return Err(bad_length(at, "total size", i64::from(total_size)));
        };
        let Some(record) = bytes.get(..record_length) else {
            let (needed, available) = (record_length as u64, bytes.len() as u64);
            return Err(FormatError::new(at, FormatErrorKind::Truncated { field: "record", needed, available }));
        };

        let body_crc = reader.i32("body crc")?;
        let queue_id = reader.i32("queue id")?;
        let flag = reader.i32("flag")?;
        let queue_offset = reader.i64("queue offset")?;
        let physical_offset = reader.i64("physical offset")?;
        let sys_flag = SysFlag(reader.i32("sys flag")?);
        let born_timestamp = reader.i64("born timestamp")?;
        let born_host = reader.bytes("born host", host_length(sys_flag.is_born_host_v6()))?;
        let store_timestamp = reader.i64("store timestamp")?;
        let store_host_length = store_host_length.unwrap_or(host_length(sys_flag.is_store_host_v6()));
        let store_host = reader.bytes("store host", store_host_length)?;
        let reconsume_times = reader.i32("reconsume times")?;
        let prepared_transaction_offset = reader.i64("prepared transaction offset")?;
        let body_length = reader.i32("body length")?;
        let body = reader.bytes("body", usize::try_from(body_length).unwrap_or(0))?;
        let topic_length = match magic {
            MagicCode::V1 => i16::from(reader.i8("topic length")?),
            MagicCode::V2 => reader.i16("topic length")?,
        };
        let Ok(length) = usize::try_from(topic_length) else {
            return Err(bad_length(at, "topic length", i64::from(topic_length)));
        };
        let topic = reader.bytes("topic", length)?;
        let properties_length = reader.i16("properties length")?;
        let properties = reader.bytes("properties", usize::try_from(properties_length).unwrap_or(0))?;

        let padding = if store_host_length == host_length(sys_flag.is_store_host_v6()) {
            0
        } else {
            (HOST_V6_LENGTH - HOST_V4_LENGTH) as u64
        };
        let computed = (bytes.len() - reader.rest().len()) as u64 + padding;
        if computed != record_length as u64 {
            return Err(length_mismatch(at, i64::from(total_size), computed));
        }
        Ok(Self {
            position,
            bytes: record,
            magic,
            body_crc,
            queue_id,
            flag,
            queue_offset,
            physical_offset,
            sys_flag,
            born_timestamp,
            born_host,
            store_timestamp,
            store_host,
            reconsume_times,
            prepared_transaction_offset,
            body,
            topic,
            properties: Properties(properties),
        })
    }

    /// Length of the whole record in bytes.
    #[inline]
    pub fn total_size(&self) -> u32 {
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// The first physical offset behind the record.
    pub fn end(&self) -> PhysicalOffset {
        self.position + self.bytes.len() as u64
    }

    /// Address of the client.
    pub fn born_host(&self) -> Host {
        Host::from_bytes(self.born_host)
    }

    /// Address of the broker that first stored the message.
    pub fn store_host(&self) -> Host {
        Host::from_bytes(self.store_host)
    }

    /// The topic as text; bytes that are not UTF-8 become U+FFFD.
    pub fn topic_str(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.topic)
    }

    /// Compares the stored CRC with that of the body, as recovery does (`checkCRCOnRecover`). An empty body has none.
    #[inline]
    pub fn check_body_crc(&self) -> Result<(), FormatError> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.compare_crc("body crc", self.body_crc, self.body)
    }

    /// Compares the property CRC with that of the record, if it has one (5.2.0 and later, `enabledAppendPropCRC`).
    ///
    /// `None`: the record ends without the property, which is no damage.
    pub fn check_property_crc(&self) -> Option<Result<(), FormatError>> {
        const LENGTH: usize = names::CRC32.len() + 1 + 10 + 1;
        let (covered, property) = self.bytes.split_at_checked(self.bytes.len().checked_sub(LENGTH)?)?;
        if self.properties.0.len() < LENGTH {
            return None;
        }
        let digits = property.strip_prefix(names::CRC32.as_bytes())?.strip_prefix(&[1])?.strip_suffix(&[2])?;
        // Ten decimal digits, the least significant first.
        let mut stored = 0u64;
        for digit in digits.iter().rev() {
            stored = stored * 10 + u64::from((*digit as char).to_digit(10)?);
        }
        let stored = u32::try_from(stored).unwrap_or(u32::MAX).cast_signed();
        Some(self.compare_crc("property crc", stored, covered))
    }

    fn compare_crc(&self, field: &'static str, stored: i32, bytes: &[u8]) -> Result<(), FormatError> {
        let computed = crc32fast::hash(bytes) & 0x7FFF_FFFF;
        let stored = stored.cast_unsigned();
        if stored == computed {
            return Ok(());
        }
        Err(FormatError::new(self.position.get(), FormatErrorKind::Crc { field, stored, computed }))
    }

    /// The id by which a broker finds the message: hex of store host and physical offset (`createMessageId`).
    pub fn offset_message_id(&self) -> String {
        let mut id = String::with_capacity(2 * (HOST_V6_LENGTH + 8));
        for byte in self.store_host.iter().chain(&self.physical_offset.to_be_bytes()) {
            let _ = write!(id, "{byte:02X}");
        }
        id
    }
}

#[inline]
fn host_length(v6: bool) -> usize {
    if v6 { HOST_V6_LENGTH } else { HOST_V4_LENGTH }
}

#[cold]
fn unknown_magic(at: u64, found: i32) -> FormatError {
    FormatError::new(at, FormatErrorKind::UnknownMagic { found: found.cast_unsigned() })
}

#[cold]
fn bad_length(at: u64, field: &'static str, found: i64) -> FormatError {
    FormatError::new(at, FormatErrorKind::BadLength { field, found })
}

#[cold]
fn length_mismatch(at: u64, declared: i64, computed: u64) -> FormatError {
    let computed = i64::try_from(computed).unwrap_or(i64::MAX);
    FormatError::new(at, FormatErrorKind::LengthMismatch { declared, computed })
}
