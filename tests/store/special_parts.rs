//! Parts in formats of their own are recognised by name, and what is not there is not claimed.

use mqstore_core::store::SpecialKind;

use crate::each_store;

fn parts_of(wanted: &str) -> Vec<(SpecialKind, bool)> {
    let mut found = None;
    each_store(|name, _, store, _| {
        if name == format!("{wanted}/store") {
            let parts = store.special_parts().unwrap();
            found = Some(parts.iter().map(|part| (part.kind, part.bytes > 0)).collect());
        }
    });
    found.unwrap()
}

#[test]
fn special_stores_name_their_parts() {
    use SpecialKind::{BatchQueues, Compaction, Dledger, RocksDbConfig, RocksDbQueues, RocksDbStore, Timer};
    assert_eq!(parts_of("4.3.2-clean"), []);
    assert_eq!(parts_of("4.9.7-dledger"), [(Dledger, true)]);
    let kinds = |name: &str| parts_of(name).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>();
    assert!(kinds("5.3.3-batchcq").contains(&BatchQueues) && kinds("5.3.3-batchcq").contains(&Compaction));
    assert!(kinds("5.3.3-rocksdb").contains(&RocksDbQueues));
    assert_eq!(kinds("5.3.3-rocksdb").iter().filter(|k| **k == RocksDbConfig).count(), 3);
    assert_eq!(kinds("5.3.3-rocksdb-v2").iter().filter(|k| **k == RocksDbConfig).count(), 1);
    assert!(kinds("5.4.0-clean").contains(&RocksDbStore));
    assert!(kinds("5.3.3-clean").contains(&Timer) && !kinds("5.3.3-clean").contains(&RocksDbQueues));
}
