//! What one record says about itself: checksums, fields, properties.

use mqstore_core::format::commitlog::{Codec, MessageRecord, SysFlag, TransactionType, names};
use mqstore_core::format::system_topic::{SCHEDULE_TOPIC, TIMER_TOPIC, TRANS_HALF_TOPIC};
use mqstore_core::{FormatErrorKind, PhysicalOffset};

use super::finding;
use crate::finding::{Finding, Location};

/// Levels of the default `messageDelayLevel`.
const DELAY_LEVELS: i32 = 18;

/// The properties that brokers act on, found in one walk; of a name that comes twice the last value.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) tags: Option<&'a [u8]>,
    pub(super) keys: Option<&'a [u8]>,
    pub(super) uniq_key: Option<&'a [u8]>,
    pub(super) delay: Option<&'a [u8]>,
    pub(super) inner_num: Option<&'a [u8]>,
    pub(super) inner_base: Option<&'a [u8]>,
    pub(super) multi_dispatch: Option<&'a [u8]>,
    pub(super) multi_offsets: Option<&'a [u8]>,
    /// Position of an item that is no property, in the text.
    pub(super) bad_item: Option<usize>,
}

impl<'a> Known<'a> {
    pub(super) fn of(record: &MessageRecord<'a>) -> Self {
        let text = record.properties.as_bytes();
        let mut known = Self::default();
        let (mut start, mut split) = (0, None);
        separators(text, |at, is_end| {
            if is_end {
                known.item(text, start..at, split);
                (start, split) = (at + 1, None);
            } else {
                split = split.or(Some(at));
            }
        });
        known.item(text, start..text.len(), split);
        known
    }

    fn item(&mut self, text: &'a [u8], item: std::ops::Range<usize>, split: Option<usize>) {
        match split {
            Some(split) if split > item.start => {
                let name = text.get(item.start..split).unwrap_or_default();
                self.take(name, text.get(split + 1..item.end).unwrap_or_default());
            }
            _ if item.is_empty() => {}
            _ => self.bad_item = self.bad_item.or(Some(item.start)),
        }
    }

    /// The keys that go into the index: the unique key and the pieces of `KEYS`.
    pub(super) fn indexed_keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let pieces = self.keys.unwrap_or_default().split(|b| *b == b' ').filter(|key| !key.is_empty());
        self.uniq_key.into_iter().chain(pieces)
    }

    fn take(&mut self, name: &'a [u8], value: &'a [u8]) {
        if value.is_empty() {
            return;
        }
        let field = match name {
            b"TAGS" => &mut self.tags,
            b"KEYS" => &mut self.keys,
            b"UNIQ_KEY" => &mut self.uniq_key,
            b"DELAY" => &mut self.delay,
            b"INNER_NUM" => &mut self.inner_num,
            b"INNER_BASE" => &mut self.inner_base,
            b"INNER_MULTI_DISPATCH" => &mut self.multi_dispatch,
            b"INNER_MULTI_QUEUE_OFFSET" => &mut self.multi_offsets,
            _ => return,
        };
        *field = Some(value);
    }

    /// Queue offsets that the record takes: the number of messages of an inner batch, else 1.
    pub(super) fn step(&self, record: &MessageRecord<'_>) -> i64 {
        if !record.sys_flag.is_inner_batch() {
            return 1;
        }
        let counted = if record.sys_flag.codec().is_none() { count_inner(record.body) } else { None };
        let counted = counted.and_then(|n| i64::try_from(n).ok());
        counted.or(self.inner_num.and_then(number)).filter(|n| *n > 0).unwrap_or(1)
    }
}

/// Hands over the place of each `0x01` and `0x02` of the text, and whether it is the `0x02` that ends a property. Names and
/// values are so short that a call of `memchr` for each costs more than the search: all are found in one walk.
#[inline]
fn separators(text: &[u8], mut take: impl FnMut(usize, bool)) {
    let (words, tail) = text.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        // The first byte is the lowest.
        let word = u64::from_be_bytes(*word).swap_bytes();
        // The top bit of each byte below 4. The sum of a byte does not reach the next one.
        let high = word & 0xFCFC_FCFC_FCFC_FCFC;
        let mut found = !(((high & 0x7F7F_7F7F_7F7F_7F7F) + 0x7F7F_7F7F_7F7F_7F7F) | high) & 0x8080_8080_8080_8080;
        while found != 0 {
            let bit = found.trailing_zeros();
            found &= found - 1;
            let byte = (word >> (bit & !7)) & 0xFF;
            if byte == 1 || byte == 2 {
                take(n * 8 + (bit / 8) as usize, byte == 2);
            }
        }
    }
    for (n, byte) in tail.iter().enumerate().filter(|(_, byte)| **byte == 1 || **byte == 2) {
        take(words.len() * 8 + n, *byte == 2);
    }
}

