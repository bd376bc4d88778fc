//! The builder writes what brokers write: each recorded store is put in again message by message and must come out
//! byte for byte.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes the helpers of an integration test for code outside tests"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use mqstore_testkit::damage::files;
use mqstore_testkit::{
    Built, EntryKind, Message, Placed, Release, StoreBuilder, StoreWriter, fingerprint, golden, noise, truth,
    truth_lines,
};
use serde_json::Value;

/// Worked out by hand from the layout of a record, not with this code.
const RECORD: &str = "00000082 daa320a7 3610a686 00000003 00000000 0000000000000007 0000000000000400 00000000 \
    0000018bcfe56800 7f00000100009c40 0000018bcfe5687b 0a00000500002a9f 00000000 0000000000000000 00000005 68656c6c6f \
    06 546f70696341 001c 4b455953016b3102 5f5f435243333223 01 36353239343036383131 02";

fn literal_message() -> Message {
    let mut message = Message::new("TopicA", 3).body("hello").property("KEYS", "k1");
    message.queue_offset = Some(7);
    message.store_timestamp = 1_700_000_000_123;
    message.property_crc = true;
    message
}

#[test]
fn a_record_equals_the_literal_bytes() {
    let mut bytes = Vec::new();
    literal_message().encode(1024, 7, &mut bytes);
    assert_eq!(hex(&bytes), RECORD.replace(' ', ""));
    assert_eq!(literal_message().record_length(), 130);
}

