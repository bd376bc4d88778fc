//! `compaction/position-checkpoint`: how far each compacted queue has got, from 5.1.0. Written at every clean stop.
//!
//! ```text
//! {"empty":false,"queueOffsetMap":{"TopicTest_0":272}}
//! ```
//!
//! The key is topic, `_` and queue id; the value is the last queue offset that the compaction has looked at. `empty` is
//! derived. A broker that compacts nothing writes the file, too.
//!
//! Java: `store/.../kv/CompactionPositionMgr.java` at 5.1.0, 5.3.3.

use std::collections::BTreeMap;

use super::ConfigTable;
use super::fastjson::ConfigError;
use super::node::{Fields, Node, long, string_key};

/// What `position-checkpoint` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PositionCheckpoint {
    /// `topic_queue` → last queue offset that was compacted.
    pub queue_offset_map: BTreeMap<String, i64>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

impl PositionCheckpoint {
    /// How far the queue has got.
    pub fn of(&self, topic: &str, queue_id: u32) -> Option<i64> {
        self.queue_offset_map.get(&format!("{topic}_{queue_id}")).copied()
    }
}

impl ConfigTable for PositionCheckpoint {
    const TABLES: &'static [&'static str] = &["queueOffsetMap"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        Ok(Self {
            queue_offset_map: fields.table("queueOffsetMap", string_key, long)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["empty", "queueOffsetMap"]),
        })
    }
}
