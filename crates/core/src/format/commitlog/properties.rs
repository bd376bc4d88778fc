//! The properties of a record: `name 0x01 value 0x02 name 0x01 value 0x02 ...` (`MessageDecoder`).
//!
//! The separator behind the last value is there in records of 3.x to 4.9.0 and 5.2.0 and later, and missing in
//! those of 4.9.1 to 5.1.4. Parsed as 4.9.1 and later do: an item without `0x01`, with an empty name or an empty value
//! is dropped, a value may itself contain `0x01`, and of a name that comes twice the last value counts. (Batches of
//! 4.8.0 to 5.3.3 carry the batch's own `UNIQ_KEY` behind each message's own.)

use std::borrow::Cow;
use std::collections::BTreeMap;

/// Names of the properties that brokers act on (`MessageConst`).
pub mod names {
    /// Business keys, separated by a space.
    pub const KEYS: &str = "KEYS";
    /// The tag.
    pub const TAGS: &str = "TAGS";
    /// Delay level, 1 and up.
    pub const DELAY: &str = "DELAY";
    /// The client's unique id; indexed like a key.
    pub const UNIQ_KEY: &str = "UNIQ_KEY";
    /// Topic that a parked message is for.
    pub const REAL_TOPIC: &str = "REAL_TOPIC";
    /// Queue that a parked message is for.
    pub const REAL_QUEUE_ID: &str = "REAL_QID";
    /// Messages in an inner batch.
    pub const INNER_NUM: &str = "INNER_NUM";
    /// Queue offset of the first message of an inner batch.
    pub const INNER_BASE: &str = "INNER_BASE";
    /// Further queues that get a unit for this record, separated by a comma.
    pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
    /// Queue offsets in those queues.
    pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
    /// Checksum over the whole record, always the last property.
    pub const CRC32: &str = "__CRC32#";
    /// When a timer message is due, milliseconds since the epoch.
    pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
    /// Unique key of the timer message that this one cancels.
    pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
}

const NAME_VALUE_SEPARATOR: u8 = 1;
const PROPERTY_SEPARATOR: u8 = 2;

/// The properties of one record, still as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a>(pub(super) &'a [u8]);

impl<'a> Properties<'a> {
    /// Reads `bytes` as properties.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The text as stored.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Names and values in the order of the record, duplicates included.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = memchr::memchr(PROPERTY_SEPARATOR, rest).unwrap_or(rest.len());
                let (item, tail) = rest.split_at(end);
                rest = tail.get(1..).unwrap_or_default();
                let Some(at) = memchr::memchr(NAME_VALUE_SEPARATOR, item) else { continue };
                let (name, value) = (item.get(..at)?, item.get(at + 1..)?);
                if !name.is_empty() && !value.is_empty() {
                    return Some((name, value));
                }
            }
            None
        })
    }

    /// The value of `name`; the last one when there are several.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(n, _)| *n == name.as_bytes()).last().map(|(_, value)| value)
    }

    /// The value of `name` as text; bytes that are not UTF-8 become U+FFFD.
    pub fn get_str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(String::from_utf8_lossy)
    }

    /// All names and values as text, of a name that comes twice the last value.
    pub fn to_map(&self) -> BTreeMap<Cow<'a, str>, Cow<'a, str>> {
        self.iter().map(|(n, v)| (String::from_utf8_lossy(n), String::from_utf8_lossy(v))).collect()
    }

    /// The non-empty pieces of `KEYS`, which the broker indexes one by one.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.get(names::KEYS).unwrap_or_default().split(|b| *b == b' ').filter(|key| !key.is_empty())
    }
}