#[test]
fn a_store_holds_the_record_where_its_own_fields_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = StoreBuilder::new(dir.path()).commitlog_file_size(4096).start();
    store.put(&Message::new("Pad", 0).sized(1024 - 94));
    let placed = store.put(&literal_message());
    assert_eq!(placed, Placed { physical_offset: 1024, size: 130, queue_offset: 7 });
    assert_eq!(store.finish(), Built { records: 2, end: 1154 });

    let log = fs::read(dir.path().join("commitlog/00000000000000000000")).unwrap();
    assert_eq!(hex(&log[1024..1154]), RECORD.replace(' ', ""));
    assert!(log.len() == 4096 && log[1154..].iter().all(|byte| *byte == 0));

    // Unit 7 of 20 bytes; those before it stand for messages that this store never had.
    let queue = fs::read(dir.path().join("consumequeue/TopicA/3/00000000000000000000")).unwrap();
    assert_eq!(hex(&queue[..20]), "0000000000000000".to_owned() + "7fffffff" + "0000000000000000");
    assert_eq!(hex(&queue[120..160]), hex(&queue[..20]) + "0000000000000400" + "00000082" + "0000000000000000");
    assert!(queue.len() == 20_000 && queue[160..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_file_that_a_record_does_not_fit_into_ends_with_a_blank() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = StoreBuilder::new(dir.path()).commitlog_file_size(512).first_offset(1024).killed().start();
    let offsets: Vec<u64> =
        (0..5).map(|_| store.put(&Message::new("T", 0).body(vec![b'x'; 108])).physical_offset).collect();
    // Records of 200 bytes: the third would leave less than nothing, so 112 bytes are blank.
    assert_eq!(offsets, [1024, 1224, 1536, 1736, 2048]);
    store.finish();
    let log = dir.path().join("commitlog");
    let names: Vec<_> = files(&log).iter().map(|f| f.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let expected = ["00000000000000001024", "00000000000000001536", "00000000000000002048", "00000000000000002560"];
    assert_eq!(names, expected);
    assert_eq!(hex(&fs::read(log.join(expected[0])).unwrap()[400..412]), "00000070cbd4319400000000");
    assert!(fs::read(log.join(expected[3])).unwrap().iter().all(|byte| *byte == 0));
    assert!(dir.path().join("abort").exists());
}

#[test]
fn the_stores_of_4_3_2_4_9_7_and_5_3_3_come_out_byte_for_byte() {
    for (name, release) in
        [("4.3.2-clean", Release::V4_3_2), ("4.9.7-clean", Release::V4_9_7), ("5.3.3-clean", Release::V5_3_3)]
    {
        replay(name, release);
    }
}

#[test]
fn the_stores_of_3_5_8_and_of_killed_brokers_come_out_byte_for_byte() {
    for (name, release) in
        [("3.5.8-clean", Release::V3_5_8), ("3.5.8-killed", Release::V3_5_8), ("5.3.3-killed", Release::V5_3_3)]
    {
        replay(name, release);
    }
}

#[test]
fn topics_groups_and_offsets_are_written_in_the_text_of_the_broker() {
    for (name, release, folder) in [
        ("3.5.8-clean", Release::V3_5_8, "home/store/config"),
        ("4.3.2-clean", Release::V4_3_2, "store/config"),
        ("4.9.7-clean", Release::V4_9_7, "store/config"),
        ("5.3.3-clean", Release::V5_3_3, "store/config"),
    ] {
        let golden = golden(name);
        let theirs = |file: &str| fs::read_to_string(golden.sub(folder).join(file)).unwrap();
        let consumer_offsets = fs::read_to_string(golden.sub("store/config/consumerOffset.json")).unwrap();
        let topics: Value = serde_json::from_str(&theirs("topics.json")).unwrap();
        let groups: Value = serde_json::from_str(&theirs("subscriptionGroup.json")).unwrap();
        let offsets = parse_offsets(&consumer_offsets);
        for (file, version) in
            [("topics.json", &topics["dataVersion"]), ("subscriptionGroup.json", &groups["dataVersion"])]
        {
            let dir = tempfile::tempdir().unwrap();
            let timestamp = version.get("timestamp").or(version.get("timestatmp")).unwrap();
            let mut store = StoreBuilder::new(dir.path())
                .release(release)
                .names("LabCluster", "broker-a")
                .data_version(version["counter"].as_i64().unwrap(), timestamp.as_i64().unwrap())
                .start();
            for (topic, config) in topics["topicConfigTable"].as_object().unwrap() {
                store.topic(topic, i32::try_from(config["readQueueNums"].as_i64().unwrap()).unwrap());
            }
            for group in groups["subscriptionGroupTable"].as_object().unwrap().keys() {
                store.group(group);
            }
            for (topic, group, queue, offset) in &offsets {
                store.commit(topic, group, *queue, *offset);
            }
            store.finish();
            let ours = |file: &str| fs::read_to_string(dir.path().join("config").join(file)).unwrap();
            assert_eq!(ours(file), theirs(file), "{name} {file}");
            if release < Release::V5_3_3 {
                assert_eq!(ours("consumerOffset.json"), consumer_offsets, "{name}");
            }
            if release >= Release::V4_3_2 {
                assert_eq!(ours("consumerFilter.json"), theirs("consumerFilter.json"), "{name}");
            }
        }
    }
}

#[test]
fn delay_offsets_are_written_in_the_text_of_the_broker() {
    for (name, release, version) in
        [("4.3.2-clean", Release::V4_3_2, (0, 0)), ("5.3.3-clean", Release::V5_3_3, (26, 1_795_472_109_692))]
    {
        let golden = golden(name);
        let theirs = fs::read_to_string(golden.sub("store/config/delayOffset.json")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut store = StoreBuilder::new(dir.path()).release(release).data_version(version.0, version.1).start();
        let table = theirs.split("\"offsetTable\":{").nth(1).unwrap().split(['\n', '}']).next().unwrap();
        for pair in table.split(',') {
            let (level, offset) = pair.split_once(':').unwrap();
            store.delay_offset(level.parse().unwrap(), offset.parse().unwrap());
        }
        store.finish();
        assert_eq!(fs::read_to_string(dir.path().join("config/delayOffset.json")).unwrap(), theirs, "{name}");
    }
}

#[test]
fn a_large_store_is_streamed_and_stays_sparse() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = StoreBuilder::new(dir.path()).default_geometry().start();
    let mut message = Message::new("Big", 0).sized(4096).property("KEYS", "k");
    store.fill(64 << 20, &mut message, |number, message| {
        message.queue_id = i32::try_from(number % 16).unwrap();
        message.store_timestamp += 1;
    });
    let built = store.finish();
    assert!(built.end >= 64 << 20 && built.records == built.end.div_ceil(message.record_length() as u64));
    let lengths: BTreeMap<_, _> =
        fingerprint(&dir.path().join("commitlog")).into_iter().map(|e| (e.path, e.length)).collect();
    assert_eq!(lengths[Path::new("00000000000000000000")], 1 << 30);
    let on_disk: u64 =
        files(dir.path()).iter().map(|f| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(f).unwrap()) * 512).sum();
    assert!(on_disk < 80 << 20, "{on_disk} bytes on disk for {} of messages", built.end);
}

#[test]
fn many_queues_need_no_open_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = StoreBuilder::new(dir.path()).consumequeue_file_size(40).start();
    for number in 0..9000 {
        store.put(&Message::new(&format!("Topic{}", number % 30), number % 3000 / 30));
    }
    store.finish();
    let queues = fingerprint(&dir.path().join("consumequeue"));
    // Three units each in files of two.
    assert_eq!(queues.iter().filter(|e| e.kind == EntryKind::File).count(), 6000);
}

