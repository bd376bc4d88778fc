//! Asks one broker directly, in its own protocol: what it says of itself, whoever is master.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

/// Codes of `RequestCode`.
const QUERY_CONSUMER_OFFSET: u16 = 14;
const UPDATE_AND_CREATE_TOPIC: u16 = 17;
const GET_BROKER_RUNTIME_INFO: u16 = 28;
const GET_MAX_OFFSET: u16 = 30;
const GET_MIN_OFFSET: u16 = 31;

/// Queues of each topic.
pub(crate) const QUEUES: u64 = 4;

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Ask {
    stream: TcpStream,
    opaque: u32,
}

impl Ask {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self { stream, opaque: 0 })
    }

    /// The table that the broker gives of itself: every value is text.
    pub(crate) fn runtime(&mut self) -> io::Result<BTreeMap<String, String>> {
        let (_, body) = self.ask(GET_BROKER_RUNTIME_INFO, &json!({}))?;
        let body: Value = serde_json::from_slice(&body)?;
        let table = body["table"].as_object().ok_or_else(|| io::Error::other(format!("no table in {body}")))?;
        Ok(table.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect())
    }

    /// A number of the table; `None` if this release does not give it.
    pub(crate) fn number(&mut self, key: &str) -> io::Result<Option<u64>> {
        Ok(self.runtime()?.get(key).and_then(|text| text.parse().ok()))
    }

    /// Smallest offset of a queue, and one more than the largest.
    pub(crate) fn range(&mut self, topic: &str, queue_id: u64) -> io::Result<(i64, i64)> {
        let of = json!({ "topic": topic, "queueId": queue_id.to_string() });
        Ok((self.offset(GET_MIN_OFFSET, &of)?, self.offset(GET_MAX_OFFSET, &of)?))
    }

    /// Where a group goes on in a queue; `None` if the broker knows no offset.
    pub(crate) fn committed(&mut self, group: &str, topic: &str, queue_id: u64) -> Option<i64> {
        let of = json!({ "consumerGroup": group, "topic": topic, "queueId": queue_id.to_string() });
        self.offset(QUERY_CONSUMER_OFFSET, &of).ok()
    }

    /// Whether a group has nothing left of these topics.
    pub(crate) fn has_committed_all(&mut self, group: &str, topics: &[&str]) -> bool {
        let mut queues = topics.iter().flat_map(|topic| (0..QUEUES).map(move |queue_id| (topic, queue_id)));
        queues.all(|(topic, queue_id)| {
            let (min, max) = self.range(topic, queue_id).unwrap();
            min == max || self.committed(group, topic, queue_id) == Some(max)
        })
    }

    /// Creates a topic on a master, as `mqadmin updateTopic -b` does.
    pub(crate) fn create_topic(&mut self, topic: &str) -> io::Result<()> {
        let queues = QUEUES.to_string();
        let topic = json!({
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": queues, "writeQueueNums": queues, "perm": "6",
            "topicFilterType": "SINGLE_TAG", "topicSysFlag": "0", "order": "false",
        });
        self.ask(UPDATE_AND_CREATE_TOPIC, &topic).map(drop)
    }

    fn offset(&mut self, code: u16, of: &Value) -> io::Result<i64> {
        let (header, _) = self.ask(code, of)?;
        let offset = header["extFields"]["offset"].as_str().and_then(|text| text.parse().ok());
        offset.ok_or_else(|| io::Error::other(format!("no offset in {header}")))
    }

    /// A request is its length, the length of its header, the header as JSON, and a body; the answer alike.
    fn ask(&mut self, code: u16, fields: &Value) -> io::Result<(Value, Vec<u8>)> {
        self.opaque += 1;
        let header = json!({
            "code": code, "flag": 0, "language": "JAVA", "opaque": self.opaque, "version": 0, "extFields": fields,
        });
        let header = header.to_string().into_bytes();
        let length = u32::try_from(header.len()).unwrap();
        let request = [&(length + 4).to_be_bytes()[..], &length.to_be_bytes(), &header].concat();
        self.stream.write_all(&request)?;
        loop {
            let mut lengths = [0; 8];
            self.stream.read_exact(&mut lengths)?;
            let (whole, header) = (length_at(&lengths[..4]), length_at(&lengths[5..]));
            let mut rest = vec![0; whole - 4];
            self.stream.read_exact(&mut rest)?;
            let body = rest.split_off(header);
            let header: Value = serde_json::from_slice(&rest)?;
            if header["opaque"] != self.opaque {
                continue;
            }
            if header["code"] != 0 {
                return Err(io::Error::other(format!("code {}: {}", header["code"], header["remark"])));
            }
            return Ok((header, body));
        }
    }
}

fn length_at(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
}
