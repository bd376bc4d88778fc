//! What a broker release would do to this store at its start, before it does it.
//!
//! [`boot`] replays the start of one release on views of the files: nothing is written, created or locked. What differs
//! by release comes from [`Release::behaviour`]; what is not in that table is the same in all of them.
//!
//! ```text
//! settings   where the release looks, how large it expects files to be
//! config     topics, consumer offsets, groups: which copy, or a refused start
//! load       which files of log and queues are taken in, by name; what is hidden or refused
//! index      which files an abnormal start deletes
//! queue      the end of each queue                       (ConsumeQueue.recover)
//! recover    where the log is scanned from and cut       (CommitLog.recoverNormally, recoverAbnormally)
//! dispatch   what queues and index gain                  (ReputMessageService)
//! pull       what a consumer gets afterwards
//! survey     what the log holds
//! outcome    losses, flags
//! ```
//!
//! The words for outcomes are those of 527 starts of real brokers, which the tests replay.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mqstore_core::StoreError;
use mqstore_core::format::checkpoint::{CHECKPOINT_LENGTH, Checkpoint};
use mqstore_core::progress::Progress;
use mqstore_core::release::rules::{CleanDispatch, CqTruncation, DelayOffsetLoad, EmptyLog};
use mqstore_core::release::{Evidence, Release};

mod config;
mod dispatch;
mod index;
mod load;
mod outcome;
mod pull;
mod queue;
mod record;
mod recover;
mod settings;
mod survey;
mod types;

pub use types::{
    BootError, BootFlag, BootOptions, BootPrediction, ConfigFile, Exit, FileChanges, GroupLosses, LoadedFrom,
    LogPrediction, Losses, Messages, QueuePrediction, QueueState, Step,
};

use config::{Configs, DELAY_OFFSET, LoadedConfig, Stage};
use dispatch::{Dispatched, Dispatcher, Queues, max_physic_offset, truncate_dirty_logic_files};
use index::SimIndex;
use load::{LoadedFile, LoadedFiles, list};
use queue::SimQueue;
use recover::Recovered;
use settings::Settings;

/// Predicts the start of `release` on the store at `root`.
///
/// Reads the part of the log that the release would scan, then the whole log once more for what it holds; `progress`
/// counts the bytes of the former and may cancel both.
///
/// # Errors
/// Files that cannot be read, and settings whose start is not simulated. Damage is never an error.
pub fn boot(
    root: impl AsRef<Path>,
    release: Release,
    options: &BootOptions,
    progress: &dyn Progress,
) -> Result<BootPrediction, BootError> {
    let settings = Settings::resolve(root.as_ref(), release, options)?;
    let abort = settings.root.join("abort").exists();
    let exit = options.exit.unwrap_or(if abort { Exit::Abort } else { Exit::Clean });
    let mut sim = Sim::new(&settings, exit);
    let refused = sim.start(progress)?;
    outcome::conclude(sim, refused, progress)
}

/// A start that ends before the port opens.
#[derive(Debug, Clone, Copy)]
struct Refusal;

/// The state of a start.
struct Sim<'a> {
    settings: &'a Settings,
    exit: Exit,
    configs: Configs,
    steps: Vec<Step>,
    files: FileChanges,
    loaded_configs: Vec<LoadedConfig>,
    log: LoadedFiles,
    queues: Queues,
    index: Option<SimIndex>,
    recovered: Recovered,
    dispatched: Dispatched,
    batch_topics: BTreeSet<String>,
    destroyed: bool,
    /// Offset at which dispatching after the start stops although the log goes on.
    dispatch_stuck_at: Option<u64>,
}

impl<'a> Sim<'a> {
    fn new(settings: &'a Settings, exit: Exit) -> Self {
        let configs = Configs::new(settings);
        Self {
            settings,
            exit,
            batch_topics: configs.batch_topics(),
            configs,
            steps: Vec::new(),
            files: FileChanges::default(),
            loaded_configs: Vec::new(),
            log: LoadedFiles::default(),
            queues: BTreeMap::new(),
            index: None,
            recovered: Recovered::default(),
            dispatched: Dispatched::default(),
            destroyed: false,
            dispatch_stuck_at: None,
        }
    }

