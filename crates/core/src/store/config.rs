//! The folder `config/`: which copy of each file a broker would load, and what else lies there.
//!
//! A broker keeps `F` and its previous content `F.bak`. [`ConfigDir::load`] decides as its loader does:
//!
//! ```text
//! F holds a text that parses  ──────────────────────────► File   (null, blank or without its table: an empty table)
//! F missing, empty, unreadable or unparsable
//!   └─ F.bak holds a text that parses  ─────────────────► Bak
//!   └─ F.bak missing or empty  ─────────────────────────► None   (the broker starts with an empty table, no error)
//!   └─ F.bak unreadable or unparsable  ─────────────────► Refused
//! F.tmp is never read, by any release
//! ```
//!
//! Seen on 3.5.8, 4.3.2, 4.9.7 and 5.3.3. Both copies are read here in any case, so that a bad one that does not matter
//! today can be told. A refused start is not harmless: some releases then write other files of the folder empty.
//!
//! Releases 3.2.6 to 4.0.0 take a file with any character of several bytes as empty: see
//! [`ConfigDir::refusing_multi_byte`]. Releases 3.5.1 to 3.5.8 keep `topics.json` and `subscriptionGroup.json` under
//! `$HOME/store/config`: see [`ConfigDir::with_home`].
//!
//! Some builds of September 2016 wrote `F/UTF-8`, a folder with the file inside; it is read as `F` and told.
//!
//! Java: `common/.../ConfigManager.java`, `MixAll.file2String` at 3.2.6, 3.5.8, 4.3.2, 4.9.8, 5.0.0, 5.1.0, 5.3.3.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::StoreError;
use crate::format::config::consumer_filter::ConsumerFilterTable;
use crate::format::config::consumer_offset::ConsumerOffsetTable;
use crate::format::config::delay_offset::DelayOffsetTable;
use crate::format::config::other::{
    ConsumerOrderInfoTable, MessageRequestModeTable, MetricsTable, TopicQueueMappingTable,
};
use crate::format::config::subscription_group::SubscriptionGroupTable;
use crate::format::config::timercheck::TimerCheckpoint;
use crate::format::config::topics::TopicConfigTable;
use crate::format::config::{ConfigError, ConfigTable, DataVersion, Document, Node, TextFacts, Value, fastjson};

/// A config file larger than this is not read.
pub const MAX_CONFIG_BYTES: u64 = 256 << 20;
/// Name of the file inside a folder that took the place of a config file.
const UTF8_FOLDER_ENTRY: &str = "UTF-8";

/// A file that brokers keep under `config/`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct KnownFile {
    /// Its name.
    pub name: &'static str,
    /// First release that writes it.
    pub since: &'static str,
    /// What is in it.
    pub kind: ConfigKind,
}

/// What is in a known file.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ConfigKind {
    /// A JSON text with `.bak`, loaded as [the module](self) tells.
    Json {
        /// Members of the root of which one at least is there when the file holds something.
        tables: &'static [&'static str],
        /// Whether the broker can use a text that parses, by the types of its values.
        check: fn(&Node) -> Result<(), ConfigError>,
    },
    /// `timercheck`: see [`ConfigDir::timercheck`].
    Timercheck,
    /// `broker.properties`: written on an admin's update when the broker was started without a file of its own; never
    /// read at a start by itself.
    Properties,
}

/// All files that brokers are known to keep under `config/`, 3.2.6 to 5.5.0.
pub const KNOWN_FILES: &[KnownFile] = &[
    known::<TopicConfigTable>("topics.json", "3.x"),
    known::<SubscriptionGroupTable>("subscriptionGroup.json", "3.x"),
    known::<ConsumerOffsetTable>("consumerOffset.json", "3.x"),
    known::<DelayOffsetTable>("delayOffset.json", "3.x"),
    known::<ConsumerFilterTable>("consumerFilter.json", "4.1.0"),
    known::<ConsumerOffsetTable>("lmqConsumerOffset.json", "4.9.3"),
    known::<TopicQueueMappingTable>("topicQueueMapping.json", "5.0.0"),
    known::<ConsumerOrderInfoTable>("consumerOrderInfo.json", "5.0.0"),
    known::<MessageRequestModeTable>("messageRequestMode.json", "5.0.0"),
    known::<MetricsTable>("timermetrics", "5.0.0"),
    known::<MetricsTable>("transactionMetrics", "5.2.0"),
    KnownFile {
        name: "tieredStoreMetadata.json",
        since: "5.1.0",
        kind: ConfigKind::Json { tables: &["topicMetadataTable", "queueMetadataTable"], check: any_object },
    },
    KnownFile { name: "timercheck", since: "5.0.0", kind: ConfigKind::Timercheck },
    KnownFile { name: "broker.properties", since: "3.x", kind: ConfigKind::Properties },
];

