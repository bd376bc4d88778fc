//! Whole stores, read by this project and compared with what the brokers and their own Java classes said about them.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod broker_conf;
mod commitlog_truth;
mod config_truth;
mod fuzz_artifacts;
mod hostile;
mod index_truth;
mod lost_pages;
mod queues_truth;
mod record_access;
mod release_marks;
mod rocksdb_truth;
mod special_damage;
mod special_parts;
mod special_truth;
mod untouched;

use mqstore_core::store::{Store, StoreOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use mqstore_testkit::{GOLDEN, Golden, STORES, golden};

/// All archives unpacked once for the tests that run side by side; removed when the last of them ends.
fn unpacked() -> Arc<BTreeMap<&'static str, Golden>> {
    static SHARED: Mutex<Weak<BTreeMap<&'static str, Golden>>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let all = Arc::new(GOLDEN.iter().map(|name| (*name, golden(name))).collect());
        *shared = Arc::downgrade(&all);
        all
    })
}

/// Runs `test` on every recorded store root; `truth` is the name for `truth_lines`, empty where there is none.
///
/// The stores are shared between tests: whoever wants to break one copies it first.
fn each_store(mut test: impl FnMut(&str, &Golden, &Store, &str)) {
    let unpacked = unpacked();
    for (archive, root, truth) in STORES {
        let golden = &unpacked[archive];
        let store = Store::open(golden.sub(root), StoreOptions::default()).unwrap();
        test(&format!("{archive}/{root}"), golden, &store, truth);
    }
}
