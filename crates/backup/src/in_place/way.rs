//! Which way loses least: each is laid out as a folder of links and the start on it is simulated.
//!
//! The ways are looked at from the least costly on, and the first without any loss ends the search: a start reads the
//! log, which may be long. What a release does is not decided here but in [`Release::behaviour`]; the reasons name the
//! rules that made the difference.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use mqstore_check::boot::{BootError, BootFlag, BootOptions, BootPrediction, Exit, boot};
use mqstore_core::progress::Progress;
use mqstore_core::release::rules::{AbortDispatch, CleanDispatch, RepeatedQueueOffset};
use mqstore_core::release::{Evidence, Release};
use mqstore_core::store::EntryKind;

use super::config::SPLIT;
use super::live::{ELSEWHERE, Live};
use super::plan::{InPlaceOptions, Reason, Way, WayReport};
use super::switch::create_folders;
use crate::error::BackupError;

/// What the ways are made of.
#[derive(Debug)]
pub(super) struct Ways<'a> {
    pub(super) options: &'a InPlaceOptions,
    pub(super) live: &'a Live,
    /// The staged root.
    pub(super) root: &'a Path,
    /// Where those files lie that go into the home folder.
    pub(super) home_out: &'a Path,
    /// A folder for the links.
    pub(super) views: &'a Path,
    /// Entries that a restoration of the part asked for switches, without those of the configuration.
    pub(super) queues: &'a [String],
}

/// A way and its start.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) report: WayReport,
    pub(super) prediction: BootPrediction,
}

/// The way chosen, and those that were looked at before it.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) way: Way,
    pub(super) prediction: BootPrediction,
    pub(super) looked_at: Vec<WayReport>,
    pub(super) reasons: Vec<Reason>,
    pub(super) left_as_it_is: Option<WayReport>,
}