    fn step(&mut self, what: &'static str, path: Option<&Path>, detail: impl Into<String>, evidence: Evidence) {
        let path = path.map(|path| self.settings.relative(path));
        self.steps.push(Step { what, path, detail: detail.into(), evidence });
    }

    /// The start in the broker's order. `Some`: it is refused.
    fn start(&mut self, progress: &dyn Progress) -> Result<Option<Refusal>, BootError> {
        let rules = &self.settings.rules;
        self.folders();
        if let Some(refusal) = self.load_configs() {
            return Ok(Some(refusal));
        }
        let delay_first = rules.delay_offset_load.value == DelayOffsetLoad::BeforeLog;
        if delay_first && self.load_delay_offset() {
            return Ok(Some(Refusal));
        }
        if self.load_log()? || self.load_queues()? {
            self.refused_at(Stage::Store);
            return Ok(Some(Refusal));
        }
        let checkpoint = self.read_checkpoint()?;
        let index_refused = self.load_index(&checkpoint)?;
        for queue in self.queues.values_mut().flat_map(BTreeMap::values_mut) {
            queue.recover(rules)?;
        }
        self.recover_log(&checkpoint, progress)?;
        if index_refused {
            self.refused_at(Stage::Store);
            return Ok(Some(Refusal));
        }
        if !delay_first && self.load_delay_offset() {
            return Ok(Some(Refusal));
        }
        self.dispatch_after_recovery(progress)?;
        self.after_start()?;
        Ok(None)
    }

    fn folders(&mut self) {
        let rules = &self.settings.rules;
        let place = rules.commit_log_place.evidence;
        for dir in self.settings.commitlog_dirs.clone() {
            let there = if dir.is_dir() { "is there" } else { "is not there, and is made empty" };
            let size = self.settings.log_file_size;
            self.step("resolve", Some(&dir), format!("the commit log, in files of {size} bytes, {there}"), place);
            if !dir.is_dir() {
                self.files.created.push(self.settings.relative(&dir));
            }
        }
        let why = match self.exit {
            Exit::Clean => "there is no file abort: the start is a normal one",
            Exit::Abort => "a file abort is there: the start is an abnormal one, which reads and dispatches more",
        };
        self.step("exit", Some(&self.settings.root.join("abort")), why, rules.abort_content.evidence);
    }

    fn load_configs(&mut self) -> Option<Refusal> {
        let loaded = self.configs.load(self.settings.lmq && self.settings.rules.lmq.value);
        let mut refusal = None;
        for one in loaded {
            let name = one.file.file.rsplit('/').next().unwrap_or_default().to_owned();
            if self.config_step(one) {
                self.refused_at(Stage::Config(&name));
                refusal = Some(Refusal);
            }
        }
        refusal
    }

    /// Records what loading a config file came to; whether the start ends there.
    fn config_step(&mut self, one: LoadedConfig) -> bool {
        let evidence = self.settings.rules.bad_config.evidence;
        let path = self.settings.root.join(&one.file.file);
        let detail = match (&one.refused, &one.lost, one.file.loaded_from) {
            (Some(why), ..) | (None, Some(why), _) => why.clone(),
            (None, None, LoadedFrom::File) => format!("{} entries", one.file.entries),
            (None, None, LoadedFrom::Bak) => format!("{} entries, from .bak", one.file.entries),
            (None, None, LoadedFrom::None) => "there is none: an empty table".to_owned(),
        };
        self.step(if one.refused.is_some() { "refuse" } else { "load_config" }, Some(&path), detail, evidence);
        if one.rewritten && one.refused.is_none() {
            let changes = if path.exists() { &mut self.files.rewritten } else { &mut self.files.created };
            changes.push(one.file.file.clone());
        }
        let refused = one.refused.is_some();
        self.loaded_configs.push(one);
        refused
    }

    fn load_delay_offset(&mut self) -> bool {
        let Some(one) = self.configs.load_one(DELAY_OFFSET) else { return false };
        let refused = self.config_step(one);
        if refused {
            self.refused_at(Stage::DelayOffset);
        }
        refused
    }

