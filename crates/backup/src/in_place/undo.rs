//! Takes a restoration back, and ends one that was interrupted.

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_core::progress::Progress;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;

use super::live::Live;
use super::plan::{InPlaceOptions, Reason, Way, What};
use super::switch::{Abort, Journal, Move, RECORD, Record, beside, exists, journal_path, pending};
use super::way::Ways;
use super::work::{WorkFolder, work_path};
use super::{SPLIT, now, stamp, unique};
use crate::error::BackupError;
use crate::partial::parent;

/// What to take back, and whether the log may have gone on.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct UndoOptions {
    /// The release that will start: then the start is simulated, and `abort` placed where it is needed. Without it a
    /// log that went on is a reason to refuse.
    pub release: Option<Release>,
    /// Its configuration.
    pub conf: Option<BrokerConf>,
    /// Home folder of the broker's user.
    pub home: Option<PathBuf>,
    /// The folder that was kept, if not the newest one.
    pub from: Option<PathBuf>,
    /// No broker runs on the store, whatever `abort` says.
    pub stopped: bool,
}

/// What an undo did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Undone {
    /// An interrupted restoration was taken back.
    TakenBack {
        /// The backup that was being restored.
        backup_id: String,
    },
    /// A restoration was stopped before it changed anything; what it had made ready is removed.
    NothingSwitched,
    /// A restoration was undone.
    Undone {
        /// The backup that had been restored.
        backup_id: String,
        /// When it had been restored, RFC 3339.
        at: String,
        /// The folder that holds what was there until now: a second undo puts that back.
        kept: PathBuf,
        /// How, where a start was simulated.
        way: Option<Way>,
        /// Why.
        reasons: Vec<Reason>,
    },
}

/// A restoration that had been interrupted and is now ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Resumed {
    /// The backup.
    pub backup_id: String,
    /// The folder that holds what was there before.
    pub kept: PathBuf,
}

/// Ends an interrupted restoration of the store at `root`, if there is one: everything was verified before its switch
/// began.
pub fn resume(root: &Path) -> Result<Option<Resumed>, BackupError> {
    let Ok(root) = root.canonicalize() else { return Ok(None) };
    if pending(&root)?.is_none() {
        return Ok(None);
    }
    let _locks = super::live::hold(&root, true, true)?;
    // Another run may have ended it meanwhile.
    let Some(journal) = pending(&root)? else { return Ok(None) };
    journal.finish()?;
    Ok(Some(Resumed { backup_id: journal.record.backup_id, kept: journal.kept }))
}

/// Puts back what the last restoration of the store at `root` replaced. What is there now is kept, so that a second undo
/// takes this one back.
pub fn undo(root: &Path, options: &UndoOptions, progress: &dyn Progress) -> Result<Undone, BackupError> {
    let root = root.canonicalize().map_err(|source| BackupError::io("open", root, source))?;
    if pending(&root)?.is_some() {
        let _locks = super::live::hold(&root, true, true)?;
        if let Some(journal) = pending(&root)? {
            journal.take_back()?;
            return Ok(Undone::TakenBack { backup_id: journal.record.backup_id });
        }
    }
    let work = work_path(&root);
    if options.from.is_none() && exists(&work)? {
        let _locks = super::live::hold(&root, true, true)?;
        fs::remove_dir_all(&work).map_err(|source| BackupError::io("remove", &work, source))?;
        let _ = fs::remove_file(beside(&journal_path(&root), "", ".partial"));
        return Ok(Undone::NothingSwitched);
    }
    let kept = match &options.from {
        Some(from) => from.canonicalize().map_err(|source| BackupError::io("open", from, source))?,
        None => newest(&root)?,
    };
    let record = record(&kept)?;
    let in_place = in_place_options(&root, options, &record);
    let live = Live::open(&in_place)?;
    if let Some(gone) = record.moves.iter().filter_map(|one| one.before.as_ref()).find(|before| !before.exists()) {
        return Err(BackupError::refused(gone, "is gone, which was kept from before the restoration", None));
    }
    let log_end = live.log()?.end()?.offset.get();
    let (way, reasons) = match options.release {
        Some(_) => simulate(&in_place, &live, &kept, &record, progress)?,
        None if log_end == record.log_end || record.what == What::Config => (None, Vec::new()),
        None => {
            let problem = format!(
                "the log went on since the restoration, from {} to {log_end}: the queues of before lack what came since",
                record.log_end
            );
            return Err(BackupError::refused(&root, problem, "--release simulates the start and undoes it safely"));
        }
    };
    let journal = journal(&live, &kept, &record, way, log_end)?;
    journal.carry_out()?;
    Ok(Undone::Undone { backup_id: record.backup_id, at: record.at, kept: journal.kept, way, reasons })
}

