//! What is known before the first pass: how the store was left, by whom, and what it holds besides.

use std::collections::BTreeSet;
use std::os::unix::fs::FileExt as _;

use mqstore_core::StoreError;
use mqstore_core::bytes::{i32_at, i64_at};
use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::format::commitlog::{
    BORN_HOST_POSITION, HOST_V4_LENGTH, HOST_V6_LENGTH, MESSAGE_MAGIC_CODE, MESSAGE_MAGIC_CODE_V2, SYS_FLAG_POSITION,
    SysFlag,
};
use mqstore_core::format::config::topics::TopicConfigTable;
use mqstore_core::format::dledger::{DLEDGER_HEAD_LENGTH, DLEDGER_MAGIC};
use mqstore_core::store::config::{ConfigDir, ConfigPlace, Placed};
use mqstore_core::store::{EntryKind, LockState, QueueFile, SpecialKind, SpecialPart, Store, StoreLog};

use super::VerifyOptions;

/// What is known before the first pass.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each asked for by name")]
pub(super) struct Facts {
    /// `abort` is there.
    pub(super) abort: bool,
    /// A broker holds the lock.
    pub(super) live: bool,
    /// No broker from 4.2.0 on ever started here: there is no `lock`.
    pub(super) before_lock: bool,
    /// It looks like a slave's: a master's flush point in the checkpoint, or a delay table as a master sends it.
    pub(super) slave: bool,
    /// Dispatch may wait for other brokers: controller mode.
    pub(super) controller: bool,
    /// Parts in formats of their own.
    pub(super) parts: Vec<SpecialPart>,
    /// Queues lie in RocksDB, and could not be read there.
    pub(super) rocksdb_queues: bool,
    /// The log is a DLedger log.
    pub(super) dledger: bool,
    /// Names in the topics.json that counts, if there is one.
    pub(super) topics: Option<BTreeSet<String>>,
    /// Where an abnormal start begins to scan and dispatch (`recoverAbnormally`, 3.2.6 to 5.3.3): a physical offset.
    pub(super) abnormal_from: u64,
    /// Nothing was ever stored here, by all that lies beside the log.
    pub(super) looks_new: bool,
}

impl Facts {
    pub(super) fn gather(
        store: &Store,
        log: &StoreLog,
        options: &VerifyOptions,
        without_queues: bool,
    ) -> Result<Self, StoreError> {
        let parts = store.special_parts()?;
        let has = |kind| parts.iter().any(|part| part.kind == kind);
        // A checkpoint that is too short is told by its own pass.
        let checkpoint = store.checkpoint().ok().flatten();
        let min_timestamp = checkpoint.map_or(0, |c| c.min_timestamp());
        let abnormal_from = super::log_files(log)
            .into_iter()
            .rev()
            .find(|file| first_store_timestamp(file).is_some_and(|time| time != 0 && time <= min_timestamp));
        let topics = config_dir(store).topics();
        let used = |path: &str| std::fs::read_dir(store.root().join(path)).is_ok_and(|mut dir| dir.next().is_some());
        Ok(Self {
            abort: store.has(EntryKind::Abort),
            live: matches!(store.lock(), Ok(LockState::Held { .. })),
            before_lock: !store.has(EntryKind::Lock),
            slave: is_slave(store, checkpoint, &topics),
            controller: store.has(EntryKind::EpochFile) || store.has(EntryKind::BrokerIdentity),
            abnormal_from: abnormal_from.map_or(log.min_offset().get(), |file| file.file_from_offset),
            rocksdb_queues: has(SpecialKind::RocksDbQueues),
            dledger: log.dledger().is_some() && !options.without_commitlog,
            topics: names(&topics),
            looks_new: without_queues && !used("index") && parts.iter().all(is_unused),
            parts,
        })
    }

    /// Whether the newest messages may lack units, or units lie ahead of the log: no alarm then.
    pub(super) fn in_motion(&self) -> bool {
        self.abort || self.live
    }
}

