//! RocksDB databases: are their files there, do their checksums fit, and what do queues and offsets in them say.
//!
//! Keys and values are read with the crate's own reader of the format. Writes that are only in a write-ahead log are not
//! applied: queues are written without one, and of other databases it is said that they were left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mqstore_core::format::config::consumer_offset::split_topic_at_group;
use mqstore_core::format::rocksdb::rows::{UnitKey, UnitValue, V2Key, V2Table};
use mqstore_core::format::rocksdb::{LogRecords, RecordsEnd, SstError, SstFile};
use mqstore_core::store::rocksdb_rows::RocksDbQueues;
use mqstore_core::store::{MappedFile, RocksDb, RocksDbFileKind, SpecialKind};
use mqstore_core::{PhysicalOffset, StoreError};

use super::commitlog::LogFacts;
use super::facts::config_dir;
use super::logreader::LogReader;
use super::queue_state::{QueueState, Special};
use super::queues::Queues;
use super::units::{Unit, Walk};
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// Where databases may lie below the store root.
const PLACES: &[&str] = &[
    "consumequeue",
    "consumequeue_rocksdb",
    "kvStore",
    "rocksdbstore",
    "RocksDBMessageStore",
    "config/topics",
    "config/subscriptionGroups",
    "config/consumerOffsets",
    "config/rdb",
    "config/users",
    "config/acls",
];
/// Bytes of files whose units are held in memory at a time. They are compressed: about twelve times that is needed.
const UNIT_BYTES: u64 = 16 << 20;

/// An offset that a group committed, kept in a database.
#[derive(Debug)]
pub(super) struct RocksDbOffset {
    /// The database, relative to the store root.
    pub(super) path: String,
    pub(super) topic: String,
    pub(super) group: String,
    pub(super) queue_id: i32,
    pub(super) offset: i64,
}

/// What the databases say.
#[derive(Debug, Default)]
pub(super) struct Databases {
    queues: Vec<(RocksDb, RocksDbQueues)>,
    pub(super) offsets: Vec<RocksDbOffset>,
    /// How often the table of each database was changed, by the name of its folder; `None` where no row tells it.
    pub(super) counters: BTreeMap<String, Option<i64>>,
}

/// Opens the databases, looks at their files, and makes their queues known to `queues`.
pub(super) fn open(cx: &mut Context<'_>, queues: &mut Queues) -> Databases {
    let mut databases = Databases::default();
    without_current(cx);
    for (kind, dir) in cx.store.rocksdb_dirs() {
        let path = cx.relative(&dir);
        let database = match RocksDb::open(kind, &dir) {
            Ok(database) => database,
            Err(error) => {
                not_opened(cx, &path, &error);
                continue;
            }
        };
        cx.report.coverage.files.total += database.files().len() as u64;
        cx.report.coverage.files.seen += database.files().len() as u64;
        let whole = files(cx, &database, &path);
        if !(whole && blocks(cx, &database)) {
            cx.report.skip(&path, "the database is damaged: what it says was not looked at");
            continue;
        }
        let waiting = database.wal_bytes();
        if waiting > 0 && kind != SpecialKind::RocksDbQueues {
            let why = format!("{waiting} bytes of its newest writes are in the write-ahead log, which is not applied");
            cx.report.skip(&path, why);
        }
        let read = match kind {
            SpecialKind::RocksDbQueues => database.queues().map(|rows| {
                known(cx, queues, &rows);
                databases.queues.push((database, rows));
            }),
            SpecialKind::RocksDbConfig => config(cx, &mut databases, &database, &path),
            _ => Ok(()),
        };
        if let Err(error) = read {
            cx.unreadable(&error);
        }
    }
    let committed = &databases.offsets;
    not_imported(cx, committed);
    databases
}

/// Files of a database without the one that names its manifest: a broker makes a new, empty database there.
fn without_current(cx: &mut Context<'_>) {
    for place in PLACES {
        let dir = cx.store.root().join(place);
        let names = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let is_part =
            |name: &str| name.starts_with("MANIFEST-") || Path::new(name).extension().is_some_and(|e| e == "sst");
        let parts = names.filter(|name| is_part(&name.to_string_lossy())).count();
        if parts > 0 && !dir.join("CURRENT").is_file() {
            let message = format!("{parts} files of a RocksDB database in {place} and no CURRENT");
            cx.push(finding("store.rocksdb-open", Location::path(*place), message));
            cx.report.skip(*place, "the database cannot be opened");
        }
    }
}