#[test]
fn noise_depends_on_its_seed_only() {
    assert_eq!(noise(100, 1), noise(100, 1));
    assert_ne!(noise(100, 1), noise(100, 2));
    assert_eq!(noise(3, 5).len(), 3);
    assert!(zstd::bulk::compress(&noise(1 << 16, 9), 3).unwrap().len() >= 1 << 16);
}

#[test]
fn the_first_entry_of_a_later_index_file_is_measured_against_the_end_of_the_file_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = StoreBuilder::new(dir.path()).index_geometry(1, 3).start();
    for seconds in [0, 5, 20, 31] {
        store.put(&Message::new("T", 0).at(1_700_000_000_000 + seconds * 1000).property("KEYS", "k"));
    }
    store.finish();
    let files = files(&dir.path().join("index"));
    let seconds_and_previous = |file: &Path| {
        let bytes = fs::read(file).unwrap();
        // Header 40, one slot 4, then entries of 20 of which the first is never used.
        assert_eq!(bytes.len(), 104);
        [hex(&bytes[76..84]), hex(&bytes[96..104])]
    };
    assert_eq!(seconds_and_previous(&files[0]), ["0000000000000000", "0000000500000001"]);
    assert_eq!(seconds_and_previous(&files[1]), ["0000000f00000000", "0000000b00000001"]);
    assert_eq!(files[1].file_name().unwrap(), "20231114221340000");
}

/// Puts every record of a recorded store into a builder and compares the files.
fn replay(name: &str, release: Release) {
    let golden = golden(name);
    let theirs = golden.root();
    let facts = truth(name);
    let lines = truth_lines(name);
    let number = |key: &str| facts[key].as_u64().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let first: u64 = files(&theirs.join("commitlog"))[0].file_name().unwrap().to_str().unwrap().parse().unwrap();
    let log: Vec<u8> = files(&theirs.join("commitlog")).iter().flat_map(|f| fs::read(f).unwrap()).collect();
    let mut builder = StoreBuilder::new(dir.path())
        .release(release)
        .commitlog_file_size(number("commitlogFileSize"))
        .consumequeue_file_size(number("consumequeueFileSize"))
        .index_geometry(u32::try_from(number("slots")).unwrap(), u32::try_from(number("entries")).unwrap())
        .first_offset(first);
    if name.ends_with("killed") {
        builder = builder.killed();
    }
    let mut store = builder.start();
    let mut skipped = 0;
    for line in lines.iter().filter(|line| line["k"] == "rec") {
        put_again(&mut store, line, &log, first);
    }
    store.finish();

    // Where releases up to 4.9.0 leave old bytes behind the head of a blank, only the head is compared.
    let mut ours: Vec<u8> = files(&dir.path().join("commitlog")).iter().flat_map(|f| fs::read(f).unwrap()).collect();
    for line in lines.iter().filter(|line| line["k"] == "blank") {
        let at = usize::try_from(line["off"].as_u64().unwrap() - first).unwrap();
        let end = at + usize::try_from(line["size"].as_u64().unwrap()).unwrap();
        ours[at + 8..end].copy_from_slice(&log[at + 8..end]);
        skipped += end - at - 8;
    }
    assert!(ours == log, "{name}: the commitlog differs");
    assert!(skipped < log.len() / 10, "{name}: {skipped} bytes not compared");

    // The last record of this store was killed before it was dispatched.
    let undispatched = name == "3.5.8-killed";
    let queues = |root: &Path| -> BTreeMap<String, Vec<u8>> {
        let below = root.join("consumequeue");
        let name = |f: &Path| f.strip_prefix(&below).unwrap().to_str().unwrap().to_owned();
        files(&below).iter().map(|f| (name(f), fs::read(f).unwrap())).collect()
    };
    let (ours, recorded) = (queues(dir.path()), queues(&theirs));
    assert_eq!(ours.keys().collect::<Vec<_>>(), recorded.keys().collect::<Vec<_>>(), "{name}");
    let different: Vec<_> = ours.keys().filter(|key| ours[*key] != recorded[*key]).collect();
    assert_eq!(different.len(), usize::from(undispatched), "{name}: {different:?}");

    // Index files have the time of their making in their name.
    let index =
        |root: &Path| -> Vec<Vec<u8>> { files(&root.join("index")).iter().map(|f| fs::read(f).unwrap()).collect() };
    let (ours, recorded) = (index(dir.path()), index(&theirs));
    assert_eq!(ours.len(), recorded.len(), "{name}");
    for (position, (ours, recorded)) in ours.iter().zip(&recorded).enumerate() {
        let newest = position == 3;
        assert!(ours == recorded || undispatched && newest, "{name}: index file {position} differs");
    }
}

