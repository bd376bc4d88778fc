//! What a backup will hold, as data: made first, shown by a dry run, then carried out.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::BackupError;
use crate::facts::StoreFacts;
use crate::manifest::{Capture, Excluded, ExcludedFile, FileClass, Gap, GapKind};
use crate::member::{Section, class_of, compare, name_problem};
use crate::staged::{Staged, stage};

const COMMITLOG: &str = "the commit log is not part of a backup";
/// Names of which a store root holds at least one.
const MARKS: [&str; 5] = ["commitlog", "consumequeue", "config", "checkpoint", "index"];

/// What to back up besides the store root.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Commit log folders in addition to `commitlog` and `dledger-…/data` below the root (`storePathCommitLog`,
    /// `storePathDLedgerCommitLog`); they are listed and left out, wherever they lie.
    pub commitlog: Vec<PathBuf>,
    /// Home folder of the broker's user, whose `store/config` is archived: 3.5.x keeps two files there.
    pub home: Option<PathBuf>,
    /// The broker's program folder, archived whole.
    pub program: Option<PathBuf>,
    /// More files and folders, as the broker's own configuration file.
    pub include: Vec<PathBuf>,
    /// A broker holds the store's lock, as the caller found out.
    pub lock_held: bool,
    /// There is `abort` but no lock file, and the caller was not told that none runs: a broker before 4.2.0 may run.
    pub may_run: bool,
    /// Back up although a broker runs or may run.
    pub live: bool,
}

/// What a backup will hold.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackupPlan {
    /// The store root, with symbolic links resolved.
    pub root: PathBuf,
    /// Whether the broker runs meanwhile.
    pub capture: Capture,
    /// What the manifest says about the store.
    pub facts: StoreFacts,
    /// Files and folders in the order of the archive's members.
    pub items: Vec<PlanItem>,
    /// What is left out on purpose.
    pub excluded: Vec<Excluded>,
    /// What should be archived but cannot be.
    pub gaps: Vec<Gap>,
    /// The folders that are read, resolved.
    pub(crate) sources: Vec<PathBuf>,
    /// Of a live capture what had to be read before the rest was listed.
    pub(crate) staged: Staged,
    /// Commit log folders that do not lie at their usual place.
    pub(crate) commitlogs: Vec<PathBuf>,
}

/// One file or folder of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanItem {
    /// Member name, without a slash at the end.
    pub name: String,
    /// Where it is read from.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Length in bytes when the plan was made; 0 for a folder.
    pub length: u64,
    /// What the file system stores of it, in bytes: a file that is mostly hole takes little.
    pub allocated: u64,
    /// Time of the last change, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Permission bits.
    pub mode: u32,
    /// What kind of file it is.
    pub class: FileClass,
}

/// How well zstd packs the files of a class, in tenths, as measured on recorded stores.
fn tenths(class: FileClass) -> u64 {
    match class {
        FileClass::Consumequeue | FileClass::ConsumequeueExt | FileClass::Batchconsumequeue => 25,
        FileClass::Index => 15,
        FileClass::Config => 60,
        FileClass::Timer => 40,
        _ => 11,
    }
}

impl BackupPlan {
    /// The files, without the folders.
    pub fn files(&self) -> impl Iterator<Item = &PlanItem> {
        self.items.iter().filter(|item| !item.is_folder)
    }

    /// Leaves out on purpose every file that `matches` says so of, by its member name; returns how many those were.
    /// They are listed in the manifest as excluded, folders stay.
    pub fn exclude(&mut self, reason: &str, mut matches: impl FnMut(&str) -> bool) -> usize {
        let (out, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.items).into_iter().partition(|item| !item.is_folder && matches(&item.name));
        self.items = kept;
        for item in &out {
            let name = item.name.rsplit('/').next().unwrap_or(&item.name).to_owned();
            let files = vec![ExcludedFile { name, length: item.length, mtime_ns: item.mtime_ns }];
            self.excluded.push(Excluded { path: item.name.clone(), reason: reason.to_owned(), files });
        }
        out.len()
    }