fn not_opened(cx: &mut Context<'_>, path: &str, error: &StoreError) {
    let missing = matches!(error, StoreError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
    match error {
        StoreError::Io { .. } if !missing => cx.unreadable(error),
        _ => {
            let cause = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            let at = Location::path(cx.relative(error.path()));
            let message = format!("the database in {path} cannot be opened: {error}{cause}");
            cx.push(finding("store.rocksdb-open", at, message));
            cx.report.skip(path, "the database cannot be opened");
        }
    }
}

/// The set of files against the manifest; whether all that it names are there.
fn files(cx: &mut Context<'_>, database: &RocksDb, path: &str) -> bool {
    for missing in database.missing() {
        let name = cx.relative(&database.sst_path(missing.number));
        let found = missing.found.map_or("no file".to_owned(), |length| format!("{length} bytes"));
        let message = format!("{name}: {found}, the manifest says {} bytes", missing.expected);
        let at = Location::path(name);
        cx.push(finding("store.rocksdb-file", at, message).values(missing.expected, found));
    }
    let manifest = database.manifest();
    let at = || Location::path(format!("{path}/{}", database.manifest_name()));
    if manifest.end == RecordsEnd::Torn {
        let found = finding("store.rocksdb-manifest", at(), "the manifest ends in the middle of an edit");
        cx.push(if cx.facts.in_motion() { at_most(Severity::Info, found) } else { found });
    }
    let highest = manifest.live_files().map(|(_, file)| file.number).max().unwrap_or(0);
    if highest >= manifest.next_file_number {
        let message = format!("file {highest} is in use, the next number is {}", manifest.next_file_number);
        cx.push(
            finding("store.rocksdb-manifest", at(), message)
                .values(highest.saturating_add(1), manifest.next_file_number),
        );
    }
    let oldest = manifest.oldest_log_needed();
    let has_log = database.files().iter().any(|file| matches!(file.kind, RocksDbFileKind::Wal(n) if n >= oldest));
    if !has_log {
        let message = format!("no write-ahead log from number {oldest} on, which the manifest still needs");
        let found = finding("store.rocksdb-manifest", at(), message);
        let found = found.values(format_args!("{oldest:06}.log"), "none");
        // Queues are written without a log.
        let harmless = database.kind() == SpecialKind::RocksDbQueues;
        cx.push(if harmless { at_most(Severity::Info, found) } else { found });
    }
    database.missing().is_empty()
}

/// Reads every block of every file, and every record of the logs; whether all their checksums fit.
fn blocks(cx: &mut Context<'_>, database: &RocksDb) -> bool {
    if !cx.is_full() {
        return true;
    }
    let (mut sound, mut newest) = (true, 0);
    for (_, file) in database.manifest().live_files() {
        let path = database.sst_path(file.number);
        let visited = MappedFile::open(&path).and_then(|map| {
            let visited = SstFile::parse(&map).and_then(|sst| sst.visit(|entry| newest = newest.max(entry.sequence)));
            map.check().map(|()| visited)
        });
        cx.total += file.size;
        if !cx.advance(file.size) {
            return false;
        }
        let path = cx.relative(&path);
        match visited {
            Ok(Ok(())) => continue,
            Ok(Err(SstError::Format(error))) => {
                let at = Location::path(&path).at(error.offset);
                let message = format!("{path}: {error}");
                cx.push(finding("store.rocksdb-block", at, message));
            }
            Ok(Err(other)) => cx.report.skip(path, other.to_string()),
            Err(error) => cx.unreadable(&error),
        }
        sound = false;
    }
    let last = database.manifest().last_sequence;
    if sound && newest > last {
        let message = format!("a write has number {newest}, the manifest ends at {last}");
        let at = Location::path(cx.relative(&database.dir().join(database.manifest_name())));
        cx.push(finding("store.rocksdb-manifest", at, message).values(format_args!("{newest} or more"), last));
    }
    let oldest = database.manifest().oldest_log_needed();
    for file in database.files() {
        if !matches!(file.kind, RocksDbFileKind::Wal(number) if number >= oldest) {
            continue;
        }
        let map = match MappedFile::open(&file.path) {
            Ok(map) => map,
            Err(error) => {
                cx.unreadable(&error);
                continue;
            }
        };
        if let Some(Err(error)) = LogRecords::new(&map).find(Result::is_err) {
            let path = cx.relative(&file.path);
            let message = format!("{path}: {error}");
            cx.push(finding("store.rocksdb-block", Location::path(path).at(error.offset), message));
        }
    }
    sound
}

/// Makes the queues of a database known.
fn known(cx: &mut Context<'_>, queues: &mut Queues, rows: &RocksDbQueues) {
    cx.facts.rocksdb_queues = false;
    queues.in_rocksdb = true;
    // Queues of both kinds, those of them that end earlier in files, and those that do in the database.
    let (mut both, mut files_behind, mut rows_behind) = (0u64, 0u64, 0u64);
    for ((topic, queue_id), range) in &rows.ranges {
        let end = u64::try_from(range.last_physical_offset).map_or(0, |last| last.saturating_add(1));
        let range = (range.min_offset.get(), range.max_offset.get());
        if let Some(in_files) = queues.get(topic, *queue_id).and_then(QueueState::last_physical_offset) {
            both += 1;
            if in_files.saturating_add(1) > end {
                rows_behind += 1;
                continue;
            }
            if in_files.saturating_add(1) < end {
                files_behind += 1;
                queues.forget_files(topic, *queue_id);
            }
        }
        queues.add_special(topic, *queue_id, Special::new(end, range));
    }
    if files_behind + rows_behind > 0 {
        let message = format!(
            "{both} queues lie in files and in RocksDB: {files_behind} end earlier in files, {rows_behind} in RocksDB; \
             those that end earlier were not looked at"
        );
        cx.push(finding("queue.two-kinds", Location::path("consumequeue"), message));
    }
    // An abnormal start dispatches from the file on that holds the mark of the dispatcher.
    let mark = rows.dispatched.map_or(0, PhysicalOffset::get);
    let file = cx.log_files().into_iter().rev().find(|file| file.file_from_offset <= mark);
    cx.facts.abnormal_from = file.map_or(0, |file| file.file_from_offset);
}

/// Topics and committed offsets of a database.
fn config(cx: &mut Context<'_>, databases: &mut Databases, database: &RocksDb, path: &str) -> Result<(), StoreError> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let rows = database.rows("default", |_| true)?;
    let mut bad = 0u64;
    let mut topics = BTreeSet::new();
    for (key, value) in &rows {
        let mut offset = |topic: String, group: String, queue_id: i32, offset: i64| {
            databases.offsets.push(RocksDbOffset { path: path.to_owned(), topic, group, queue_id, offset });
        };
        if path.ends_with("rdb") {
            match V2Key::parse(key) {
                Some(V2Key::Offset { table: V2Table::ConsumerOffset, group, topic, queue_id }) if value.len() == 8 => {
                    let number = mqstore_core::bytes::i64_at(value, 0).unwrap_or(0);
                    offset(text(topic), text(group), queue_id, number);
                }
                Some(V2Key::Named(..))
                    if value.split_first().is_none_or(|(kind, json)| *kind != 1 || !is_json(json)) =>
                {
                    bad += 1;
                }
                Some(_) => {}
                None => bad += 1,
            }
            continue;
        }
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(value) else {
            bad += 1;
            continue;
        };
        if path.ends_with("topics") {
            topics.insert(text(key));
        } else if path.ends_with("consumerOffsets") {
            let name = text(key);
            let table = json.get("offsetTable").and_then(serde_json::Value::as_object);
            match (split_topic_at_group(&name), table) {
                (Some((topic, group)), Some(table)) => {
                    for (queue, value) in table {
                        match (queue.parse(), value.as_i64()) {
                            (Ok(queue), Some(value)) => offset(topic.to_owned(), group.to_owned(), queue, value),
                            _ => bad += 1,
                        }
                    }
                }
                _ => bad += 1,
            }
        }
    }
    if path.ends_with("topics") {
        // Which of topics.json and the database counts is the broker's configuration.
        topics.extend(cx.facts.topics.take().unwrap_or_default());
        cx.facts.topics = Some(topics);
    }
    let version = database.rows("kvDataVersion", |key| key == b"kvDataVersionKey")?;
    let version = version.into_values().next().and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    let counter = version.and_then(|version| version.get("counter")?.as_i64());
    let name = path.rsplit('/').next().unwrap_or_default();
    databases.counters.insert(name.to_owned(), counter);
    if bad > 0 {
        let message = format!("{bad} rows of {path} are not what a broker writes");
        cx.push(finding("config.rocksdb-row", Location::path(path), message));
    }
    Ok(())
}

fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

/// Offsets of a `consumerOffset.json` that a switch to RocksDB does not take over, because its counter is 0.
fn not_imported(cx: &mut Context<'_>, committed: &[RocksDbOffset]) {
    let loaded = config_dir(cx.store).consumer_offsets();
    let has_database = cx.store.root().join("config/consumerOffsets/CURRENT").is_file();
    let Some(table) = loaded.value().filter(|_| has_database) else { return };
    if table.data_version.is_some_and(|version| version.counter != 0) {
        return;
    }
    let stored: BTreeMap<(&str, &str, i32), i64> = committed
        .iter()
        .filter(|row| row.path.ends_with("consumerOffsets"))
        .map(|row| ((row.topic.as_str(), row.group.as_str(), row.queue_id), row.offset))
        .collect();
    let behind = table.committed().filter(|json| {
        let now = stored.get(&(json.topic, json.group, json.queue_id)).copied().unwrap_or(0);
        json.offset > now
    });
    let behind: Vec<_> = behind.collect();
    if let Some(first) = behind.first() {
        let message = format!(
            "{} offsets of consumerOffset.json are ahead of the database, and its counter is 0: it was not imported",
            behind.len()
        );
        let at = Location::path("config/consumerOffset.json").in_queue(first.topic, first.queue_id);
        let at = at.at_unit(first.offset).of_group(first.group);
        cx.push(finding("offsets.not-imported", at, message).values(0, behind.len()));
    }
}

/// Compares the rows of the queues with each other and with the log.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, databases: &Databases, log: &LogFacts) {
    for (database, rows) in &databases.queues {
        if cx.stopped {
            return;
        }
        let path = cx.relative(database.dir());
        ends(cx, rows, &path, log);
        if cx.is_full()
            && let Err(error) = units(cx, queues, database, rows, &path, log)
        {
            cx.unreadable(&error);
        }
    }
}

