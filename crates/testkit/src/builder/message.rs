//! One commitlog record, written field by field.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const MAGIC_V1: u32 = 0xDAA3_20A7;
const MAGIC_V2: u32 = 0xDAA3_20AB;
const BORN_HOST_V6: i32 = 0x10;
const STORE_HOST_V6: i32 = 0x20;
const TRANSACTION_BITS: i32 = 0xC;
const TRANSACTION_COMMIT: i32 = 0x8;
const TRANSACTION_ROLLBACK: i32 = 0xC;
const CRC_PROPERTY_LENGTH: usize = 20;

/// A message as [`StoreWriter::put`](super::StoreWriter::put) takes it: the fields of a record, without those that
/// its place in the store decides.
#[derive(Clone, Debug)]
pub struct Message {
    /// The topic; more than 127 characters make it a record of magic V2.
    pub topic: String,
    /// The queue of the topic.
    pub queue_id: i32,
    /// Its place in that queue; `None` takes the next one. Not used for prepared and rolled back transactions.
    pub queue_offset: Option<i64>,
    /// The client's own number.
    pub flag: i32,
    /// System flag bits; those for IPv6 hosts are added when the record is written.
    pub sys_flag: i32,
    /// Milliseconds since the epoch at the client.
    pub born_timestamp: i64,
    /// The client.
    pub born_host: SocketAddr,
    /// Milliseconds since the epoch at the broker.
    pub store_timestamp: i64,
    /// The broker that first stored it.
    pub store_host: SocketAddr,
    /// How often it was consumed in vain.
    pub reconsume_times: i32,
    /// For a commit or a rollback: physical offset of the half message.
    pub prepared_transaction_offset: i64,
    /// The body as stored (compressed, if `sys_flag` says so).
    pub body: Vec<u8>,
    /// The properties as stored: `name 0x01 value 0x02 ...`.
    pub properties: Vec<u8>,
    /// Whether the record ends with a `__CRC32#` property.
    pub property_crc: bool,
}

