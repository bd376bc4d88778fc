//! One record through the eyes of a release (`CommitLog.checkMessageAndReturnSize`).
//!
//! [`MessageRecord::parse`](mqstore_core::format::commitlog::MessageRecord::parse) judges by the format; here is what
//! the release checks, in its order, with its gaps.

use mqstore_core::bytes::{Reader, Truncated};
use mqstore_core::format::commitlog::{
    BLANK_MAGIC_CODE, HOST_V4_LENGTH, HOST_V6_LENGTH, MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2, MessageRecord,
    Properties, SysFlag, TransactionType, names,
};
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::offset::PhysicalOffset;
use mqstore_core::release::rules::LengthMismatch;

use super::settings::Settings;

/// What a record is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judge<'a> {
    pub settings: &'a Settings,
    /// Whether the body's checksum is compared: in recovery only.
    pub crc: bool,
}

/// What the release makes of the bytes at a position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verdict<'a> {
    Message(Record<'a>),
    /// The fields add up to another size than the record claims, and the release returns the claimed one as failed.
    Mismatch(Lying),
    Blank,
    Fail(&'static str),
}

/// A record whose total size is not the sum of its fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lying {
    pub size: u64,
    pub consumed: usize,
}

/// The fields of a record that dispatching needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// As the record claims.
    pub size: u64,
    /// By how much the parse cursor moves; differs from the size only where that is not compared.
    pub consumed: usize,
    pub queue_id: i32,
    pub queue_offset: i64,
    /// As stored: no release compares it with the place.
    pub physical_offset: i64,
    pub sys_flag: SysFlag,
    pub store_timestamp: i64,
    pub topic: &'a [u8],
    pub properties: Properties<'a>,
}

impl Record<'_> {
    /// Whether it gets a unit in its queue.
    pub(super) fn has_unit(&self) -> bool {
        matches!(self.sys_flag.transaction_type(), TransactionType::Not | TransactionType::Commit)
    }
}

