//! Where the release looks and how large it expects the files to be.

use std::path::{Path, PathBuf};

use mqstore_core::format::index::IndexGeometry;
use mqstore_core::release::conf::{BrokerConf, Resolved};
use mqstore_core::release::rules::DefaultPlace;
use mqstore_core::release::{Behaviour, Release};
use mqstore_core::store::MappedFile;
use mqstore_core::{StoreError, format::consumequeue::CQ_UNIT_LENGTH};

use super::load::{DirEntry, list};
use super::{BootError, BootOptions};

/// The default of a broker, used where neither configuration nor files tell.
const DEFAULT_LOG_FILE: u64 = 1 << 30;
const DEFAULT_QUEUE_FILE: u64 = 300_000 * CQ_UNIT_LENGTH as u64;

/// What the simulation needs to know beside the store.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of broker.conf by its own name")]
pub(super) struct Settings {
    pub release: Release,
    pub rules: Behaviour,
    pub root: PathBuf,
    pub commitlog_dirs: Vec<PathBuf>,
    pub log_file_size: u64,
    pub queue_file_size: u64,
    pub geometry: IndexGeometry,
    /// `$HOME/store/config`, for the releases that keep topics there; `None`: below the root.
    pub topics_folder: Option<PathBuf>,
    pub max_message_size: u64,
    pub check_crc: bool,
    pub message_index: bool,
    pub message_index_safe: bool,
    pub duplication: bool,
    pub force_property_crc: bool,
    pub recheck_reput: bool,
    pub multi_dispatch: bool,
    pub lmq: bool,
    /// Slaves deliver no delayed messages.
    pub slave: bool,
}

impl Settings {
    pub(super) fn resolve(root: &Path, release: Release, options: &BootOptions) -> Result<Self, BootError> {
        let rules = release.behaviour();
        let conf = options.conf.clone().unwrap_or_default();
        let home = options.home.clone().or_else(|| implied_home(root, options.conf.as_ref()));
        // The placeholder never shows: every place that would need it is refused first.
        let resolved = conf.resolve(release, home.as_deref().unwrap_or(Path::new("/")));
        refuse_what_is_not_simulated(&resolved)?;
        if options.conf.is_none() {
            refuse_what_only_a_configuration_tells(root, release)?;
        }
        let home_needed = |key: &'static str, place: DefaultPlace| {
            let unset = options.conf.as_ref().is_some_and(|conf| conf.get(key).is_none());
            if place == DefaultPlace::Home && home.is_none() && unset {
                return Err(BootError::HomeNeeded { release, key });
            }
            Ok(())
        };
        let commitlog_dirs = if !options.commitlog_dirs.is_empty() {
            options.commitlog_dirs.clone()
        } else if options.conf.is_none() {
            vec![root.join("commitlog")]
        } else {
            home_needed("storePathCommitLog", rules.commit_log_place.value)?;
            let paths = resolved.commit_log_paths.value.iter().chain(&resolved.read_only_commit_log_paths.value);
            paths.map(|path| moved(path, &resolved.store_path_root_dir.value, root)).collect()
        };
        let topics_folder = match rules.topics_json_place.value {
            _ if options.topics_folder.is_some() => options.topics_folder.clone(),
            DefaultPlace::Home if home.is_some() => Some(resolved.topics_json_folder.clone()),
            DefaultPlace::Home if options.conf.is_some() => {
                return Err(BootError::HomeNeeded { release, key: "topics.json" });
            }
            _ => None,
        };
        let known = options.conf.is_some();
        let (log_file_size, queue_file_size, geometry) = if known {
            let slots = resolved.max_hash_slot_num.value;
            let geometry = IndexGeometry { hash_slot_num: slots, index_num: resolved.max_index_num.value };
            (resolved.mapped_file_size_commit_log.value, resolved.mapped_file_size_consume_queue.value, geometry)
        } else {
            sizes_on_disk(root, &commitlog_dirs)?
        };
        Ok(Self {
            release,
            rules,
            root: root.into(),
            commitlog_dirs,
            log_file_size: log_file_size.max(1),
            queue_file_size: queue_file_size.max(CQ_UNIT_LENGTH as u64),
            geometry,
            topics_folder,
            max_message_size: u64::from(resolved.max_message_size.value),
            check_crc: resolved.check_crc_on_recover.value,
            message_index: resolved.message_index_enable.value,
            message_index_safe: resolved.message_index_safe.value,
            duplication: resolved.duplication_enable.value,
            force_property_crc: resolved.force_verify_prop_crc.value,
            recheck_reput: resolved.recheck_reput_offset_from_cq.value,
            multi_dispatch: resolved.enable_multi_dispatch.value,
            lmq: resolved.enable_lmq.value,
            slave: resolved.broker_role.value == "SLAVE",
        })
    }

    /// `path` relative to the store root where it lies below it, with `/` between the parts.
    pub(super) fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