/// Folders under `config/` that are RocksDB databases, with the first release that makes them.
pub const ROCKSDB_FOLDERS: &[(&str, &str)] = &[
    ("topics", "5.1.4"),
    ("consumerOffsets", "5.1.4"),
    ("subscriptionGroups", "5.1.4"),
    ("rdb", "5.3.2"),
    ("users", "5.3.0"),
    ("acls", "5.3.0"),
];

const fn known<T: ConfigTable>(name: &'static str, since: &'static str) -> KnownFile {
    KnownFile { name, since, kind: ConfigKind::Json { tables: T::TABLES, check: check::<T> } }
}

fn check<T: ConfigTable>(root: &Node) -> Result<(), ConfigError> {
    T::from_root(root).map(drop)
}

fn any_object(root: &Node) -> Result<(), ConfigError> {
    match &root.value {
        Value::Object(_) | Value::Null => Ok(()),
        _ => Err(root.unexpected("an object")),
    }
}

/// The copy of a file that a broker would load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// The file itself.
    File,
    /// Its `.bak`.
    Bak,
    /// None of them: the broker starts with an empty table and says nothing.
    None,
    /// None of them, and the broker does not start.
    Refused,
}

/// What was found of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyState {
    /// It parses and holds its table.
    Good,
    /// It parses but is blank, `null` or has no table: the broker counts that as an empty table, and will write it over
    /// a good `.bak` too.
    WithoutTable,
    /// There is no such file.
    Missing,
    /// It has no bytes.
    Empty,
    /// It has characters of several bytes, which the loader of 3.2.6 to 4.0.0 takes as an empty file.
    MultiByte,
    /// The system did not let it be read.
    Unreadable {
        /// Why.
        reason: io::ErrorKind,
    },
    /// It is larger than [`MAX_CONFIG_BYTES`] and was not read; what a broker makes of it is not known.
    TooLarge,
    /// The broker's parser would reject it.
    Bad(ConfigError),
}

/// One copy of a config file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ConfigCopy<T> {
    /// Where it is or would be.
    pub path: PathBuf,
    /// What was found.
    pub state: CopyState,
    /// Length in bytes, 0 when missing.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
    /// Whether it lies in a folder of the file's name, under the name `UTF-8`.
    pub in_utf8_folder: bool,
    /// What its text tells, if it parses.
    pub facts: Option<TextFacts>,
    /// What it holds, if it parses.
    pub value: Option<T>,
}

/// A config file as a broker would load it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// Which copy counts.
    pub source: ConfigSource,
    /// The file.
    pub file: ConfigCopy<T>,
    /// Its `.bak`. Read in any case, also when the broker would not.
    pub bak: ConfigCopy<T>,
    /// Its `.tmp`, if there is one: left by a crash while the file was written, up to 5.0.0. Never read.
    pub tmp: Option<PathBuf>,
}

impl<T> Loaded<T> {
    fn decide(file: ConfigCopy<T>, bak: ConfigCopy<T>, tmp: Option<PathBuf>) -> Self {
        let source = match (&file.state, &bak.state) {
            (CopyState::Good | CopyState::WithoutTable, _) => ConfigSource::File,
            (_, CopyState::Good | CopyState::WithoutTable) => ConfigSource::Bak,
            (_, CopyState::Missing | CopyState::Empty | CopyState::MultiByte) => ConfigSource::None,
            (_, CopyState::Unreadable { .. } | CopyState::TooLarge | CopyState::Bad(_)) => ConfigSource::Refused,
        };
        Self { source, file, bak, tmp }
    }

