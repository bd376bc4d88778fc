//! One hammer per file format: it reads hostile bytes through every reader of `mqstore-core` for that format.
//!
//! A hammer fails by panicking: because a reader did, or because what it read contradicts itself. The fuzz targets call
//! them, and so does an ordinary test, with the inputs that once failed and with recorded files after random damage.

use std::path::Path;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::batchconsumequeue::BatchCqUnits;
use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::format::commitlog::{
    Entries, Entry, InnerMessages, MessageRecord, MultiDispatch, Properties, names, resync,
};
use mqstore_core::format::config::consumer_filter::ConsumerFilterTable;
use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::format::config::delay_offset::DelayOffsetTable;
use mqstore_core::format::config::other::{
    ConsumerOrderInfoTable, MessageRequestModeTable, MetricsTable, TopicQueueMappingTable,
};
use mqstore_core::format::config::position_checkpoint::PositionCheckpoint;
use mqstore_core::format::config::subscription_group::SubscriptionGroupTable;
use mqstore_core::format::config::timercheck::TimerCheckpoint;
use mqstore_core::format::config::topics::TopicConfigTable;
use mqstore_core::format::config::{ConfigTable, KeyOrder, fastjson as dialect};
use mqstore_core::format::consumequeue::{CqUnits, TagsCode};
use mqstore_core::format::consumequeue_ext::CqExtUnits;
use mqstore_core::format::dledger::{DataEntries, DataEntry, DledgerIndexUnit, DledgerProperties};
use mqstore_core::format::index::{IndexFile, IndexGeometry};
use mqstore_core::format::pop::PopRecord;
use mqstore_core::format::rocksdb::{LogRecords, Manifest, crc32c, current_manifest, mask_crc};
use mqstore_core::format::timer::{TimerEntries, TimerEntry, TimerWheel};
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;

/// Reads bytes and panics if a reader does.
pub type Hammer = fn(&[u8]);

/// The name of every hammer, which is that of its fuzz target and of its folder under `testdata/fuzz-artifacts`.
pub const HAMMERS: &[(&str, Hammer)] = &[
    ("batchconsumequeue", batchconsumequeue),
    ("broker_conf", broker_conf),
    ("checkpoint", checkpoint),
    ("commitlog", commitlog),
    ("consumequeue", consumequeue),
    ("consumequeue_ext", consumequeue_ext),
    ("dledger", dledger),
    ("fastjson", fastjson),
    ("index", index),
    ("rocksdb", rocksdb),
    ("timer", timer),
];

/// Units of batch and compaction queues.
pub fn batchconsumequeue(bytes: &[u8]) {
    let units = BatchCqUnits::new(bytes);
    let capacity = units.capacity();
    assert_eq!(units.iter().count() as u64, capacity);
    let valid = units.valid_prefix();
    for (n, unit) in units.iter().enumerate() {
        let n = n as u64;
        assert_eq!(units.get(n), Some(unit));
        assert!(if n < valid { unit.is_valid() } else { n != valid || !unit.is_valid() });
        assert!(!unit.is_valid() || !unit.is_marker() && !unit.is_zero());
        assert!(!unit.is_valid() || unit.next_offset() > unit.base_offset.cast_unsigned());
        assert!(!unit.is_valid() || unit.physical_end() > unit.physical_offset.cast_unsigned());
    }
    assert_eq!(units.get(capacity), None);
    assert_eq!(units.get(u64::MAX), None);
}