/// The home folder, if the store lies at its default place in it.
fn implied_home(root: &Path, conf: Option<&BrokerConf>) -> Option<PathBuf> {
    let at_default_place = conf.is_none_or(|conf| conf.get("storePathRootDir").is_none());
    let named_store = root.file_name().is_some_and(|name| name == "store");
    root.parent().filter(|_| at_default_place && named_store).map(Path::to_path_buf)
}

/// A path below the configured root, in the root that was given: a store may have been copied elsewhere.
fn moved(path: &Path, configured_root: &Path, root: &Path) -> PathBuf {
    path.strip_prefix(configured_root).map_or_else(|_| path.to_path_buf(), |rest| root.join(rest))
}

fn refuse_what_is_not_simulated(resolved: &Resolved) -> Result<(), BootError> {
    let release = resolved.release;
    let what = if resolved.dledger.is_some() {
        "a DLedger commit log"
    } else if resolved.store_type.value == "defaultRocksDB" {
        "consume queues in RocksDB"
    } else if resolved.enable_controller_mode.value {
        "controller mode"
    } else {
        return Ok(());
    };
    Err(BootError::NotSimulated { release, what })
}

/// Without a configuration a store of another kind would be taken for one with an empty log or without queues.
fn refuse_what_only_a_configuration_tells(root: &Path, release: Release) -> Result<(), BootError> {
    let rules = release.behaviour();
    let dledger = list(root)?.iter().any(|entry| entry.is_dir && entry.name.starts_with("dledger-"));
    let what = if dledger && rules.dledger.value {
        "what may be a DLedger commit log and no broker.conf"
    } else if rules.rocksdb_consume_queue.value && root.join("consumequeue/CURRENT").exists() {
        "what may be consume queues in RocksDB and no broker.conf"
    } else {
        return Ok(());
    };
    Err(BootError::NotSimulated { release, what })
}

/// Lengths of log and queue files as most files have them, and the division of the index files.
fn sizes_on_disk(root: &Path, commitlog_dirs: &[PathBuf]) -> Result<(u64, u64, IndexGeometry), StoreError> {
    let mut logs = Vec::new();
    for dir in commitlog_dirs {
        logs.extend(numbered(list(dir)?));
    }
    let mut queues = Vec::new();
    for topic in list(&root.join("consumequeue"))?.iter().filter(|entry| entry.is_dir) {
        for queue in list(&topic.path)?.iter().filter(|entry| entry.is_dir) {
            queues.extend(numbered(list(&queue.path)?));
        }
    }
    let mut geometry = None;
    for entry in list(&root.join("index"))?.iter().rev().filter(|entry| !entry.is_dir) {
        geometry = geometry.or(IndexGeometry::infer(&MappedFile::open(&entry.path)?));
    }
    let log = most_common(logs).unwrap_or(DEFAULT_LOG_FILE);
    // A broker rounds the configured length to whole units.
    queues.retain(|length| length % CQ_UNIT_LENGTH as u64 == 0);
    let queue = most_common(queues).unwrap_or(DEFAULT_QUEUE_FILE);
    Ok((log, queue, geometry.unwrap_or(IndexGeometry::DEFAULT)))
}

fn numbered(entries: Vec<DirEntry>) -> impl Iterator<Item = u64> {
    let numbered = |entry: &DirEntry| !entry.is_dir && entry.length > 0 && entry.base().is_some();
    entries.into_iter().filter(numbered).map(|entry| entry.length)
}

fn most_common(mut lengths: Vec<u64>) -> Option<u64> {
    lengths.sort_unstable();
    lengths.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).and_then(|run| run.first()).copied()
}