    /// What the shutdown of a refused start writes over.
    fn refused_at(&mut self, stage: Stage<'_>) {
        let evidence = self.settings.rules.refused_start.evidence;
        let Some(name) = self.configs.emptied_by_refusal(stage) else { return };
        let path = self.settings.root.join("config").join(name);
        self.files.rewritten.push(self.settings.relative(&path));
        let detail = "the process that ends writes this file with an empty table, its present content goes to .bak";
        self.step("write_over", Some(&path), detail, evidence);
        let detail = format!("a second try empties {name}.bak, too: copy config/ away before it");
        self.step("next_start", Some(&path), detail, evidence);
    }

    fn load_log(&mut self) -> Result<bool, StoreError> {
        self.log = load::load(&self.settings.commitlog_dirs, self.settings.log_file_size, &self.settings.rules)?;
        let log = self.log.clone();
        let refused = self.load_step(&log);
        self.files.removed.extend(log.deleted.iter().map(|path| self.settings.relative(path)));
        let (files, evidence) = (log.files.len(), self.settings.rules.wrong_length.evidence);
        self.step("load_log", None, format!("{files} files of the commit log are loaded"), evidence);
        Ok(refused)
    }

    /// Records what loading a folder came to; whether the start ends there.
    fn load_step(&mut self, loaded: &LoadedFiles) -> bool {
        let rules = &self.settings.rules;
        let (wrong, zero) = (rules.wrong_length.evidence, rules.zero_length_last_file.evidence);
        for path in &loaded.deleted {
            self.step("delete", Some(path), "its length is zero: it is deleted", zero);
        }
        if let Some(path) = &loaded.stopped_at {
            let hidden = loaded.hidden.len();
            let detail = format!(
                "loading stops here without an error: {hidden} files with content are not seen, and are overwritten when the store grows to their names"
            );
            self.step("hide", Some(path), detail, wrong);
        }
        if let Some((path, why)) = &loaded.refused_at {
            self.step("refuse", Some(path), format!("{why}: the start is refused"), wrong);
        }
        loaded.refused_at.is_some()
    }

    fn load_queues(&mut self) -> Result<bool, StoreError> {
        let size = self.settings.queue_file_size;
        for topic in list(&self.settings.root.join("consumequeue"))? {
            for entry in list(&topic.path)? {
                let Ok(queue_id) = entry.name.parse::<i32>() else { continue };
                let loaded = load::load(std::slice::from_ref(&entry.path), size, &self.settings.rules)?;
                let refused = self.load_step(&loaded);
                let queue = SimQueue::new(entry.path, &loaded, size);
                self.queues.entry(topic.name.clone()).or_default().insert(queue_id, queue);
                if refused {
                    return Ok(true);
                }
            }
        }
        if !list(&self.settings.root.join("batchconsumequeue"))?.is_empty() {
            let path = self.settings.root.join("batchconsumequeue");
            self.step("not_simulated", Some(&path), "what becomes of batch queues is not predicted", Evidence::Derived);
        }
        Ok(false)
    }