    /// The files that hold passwords or keys: `plain_acl.yml` and `acl/` (4.4.0 and later), `tools.yml`, and the users of
    /// `config/users` (5.3.0 and later). Whoever can read the archive can read them.
    pub fn secrets(&self) -> impl Iterator<Item = &PlanItem> {
        self.files().filter(|item| {
            let mut parts = item.name.rsplit('/');
            let file = parts.next().unwrap_or_default();
            let yaml = [Some("yml"), Some("yaml")].contains(&extension(file));
            yaml && (file.starts_with("plain_acl") || file.starts_with("tools."))
                || parts.any(|folder| folder == "users" || folder == "acl" && yaml)
        })
    }

    /// About how long the archive will be, in bytes: what the file system stores of each file, divided by what recorded stores
    /// came to. Nothing is read for it.
    pub fn estimated_bytes(&self) -> u64 {
        self.files().map(|item| item.allocated.min(item.length) * 10 / tenths(item.class) + 200).sum()
    }

    /// Length of all files in bytes, holes included.
    pub fn total_bytes(&self) -> u64 {
        self.files().map(|item| item.length).sum()
    }
}

/// Makes the plan of a backup of the store at `root`: looks at names, lengths and kinds. A live capture begins here, and
/// reads what must be older than the rest (checkpoint, configuration) before it looks at anything else.
///
/// Refuses with [`BackupError::BrokerRunning`] if the lock is held and a live backup was not asked for, and with
/// [`BackupError::BrokerMayRun`] if nothing tells whether a broker runs. What cannot be archived becomes a [`Gap`] of the plan; nothing is left out silently.
pub fn plan(root: &Path, options: &PlanOptions, facts: StoreFacts) -> Result<BackupPlan, BackupError> {
    let root = resolve(root)?;
    if options.lock_held && !options.live {
        return Err(BackupError::BrokerRunning { root });
    }
    if options.may_run && !options.live {
        return Err(BackupError::BrokerMayRun { root });
    }
    if !is_store(&root) {
        return Err(BackupError::unusable(
            &root,
            "is no store root: it holds neither commitlog nor consumequeue, config, checkpoint or index",
        ));
    }
    let home_config = options.home.as_ref().map(|home| home.join("store").join("config")).filter(|dir| dir.is_dir());
    let staged = if options.live { stage(&root, home_config.as_deref()) } else { Staged::new() };
    let mut planner = Planner::new(root, options)?;
    planner.walk(Section::Store, &planner.root.clone(), Section::Store.prefix());
    planner.outside_commitlogs();
    if let Some(home) = &options.home {
        planner.home(home)?;
    }
    if let Some(program) = &options.program {
        let program = resolve(program)?;
        planner.sources.push(program.clone());
        planner.walk(Section::Program, &program, Section::Program.prefix());
    }
    for include in &options.include {
        planner.include(include)?;
    }
    Ok(planner.finish(options, facts, staged))
}

fn resolve(path: &Path) -> Result<PathBuf, BackupError> {
    path.canonicalize().map_err(|source| BackupError::io("open", path, source))
}

fn is_store(root: &Path) -> bool {
    let dledger = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().starts_with(b"dledger-"))
    };
    MARKS.iter().any(|mark| root.join(mark).exists())
        || std::fs::read_dir(root).is_ok_and(|mut entries| entries.any(dledger))
}

struct Planner {
    root: PathBuf,
    /// Commit log folders, resolved where they exist.
    commitlogs: Vec<PathBuf>,
    items: Vec<PlanItem>,
    excluded: Vec<Excluded>,
    gaps: Vec<Gap>,
    sources: Vec<PathBuf>,
    live: bool,
}

impl Planner {
    fn new(root: PathBuf, options: &PlanOptions) -> Result<Self, BackupError> {
        let mut commitlogs = Vec::new();
        for path in &options.commitlog {
            let path = resolve(path)?;
            if root.starts_with(&path) {
                return Err(BackupError::unusable(path, "is named as commit log but holds the store root"));
            }
            commitlogs.push(path);
        }
        let sources = vec![root.clone()];
        Ok(Self {
            root,
            commitlogs,
            items: Vec::new(),
            excluded: Vec::new(),
            gaps: Vec::new(),
            sources,
            live: options.live,
        })
    }

    fn home(&mut self, home: &Path) -> Result<(), BackupError> {
        let config = home.join("store").join("config");
        if !config.exists() {
            self.leave_out(&config, "does not exist");
            return Ok(());
        }
        let config = resolve(&config)?;
        if config == self.root.join("config") {
            self.leave_out(&config, "is archived as store/config");
            return Ok(());
        }
        self.sources.push(config.clone());
        self.walk(Section::Home, &config, Section::Home.prefix());
        Ok(())
    }

