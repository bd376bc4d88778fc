//! Marks in the names, lengths and small files of a store.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::json::{self, Kind};
use super::{About, Mark, Release, Strength};
use crate::StoreError;
use crate::format::checkpoint::Checkpoint;
use crate::format::index::IndexHeader;

/// What was found, and what could not be looked at.
pub(super) struct Found {
    pub(super) marks: Vec<Mark>,
    pub(super) unread: Vec<String>,
}

/// Files and folders that only exist if a release opened the store, with the first that makes them.
#[rustfmt::skip]
const PATHS: &[(&str, &str, Release)] = &[
    ("config.consumer-filter", "config/consumerFilter.json", Release::V4_1_0),
    ("store.consumequeue-ext", "consumequeue_ext", Release::V4_1_0),
    ("store.lock", "lock", Release::V4_2_0),
    ("config.lmq-consumer-offset", "config/lmqConsumerOffset.json", Release::V4_9_3),
    ("store.timer", "timerwheel", Release::V5_0_0),
    ("store.timer", "timerlog", Release::V5_0_0),
    ("store.timer", "config/timercheck", Release::V5_0_0),
    ("store.abort-bak", "abort.bak", Release::V5_0_0),
    ("config.consumer-order-info", "config/consumerOrderInfo.json", Release::V5_0_0),
    ("config.topic-queue-mapping", "config/topicQueueMapping.json", Release::V5_0_0),
    ("config.message-request-mode", "config/messageRequestMode.json", Release::V5_0_0),
    ("store.batch-consumequeue", "batchconsumequeue", Release::V5_0_0),
    ("store.epoch-file", "epochFileCheckpoint", Release::V5_0_0),
    ("store.compaction", "compaction/position-checkpoint", Release::V5_1_0),
    ("store.broker-identity", "brokerIdentity", Release::V5_1_1),
    ("config.rocksdb", "config/topics/CURRENT", Release::V5_1_4),
    ("config.rocksdb", "config/subscriptionGroups/CURRENT", Release::V5_1_4),
    ("config.rocksdb", "config/consumerOffsets/CURRENT", Release::V5_1_4),
    ("store.rocksdb-consumequeue", "consumequeue/CURRENT", Release::V5_2_0),
    ("config.transaction-metrics", "config/transactionMetrics", Release::V5_2_0),
    ("config.auth", "config/users", Release::V5_3_0),
    ("config.auth", "config/acls", Release::V5_3_0),
    ("store.kv-store", "kvStore", Release::V5_3_2),
    ("config.rocksdb-v2", "config/rdb", Release::V5_3_2),
    ("store.rocksdb-store", "rocksdbstore", Release::V5_4_0),
];

const JSON_FILES: &[(Kind, &str)] = &[
    (Kind::Topics, "topics.json"),
    (Kind::Groups, "subscriptionGroup.json"),
    (Kind::Offsets, "consumerOffset.json"),
    (Kind::Offsets, "lmqConsumerOffset.json"),
    (Kind::Delay, "delayOffset.json"),
];

pub(super) fn collect(root: &Path, home: Option<&Path>) -> Result<Found, StoreError> {
    let mut scan = Scan { root, marks: Vec::new(), unread: Vec::new() };
    let listed = fs::read_dir(root).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut names: Vec<String> = listed
        .map_err(|source| StoreError::io("list", root, source))?
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for (mark, path, from) in PATHS {
        if root.join(path).symlink_metadata().is_ok() {
            scan.opened(mark, path, "is there", *from, Strength::Strong);
        }
    }
    for name in names.iter().filter(|name| name.starts_with("dledger-")) {
        scan.opened("store.dledger", name, "is there", Release::V4_5_0, Strength::Strong);
    }
    if root.join("consumequeue_rocksdb").is_dir() {
        scan.opened(
            "store.rocksdb-consumequeue",
            "consumequeue_rocksdb",
            "is there",
            Release::V5_5_0,
            Strength::Medium,
        );
    }
    scan.lmq();
    scan.statetable();
    scan.abort();
    scan.checkpoint();
    scan.index();
    scan.leftover_tmp();
    scan.rocksdb_column_families();
    scan.config(home);
    Ok(Found { marks: scan.marks, unread: scan.unread })
}

struct Scan<'a> {
    root: &'a Path,
    marks: Vec<Mark>,
    unread: Vec<String>,
}

