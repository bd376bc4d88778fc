//! `delayOffset.json`: how far each delay level has been delivered. Written every 10 seconds on a master.
//!
//! ```text
//! {"dataVersion":{…},"offsetTable":{1:10,3:12}}
//! ```
//!
//! The key is the delay level; its queue in `SCHEDULE_TOPIC_XXXX` is `level - 1`. A level that never fired has 0 or no
//! entry (4.9.7). A slave writes the file on one line. `dataVersion` is there from 5.0.0. An offset below the right one
//! delivers again what was delivered; one above it stalls the level or skips messages, by release.
//!
//! Java: `.../schedule/ScheduleMessageService.java`, `DelayOffsetSerializeWrapper.java`.

use std::collections::BTreeMap;

use super::fastjson::ConfigError;
use super::node::{Fields, Node, int_key, long};
use super::{ConfigTable, DataVersion};

/// What `delayOffset.json` holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DelayOffsetTable {
    /// Counts the changes; `None` as written before 5.0.0.
    pub data_version: Option<DataVersion>,
    /// Delay level, from 1 → next queue offset in queue `level - 1` of `SCHEDULE_TOPIC_XXXX`.
    pub offset_table: BTreeMap<i32, i64>,
    /// Members of the root that no release read here writes.
    pub unknown_keys: Vec<String>,
}

impl ConfigTable for DelayOffsetTable {
    const TABLES: &'static [&'static str] = &["offsetTable"];

    fn from_root(root: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(root)?;
        Ok(Self {
            data_version: DataVersion::of_root(&fields)?,
            offset_table: fields.table("offsetTable", int_key, long)?.unwrap_or_default(),
            unknown_keys: fields.unknown(&["dataVersion", "offsetTable"]),
        })
    }
}
