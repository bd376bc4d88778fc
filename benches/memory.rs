//! What reading is held against: the sum of the same bytes, as eight-byte words.

use std::hint::black_box;

use mqstore_core::store::Store;

/// Sums the log, file by file, through the same mappings. Several threads take a part of each file each.
pub(crate) fn sum(store: &Store, threads: usize) {
    for file in store.commitlog().files() {
        let map = file.map().unwrap();
        map.advise_sequential();
        let (words, _) = map.as_chunks::<8>();
        std::thread::scope(|scope| {
            let mut parts = words.chunks(words.len().div_ceil(threads).max(1));
            let own = parts.next().unwrap_or_default();
            parts.for_each(|part| drop(scope.spawn(move || sum_words(part))));
            sum_words(own);
        });
    }
}

fn sum_words(words: &[[u8; 8]]) {
    black_box(words.iter().fold(0u64, |sum, word| sum.wrapping_add(u64::from_be_bytes(*word))));
}