/// `broker.conf`, and what releases make of it.
pub fn broker_conf(bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    let conf = match BrokerConf::parse(bytes) {
        Ok(conf) => conf,
        Err(error) => {
            assert!((1..=lines).contains(&error.line));
            return;
        }
    };
    let mut above = 0;
    for entry in conf.entries() {
        assert!(entry.line > above && entry.line <= lines);
        above = entry.line;
        assert!(conf.get(&entry.key).is_some_and(|last| last.line >= entry.line));
    }
    for release in [Release::OLDEST, Release::V4_3_2, Release::V4_9_7, Release::NEWEST] {
        let resolved = conf.resolve(release, Path::new("/home"));
        assert_eq!(resolved.release, release);
        assert!(!resolved.commit_log_paths.value.is_empty());
        assert_eq!(resolved.mapped_file_size_consume_queue.value % 20, 0);
        for note in conf.lint(release) {
            assert!(
                note.line == 0 || conf.entries().iter().any(|entry| entry.line == note.line && entry.key == note.key)
            );
            assert!(!note.says.is_empty());
        }
    }
}

/// The flush marks of the store and of its timer.
pub fn checkpoint(bytes: &[u8]) {
    assert_eq!(TimerCheckpoint::parse(bytes).is_ok(), bytes.len() >= 56);
    match Checkpoint::parse(bytes) {
        Ok(marks) => {
            assert!(bytes.len() >= 48);
            assert!(marks.min_timestamp() >= 0 && marks.min_timestamp_index() <= marks.min_timestamp());
        }
        Err(error) => assert!(bytes.len() < 48 && error.offset < 48),
    }
}

/// Message records and blanks, properties and compressed bodies.
pub fn commitlog(bytes: &[u8]) {
    // A piece of a file begins where its first record says, so that pieces from the middle of a log are good seeds.
    let stated = bytes.get(28..36).and_then(|field| field.try_into().ok()).map_or(0, i64::from_be_bytes);
    let base = PhysicalOffset(stated.clamp(0, 1 << 62).cast_unsigned());
    let mut expected = base;
    let mut ended = false;
    for entry in Entries::new(bytes, base) {
        assert!(!ended, "something follows a blank or an error");
        match entry {
            Ok(Entry::Message(record)) => {
                assert_eq!(record.position, expected);
                assert_eq!(record.bytes.len(), record.total_size() as usize);
                message(&record);
                expected = record.end();
                assert!(expected > record.position);
            }
            Ok(Entry::Blank(blank)) => {
                assert_eq!(blank.position, expected);
                ended = true;
            }
            Err(error) => {
                assert!(error.offset >= expected.get() && error.offset <= base.get() + bytes.len() as u64);
                ended = true;
            }
        }
    }
    let behind_the_end = usize::try_from(expected.since(base)).unwrap_or(usize::MAX);
    for relative in [0, 1, bytes.len() / 2, behind_the_end, bytes.len(), usize::MAX] {
        if let Some(record) = resync(bytes, base, relative) {
            assert!(record.position >= base + relative as u64);
            assert_eq!(record.physical_offset.cast_unsigned(), record.position.get());
            message(&record);
        }
        let mut entries = Entries::starting_at(bytes, base, relative);
        assert!(entries.by_ref().count() <= bytes.len() / 8 + 1);
    }
    if let Ok(record) = MessageRecord::parse_with_short_store_host(bytes, base) {
        message(&record);
    }
    properties(Properties::new(bytes));
    inner_messages(InnerMessages::new(bytes), bytes.len());
}

fn inner_messages(messages: InnerMessages<'_>, length: usize) {
    let mut expected = 0;
    let mut ended = false;
    for message in messages {
        assert!(!ended, "something follows an error");
        match message {
            Ok(message) => {
                assert_eq!(message.position, expected);
                expected += 22 + message.body.len() + message.properties.as_bytes().len();
                assert!(expected <= length);
            }
            Err(error) => {
                assert!(error.offset >= expected as u64 && error.offset <= length as u64);
                ended = true;
            }
        }
    }
}