impl Scan<'_> {
    fn opened(&mut self, mark: &'static str, path: &str, what: &str, from: Release, strength: Strength) {
        let says = format!("{what}: opened by {from} or later");
        let about = About::OpenedOnce;
        self.marks.push(Mark {
            mark,
            path: path.to_owned(),
            says,
            at_least: Some(from),
            at_most: None,
            about,
            strength,
        });
    }

    fn history(&mut self, mark: &'static str, path: &str, says: String, at_most: Option<Release>, strength: Strength) {
        let about = About::History;
        self.marks.push(Mark { mark, path: path.to_owned(), says, at_least: None, at_most, about, strength });
    }

    /// The bytes at the start of a file, up to `limit`; `None` if there is no such file, or it is noted as unread.
    fn read(&mut self, path: &str, limit: u64) -> Option<Vec<u8>> {
        let full = self.root.join(path);
        self.read_at(&full, path, limit)
    }

    fn read_at(&mut self, full: &Path, path: &str, limit: u64) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        match fs::File::open(full).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => Some(bytes),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            Err(e) => {
                self.unread.push(format!("{path}: {e}"));
                None
            }
        }
    }

    /// Names in a folder, sorted; none if there is no such folder, or it is noted as unread.
    fn names(&mut self, path: &str) -> Vec<String> {
        let listed = fs::read_dir(self.root.join(path)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut names: Vec<String> = match listed {
            Ok(entries) => entries.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
            Err(e) => {
                if e.kind() != io::ErrorKind::NotFound {
                    self.unread.push(format!("{path}: {e}"));
                }
                Vec::new()
            }
        };
        names.sort();
        names
    }

    fn lmq(&mut self) {
        if let Some(name) = self.names("consumequeue").into_iter().find(|name| name.starts_with("%LMQ%")) {
            let path = format!("consumequeue/{name}");
            self.opened("store.lmq", &path, "a light queue", Release::V4_9_3, Strength::Strong);
        }
    }

    fn statetable(&mut self) {
        if self.root.join("transaction/statetable").exists() {
            let says = "is there: once opened by 3.1.8 or earlier".to_owned();
            self.history("store.transaction-statetable", "transaction/statetable", says, None, Strength::Strong);
        }
    }

    fn abort(&mut self) {
        let Some(bytes) = self.read("abort", 32) else { return };
        if bytes.is_empty() {
            let says =
                "is empty: crashed under 4.9.8 or earlier, made by hand, or started by 5.x on a full disk".to_owned();
            self.history("store.abort", "abort", says, Some(Release::V4_9_8), Strength::Weak);
        } else if bytes.iter().all(u8::is_ascii_digit) {
            self.opened("store.abort", "abort", "holds a process id", Release::V5_0_0, Strength::Strong);
        }
    }

    fn checkpoint(&mut self) {
        let Some(fields) = self.read("checkpoint", 4096).and_then(|bytes| Checkpoint::parse(&bytes).ok()) else {
            return;
        };
        let fields = [
            ("checkpoint.master-flushed-offset", fields.master_flushed_offset, Release::V5_0_0),
            ("checkpoint.confirm-phy-offset", fields.confirm_phy_offset, Release::V5_1_1),
            ("checkpoint.logics-physical-offset", fields.logics_physical_offset, Release::V5_5_0),
        ];
        for (mark, value, from) in fields {
            if value != 0 {
                let (_, field) = mark.split_once('.').unwrap_or_default();
                self.opened(mark, "checkpoint", &format!("{field} is {value}"), from, Strength::Strong);
            }
        }
    }

    /// `hashSlotCount` counts entries up to 4.7.0 and used slots from 4.7.1 on.
    fn index(&mut self) {
        // One or two entries may be missing in a count after a crash.
        const CERTAIN: i32 = 64;
        // With fewer entries in 5 million slots hardly any slot is used twice.
        const MANY: i32 = 100_000;
        let names = self.names("index").into_iter().filter(|n| n.len() == 17 && n.bytes().all(|b| b.is_ascii_digit()));
        let (mut slots, mut entries) = (None, None);
        for name in names {
            let path = format!("index/{name}");
            let Some(header) = self.read(&path, 40).and_then(|bytes| IndexHeader::parse(&bytes).ok()) else { continue };
            let count = header.index_count.saturating_sub(1);
            let (found, what) = match count.saturating_sub(header.hash_slot_count) {
                CERTAIN.. => (&mut slots, "fewer slots than entries"),
                0 if count > MANY => (&mut entries, "as many slots as entries"),
                _ => continue,
            };
            found.get_or_insert((path, format!("hashSlotCount {} of {count}, {what}", header.hash_slot_count)));
        }
        if let Some((path, what)) = slots {
            self.opened("index.hash-slot-count", &path, &what, Release::V4_7_1, Strength::Strong);
        }
        if let Some((path, what)) = entries {
            let says = format!("{what}: file written by 4.7.0 or earlier");
            self.history("index.hash-slot-count", &path, says, Some(Release::V4_7_0), Strength::Strong);
        }
    }

    fn leftover_tmp(&mut self) {
        if let Some(name) = self.names("config").into_iter().find(|name| name.ends_with(".json.tmp")) {
            let says = "left over: a crash under 5.0.0 or earlier while it was written".to_owned();
            let to = Some(Release::V5_0_0);
            self.history("config.tmp", &format!("config/{name}"), says, to, Strength::Medium);
        }
    }

    fn rocksdb_column_families(&mut self) {
        for folder in ["config/topics", "config/subscriptionGroups", "config/consumerOffsets"] {
            let options = self.names(folder).into_iter().rfind(|name| name.starts_with("OPTIONS-"));
            let Some(path) = options.map(|name| format!("{folder}/{name}")) else { continue };
            let text = self.read(&path, 1 << 20).unwrap_or_default();
            if memchr::memmem::find(&text, b"\"kvDataVersion\"").is_some() {
                let what = "column family kvDataVersion";
                self.opened("config.rocksdb-kv-data-version", &path, what, Release::V5_3_1, Strength::Strong);
            }
        }
    }

    /// A config file as a broker would load it: the file, else its `.bak`.
    fn json(&mut self, folder: &Path, shown: &str, name: &str) -> Option<(String, Vec<u8>)> {
        const LIMIT: u64 = 256 << 20;
        [name.to_owned(), format!("{name}.bak")].into_iter().find_map(|name| {
            let path = format!("{shown}/{name}");
            let text = self.read_at(&folder.join(&name), &path, LIMIT)?;
            let looks_whole = text.trim_ascii().starts_with(b"{") && text.trim_ascii().ends_with(b"}");
            looks_whole.then_some((path, text))
        })
    }

    fn config(&mut self, home: Option<&Path>) {
        let config = self.root.join("config");
        let is_slave = self.json(&config, "config", "delayOffset.json").is_some_and(|(_, text)| !text.contains(&b'\n'));
        let mut times = Vec::new();
        for (kind, name) in JSON_FILES {
            let file = self.json(&config, "config", name);
            if let Some((path, text)) = &file {
                self.marks.extend(json::marks(*kind, path, text, is_slave));
            }
            if matches!(kind, Kind::Topics | Kind::Groups) {
                times.push((*kind, *name, file.map(|(_, text)| json::data_version_time(&text).unwrap_or_default())));
            }
        }
        let Some(home_config) = home.map(|home| home.join("store/config")).filter(|dir| !same(dir, &config)) else {
            return;
        };
        for (kind, name, time_in_root) in times {
            let Some((path, text)) = self.json(&home_config, "$HOME/store/config", name) else { continue };
            if memchr::memmem::find(&text, b"\"timestatmp\":").is_none() {
                continue;
            }
            let newer = json::data_version_time(&text) > time_in_root;
            self.home_file(kind, &path, &text, newer);
        }
    }

    /// `topics.json` or `subscriptionGroup.json` below `$HOME`, where only 3.5.5 to 3.5.8 write them.
    fn home_file(&mut self, kind: Kind, path: &str, text: &[u8], newer_than_root: bool) {
        let (at_least, at_most) = (Some(Release::V3_5_5), Some(Release::V3_5_8));
        let (mark, path, strength) = ("config.home-split", path.to_owned(), Strength::Strong);
        if newer_than_root {
            let says = "lies below $HOME: last written by 3.5.5 to 3.5.8".to_owned();
            self.marks.push(Mark {
                mark,
                path: path.clone(),
                says,
                at_least,
                at_most,
                about: About::LastWriter,
                strength,
            });
            self.marks.extend(json::marks(kind, &path, text, false));
        } else {
            let says = "lies below $HOME, older than the one in config/: once written by 3.5.5 to 3.5.8".to_owned();
            self.marks.push(Mark { mark, path, says, at_least, at_most, about: About::History, strength });
        }
    }
}

fn same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| -> Option<PathBuf> { fs::canonicalize(path).ok() };
    real(a).is_some() && real(a) == real(b)
}
