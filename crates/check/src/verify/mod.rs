//! `verify`: proof, without a broker, that a store is sound and that its files agree with each other.
//!
//! One pass in commit log order is the main path (`commitlog`): each record checks itself, looks up its queue unit
//! (`queues`) and its index entries (`index`). Then come the cheap passes over the units (`consumequeue`), which
//! open the log again only for a queue whose units and records did not pair up, and over small files.
//!
//! ```text
//! facts ── layout ── commitlog ──┬─ consumequeue ─ units ─ timer ─ index ─ checkpoint ─ config ─ offsets ──► Report
//!                       │        ├─ queues: record → unit
//!                    dledger     └─ index: record → entries
//! ```
//!
//! Units that are not in plain queue files, of batch queues (`batchqueue`) and of queues in RocksDB (`rocksdb`), are walked
//! queue by queue (`units`), and each one's record is read. `timer`, `compaction`, `ext` and `controller` look at files of
//! their own.
//!
//! The quick level runs the same passes over the last files only and leaves index entries out. Memory is bounded by the
//! numbers of queues and topics, not by that of messages: see `queues`.

use std::fmt;
use std::path::Path;

use mqstore_core::StoreError;
use mqstore_core::progress::Progress;
use mqstore_core::store::{QueueFile, Store, StoreLog};

use crate::finding::{Finding, Location, Severity, Suggestion};
use crate::report::Report;

mod ahead;
mod batchqueue;
mod checkpoint;
mod checks;
mod commitlog;
mod compaction;
mod config;
mod consumequeue;
mod controller;
mod dledger;
mod ext;
mod facts;
mod index;
mod layout;
mod logreader;
mod names;
mod offsets;
mod parallel;
mod plan;
mod queue_state;
mod queues;
mod record;
mod rocksdb;
mod tagscode;
mod timer;
mod units;

pub use checks::{ALL_CHECKS, Check, check};
use facts::Facts;

/// How deep a run looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Names, lengths, headers, the last files of log and queues, state and offsets: seconds on any store.
    Quick,
    /// Every record with its checksums, every unit, every index entry, all cross-checks.
    #[default]
    Full,
}

impl Level {
    /// The word for it in all outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}

/// Which log files of a full run are read: `n` of each `of`, drawn by `seed`; the last file always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// So many …
    pub n: u32,
    /// … of so many.
    pub of: u32,
    /// The same seed draws the same files.
    pub seed: u64,
}

/// What to verify.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// How deep.
    pub level: Level,
    /// Only findings of these ids and areas; empty for all.
    pub only: Vec<String>,
    /// No findings of these ids and areas.
    pub skip: Vec<String>,
    /// Only a part of the log files.
    pub sample: Option<Sample>,
    /// Only log files that reach to this time or behind: milliseconds since the epoch, by store time.
    pub since: Option<i64>,
    /// Only the newest log files, up to so many bytes; the last file always is.
    pub max_bytes: Option<u64>,
    /// Findings of one id that are kept; the rest is counted.
    pub cap: u64,
    /// End the run at the first error.
    pub exit_on_error: bool,
    /// There is no commit log by design, as in a backup: neither is that a finding, nor are there cross-checks with it.
    pub without_commitlog: bool,
    /// Threads that read; the report is the same whatever their number. At least 1.
    pub jobs: usize,
}

impl VerifyOptions {
    /// Whether findings of `id` are wanted.
    fn wants(&self, id: &str) -> bool {
        let area = id.split_once('.').map_or(id, |(area, _)| area);
        let named = |names: &[String]| names.iter().any(|name| name == id || name == area);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            level: Level::default(),
            only: Vec::new(),
            skip: Vec::new(),
            sample: None,
            since: None,
            max_bytes: None,
            cap: 100,
            exit_on_error: false,
            without_commitlog: false,
            jobs: 1,
        }
    }
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Neither an id nor an area.
    #[error("no check or area is called {name:?}")]
    UnknownCheck {
        /// The name.
        name: String,
    },
    /// The store could not be listed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies `store`. Each finding that the report keeps is also handed to `sink` at once, in the order of the report.
