//! The change counter in the head of a config file.
//!
//! ```text
//! "dataVersion":{"counter":3,"stateVersion":0,"timestamp":1795462326255}
//! ```
//!
//! Up to 4.0.0 the last field is spelled `timestatmp`, 5.0.0 adds `stateVersion`: the spelling dates the last writer.
//!
//! Java: `common/.../DataVersion.java` at 3.2.6, 3.5.8, 4.1.0, 5.3.3.

use std::cmp::Ordering;

use super::fastjson::ConfigError;
use super::node::{Fields, Node};

/// How the time of the last change is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimestampSpelling {
    /// There is none.
    Absent,
    /// `timestatmp`: 3.2.6 to 4.0.0.
    Timestatmp,
    /// `timestamp`: 4.1.0 and later.
    Timestamp,
}

/// Counts the changes of a file; `dataVersion` in the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataVersion {
    /// Number of changes, 0 when absent.
    pub counter: i64,
    /// Time of the last change in milliseconds since the epoch, whichever way it is spelled.
    pub timestamp: Option<i64>,
    /// `stateVersion`, only written by 5.0.0 and later.
    pub state_version: Option<i64>,
    /// How the time is spelled.
    pub spelling: TimestampSpelling,
}

impl DataVersion {
    /// Which of two is newer, as 5.0.0 and later compare: state version, counter, timestamp.
    pub fn compare(&self, other: &Self) -> Ordering {
        let key = |v: &Self| (v.state_version.unwrap_or(0), v.counter, v.timestamp.unwrap_or(0));
        key(self).cmp(&key(other))
    }

    /// Parses `{"counter":1,…}`, as RocksDB holds it in a row of its own.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::from_node(&super::fastjson::parse(bytes)?.root)
    }

    pub(super) fn from_node(node: &Node) -> Result<Self, ConfigError> {
        let fields = Fields::of(node)?;
        let (new, old) = (fields.i64("timestamp")?, fields.i64("timestatmp")?);
        let spelling = match (new, old) {
            (Some(_), _) => TimestampSpelling::Timestamp,
            (None, Some(_)) => TimestampSpelling::Timestatmp,
            (None, None) => TimestampSpelling::Absent,
        };
        let counter = fields.i64("counter")?.unwrap_or(0);
        Ok(Self { counter, timestamp: new.or(old), state_version: fields.i64("stateVersion")?, spelling })
    }

    pub(super) fn of_root(fields: &Fields<'_>) -> Result<Option<Self>, ConfigError> {
        fields.get("dataVersion").map(Self::from_node).transpose()
    }
}
