//! What reading is held against: the sum of the same bytes, as eight-byte words.

use std::hint::black_box;

use mqstore_core::store::Store;

/// Sums the log, file by file, through the same mappings.
pub(crate) fn sum(store: &Store) {
    let mut sum = 0u64;
    for file in store.commitlog().files() {
        let map = file.map().unwrap();
        map.advise_sequential();
        let (words, _) = map.as_chunks::<8>();
        sum = words.iter().fold(sum, |sum, word| sum.wrapping_add(u64::from_be_bytes(*word)));
    }
    black_box(sum);
}
