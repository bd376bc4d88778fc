//! What it costs to take, carry and compare snapshots, and to compare two stores.
//!
//! A store of 10,000 queues, in files of a broker's default length, and a million committed offsets is written to a
//! temporary folder; then two equal logs in four files each, the last one half full. Their comparison is set against `cmp` on the
//! same files, and against comparing memory that lies in place, on one core and on all of them. All run one after the
//! other in each round, since other work on the machine changes the speed of all; ratios are made round by round.
//!
//! Run with `cargo bench -p mqstore-check --bench pairs`. A log has 4096 MiB, or `MQSTORE_BENCH_MIB`; there are 5 rounds, or
//! `MQSTORE_BENCH_ROUNDS`; `MQSTORE_BENCH_QUICK=1` stands for 128 MiB and 2 rounds. Each line is a name, a value and its
//! unit; of rounds it is the smallest, the middle and the greatest.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench prints what it measured"
)]

mod setting;
mod spread;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use mqstore_check::Outcome;
use mqstore_check::diff::{Area, DiffOptions, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, Snapshot, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Message, StoreBuilder, noise};

use setting::setting;
use spread::{seconds, spread};

const MIB: u64 = 1 << 20;
const TOPICS: u32 = 1250;
const QUEUES: u32 = 8;
const GROUPS: u32 = 100;
/// Set to a store, the program only takes a snapshot of it and tells its own peak of memory.
const PEAK_OF: &str = "MQSTORE_BENCH_PEAK_OF";

fn main() {
    if let Some(root) = std::env::var_os(PEAK_OF) {
        let snapshot = snapshot::take(&open(root.as_ref()), &SnapshotOptions::default(), &NoProgress).unwrap();
        snapshot.to_writer(std::io::sink()).unwrap();
        println!("{}", peak_kib());
        return;
    }
    let quick = setting("MQSTORE_BENCH_QUICK", 0) > 0;
    let rounds = setting("MQSTORE_BENCH_ROUNDS", if quick { 2 } else { 5 });
    offsets(rounds);
    logs(setting("MQSTORE_BENCH_MIB", if quick { 128 } else { 4096 }), rounds);
}

fn row(name: &str, value: f64, unit: &str) {
    println!("{name:<40} {value:>24.2} {unit}");
}

fn rows(name: &str, values: impl IntoIterator<Item = f64>, unit: &str) {
    println!("{name:<40} {:>24} {unit}", spread(values));
}

/// The most that this process ever held in memory, mapped files included, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The seconds of some rounds, and what the last one gave.
fn repeat<T>(rounds: u64, mut work: impl FnMut() -> T) -> (Vec<f64>, T) {
    let (time, mut result) = seconds(&mut work);
    let mut times = vec![time];
    for _ in 1..rounds {
        let (time, value) = seconds(&mut work);
        times.push(time);
        result = value;
    }
    (times, result)
}

fn open(root: &Path) -> Store {
    Store::open(root, StoreOptions::default()).unwrap()
}