/// The ends of the queues against the mark of the dispatcher, and the mark against the log.
fn ends(cx: &mut Context<'_>, rows: &RocksDbQueues, path: &str, log: &LogFacts) {
    if rows.unknown_rows > 0 {
        let message = format!("{} rows of the family offset are not what a broker writes", rows.unknown_rows);
        cx.push(finding("queue.rocksdb-row", Location::path(path), message).values(0, rows.unknown_rows));
    }
    let Some(mark) = rows.dispatched.map(PhysicalOffset::get) else {
        if !rows.ranges.is_empty() {
            let message = "no row says how far the log was dispatched";
            cx.push(finding("queue.rocksdb-range", Location::path(path), message));
        }
        return;
    };
    if log.reached_end && mark > log.end && !log.scanned_nothing() {
        let message = format!("dispatched up to {mark}, the log ends at {}", log.end);
        let found = finding("queue.rocksdb-range", Location::path(path), message);
        let found = found.values(format_args!("at most {}", log.end), mark);
        cx.push(if cx.facts.in_motion() { at_most(Severity::Info, found) } else { found });
    }
    for ((topic, queue_id), range) in &rows.ranges {
        let at = || Location::path(path).in_queue(topic, *queue_id);
        let (min, max) = (range.min_offset.get(), range.max_offset.get());
        if min > max {
            let message = format!("{topic:?} queue {queue_id} begins at {min} and ends at {max}");
            cx.push(finding("queue.rocksdb-range", at(), message).values(format_args!("at most {max}"), min));
        }
        let last = range.last_physical_offset;
        if last < 0 || last.cast_unsigned() >= mark.max(1) {
            let message = format!("last unit of {topic:?} queue {queue_id} is at {last}, dispatched up to {mark}");
            cx.push(finding("queue.rocksdb-range", at(), message).values(format_args!("below {mark}"), last));
        }
    }
}

