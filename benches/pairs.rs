//! What it costs to take, carry and compare snapshots, and to compare two stores.
//!
//! A store of 10,000 queues, in files of a broker's default length, and a million committed offsets is written to a
//! temporary folder; then two equal logs, whose comparison is set against comparing the same mappings as plain bytes.
//! Of some rounds the smallest, middle and greatest value is printed; the comparisons of the logs are made in the same
//! rounds, so that their ratio holds on a busy machine, too. Run with
//! `cargo bench -p mqstore-check --bench pairs`; a log has 512 MiB, or `MQSTORE_BENCH_MIB`.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

mod spread;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mqstore_check::Outcome;
use mqstore_check::diff::{Area, DiffOptions, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, Snapshot, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder, noise};

use spread::{seconds, spread};

const ROUNDS: u32 = 5;
const MIB: u64 = 1 << 20;
const TOPICS: u32 = 1250;
const QUEUES: u32 = 8;
const GROUPS: u32 = 100;

fn main() {
    offsets();
    logs();
}

/// The seconds of some rounds, and what the last one gave.
fn rounds<T>(mut work: impl FnMut() -> T) -> (Vec<f64>, T) {
    let mut times = Vec::new();
    let mut result = None;
    for _ in 0..ROUNDS {
        let (time, given) = seconds(&mut work);
        times.push(time);
        result = Some(given);
    }
    (times, result.unwrap())
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
    let (time, snapshot) = rounds(|| snapshot::take(&store, &SnapshotOptions::default(), &NoProgress).unwrap());
    let queues: usize = snapshot.queues.values().map(Vec::len).sum();
    let offsets: usize =
        snapshot.consumer_offsets.iter().flat_map(|table| table.values()).map(std::collections::BTreeMap::len).sum();
    println!("{queues} queues, {offsets} offsets: snapshot taken in {} s", spread(time));
    let mut text = Vec::new();
    snapshot.to_writer(&mut text).unwrap();
    let packed = zstd::encode_all(text.as_slice(), 3).unwrap();
    println!("  as JSON {:.1} MB, packed {:.2} MB", text.len() as f64 / 1e6, packed.len() as f64 / 1e6);
    let (time, read) = rounds(|| Snapshot::from_reader(packed.as_slice()).unwrap());
    println!("  read back in {} s", spread(time));
    let (time, report) = rounds(|| {
        diff(&Side::Snapshot(&snapshot), &Side::Snapshot(&read), &DiffOptions::default(), &NoProgress).unwrap()
    });
    assert_eq!(report.outcome(), Outcome::Clean);
    println!("  {} offsets compared in {} s", report.compared_offsets, spread(time));
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
    let speed = |times: &[f64]| spread(times.iter().map(|time| end as f64 / 1e9 / time));
    // Only the log: finding its end reads the last three files with their checksums, which is timed, too.
    let mut options = DiffOptions::default();
    options.ignore = Area::ALL.into_iter().filter(|area| *area != Area::Log).collect();
    let (mut plain, mut diffs) = (Vec::new(), Vec::new());
    // Round 0 fills the page cache.
    for round in 0..=ROUNDS {
        let (time, equal) = seconds(|| is_equal(&a, &b));
        assert!(equal);
        let (of_diff, report) = seconds(|| diff(&Side::store(&a), &Side::store(&b), &options, &NoProgress).unwrap());
        assert_eq!((report.outcome(), report.commitlog.compared.bytes), (Outcome::Clean, end));
        if round > 0 {
            plain.push(time);
            diffs.push(of_diff);
        }
    }
    println!("two logs of {mib} MiB: plain comparison of the mappings {} GB/s", speed(&plain));
    println!("  diff of the stores with both ends found {} GB/s", speed(&diffs));
    let ratios = diffs.iter().zip(&plain).map(|(diff, plain)| diff / plain);
    println!("  its time : time of the plain comparison {}", spread(ratios));
    let (time, _) = rounds(|| snapshot::take(&a, &SnapshotOptions::positions(), &NoProgress).unwrap());
    println!("  of that to find each end {} s", spread(time));
    let mut all = SnapshotOptions::default();
    all.digest = DigestScope::All;
    let (time, _) = rounds(|| snapshot::take(&a, &all, &NoProgress).unwrap());
    println!("  snapshot with all digests {} GB/s", speed(&time));
}

/// What `cmp` does, through the same mappings.
fn is_equal(a: &Store, b: &Store) -> bool {
    a.commitlog().files().iter().zip(b.commitlog().files()).all(|(a, b)| {
        let (a, b) = (a.map().unwrap(), b.map().unwrap());
        a.advise_sequential();
        b.advise_sequential();
        *a == *b
    })
}