impl Ways<'_> {
    /// The way that loses least; refuses if that leaves more messages out of reach than are so now.
    pub(super) fn choose(&self, progress: &dyn Progress) -> Result<Choice, BackupError> {
        let mut looked: Vec<(Way, Looked)> = Vec::new();
        let asked = |way: &Way| way.fits(self.options.what) && self.options.way.is_none_or(|wanted| wanted == *way);
        for way in Way::ALL.into_iter().filter(asked) {
            let mut one = self.look(Some(way), progress)?;
            one.report.unfit = self.unfit(way, &one.report);
            let perfect = one.report.unfit.is_none() && is_perfect(&one.report);
            looked.push((way, one));
            if perfect {
                break;
            }
        }
        let best = looked.iter().enumerate().filter(|(_, (_, one))| one.report.unfit.is_none());
        let best = best.min_by_key(|(n, (_, one))| (cost(&one.report), *n)).map(|(n, _)| n);
        let looked_at: Vec<WayReport> = looked.iter().map(|(_, one)| one.report.clone()).collect();
        self.refuse_repeated(&looked_at)?;
        let Some((way, chosen)) = best.and_then(|n| looked.into_iter().nth(n)) else {
            return Err(self.none_fits(&looked_at));
        };
        let reasons = self.reasons(way, &looked_at);
        let left_as_it_is = self.refuse_harm(&chosen, progress)?;
        Ok(Choice { way, prediction: chosen.prediction, looked_at, reasons, left_as_it_is })
    }

    /// Why a way is not taken however little it loses.
    fn unfit(&self, way: Way, report: &WayReport) -> Option<String> {
        let (release, rules) = (self.options.release, self.options.release.behaviour());
        if report.outcome == BootFlag::Refuses {
            return Some(format!("{release} refuses to start on it"));
        }
        let races = rules.abort_dispatch.value == AbortDispatch::Racing;
        if races && matches!(way, Way::Abort | Way::AbortWithoutCheckpoint) {
            return Some(format!("{release} cuts the queues while another thread appends to them"));
        }
        let ext = self.live.root.join("consumequeue_ext").exists();
        if way == Way::ConfigOnly && ext && !rules.consume_queue_ext.value {
            return Some(format!("the queues refer to consumequeue_ext, which {release} does not know"));
        }
        None
    }

    /// Old queues were once put beside a newer log before, and messages that came then re-used queue offsets. Whatever
    /// brings the older ones back takes those away.
    fn refuse_repeated(&self, looked_at: &[WayReport]) -> Result<(), BackupError> {
        let repeated = looked_at.iter().map(|one| one.repeated).max().unwrap_or(0);
        if repeated == 0 {
            return Ok(());
        }
        let release = self.options.release;
        let evidence = release.behaviour().repeated_queue_offset.evidence;
        let problem = format!(
            "{repeated} messages re-used queue offsets that the log had already, as happens when old queues are put beside a newer log: {release} would never show them again with the queues of this backup [{evidence}]"
        );
        Err(BackupError::refused(&self.live.root, problem, "--what config leaves the queues as they are"))
    }

    fn none_fits(&self, looked_at: &[WayReport]) -> BackupError {
        let why: Vec<String> = looked_at
            .iter()
            .filter_map(|one| Some(format!("{}: {}", one.way?.word(), one.unfit.as_deref()?)))
            .collect();
        let problem = format!("there is no safe way for {}: {}", self.options.release, why.join("; "));
        BackupError::refused(&self.live.root, problem, "--broker-conf names the configuration")
    }

    /// Compares with the store left as it is, where the best way loses something.
    fn refuse_harm(&self, chosen: &Looked, progress: &dyn Progress) -> Result<Option<WayReport>, BackupError> {
        if chosen.report.unreachable == 0 {
            return Ok(None);
        }
        let now = self.look(None, progress)?;
        let out_of_reach = |one: &BootPrediction, topic: &str| {
            let of = |messages: &mqstore_check::boot::Messages| messages.topics.get(topic).copied().unwrap_or(0);
            let wrong: u64 = one.queues.iter().filter(|queue| queue.topic == topic).map(|queue| queue.wrong).sum();
            (of(&one.losses.hidden) + of(&one.losses.cut) + of(&one.losses.skipped)).saturating_sub(wrong)
        };
        let losses = &chosen.prediction.losses;
        let mut topics: Vec<&String> =
            losses.hidden.topics.keys().chain(losses.cut.topics.keys()).chain(losses.skipped.topics.keys()).collect();
        topics.sort_unstable();
        topics.dedup();
        let worse = topics.into_iter().filter_map(|topic| {
            let more = out_of_reach(&chosen.prediction, topic).checked_sub(out_of_reach(&now.prediction, topic))?;
            (more > 0).then(|| format!("{more} of {topic}"))
        });
        let worse: Vec<String> = worse.collect();
        if worse.is_empty() {
            return Ok(Some(now.report));
        }
        let problem = format!(
            "even the best way, {}, takes messages out of reach that can be reached now: {}",
            chosen.report.way.map_or("", Way::word),
            worse.join(", ")
        );
        let instead = match chosen.report.way {
            Some(Way::ConfigOnly) => "--what queues leaves the configuration as it is",
            _ => "--what config leaves the queues as they are",
        };
        Err(BackupError::refused(&self.live.root, problem, instead))
    }

    /// Lays a way out and simulates the start; `None` is the store as it is.
    fn look(&self, way: Option<Way>, progress: &dyn Progress) -> Result<Looked, BackupError> {
        let name = way.map_or("as-it-is", Way::word);
        let (view, home) = (self.views.join(name), self.views.join(format!("{name}-home")));
        self.lay_out(way, &view, &home)?;
        let mut options = BootOptions::default();
        options.conf.clone_from(&self.options.conf);
        options.commitlog_dirs.clone_from(&self.live.log_dirs);
        options.home = self.live.home_config.as_ref().map(|_| home.clone()).or_else(|| self.options.home.clone());
        let abort = view.join("abort").exists();
        options.exit = Some(if abort { Exit::Abort } else { Exit::Clean });
        let mut prediction = boot(&view, self.options.release, &options, progress).map_err(|error| match error {
            BootError::Cancelled => BackupError::Cancelled,
            BootError::NotSimulated { .. } => BackupError::refused(&self.live.root, error.to_string(), ELSEWHERE),
            error => BackupError::Boot(error),
        })?;
        self.rename_back(&mut prediction, &view, &home);
        Ok(Looked { report: report(way, &prediction), prediction })
    }

    fn lay_out(&self, way: Option<Way>, view: &Path, home: &Path) -> Result<(), BackupError> {
        create_folders(view)?;
        let link =
            |from: &Path, to: PathBuf| symlink(from, &to).map_err(|source| BackupError::io("create", &to, source));
        let entries = fs::read_dir(&self.live.root).map_err(|e| BackupError::io("list", &self.live.root, e))?;
        for entry in entries {
            let entry = entry.map_err(|source| BackupError::io("list", &self.live.root, source))?;
            let name = entry.file_name();
            let text = name.to_string_lossy().into_owned();
            let kept = way.is_none_or(|way| !self.switches(way, &text));
            if EntryKind::of(&name) != EntryKind::CommitLog && kept {
                link(&entry.path(), view.join(&name))?;
            }
        }
        let Some(way) = way else { return self.lay_out_home(None, home) };
        let mut names: Vec<String> = self.queues.to_vec();
        names.push("config".to_owned());
        for name in names.iter().filter(|name| self.switches(way, name)) {
            if let Some(from) = self.staged(way, name) {
                link(&from, view.join(name))?;
            }
        }
        if way.places_abort() {
            let abort = view.join("abort");
            fs::write(&abort, "").map_err(|source| BackupError::io("create", &abort, source))?;
        }
        self.lay_out_home(Some(way), home)
    }

    /// Whether a way takes the present entry of this name away.
    pub(super) fn switches(&self, way: Way, name: &str) -> bool {
        let queues = way != Way::ConfigOnly;
        match EntryKind::of(name.as_ref()) {
            EntryKind::Config => self.restores_config(),
            EntryKind::Abort => queues,
            _ => queues && self.queues.iter().any(|one| one == name),
        }
    }

    pub(super) fn restores_config(&self) -> bool {
        self.options.what != Some(super::plan::What::Queues)
    }

    /// Where the entry lies that takes its place; `None` if nothing does.
    pub(super) fn staged(&self, way: Way, name: &str) -> Option<PathBuf> {
        let left_out = match EntryKind::of(name.as_ref()) {
            EntryKind::Checkpoint => matches!(way, Way::AbortWithoutCheckpoint | Way::Rebuild),
            EntryKind::ConsumeQueue | EntryKind::ConsumeQueueExt | EntryKind::Index => way == Way::Rebuild,
            _ => false,
        };
        Some(self.root.join(name)).filter(|path| !left_out && path.exists())
    }

    fn lay_out_home(&self, way: Option<Way>, home: &Path) -> Result<(), BackupError> {
        let Some(live) = &self.live.home_config else { return Ok(()) };
        let folder = home.join("store").join("config");
        create_folders(&folder)?;
        for name in SPLIT {
            let staged = self.home_out.join(name);
            let from = if way.is_some() && self.restores_config() { staged } else { live.join(name) };
            if from.exists() {
                let to = folder.join(name);
                symlink(&from, &to).map_err(|source| BackupError::io("create", &to, source))?;
            }
        }
        Ok(())
    }

    /// Names the files by where they will lie.
    fn rename_back(&self, prediction: &mut BootPrediction, view: &Path, home: &Path) {
        let places = [(view, self.live.root.as_path()), (&home.join("store").join("config"), self.home_config())];
        let rename = |text: &mut String| {
            for (from, to) in places {
                *text = text.replace(&*from.to_string_lossy(), &to.to_string_lossy());
            }
        };
        for step in &mut prediction.steps {
            step.path.iter_mut().for_each(rename);
            rename(&mut step.detail);
        }
        prediction.config.iter_mut().for_each(|file| rename(&mut file.file));
        let files = &mut prediction.files;
        files.removed.iter_mut().chain(&mut files.created).chain(&mut files.rewritten).for_each(rename);
    }

    fn home_config(&self) -> &Path {
        self.live.home_config.as_deref().unwrap_or(&self.live.root)
    }

    /// The rules of the release that decided.
    fn reasons(&self, way: Way, looked_at: &[WayReport]) -> Vec<Reason> {
        let release = self.options.release;
        let rules = release.behaviour();
        let of = |way: Way| looked_at.iter().find(|one| one.way == Some(way));
        let mut reasons = Vec::new();
        let mut say = |text: String, evidence: String| reasons.push(Reason { text, evidence });
        if let Some(report) = of(Way::AsArchived) {
            let lost = report.unreachable + report.shifted;
            let text = match rules.clean_dispatch.value {
                _ if lost == 0 && way != Way::AsArchived => None,
                CleanDispatch::FromQueues => {
                    Some(format!("{release} dispatches what the log holds behind the queues at any start"))
                }
                _ if lost == 0 => None,
                CleanDispatch::FromQueuesButFirst => Some(format!(
                    "without abort {release} passes over the first record behind the queues: {} messages out of reach, {} at a wrong offset",
                    report.unreachable, report.shifted
                )),
                _ => Some(format!(
                    "without abort {release} dispatches nothing of what the log holds behind old queues: {} messages would never be seen, and new ones would re-use their queue offsets",
                    report.unreachable
                )),
            };
            if let Some(text) = text {
                say(text, rules.clean_dispatch.evidence.to_string());
            }
        }
        let fires = looked_at.iter().map(|one| one.fires_at_once).max().unwrap_or(0);
        if fires > 0 {
            say(
                format!(
                    "after an abnormal start {release} fires delayed messages at once whose units it builds anew: {fires}"
                ),
                rules.rebuilt_delay_fires_at_once.evidence.to_string(),
            );
        }
        if rules.abort_dispatch.value == AbortDispatch::Racing && looked_at.len() > 2 {
            let text = format!("at an abnormal start {release} cuts queues while another thread appends to them");
            say(text, rules.abort_dispatch.evidence.to_string());
        }
        reasons_for(way, looked_at, release, &mut say);
        reasons
    }
}

