//! The store to restore into: where its parts lie, and whether it may be touched at all.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mqstore_core::PhysicalOffset;
use mqstore_core::release::conf::Resolved;
use mqstore_core::release::rules::DefaultPlace;
use mqstore_core::store::{CommitLog, EntryKind, LockState, MappedFileQueue, Store, StoreOptions};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::plan::{InPlaceOptions, LogCoverage, What};
use crate::error::BackupError;
use crate::log_identity::{self, LogMatch};
use crate::manifest::{Broker, Manifest, OffsetRange};
use crate::partial::{FolderLock, open_locked, parent};

/// A store root that nobody else works on while this lives.
#[derive(Debug)]
pub(super) struct Live {
    /// With links resolved.
    pub(super) root: PathBuf,
    /// Folders of the commit log.
    pub(super) log_dirs: Vec<PathBuf>,
    /// The folder in which the release looks for topics and groups, if it is not `config` below the root.
    pub(super) home_config: Option<PathBuf>,
    /// The release's configuration.
    pub(super) conf: Option<Resolved>,
    /// Keeps other runs away.
    _run: FolderLock,
    /// The broker's own lock: no broker from 4.2.0 on starts while it is held.
    _broker: Option<File>,
}

impl Live {
    /// Refuses a store that a broker runs on, and one that is no place to put anything.
    pub(super) fn open(options: &InPlaceOptions) -> Result<Self, BackupError> {
        let to = &options.to;
        if !to.exists() {
            return Err(BackupError::refused(
                to,
                "does not exist, so there is no commit log to restore beside",
                ELSEWHERE,
            ));
        }
        let root = to.canonicalize().map_err(|source| BackupError::io("open", to, source))?;
        let (run, broker) = hold(&root, options.stopped, options.release.behaviour().lock_file.value)?;
        let rules = options.release.behaviour();
        let home = home(options, &root)?;
        let conf = options.conf.as_ref();
        let conf = conf.map(|conf| conf.resolve(options.release, home.as_deref().unwrap_or(Path::new("/"))));
        let home_config = match (rules.topics_json_place.value, &home) {
            (DefaultPlace::Home, Some(home)) => Some(home.join("store").join("config")),
            _ => None,
        };
        // By default that is the folder below the root: then there is one place only.
        let same = |folder: &PathBuf| folder.canonicalize().is_ok_and(|folder| folder == root.join("config"));
        let home_config = home_config.filter(|folder| !same(folder) && *folder != root.join("config"));
        let log_dirs = log_dirs(options, conf.as_ref(), &root);
        let log_dirs = log_dirs.iter().map(|dir| absolute(dir)).collect::<Result<_, _>>()?;
        Ok(Self { root, log_dirs, home_config, conf, _run: run, _broker: broker })
    }

    /// The commit log. Refuses one that is not there, and one that is kept by DLedger.
    pub(super) fn log(&self) -> Result<CommitLog, BackupError> {
        let dledger = fs::read_dir(&self.root).map_err(|source| BackupError::io("list", &self.root, source))?;
        let is_group = |entry: &fs::DirEntry| EntryKind::of(&entry.file_name()) == EntryKind::Dledger;
        if self.conf.as_ref().is_some_and(|conf| conf.dledger.is_some()) || dledger.flatten().any(|e| is_group(&e)) {
            let problem = "is the store of a DLedger broker, whose start is not simulated";
            return Err(BackupError::refused(&self.root, problem, ELSEWHERE));
        }
        let mut options = StoreOptions::default();
        options.commitlog_dirs.clone_from(&self.log_dirs);
        let store = Store::open(&self.root, options)?;
        let log = store.commitlog().clone();
        if log.is_empty() {
            let dirs: Vec<_> = self.log_dirs.iter().map(|dir| dir.display().to_string()).collect();
            let problem = format!(
                "there is no file of the commit log in {}: a broker would delete the queues at its start, or never show a message",
                dirs.join(", ")
            );
            return Err(BackupError::refused(&self.root, problem, "--commitlog or --broker-conf names its folder"));
        }
        if let Some(conf) = &self.conf {
            let (expected, found) = (conf.mapped_file_size_commit_log.value, log.file_size());
            if expected != found {
                let problem = format!(
                    "the release expects log files of {expected} bytes by its configuration, found {found}: it would refuse or hide them"
                );
                return Err(BackupError::refused(&self.root, problem, "--broker-conf names another configuration"));
            }
        }
        Ok(log)
    }