/// The config folder, with the home folder's part if one was given.
pub(super) fn config_dir(store: &Store) -> ConfigDir {
    let home = store.options().home.as_ref().map(|home| home.join("store/config"));
    ConfigDir::new(store.root()).with_home(home)
}

/// Names in the topics.json that counts.
fn names(topics: &Placed<TopicConfigTable>) -> Option<BTreeSet<String>> {
    let loaded = topics.at(topics.newest())?;
    loaded.value().map(|table| table.topics.keys().cloned().collect())
}

fn is_slave(store: &Store, checkpoint: Option<Checkpoint>, topics: &Placed<TopicConfigTable>) -> bool {
    if checkpoint.is_some_and(|c| c.master_flushed_offset > 0) {
        return true;
    }
    // A 5.x master always has its own topics in the table; slaves of 5.3.2 and 5.3.3 empty it at each sync.
    let emptied = topics.root.value().is_some_and(|table| {
        let is_5x = table.data_version.is_some_and(|version| version.state_version.is_some());
        is_5x && !table.topics.contains_key("SELF_TEST_TOPIC")
    });
    if emptied {
        return true;
    }
    // A master writes its table indented; what a slave was sent is on one line.
    let config = ConfigDir::new(store.root());
    let delays = config.document(ConfigPlace::Root, "delayOffset.json");
    let path = delays.and_then(|loaded| loaded.copy().map(|copy| copy.path.clone()));
    path.and_then(|path| std::fs::read(path).ok()).is_some_and(|text| text.len() > 2 && !text.contains(&b'\n'))
}

/// The store timestamp of a file's first record, looked at as a broker does: only its magic code is checked.
pub(super) fn first_store_timestamp(file: &QueueFile) -> Option<i64> {
    let mut head = [0; BORN_HOST_POSITION + HOST_V6_LENGTH + 8];
    let open = std::fs::File::open(&file.path).ok()?;
    open.read_exact_at(&mut head, 0).ok()?;
    // No record is so short.
    if i32_at(&head, 0) == Some(DLEDGER_MAGIC) {
        open.read_exact_at(&mut head, DLEDGER_HEAD_LENGTH as u64).ok()?;
    }
    let magic = i32_at(&head, 4)?;
    if magic != MESSAGE_MAGIC_CODE && magic != MESSAGE_MAGIC_CODE_V2 {
        return None;
    }
    let v6 = SysFlag(i32_at(&head, SYS_FLAG_POSITION)?).is_born_host_v6();
    i64_at(&head, BORN_HOST_POSITION + if v6 { HOST_V6_LENGTH } else { HOST_V4_LENGTH })
}

/// Whether a part is only what every broker makes, with nothing in it.
pub(super) fn is_unused(part: &SpecialPart) -> bool {
    match part.kind {
        // A timer wheel is made at the first start, full of zeros; a log only with the first timer.
        SpecialKind::Timer => {
            if part.path.is_dir() {
                part.files == 0
            } else {
                is_zero_file(&part.path)
            }
        }
        // Every clean stop from 5.1.0 on writes the position checkpoint.
        SpecialKind::Compaction => {
            !part.path.join("compactionLog").is_dir() && !part.path.join("compactionCq").is_dir()
        }
        // Every broker from 5.4.0 on makes the database. Its tables are files of their own once it holds anything.
        SpecialKind::RocksDbStore | SpecialKind::RocksDbPop => {
            std::fs::read_dir(&part.path).into_iter().flatten().flatten().all(|entry| {
                let path = entry.path();
                let is = |end: &str| path.extension().is_some_and(|e| e == end);
                let written = is("log") && entry.metadata().is_ok_and(|m| m.len() > 0);
                !is("sst") && !written
            })
        }
        _ => part.files == 0,
    }
}

fn is_zero_file(path: &std::path::Path) -> bool {
    let mut buffer = vec![0; 1 << 20];
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    loop {
        match std::io::Read::read(&mut file, &mut buffer) {
            Ok(0) => return true,
            Ok(n) if buffer.get(..n).is_some_and(mqstore_core::bytes::is_zero) => {}
            _ => return false,
        }
    }
}
