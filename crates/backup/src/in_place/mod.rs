//! Puts a backup back beside the commit log that went on since.
//!
//! The archive is unpacked and verified beside the store, the start of the release is simulated on the planned result
//! ([`prepare`] gives the [`RestorePlan`]), and only then are entries exchanged by renames under a journal
//! ([`Prepared::carry_out`]). The commit log is read and never moved or written. What was there is kept in
//! `STORE.before-TIME`, and [`undo`] puts it back. [`resume`] ends what a killed run began.
//!
//! ```text
//! live      the store: where its parts lie, whether it may be touched, whether its log is the one needed
//! config    topics, groups and offsets of the result          offsets   whose offsets, counted in messages
//! way       which way loses least, by simulated starts        plan      all of it as data
//! work      where it is made ready                            switch    the journal and the renames
//! undo      back again
//! ```

use std::path::{Path, PathBuf};

use mqstore_core::progress::Progress;
use mqstore_core::release::Release;
use mqstore_core::release::rules::SlaveTopicSync;

mod config;
mod live;
mod offsets;
mod plan;
mod switch;
mod undo;
mod way;
mod work;

pub use plan::{
    Change, EntryChange, GroupEffect, InPlaceOptions, LogCoverage, OffsetEffect, Offsets, OffsetsPlan, Reason,
    RestorePlan, Way, WayReport, What,
};
pub use undo::{Resumed, UndoOptions, Undone, resume, undo};

use crate::catalog::show;
use crate::chain::all_links;
use crate::error::BackupError;
use crate::manifest::{FileClass, Manifest};
use crate::member::Section;
use crate::partial::PartialFolder;
use config::{SPLIT, Staged};
use live::{ELSEWHERE, Live, covers, same_broker, same_file_system, same_log};
use offsets::Both;
use switch::{Abort, Journal, Move, Record, beside, exists, pending};
use way::{Choice, Ways};
use work::{Unpacked, WorkFolder};

/// A restoration that is ready to be carried out. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Prepared {
    plan: RestorePlan,
    manifest: Manifest,
    not_restored: Vec<(Section, u64)>,
    journal: Journal,
    /// The program's folder and that of included files.
    folders: Vec<PartialFolder>,
    work: Vec<WorkFolder>,
    /// Holds the locks.
    _live: Live,
}

/// A restoration that was carried out.
#[derive(Debug)]
#[non_exhaustive]
pub struct InPlace {
    /// What was done.
    pub plan: RestorePlan,
    /// The archive's manifest; its gaps are gaps of the restored store, too.
    pub manifest: Manifest,
    /// The folder that holds what was there before.
    pub kept: PathBuf,
    /// Files per section that were not asked for.
    pub not_restored: Vec<(Section, u64)>,
}