/// The text as a number, as Java's `parseLong` reads it.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Whether the record has a unit in a queue.
pub(super) fn has_unit(record: &MessageRecord<'_>) -> bool {
    matches!(record.sys_flag.transaction_type(), TransactionType::Not | TransactionType::Commit)
}

/// The place of a record.
pub(super) fn place(path: &str, record: &MessageRecord<'_>) -> Location {
    Location::path(path)
        .at(record.position.get())
        .spanning(u64::from(record.total_size()))
        .in_queue(record.topic_str(), record.queue_id)
        .at_unit(record.queue_offset)
}

/// Checks the record by itself; `path` is that of its file. Says whether the body does not match its CRC.
pub(super) fn check(out: &mut Vec<Finding>, path: &str, record: &MessageRecord<'_>, known: &Known<'_>) -> bool {
    let at = || place(path, record);
    if record.physical_offset.cast_unsigned() != record.position.get() {
        let message = format!("record at {} says it stands at {}", record.position, record.physical_offset);
        out.push(finding("commitlog.physical-offset", at(), message).values(record.position, record.physical_offset));
    }
    let body = body_crc(record);
    let has_bad_body = body.is_err() && !record.body.is_empty();
    crc(out, at, "commitlog.body-crc", "body", body);
    if let Some(result) = record.check_property_crc() {
        crc(out, at, "commitlog.property-crc", "record", result);
    }
    fields(out, record, at);
    properties(out, record, known, at);
    has_bad_body
}

/// As recovery does, but an empty body must have the CRC 0 that every release writes.
fn body_crc(record: &MessageRecord<'_>) -> Result<(), mqstore_core::FormatError> {
    if record.body.is_empty() && record.body_crc != 0 {
        let stored = record.body_crc.cast_unsigned();
        let kind = FormatErrorKind::Crc { field: "body crc", stored, computed: 0 };
        return Err(mqstore_core::FormatError { offset: record.position.get(), kind });
    }
    record.check_body_crc()
}

fn crc(
    out: &mut Vec<Finding>,
    at: impl Fn() -> Location,
    id: &'static str,
    what: &str,
    result: Result<(), mqstore_core::FormatError>,
) {
    let Err(error) = result else { return };
    let mut found = finding(id, at(), format!("CRC check failed: {what} at {} does not match its CRC", error.offset));
    if let FormatErrorKind::Crc { stored, computed, .. } = error.kind {
        found = found.values(format_args!("{stored:#010x}"), format_args!("{computed:#010x}"));
    }
    out.push(found);
}

fn fields(out: &mut Vec<Finding>, record: &MessageRecord<'_>, at: impl Fn() -> Location) {
    let fixed_queue = [TRANS_HALF_TOPIC.as_bytes(), TIMER_TOPIC.as_bytes()].contains(&record.topic);
    if record.queue_id < 0 || (fixed_queue && record.queue_id != 0) {
        let expected = if fixed_queue { "0" } else { "0 or more" };
        let message = format!("queue id {} of topic {}", record.queue_id, record.topic_str());
        out.push(finding("commitlog.queue-id", at(), message).values(expected, record.queue_id));
    }
    if record.queue_offset < 0 || (!has_unit(record) && record.queue_offset != 0) {
        let message = format!("queue offset {} of a record without unit", record.queue_offset);
        out.push(finding("commitlog.queue-offset", at(), message).values("0", record.queue_offset));
    }
    if record.store_timestamp <= 0 {
        let message = format!("store timestamp {}", record.store_timestamp);
        out.push(finding("commitlog.store-time", at(), message).values("above 0", record.store_timestamp));
    }
    if record.reconsume_times < 0 {
        let message = format!("reconsume times {}", record.reconsume_times);
        out.push(finding("commitlog.reconsume-times", at(), message).values("0 or more", record.reconsume_times));
    }
    let unknown = record.sys_flag.unknown_bits();
    let codec = record.sys_flag.codec();
    if unknown != 0 || matches!(codec, Some(Codec::Unknown(_))) {
        let message = format!("sys flag {:#x}", record.sys_flag.0);
        let known = format_args!("bits of {:#x}", SysFlag::KNOWN).to_string();
        out.push(finding("commitlog.sys-flag", at(), message).values(known, format_args!("{:#x}", record.sys_flag.0)));
    }
    let begins = match codec {
        Some(Codec::Zlib) => record.body.first().is_some_and(|b| b & 0x0F == 8),
        Some(Codec::Lz4) => record.body.starts_with(&[0x04, 0x22, 0x4D, 0x18]),
        Some(Codec::Zstd) => record.body.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]),
        _ => true,
    };
    if !begins && !record.body.is_empty() {
        let message = format!("body is flagged as {codec:?} and begins otherwise").to_lowercase();
        out.push(finding("commitlog.codec", at(), message));
    }
}