fn units(
    cx: &mut Context<'_>,
    queues: &Queues,
    database: &RocksDb,
    rows: &RocksDbQueues,
    path: &str,
    log: &LogFacts,
) -> Result<(), StoreError> {
    let bytes: u64 = database
        .manifest()
        .column_family("default")
        .map_or(0, |family| family.files.values().map(|file| file.size).sum());
    let parts = bytes.div_ceil(UNIT_BYTES).max(1);
    let mut reader = LogReader::new(cx.log);
    let mut bad = 0;
    for part in 0..parts {
        let wanted = |key: &[u8]| match UnitKey::parse(key) {
            Some(key) => part_of(key.topic, key.queue_id, parts) == part,
            None => part == 0,
        };
        let all = database.rows("default", wanted)?;
        bad += all
            .iter()
            .filter(|(key, value)| UnitKey::parse(key).is_none() || UnitValue::parse(value).is_none())
            .count();
        for ((topic, queue_id), range) in &rows.ranges {
            if part_of(topic.as_bytes(), *queue_id, parts) != part {
                continue;
            }
            let Some(state) = queues.get(topic, *queue_id) else { continue };
            let max = i64::try_from(range.max_offset.get()).unwrap_or(i64::MAX);
            let of_queue = all.range(unit_key(topic, *queue_id, 0)..unit_key(topic, *queue_id, max));
            let mut walk = Walk::new(topic, *queue_id);
            let mut last = None;
            for (key, value) in of_queue {
                let (Some(key), Some(value)) = (UnitKey::parse(key), UnitValue::parse(value)) else { continue };
                last = Some((key.queue_offset, value.unit.physical_offset));
                let at = || Location::path(path).in_queue(topic, *queue_id).at_unit(key.queue_offset);
                let (plain, store_timestamp) = (value.unit, value.store_timestamp);
                let unit = Unit { queue_offset: key.queue_offset, messages: 1, plain, store_timestamp };
                walk.step(cx, &mut reader, log, at, unit);
            }
            let expected = Some((max.saturating_sub(1), range.last_physical_offset));
            // A queue that was made to go on from another one ends at 0.
            if last != expected && range.last_physical_offset != 0 {
                let text = |unit: Option<(i64, i64)>| {
                    unit.map_or("none".to_owned(), |(offset, physical)| format!("{offset} at {physical}"))
                };
                let message = format!(
                    "the end of {topic:?} queue {queue_id} is unit {}, its last row is {}",
                    text(expected),
                    text(last)
                );
                let at = Location::path(path).in_queue(topic, *queue_id).at_unit(max);
                cx.push(finding("queue.rocksdb-range", at, message).values(text(expected), text(last)));
            }
            walk.finish(cx, state, log);
            if cx.stopped {
                return Ok(());
            }
        }
    }
    if bad > 0 {
        let message = format!("{bad} rows of the family default are not what a broker writes");
        cx.push(finding("queue.rocksdb-row", Location::path(path), message).values(0, bad));
    }
    Ok(())
}

/// Which part of the queues one belongs to.
fn part_of(topic: &[u8], queue_id: i32, parts: u64) -> u64 {
    let mixed = topic.iter().fold(u64::from(queue_id.cast_unsigned()), |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mixed % parts
}

/// The key of a unit, as `RocksDBConsumeQueueTable` writes it.
fn unit_key(topic: &str, queue_id: i32, queue_offset: i64) -> Vec<u8> {
    let length = u32::try_from(topic.len()).unwrap_or(u32::MAX);
    let mut key = length.to_be_bytes().to_vec();
    key.push(1);
    key.extend(topic.as_bytes());
    key.push(1);
    key.extend(queue_id.to_be_bytes());
    key.push(1);
    key.extend(queue_offset.to_be_bytes());
    key
}