fn message(record: &MessageRecord<'_>) {
    let variable = record.body.len() + record.topic.len() + record.properties.as_bytes().len();
    assert!(variable < record.bytes.len());
    let _ = record.check_body_crc();
    let _ = record.check_property_crc();
    let _ = record.topic_str();
    let hosts = [record.born_host().to_string(), record.store_host().to_string()];
    assert!(hosts.iter().all(|host| host.contains(':')));
    assert!(matches!(record.offset_message_id().len(), 32 | 56));
    if let Ok(body) = record.decompressed_body(1 << 16) {
        assert!(body.len() <= 1 << 16);
    }
    properties(record.properties);
    if let Some(messages) = record.inner_messages() {
        inner_messages(messages, record.body.len());
    }
    assert!(record.properties.get(names::INNER_NUM).is_some() || record.batch_span().batch_size == 1);
    let _ = record.multi_dispatch_exemption();
    if let Some(MultiDispatch::Queues(queues) | MultiDispatch::BadOffset { before: queues, .. }) =
        record.multi_dispatch()
    {
        assert!(queues.len() <= record.properties.as_bytes().len());
    }
}

fn properties(properties: Properties<'_>) {
    let mut last = None;
    for (name, value) in properties.iter() {
        assert!(!name.is_empty() && !value.is_empty());
        last = Some((name, value));
    }
    if let Some((name, value)) = last
        && let Ok(text) = std::str::from_utf8(name)
    {
        assert_eq!(properties.get(text), Some(value), "the last value of a name is the one that counts");
        assert!(properties.get_str(text).is_some());
    }
    assert_eq!(properties.to_map().is_empty(), last.is_none());
    assert!(properties.keys().all(|key| !key.is_empty() && !key.contains(&b' ')));
}

/// Queue units.
pub fn consumequeue(bytes: &[u8]) {
    let units = CqUnits::new(bytes);
    let capacity = units.capacity();
    assert_eq!(units.iter().count() as u64, capacity);
    let valid = units.valid_prefix();
    assert!(valid <= capacity);
    for (n, unit) in units.iter().enumerate() {
        let n = n as u64;
        assert_eq!(units.get(n), Some(unit));
        assert!(n >= valid || unit.is_valid());
        assert!(n != valid || !unit.is_valid());
        assert!(unit.is_valid() || !unit.is_pre_blank());
        assert!(!unit.is_valid() || unit.physical_end() > unit.physical_offset.cast_unsigned());
        let code = match unit.tags_code_kind() {
            TagsCode::Hash(hash) => i64::from(hash),
            TagsCode::DueTime(time) => time,
            TagsCode::ExtAddress(address) => address.cast_signed().wrapping_add(i64::MIN),
        };
        assert_eq!(code, unit.tags_code);
    }
    assert_eq!(units.get(capacity), None);
    assert_eq!(units.get(u64::MAX), None);
}

/// Units of a queue extension.
pub fn consumequeue_ext(bytes: &[u8]) {
    let mut expected = 0;
    let mut ended = false;
    for unit in CqExtUnits::new(bytes) {
        assert!(!ended, "something follows an error");
        match unit {
            Ok(unit) => {
                assert_eq!(unit.position, expected);
                expected += unit.length();
                assert!(expected <= bytes.len());
            }
            Err(error) => {
                assert!(error.offset >= expected as u64 && error.offset <= bytes.len() as u64);
                ended = true;
            }
        }
    }
}

/// Entries of a DLedger data file, index units and properties.
pub fn dledger(bytes: &[u8]) {
    // A piece of a file begins where its first entry says.
    let stated = bytes.get(24..32).and_then(|field| field.try_into().ok()).map_or(0, i64::from_be_bytes);
    let base = PhysicalOffset(stated.clamp(0, 1 << 62).cast_unsigned());
    let mut expected = base;
    let mut ended = false;
    for entry in DataEntries::starting_at(bytes, base, 0) {
        assert!(!ended, "something follows a blank or an error");
        match entry {
            Ok(DataEntry::Entry(entry)) => {
                assert_eq!((entry.position, entry.stored_position.cast_unsigned()), (expected, expected.get()));
                if let Ok(record) = entry.record() {
                    assert_eq!(record.end(), entry.end());
                    message(&record);
                }
                expected = entry.end();
            }
            Ok(DataEntry::Blank(blank)) => {
                assert_eq!(blank.position, expected);
                ended = true;
            }
            Err(error) => {
                assert!(error.offset >= expected.get() && error.offset <= base.get() + bytes.len() as u64);
                ended = true;
            }
        }
    }
    assert_eq!(DledgerIndexUnit::read(bytes).is_some(), bytes.len() >= 32);
    assert!(DledgerProperties::parse(bytes).0.len() <= bytes.len());
}

