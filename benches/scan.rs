//! How fast the commit log is read, as a ratio to summing the same bytes.
//!
//! For bodies of 100 B, 1 KiB and 4 KiB a log is written to a temporary folder, read once to warm the page cache, and
//! then in each round summed, parsed, and parsed with its CRC, one after the other. The best round of each counts: the
//! machine may only make a round slower. Run with `cargo bench -p mqstore-core --bench scan`; the size of the log is
//! 512 MiB, or `MQSTORE_BENCH_MIB`.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

mod memory;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder, noise};

use memory::sum;

const ROUNDS: u32 = 7;
const MIB: u64 = 1 << 20;

type Way = fn(&Store);

fn main() {
    let mib: u64 = std::env::var("MQSTORE_BENCH_MIB").ok().and_then(|v| v.parse().ok()).unwrap_or(512);
    println!("{mib} MiB of log, one thread, best of {ROUNDS} rounds; ratio to the memory sum of the same mapping");
    println!("{:>6}  {:<14} {:>8} {:>12} {:>7}", "body", "what", "GB/s", "messages/s", "ratio");
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
        [("memory sum", sum), ("parse", |s| scan(s, false)), ("parse + CRC", |s| scan(s, true))];
    let mut best = [Duration::MAX; 3];
    for round in 0..=ROUNDS {
        for ((_, way), best) in ways.iter().zip(&mut best) {
            let start = Instant::now();
            way(&store);
            // Round 0 fills the page cache.
            if round > 0 {
                *best = (*best).min(start.elapsed());
            }
        }
    }
    let [sum, ..] = best;
    for ((name, _), time) in ways.iter().zip(best) {
        let seconds = time.as_secs_f64();
        println!(
            "{body:>6}  {name:<14} {:>8.2} {:>12.0} {:>7.2}",
            built.end as f64 / seconds / 1e9,
            records / seconds,
            sum.as_secs_f64() / seconds
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
