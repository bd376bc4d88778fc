//! What POP writes into `rmq_sys_REVIVE_LOG_<cluster>`: check points and acknowledgements, JSON bodies, 5.0.0 and later.
//!
//! A check point says which messages a consumer took and when they become visible again if it does not acknowledge them.
//! Both are sent as timer messages, so they wait in `rmq_sys_wheel_timer` before they reach the revive topic.
//!
//! ```text
//! ck    {"bm":0,"bn":"broker-a","c":"GPop","d":[0,1],"it":60000,"n":2,"pt":…,"q":0,"reviveTime":…,"ro":0,"so":5,"t":"T"}
//! ack   {"ao":6,"bn":"broker-a","c":"GPop","pt":…,"q":0,"so":5,"t":"T"}
//! bAck  {"aol":[5,6],"bn":…,"c":…,"pt":…,"q":…,"so":…,"t":…}
//! ```
//!
//! | key | meaning |
//! |---|---|
//! | `t`, `q`, `c`, `bn` | topic, queue, group, broker |
//! | `so` | queue offset of the first message |
//! | `pt`, `it` | when they were taken; for how long they are invisible; milliseconds |
//! | `n`, `d` | number of messages; their distances from `so` (5.0.0 and later may leave it out: 0, 1, 2, …) |
//! | `bm` | bits of the messages acknowledged already |
//! | `rp` | times the check point was put again |
//! | `ao`, `aol` | queue offset, or offsets, acknowledged (`bAck` from 5.1.2) |
//!
//! The tag tells which it is. Acknowledgements belong to the check point with the same `t`, `q`, `c`, `bn`, `so`, `pt`.
//!
//! Java: `store/.../pop/PopCheckPoint.java`, `AckMsg.java`, `BatchAckMsg.java` at 5.0.0, 5.3.3.

use super::config::fastjson::{self, ConfigError};
use super::config::{Node, Value};

/// The group that reads the revive topic ([`REVIVE_TOPIC_PREFIX`](super::system_topic::REVIVE_TOPIC_PREFIX)).
pub const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";

/// What check point and acknowledgement have in common: which delivery they are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PopKey {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The queue.
    pub queue_id: i32,
    /// Queue offset of the first message.
    pub start_offset: i64,
    /// When the messages were taken, milliseconds since the epoch.
    pub pop_time: i64,
    /// The broker.
    pub broker_name: String,
}

/// A check point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PopCheckPoint {
    /// Which delivery it is about.
    pub key: PopKey,
    /// For how long the messages are invisible, milliseconds.
    pub invisible_time: i64,
    /// Bits of the messages acknowledged when it was written.
    pub bit_map: i32,
    /// Number of messages.
    pub num: i32,
    /// Distances of the messages from the start offset; empty: 0, 1, 2, …
    pub queue_offset_diff: Vec<i32>,
}

/// An acknowledgement of one message or several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PopAck {
    /// Which delivery it is about.
    pub key: PopKey,
    /// Queue offsets acknowledged.
    pub offsets: Vec<i64>,
}

/// A record of the revive topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PopRecord {
    /// Tag `ck`.
    CheckPoint(PopCheckPoint),
    /// Tag `ack` or `bAck`.
    Ack(PopAck),
}

impl PopRecord {
    /// Reads the body of a record with this tag; `None` for a tag that is none of the three.
    pub fn parse(tag: &[u8], body: &[u8]) -> Option<Result<Self, ConfigError>> {
        let read = match tag {
            b"ck" => |root: &Node| PopCheckPoint::from_node(root).map(Self::CheckPoint),
            b"ack" | b"bAck" => |root: &Node| PopAck::from_node(root).map(Self::Ack),
            _ => return None,
        };
        Some(fastjson::parse(body).and_then(|document| read(&document.root)))
    }
}

impl PopKey {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let text = |name: &str| node.get(name).and_then(Node::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            topic: text("t"),
            group: text("c"),
            queue_id: number(node, "q")?,
            start_offset: number(node, "so")?,
            pop_time: number(node, "pt")?,
            broker_name: text("bn"),
        })
    }
}

