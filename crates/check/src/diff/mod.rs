//! Compares two stores or snapshots: master with slave, or one broker before and after.
//!
//! - Log: byte by byte between two stores, by digests as soon as a snapshot is one of the sides. What a blank holds
//!   behind its header and what lies behind the shorter log's end never counts.
//! - Queues: ranges, and between two stores every unit that both have.
//! - Offsets of consumers and delay levels: both values, and which side's stands after the next sync.
//! - Configuration: by meaning, with the differences explained that healthy slaves have.
//!
//! What is a difference is said by findings of the area `pair`: errors for logs that part and for losses, warnings for
//! whatever is beyond the [`Limits`], infos for what is normal between two brokers. [`DiffReport::outcome`] makes of that
//! 0 (within the limits), 1 (beyond, or parted) or 3 (no verdict).
//!
//! The rules of replication are those of `HAService`, `HAConnection` (plain HA) and `SlaveSynchronize`: by reading the
//! source, unless a text says that it was seen.

use std::borrow::Cow;

use mqstore_core::progress::Progress;
use mqstore_core::store::Store;

use crate::finding::Location;
use crate::report::Report;
use crate::snapshot::{self, Identity, Snapshot, SnapshotError, SnapshotOptions};

mod bytes;
mod config;
mod digests;
mod findings;
mod log;
mod merge;
mod offsets;
mod queues;
mod report;
mod roles;
mod verdict;

pub use findings::FINDINGS;
pub use merge::{MergeOptions, MergedOffset, MergedOffsets, OffsetFile, merge_offsets};
pub use report::{
    Ahead, Compared, ConfigDiff, DelayDiff, DiffReport, Divergence, How, LogDiff, LogSide, Moved, OffsetDiff,
    OffsetState, PhysicalRange, QueueDiff, QueueSpan, RecordShown, RelationFound, TimerDiff, Which,
};
pub use roles::Relation;

/// What is compared.
#[derive(Debug, Clone)]
pub enum Side<'a> {
    /// A store on this machine; a broker may run on it.
    Store {
        /// The store.
        store: &'a Store,
        /// What the broker's configuration says it is; default if that is not known.
        identity: Identity,
    },
    /// A snapshot.
    Snapshot(&'a Snapshot),
}

impl<'a> Side<'a> {
    /// A store whose broker configuration is not known.
    pub fn store(store: &'a Store) -> Self {
        Self::Store { store, identity: Identity::default() }
    }
}

/// A part of the comparison that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Area {
    /// The commit log.
    Log,
    /// Consume queues.
    Queues,
    /// Committed offsets of groups.
    Offsets,
    /// Offsets of delay levels.
    Delay,
    /// The timer.
    Timer,
    /// Topics, groups, filters.
    Config,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Log, Self::Queues, Self::Offsets, Self::Delay, Self::Timer, Self::Config];

    /// The word for it on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Queues => "queues",
            Self::Offsets => "offsets",
            Self::Delay => "delay",
            Self::Timer => "timer",
            Self::Config => "config",
        }
    }
}

/// No area has that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no area is called {name:?}, expected log, queues, offsets, delay, timer or config")]
pub struct UnknownArea {
    /// The name.
    pub name: String,
}

impl std::str::FromStr for Area {
    type Err = UnknownArea;

    fn from_str(name: &str) -> Result<Self, UnknownArea> {
        Self::ALL.into_iter().find(|area| area.as_str() == name).ok_or_else(|| UnknownArea { name: name.to_owned() })
    }
}

/// How far apart the sides may be. Without any limit nothing may be missing; as soon as one is given, the others do not
/// count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of log that the shorter side may lack.
    pub max_lag_bytes: Option<u64>,
    /// Messages that the shorter side may lack, and that a committed offset or a queue may lag.
    pub max_lag_messages: Option<u64>,
    /// Time between the last records of both sides, in milliseconds.
    pub max_lag_ms: Option<u64>,
}

impl Limits {
    fn any(self) -> bool {
        self.max_lag_bytes.or(self.max_lag_messages).or(self.max_lag_ms).is_some()
    }

    fn exceeded(self, limit: Option<u64>, value: u64) -> bool {
        value > limit.unwrap_or(if self.any() { u64::MAX } else { 0 })
    }

    pub(crate) fn bytes_exceeded(self, bytes: u64) -> bool {
        self.exceeded(self.max_lag_bytes, bytes)
    }

    pub(crate) fn messages_exceeded(self, messages: u64) -> bool {
        self.exceeded(self.max_lag_messages, messages)
    }

    pub(crate) fn time_exceeded(self, ms: u64) -> bool {
        self.exceeded(self.max_lag_ms, ms)
    }
}

/// What [`diff`] is to do.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// What the sides are to each other.
    pub relation: Relation,
    /// How far apart they may be.
    pub limits: Limits,
    /// What is left out.
    pub ignore: Vec<Area>,
    /// Threads that compare the logs of two stores; 0 counts as 1.
    pub jobs: usize,
}

