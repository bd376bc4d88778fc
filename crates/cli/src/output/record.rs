//! One entry of the commit log, as JSON and as a line of text.

use std::fmt;
use std::io::{self, Write};

use mqstore_core::format::commitlog::{Blank, Host, MagicCode, MessageRecord, names};
use serde::{Serialize, Serializer};

use super::Output;
use super::human::{Paint, plain};
use super::json::{Lossy, PropertyMap};
use crate::args::BodyForm;
use crate::time::Moment;

/// A body that unpacks to more than this is not shown: a broker's own limit is 4 MiB.
const MAX_BODY: usize = 64 << 20;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "record")]
pub(crate) struct RecordJson<'a> {
    physical_offset: u64,
    total_size: u32,
    magic: &'static str,
    topic: Lossy<'a>,
    queue_id: i32,
    queue_offset: i64,
    flag: i32,
    sys_flag: i32,
    born_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    born_at: Option<Moment>,
    #[serde(serialize_with = "host")]
    born_host: Host,
    store_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_at: Option<Moment>,
    #[serde(serialize_with = "host")]
    store_host: Host,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    body_crc: i32,
    body_length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Body<'a>>,
    properties: PropertyMap<'a>,
}

impl<'a> RecordJson<'a> {
    pub(crate) fn new(record: &MessageRecord<'a>, form: BodyForm) -> Self {
        Self {
            physical_offset: record.position.get(),
            total_size: record.total_size(),
            magic: match record.magic {
                MagicCode::V1 => "v1",
                MagicCode::V2 => "v2",
            },
            topic: Lossy(record.topic),
            queue_id: record.queue_id,
            queue_offset: record.queue_offset,
            flag: record.flag,
            sys_flag: record.sys_flag.0,
            born_timestamp: record.born_timestamp,
            born_at: Moment::from_ms(record.born_timestamp),
            born_host: record.born_host(),
            store_timestamp: record.store_timestamp,
            store_at: Moment::from_ms(record.store_timestamp),
            store_host: record.store_host(),
            reconsume_times: record.reconsume_times,
            prepared_transaction_offset: record.prepared_transaction_offset,
            body_crc: record.body_crc,
            body_length: record.body.len(),
            body: Body::new(record, form),
            properties: PropertyMap(record.properties),
        }
    }
}

fn host<S: Serializer>(host: &Host, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(host)
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "blank")]
pub(crate) struct BlankJson {
    physical_offset: u64,
    total_size: i32,
}

impl From<&Blank> for BlankJson {
    fn from(blank: &Blank) -> Self {
        Self { physical_offset: blank.position.get(), total_size: blank.total_size }
    }
}

/// A body in the form asked for.
#[derive(Debug)]
pub(crate) enum Body<'a> {
    Stored(&'a [u8]),
    Unpacked(Vec<u8>),
    /// It does not unpack: why.
    Broken(String),
    Hex(&'a [u8]),
    Base64(&'a [u8]),
}

impl<'a> Body<'a> {
    pub(crate) fn new(record: &MessageRecord<'a>, form: BodyForm) -> Option<Self> {
        Some(match form {
            BodyForm::None => return None,
            BodyForm::Hex => Self::Hex(record.body),
            BodyForm::Base64 => Self::Base64(record.body),
            BodyForm::Text if record.sys_flag.codec().is_none() => Self::Stored(record.body),
            BodyForm::Text => match record.decompressed_body(MAX_BODY) {
                Ok(body) => Self::Unpacked(body),
                Err(error) => Self::Broken(error.to_string()),
            },
        })
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Stored(bytes) => Lossy(bytes).serialize(serializer),
            Self::Unpacked(bytes) => Lossy(bytes).serialize(serializer),
            Self::Broken(_) => serializer.serialize_none(),
            Self::Hex(_) | Self::Base64(_) => serializer.collect_str(self),
        }
    }
}

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Unpacked(bytes) => f.write_str(&String::from_utf8_lossy(bytes)),
            Self::Broken(why) => write!(f, "({why})"),
            Self::Hex(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Base64(bytes) => bytes.chunks(3).try_for_each(|chunk| base64(f, chunk)),
        }
    }
}

/// Four characters for up to three bytes (RFC 4648).
fn base64(f: &mut fmt::Formatter<'_>, chunk: &[u8]) -> fmt::Result {
    use fmt::Write as _;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
    let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for i in 0..4 {
        let digit = (bits >> (18 - 6 * i)) & 0x3F;
        let digit = ALPHABET.get(digit as usize).copied().unwrap_or(b'=');
        f.write_char(if i > chunk.len() { '=' } else { char::from(digit) })?;
    }
    Ok(())
}

/// The heads over [`line()`].
pub(crate) fn heading(out: &mut Output, paint: Paint) -> io::Result<()> {
    let heads = format!("{:>14}  {:>8}  {:<24}  {}", "OFFSET", "SIZE", "STORED", "TOPIC/QUEUE@OFFSET");
    writeln!(out, "{}", paint.dim(heads))
}

/// A record on one line: where, how long, when, which queue, tag and keys.
pub(crate) fn line(out: &mut Output, record: &MessageRecord<'_>) -> io::Result<()> {
    let (topic, queue, offset) = (record.topic_str(), record.queue_id, record.queue_offset);
    write!(out, "{:>14}  {:>8}  ", record.position, record.total_size())?;
    match Moment::from_ms(record.store_timestamp) {
        Some(moment) => write!(out, "{moment}  ")?,
        None => write!(out, "{:<24}  ", record.store_timestamp)?,
    }
    write!(out, "{}/{queue}@{offset}", plain(&topic))?;
    if let Some(tag) = record.properties.get_str(names::TAGS) {
        write!(out, "  tag={}", plain(&tag))?;
    }
    if let Some(keys) = record.properties.get_str(names::KEYS) {
        write!(out, "  keys={}", plain(&keys))?;
    }
    writeln!(out)
}

/// A blank on one line.
pub(crate) fn blank_line(out: &mut Output, paint: Paint, blank: &Blank) -> io::Result<()> {
    let line = format!("{:>14}  {:>8}  blank: the next record is in the next file", blank.position, blank.total_size);
    writeln!(out, "{}", paint.dim(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hex_are_those_of_rfc_4648() {
        let base64 = |text: &str| Body::Base64(text.as_bytes()).to_string();
        assert_eq!(["", "f", "fo", "foo", "foob"].map(base64), ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
        assert_eq!(Body::Hex(&[0, 0xAB]).to_string(), "00ab");
    }
}