fn properties(out: &mut Vec<Finding>, record: &MessageRecord<'_>, known: &Known<'_>, at: impl Fn() -> Location) {
    // 5.2.0 and 5.3.0 leave 20 bytes of garbage behind the properties of some multi-dispatch messages.
    if let Some(item) = known.bad_item.filter(|_| known.multi_dispatch.is_none()) {
        let message = format!("item {item} bytes into the properties is no name and value");
        out.push(finding("commitlog.properties", at(), message));
    }
    if record.topic == SCHEDULE_TOPIC.as_bytes()
        && let Some(delay) = known.delay
    {
        let level = number(delay).and_then(|level| i32::try_from(level).ok());
        // Levels above the highest are put into the queue of the highest, which a broker's own table may move.
        let fits = level.is_some_and(|l| l == record.queue_id.saturating_add(1) || !(1..=DELAY_LEVELS).contains(&l));
        if !fits {
            let delay = String::from_utf8_lossy(delay);
            let message = format!("DELAY {delay} in queue {} of the schedule topic", record.queue_id);
            out.push(finding("commitlog.delay-level", at(), message).values(record.queue_id.saturating_add(1), delay));
        }
    }
    if record.sys_flag.is_inner_batch() {
        inner_batch(out, record, known, at);
    }
}

fn inner_batch(out: &mut Vec<Finding>, record: &MessageRecord<'_>, known: &Known<'_>, at: impl Fn() -> Location) {
    let (num, base) = (known.inner_num.and_then(number), known.inner_base.and_then(number));
    let counted = count_inner(record.body);
    let compressed = record.sys_flag.codec().is_some();
    let right = base == Some(record.queue_offset)
        && num.is_some_and(|n| n >= 1 && (compressed || counted == u64::try_from(n).ok()));
    if !right {
        let text = |n: Option<i64>| n.map_or("none".to_owned(), |n| n.to_string());
        let counted = counted.map_or("no".to_owned(), |n| n.to_string());
        let message = format!("inner batch of {counted} messages at queue offset {}", record.queue_offset);
        let found = format!("{} {}, {} {}", names::INNER_NUM, text(num), names::INNER_BASE, text(base));
        out.push(finding("commitlog.inner-batch", at(), message).values("number and offset of its messages", found));
    }
}

/// Messages in the body of an inner batch: `size, magic, crc, flag, body length, body, properties length, properties`.
fn count_inner(body: &[u8]) -> Option<u64> {
    let (mut rest, mut count) = (body, 0);
    while !rest.is_empty() {
        let size = usize::try_from(mqstore_core::bytes::i32_at(rest, 0)?).ok().filter(|size| *size >= 22)?;
        rest = rest.get(size..)?;
        count += 1;
    }
    Some(count)
}

/// The check and the words for bytes that are no record, in the broker's own where it has some.
pub(super) fn no_record(at: PhysicalOffset, kind: FormatErrorKind, location: Location) -> Finding {
    match kind {
        FormatErrorKind::UnknownMagic { found } => {
            let message = format!("illegal magic code {found:#x} at {at}");
            finding("commitlog.magic", location, message)
                .values("a message or blank magic code", format_args!("{found:#x}"))
        }
        FormatErrorKind::LengthMismatch { declared, computed } => {
            let message = format!("length not matched: total size {declared} but fields add up to {computed} at {at}");
            finding("commitlog.length", location, message).values(computed, declared)
        }
        FormatErrorKind::Crc { stored, computed, .. } => {
            let message = format!("CRC check failed: body at {at} does not match its CRC");
            finding("commitlog.body-crc", location, message)
                .values(format_args!("{stored:#010x}"), format_args!("{computed:#010x}"))
        }
        kind => finding("commitlog.length", location, format!("length not matched: {kind} at {at}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_found_wherever_they_stand_and_whatever_is_around_them() {
        for filler in [0, 3, 4, 0x7F, 0x80, 0x81, 0x82, 0xFC, 0xFF] {
            for (at, further) in (0..20).flat_map(|at| (at + 1..24).map(move |further| (at, further))) {
                for (first, second) in [(1, 2), (2, 1), (1, 1), (2, 2)] {
                    let mut text = vec![filler; 27];
                    (text[at], text[further]) = (first, second);
                    let mut found = Vec::new();
                    separators(&text, |at, is_end| found.push((at, is_end)));
                    assert_eq!(found, [(at, first == 2), (further, second == 2)], "{filler}");
                }
            }
        }
    }
}
