//! The store that a command works on, and where its parts lie.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_core::format::index::IndexGeometry;
use mqstore_core::release::Release;
use mqstore_core::release::conf::{BrokerConf, Resolved};
use mqstore_core::release::marks::{LogMarks, ReleaseBounds};
use mqstore_core::release::rules::ConfigRead;
use mqstore_core::store::config::{ConfigDir, ConfigPlace, HasDataVersion, Loaded, Placed};
use mqstore_core::store::{ConsumeQueue, LockState, RocksDb, SpecialKind, SpecialPart, Store, StoreLog, StoreOptions};

use super::Context;
use crate::args::{PlaceArgs, StoreArgs};
use crate::exit::hinted;
use crate::output::human::{count, size};

/// A store, and what the command line says about it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) store: Store,
    /// Its log, in the commit log's files or DLedger's.
    pub(crate) log: StoreLog,
    pub(crate) lock: LockState,
    /// Whether a broker runs on it, by the flags or else by the lock.
    pub(crate) live: bool,
    /// The broker's configuration, if it was given, as the release at hand reads it.
    pub(crate) conf: Option<Resolved>,
    /// The same as it stands in the file, and the home folder of the broker's user.
    pub(crate) broker_conf: Option<(BrokerConf, PathBuf)>,
    /// The release to read as, if it was given.
    pub(crate) release: Option<Release>,
    special: Vec<SpecialPart>,
    queues: OnceCell<Vec<ConsumeQueue>>,
}

impl Target {
    /// Opens it to look at it, and says so if a broker runs on it.
    pub(crate) fn open(context: &Context, args: &StoreArgs) -> anyhow::Result<Self> {
        let target = Self::open_quietly(context, args)?;
        if target.live {
            context.note("a broker runs on this store: what is shown is a moment");
        }
        Ok(target)
    }

    pub(crate) fn open_quietly(context: &Context, args: &StoreArgs) -> anyhow::Result<Self> {
        let place = &args.place;
        let release = release(context, place)?;
        let conf = place.broker_conf.as_deref().map(|path| resolve(path, args, release)).transpose()?;
        let (conf, broker_conf) = conf.map_or((None, None), |(conf, file)| (Some(conf), Some(file)));
        let root = match (&args.store, &conf) {
            (Some(root), _) => root.clone(),
            (None, Some(conf)) => conf.store_path_root_dir.value.clone(),
            (None, None) => {
                return Err(hinted("no store given", "name its root, or the broker's configuration with -c"));
            }
        };
        let store = Store::open(&root, options(place, conf.as_ref(), &root))?;
        let lock = store.lock()?;
        let live = place.live || (!place.stopped && matches!(lock, LockState::Held { .. }));
        let special = store.special_parts()?;
        let log = store.log()?;
        Ok(Self { store, log, lock, live, conf, broker_conf, release, special, queues: OnceCell::new() })
    }

    pub(crate) fn root(&self) -> &Path {
        self.store.root()
    }

    /// The consume queues in files, listed once: that looks at every file of every queue.
    pub(crate) fn queues(&self) -> anyhow::Result<&[ConsumeQueue]> {
        if let Some(queues) = self.queues.get() {
            return Ok(queues);
        }
        let queues = self.store.consumequeues()?;
        Ok(self.queues.get_or_init(|| queues))
    }

    /// Parts of the store in formats of their own.
    pub(crate) fn special(&self) -> &[SpecialPart] {
        &self.special
    }

    /// Of these, what nothing here reads and what holds something.
    pub(crate) fn not_read(&self) -> Vec<&SpecialPart> {
        let not_read = |part: &&SpecialPart| match part.kind {
            SpecialKind::RocksDbPop | SpecialKind::Tiered => part.files > 0,
            // Every broker from 5.4.0 on makes this database, and by default leaves it empty.
            SpecialKind::RocksDbStore => RocksDb::open(part.kind, &part.path)
                .map_or(part.files > 0, |db| db.manifest().live_files().next().is_some() || db.wal_bytes() > 0),
            _ => false,
        };
        self.special.iter().filter(not_read).collect()
    }

    pub(crate) fn in_words(&self, part: &SpecialPart) -> String {
        let files = count(part.files, "file", "files");
        format!("{} ({files}, {})", self.relative(&part.path), size(part.bytes))
    }