/// Unpacks and verifies the archive beside the store, and plans how to put it in place; the store itself is only read.
///
/// Refuses ([`BackupError::is_refusal`]) what would lose messages or files, and says what is safe instead.
pub fn prepare(archive: &Path, options: &InPlaceOptions, progress: &dyn Progress) -> Result<Prepared, BackupError> {
    let live = Live::open(options)?;
    if pending(&live.root)?.is_some() {
        return Err(BackupError::Interrupted { journal: switch::journal_path(&live.root), root: live.root });
    }
    let log = live.log()?;
    let manifest = show(archive, progress)?;
    all_links(archive, &manifest, &options.chain, progress)?;
    refuse_archive(&manifest, options, &live)?;
    same_file_system(&live.root)?;
    let asked = options.what.unwrap_or(What::All);
    let names = live.names(&top_level(&manifest), asked)?;
    let policy = policy(options, &live)?;

    let is_same = same_log(&manifest, &log, &live)?;
    let unpacked = Unpacked::new(archive, &manifest, options, &live, progress)?;
    let mut coverage = if asked == What::Config {
        LogCoverage {
            min_offset: log.min_offset().get(),
            max_offset: log.end()?.offset.get(),
            ..LogCoverage::default()
        }
    } else {
        covers(&unpacked.root, &log, &live)?
    };
    coverage.same = is_same;
    let present_home = options.home.as_ref().map(|home| home.join("store").join("config"));
    let present_home = live.home_config.clone().or(present_home);
    let staged = Staged {
        root: &unpacked.root,
        home: &unpacked.home,
        home_out: &unpacked.home_out,
        live: &live,
        live_home: present_home.as_deref(),
    };
    let both = staged.offsets();
    let mut later = (Vec::new(), Vec::new());
    if asked != What::Queues {
        staged.place_split_files()?;
        if !options.exact_config {
            later = staged.keep_later()?;
        }
        staged.write_offsets(&both, policy)?;
    }
    let queues: Vec<String> = names.switched.iter().filter(|name| *name != "config").cloned().collect();
    let Unpacked { root, home_out, views, .. } = &unpacked;
    let ways = Ways { options, live: &live, root, home_out, views, queues: &queues };
    let choice = ways.choose(progress)?;
    if choice.way == Way::ConfigOnly {
        staged.keep_timers()?;
    }
    if asked != What::Queues {
        staged.sync()?;
    }
    refuse_skipping(&choice, policy, &live)?;
    let moves_and_kept = moves(&ways, choice.way, &names.switched)?;
    let plan = plan_of(options, (&unpacked.manifest, coverage), choice, (&both, policy), later, names.left_alone);
    Ok(prepared(plan, unpacked, moves_and_kept, live))
}

/// The plan, but for what is done to each entry.
fn plan_of(
    options: &InPlaceOptions,
    (manifest, log): (&Manifest, LogCoverage),
    choice: Choice,
    (both, policy): (&Both, Offsets),
    (later_topics, later_groups): (Vec<String>, Vec<String>),
    left_alone: Vec<String>,
) -> RestorePlan {
    let what = match (options.what, choice.way) {
        (Some(what), _) => what,
        (None, Way::ConfigOnly) => What::Config,
        (None, _) => What::All,
    };
    let ranges = choice.prediction.queues.iter().filter_map(|queue| {
        let after = queue.after?;
        Some(((queue.topic.clone(), queue.queue_id), (after.min_offset, after.max_offset)))
    });
    RestorePlan {
        backup_id: manifest.backup_id.clone(),
        created_at: manifest.created_at.clone(),
        root: String::new(),
        release: options.release,
        what,
        way: choice.way,
        reasons: choice.reasons,
        ways: choice.looked_at,
        left_as_it_is: choice.left_as_it_is,
        entries: Vec::new(),
        left_alone,
        later_topics,
        later_groups,
        offsets: both.effects(policy, &ranges.collect()),
        notes: notes(manifest, what, &log),
        log,
        prediction: choice.prediction,
    }
}

fn prepared(mut plan: RestorePlan, unpacked: Unpacked, (moves, kept): (Vec<Move>, PathBuf), live: Live) -> Prepared {
    plan.root = live.root.to_string_lossy().into_owned();
    plan.entries = entries(&moves, &live.root);
    let was = live.root.join("abort").exists();
    let abort = Abort {
        was,
        wanted: plan.way.places_abort() || (plan.way == Way::ConfigOnly && was),
        staged: None,
        before: kept.join("store").join("abort"),
    };
    let record = Record {
        at: now(),
        backup_id: plan.backup_id.clone(),
        what: plan.what,
        way: plan.way,
        log_end: plan.log.max_offset,
        log_dirs: live.log_dirs.clone(),
        moves: Vec::new(),
        abort: false,
        lock_tells: plan.release.behaviour().lock_file.value,
    };
    let mut journal = Journal::new(&live.root, &kept, moves, abort, record);
    journal.work = unpacked.work.iter().map(|folder| folder.path.clone()).collect();
    let Unpacked { manifest, not_restored, folders, work, .. } = unpacked;
    Prepared { plan, manifest, not_restored, journal, folders, work, _live: live }
}