impl Judge<'_> {
    /// Judges the bytes from a position to the end of its file.
    pub(super) fn check<'b>(&self, bytes: &'b [u8]) -> Verdict<'b> {
        self.fields(bytes).unwrap_or(Verdict::Fail("its fields go beyond the end of the file"))
    }

    fn fields<'b>(&self, bytes: &'b [u8]) -> Result<Verdict<'b>, Truncated> {
        let rules = &self.settings.rules;
        let mut reader = Reader::new(bytes, 0);
        let total_size = reader.i32("total size")?;
        let size = u64::try_from(total_size).unwrap_or(0);
        if rules.remaining_bytes_guard.value && (bytes.len() <= 4 || (bytes.len() as u64) < size) {
            return Ok(Verdict::Fail("it claims more bytes than its file has left"));
        }
        let v2 = match reader.i32("magic code")? {
            MESSAGE_MAGIC_CODE => false,
            MESSAGE_MAGIC_CODE_V2 if rules.record_magic_v2.value => true,
            MESSAGE_MAGIC_CODE_V2 => return Ok(Verdict::Fail("this release does not know its magic code 0xdaa320ab")),
            BLANK_MAGIC_CODE => return Ok(Verdict::Blank),
            0 => return Ok(Verdict::Fail("there is no record")),
            _ => return Ok(Verdict::Fail("its magic code is none")),
        };
        if total_size < 0 {
            return Ok(Verdict::Fail("its total size is negative"));
        }
        if !rules.record_above_max_message_size.value && size > self.settings.max_message_size {
            return Ok(Verdict::Fail("it is larger than maxMessageSize"));
        }
        let body_crc = reader.i32("body crc")?;
        let queue_id = reader.i32("queue id")?;
        reader.i32("flag")?;
        let queue_offset = reader.i64("queue offset")?;
        let physical_offset = reader.i64("physical offset")?;
        let sys_flag = SysFlag(reader.i32("sys flag")?);
        reader.i64("born timestamp")?;
        reader.bytes("born host", self.host_length(sys_flag.is_born_host_v6()))?;
        let store_timestamp = reader.i64("store timestamp")?;
        reader.bytes("store host", self.host_length(sys_flag.is_store_host_v6()))?;
        reader.i32("reconsume times")?;
        reader.i64("prepared transaction offset")?;
        let body_length = usize::try_from(reader.i32("body length")?).unwrap_or(0);
        let body = reader.bytes("body", body_length)?;
        let force_property_crc = self.settings.force_property_crc && rules.force_verify_prop_crc.value;
        if self.crc && !force_property_crc && !body.is_empty() {
            let computed = crc32(body) & 0x7FFF_FFFF;
            if computed != body_crc.cast_unsigned() {
                return Ok(Verdict::Fail("its body does not match its checksum"));
            }
        }
        let topic_length = if v2 { reader.i16("topic length")? } else { i16::from(reader.i8("topic length")?) };
        let Ok(topic_length) = usize::try_from(topic_length) else {
            return Ok(Verdict::Fail("its topic length is negative"));
        };
        let topic = reader.bytes("topic", topic_length)?;
        let properties_length = usize::try_from(reader.i16("properties length")?).unwrap_or(0);
        let properties = Properties::new(reader.bytes("properties", properties_length)?);
        if let Some(why) = self.bad_property(topic, properties) {
            return Ok(Verdict::Fail(why));
        }
        let consumed = bytes.len() - reader.rest().len();
        if size == 0 && rules.length_mismatch.value != LengthMismatch::Fails {
            // A size of zero means a blank to the callers, wherever it comes from.
            return Ok(Verdict::Blank);
        }
        if consumed as u64 != size {
            match rules.length_mismatch.value {
                LengthMismatch::Unchecked => {}
                LengthMismatch::AbnormalGoesOn => return Ok(Verdict::Mismatch(Lying { size, consumed })),
                _ => return Ok(Verdict::Fail("its total size is not the sum of its fields")),
            }
        }
        if self.crc && force_property_crc {
            let record = MessageRecord::parse(bytes, PhysicalOffset(0));
            let right = record.ok().and_then(|record| record.check_property_crc()).is_some_and(|crc| crc.is_ok());
            if !right {
                return Ok(Verdict::Fail("forceVerifyPropCRC is set and it has no valid __CRC32#"));
            }
        }
        Ok(Verdict::Message(Record {
            size,
            consumed,
            queue_id,
            queue_offset,
            physical_offset,
            sys_flag,
            store_timestamp,
            topic,
            properties,
        }))
    }

    /// A release that does not know IPv6 hosts reads all of them as IPv4.
    fn host_length(&self, v6: bool) -> usize {
        if v6 && self.settings.rules.ipv6_hosts.value { HOST_V6_LENGTH } else { HOST_V4_LENGTH }
    }

    fn bad_property(&self, topic: &[u8], properties: Properties<'_>) -> Option<&'static str> {
        let rules = &self.settings.rules;
        let numeric = |name: &str| properties.get_str(name).is_none_or(|v| v.parse::<i64>().is_ok());
        if properties.as_bytes().is_empty() {
            return None;
        }
        if topic == SCHEDULE_TOPIC.as_bytes() && !numeric(names::DELAY) {
            return Some("its DELAY is no number");
        }
        if rules.inner_properties_checked.value && !(numeric(names::INNER_NUM) && numeric(names::INNER_BASE)) {
            return Some("its INNER_NUM or INNER_BASE is no number");
        }
        if self.settings.duplication && rules.dup_info_demanded.value {
            let halves = properties.get_str("DUP_INFO").map(|info| info.split('_').count());
            if halves != Some(2) {
                return Some("duplicationEnable is set and it has no DUP_INFO");
            }
        }
        None
    }

    /// The release's look at the first record of a file that an abnormal start may begin with: its store time, if it
    /// carries a message magic (`isMappedFileMatchedRecover`).
    pub(super) fn first_store_timestamp(&self, file: &[u8]) -> Option<i64> {
        let rules = &self.settings.rules;
        let mut reader = Reader::new(file, 0);
        reader.i32("total size").ok()?;
        match reader.i32("magic code").ok()? {
            MESSAGE_MAGIC_CODE => {}
            MESSAGE_MAGIC_CODE_V2 if rules.record_magic_v2.value => {}
            _ => return None,
        }
        reader.bytes("fixed fields", 4 + 4 + 4 + 8 + 8).ok()?;
        let sys_flag = SysFlag(reader.i32("sys flag").ok()?);
        reader.i64("born timestamp").ok()?;
        reader.bytes("born host", self.host_length(sys_flag.is_born_host_v6())).ok()?;
        reader.i64("store timestamp").ok().filter(|time| *time != 0)
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}
