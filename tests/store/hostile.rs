//! A store that no broker wrote is read to an end: with errors, and without a panic.

use std::ops::ControlFlow;

use mqstore_core::store::{Store, StoreOptions};

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