/// Refuses offsets that lead past messages: those of the present count messages that will lie elsewhere.
fn refuse_skipping(choice: &Choice, policy: Offsets, live: &Live) -> Result<(), BackupError> {
    let chosen = choice.looked_at.iter().find(|one| one.way == Some(choice.way));
    match chosen.map_or(0, |one| one.shifted) {
        0 => Ok(()),
        _ if matches!(policy, Offsets::Backup | Offsets::Min) => Ok(()),
        shifted => {
            let problem = format!(
                "{shifted} messages re-used queue offsets: groups that committed those would pass over as many older messages"
            );
            Err(BackupError::refused(&live.root, problem, "--offsets min"))
        }
    }
}

impl Prepared {
    /// What will be done.
    pub fn plan(&self) -> &RestorePlan {
        &self.plan
    }

    /// The archive's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Exchanges everything. Stopped at any moment, it leaves a journal by which [`resume`] ends it or [`undo`] takes it
    /// back; if something fails it is taken back at once.
    pub fn carry_out(mut self) -> Result<InPlace, BackupError> {
        // These are new: without the store they do no harm.
        for folder in self.folders {
            folder.commit()?;
        }
        let done = self.journal.carry_out();
        // What is left of a switch that could not be taken back is needed.
        let keep = matches!(done, Err(BackupError::HalfSwitched { .. }));
        self.work.iter_mut().for_each(|work| work.keep = keep);
        done?;
        Ok(InPlace {
            plan: self.plan,
            manifest: self.manifest,
            kept: self.journal.kept,
            not_restored: self.not_restored,
        })
    }
}

/// Refuses archives that cannot be put beside this log whatever the way.
fn refuse_archive(manifest: &Manifest, options: &InPlaceOptions, live: &Live) -> Result<(), BackupError> {
    if !options.other_broker {
        same_broker(manifest, live)?;
    }
    if options.what != Some(What::Queues) {
        refuse_topics_of_a_slave(manifest, live)?;
    }
    let queues = options.what != Some(What::Config);
    let special = manifest.files.iter().find_map(|file| match file.class {
        FileClass::Dledger => Some("state of a DLedger broker"),
        FileClass::Rocksdb if queues && file.path.starts_with("store/consumequeue") => {
            Some("consume queues in RocksDB")
        }
        FileClass::Rocksdb if file.path.starts_with("store/config/") => Some("configuration in RocksDB"),
        FileClass::Batchconsumequeue if queues => Some("queues of batches"),
        _ => None,
    });
    match special {
        Some(what) => {
            let problem = format!("the backup holds {what}, and what a start makes of them is not simulated");
            Err(BackupError::refused(&live.root, problem, ELSEWHERE))
        }
        None => Ok(()),
    }
}

/// A slave of 5.3.2 or 5.3.3 loses topics when it takes over the master's (RocketMQ issue 9925): its `topics.json` is none
/// for a master, whatever the broker's name.
fn refuse_topics_of_a_slave(manifest: &Manifest, live: &Live) -> Result<(), BackupError> {
    let is_slave = manifest.broker.id.is_some_and(|id| id > 0);
    let for_master = live.conf.as_ref().is_some_and(|conf| conf.broker_id.value == 0);
    let release = |word: &Option<String>| word.as_deref().and_then(|word| word.parse::<Release>().ok());
    let bounds = manifest.broker.release.clone().unwrap_or_default();
    let (oldest, newest) = (release(&bounds.oldest), release(&bounds.newest));
    let may_have_run = |release: &Release| {
        oldest.is_none_or(|oldest| oldest <= *release) && newest.is_none_or(|newest| newest >= *release)
    };
    let mut releases = Release::ALL.into_iter().filter(may_have_run);
    let loses = releases.any(|release| release.behaviour().slave_topic_sync.value == SlaveTopicSync::Destroys);
    if !is_slave || !for_master || !loses {
        return Ok(());
    }
    let problem = "the backup is of a slave that may have run on 5.3.2 or 5.3.3, which lose topics of their topics.json: a master would start without them";
    Err(BackupError::refused(&live.root, problem, "--what queues leaves the configuration as it is"))
}