fn in_place_options(root: &Path, options: &UndoOptions, record: &Record) -> InPlaceOptions {
    // Without a release nothing tells whether the one that may run takes the lock.
    let mut in_place = InPlaceOptions::new(root, options.release.unwrap_or(Release::OLDEST));
    in_place.conf.clone_from(&options.conf);
    in_place.home.clone_from(&options.home);
    in_place.commitlog.clone_from(&record.log_dirs);
    in_place.what = Some(record.what);
    in_place.stopped = options.stopped || (options.release.is_none() && record.lock_tells);
    in_place
}

/// The newest folder that a restoration of `root` kept.
fn newest(root: &Path) -> Result<PathBuf, BackupError> {
    let around = parent(root);
    let prefix = format!("{}.before-", root.file_name().unwrap_or_default().to_string_lossy());
    let entries = fs::read_dir(around).map_err(|source| BackupError::io("list", around, source))?;
    let paths = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let paths = paths.map(|entry| entry.path()).filter(|path| path.join(RECORD).is_file());
    paths.max_by_key(|path| (path.as_os_str().len(), path.clone())).ok_or_else(|| {
        let problem = format!("there is nothing to undo: no folder {prefix}… lies beside it");
        BackupError::unusable(root, problem)
    })
}

fn record(kept: &Path) -> Result<Record, BackupError> {
    let path = kept.join(RECORD);
    let text = fs::read(&path).map_err(|source| BackupError::io("read", &path, source))?;
    serde_json::from_slice(&text)
        .map_err(|error| BackupError::unusable(&path, format!("is no record of a restoration: {error}")))
}

/// The way on which the release loses nothing with what was kept.
fn simulate(
    options: &InPlaceOptions,
    live: &Live,
    kept: &Path,
    record: &Record,
    progress: &dyn Progress,
) -> Result<(Option<Way>, Vec<Reason>), BackupError> {
    let work = WorkFolder::create(work_path(&live.root))?;
    let root = kept.join("store");
    let home = record.moves.iter().filter_map(|one| one.before.as_deref()).map(parent).find(|folder| **folder != *root);
    let home_out = home.map_or_else(|| work.path.join("home-out"), Path::to_path_buf);
    let names = names(live, record)?;
    let queues: Vec<String> = names.into_iter().filter(|name| name != "config").collect();
    let views = work.path.join("views");
    let ways = Ways { options, live, root: &root, home_out: &home_out, views: &views, queues: &queues };
    let choice = ways.choose(progress)?;
    Ok((Some(choice.way), choice.reasons))
}

/// The entries of the root that change back.
fn names(live: &Live, record: &Record) -> Result<Vec<String>, BackupError> {
    let in_root = record.moves.iter().filter(|one| parent(&one.live) == live.root);
    let staged = in_root.filter_map(|one| one.live.file_name()).map(|name| name.to_string_lossy().into_owned());
    Ok(live.names(&staged.collect::<Vec<_>>(), record.what)?.switched)
}

fn journal(live: &Live, old: &Path, record: &Record, way: Option<Way>, log_end: u64) -> Result<Journal, BackupError> {
    let kept = unique(&beside(&live.root, "", &format!(".before-{}", stamp())));
    let mut moves = Vec::new();
    for name in names(live, record)? {
        let path = live.root.join(&name);
        let staged = old.join("store").join(&name);
        let before = exists(&path)?.then(|| kept.join("store").join(&name));
        let without = way == Some(Way::AbortWithoutCheckpoint) && name == "checkpoint";
        let rebuilt = way == Some(Way::Rebuild) && ["consumequeue", "index", "checkpoint"].contains(&name.as_str());
        let staged = Some(staged).filter(|_| !without && !rebuilt);
        moves.push(Move { live: path, staged: existing(staged)?, before });
    }
    let home =
        record.moves.iter().find(|one| parent(&one.live) != live.root).map(|one| parent(&one.live).to_path_buf());
    let mut emptied = vec![old.join("store"), old.to_path_buf()];
    if let Some(folder) = home {
        let kept = unique(&beside(&folder, "", &format!(".before-{}", stamp())));
        for name in SPLIT {
            let path = folder.join(name);
            let staged = record.moves.iter().find(|one| one.live == path).and_then(|one| one.before.clone());
            emptied.extend(staged.as_deref().map(|path| parent(path).to_path_buf()));
            let before = exists(&path)?.then(|| kept.join(name));
            moves.push(Move { live: path, staged: existing(staged)?, before });
        }
    }
    moves.retain(|one| one.staged.is_some() || one.before.is_some());
    let abort = Abort {
        was: exists(&live.root.join("abort"))?,
        wanted: record.abort || way.is_some_and(Way::places_abort),
        staged: existing(Some(old.join("store").join("abort")))?,
        before: kept.join("store").join("abort"),
    };
    let record = Record { at: now(), log_end, log_dirs: live.log_dirs.clone(), ..record.clone() };
    let mut journal = Journal::new(&live.root, &kept, moves, abort, record);
    emptied.dedup();
    journal.emptied = emptied;
    Ok(journal)
}

fn existing(path: Option<PathBuf>) -> Result<Option<PathBuf>, BackupError> {
    match path {
        Some(path) if exists(&path)? => Ok(Some(path)),
        _ => Ok(None),
    }
}
