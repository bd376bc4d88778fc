//! How fast `backup create` is, beside `tar --sparse -I 'zstd -3 -T0'` and `sha256sum`, on the same store, one after the other.
//!
//! (a) 64 queues with much data; (b) 10,000 queues of 6,000,000 bytes each that are mostly hole. The stores are written to a
//! temporary folder and read once to warm the page cache. In each round both make an archive in that folder and sync it to the
//! disk; ours looks at the store, hashes and writes its manifest as the command does. With all sums (b) is held against
//! `sha256sum` on as many files at a time as there are processors. Ratios are made round by round, since other work on the
//! machine changes the speed of all: by the clock, and by the processor time that both took. Smallest, middle and greatest are
//! printed; above 1 means that ours took less.
//!
//! Run with `cargo bench -p mqstore-backup --bench backup`. `MQSTORE_BENCH_MIB` sets the data of (a) (768; below 384 it has fewer queues),
//! `MQSTORE_BENCH_QUEUES` the queues of (b) (10,000), `MQSTORE_BENCH_ROUNDS` the rounds (5), `MQSTORE_BENCH_JOBS` the threads
//! (as many as there are processors); `MQSTORE_BENCH_SUMS=0` leaves the sums out, which take longest: 60 GB are hashed twice a
//! round.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

mod setting;
mod spread;

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use mqstore_backup::{CreateOptions, PlanOptions, create_file, facts, plan};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};

use setting::setting;
use spread::{seconds, spread};

/// Length of a consume queue's file: 300,000 units.
const QUEUE_FILE: u64 = 6_000_000;

fn main() {
    let rounds = setting("MQSTORE_BENCH_ROUNDS", 5);
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let jobs = setting("MQSTORE_BENCH_JOBS", cores);
    println!("{rounds} rounds, {jobs} threads: smallest, middle and greatest; above 1 ours took less");
    let files = (setting("MQSTORE_BENCH_MIB", 768) << 20).div_ceil(QUEUE_FILE);
    let (count, files) = (files.min(64), files.div_ceil(64));
    let dense = tempfile::tempdir().unwrap();
    queues(dense.path(), count, files, QUEUE_FILE / 20);
    let name = format!("(a) {count} queues, all files of each full: {files}");
    against_tar(&name, dense.path(), jobs, rounds);
    drop(dense);
    let count = setting("MQSTORE_BENCH_QUEUES", 10_000);
    let sparse = tempfile::tempdir().unwrap();
    queues(sparse.path(), count, 1, 200);
    against_tar(&format!("(b) {count} queues that are mostly hole"), sparse.path(), jobs, rounds);
    if setting("MQSTORE_BENCH_SUMS", 1) > 0 {
        against_sums(&format!("(b) {count} queues with all sums"), sparse.path(), (jobs, cores), rounds);
    }
}

/// Queues over the same log, as brokers fill them in turn: place, length of the message, hash of its tag. So many `files` each,
/// all full but the last, which holds so many `units`.
fn queues(root: &Path, count: u64, files: u64, units: u64) {
    let mut random = 1u64;
    let mut chance = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let tags: Vec<u64> = (0..8).map(|_| chance(1 << 31)).collect();
    for queue in 0..count {
        let folder = root.join(format!("consumequeue/Topic{}/{}", queue / 8, queue % 8));
        fs::create_dir_all(&folder).unwrap();
        let mut place = chance(1 << 20);
        for number in 0..files {
            let units = if number + 1 == files { units } else { QUEUE_FILE / 20 };
            let mut content = Vec::new();
            for _ in 0..units {
                let length = 180 + chance(900);
                let tag = tags.get(usize::try_from(chance(8)).unwrap()).copied().unwrap_or_default();
                content.extend_from_slice(&place.to_be_bytes());
                content.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
                content.extend_from_slice(&tag.to_be_bytes());
                place += length + chance(2 * count.min(64) * 600);
            }
            let file = File::create(folder.join(format!("{:020}", number * QUEUE_FILE))).unwrap();
            file.write_all_at(&content, 0).unwrap();
            file.set_len(QUEUE_FILE).unwrap();
        }
    }
}

