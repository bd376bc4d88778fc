//! How fast the commit log is read, as a ratio to summing the same bytes.
//!
//! For bodies of 100 B, 1 KiB and 4 KiB a log is written to a temporary folder, read once to warm the page cache, and
//! then in each round summed, parsed, and parsed with its CRC, one after the other. Smallest, middle and greatest of all
//! rounds are printed; ratios are made round by round. Run with `cargo bench -p mqstore-core --bench scan`; the size of the log is
//! 512 MiB, or `MQSTORE_BENCH_MIB`.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

mod memory;
mod setting;
mod spread;

use std::hint::black_box;
use std::ops::ControlFlow;

use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder, noise};

use memory::sum;
use setting::setting;
use spread::{seconds, spread};

const ROUNDS: u32 = 7;
const MIB: u64 = 1 << 20;

type Way = fn(&Store);

fn main() {
    let mib = setting("MQSTORE_BENCH_MIB", 512);
    println!("{mib} MiB of log, one thread, {ROUNDS} rounds: smallest, middle and greatest");
    println!(
        "{:>6}  {:<14} {:>24} {:>24} {:>24}",
        "body", "what", "GB/s", "million messages/s", "time : time of the sum"
    );
    for body in [100, 1024, 4096] {
        bench(mib, body);
    }
    println!("anonymous memory: {}", anonymous_memory());
}

fn bench(mib: u64, body: usize) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path())
        .commitlog_file_size(128 * MIB)
        .consumequeue_file_size(6_000_000)
        .index_geometry(5_000, 20_000)
        .start();
    let noise = noise(body + 64, 1);
    let mut message = Message::new("TopicTest", 0).body(&*noise);
    writer.fill(mib * MIB, &mut message, |number, message| {
        let shift = usize::try_from(number % 64).unwrap_or(0);
        message.queue_id = i32::try_from(number % 8).unwrap_or(0);
        message.body.clear();
        message.body.extend(noise.iter().skip(shift).take(body));
    });
    let built = writer.finish();
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let records = built.records as f64;

    let ways: [(&str, Way); 3] =
        [("memory sum", |s| sum(s, 1)), ("parse", |s| scan(s, false)), ("parse + CRC", |s| scan(s, true))];
    let mut rounds: Vec<[f64; 3]> = Vec::new();
    for round in 0..=ROUNDS {
        let times = ways.map(|(_, way)| seconds(|| way(&store)).0);
        // Round 0 fills the page cache.
        if round > 0 {
            rounds.push(times);
        }
    }
    for (n, (name, _)) in ways.iter().enumerate() {
        let times = || rounds.iter().filter_map(move |times| Some((*times.get(n)?, *times.first()?)));
        println!(
            "{body:>6}  {name:<14} {:>24} {:>24} {:>24}",
            spread(times().map(|(time, _)| built.end as f64 / time / 1e9)),
            spread(times().map(|(time, _)| records / time / 1e6)),
            spread(times().map(|(time, sum)| time / sum))
        );
    }
}

fn scan(store: &Store, body_crc: bool) {
    let log = store.commitlog();
    let end = log
        .scan(log.min_offset(), body_crc, |entry| {
            black_box(entry.position());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(end.records > 0);
}

/// What this process holds besides mapped files, as the kernel counts it.
fn anonymous_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.map_or_else(|| "unknown".into(), |value| value.trim().into())
}