    /// The copy that counts, or `None` if none does.
    pub fn copy(&self) -> Option<&ConfigCopy<T>> {
        match self.source {
            ConfigSource::File => Some(&self.file),
            ConfigSource::Bak => Some(&self.bak),
            ConfigSource::None | ConfigSource::Refused => None,
        }
    }

    /// What the broker would have, or `None` if no copy counts.
    pub fn value(&self) -> Option<&T> {
        self.copy().and_then(|copy| copy.value.as_ref())
    }

    /// [`value`](Self::value), by value.
    pub fn into_value(self) -> Option<T> {
        match self.source {
            ConfigSource::File => self.file.value,
            ConfigSource::Bak => self.bak.value,
            ConfigSource::None | ConfigSource::Refused => None,
        }
    }

    /// Whether there is a file of any of the names, good or bad.
    pub fn is_there(&self) -> bool {
        self.file.state != CopyState::Missing || self.bak.state != CopyState::Missing || self.tmp.is_some()
    }
}

/// One of the two folders that may hold `topics.json` and `subscriptionGroup.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigPlace {
    /// `config/` below the store root: all releases but 3.5.1 to 3.5.8.
    Root,
    /// `$HOME/store/config`: 3.5.1 to 3.5.8.
    Home,
}

/// A file that has two possible places.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Placed<T> {
    /// The one below the store root.
    pub root: Loaded<T>,
    /// The one in the home folder, if one was given.
    pub home: Option<Loaded<T>>,
}

impl<T> Placed<T> {
    /// The file as a release reads it that looks in `place`, or `None` if no home folder was given.
    pub fn at(&self, place: ConfigPlace) -> Option<&Loaded<T>> {
        match place {
            ConfigPlace::Root => Some(&self.root),
            ConfigPlace::Home => self.home.as_ref(),
        }
    }

    /// Where the file is: none, one or both places. Both means that one of them is stale.
    pub fn places(&self) -> Vec<ConfigPlace> {
        let there = |place: &ConfigPlace| self.at(*place).is_some_and(Loaded::is_there);
        [ConfigPlace::Root, ConfigPlace::Home].into_iter().filter(there).collect()
    }
}

impl<T: HasDataVersion> Placed<T> {
    /// The data versions of the root's and of the home's copy that counts.
    pub fn data_versions(&self) -> [Option<DataVersion>; 2] {
        let version = |loaded: &Loaded<T>| loaded.value().and_then(HasDataVersion::data_version);
        [version(&self.root), self.home.as_ref().and_then(version)]
    }

    /// The place whose file was changed last by its data version; the root if that does not tell, or if there is none.
    pub fn newest(&self) -> ConfigPlace {
        let [root, home] = self.data_versions();
        let home_is_newer = match (root, home) {
            (Some(root), Some(home)) => home.compare(&root).is_gt(),
            (None, Some(_)) => true,
            (None, None) => !self.root.is_there() && self.home.as_ref().is_some_and(Loaded::is_there),
            (Some(_), None) => false,
        };
        if home_is_newer { ConfigPlace::Home } else { ConfigPlace::Root }
    }
}

/// A table with a change counter of its own.
pub trait HasDataVersion {
    /// The counter, if the file has one.
    fn data_version(&self) -> Option<DataVersion>;
}

impl HasDataVersion for TopicConfigTable {
    fn data_version(&self) -> Option<DataVersion> {
        self.data_version
    }
}

impl HasDataVersion for SubscriptionGroupTable {
    fn data_version(&self) -> Option<DataVersion> {
        self.data_version
    }
}

/// What lies in a config folder, by name, each list sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigListing {
    /// Known files of which a copy is there (itself, `.bak` or `.tmp`).
    pub files: Vec<&'static str>,
    /// RocksDB databases. A JSON file beside them may be stale: which one counts is the broker's configuration.
    pub rocksdb: Vec<&'static str>,
    /// Everything else, without a guess at what it is.
    pub unknown: Vec<String>,
}

/// The config folder of a store. Nothing is read before a method asks for it, and nothing is ever written.
#[derive(Debug, Clone)]
pub struct ConfigDir {
    root: PathBuf,
    home: Option<PathBuf>,
    refuse_multi_byte: bool,
}