/// 10,000 queues, a million offsets.
fn offsets(rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path()).consumequeue_file_size(6_000_000).start();
    for n in 0..TOPICS * QUEUES {
        let queue = i32::try_from(n % QUEUES).unwrap();
        writer.put(&Message::new(&format!("Topic_{:04}", n / QUEUES), queue).sized(100));
    }
    writer.finish();
    fs::write(dir.path().join("config/consumerOffset.json"), million_offsets()).unwrap();
    let store = open(dir.path());
    let (times, snapshot) =
        repeat(rounds, || snapshot::take(&store, &SnapshotOptions::default(), &NoProgress).unwrap());
    row("snapshot.queues", snapshot.queues.values().map(Vec::len).sum::<usize>() as f64, "queues");
    let offsets: usize =
        snapshot.consumer_offsets.iter().flat_map(|table| table.values()).map(std::collections::BTreeMap::len).sum();
    row("snapshot.offsets", offsets as f64, "offsets");
    rows("snapshot.take", times, "s");
    let (times, text) = repeat(rounds, || {
        let mut text = Vec::new();
        snapshot.to_writer(&mut text).unwrap();
        text
    });
    rows("snapshot.write", times, "s");
    row("snapshot.json", text.len() as f64 / 1e6, "MB");
    let packed = zstd::encode_all(text.as_slice(), 9).unwrap();
    row("snapshot.json.zst", packed.len() as f64 / 1e6, "MB");
    let peak = Command::new(std::env::current_exe().unwrap()).env(PEAK_OF, dir.path()).output().unwrap();
    let peak: u64 = String::from_utf8(peak.stdout).unwrap().trim().parse().unwrap();
    row("snapshot.peak_memory", peak as f64 * 1024.0 / 1e6, "MB");
    let (times, read) = repeat(rounds, || Snapshot::from_reader(packed.as_slice()).unwrap());
    rows("snapshot.read", times, "s");
    let (times, report) = repeat(rounds, || {
        diff(&Side::Snapshot(&snapshot), &Side::Snapshot(&read), &DiffOptions::default(), &NoProgress).unwrap()
    });
    assert_eq!(report.outcome(), Outcome::Clean);
    rows("diff.equal_offsets", times, "s");
    // Each of them differs.
    let mut later = read;
    for offset in later.consumer_offsets.iter_mut().flat_map(|table| table.values_mut()).flat_map(|q| q.values_mut()) {
        *offset += 1_000_000_000;
    }
    let (times, report) = repeat(rounds, || {
        diff(&Side::Snapshot(&snapshot), &Side::Snapshot(&later), &DiffOptions::default(), &NoProgress).unwrap()
    });
    assert_eq!((report.compared_offsets, report.consumer_offsets.len()), (offsets as u64, offsets));
    rows("diff.different_offsets", times, "s");
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
fn logs(mib: u64, rounds: u64) {
    let dir = tempfile::tempdir().unwrap();
    let roots = ["a", "b"].map(|name| dir.path().join(name));
    let file_size = (mib * MIB / 4).min(1 << 30);
    let mut end = 0;
    for root in &roots {
        let mut writer = StoreBuilder::new(root)
            .commitlog_file_size(file_size)
            .consumequeue_file_size(6_000_000)
            .index_geometry(5_000, 20_000)
            .start();
        let noise = noise(1100, 1);
        writer.fill(mib * MIB - file_size / 2, &mut Message::new("TopicTest", 0).body(&*noise), |number, message| {
            message.queue_id = i32::try_from(number % 8).unwrap_or(0);
        });
        end = writer.finish().end;
    }
    let [a, b] = roots.each_ref().map(|root| open(root));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = [vec![7; 256 << 20], vec![7; 256 << 20]];
    let mut options = DiffOptions::default();
    options.ignore = Area::ALL.into_iter().filter(|area| *area != Area::Log).collect();
    let all = {
        let mut options = SnapshotOptions::default();
        options.digest = DigestScope::All;
        options
    };
    // Round 0 fills the page cache.
    let mut speeds = vec![Vec::new(); 7];
    for round in 0..=rounds {
        let length: u64 = a.commitlog().files().iter().map(|file| file.length).sum();
        let in_memory = memory[0].len() as u64;
        let mut compare = |jobs: usize| {
            options.jobs = jobs;
            let report = diff(&Side::store(&a), &Side::store(&b), &options, &NoProgress).unwrap();
            assert_eq!((report.outcome(), report.commitlog.compared.bytes), (Outcome::Clean, end));
        };
        let times = [
            (length, seconds(|| cmp(&a, &b)).0),
            (in_memory, seconds(|| equal(&memory, 1)).0),
            (in_memory, seconds(|| equal(&memory, cores)).0),
            (end, seconds(|| compare(1)).0),
            (end, seconds(|| compare(cores)).0),
            (end, seconds(|| snapshot::take(&a, &all, &NoProgress).unwrap()).0),
            (end, seconds(|| snapshot::take(&a, &SnapshotOptions::positions(), &NoProgress).unwrap()).0),
        ];
        for (speeds, (bytes, time)) in speeds.iter_mut().zip(times).filter(|_| round > 0) {
            speeds.push(bytes as f64 / 1e9 / time);
        }
    }
    row("log.size", mib as f64, "MiB");
    row("log.cores", cores as f64, "cores");
    let names = [
        "log.cmp",
        "log.memory_one_core",
        "log.memory_all_cores",
        "log.diff_one_core",
        "log.diff_all_cores",
        "log.snapshot_digest_all",
    ];
    for (name, speeds) in names.iter().zip(&speeds) {
        rows(name, speeds.iter().copied(), "GB/s");
    }
    rows("log.find_one_end", speeds[6].iter().map(|speed| end as f64 / 1e9 / speed), "s");
    let ratio = |part: usize, whole: &[usize]| {
        let most = |round: usize| whole.iter().map(|one| speeds[*one][round]).fold(0.0, f64::max);
        (0..speeds[part].len()).map(|round| speeds[part][round] / most(round)).collect::<Vec<_>>()
    };
    rows("log.diff_one_core_to_cmp", ratio(3, &[0]), "times");
    rows("log.diff_one_core_to_memory_one_core", ratio(3, &[1]), "times");
    rows("log.diff_all_cores_to_memory_all_cores", ratio(4, &[0, 2]), "times");
}

/// The program that compares files.
fn cmp(a: &Store, b: &Store) {
    for (a, b) in a.commitlog().files().iter().zip(b.commitlog().files()) {
        assert!(Command::new("cmp").args([&a.path, &b.path]).status().unwrap().success());
    }
}

/// Compares what lies in memory, a part on each core.
fn equal([a, b]: &[Vec<u8>; 2], cores: usize) {
    let part = a.len().div_ceil(cores);
    std::thread::scope(|scope| {
        for (a, b) in a.chunks(part).zip(b.chunks(part)) {
            scope.spawn(move || assert!(black_box(a) == black_box(b)));
        }
    });
}
