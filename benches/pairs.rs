//! What it costs to take, carry and compare snapshots, and to compare two stores.
//!
//! A store of 10,000 queues, in files of a broker's default length, and a million committed offsets is written to a
//! temporary folder; then two equal logs, whose comparison is set against comparing the same mappings as plain bytes.
//! The best of a few rounds counts: the machine may only make a round slower. Run with
//! `cargo bench -p mqstore-check --bench pairs`; a log has 512 MiB, or `MQSTORE_BENCH_MIB`.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use mqstore_check::Outcome;
use mqstore_check::diff::{Area, DiffOptions, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, Snapshot, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder, noise};

const ROUNDS: u32 = 5;
const MIB: u64 = 1 << 20;
const TOPICS: u32 = 1250;
const QUEUES: u32 = 8;
const GROUPS: u32 = 100;

fn main() {
    offsets();
    logs();
}

/// The best of some rounds, and what the last one gave.
fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut shortest = Duration::MAX;
    let mut result = None;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        result = Some(work());
        shortest = shortest.min(start.elapsed());
    }
    (shortest, result.unwrap())
}

fn open(root: &Path) -> Store {
    Store::open(root, StoreOptions::default()).unwrap()
}

/// 10,000 queues, a million offsets.
fn offsets() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path()).consumequeue_file_size(6_000_000).start();
    for n in 0..TOPICS * QUEUES {
        let queue = i32::try_from(n % QUEUES).unwrap();
        writer.put(&Message::new(&format!("Topic_{:04}", n / QUEUES), queue).sized(100));
    }
    writer.finish();
    fs::write(dir.path().join("config/consumerOffset.json"), million_offsets()).unwrap();
    let store = open(dir.path());
    let (time, snapshot) = best(|| snapshot::take(&store, &SnapshotOptions::default(), &NoProgress).unwrap());
    let queues: usize = snapshot.queues.values().map(Vec::len).sum();
    let offsets: usize =
        snapshot.consumer_offsets.iter().flat_map(|table| table.values()).map(std::collections::BTreeMap::len).sum();
    println!("{queues} queues, {offsets} offsets: snapshot taken in {:.2} s", time.as_secs_f64());
    let mut text = Vec::new();
    snapshot.to_writer(&mut text).unwrap();
    let packed = zstd::encode_all(text.as_slice(), 3).unwrap();
    println!("  as JSON {:.1} MB, packed {:.2} MB", text.len() as f64 / 1e6, packed.len() as f64 / 1e6);
    let (time, read) = best(|| Snapshot::from_reader(packed.as_slice()).unwrap());
    println!("  read back in {:.2} s", time.as_secs_f64());
    let (time, report) = best(|| {
        diff(&Side::Snapshot(&snapshot), &Side::Snapshot(&read), &DiffOptions::default(), &NoProgress).unwrap()
    });
    assert_eq!(report.outcome(), Outcome::Clean);
    println!("  {} offsets compared in {:.2} s", report.compared_offsets, time.as_secs_f64());
}

fn million_offsets() -> String {
    let mut text = String::from("{\n\t\"offsetTable\":{");
    for group in 0..GROUPS {
        for topic in 0..TOPICS {
            let comma = if group + topic == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\n\t\t\"Topic_{topic:04}@GID_consumer_{group:03}\":{{");
            for queue in 0..QUEUES {
                let comma = if queue == 0 { "" } else { "," };
                let _ = write!(text, "{comma}{queue}:{}", (group + queue) % 2);
            }
            text.push_str("\n\t\t}");
        }
    }
    text.push_str("\n\t}\n}");
    text
}

/// Two equal logs.
fn logs() {
    let mib: u64 = std::env::var("MQSTORE_BENCH_MIB").ok().and_then(|v| v.parse().ok()).unwrap_or(512);
    let dir = tempfile::tempdir().unwrap();
    let roots = ["a", "b"].map(|name| dir.path().join(name));
    let mut end = 0;
    for root in &roots {
        let mut writer = StoreBuilder::new(root)
            .commitlog_file_size(128 * MIB)
            .consumequeue_file_size(6_000_000)
            .index_geometry(5_000, 20_000)
            .start();
        let noise = noise(1100, 1);
        writer.fill(mib * MIB, &mut Message::new("TopicTest", 0).body(&*noise), |number, message| {
            message.queue_id = i32::try_from(number % 8).unwrap_or(0);
        });
        end = writer.finish().end;
    }
    let [a, b] = roots.each_ref().map(|root| open(root));
    let speed = |time: Duration| end as f64 / 1e9 / time.as_secs_f64();
    let (plain, equal) = best(|| {
        let files = a.commitlog().files().iter().zip(b.commitlog().files());
        files.fold(true, |equal, (a, b)| {
            let (a, b) = (a.map().unwrap(), b.map().unwrap());
            a.advise_sequential();
            b.advise_sequential();
            equal && *a == *b
        })
    });
    assert!(equal);
    println!("two logs of {mib} MiB: plain comparison of the mappings {:.2} GB/s", speed(plain));
    // Only the log: finding its end reads the last three files with their checksums, which is timed, too.
    let mut options = DiffOptions::default();
    options.ignore = Area::ALL.into_iter().filter(|area| *area != Area::Log).collect();
    let (time, report) = best(|| diff(&Side::store(&a), &Side::store(&b), &options, &NoProgress).unwrap());
    assert_eq!((report.outcome(), report.commitlog.compared.bytes), (Outcome::Clean, end));
    println!("  diff of the stores {:.2} GB/s with both ends found", speed(time));
    let positions = best(|| snapshot::take(&a, &SnapshotOptions::positions(), &NoProgress).unwrap()).0;
    println!("  of that {:.3} s to find each end", positions.as_secs_f64());
    let all = {
        let mut o = SnapshotOptions::default();
        o.digest = DigestScope::All;
        o
    };
    let (time, _) = best(|| snapshot::take(&a, &all, &NoProgress).unwrap());
    println!("  snapshot with all digests {:.2} GB/s", speed(time));
}