fn put_again(store: &mut StoreWriter, line: &Value, log: &[u8], first: u64) {
    let int = |key: &str| line[key].as_i64().unwrap();
    let host = |key: &str| line[key].as_str().unwrap().parse::<SocketAddr>().unwrap();
    let topic = line["topic"].as_str().unwrap();
    let mut message = Message::new(topic, i32::try_from(int("queueId")).unwrap()).body([]);
    message.queue_offset = Some(int("queueOffset"));
    message.flag = i32::try_from(int("flag")).unwrap();
    message.sys_flag = i32::try_from(int("sysFlag")).unwrap();
    message.born_timestamp = int("bornTimestamp");
    message.born_host = host("bornHost");
    message.store_timestamp = int("storeTimestamp");
    message.store_host = host("storeHost");
    message.reconsume_times = i32::try_from(int("reconsumeTimes")).unwrap();
    message.prepared_transaction_offset = int("preparedTransactionOffset");
    // Body and properties are not in the truth file: they are what lies behind the fixed fields and at the end.
    let start = usize::try_from(int("off")).unwrap() - usize::try_from(first).unwrap();
    let end = start + usize::try_from(int("storeSize")).unwrap();
    let body_length = usize::try_from(int("bodyLength")).unwrap();
    let hosts: usize = [message.born_host, message.store_host].iter().map(|h| if h.is_ipv6() { 20 } else { 8 }).sum();
    let body = start + 72 + hosts;
    let topic_width = if int("magic") == -626_843_477 { 2 } else { 1 };
    message.body = log[body..body + body_length].to_vec();
    message.properties = log[body + body_length + topic_width + topic.len() + 2..end].to_vec();
    let placed = store.put(&message);
    assert_eq!(placed.physical_offset, u64::try_from(int("physicalOffset")).unwrap());
    assert_eq!(placed.size, end - start);
}

/// `"topic@group":{0:1,1:2` per entry, read without a JSON parser, which would refuse the keys.
fn parse_offsets(text: &str) -> Vec<(String, String, i32, i64)> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.contains('@') && line.contains(":{")) {
        let (key, numbers) = line.trim().split_once(":{").unwrap();
        let (topic, group) = key.trim_matches('"').split_once('@').unwrap();
        for pair in numbers.split(',') {
            let (queue, offset) = pair.split_once(':').unwrap();
            found.push((topic.to_owned(), group.to_owned(), queue.parse().unwrap(), offset.parse().unwrap()));
        }
    }
    found
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