    /// A path below the root, for people and JSON.
    pub(crate) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(self.root()).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Whether no broker has stored anything here yet.
    pub(crate) fn is_new(&self) -> anyhow::Result<bool> {
        let holds_data = |part: &SpecialPart| {
            let kinds = [SpecialKind::RocksDbQueues, SpecialKind::Dledger, SpecialKind::BatchQueues];
            kinds.contains(&part.kind) && part.files > 0
        };
        Ok(self.store.commitlog().is_empty()
            && !self.special.iter().any(holds_data)
            && self.store.index()?.files().is_empty()
            && self.queues()?.iter().all(|queue| queue.queue().files().is_empty()))
    }

    /// The config folder, read as the release would that was given.
    pub(crate) fn config(&self) -> ConfigDir {
        let home = self.store.options().home.as_ref().map(|home| home.join("store").join("config"));
        let ascii = self.release.is_some_and(|release| release.behaviour().config_read.value == ConfigRead::Chars);
        ConfigDir::new(self.root()).with_home(home).refusing_multi_byte(ascii)
    }

    /// Of the two places of a file the one that counts: by the release if it is known, else the one changed last.
    pub(crate) fn place<T: HasDataVersion>(&self, file: &Placed<T>) -> ConfigPlace {
        match &self.conf {
            Some(conf) if conf.topics_json_folder == conf.store_path_root_dir.value.join("config") => ConfigPlace::Root,
            Some(_) => ConfigPlace::Home,
            None => file.newest(),
        }
    }

    /// The file in the [`place`](Self::place) that counts.
    pub(crate) fn placed<'a, T: HasDataVersion>(&self, file: &'a Placed<T>) -> &'a Loaded<T> {
        file.at(self.place(file)).unwrap_or(&file.root)
    }

    /// Which releases can have written the store, by its files and by what was seen in its log.
    pub(crate) fn release_bounds(&self, log: &LogMarks) -> anyhow::Result<ReleaseBounds> {
        Ok(ReleaseBounds::read(self.root(), self.store.options().home.as_deref(), log)?)
    }
}

fn release(context: &Context, place: &PlaceArgs) -> anyhow::Result<Option<Release>> {
    let Some(text) = &place.release else { return Ok(None) };
    let Some(found) = Release::find(text) else {
        return Err(hinted(
            format!("{text} is no release that is known, expected one of {} to {}", Release::OLDEST, Release::NEWEST),
            "mqstore releases lists them",
        ));
    };
    if !found.exact {
        context.note(&found.to_string());
    }
    Ok(Some(found.release))
}

/// The broker's configuration as its release reads it: the one given, else the one that the store's marks tell.
fn resolve(
    path: &Path,
    args: &StoreArgs,
    release: Option<Release>,
) -> anyhow::Result<(Resolved, (BrokerConf, PathBuf))> {
    let conf = BrokerConf::read(path)?;
    let home = match &args.place.home {
        Some(home) => home.clone(),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set: give the broker's with --home")?),
    };
    if let Some(release) = release {
        return Ok((conf.resolve(release, &home), (conf, home)));
    }
    // Where the root lies does not depend on the release, so it can be asked before the release is known.
    let root = conf.resolve(Release::NEWEST, &home).store_path_root_dir.value;
    let root = args.store.as_deref().unwrap_or(&root);
    let marks = ReleaseBounds::read(root, Some(&home), &LogMarks::default())?;
    let release = marks.newest.or(marks.oldest).unwrap_or(Release::NEWEST);
    Ok((conf.resolve(release, &home), (conf, home)))
}

fn options(place: &PlaceArgs, conf: Option<&Resolved>, root: &Path) -> StoreOptions {
    let mut options = StoreOptions::default();
    options.commitlog_dirs.clone_from(&place.commitlog);
    options.home.clone_from(&place.home);
    let Some(conf) = conf else { return options };
    let conf_root = &conf.store_path_root_dir.value;
    if options.commitlog_dirs.is_empty() {
        let dirs = conf.commit_log_paths.value.iter().chain(&conf.read_only_commit_log_paths.value);
        // A copy of a store elsewhere keeps its log below its root, if the original did.
        options.commitlog_dirs =
            dirs.map(|dir| dir.strip_prefix(conf_root).map_or_else(|_| dir.clone(), |rest| root.join(rest))).collect();
    }
    if options.home.is_none() && conf.topics_json_folder != conf_root.join("config") {
        options.home = conf.topics_json_folder.parent().and_then(Path::parent).map(Path::to_path_buf);
    }
    options.index_geometry =
        Some(IndexGeometry { hash_slot_num: conf.max_hash_slot_num.value, index_num: conf.max_index_num.value });
    options
}
