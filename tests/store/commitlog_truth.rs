//! Every record and every field of every log, against `MessageDecoder` of the release that wrote it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::ControlFlow;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::{Entry, Host, MagicCode, MessageRecord};
use mqstore_core::store::LogEndKind;
use mqstore_testkit::{truth, truth_lines};
use serde_json::Value;

use crate::each_store;

/// Java spells an IPv6 address without `::`.
fn java_host(host: Host) -> String {
    match host.ip {
        IpAddr::V4(ip) => format!("{ip}:{}", host.port),
        IpAddr::V6(ip) => {
            let parts: Vec<String> = ip.segments().iter().map(|s| format!("{s:x}")).collect();
            format!("[{}]:{}", parts.join(":"), host.port)
        }
    }
}

fn assert_same(store: &str, record: &MessageRecord<'_>, truth: &Value) {
    let number = |name: &str| truth[name].as_i64().unwrap();
    let text = |name: &str| truth[name].as_str().unwrap();
    let at = format!("{store} at {}", record.position);
    let magic = match record.magic {
        MagicCode::V1 => -626_843_481,
        MagicCode::V2 => -626_843_477,
    };
    assert_eq!(record.position.get(), truth["off"].as_u64().unwrap(), "{at}");
    assert_eq!(i64::from(record.total_size()), number("storeSize"), "{at}: total size");
    assert_eq!(magic, number("magic"), "{at}: magic");
    assert_eq!(record.topic_str(), text("topic"), "{at}: topic");
    assert_eq!(i64::from(record.queue_id), number("queueId"), "{at}: queue id");
    assert_eq!(record.queue_offset, number("queueOffset"), "{at}: queue offset");
    assert_eq!(record.physical_offset, number("physicalOffset"), "{at}: physical offset");
    assert_eq!(i64::from(record.flag), number("flag"), "{at}: flag");
    assert_eq!(i64::from(record.sys_flag.0), number("sysFlag"), "{at}: sys flag");
    assert_eq!(record.born_timestamp, number("bornTimestamp"), "{at}: born timestamp");
    assert_eq!(record.store_timestamp, number("storeTimestamp"), "{at}: store timestamp");
    assert_eq!(java_host(record.born_host()), text("bornHost"), "{at}: born host");
    assert_eq!(java_host(record.store_host()), text("storeHost"), "{at}: store host");
    assert_eq!(i64::from(record.reconsume_times), number("reconsumeTimes"), "{at}: reconsume times");
    let prepared = number("preparedTransactionOffset");
    assert_eq!(record.prepared_transaction_offset, prepared, "{at}: prepared transaction offset");
    assert_eq!(i64::from(record.body_crc), number("bodyCRC"), "{at}: body crc");
    assert_eq!(record.body.len() as u64, truth["bodyLength"].as_u64().unwrap(), "{at}: body length");
    record.check_body_crc().unwrap_or_else(|e| panic!("{at}: {e}"));
    if let Some(result) = record.check_property_crc() {
        result.unwrap_or_else(|e| panic!("{at}: {e}"));
    }
    let properties: BTreeMap<String, String> = serde_json::from_value(truth["properties"].clone()).unwrap_or_default();
    let ours: BTreeMap<String, String> =
        record.properties.to_map().into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect();
    assert_eq!(ours, properties, "{at}: properties");
}

#[test]
fn every_field_of_every_record_is_what_the_brokers_own_decoder_read() {
    let mut compared = 0;
    each_store(|name, _, store, truth| {
        if truth.is_empty() {
            return;
        }
        let lines = truth_lines(truth);
        let mut expected = lines.iter().filter(|line| line["k"] == "rec" || line["k"] == "blank").peekable();
        let log = store.commitlog();
        let end = log
            .scan(log.min_offset(), true, |entry| {
                let truth =
                    expected.next().unwrap_or_else(|| panic!("{name}: entry at {} is one too many", entry.position()));
                match entry {
                    Entry::Message(record) => assert_same(name, record, truth),
                    Entry::Blank(blank) => {
                        assert_eq!(truth["k"], "blank", "{name} at {}", blank.position);
                        assert_eq!(blank.position.get(), truth["off"].as_u64().unwrap(), "{name}");
                        assert_eq!(i64::from(blank.total_size), truth["size"].as_i64().unwrap(), "{name}");
                    }
                }
                compared += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        // The decoder goes on behind the records of 5.3.3-v6mix that no broker's recovery accepts.
        if !name.starts_with("5.3.3-v6mix") {
            assert!(expected.peek().is_none(), "{name}: ends at {} before {:?}", end.offset, expected.peek());
            assert_eq!(end.kind, LogEndKind::Zeros, "{name}: {end:?}");
            assert_eq!(end.stale, None, "{name}");
        }
    });
    assert!(compared > 35_000, "{compared} entries compared");
}

#[test]
fn the_end_that_recovery_finds_is_the_end_of_the_whole_log() {
    each_store(|name, _, store, _| {
        let log = store.commitlog();
        if log.is_empty() || name.starts_with("5.3.3-v6mix") {
            return;
        }
        let whole = log.scan(log.min_offset(), true, |_| ControlFlow::Continue(())).unwrap();
        let quick = log.end().unwrap();
        assert_eq!((quick.offset, quick.kind), (whole.offset, whole.kind), "{name}");
        assert!(whole.records > 0, "{name}");
    });
}

#[test]
fn the_end_of_the_log_is_what_the_running_broker_reported() {
    let mut compared = 0;
    each_store(|name, _, store, _| {
        let archive = name.split('/').next().unwrap();
        let Some(end) = truth(archive)["commitlogEnd"].as_u64() else { return };
        if store.commitlog().is_empty() {
            return;
        }
        compared += 1;
        assert_eq!(store.commitlog().end().unwrap().offset, PhysicalOffset(end), "{name}");
    });
    assert!(compared >= 8, "{compared} stores compared");
}

#[test]
fn a_broker_with_a_changed_address_writes_records_where_its_next_start_cuts() {
    each_store(|name, _, store, truth| {
        if name != "5.3.3-v6mix/store" {
            return;
        }
        let end = store.commitlog().end().unwrap();
        assert_eq!((end.offset, end.kind), (PhysicalOffset(105_756), LogEndKind::Garbage));
        let file = store.commitlog().queue().find(105_756).unwrap().map().unwrap();
        let mut at = 105_756;
        let mut unreadable = 0;
        while let Ok(record) = MessageRecord::parse_with_short_store_host(&file[at..], PhysicalOffset(at as u64)) {
            record.check_body_crc().unwrap();
            assert_eq!(record.physical_offset, i64::try_from(at).unwrap());
            unreadable += 1;
            at += record.total_size() as usize;
        }
        assert!(unreadable > 0, "{}", truth_lines(truth).len());
    });
}

#[test]
fn bodies_that_the_client_compressed_decompress() {
    let mut compressed = 0;
    each_store(|name, _, store, _| {
        let log = store.commitlog();
        log.scan(log.min_offset(), true, |entry| {
            if let Entry::Message(record) = entry
                && record.sys_flag.codec().is_some()
            {
                let body =
                    record.decompressed_body(64 << 20).unwrap_or_else(|e| panic!("{name} at {}: {e}", record.position));
                assert!(body.len() > record.body.len(), "{name} at {}", record.position);
                compressed += 1;
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    });
    assert!(compressed > 50, "{compressed} compressed bodies");
}