    fn read_checkpoint(&mut self) -> Result<Checkpoint, StoreError> {
        let path = self.settings.root.join("checkpoint");
        let read = |source| StoreError::Io { action: "read", path: path.clone(), source };
        let mut bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(read(e)),
        };
        let found = bytes.len() as u64;
        // A shorter file is lengthened by zeros when it is mapped.
        bytes.resize(usize::try_from(CHECKPOINT_LENGTH).unwrap_or(usize::MAX), 0);
        let checkpoint = Checkpoint::parse(&bytes).unwrap_or_default();
        let evidence = self.settings.rules.checkpoint_fields.evidence;
        if !path.exists() {
            self.files.created.push("checkpoint".to_owned());
            self.step("load_checkpoint", Some(&path), "there is none: all times are zero", evidence);
        } else if found < CHECKPOINT_LENGTH {
            self.files.rewritten.push("checkpoint".to_owned());
            let detail = format!("{found} bytes, lengthened to {CHECKPOINT_LENGTH} by zeros");
            self.step("load_checkpoint", Some(&path), detail, evidence);
        } else {
            let time = checkpoint.min_timestamp();
            self.step(
                "load_checkpoint",
                Some(&path),
                format!("messages stored up to {time} are in the queues"),
                evidence,
            );
        }
        Ok(checkpoint)
    }

    fn load_index(&mut self, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let delete_behind = (self.exit == Exit::Abort).then_some(checkpoint.index_msg_timestamp);
        let index = SimIndex::load(self.settings, delete_behind)?;
        let rules = &self.settings.rules;
        let mut refused = false;
        if let Some(problem) = &index.problem {
            refused = problem.refuses;
            let then = if refused { "the start is refused" } else { "no index file from here on is used" };
            let evidence = rules.index_load.evidence;
            self.step("load_index", Some(&problem.path), format!("{}: {then}", problem.why), evidence);
        }
        for path in index.deleted() {
            let detail = "an abnormal start deletes index files that end behind the checkpoint's index time";
            self.step(
                "delete",
                Some(path),
                detail,
                Evidence::Seen(&[Release::V3_5_8, Release::V4_3_2, Release::V4_9_7, Release::V5_3_3]),
            );
            self.files.removed.push(self.settings.relative(path));
        }
        for file in index.files.iter().filter(|file| file.lengthened && file.fate == index::Fate::Kept) {
            let Some(path) = &file.path else { continue };
            self.step(
                "lengthen",
                Some(path),
                "shorter than configured: lengthened by zeros, its keys are gone",
                rules.index_load.evidence,
            );
            self.files.rewritten.push(self.settings.relative(path));
        }
        self.index = Some(index);
        Ok(refused)
    }

    fn recover_log(&mut self, checkpoint: &Checkpoint, progress: &dyn Progress) -> Result<(), BootError> {
        let settings = self.settings;
        let rules = &settings.rules;
        let max_cq = max_physic_offset(&self.queues);
        if self.log.files.is_empty() {
            let rule = if self.exit == Exit::Clean { rules.empty_log_normal } else { rules.empty_log_abnormal };
            if rule.value == EmptyLog::DestroysQueues {
                self.destroyed = self.queues.values().flat_map(BTreeMap::values).any(|queue| !queue.files.is_empty());
                self.queues.values_mut().flat_map(BTreeMap::values_mut).for_each(SimQueue::destroy);
                self.step("destroy_queues", None, "the log has no file: every queue is deleted", rule.evidence);
            } else {
                let detail = "the log has no file: the queues stay, old offsets lead nowhere, and new messages get no unit until the log passes the queues' old end";
                self.step("recover_log", None, detail, rule.evidence);
            }
            return Ok(());
        }
        let Some(mut index) = self.index.take() else { return Ok(()) };
        let files: Vec<LoadedFile> = self.log.files.clone();
        let mut dispatcher = Dispatcher {
            settings,
            queues: &mut self.queues,
            index: &mut index,
            batch_topics: &self.batch_topics,
            done: &mut self.dispatched,
        };
        let recovered = recover::recover_log(&files, checkpoint, max_cq, self.exit, &mut dispatcher, progress)?;
        self.index = Some(index);
        let scan = match self.exit {
            Exit::Clean => rules.normal_scan_start.evidence,
            Exit::Abort => rules.abnormal_scan_start.evidence,
        };
        let detail = format!("the log is read from {} on, {} bytes", recovered.scan_from, recovered.scan_bytes);
        self.step("scan_log", None, detail, scan);
        let detail = match recovered.cut_by {
            Some(why) => format!("the log ends at {}: {why}", recovered.end),
            None => format!("the log ends at {}", recovered.end),
        };
        self.step("cut_log", None, detail, rules.length_mismatch.evidence);
        for path in &recovered.removed {
            self.step("delete", Some(path), "it lies behind the end of the log", scan);
            self.files.removed.push(settings.relative(path));
        }
        if self.exit == Exit::Abort || self.dispatched.offered > 0 {
            let evidence = match self.exit {
                Exit::Clean => rules.clean_dispatch.evidence,
                Exit::Abort => rules.abort_dispatch.evidence,
            };
            self.dispatch_step(evidence);
        }
        let truncation = match self.exit {
            Exit::Clean => rules.cq_truncation_normal,
            Exit::Abort => rules.cq_truncation_abnormal,
        };
        let cut = match truncation.value {
            CqTruncation::Never => false,
            CqTruncation::Always => true,
            _ => u64::try_from(max_cq).is_ok_and(|max| max >= recovered.end),
        };
        if cut {
            truncate_dirty_logic_files(&mut self.queues, recovered.end, settings)?;
            self.step("cut_queues", None, "units at or behind the end of the log are dropped", truncation.evidence);
        }
        self.recovered = recovered;
        Ok(())
    }

    fn dispatch_step(&mut self, evidence: Evidence) {
        let Dispatched { offered, appended, repeated, failed, .. } = self.dispatched;
        let mut detail = format!("{offered} messages are offered to the queues, {appended} get a unit");
        if repeated > 0 {
            let _ = write!(detail, ", {repeated} do not because their queue offset was used twice");
        }
        if failed > 0 {
            let _ = write!(detail, ", {failed} that failed get one in a topic without a name");
        }
        self.step("dispatch", None, detail, evidence);
    }

    /// `DefaultMessageStore.start`: what the dispatcher does before the port opens.
    fn dispatch_after_recovery(&mut self, progress: &dyn Progress) -> Result<(), BootError> {
        let settings = self.settings;
        let rules = &settings.rules;
        let from_queues = rules.clean_dispatch.value == CleanDispatch::FromQueues
            || (settings.recheck_reput && rules.recheck_reput_from_cq.value);
        let Some(first) = self.recovered.files.first() else { return Ok(()) };
        if !from_queues || settings.duplication {
            return Ok(());
        }
        let Some(mut index) = self.index.take() else { return Ok(()) };
        let highest = u64::try_from(max_physic_offset(&self.queues)).unwrap_or(0);
        let from = highest.max(first.base);
        let end = self.recovered.end;
        let offered = self.dispatched.offered;
        let files = self.recovered.files.clone();
        let mut dispatcher = Dispatcher {
            settings,
            queues: &mut self.queues,
            index: &mut index,
            batch_topics: &self.batch_topics,
            done: &mut self.dispatched,
        };
        let stopped = recover::reput(&files, from, end, &mut dispatcher, progress)?;
        self.index = Some(index);
        if self.dispatched.offered > offered {
            self.dispatch_step(rules.clean_dispatch.evidence);
        }
        if stopped < end {
            self.dispatch_stuck_at = Some(stopped);
            let detail = format!("dispatching stops at {stopped}, where the log has a gap, and waits for ever");
            self.step("dispatch", None, detail, Evidence::Derived);
        }
        Ok(())
    }

    /// Minimums, and the mark of a running broker.
    fn after_start(&mut self) -> Result<(), StoreError> {
        let rules = &self.settings.rules;
        let log_min = self.recovered.files.first().map_or(-1, |file| i64::try_from(file.base).unwrap_or(i64::MAX));
        for queue in self.queues.values_mut().flat_map(BTreeMap::values_mut) {
            queue.correct_min_offset(log_min, rules)?;
        }
        if !self.settings.root.join("abort").exists() {
            self.files.created.push("abort".to_owned());
        }
        self.step(
            "start",
            Some(&self.settings.root.join("abort")),
            "the port opens; abort stays until an orderly stop",
            rules.abort_content.evidence,
        );
        Ok(())
    }

    /// The paths of queue files that the start deleted or made.
    fn queue_files(&self) -> (Vec<PathBuf>, Vec<PathBuf>, Vec<PathBuf>) {
        let (mut removed, mut created, mut rewritten) = (Vec::new(), Vec::new(), Vec::new());
        for queue in self.queues.values().flat_map(BTreeMap::values) {
            removed.extend(queue.removed.iter().cloned());
            for file in queue.files.iter().filter(|file| file.fresh) {
                if file.path.exists() { rewritten.push(file.path.clone()) } else { created.push(file.path.clone()) }
            }
            for file in queue.files.iter().filter(|file| !file.fresh) {
                let length = std::fs::metadata(&file.path).map_or(0, |metadata| metadata.len());
                if length < self.settings.queue_file_size {
                    rewritten.push(file.path.clone());
                }
            }
        }
        (removed, created, rewritten)
    }
}