///
/// `progress` gets bytes of log, queues and index. A run that it cancels ends at the next megabyte with what was found
/// so far, and [`Coverage::interrupted`](crate::Coverage::interrupted) is set.
///
/// # Errors
/// A name in `only` or `skip` that is none, and folders that cannot be listed. Whatever is wrong with one file is a
/// finding, or is named as skipped, and hides nothing else.
pub fn verify(
    store: &Store,
    options: &VerifyOptions,
    progress: &dyn Progress,
    sink: &mut dyn FnMut(&Finding),
) -> Result<Report, VerifyError> {
    for name in options.only.iter().chain(&options.skip) {
        if !ALL_CHECKS.iter().any(|check| check.id == name || check.area() == name) {
            return Err(VerifyError::UnknownCheck { name: name.clone() });
        }
    }
    let files = store.consumequeues()?;
    let store_log = store.log()?;
    let facts = Facts::gather(store, &store_log, options, files.is_empty())?;
    let mut cx = Context::new(store, &store_log, options, facts, progress, sink);
    cx.say_what_was_left_out();
    layout::pass(&mut cx);
    let mut queues = queues::Queues::open(&mut cx, files);
    let batch_queues = batchqueue::open(&mut cx, &mut queues);
    let databases = rocksdb::open(&mut cx, &mut queues);
    let mut cursors = index::Cursors::open(&mut cx)?;
    let log = commitlog::pass(&mut cx, &mut queues, &mut cursors);
    consumequeue::pass(&mut cx, &mut queues, &log);
    batchqueue::pass(&mut cx, &queues, &batch_queues, &log);
    rocksdb::pass(&mut cx, &queues, &databases, &log);
    ext::pass(&mut cx);
    compaction::pass(&mut cx, &queues);
    timer::pass(&mut cx, &queues, &log);
    index::pass(&mut cx, cursors, &log);
    checkpoint::pass(&mut cx, &queues, &log);
    config::pass(&mut cx, &queues, &databases);
    offsets::pass(&mut cx, &queues, &log, &databases.offsets);
    controller::pass(&mut cx, &log);
    Ok(cx.finish(&log))
}

/// What every pass has at hand, and where its findings go.
struct Context<'a> {
    store: &'a Store,
    log: &'a StoreLog,
    options: &'a VerifyOptions,
    facts: Facts,
    report: Report,
    progress: &'a dyn Progress,
    sink: &'a mut dyn FnMut(&Finding),
    stopped: bool,
    done: u64,
    total: u64,
    shown: u64,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("facts", &self.facts).field("report", &self.report).finish_non_exhaustive()
    }
}

/// Bytes between two looks at the progress.
const PROGRESS_STEP: u64 = 1 << 20;

impl<'a> Context<'a> {
    fn new(
        store: &'a Store,
        log: &'a StoreLog,
        options: &'a VerifyOptions,
        facts: Facts,
        progress: &'a dyn Progress,
        sink: &'a mut dyn FnMut(&Finding),
    ) -> Self {
        let mut report = Report::with_cap(options.cap);
        report.coverage.level = Some(options.level.as_str());
        let total = 0;
        Self { store, log, options, facts, report, progress, sink, stopped: false, done: 0, total, shown: 0 }
    }