fn reasons_for(way: Way, looked_at: &[WayReport], release: Release, say: &mut dyn FnMut(String, String)) {
    let rules = release.behaviour();
    let Some(report) = looked_at.iter().find(|one| one.way == Some(way)) else { return };
    match way {
        Way::AsArchived => {}
        Way::ConfigOnly => {
            let text = format!(
                "the queues that are there lead {release} to {} of the log, so those of the backup are not needed",
                if report.unreachable == 0 { "every message" } else { "as many messages" }
            );
            say(text, "by the simulated start".to_owned());
        }
        Way::Abort | Way::AbortWithoutCheckpoint | Way::Rebuild => {
            let text = format!(
                "an empty abort makes {release} read {} bytes of log and dispatch again what the queues do not have",
                report.log_read
            );
            say(text, rules.abort_dispatch.evidence.to_string());
            let with = looked_at.iter().find(|one| one.way == Some(Way::Abort));
            if let (Way::AbortWithoutCheckpoint, Some(with)) = (way, with)
                && with.index_keys > report.index_keys
            {
                let text = format!(
                    "with the old checkpoint {} keys would be lost from the index, without one the whole log is read and none",
                    with.index_keys
                );
                let seen = Evidence::Seen(&[Release::V3_5_8, Release::V4_3_2, Release::V4_9_7]);
                say(text, seen.to_string());
            }
        }
    }
    if report.shifted > 0 && rules.repeated_queue_offset.value == RepeatedQueueOffset::Appended {
        let text = format!(
            "{} messages had re-used queue offsets: they follow behind the others, at other offsets than they were stored with",
            report.shifted
        );
        say(text, rules.repeated_queue_offset.evidence.to_string());
    }
}

