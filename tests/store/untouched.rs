//! Reading a store leaves no trace in it.

use std::ops::ControlFlow;

use mqstore_core::store::{PendingOptions, pending};
use mqstore_testkit::fingerprint;

use crate::each_store;

#[test]
fn reading_everything_changes_neither_content_nor_times_nor_names() {
    each_store(|name, _, store, _| {
        let before = fingerprint(store.root());
        let log = store.commitlog();
        log.scan(log.min_offset(), true, |_| ControlFlow::Continue(())).unwrap();
        for queue in store.consumequeues().unwrap() {
            queue.range(log.min_offset()).unwrap();
        }
        store.index().unwrap().find("T", "k").unwrap();
        store.checkpoint().unwrap();
        store.abort().unwrap();
        store.lock().unwrap();
        store.special_parts().unwrap();
        store.rocksdbs().into_iter().for_each(|database| drop(database.unwrap().needed_files()));
        for queue in store.batch_consumequeues().unwrap() {
            queue.range(log.min_offset()).unwrap();
        }
        for queue in store.compacted_queues().unwrap() {
            queue.visit(|_, _| ControlFlow::Continue(())).unwrap();
        }
        pending(store, PendingOptions::at(0).scanning_log()).unwrap();
        assert!(!before.is_empty());
        assert_eq!(fingerprint(store.root()), before, "{name}");
    });
}
