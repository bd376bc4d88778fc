//! May this broker go to another release, and can it come back: a checklist with evidence from disk.
//!
//! [`preflight`] asks everything else in this crate and in [`mqstore_core::release`], and writes nothing. What differs by
//! release comes from the tables there; here is only what holds them against the store and the configuration.
//!
//! ```text
//! facts    one pass over the log, marks, what waits          ── read once
//! start    boot(new), what the new release does not know     boot.start, boot.unknown-features
//! back     boot(old) on the store, table of features         boot.way-back
//! conf     both files as both releases read them             conf.*, config.place
//! state    marks, lock, quick verify, disk, what waits       store.*, delay.*, timer.*
//! around   name servers, replication, clients, Java          conf.name-server, pair.*
//! plan     the commands, in order
//! ```

use std::path::PathBuf;

use mqstore_core::StoreError;
use mqstore_core::progress::Progress;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use mqstore_core::store::Store;

use crate::diff::{Limits, Side};
use crate::finding::Severity;
use crate::report::{Outcome, Report};

mod around;
mod back;
mod conf;
mod facts;
mod lines;
mod plan;
mod start;
mod state;
mod types;

pub use lines::{LINES, LineKind};
pub use types::{FeatureBack, Line, PlanStep, PredictedLosses, Preflight, Presence, Status, Way, WayBack};

use facts::Facts;

/// A `broker.conf` with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfFile {
    /// Where it lies, as it is to be shown.
    pub path: PathBuf,
    /// What is in it.
    pub conf: BrokerConf,
}

/// A file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Its size.
    pub total: u64,
    /// What is not used.
    pub free: u64,
    /// What of that the broker's user can write.
    pub available: u64,
}

impl Space {
    /// The used share in per cent, as brokers count it (`UtilAll.getDiskPartitionSpaceUsedPercent`): what is reserved for
    /// others counts neither way.
    fn used_percent(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.free));
        let entire = used + u128::from(self.available);
        (used * 100).checked_div(entire).and_then(|share| u64::try_from(share).ok()).unwrap_or(100)
    }
}

/// Where the backup is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupTarget {
    /// The folder.
    pub dir: PathBuf,
    /// Its file system; `None` if it cannot be asked.
    pub space: Option<Space>,
    /// Whether that is the file system of the store.
    pub same_as_store: bool,
}

/// What the store alone does not tell.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PreflightOptions {
    /// The configuration of the old release. If only one of both is given, it stands for both.
    pub old_conf: Option<ConfFile>,
    /// The configuration of the new release.
    pub new_conf: Option<ConfFile>,
    /// The home folder of the broker's user.
    pub home: Option<PathBuf>,
    /// Folders of the commit log, instead of the configured ones.
    pub commitlog_dirs: Vec<PathBuf>,
    /// Whether a broker runs on the store.
    pub live: bool,
    /// The release of the name servers.
    pub name_server: Option<Release>,
    /// How far the pair may be apart.
    pub limits: Limits,
    /// The file system of the store; `None` if it cannot be asked.
    pub space: Option<Space>,
    /// Where the backup is to go.
    pub backup: Option<BackupTarget>,
    /// Name or path of the other side of the pair, for the plan.
    pub pair_name: Option<String>,
    /// Milliseconds since the epoch.
    pub now: i64,
}

/// A checklist that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreflightError {
    /// Both releases are the same.
    #[error("both releases are {0}, expected two different ones")]
    SameRelease(Release),
    /// The store cannot be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Cancelled.
    #[error("cancelled")]
    Cancelled,
}

/// Everything that the lines are made of.
struct Cx<'a> {
    store: &'a Store,
    from: Release,
    to: Release,
    options: &'a PreflightOptions,
    conf: Option<conf::Both<'a>>,
    facts: Facts,
    progress: &'a dyn Progress,
}

impl Cx<'_> {
    fn is_upgrade(&self) -> bool {
        self.from < self.to
    }
}

/// Goes through the checklist for a broker of release `from` on `store` that is to become one of release `to`, which may
/// be older. `pair` is the other side of master and slave.
///
/// The log is read a few times from end to end; `progress` counts its bytes and may cancel.
///
/// # Errors
/// Equal releases, a store that cannot be listed, and a run that was cancelled. Whatever else cannot be read is a line
/// that was not checked.
pub fn preflight(
    store: &Store,
    from: Release,
    to: Release,
    pair: Option<&Side<'_>>,
    options: &PreflightOptions,
    progress: &dyn Progress,
) -> Result<Preflight, PreflightError> {
    if from == to {
        return Err(PreflightError::SameRelease(from));
    }
    let facts = Facts::gather(store, options, progress)?;
    let conf = conf::Both::resolve(from, to, options);
    let cx = Cx { store, from, to, options, conf, facts, progress };
    let predicted = start::predict(&cx)?;
    let (way_back, back_line) = back::judge(&cx)?;
    let mut report = Report::new();
    let mut lines = vec![start::line(&cx, &predicted), start::unknown_features(&cx), back_line];
    lines.extend(conf::lines(&cx));
    lines.extend(state::lines(&cx, &mut report));
    lines.extend(around::lines(&cx, pair));
    if progress.cancelled() {
        return Err(PreflightError::Cancelled);
    }
    debug_assert!(lines.iter().all(|line| lines::kind(line.id()).is_some()), "a line without a row in the table");
    // What nobody asked for stands last but one: it takes nothing from the verdict.
    let unasked = |line: &Line| line.optional && line.status == Status::NotChecked;
    let rank = |line: &Line| if unasked(line) { Status::Warn } else { line.status };
    lines.sort_by_key(|line| (rank(line), unasked(line), lines::kind(line.id())));
    for line in &lines {
        if line.status != Status::NotChecked {
            report.push(line.finding.clone());
        } else if line.optional {
            report.skip_as_asked(line.id(), line.finding.message.clone());
        } else {
            report.skip(line.id(), line.finding.message.clone());
        }
    }
    let plan = plan::steps(&cx, &lines, &way_back);
    let verdict = verdict(&lines);
    let losses = predicted.as_ref().ok().map(start::losses);
    Ok(Preflight { from, to, verdict, lines, way_back, losses, plan, report })
}

fn verdict(lines: &[Line]) -> Status {
    let counting = lines.iter().filter(|line| !line.optional || line.status != Status::NotChecked);
    counting.map(|line| line.status).min().unwrap_or(Status::NotChecked)
}

impl Preflight {
    /// Found: a line at or above the limit, where a failed line is an error and a warning is a warning. No verdict: a
    /// line that matters was not checked.
    pub fn outcome(&self, fail_on: Severity) -> Outcome {
        if self.report.counts().at_least(fail_on) > 0 {
            Outcome::Found
        } else if self.report.coverage.skipped.iter().any(|skipped| !skipped.asked) {
            Outcome::NoVerdict
        } else {
            Outcome::Clean
        }
    }
}