/// The names that the archive has directly below the root.
fn top_level(manifest: &Manifest) -> Vec<String> {
    let paths = manifest.folders.iter().map(|folder| &folder.path).chain(manifest.files.iter().map(|file| &file.path));
    let below = paths.filter_map(|path| Section::Store.rest_of(path)).filter(|below| !below.is_empty());
    let mut names: Vec<String> = below.map(|below| below.split('/').next().unwrap_or(below).to_owned()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn policy(options: &InPlaceOptions, live: &Live) -> Result<Offsets, BackupError> {
    match (options.what, options.offsets) {
        (Some(What::Queues), None | Some(Offsets::Current)) => Ok(Offsets::Current),
        (Some(What::Queues), Some(_)) => {
            Err(BackupError::unusable(&live.root, "offsets are configuration, which is not restored with queues alone"))
        }
        (_, policy) => Ok(policy.unwrap_or(Offsets::Min)),
    }
}

/// What is renamed, and the folder that gets what was there.
fn moves(ways: &Ways<'_>, way: Way, names: &[String]) -> Result<(Vec<Move>, PathBuf), BackupError> {
    let kept = unique(&beside(&ways.live.root, "", &format!(".before-{}", stamp())));
    let mut moves = Vec::new();
    for name in names.iter().filter(|name| ways.switches(way, name)) {
        let live = ways.live.root.join(name);
        let before = exists(&live)?.then(|| kept.join("store").join(name));
        moves.push(Move { live, staged: ways.staged(way, name), before });
    }
    if let (Some(folder), true) = (&ways.live.home_config, ways.restores_config()) {
        let kept = unique(&beside(folder, "", &format!(".before-{}", stamp())));
        for name in SPLIT {
            let (live, staged) = (folder.join(name), ways.home_out.join(name));
            let before = exists(&live)?.then(|| kept.join(name));
            moves.push(Move { live, staged: exists(&staged)?.then_some(staged), before });
        }
    }
    moves.retain(|one| one.staged.is_some() || one.before.is_some());
    Ok((moves, kept))
}

fn entries(moves: &[Move], root: &Path) -> Vec<EntryChange> {
    let entry = |one: &Move| {
        let path = one.live.strip_prefix(root).unwrap_or(&one.live).to_string_lossy().into_owned();
        let change = match (&one.staged, &one.before) {
            (Some(_), Some(_)) => Change::Replaced,
            (Some(_), None) => Change::Added,
            (None, _) => Change::Removed,
        };
        EntryChange { path, change }
    };
    moves.iter().map(entry).collect()
}

fn notes(manifest: &Manifest, what: What, coverage: &LogCoverage) -> Vec<String> {
    let mut notes = Vec::new();
    if what == What::All && manifest.files.iter().any(|file| file.class == FileClass::Timer) {
        notes.push("timed messages that fired since the backup fire again (derived, never observed)".to_owned());
    }
    if what != What::Config && coverage.required_from.is_some_and(|from| from < coverage.min_offset) {
        notes.push(format!("messages before {} have expired from the log since", coverage.min_offset));
    }
    if what != What::Config && coverage.compared == 0 && !coverage.same {
        notes.push("no queue leads into the log, so nothing tells that it is the log of this backup".to_owned());
    }
    if manifest.positions.abort && what != What::Config {
        notes.push("the backup was taken of a broker that was running or killed".to_owned());
    }
    notes
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time in the name of a folder.
fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// The path, or the first of `path-2`, `path-3` … that is free.
fn unique(path: &Path) -> PathBuf {
    let numbered = (2..).map(|n| beside(path, "", &format!("-{n}")));
    let mut paths = std::iter::once(path.to_path_buf()).chain(numbered);
    paths.find(|path| !path.exists()).unwrap_or_else(|| path.to_path_buf())
}
