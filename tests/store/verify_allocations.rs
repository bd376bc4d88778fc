//! What `verify` asks of the allocator: it is measured with an allocator that counts, so the test has a process of its own.

#![expect(unsafe_code, reason = "an allocator cannot be written without it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mqstore_check::verify::{VerifyOptions, verify};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; all memory comes from there.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A store of small messages with key and tag in eight queues, and the allocations of its verification on one thread.
fn allocations(dir: &Path, messages: u32) -> u64 {
    let mut writer = StoreBuilder::new(dir)
        .commitlog_file_size(64 << 20)
        .consumequeue_file_size(6_000_000)
        .index_geometry(5_000, 50_000)
        .start();
    for number in 0..messages {
        let queue_id = i32::try_from(number % 8).unwrap();
        let message = Message::new("TopicTest", queue_id).sized(100);
        let key = format!("7F0000010C2A18B4AAC2{number:012X}");
        writer.put(&message.property("UNIQ_KEY", &key).property("KEYS", "order").property("TAGS", "TagA"));
    }
    writer.finish();
    let store = Store::open(dir, StoreOptions::default()).unwrap();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let report = verify(&store, &VerifyOptions::default(), &NoProgress, &mut |found| panic!("{found:?}")).unwrap();
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(report.coverage.records, Some(u64::from(messages)));
    after - before
}

#[test]
fn a_record_costs_no_allocation() {
    let dir = tempfile::tempdir().unwrap();
    let few = allocations(&dir.path().join("few"), 2_000);
    let many = allocations(&dir.path().join("many"), 22_000);
    // What is left is the room of the pieces, which grows a few times, and the queues' windows.
    assert!(many < few + 100, "{few} allocations for 2,000 messages, {many} for 22,000");
}