/// The JSON of `config/` and every table read from it.
pub fn fastjson(bytes: &[u8]) {
    let document = match dialect::parse(bytes) {
        Ok(document) => document,
        Err(error) => {
            assert!(error.offset <= bytes.len() as u64);
            assert!(dialect::to_strict_json(bytes, KeyOrder::AsWritten).is_err());
            assert!(TopicConfigTable::parse(bytes).is_err());
            return;
        }
    };
    for order in [KeyOrder::AsWritten, KeyOrder::Sorted] {
        let strict = document.root.to_strict_json(order);
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&strict).is_ok(), "strict JSON that is none: {strict}");
        // A reference that was resolved is written as what it names, so only texts without one must come out the same.
        if !strict.contains("$ref") {
            assert_eq!(dialect::to_strict_json(strict.as_bytes(), order).as_deref(), Ok(strict.as_str()));
        }
    }
    table::<TopicConfigTable>(bytes);
    table::<SubscriptionGroupTable>(bytes);
    table::<DelayOffsetTable>(bytes);
    table::<ConsumerFilterTable>(bytes);
    table::<TopicQueueMappingTable>(bytes);
    table::<ConsumerOrderInfoTable>(bytes);
    table::<MessageRequestModeTable>(bytes);
    table::<MetricsTable>(bytes);
    table::<PositionCheckpoint>(bytes);
    for tag in [&b"ck"[..], b"ack", b"bAck"] {
        match PopRecord::parse(tag, bytes) {
            Some(Ok(PopRecord::CheckPoint(check_point))) => {
                assert!(check_point.unacknowledged().count() <= check_point.offsets().count());
                let _ = check_point.revive_time();
            }
            Some(Ok(PopRecord::Ack(ack))) => assert!(ack.offsets.len() <= bytes.len()),
            Some(Err(error)) => assert!(error.offset <= bytes.len() as u64),
            None => unreachable!("{tag:?} is a tag of POP"),
        }
    }
    if let Some(offsets) = table::<ConsumerOffsetTable>(bytes) {
        assert!(offsets.committed().count() <= bytes.len());
        assert!(offsets.keys_that_do_not_split().count() <= bytes.len());
    }
}

fn table<T: ConfigTable>(bytes: &[u8]) -> Option<T> {
    match T::parse(bytes) {
        Ok(table) => Some(table),
        Err(error) => {
            assert!(error.offset <= bytes.len() as u64);
            None
        }
    }
}

/// Index files: geometry, slots, chains.
pub fn index(bytes: &[u8]) {
    let inferred = IndexGeometry::infer(bytes);
    if let Some(geometry) = inferred {
        assert!(geometry.file_length() <= bytes.len() as u64);
    }
    // The recorded files, the smallest file, and one that no file can be long enough for.
    let fixed = [(500, 2000), (1, 2), (u32::MAX, u32::MAX)];
    let fixed = fixed.map(|(hash_slot_num, index_num)| IndexGeometry { hash_slot_num, index_num });
    for geometry in inferred.into_iter().chain(fixed) {
        let Ok(file) = IndexFile::parse(bytes, geometry) else { continue };
        assert!(geometry.file_length() <= bytes.len() as u64);
        let written = file.entries().count();
        assert!(written <= geometry.index_num as usize);
        for slot in 0..geometry.hash_slot_num.min(64) {
            let mut below = u32::MAX;
            let mut ended = false;
            for entry in file.chain(slot) {
                assert!(!ended, "something follows an error");
                match entry {
                    Ok(entry) => {
                        assert!(entry.index > 0 && entry.index < below && entry.index as usize <= written);
                        below = entry.index;
                    }
                    Err(_) => ended = true,
                }
            }
        }
        assert!(file.slot(geometry.hash_slot_num).is_none() && file.entry(geometry.index_num).is_none());
        assert!(file.find(b"TopicTest", b"k1").count() <= written + 1);
    }
}