/// What something took, in seconds: by the clock, and of the processors.
#[derive(Clone, Copy)]
struct Took {
    clock: f64,
    processor: f64,
}

fn took(work: impl FnOnce()) -> Took {
    let before = processor_time();
    let (clock, ()) = seconds(work);
    Took { clock, processor: processor_time() - before }
}

/// Of this process and of its children that ended, in user and system mode.
fn processor_time() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

/// As the command does it.
fn backup(root: &Path, archive: &Path, jobs: u64, all_sums: bool) {
    let store = Store::open(root, StoreOptions::default()).unwrap();
    let plan = plan(root, &PlanOptions::default(), facts::gather(&store)).unwrap();
    let mut options = CreateOptions::default();
    options.jobs = u32::try_from(jobs).unwrap();
    options.replace = true;
    options.all_sums = all_sums;
    let created = create_file(&plan, archive, &options, &NoProgress).unwrap();
    assert!(created.is_complete());
}

fn against_tar(name: &str, root: &Path, jobs: u64, rounds: u64) {
    let out = tempfile::tempdir().unwrap();
    let (ours, theirs) = (out.path().join("ours.tar.zst"), out.path().join("tar.tar.zst"));
    let script = "tar --sparse -I 'zstd -q -3 -T0' -cf \"$1\" -C \"$2\" . && sync \"$1\"";
    let mut rows = Vec::new();
    for round in 0..=rounds {
        let mine = || took(|| backup(root, &ours, jobs, false));
        let tar = || {
            took(|| {
                let status = Command::new("sh").args(["-c", script, "sh"]).arg(&theirs).arg(root).status();
                assert!(status.unwrap().success());
            })
        };
        // In turn, so that neither always writes into the disk's quiet.
        let pair = if round % 2 == 0 {
            let mine = mine();
            (mine, tar())
        } else {
            let tar = tar();
            (mine(), tar)
        };
        // Round 0 fills the page cache.
        if round > 0 {
            rows.push(pair);
        }
    }
    report(name, "tar and zstd", &rows);
    let length = |path: &Path| fs::metadata(path).unwrap().len() as f64;
    println!("{:<40} {:>10.0} bytes, {:.4} of tar's", "", length(&ours), length(&ours) / length(&theirs));
}

fn against_sums(name: &str, root: &Path, (jobs, cores): (u64, u64), rounds: u64) {
    let out = tempfile::tempdir().unwrap();
    let archive = out.path().join("ours.tar.zst");
    let script = "find . -type f -print0 | xargs -0 -P \"$1\" -n 50 sha256sum > /dev/null";
    let rows: Vec<(Took, Took)> = (0..rounds)
        .map(|_| {
            let mine = took(|| backup(root, &archive, jobs, true));
            let sums = took(|| {
                let mut command = Command::new("sh");
                command.args(["-c", script, "sh"]).arg(cores.to_string()).current_dir(root).stdin(Stdio::null());
                assert!(command.status().unwrap().success());
            });
            (mine, sums)
        })
        .collect();
    report(name, "sha256sum", &rows);
}

fn report(name: &str, other: &str, rows: &[(Took, Took)]) {
    println!("{name}, against {other}");
    for (what, of) in
        [("clock", (|took| took.clock) as fn(Took) -> f64), ("processor time", |took: Took| took.processor)]
    {
        let mine = spread(rows.iter().map(|(mine, _)| of(*mine)));
        let theirs = spread(rows.iter().map(|(_, theirs)| of(*theirs)));
        let ratio = spread(rows.iter().map(|(mine, theirs)| of(*theirs) / of(*mine)));
        println!("  {what:<16} {mine:>24} s   {other} {theirs:>24} s   ratio {ratio:>20}");
    }
    std::io::stdout().flush().unwrap();
}