    /// The names in the root that a restoration of this part takes away or puts there, sorted; `staged` are those that
    /// it puts. The others are left alone: the log, the lock, and what nothing tells.
    pub(super) fn names(&self, staged: &[String], what: What) -> Result<Names, BackupError> {
        let fail = |source| BackupError::io("list", &self.root, source);
        let device = fs::metadata(&self.root).map_err(fail)?.dev();
        let mut names = Names::default();
        for entry in fs::read_dir(&self.root).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let (path, kind) = (entry.path(), EntryKind::of(&entry.file_name()));
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_log = self.log_dirs.iter().any(|dir| holds(&path, dir));
            if is_log || matches!(kind, EntryKind::CommitLog | EntryKind::Lock | EntryKind::Abort) {
                continue;
            }
            if kind == EntryKind::Unknown && !staged.contains(&name) {
                names.left_alone.push(name);
                continue;
            }
            if !is_part(kind, what) {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).map_err(|source| BackupError::io("open", &path, source))?;
            if metadata.is_symlink() || metadata.dev() != device {
                let problem = "is a link or a mount point, which cannot be exchanged by renaming";
                return Err(BackupError::refused(path, problem, ELSEWHERE));
            }
            names.switched.push(name);
        }
        let new = staged.iter().filter(|name| is_part(EntryKind::of(name.as_ref()), what));
        names.switched.extend(new.cloned());
        names.switched.sort_unstable();
        names.switched.dedup();
        names.left_alone.sort_unstable();
        Ok(names)
    }
}

/// Entries of a root.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Those that change.
    pub(super) switched: Vec<String>,
    /// Those that stay although the part is restored.
    pub(super) left_alone: Vec<String>,
}

/// What is safe where a restoration in place is not.
pub(super) const ELSEWHERE: &str = "without --release, into a new folder, the archive is unpacked as it is";

fn is_part(kind: EntryKind, what: What) -> bool {
    let never = matches!(kind, EntryKind::CommitLog | EntryKind::Lock | EntryKind::Abort | EntryKind::Dledger);
    let config = kind == EntryKind::Config;
    !never
        && match what {
            What::All => true,
            What::Config => config,
            // Timers belong together with timercheck, which lies in config.
            What::Queues => !config && kind != EntryKind::Timer,
        }
}

/// Whether `folder` is `path` or lies in it.
fn holds(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => folder.starts_with(path),
        _ => false,
    }
}

/// Takes both locks of a root: against other runs, and the broker's own. `tells` says whether every release that may run
/// takes that; else `abort` counts as a sign of a running broker unless it is `stopped`.
pub(super) fn hold(root: &Path, stopped: bool, tells: bool) -> Result<(FolderLock, Option<File>), BackupError> {
    let run = open_locked(root)?;
    let lock = root.join("lock");
    let mut options = StoreOptions::default();
    options.commitlog_dirs = vec![root.join("commitlog")];
    let running = || BackupError::refused(root, "a broker holds the lock of the store", "stop it first");
    // Asked before it is taken: the kernel drops a process' lock with the first descriptor of the file that it closes.
    let state = Store::open(root, options)?.lock()?;
    let broker = match state {
        LockState::Held { .. } => return Err(running()),
        LockState::Free => {
            let file = File::options().read(true).write(true).open(&lock);
            let file = file.map_err(|source| BackupError::io("open", &lock, source))?;
            match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Some(file),
                Err(Errno::AGAIN | Errno::ACCESS) => return Err(running()),
                // A file system without locks: no broker from 4.2.0 on starts there either.
                Err(_) => None,
            }
        }
        LockState::Absent => None,
    };
    if (state == LockState::Absent || !tells) && !stopped && root.join("abort").exists() {
        let problem = "abort is there: a broker before 4.2.0, which takes no lock, runs on it or was killed";
        return Err(BackupError::refused(root, problem, "--stopped, if none runs"));
    }
    Ok((run, broker))
}