impl Message {
    /// An empty message of 2023-11-14T22:13:20Z between two IPv4 hosts.
    pub fn new(topic: &str, queue_id: i32) -> Self {
        Self {
            topic: topic.to_owned(),
            queue_id,
            queue_offset: None,
            flag: 0,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            born_host: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000),
            store_timestamp: 1_700_000_000_000,
            store_host: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)), 10_911),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: Vec::new(),
            properties: Vec::new(),
            property_crc: false,
        }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body to `length` bytes that look random and are the same on every run.
    #[must_use]
    pub fn sized(self, length: usize) -> Self {
        self.body(super::noise(length, length as u64))
    }

    /// Sets both times.
    #[must_use]
    pub fn at(mut self, milliseconds: i64) -> Self {
        self.born_timestamp = milliseconds;
        self.store_timestamp = milliseconds;
        self
    }

    /// Appends a property, with the separator behind it that most releases write.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.extend_from_slice(name.as_bytes());
        self.properties.push(1);
        self.properties.extend_from_slice(value.as_bytes());
        self.properties.push(2);
        self
    }

    /// The value of a property; the last one, where there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.properties.split(|byte| *byte == 2).rev().find_map(|item| {
            let value = item.strip_prefix(name.as_bytes())?.strip_prefix(&[1])?;
            std::str::from_utf8(value).ok()
        })
    }

    /// Whether a queue unit is made for it: not for prepared and rolled back transactions of 4.2 and earlier.
    pub fn has_queue_unit(&self) -> bool {
        matches!(self.sys_flag & TRANSACTION_BITS, 0 | TRANSACTION_COMMIT)
    }

    pub(super) fn is_rollback(&self) -> bool {
        self.sys_flag & TRANSACTION_BITS == TRANSACTION_ROLLBACK
    }

    /// Bytes of the whole record (`totalSize`).
    pub fn record_length(&self) -> usize {
        let topic_length = if self.is_v2() { 2 } else { 1 };
        let fixed = 68 + host_length(self.born_host) + host_length(self.store_host) + 4;
        fixed + self.body.len() + topic_length + self.topic.len() + 2 + self.properties_length()
    }

    /// Appends the record as it lies at `physical_offset` in the commitlog.
    pub fn encode(&self, physical_offset: u64, queue_offset: i64, out: &mut Vec<u8>) {
        let start = out.len();
        let total_size = self.record_length();
        let body_crc = crc(&self.body);
        put_u32(out, length_as_u32(total_size));
        put_u32(out, if self.is_v2() { MAGIC_V2 } else { MAGIC_V1 });
        put_u32(out, body_crc);
        put_i32(out, self.queue_id);
        put_i32(out, self.flag);
        put_i64(out, queue_offset);
        put_u64(out, physical_offset);
        put_i32(out, self.stored_sys_flag());
        put_i64(out, self.born_timestamp);
        put_host(out, self.born_host);
        put_i64(out, self.store_timestamp);
        put_host(out, self.store_host);
        put_i32(out, self.reconsume_times);
        put_i64(out, self.prepared_transaction_offset);
        put_u32(out, length_as_u32(self.body.len()));
        out.extend_from_slice(&self.body);
        if self.is_v2() {
            put_u16(out, length_as_u16(self.topic.len()));
        } else {
            out.push(u8::try_from(self.topic.len()).expect("a topic of at most 127 bytes"));
        }
        out.extend_from_slice(self.topic.as_bytes());
        put_u16(out, length_as_u16(self.properties_length()));
        out.extend_from_slice(&self.properties);
        if self.property_crc {
            if self.lacks_separator() {
                out.push(2);
            }
            let covered = out.get(start..).unwrap_or_default();
            let mut rest = crc(covered);
            out.extend_from_slice(b"__CRC32#\x01");
            // Ten decimal digits, the lowest first.
            for _ in 0..10 {
                out.push(b'0' + u8::try_from(rest % 10).unwrap_or_default());
                rest /= 10;
            }
            out.push(2);
        }
        assert_eq!(out.len() - start, total_size, "the fields of a record add up to its total size");
    }

    /// The value by which consumers filter: due time of a delayed message, else the hash of its tag.
    pub(super) fn tags_code(&self) -> i64 {
        const SECONDS: [i64; 18] =
            [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
        if self.topic == "SCHEDULE_TOPIC_XXXX"
            && let Some(level) = self.get("DELAY").and_then(|text| text.parse::<usize>().ok())
            && let Some(seconds) = SECONDS.get(level.min(SECONDS.len()).wrapping_sub(1))
        {
            return self.store_timestamp + seconds * 1000;
        }
        self.get("TAGS").map_or(0, |tag| i64::from(java_hash(tag)))
    }

    fn is_v2(&self) -> bool {
        self.topic.encode_utf16().count() > 127
    }

    fn stored_sys_flag(&self) -> i32 {
        let born = if self.born_host.is_ipv6() { BORN_HOST_V6 } else { 0 };
        let store = if self.store_host.is_ipv6() { STORE_HOST_V6 } else { 0 };
        self.sys_flag | born | store
    }

    fn lacks_separator(&self) -> bool {
        self.properties.last().is_some_and(|last| *last != 2)
    }

    fn properties_length(&self) -> usize {
        let crc = if self.property_crc { CRC_PROPERTY_LENGTH + usize::from(self.lacks_separator()) } else { 0 };
        self.properties.len() + crc
    }
}

/// `String.hashCode` of Java: over UTF-16 units, with overflow.
pub(super) fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes) & 0x7FFF_FFFF
}

fn host_length(host: SocketAddr) -> usize {
    if host.is_ipv6() { 20 } else { 8 }
}

fn put_host(out: &mut Vec<u8>, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
        IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
    }
    put_u32(out, u32::from(host.port()));
}

fn length_as_u32(length: usize) -> u32 {
    u32::try_from(i32::try_from(length).expect("a length below 2 GiB")).expect("a positive length")
}

fn length_as_u16(length: usize) -> u16 {
    u16::try_from(i16::try_from(length).expect("a length below 32 KiB")).expect("a positive length")
}

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_i32(out: &mut Vec<u8>, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}