impl PopCheckPoint {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        Ok(Self {
            key: PopKey::from_node(node)?,
            invisible_time: number(node, "it")?,
            bit_map: number(node, "bm")?,
            num: number(node, "n")?,
            queue_offset_diff: numbers(node, "d")?,
        })
    }

    /// When the messages become visible again, milliseconds since the epoch. Saturates.
    pub fn revive_time(&self) -> i64 {
        self.key.pop_time.saturating_add(self.invisible_time)
    }

    /// The queue offsets of its messages, at most 32 as there are bits.
    pub fn offsets(&self) -> impl Iterator<Item = i64> + '_ {
        let num = usize::try_from(self.num).unwrap_or(0).min(32);
        (0..num).map(|n| {
            let index = i64::try_from(n).unwrap_or(i64::MAX);
            let distance = self.queue_offset_diff.get(n).map_or(index, |distance| i64::from(*distance));
            self.key.start_offset.saturating_add(distance)
        })
    }

    /// The queue offsets of the messages that its own bits do not tell to be acknowledged.
    pub fn unacknowledged(&self) -> impl Iterator<Item = i64> + '_ {
        self.offsets().enumerate().filter(|(bit, _)| self.bit_map >> bit & 1 == 0).map(|(_, offset)| offset)
    }
}

impl PopAck {
    fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let mut offsets = numbers(node, "aol")?;
        if node.get("ao").is_some() {
            offsets.push(number(node, "ao")?);
        }
        Ok(Self { key: PopKey::from_node(node)?, offsets })
    }
}

/// A number that is 0 when missing.
fn number<T: TryFrom<i64> + Default>(node: &Node, name: &str) -> Result<T, ConfigError> {
    node.get(name).map_or_else(|| Ok(T::default()), to_number)
}

fn numbers<T: TryFrom<i64>>(node: &Node, name: &str) -> Result<Vec<T>, ConfigError> {
    match node.get(name).map(|node| (&node.value, node)) {
        None | Some((Value::Null, _)) => Ok(Vec::new()),
        Some((Value::Array(items), _)) => items.iter().map(to_number).collect(),
        Some((_, node)) => Err(node.unexpected("an array")),
    }
}

fn to_number<T: TryFrom<i64>>(node: &Node) -> Result<T, ConfigError> {
    let number = node.as_i64().and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| node.unexpected("an integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_point_and_its_acknowledgements_have_one_key() {
        let ck = br#"{"bm":2,"bn":"b","c":"G","d":[0,3,4],"it":60000,"n":3,"pt":1000,"q":1,"ro":0,"so":5,"t":"T"}"#;
        let Some(Ok(PopRecord::CheckPoint(ck))) = PopRecord::parse(b"ck", ck) else { panic!() };
        assert_eq!(ck.offsets().collect::<Vec<_>>(), [5, 8, 9]);
        assert_eq!(ck.unacknowledged().collect::<Vec<_>>(), [5, 9]);
        assert_eq!(ck.revive_time(), 61_000);
        for (tag, body) in [
            (&b"ack"[..], r#"{"ao":9,"bn":"b","c":"G","pt":1000,"q":1,"so":5,"t":"T"}"#),
            (b"bAck", r#"{"aol":[9],"bn":"b","c":"G","pt":1000,"q":1,"so":5,"t":"T"}"#),
        ] {
            let Some(Ok(PopRecord::Ack(ack))) = PopRecord::parse(tag, body.as_bytes()) else { panic!() };
            assert_eq!((ack.key, ack.offsets), (ck.key.clone(), vec![9]));
        }
        assert!(PopRecord::parse(b"x", b"{}").is_none());
        assert!(PopRecord::parse(b"ck", br#"{"n":"x"}"#).unwrap().is_err());
    }

    #[test]
    fn a_number_of_messages_beyond_the_bits_is_cut() {
        let Some(Ok(PopRecord::CheckPoint(ck))) = PopRecord::parse(b"ck", br#"{"n":2147483647}"#) else { panic!() };
        assert_eq!(ck.offsets().count(), 32);
    }
}
