//! Which release wrote a store.
//!
//! Nothing on disk states the version. There are marks: things that only some releases write. A mark gives a lower bound (the
//! store was opened at least once by this release or a later one) or an upper bound on whoever wrote one file last. Stores that
//! were upgraded keep old files, so the answer is a range with its evidence, never one number.
//!
//! Marks in config files are found by searching the text, not by parsing it: a key such as `"timestatmp":` proves its writer
//! also in a file that is torn behind it, and the search stays the same for both layouts (fastjson 1 and 2).
//!
//! ```
//! use mqstore_core::release::{Release, marks::{LogMarks, ReleaseBounds, Sighting}};
//!
//! let store = tempfile::tempdir()?;
//! std::fs::create_dir(store.path().join("config"))?;
//! std::fs::write(store.path().join("lock"), "lock")?;
//! let topics = "{\n\t\"dataVersion\":{\n\t\t\"counter\":1,\n\t\t\"timestamp\":1700000000000\n\t}\n}";
//! std::fs::write(store.path().join("config/topics.json"), topics)?;
//!
//! let bounds = ReleaseBounds::read(store.path(), None, &LogMarks::default())?;
//! assert_eq!((bounds.oldest, bounds.newest), (Some(Release::V4_2_0), Some(Release::V4_9_8)));
//!
//! let ipv6 = Sighting { physical_offset: 4096.into(), store_timestamp: 1_700_000_000_000 };
//! let log = LogMarks { ipv6_host: Some(ipv6), ..LogMarks::default() };
//! let bounds = ReleaseBounds::read(store.path(), None, &log)?;
//! assert_eq!(bounds.oldest, Some(Release::V4_6_0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::Path;

use serde::Serialize;

use super::Release;
use crate::{PhysicalOffset, StoreError};

mod files;
mod json;
mod log;

/// How far a mark can be trusted. Only strong ones move the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// Others than that release may have made it, an operator for one.
    Weak,
    /// Usually right.
    Medium,
    /// No other release makes it.
    Strong,
}

/// What the bounds of a mark are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// A release within the bounds opened the store at some time.
    OpenedOnce,
    /// The last one to write that file lies within the bounds.
    LastWriter,
    /// A release within the bounds wrote to the store at some time; later ones may have followed.
    History,
    /// A client's release, not the broker's.
    Client,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mark {
    /// Stable name: `config.timestatmp`.
    pub mark: &'static str,
    /// The file or folder, relative to the store root with `/`; below `$HOME/` for the files of 3.5.5 to 3.5.8.
    pub path: String,
    /// What was found and what it means, for people.
    pub says: String,
    /// Lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<Release>,
    /// Upper bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<Release>,
    /// What the bounds are about.
    pub about: About,
    /// How far to trust it.
    pub strength: Strength,
}

/// A record of the commit log that is a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// Where it starts.
    pub physical_offset: PhysicalOffset,
    /// When the broker stored it, milliseconds since the epoch.
    pub store_timestamp: i64,
}

/// Marks in the commit log, filled by whoever scans it: the first record of each kind, `None` if there is none or nobody looked.
///
/// A slave's log holds its master's bytes, so there they speak of the master.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogMarks {
    /// Magic code 0xDAA320AB.
    pub magic_v2: Option<Sighting>,
    /// sysFlag 0x10 or 0x20.
    pub ipv6_host: Option<Sighting>,
    /// Property `__CRC32#`.
    pub prop_crc: Option<Sighting>,
    /// Property `CLUSTER`.
    pub cluster_property: Option<Sighting>,
    /// sysFlag & 0xC = 4 in a topic that is not the half topic: a transaction of the old model.
    pub prepared_in_business_topic: Option<Sighting>,
    /// Property `UNIQ_KEY`.
    pub uniq_key: Option<Sighting>,
    /// sysFlag & 0x700 not 0: the client's codec bits.
    pub codec_bits: Option<Sighting>,
}

/// The marks of a store that contradict a single history: a newer release opened it, yet some file was written last by an
/// older one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mixed {
    /// A release of at least this opened the store.
    pub opened_by: Release,
    /// A release of at most this wrote `path` last.
    pub last_written_by: Release,
    /// The file.
    pub path: String,
    /// What it means, for people.
    pub says: String,
}

/// Which release wrote a store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReleaseBounds {
    /// A release of at least this opened the store. `None`: no mark.
    pub oldest: Option<Release>,
    /// The last to write was at most this release. `None`: no mark.
    ///
    /// Unless [`ReleaseBounds::mixed`] says otherwise the last writer lies between `oldest` and `newest`. A rollback that
    /// left no trace within these marks cannot be seen.
    pub newest: Option<Release>,
    /// Signs of a rollback, or of an upgrade that was cut short. The bounds then reach over both sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixed: Option<Mixed>,
    /// Every mark about the broker, also those that did not move the bounds.
    pub evidence: Vec<Mark>,
    /// Marks about clients.
    pub client_marks: Vec<Mark>,
    /// Files that could not be read, with the reason: a mark in them is missed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

impl ReleaseBounds {
    /// Collects the marks of the store below `root`. `home` is the broker's `$HOME`, where 3.5.5 to 3.5.8 keep two config
    /// files. Fails only if `root` cannot be listed.
    pub fn read(root: &Path, home: Option<&Path>, log: &LogMarks) -> Result<Self, StoreError> {
        let mut found = files::collect(root, home)?;
        found.marks.extend(log::broker_marks(log));
        let mut bounds = Self::from_marks(found.marks);
        bounds.client_marks = log::client_marks(log);
        bounds.unread = found.unread;
        Ok(bounds)
    }

    /// Draws the bounds from marks about the broker.
    pub fn from_marks(evidence: Vec<Mark>) -> Self {
        let strong = || evidence.iter().filter(|m| m.strength == Strength::Strong);
        let oldest = strong()
            .filter(|m| matches!(m.about, About::OpenedOnce | About::LastWriter))
            .filter_map(|m| m.at_least)
            .max();
        let upper = || strong().filter(|m| m.about == About::LastWriter).filter_map(|m| Some((m.at_most?, m)));
        let lowest = upper().min_by_key(|(at_most, _)| *at_most);
        let newest = lowest.map(|(at_most, _)| at_most);
        let (Some(opened_by), Some((last_written_by, file))) =
            (oldest, lowest.filter(|(at_most, _)| Some(*at_most) < oldest))
        else {
            return Self { oldest, newest, evidence, ..Self::default() };
        };
        let older = || upper().filter(|(at_most, _)| *at_most < opened_by).map(|(_, mark)| mark.at_least);
        // Older files of several releases: then the oldest may be any.
        let oldest = older().flatten().max().filter(|r| *r <= last_written_by).or_else(|| older().min().flatten());
        let newest = upper().map(|(at_most, _)| at_most).filter(|r| *r >= opened_by).min();
        let says = format!(
            "opened by {opened_by} or later, but written last by {last_written_by} or earlier: rolled back, or the newer \
             release stopped before it wrote this file"
        );
        let mixed = Some(Mixed { opened_by, last_written_by, path: file.path.clone(), says });
        Self { oldest, newest, mixed, evidence, ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