/// The plan looks at folders through links that lie elsewhere, and the journal outlives the working folder.
fn absolute(path: &Path) -> Result<PathBuf, BackupError> {
    std::path::absolute(path).map_err(|source| BackupError::io("resolve", path, source))
}

fn home(options: &InPlaceOptions, root: &Path) -> Result<Option<PathBuf>, BackupError> {
    let needed = options.release.behaviour().topics_json_place.value == DefaultPlace::Home;
    let implied = || root.parent().filter(|_| root.file_name().is_some_and(|name| name == "store"));
    if options.home.is_some() || !needed {
        return options.home.as_deref().map(absolute).transpose();
    }
    let release = options.release;
    let problem = || {
        format!(
            "{release} keeps topics and groups in store/config below the home folder of the broker's user, expected to be told where that is with --home"
        )
    };
    implied().map(|home| Some(home.to_path_buf())).ok_or_else(|| BackupError::unusable(root, problem()))
}

fn log_dirs(options: &InPlaceOptions, conf: Option<&Resolved>, root: &Path) -> Vec<PathBuf> {
    if !options.commitlog.is_empty() {
        return options.commitlog.clone();
    }
    let Some(conf) = conf else { return vec![root.join("commitlog")] };
    let configured = &conf.store_path_root_dir.value;
    // A copy of a store elsewhere keeps its log below its root, if the original did.
    let moved = |path: &PathBuf| path.strip_prefix(configured).map_or_else(|_| path.clone(), |rest| root.join(rest));
    conf.commit_log_paths.value.iter().chain(&conf.read_only_commit_log_paths.value).map(moved).collect()
}

/// Refuses the backup of another broker, by what both sides say about themselves.
pub(super) fn same_broker(manifest: &Manifest, live: &Live) -> Result<(), BackupError> {
    let Some(conf) = &live.conf else { return Ok(()) };
    let ours = Broker {
        cluster: Some(conf.broker_cluster_name.value.clone()),
        name: conf.broker_name.value.clone(),
        id: Some(conf.broker_id.value),
        release: None,
    };
    match manifest.broker.difference(&ours) {
        Some((key, theirs, ours)) => {
            let problem = format!("the backup is of a broker with {key} {theirs}, expected {ours}");
            Err(BackupError::refused(&live.root, problem, "--other-broker, if it was renamed"))
        }
        None => Ok(()),
    }
}

/// Compares the log with what the queues of `backup`, a store root without a log, lead to. Refuses another log, and one
/// that does not reach as far as they do.
pub(super) fn covers(backup: &Path, log: &CommitLog, live: &Live) -> Result<LogCoverage, BackupError> {
    let mut options = StoreOptions::default();
    options.commitlog_dirs.clone_from(&live.log_dirs);
    let store = Store::open(backup, options)?;
    let (min, end) = (log.min_offset(), log.end()?.offset);
    let mut coverage = LogCoverage {
        dirs: live.log_dirs.iter().map(|dir| dir.to_string_lossy().into_owned()).collect(),
        min_offset: min.get(),
        max_offset: end.get(),
        ..LogCoverage::default()
    };
    let (mut differing, mut first) = (0, None);
    for queue in store.consumequeues()? {
        queue_sizes(queue.queue(), live)?;
        // With a log that begins at 0 all units count, the expired ones, too.
        let range = queue.range(PhysicalOffset(0))?;
        if let Some(from) = range.min_physical_offset {
            coverage.required_from = Some(coverage.required_from.map_or(from.get(), |all| all.min(from.get())));
        }
        let to = range.max_physical_offset.map_or(0, PhysicalOffset::get);
        coverage.required_to = coverage.required_to.max(to);
        let Some(last) = range.max_offset.get().checked_sub(1) else { continue };
        let Some(unit) = queue.unit(mqstore_core::QueueOffset(last))? else { continue };
        let at = PhysicalOffset(unit.physical_offset.cast_unsigned());
        if !unit.is_valid() || unit.is_pre_blank() || at < min || unit.physical_end() > end.get() {
            continue;
        }
        coverage.compared += 1;
        let fits = log.with_record(at, |record| {
            record.topic == queue.topic().as_bytes()
                && u32::try_from(record.queue_id).is_ok_and(|id| id == queue.queue_id())
                && u32::try_from(unit.size).is_ok_and(|size| size == record.total_size())
        })?;
        if fits != Some(true) {
            differing += 1;
            first.get_or_insert_with(|| (queue.topic().to_owned(), queue.queue_id(), last, at));
        }
    }
    coverage.grown = end.get().saturating_sub(coverage.required_to);
    refuse(&coverage, differing, first, live)?;
    Ok(coverage)
}