/// One side with its positions; a store has also its files.
struct Seen<'a> {
    which: Which,
    snapshot: &'a Snapshot,
    store: Option<Store>,
}

/// Both sides, and what is said of them.
struct Pair<'a> {
    a: Seen<'a>,
    b: Seen<'a>,
    roles: roles::Roles,
    options: &'a DiffOptions,
    progress: &'a dyn Progress,
    report: Report,
}

impl<'a> Pair<'a> {
    fn side(&self, which: Which) -> &Seen<'a> {
        match which {
            Which::A => &self.a,
            Which::B => &self.b,
        }
    }

    fn both(&self) -> [&Seen<'a>; 2] {
        [&self.a, &self.b]
    }

    /// Whether an area is compared; if not, that is said.
    fn wants(&mut self, area: Area) -> bool {
        let ignored = self.options.ignore.contains(&area);
        if ignored {
            self.report.skip_as_asked(area.as_str(), "ignored");
        }
        !ignored
    }

    /// What both sides have under `path` could not be read on one of them.
    fn unread(&mut self, area: Area) {
        let skipped: Vec<_> = self
            .both()
            .iter()
            .flat_map(|seen| seen.snapshot.unread.iter().map(|unread| (seen.which, unread)))
            .filter(|(_, unread)| area_of(&unread.what) == Some(area))
            .map(|(which, unread)| (format!("{which}: {}", unread.what), unread.why.clone()))
            .collect();
        for (what, why) in skipped {
            self.report.skip(what, why);
        }
    }
}

/// The area that a path of a store belongs to; `None` for what is only told.
fn area_of(what: &str) -> Option<Area> {
    let name = what.rsplit('/').next().unwrap_or(what);
    match name {
        "consumerOffset.json" | "lmqConsumerOffset.json" | "consumerOffsets" => Some(Area::Offsets),
        "delayOffset.json" => Some(Area::Delay),
        "timercheck" | "timermetrics" => Some(Area::Timer),
        "topics.json" | "subscriptionGroup.json" | "topics" | "subscriptionGroups" | "rdb" => Some(Area::Config),
        _ if what.starts_with("consumequeue") || what.starts_with("batchconsumequeue") => Some(Area::Queues),
        _ if what.contains("commitlog") || what.starts_with("dledger-") => Some(Area::Log),
        _ => None,
    }
}

/// Compares `a` with `b`; `progress` gets bytes of log.
///
/// # Errors
/// A store whose log cannot be listed or mapped, and a run that was cancelled. Whatever else cannot be read is named as skipped,
/// and spoils the verdict.
pub fn diff(
    a: &Side<'_>,
    b: &Side<'_>,
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<DiffReport, SnapshotError> {
    let (taken_a, taken_b) = (positions(a, progress)?, positions(b, progress)?);
    let a = see(a, Which::A, &taken_a)?;
    let b = see(b, Which::B, &taken_b)?;
    let roles = roles::find(options.relation, a.snapshot, b.snapshot);
    let mut pair = Pair { a, b, roles, options, progress, report: Report::new() };
    let mut result = DiffReport::new(pair.roles.found());
    result.commitlog = log::compare(&mut pair)?;
    queues::compare(&mut pair, &mut result)?;
    offsets::compare(&mut pair, &mut result);
    config::compare(&mut pair, &mut result);
    result.moved = Moved { a: has_moved(&pair.a)?, b: has_moved(&pair.b)? };
    verdict::write(&pair, &mut result);
    debug_assert!(pair.report.findings().iter().all(|finding| FINDINGS.contains(&finding.id)), "an id without a page");
    result.report = pair.report;
    Ok(result)
}

/// The positions of a side: a snapshot has them, of a store they are taken.
fn positions<'a>(side: &Side<'a>, progress: &dyn Progress) -> Result<Cow<'a, Snapshot>, SnapshotError> {
    match side {
        Side::Snapshot(snapshot) => Ok(Cow::Borrowed(snapshot)),
        Side::Store { store, identity } => {
            let options = SnapshotOptions { identity: identity.clone(), ..SnapshotOptions::positions() };
            snapshot::take(store, &options, progress).map(Cow::Owned)
        }
    }
}

fn see<'a>(side: &Side<'_>, which: Which, snapshot: &'a Snapshot) -> Result<Seen<'a>, SnapshotError> {
    let store = match side {
        Side::Snapshot(_) => None,
        // Its list of files is to be as new as the positions.
        Side::Store { store, .. } => Some(Store::open(store.root(), store.options().clone())?),
    };
    Ok(Seen { which, snapshot, store })
}

/// Whether the side went on since its positions were taken.
fn has_moved(seen: &Seen<'_>) -> Result<bool, SnapshotError> {
    seen.store.as_ref().map_or(Ok(false), |store| seen.snapshot.has_moved(store))
}

/// The file of a log that holds an offset, and the place in it.
fn log_location(offset: u64, file_from_offset: Option<u64>) -> Location {
    match file_from_offset {
        Some(from) => Location::path(format!("commitlog/{from:020}")).at(offset),
        None => Location::path("commitlog").at(offset),
    }
}