/// Manifests of RocksDB, and the tables with keys and values.
pub fn rocksdb(bytes: &[u8]) {
    let mut last = None;
    let mut records = LogRecords::new(bytes);
    for record in records.by_ref() {
        match record {
            Ok((position, payload)) => {
                assert!(last.is_none_or(|last| last < position) && payload.len() <= bytes.len());
                last = Some(position);
            }
            Err(error) => assert!(error.offset <= bytes.len() as u64),
        }
    }
    manifest(bytes);
    // Random bytes never have a good CRC, so the edits are also tried with the right one.
    let payload = bytes.get(..bytes.len().min(30_000)).unwrap_or_default();
    let mut record = mask_crc(crc32c(&[&[1], payload])).to_be_bytes();
    record.reverse();
    let [.., high, low] = payload.len().to_be_bytes();
    manifest(&[&record[..], &[low, high, 1], payload].concat());
    if let Some(name) = current_manifest(bytes) {
        assert!(!name.contains(['/', '.']));
    }
    tables(bytes);
    let mut unchecked = bytes.to_vec();
    if let Some(checksum_type) = bytes.len().checked_sub(53).and_then(|at| unchecked.get_mut(at)) {
        *checksum_type = 0;
    }
    tables(&unchecked);
}

fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        assert!(manifest.live_files().count() <= bytes.len());
        assert!(manifest.column_families.iter().all(|(id, family)| *id == family.id));
        let _ = manifest.oldest_log_needed();
    }
}

fn tables(bytes: &[u8]) {
    use mqstore_core::format::rocksdb::SstFile;
    use mqstore_core::format::rocksdb::rows::{OffsetKey, UnitKey, UnitValue, V2Key};

    let _ = (UnitKey::parse(bytes), OffsetKey::parse(bytes), V2Key::parse(bytes));
    assert_eq!(UnitValue::parse(bytes).is_some(), bytes.len() == 28);
    if let Ok(file) = SstFile::parse(bytes) {
        let _ = file.visit(|entry| assert!(entry.sequence < 1 << 56));
    }
}

/// The timer wheel, and files of its log.
pub fn timer(bytes: &[u8]) {
    let wheel = TimerWheel::new(bytes);
    assert!(wheel.get(wheel.capacity()).is_none() && wheel.get(u64::MAX).is_none());
    let mut above = 0;
    for (n, slot) in wheel.used() {
        assert!(n >= above && n < wheel.capacity());
        above = n + 1;
        assert_eq!(wheel.get(n), Some(slot));
        let _ = (slot.time_ms(), wheel.slot_of(slot.second));
    }
    assert!(wheel.slot_of(i64::MIN).is_none_or(|slot| slot.second == i64::MIN));
    for base in [0, 104_857_600, u64::MAX - 100] {
        let mut expected = base;
        let mut ended = false;
        for entry in TimerEntries::new(bytes, base) {
            assert!(!ended, "something follows a blank or an error");
            match entry {
                Ok((position, entry)) => {
                    assert_eq!(position, expected);
                    assert!(entry.length() >= 16 && entry.length() <= bytes.len());
                    expected = expected.saturating_add(entry.length() as u64);
                    match entry {
                        TimerEntry::Unit(unit) => assert!(unit.magic.is_known()),
                        TimerEntry::Blank { .. } => ended = true,
                    }
                }
                Err(error) => {
                    assert!(error.offset >= expected);
                    ended = true;
                }
            }
        }
    }
}