    /// The files of the log: those of the commit log, then those of DLedger, which go on where it ends.
    fn log_files(&self) -> Vec<&'a QueueFile> {
        log_files(self.log)
    }

    fn is_full(&self) -> bool {
        self.options.level == Level::Full
    }

    fn say_what_was_left_out(&mut self) {
        let options = self.options;
        for name in &options.skip {
            self.report.skip_as_asked(name.clone(), "asked to skip it");
        }
        if !options.only.is_empty() {
            self.report.skip_as_asked("all other checks", format!("asked for {} only", options.only.join(", ")));
        }
    }

    fn push(&mut self, finding: Finding) {
        if self.stopped || !self.options.wants(finding.id) {
            return;
        }
        let severity = finding.severity;
        if let Some(kept) = self.report.push(finding) {
            (self.sink)(kept);
        }
        if severity == Severity::Error {
            self.end_at_error();
        }
    }

    /// Takes over what was found elsewhere, as if each finding were pushed here; what is not wanted was left out there.
    fn absorb(&mut self, mut part: Report) {
        for finding in part.take_findings() {
            self.push(finding);
        }
        if !self.stopped {
            self.report.count_further(&part);
            if part.counts().error > 0 {
                self.end_at_error();
            }
        }
    }

    fn end_at_error(&mut self) {
        if self.options.exit_on_error {
            self.report.skip_as_asked("the rest of the run", "asked to end at the first error");
            self.stopped = true;
        }
    }

    /// Counts bytes that were read, and says whether to go on.
    fn advance(&mut self, bytes: u64) -> bool {
        self.done += bytes;
        if self.done - self.shown >= PROGRESS_STEP {
            self.shown = self.done;
            self.progress.update(self.done, Some(self.total.max(self.done)));
            if self.progress.cancelled() {
                self.interrupt();
            }
        }
        !self.stopped
    }

    /// Ends the run because the progress wants it.
    fn interrupt(&mut self) {
        if !self.stopped {
            self.stopped = true;
            self.report.coverage.interrupted = true;
            self.report.skip("the rest of the run", "interrupted");
        }
    }

    /// A file that could not be read: damage if the disk says so, else something that was not looked at.
    fn unreadable(&mut self, error: &StoreError) {
        self.unreadable_at(error, None);
    }

    /// The same, with the offset of the first byte that could not be read.
    fn unreadable_at(&mut self, error: &StoreError, offset: Option<u64>) {
        let path = self.relative(error.path());
        match error {
            StoreError::Io { action, source, .. } => {
                let refused = matches!(
                    source.kind(),
                    std::io::ErrorKind::PermissionDenied
                        | std::io::ErrorKind::NotFound
                        | std::io::ErrorKind::OutOfMemory
                );
                if refused {
                    self.report.skip(path, format!("cannot {action} it: {source}"));
                } else {
                    let message = format!("cannot {action} the file: {source}");
                    // More than one pass may look at the same place.
                    if self.has_io_error(|known, said| known == path && said == message) {
                        return;
                    }
                    let place = Location { offset, ..Location::path(path) };
                    self.push(finding("store.io-error", place, message));
                }
            }
            other => self.report.skip(path, other.to_string()),
        }
    }

    /// Whether such an error of the disk, by path and message, was told already.
    fn has_io_error(&self, is_it: impl Fn(&str, &str) -> bool) -> bool {
        let mut told = self.report.findings().iter().filter(|found| found.id == "store.io-error");
        told.any(|found| found.location.path.as_deref().is_some_and(|path| is_it(path, &found.message)))
    }

    /// A path below the store root with `/` between its parts; other paths as they are.
    fn relative(&self, path: &Path) -> String {
        relative(self.store.root(), path)
    }

    fn finish(mut self, log: &commitlog::LogFacts) -> Report {
        let files = &mut self.report.coverage.files;
        files.total = files.total.max(files.seen);
        self.report.coverage.bytes.seen = self.done;
        self.report.coverage.bytes.total = self.total.max(self.done);
        if !self.options.without_commitlog {
            self.report.coverage.records = Some(log.records);
        }
        self.report.coverage.new_store = log.records == 0 && self.facts.looks_new;
        self.progress.update(self.done, Some(self.total.max(self.done)));
        self.report
    }
}

fn log_files(log: &StoreLog) -> Vec<&QueueFile> {
    let entries = log.dledger().map_or(&[][..], |dledger| dledger.data().files());
    log.commitlog().files().iter().chain(entries).collect()
}

fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

/// A finding with everything that the table of checks says about its id.
fn finding(id: &'static str, location: Location, message: impl Into<String>) -> Finding {
    let Some(check) = check(id) else { return Finding::error(id, location, message) };
    let mut finding = Finding::new(id, check.severity, location, message).consequence(check.consequence);
    if !check.suggestion.is_empty() {
        finding.suggestion =
            Some(Suggestion { summary: check.suggestion.to_owned(), command: None, destructive: false });
    }
    finding
}

/// The same finding, milder.
fn at_most(severity: Severity, finding: Finding) -> Finding {
    Finding { severity: finding.severity.min(severity), ..finding }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use mqstore_core::progress::NoProgress;
    use mqstore_core::store::StoreOptions;

    use super::*;

    #[test]
    fn an_error_of_the_disk_is_damage_and_a_refusal_is_something_not_looked_at() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("commitlog")).unwrap();
        let store = Store::open(root.path(), StoreOptions::default()).unwrap();
        let options = VerifyOptions::default();
        let log = store.log().unwrap();
        let facts = Facts::gather(&store, &log, &options, true).unwrap();
        let mut sink = |_: &Finding| {};
        let mut cx = Context::new(&store, &log, &options, facts, &NoProgress, &mut sink);
        let error = |kind: io::Error| StoreError::Io { action: "read", path: PathBuf::from("x"), source: kind };
        cx.unreadable(&error(io::Error::from_raw_os_error(5)));
        cx.unreadable(&error(io::ErrorKind::PermissionDenied.into()));
        let ids: Vec<_> = cx.report.findings().iter().map(|finding| finding.id).collect();
        assert_eq!(ids, ["store.io-error"]);
        assert_eq!(cx.report.coverage.skipped.len(), 1);
    }
}