impl ConfigDir {
    /// The folder `config` below a store root; it need not exist.
    pub fn new(store_root: &Path) -> Self {
        Self { root: store_root.join("config"), home: None, refuse_multi_byte: false }
    }

    /// Also looks for `topics.json` and `subscriptionGroup.json` in `folder`, which is `$HOME/store/config` of the user
    /// that runs a 3.5.x broker.
    #[must_use]
    pub fn with_home(mut self, folder: Option<PathBuf>) -> Self {
        self.home = folder;
        self
    }

    /// Loads as 3.2.6 to 4.0.0 do under a UTF-8 locale: a file with any character of several bytes counts as empty.
    #[must_use]
    pub fn refusing_multi_byte(mut self, yes: bool) -> Self {
        self.refuse_multi_byte = yes;
        self
    }

    /// The folder below the store root.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The folder in the home directory, if one was given.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// `topics.json`, from both places.
    pub fn topics(&self) -> Placed<TopicConfigTable> {
        self.placed("topics.json")
    }

    /// `subscriptionGroup.json`, from both places.
    pub fn subscription_groups(&self) -> Placed<SubscriptionGroupTable> {
        self.placed("subscriptionGroup.json")
    }

    /// `consumerOffset.json`.
    pub fn consumer_offsets(&self) -> Loaded<ConsumerOffsetTable> {
        self.load("consumerOffset.json")
    }

    /// `lmqConsumerOffset.json`, which a broker with `enableLmq=true` uses in place of `consumerOffset.json`.
    pub fn lmq_consumer_offsets(&self) -> Loaded<ConsumerOffsetTable> {
        self.load("lmqConsumerOffset.json")
    }

    /// `delayOffset.json`.
    pub fn delay_offsets(&self) -> Loaded<DelayOffsetTable> {
        self.load("delayOffset.json")
    }

    /// `consumerFilter.json`.
    pub fn consumer_filters(&self) -> Loaded<ConsumerFilterTable> {
        self.load("consumerFilter.json")
    }

    /// A JSON file of this name in the folder below the store root.
    pub fn load<T: ConfigTable>(&self, name: &str) -> Loaded<T> {
        self.load_in(&self.root, name, T::TABLES, |document| T::from_root(&document.root))
    }

    /// A known JSON file as its text, with the copy chosen as for its table; `None` for a name that is not one.
    pub fn document(&self, place: ConfigPlace, name: &str) -> Option<Loaded<Document>> {
        let folder = match place {
            ConfigPlace::Root => &self.root,
            ConfigPlace::Home => self.home.as_ref()?,
        };
        let ConfigKind::Json { tables, check } = KNOWN_FILES.iter().find(|file| file.name == name)?.kind else {
            return None;
        };
        Some(self.load_in(folder, name, tables, |document| check(&document.root).map(|()| document)))
    }

