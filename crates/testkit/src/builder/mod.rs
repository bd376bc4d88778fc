//! Writes stores byte by byte, with code that shares nothing with the readers under test.
//!
//! What comes out is what a broker of the chosen [`Release`] leaves behind after a clean stop (or a kill): commitlog,
//! consume queues, index, checkpoint, lock and the configuration in the broker's JSON. Left out are the stores inside
//! the store that only some brokers have: timer wheel, RocksDB, DLedger, batch queues, queue extensions, compaction.
//!
//! Everything is streamed, so a store may be larger than memory. Files have their full length and stay sparse.

mod commitlog;
mod config;
mod consumequeue;
mod index;
mod message;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use commitlog::CommitLogWriter;
use config::Config;
use consumequeue::ConsumeQueueWriter;
use index::IndexWriter;
pub use message::Message;
use message::{put_i64, put_u64};

/// A release whose files can be written. They are the recorded ones: the tests compare with those stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// No `lock`, `timestatmp` in the configuration, index header counting entries.
    V3_5_8,
    /// Index header counting entries.
    V4_3_2,
    /// Index header counting used slots.
    V4_9_7,
    /// A process id in `abort`, five checkpoint fields, `stateVersion` and attributes in the configuration.
    V5_3_3,
}

/// Settings of a store that is to be written; [`StoreBuilder::start`] begins it.
#[derive(Clone, Debug)]
pub struct StoreBuilder {
    root: PathBuf,
    release: Release,
    commitlog_file_size: u64,
    consumequeue_file_size: u64,
    slots: u32,
    entries: u32,
    first_offset: u64,
    killed: bool,
    config_dir: PathBuf,
    cluster: String,
    broker: String,
    data_version: (i64, i64),
}

impl StoreBuilder {
    /// A 4.3.2 store in `root` (`storePathRootDir`) with the small files of the recorded stores: commitlog 1 MiB,
    /// queue files 20,000 bytes, index files of 500 slots and 2,000 entries.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            release: Release::V4_3_2,
            commitlog_file_size: 1 << 20,
            consumequeue_file_size: 20_000,
            slots: 500,
            entries: 2000,
            first_offset: 0,
            killed: false,
            config_dir: root.join("config"),
            cluster: "DefaultCluster".to_owned(),
            broker: "broker-a".to_owned(),
            data_version: (1, 1_700_000_000_000),
        }
    }

    /// The release that writes it.
    #[must_use]
    pub fn release(mut self, release: Release) -> Self {
        self.release = release;
        self
    }

    /// Bytes of a commitlog file (`mappedFileSizeCommitLog`).
    #[must_use]
    pub fn commitlog_file_size(mut self, bytes: u64) -> Self {
        self.commitlog_file_size = bytes;
        self
    }

    /// Bytes of a consume queue file (`mappedFileSizeConsumeQueue`), rounded up to whole units.
    #[must_use]
    pub fn consumequeue_file_size(mut self, bytes: u64) -> Self {
        self.consumequeue_file_size = bytes;
        self
    }

    /// Slots and entries of an index file (`maxHashSlotNum`, `maxIndexNum`); position 0 of the entries is never used.
    #[must_use]
    pub fn index_geometry(mut self, slots: u32, entries: u32) -> Self {
        assert!(slots > 0 && entries > 1, "an index file holds at least one entry");
        self.slots = slots;
        self.entries = entries;
        self
    }

    /// The files of a default broker: commitlog 1 GiB, queue files 6,000,000 bytes, index files of 5 and 20 million.
    #[must_use]
    pub fn default_geometry(self) -> Self {
        self.commitlog_file_size(1 << 30).consumequeue_file_size(6_000_000).index_geometry(5_000_000, 20_000_000)
    }

    /// Physical offset of the first commitlog file, a multiple of its size: what came before has expired.
    #[must_use]
    pub fn first_offset(mut self, offset: u64) -> Self {
        self.first_offset = offset;
        self
    }

    /// Leaves the store as a broker does that is killed: with `abort` and an empty commitlog file ready for use.
    #[must_use]
    pub fn killed(mut self) -> Self {
        self.killed = true;
        self
    }

    /// Where topics and groups go instead of `config/` below the root: 3.5.8 has `$HOME/store/config`.
    #[must_use]
    pub fn config_dir(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.config_dir);
        self
    }

    /// Names of cluster and broker, which are topics, too.
    #[must_use]
    pub fn names(mut self, cluster: &str, broker: &str) -> Self {
        cluster.clone_into(&mut self.cluster);
        broker.clone_into(&mut self.broker);
        self
    }

    /// Counter and timestamp of every `dataVersion`.
    #[must_use]
    pub fn data_version(mut self, counter: i64, timestamp: i64) -> Self {
        self.data_version = (counter, timestamp);
        self
    }

    /// Makes the folders and begins to write.
    pub fn start(self) -> StoreWriter {
        fs::create_dir_all(self.root.join("config")).expect("a folder for the store");
        fs::create_dir_all(&self.config_dir).expect("a folder for the configuration");
        StoreWriter {
            commitlog: CommitLogWriter::new(&self.root, self.commitlog_file_size, self.first_offset),
            queues: ConsumeQueueWriter::new(&self.root, self.consumequeue_file_size),
            index: IndexWriter::new(&self.root, self.slots, self.entries, self.release >= Release::V4_9_7),
            config: Config::default(),
            record: Vec::new(),
            key: String::new(),
            records: 0,
            newest: 0,
            settings: self,
        }
    }
}

