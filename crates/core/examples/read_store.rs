//! Prints the range of a store's log and of each of its queues: `cargo run --example read_store -- testdata/demo/master/store`.

#![expect(clippy::print_stdout, reason = "an example prints what it read")]

use mqstore_core::store::{Store, StoreOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).unwrap_or_else(|| "testdata/demo/master/store".into());
    let store = Store::open(root, StoreOptions::default())?;
    let log = store.commitlog();
    let end = log.end()?;
    println!("commit log {} .. {}, then {}", log.min_offset(), end.offset, end.kind.as_str());
    for queue in store.consumequeues()? {
        let range = queue.range(log.min_offset())?;
        println!("{:>8} .. {:<8} {} {}", range.min_offset, range.max_offset, queue.topic(), queue.queue_id());
    }
    Ok(())
}