fn report(way: Option<Way>, prediction: &BootPrediction) -> WayReport {
    let losses = &prediction.losses;
    let shifted: u64 = prediction.queues.iter().map(|queue| queue.wrong).sum();
    WayReport {
        way,
        unfit: None,
        outcome: prediction.outcome,
        unreachable: losses.hidden.total + losses.cut.total + losses.skipped.total,
        shifted,
        repeated: prediction.repeated,
        fires_at_once: prediction.fires_at_once,
        redelivered: losses.redelivered.total,
        index_keys: losses.index_keys,
        log_read: prediction.log.scan_bytes,
    }
}

fn is_perfect(report: &WayReport) -> bool {
    let WayReport { unreachable, shifted, fires_at_once, index_keys, outcome, .. } = *report;
    unreachable + shifted + fires_at_once + index_keys == 0
        && matches!(outcome, BootFlag::Starts | BootFlag::LosesIndex)
}

/// What is compared, the worst first. The order of the ways breaks a tie.
fn cost(report: &WayReport) -> (u64, bool, u64, u64, u64, u64) {
    let stuck = matches!(report.outcome, BootFlag::DestroysQueues | BootFlag::Blind | BootFlag::ConsumerStuck);
    let WayReport { unreachable, shifted, fires_at_once, redelivered, index_keys, .. } = *report;
    (unreachable, stuck, shifted, fires_at_once, index_keys, redelivered)
}