    /// `timercheck`, or `None` if there is none.
    pub fn timercheck(&self) -> Result<Option<TimerCheckpoint>, StoreError> {
        let path = self.root.join("timercheck");
        match read_bounded(&path) {
            Ok((bytes, _)) => {
                TimerCheckpoint::parse(&bytes).map(Some).map_err(|source| StoreError::Format { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::io("read", path, source)),
        }
    }

    /// What lies in one of the folders; empty if it does not exist or was not given.
    pub fn list(&self, place: ConfigPlace) -> Result<ConfigListing, StoreError> {
        let folder = match place {
            ConfigPlace::Root => Some(self.root.as_path()),
            ConfigPlace::Home => self.home(),
        };
        folder.map_or_else(|| Ok(ConfigListing::default()), list)
    }

    fn placed<T: ConfigTable>(&self, name: &str) -> Placed<T> {
        let load = |folder: &PathBuf| self.load_in(folder, name, T::TABLES, |d| T::from_root(&d.root));
        Placed { root: load(&self.root), home: self.home.as_ref().map(load) }
    }

    pub(super) fn load_in<T>(
        &self,
        folder: &Path,
        name: &str,
        tables: &[&str],
        read: impl Fn(Document) -> Result<T, ConfigError>,
    ) -> Loaded<T> {
        let copy = |name: String| self.read_copy(folder.join(name), tables, &read);
        let tmp = folder.join(format!("{name}.tmp"));
        let tmp = tmp.symlink_metadata().is_ok().then_some(tmp);
        Loaded::decide(copy(name.to_owned()), copy(format!("{name}.bak")), tmp)
    }

    fn read_copy<T>(
        &self,
        path: PathBuf,
        tables: &[&str],
        read: impl Fn(Document) -> Result<T, ConfigError>,
    ) -> ConfigCopy<T> {
        let inside = path.join(UTF8_FOLDER_ENTRY);
        let in_utf8_folder = inside.is_file();
        let path = if in_utf8_folder { inside } else { path };
        let (content, state) = match read_bounded(&path) {
            Ok(content) => (Some(content), None),
            Err(error) => (None, Some(error_state(&error))),
        };
        let (bytes, metadata) = content.unzip();
        let metadata = metadata.or_else(|| fs::metadata(&path).ok());
        let mut copy = ConfigCopy {
            path,
            state: CopyState::Missing,
            bytes: metadata.as_ref().map_or(0, Metadata::len),
            modified: metadata.and_then(|m| m.modified().ok()),
            in_utf8_folder,
            facts: None,
            value: None,
        };
        let Some(bytes) = bytes else {
            copy.state = state.unwrap_or(CopyState::Missing);
            return copy;
        };
        copy.bytes = bytes.len() as u64;
        if bytes.is_empty() {
            copy.state = CopyState::Empty;
        } else if self.refuse_multi_byte && !bytes.is_ascii() && std::str::from_utf8(&bytes).is_ok() {
            copy.state = CopyState::MultiByte;
        } else {
            copy.parse(&bytes, tables, read);
        }
        copy
    }
}

impl<T> ConfigCopy<T> {
    fn parse(&mut self, bytes: &[u8], tables: &[&str], read: impl Fn(Document) -> Result<T, ConfigError>) {
        let parsed = fastjson::parse(bytes).and_then(|document| {
            let has_table = tables.iter().any(|t| document.root.get(t).is_some_and(|n| n.value != Value::Null));
            Ok((document.facts, has_table, read(document)?))
        });
        match parsed {
            Ok((facts, has_table, value)) => {
                self.state = if has_table { CopyState::Good } else { CopyState::WithoutTable };
                (self.facts, self.value) = (Some(facts), Some(value));
            }
            Err(error) => self.state = CopyState::Bad(error),
        }
    }
}

/// The bytes of a regular file of at most [`MAX_CONFIG_BYTES`], and its metadata.
fn read_bounded(path: &Path) -> io::Result<(Vec<u8>, Metadata)> {
    // Asked before the file is opened, because opening a pipe waits for its writer.
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(if metadata.is_dir() { io::ErrorKind::IsADirectory } else { io::ErrorKind::InvalidInput }.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CONFIG_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_CONFIG_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok((bytes, metadata)) }
}

fn error_state(error: &io::Error) -> CopyState {
    match error.kind() {
        io::ErrorKind::NotFound => CopyState::Missing,
        io::ErrorKind::FileTooLarge => CopyState::TooLarge,
        reason => CopyState::Unreadable { reason },
    }
}

fn list(folder: &Path) -> Result<ConfigListing, StoreError> {
    let failed = |source| StoreError::io("list", folder, source);
    let mut found = BTreeMap::new();
    match fs::read_dir(folder) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let is_folder = entry.file_type().map_err(failed)?.is_dir();
                found.insert(entry.file_name().to_string_lossy().into_owned(), is_folder);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut listing = ConfigListing::default();
    for (name, is_folder) in found {
        let base = name.strip_suffix(".bak").or_else(|| name.strip_suffix(".tmp")).unwrap_or(&name);
        let in_place = !is_folder || folder.join(&name).join(UTF8_FOLDER_ENTRY).is_file();
        if let Some((database, _)) = ROCKSDB_FOLDERS.iter().find(|(folder, _)| *folder == name && is_folder) {
            listing.rocksdb.push(database);
        } else if let Some(file) = KNOWN_FILES.iter().find(|file| file.name == base && in_place) {
            listing.files.push(file.name);
        } else {
            listing.unknown.push(name);
        }
    }
    listing.files.sort_unstable();
    listing.files.dedup();
    Ok(listing)
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