/// Refuses queue files that the release would not load by its configuration.
fn queue_sizes(queue: &MappedFileQueue, live: &Live) -> Result<(), BackupError> {
    let Some(conf) = &live.conf else { return Ok(()) };
    let expected = conf.mapped_file_size_consume_queue.value;
    match queue.files().iter().find(|file| file.length != expected) {
        Some(file) => {
            let problem = format!(
                "the release expects queue files of {expected} bytes by its configuration, found {} in the backup: it would refuse or hide them",
                file.length
            );
            Err(BackupError::refused(&live.root, problem, "--broker-conf names another configuration"))
        }
        None => Ok(()),
    }
}

fn refuse(
    coverage: &LogCoverage,
    differing: u64,
    first: Option<(String, u32, u64, PhysicalOffset)>,
    live: &Live,
) -> Result<(), BackupError> {
    let log = live.log_dirs.first().map_or(live.root.as_path(), |dir| dir.as_path());
    let LogCoverage { min_offset, max_offset, required_to, compared, .. } = *coverage;
    // A single record may be damaged; another log fits nowhere.
    if let (Some((topic, queue_id, offset, at)), true) = (first, differing * 2 > compared) {
        let problem = format!(
            "is not the log of this backup: {differing} of {compared} queues lead to another record or to none, the first is unit {offset} of queue {queue_id} of {topic}, which expects its record at {}",
            at.get()
        );
        return Err(BackupError::refused(log, problem, None));
    }
    if required_to > max_offset {
        let problem =
            format!("does not cover the backup: its queues need it up to {required_to}, it ends at {max_offset}");
        return Err(BackupError::refused(log, problem, "--what config leaves the queues as they are"));
    }
    if required_to > 0 && min_offset >= required_to {
        let problem = format!(
            "does not cover the backup: it begins at {min_offset}, behind all that its queues lead to ({required_to})"
        );
        return Err(BackupError::refused(log, problem, "--what config leaves the queues as they are"));
    }
    Ok(())
}

/// Refuses another log than the one that the backup was made beside, by the digest of its last bytes. Whether it is known
/// to be the same.
pub(super) fn same_log(manifest: &Manifest, log: &CommitLog, live: &Live) -> Result<bool, BackupError> {
    let Some(positions) = &manifest.positions.commitlog else { return Ok(false) };
    match log_identity::compare(positions, log, None)? {
        LogMatch::Same => Ok(true),
        LogMatch::Differs(OffsetRange { from, to }) => {
            let path = live.log_dirs.first().unwrap_or(&live.root);
            let problem = format!(
                "is not the log of this backup: its bytes {from} to {to} are others than when the backup was made"
            );
            Err(BackupError::refused(path, problem, None))
        }
        // What does not cover the queues is told by the queues themselves.
        _ => Ok(false),
    }
}

/// Refuses a root whose neighbours cannot be reached by renaming.
pub(super) fn same_file_system(root: &Path) -> Result<(), BackupError> {
    let device = |path: &Path| {
        fs::metadata(path).map(|metadata| metadata.dev()).map_err(|source| BackupError::io("open", path, source))
    };
    if device(root)? == device(parent(root))? {
        return Ok(());
    }
    let problem = "is a mount point: what is restored is made ready beside the store, on the same file system";
    Err(BackupError::refused(root, problem, ELSEWHERE))
}