/// A store being written. Messages go in the order in which they are put; [`StoreWriter::finish`] must be called.
#[derive(Debug)]
pub struct StoreWriter {
    settings: StoreBuilder,
    commitlog: CommitLogWriter,
    queues: ConsumeQueueWriter,
    index: IndexWriter,
    config: Config,
    record: Vec<u8>,
    key: String,
    records: u64,
    newest: i64,
}

/// Where [`StoreWriter::put`] put a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Offset of its record in the commitlog, bytes.
    pub physical_offset: u64,
    /// Length of the record, bytes.
    pub size: usize,
    /// Its number in its queue; 0 where it has no unit.
    pub queue_offset: i64,
}

/// What [`StoreWriter::finish`] has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Records in the commitlog, blanks not counted.
    pub records: u64,
    /// Physical offset behind the last record.
    pub end: u64,
}

impl StoreWriter {
    /// Appends a message: its record, its queue unit and its index entries.
    pub fn put(&mut self, message: &Message) -> Placed {
        let size = message.record_length();
        let physical_offset = self.commitlog.place(size);
        let queue_offset = if message.has_queue_unit() {
            message.queue_offset.unwrap_or_else(|| self.queues.next_offset(&message.topic, message.queue_id))
        } else {
            0
        };
        self.record.clear();
        message.encode(physical_offset, queue_offset, &mut self.record);
        self.commitlog.write(&self.record);
        if message.has_queue_unit() {
            let unit = (physical_offset, size, message.tags_code());
            self.queues.append(&message.topic, message.queue_id, queue_offset, unit);
        }
        if !message.is_rollback() {
            let pieces = message.get("KEYS").into_iter().flat_map(|keys| keys.split(' ')).filter(|key| !key.is_empty());
            for key in message.get("UNIQ_KEY").into_iter().chain(pieces) {
                self.key.clear();
                self.key.extend([&message.topic, "#", key]);
                self.index.put(&self.key, physical_offset, message.store_timestamp);
            }
        }
        self.records += 1;
        self.newest = self.newest.max(message.store_timestamp);
        Placed { physical_offset, size, queue_offset }
    }

    /// Puts one message again and again until the commitlog reaches `end` (a physical offset, bytes); `change` gets the
    /// number of the message, from 0, and makes of it what the next one is to be.
    pub fn fill(&mut self, end: u64, message: &mut Message, mut change: impl FnMut(u64, &mut Message)) {
        let mut number = 0;
        while self.commitlog.end() < end {
            change(number, message);
            self.put(message);
            number += 1;
        }
    }

    /// Adds a topic to `topics.json`. Topics that messages were put into and the broker's own are there without.
    pub fn topic(&mut self, name: &str, queues: i32) {
        self.config.topic(name, queues);
    }

    /// Adds a group to `subscriptionGroup.json`, with the default settings. Groups with offsets and the broker's own are
    /// there without.
    pub fn group(&mut self, name: &str) {
        self.config.group(name);
    }

    /// Sets the offset of a group in a queue, in `consumerOffset.json`.
    pub fn commit(&mut self, topic: &str, group: &str, queue_id: i32, offset: i64) {
        self.config.commit(topic, group, queue_id, offset);
    }

    /// Sets how far a delay level has been delivered, in `delayOffset.json`.
    pub fn delay_offset(&mut self, level: i32, offset: i64) {
        self.config.delays.insert(level, offset);
    }

    /// Writes everything that is not on disk yet.
    pub fn finish(mut self) -> Built {
        self.commitlog.finish(self.settings.killed);
        self.queues.flush();
        self.index.finish();
        self.checkpoint();
        let root = &self.settings.root;
        let release = self.settings.release;
        if release >= Release::V4_3_2 {
            fs::write(root.join("lock"), "lock").expect("a lock file");
        }
        if self.settings.killed {
            let text = if release >= Release::V5_3_3 { "4711" } else { "" };
            fs::write(root.join("abort"), text).expect("an abort file");
        }
        let present: BTreeMap<String, i32> = self.queues.topics().map(|(topic, n)| (topic.to_owned(), n)).collect();
        self.config.write(&self.settings, &present);
        Built { records: self.records, end: self.commitlog.end() }
    }

    fn checkpoint(&self) {
        let mut bytes = Vec::with_capacity(4096);
        put_i64(&mut bytes, self.newest);
        put_i64(&mut bytes, self.newest);
        put_i64(&mut bytes, self.index.full_until);
        // The further fields of 5.x are 0 here: not a slave, and not started on a store that held messages.
        put_u64(&mut bytes, 0);
        bytes.resize(4096, 0);
        fs::write(self.settings.root.join("checkpoint"), bytes).expect("a checkpoint");
    }
}

/// Bytes that look random, do not compress, and are the same for the same `seed`.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_be_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// A small generator (`SplitMix64`): no seed is bad, and no crate's next release changes what it gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    /// A number below `limit`, which is at least 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("below a usize")
    }
}

fn offset_name(offset: u64) -> String {
    format!("{offset:020}")
}

fn full_length_file(path: &Path, length: u64) -> File {
    let make = || -> std::io::Result<File> {
        let file = File::create(path)?;
        file.set_len(length)?;
        Ok(file)
    };
    make().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