    fn include(&mut self, path: &Path) -> Result<(), BackupError> {
        let path = resolve(path)?;
        if let Ok(below) = path.strip_prefix(&self.root) {
            let is_log = is_commitlog(below) || self.commitlogs.iter().any(|commitlog| path.starts_with(commitlog));
            self.leave_out(&path, if is_log { COMMITLOG } else { "is archived with the store" });
            return Ok(());
        }
        let below = path.strip_prefix("/").unwrap_or(&path);
        match below.to_str() {
            Some(below) => {
                let name = format!("{}/{below}", Section::Include.prefix());
                self.sources.push(path.clone());
                self.walk(Section::Include, &path, &name);
            }
            None => self.gap(below, GapKind::Name, "the name is not UTF-8"),
        }
        Ok(())
    }

    fn walk(&mut self, section: Section, top: &Path, prefix: &str) {
        let mut walk = WalkDir::new(top).follow_links(false).sort_by_file_name().into_iter();
        while let Some(entry) = walk.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(top).to_path_buf();
                    let path = Path::new(prefix).join(path.strip_prefix(top).unwrap_or(&path));
                    self.gap(&path, GapKind::Unreadable, &error.to_string());
                    continue;
                }
            };
            let below = entry.path().strip_prefix(top).unwrap_or(entry.path());
            if self.is_left_out(section, &entry, below) {
                if entry.file_type().is_dir() {
                    walk.skip_current_dir();
                }
                continue;
            }
            let path = if below.as_os_str().is_empty() { PathBuf::from(prefix) } else { Path::new(prefix).join(below) };
            if !self.entry(&entry, &path) && entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
        }
    }

    /// Whether an entry is left out on purpose; then it was listed.
    fn is_left_out(&mut self, section: Section, entry: &DirEntry, below: &Path) -> bool {
        let path = entry.path();
        if section == Section::Store {
            let given = self.commitlogs.iter().any(|commitlog| commitlog == path);
            if is_commitlog(below) || given || self.is_link_to_commitlog(entry) {
                self.list_commitlog(path, below.to_string_lossy().into_owned());
                return true;
            }
            if self.live && below.starts_with("config") && below.extension().is_some_and(|extension| extension == "tmp")
            {
                self.leave_out(path, "is what a running broker is just writing");
                return true;
            }
            return false;
        }
        if path == self.root {
            self.leave_out(path, "is archived as store");
            return true;
        }
        if section == Section::Program && is_log_or_dump(below) {
            self.leave_out(path, "logs and dumps of the program are not part of it: --include adds them");
            return true;
        }
        if self.commitlogs.iter().any(|commitlog| commitlog == path) {
            // Listed by outside_commitlogs.
            return true;
        }
        false
    }

    fn is_link_to_commitlog(&self, entry: &DirEntry) -> bool {
        entry.path_is_symlink() && entry.path().canonicalize().is_ok_and(|target| self.commitlogs.contains(&target))
    }

    fn outside_commitlogs(&mut self) {
        for path in self.commitlogs.clone() {
            if !path.starts_with(&self.root) {
                self.list_commitlog(&path, path.to_string_lossy().into_owned());
            }
        }
    }

    fn list_commitlog(&mut self, folder: &Path, path: String) {
        // The folder itself is often a link to another disk.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let mut files = Vec::new();
        for entry in WalkDir::new(&folder).sort_by_file_name() {
            match entry.and_then(|entry| Ok((entry.metadata()?, entry))) {
                Ok((metadata, _)) if metadata.is_dir() => {}
                Ok((metadata, entry)) => {
                    let name =
                        entry.path().strip_prefix(&folder).unwrap_or(entry.path()).to_string_lossy().into_owned();
                    files.push(ExcludedFile { name, length: metadata.len(), mtime_ns: mtime_ns(&metadata) });
                }
                Err(error) => self.gap(Path::new(&path), GapKind::Unreadable, &error.to_string()),
            }
        }
        self.excluded.push(Excluded { path, reason: COMMITLOG.to_owned(), files });
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        let path = path.to_string_lossy().into_owned();
        self.excluded.push(Excluded { path, reason: reason.to_owned(), files: Vec::new() });
    }

    /// Plans one entry; false if it became a gap.
    fn entry(&mut self, entry: &DirEntry, path: &Path) -> bool {
        let file_type = entry.file_type();
        let Some(name) = path.to_str() else {
            self.gap(path, GapKind::Name, "the name is not UTF-8");
            return false;
        };
        if let Some(problem) = name_problem(name) {
            self.gap(path, GapKind::Name, &format!("the name {problem}"));
            return false;
        }
        if file_type.is_symlink() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default();
            self.gap(path, GapKind::Symlink, &format!("symbolic link to {}, not followed", target.display()));
            return false;
        }
        if !file_type.is_file() && !file_type.is_dir() {
            let kind = if file_type.is_socket() {
                "socket"
            } else if file_type.is_fifo() {
                "named pipe"
            } else {
                "device"
            };
            self.gap(path, GapKind::Special, &format!("is a {kind}"));
            return false;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) => {
                self.gap(path, GapKind::Unreadable, &error.to_string());
                return false;
            }
        };
        let is_folder = file_type.is_dir();
        self.items.push(PlanItem {
            name: name.to_owned(),
            path: entry.path().to_path_buf(),
            is_folder,
            length: if is_folder { 0 } else { metadata.len() },
            allocated: if is_folder { 0 } else { metadata.blocks().saturating_mul(512) },
            mtime_ns: mtime_ns(&metadata),
            mode: metadata.mode() & 0o7777,
            class: class_of(name),
        });
        true
    }

    fn gap(&mut self, path: &Path, kind: GapKind, reason: &str) {
        let path = path.to_string_lossy().into_owned();
        self.gaps.push(Gap { path, kind, reason: reason.to_owned() });
    }

    fn finish(mut self, options: &PlanOptions, mut facts: StoreFacts, staged: Staged) -> BackupPlan {
        // Gone between the listing and the look at it, but read before.
        self.gaps.retain(|gap| !staged.contains_key(&gap.path));
        for (name, file) in &staged {
            match self.items.iter_mut().find(|item| item.name == *name) {
                Some(item) => (item.length, item.mtime_ns, item.mode) = (file.length, file.mtime_ns, file.mode),
                // Listed between its removal and the new one's renaming.
                None => self.items.push(PlanItem {
                    name: name.clone(),
                    path: file.path.clone(),
                    is_folder: false,
                    length: file.length,
                    allocated: file.length,
                    mtime_ns: file.mtime_ns,
                    mode: file.mode,
                    class: class_of(name),
                }),
            }
        }
        self.items.sort_by(|a, b| compare((&a.name, a.is_folder), (&b.name, b.is_folder)));
        // The same file may be named twice on the command line.
        self.items.dedup_by(|a, b| a.name == b.name);
        self.gaps.append(&mut facts.gaps);
        facts.positions.abort |= self.items.iter().any(|item| item.name == "store/abort");
        BackupPlan {
            root: self.root,
            capture: if options.live { Capture::Live } else { Capture::Stopped },
            facts,
            items: self.items,
            excluded: self.excluded,
            gaps: self.gaps,
            sources: self.sources,
            staged,
            commitlogs: self.commitlogs,
        }
    }
}

/// Whether a path below the program folder is where a broker or its JVM writes logs and dumps by default.
fn is_log_or_dump(below: &Path) -> bool {
    let name = below.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    below == Path::new("logs")
        || name == "nohup.out"
        || [Some("hprof"), Some("mdmp")].contains(&extension(name))
        || name.starts_with("hs_err_pid")
        || name.starts_with("rmq_") && extension(name) == Some("log")
        || name.strip_prefix("core.").is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// What follows the last dot of a name.
pub(crate) fn extension(name: &str) -> Option<&str> {
    Path::new(name).extension().and_then(|extension| extension.to_str())
}

/// Whether a path below the store root is, or lies in, `commitlog` or the log of a `DLedger` group, `dledger-<selfId>/data`.
pub(crate) fn is_commitlog(below: &Path) -> bool {
    let mut parts = below.iter();
    let is_group = match parts.next() {
        Some(first) if first == "commitlog" => return true,
        Some(first) => first.as_encoded_bytes().starts_with(b"dledger-"),
        None => false,
    };
    is_group && parts.next().is_some_and(|second| second == "data")
}

/// Nanoseconds since the epoch, clamped to what 64 bits hold: the years 1677 to 2262.
pub(crate) fn mtime_ns(metadata: &Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec())
}
