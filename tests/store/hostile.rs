//! A store that no broker wrote is read to an end: with errors, and without a panic.

use std::ops::ControlFlow;

use mqstore_core::PhysicalOffset;
use mqstore_core::store::{PendingOptions, Store, StoreOptions, pending};

/// A folder of files of noise, by name and length.
fn noise(files: &[(&str, usize)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = 0x9E37_79B9_u32;
    for (name, length) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_be_bytes()[0]
        };
        let bytes: Vec<u8> = (0..*length).map(|_| next()).collect();
        std::fs::write(path, bytes).unwrap();
    }
    dir
}

#[test]
fn a_store_whose_files_are_all_noise_is_read_to_an_end() {
    let dir = noise(&[
        ("commitlog/00000000000000000000", 100_000),
        ("commitlog/00000000000000100000", 100_000),
        ("consumequeue/T/0/00000000000000000000", 20_001),
        ("consumequeue/T/0/18446744073709551615", 100),
        ("consumequeue/T/4294967296/00000000000000000000", 100),
        ("index/20260101000000000", 42_040),
        ("checkpoint", 17),
        ("abort", 5_000),
    ]);
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let log = store.commitlog();
    log.scan(log.min_offset(), true, |_| ControlFlow::Continue(())).unwrap();
    for queue in store.consumequeues().unwrap() {
        let range = queue.range(log.min_offset()).unwrap();
        assert!(range.min_offset <= range.max_offset, "{range:?}");
    }
    store.index().unwrap().find("T", "k").unwrap();
    assert_eq!(
        store.checkpoint().unwrap_err().to_string(),
        format!("{} is damaged", dir.path().join("checkpoint").display())
    );
    assert_eq!(store.abort().unwrap().unwrap().pid, None);
}

#[test]
fn the_parts_of_newer_releases_are_read_to_an_end_when_they_are_noise() {
    let dir = noise(&[
        ("commitlog/00000000000000000000", 100_000),
        ("dledger-n0/data/00000000000000000000", 10_000),
        ("dledger-n0/data/18446744073709551000", 10_000),
        ("dledger-n0/index/00000000000000000000", 1_001),
        ("dledger-n0/index/18446744073709551615", 100),
        ("dledger-n0/checkpoint", 100),
        ("dledger-n0/currterm", 100),
        ("batchconsumequeue/T/0/00000000000000000000", 4_601),
        ("batchconsumequeue/T/0/18446744073709551615", 100),
        ("compaction/compactionLog/T/0/18446744073709551615", 1_000),
        ("compaction/compactionCq/T/0/18446744073709551615", 1_000),
        ("compaction/position-checkpoint", 100),
        ("consumequeue_ext/T/0/00000000000000000000", 2_000),
        ("consumequeue_ext/T/0/18446744073709551615", 2_000),
        ("consumequeue/rmq_sys_REVIVE_LOG_c/0/00000000000000000000", 2_000),
        ("consumequeue/RMQ_SYS_TRANS_HALF_TOPIC/0/00000000000000000000", 2_000),
        ("consumequeue/RMQ_SYS_TRANS_OP_HALF_TOPIC/0/00000000000000000000", 2_000),
        ("consumequeue/SCHEDULE_TOPIC_XXXX/4294967295/00000000000000000000", 2_000),
        ("consumequeue/CURRENT", 20),
        ("rocksdbstore/CURRENT", 5_000),
        ("timerwheel", 32_001),
        ("timerlog/00000000000000000000", 10_000),
        ("timerlog/18446744073709551615", 10_000),
        ("config/timercheck", 4_096),
        ("config/consumerOffset.json", 100),
    ]);
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let log = store.log().unwrap();
    log.scan(true, |_| ControlFlow::Continue(())).unwrap();
    log.dledger().unwrap().end().unwrap();
    let mut reader = log.reader();
    for offset in [0, 47, 48, 5_000, 99_999, u64::MAX - 600, u64::MAX - 1, u64::MAX] {
        assert!(reader.record_at(PhysicalOffset(offset)).unwrap().record().is_none(), "{offset}");
    }
    for index in [i64::MIN, -1, 0, 31, i64::MAX] {
        log.dledger().unwrap().index_unit(index).unwrap();
    }
    for queue in store.batch_consumequeues().unwrap() {
        let range = queue.range(log.min_offset()).unwrap();
        assert!(range.min_offset <= range.max_offset, "{range:?}");
        queue.visit_units(|_, _| ControlFlow::Continue(())).unwrap();
    }
    for queue in store.compacted_queues().unwrap() {
        queue.visit(|_, _| ControlFlow::Continue(())).unwrap();
    }
    for extension in store.consumequeue_exts().unwrap() {
        extension.visit_units(|_, _| ControlFlow::Continue(())).unwrap();
        let mut reader = extension.reader();
        for address in [0, 1, 1_999, 2_000, u64::MAX] {
            let _ = reader.unit(address).unwrap();
        }
    }
    let timer = store.timer().unwrap();
    timer.scan_log(|_, _| ControlFlow::Continue(())).unwrap();
    let waiting = pending(&store, PendingOptions::at(i64::MAX).scanning_log()).unwrap();
    let wheel = waiting.timers.wheel;
    assert!(wheel.broken_slots > 100 && wheel.slots > wheel.broken_slots, "{wheel:?}");
    assert_eq!((wheel.normal, wheel.rolled, wheel.deletes), (0, 0, 0), "no unit of noise is one");
    assert_eq!(store.rocksdbs().iter().filter(|database| database.is_err()).count(), 2);
}
