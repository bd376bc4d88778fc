//! Bytes that no broker wrote: readers answer with an error or with what they can, and never panic, hang or allocate
//! beyond the order of their input.

use std::ops::ControlFlow;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::checkpoint::Checkpoint;
use mqstore_core::format::commitlog::{Entries, Entry, MessageRecord, resync};
use mqstore_core::format::consumequeue::CqUnits;
use mqstore_core::format::consumequeue_ext::CqExtUnits;
use mqstore_core::format::index::{IndexFile, IndexGeometry};
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::golden;
use proptest::prelude::*;

fn read_commitlog(bytes: &[u8]) {
    for entry in Entries::new(bytes, PhysicalOffset(0)) {
        let Ok(Entry::Message(record)) = entry else { break };
        let _ = record.check_body_crc();
        let _ = record.check_property_crc();
        let _ = (record.born_host().to_string(), record.offset_message_id(), record.properties.to_map());
        assert!(record.decompressed_body(1 << 20).map_or(0, |body| body.len()) <= 1 << 20);
    }
    let mut at = 0;
    while let Some(record) = resync(bytes, PhysicalOffset(0), at) {
        at = usize::try_from(record.end().get()).unwrap();
    }
    let _ = MessageRecord::parse_with_short_store_host(bytes, PhysicalOffset(u64::MAX));
}

fn read_queue(bytes: &[u8]) {
    let units = CqUnits::new(bytes);
    let valid = units.valid_prefix();
    assert!(valid <= units.capacity());
    for unit in units.iter() {
        let _ = (unit.physical_end(), unit.tags_code_kind());
    }
    assert!(CqExtUnits::new(bytes).count() <= bytes.len() / 20 + 1);
}

fn read_index(bytes: &[u8]) {
    let inferred = IndexGeometry::infer(bytes);
    for geometry in inferred.into_iter().chain([IndexGeometry { hash_slot_num: 500, index_num: 2000 }]) {
        let Ok(index) = IndexFile::parse(bytes, geometry) else { continue };
        assert!(index.entries().count() < geometry.index_num as usize);
        for slot in 0..geometry.hash_slot_num {
            assert!(index.chain(slot).count() <= geometry.index_num as usize);
        }
    }
}

/// Overwrites some bytes, and cuts or lengthens the whole.
fn mutate(original: &[u8], changes: &[(usize, u8)], length: usize) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for (at, value) in changes {
        let at = at % bytes.len();
        bytes[at] = *value;
    }
    bytes.resize(length % (2 * original.len()), 0xFF);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_are_survived_by_every_reader(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        read_commitlog(&bytes);
        read_queue(&bytes);
        read_index(&bytes);
        let _ = Checkpoint::parse(&bytes);
    }
}

#[test]
fn mutated_golden_files_are_survived_by_every_reader() {
    let golden = golden("4.3.2-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    // The first file whole would make each case slow: its beginning and the end of it, where the blank is.
    let log = store.commitlog().files()[0].map().unwrap();
    let log = [&log[..20_000], &log[log.len() - 20_000..]].concat();
    let queues = store.consumequeues().unwrap();
    let queue = queues.iter().find(|q| q.topic() == "GoldFour").unwrap().queue().files()[0].map().unwrap();
    let index = store.index().unwrap();
    let index = index.open_file(&index.files()[0]).unwrap();
    let index = std::fs::read(index.path()).unwrap();
    let changes = || proptest::collection::vec((any::<usize>(), any::<u8>()), 1..20);
    let config = ProptestConfig::with_cases(300);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&(changes(), any::<usize>()), |(changes, length)| {
            let keep = |original: &[u8]| if length % 2 == 0 { original.len() } else { length };
            read_commitlog(&mutate(&log, &changes, keep(&log)));
            read_queue(&mutate(&queue, &changes, keep(&queue)));
            read_index(&mutate(&index, &changes, keep(&index)));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_store_whose_files_are_all_noise_is_read_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = 0x9E37_79B9_u32;
    let mut bytes = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            })
            .collect()
    };
    for (name, length) in [
        ("commitlog/00000000000000000000", 100_000),
        ("commitlog/00000000000000100000", 100_000),
        ("consumequeue/T/0/00000000000000000000", 20_001),
        ("consumequeue/T/0/18446744073709551615", 100),
        ("consumequeue/T/4294967296/00000000000000000000", 100),
        ("index/20260101000000000", 42_040),
        ("checkpoint", 17),
        ("abort", 5_000),
    ] {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes(length)).unwrap();
    }
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
