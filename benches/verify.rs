//! How fast `verify --level full` is, as a ratio to summing the log's bytes, on one thread and two, and beside Java.
//!
//! For bodies of 100 B, 1 KiB and 4 KiB a store is written to a temporary folder and read once to warm the page cache;
//! then, in each round, its log is summed and the store verified, one after the other. Ratios are made round by round,
//! since other work on the machine changes the speed of all; smallest, middle and greatest are printed. How much two
//! threads can gain on the machine at all is told by the sum, which is made on one and two as well. A Java program
//! that walks the same log with RocketMQ's own `MessageDecoder` and its CRC runs in the same rounds, where `java` and
//! `mvn` are there.
//!
//! Run with `cargo bench -p mqstore-check --bench verify`. `MQSTORE_BENCH_MIB` sets the size of the log (256),
//! `MQSTORE_BENCH_ROUNDS` the rounds (5), `MQSTORE_BENCH_BODIES` the bodies (`100,1024,4096`). With
//! `MQSTORE_BENCH_QUEUES=100000` a store of so many queues is verified instead under a limit of 1,024 open files, and
//! the peak of memory is printed.

#![expect(
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a bench prints what it measured"
)]

mod memory;
mod setting;
mod spread;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mqstore_check::verify::{Level, VerifyOptions, verify};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Built, Message, StoreBuilder, noise};

use memory::sum;
use setting::setting;
use spread::{seconds, spread};

const MIB: u64 = 1 << 20;

fn main() {
    let queues = setting("MQSTORE_BENCH_QUEUES", 0);
    if queues > 0 {
        many_queues(queues);
        return;
    }
    let mib = setting("MQSTORE_BENCH_MIB", 256);
    let rounds = setting("MQSTORE_BENCH_ROUNDS", 5);
    let bodies = std::env::var("MQSTORE_BENCH_BODIES").unwrap_or_else(|_| "100,1024,4096".into());
    println!("{mib} MiB of log, {rounds} rounds: smallest, middle and greatest");
    println!("{:>6}  {:<21} {:>26} {:>26}", "body", "what", "million messages/s", "time : time of the sum");
    let java = Walk::prepare();
    for body in bodies.split(',').filter_map(|body| body.parse().ok()) {
        bench(mib, rounds, body, java.as_ref());
    }
}

/// A store as a client of today fills it: unique key, tag, eight queues.
fn store(dir: &Path, mib: u64, body: usize) -> Built {
    let mut writer = StoreBuilder::new(dir)
        .commitlog_file_size((mib * MIB / 4).clamp(MIB, 1 << 30))
        .consumequeue_file_size(6_000_000)
        .index_geometry(500_000, 2_000_000)
        .start();
    let noise = noise(body + 64, 1);
    let mut message = Message::new("TopicTest", 0).body(&*noise);
    writer.fill(mib * MIB, &mut message, |number, message| {
        let shift = usize::try_from(number % 64).unwrap_or(0);
        message.queue_id = i32::try_from(number % 8).unwrap_or(0);
        message.store_timestamp = 1_700_000_000_000 + i64::try_from(number / 500).unwrap_or(0);
        message.body.clear();
        message.body.extend(noise.iter().skip(shift).take(body));
        message.properties.clear();
        let properties =
            format!("UNIQ_KEY\u{1}7F0000010C2A18B4AAC2{number:012X}\u{2}WAIT\u{1}true\u{2}TAGS\u{1}TagA\u{2}");
        message.properties.extend_from_slice(properties.as_bytes());
    });
    writer.finish()
}

fn bench(mib: u64, rounds: u64, body: usize, java: Option<&Walk>) {
    let dir = tempfile::tempdir().unwrap();
    let built = store(dir.path(), mib, body);
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let mut java = java.map(|java| java.start(&dir.path().join("commitlog")));
    let names = ["memory sum", "memory sum, 2 threads", "verify, 1 thread", "verify, 2 threads", "Java MessageDecoder"];
    let mut rows: Vec<[f64; 5]> = Vec::new();
    for round in 0..=rounds {
        let times = [
            seconds(|| sum(&store, 1)).0,
            seconds(|| sum(&store, 2)).0,
            seconds(|| full(&store, built, 1)).0,
            seconds(|| full(&store, built, 2)).0,
            java.as_mut().map_or(f64::NAN, |java| java.walk(built)),
        ];
        // Round 0 fills the page cache, and lets Java compile.
        if round > 0 {
            rows.push(times);
        }
    }
    let of = |n: usize| rows.iter().filter_map(move |row| row.get(n)).copied();
    for (n, name) in names.iter().enumerate() {
        let speed = spread(of(n).map(|time| built.records as f64 / time / 1e6));
        let ratio = spread(of(n).zip(of(0)).map(|(time, sum)| time / sum));
        println!("{body:>6}  {name:<21} {speed:>26} {ratio:>26}");
    }
    let faster = |slow, fast| spread(of(slow).zip(of(fast)).map(|(slow, fast)| slow / fast));
    println!("{body:>6}  two threads {} times as fast as one; the sum {}", faster(2, 3), faster(0, 1));
    println!("{body:>6}  one thread {} times as fast as Java", faster(4, 2));
}

/// The Java program beside this file, compiled.
struct Walk {
    dir: tempfile::TempDir,
    jars: String,
}

/// One run of it, which walks the log for each line that it gets.
struct Walking {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Walk {
    fn prepare() -> Option<Self> {
        let made = Self::make();
        if made.is_none() {
            println!(
                "no comparison with Java: it needs mvn, javac and java, and rocketmq-common 5.3.3 from a repository"
            );
        }
        made
    }

    fn make() -> Option<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../benches/java");
        let dir = tempfile::tempdir().ok()?;
        let list = dir.path().join("classpath");
        let runs = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        let resolved = runs(
            Command::new("mvn")
                .args(["-q", "-f"])
                .arg(format!("{source}/pom.xml"))
                .arg("dependency:build-classpath")
                .arg(format!("-Dmdep.outputFile={}", list.display())),
        );
        let jars = std::fs::read_to_string(&list).ok().filter(|_| resolved)?.trim().to_owned();
        let compiled =
            runs(Command::new("javac").args(["-cp", &jars, "-d"]).arg(dir.path()).arg(format!("{source}/Walk.java")));
        compiled.then_some(Self { dir, jars })
    }

    fn start(&self, commitlog: &Path) -> Walking {
        let mut child = Command::new("java")
            .arg("-cp")
            .arg(format!("{}:{}", self.dir.path().display(), self.jars))
            .arg("Walk")
            .arg(commitlog)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (orders, answers) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Walking { child, orders, answers }
    }
}

impl Walking {
    fn walk(&mut self, built: Built) -> f64 {
        self.orders.write_all(b"\n").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let (messages, seconds) = line.trim().split_once(' ').unwrap();
        assert_eq!(messages.parse(), Ok(built.records));
        seconds.parse().unwrap()
    }
}

impl Drop for Walking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A store of so many queues with three messages each, verified under a limit of 1,024 open files.
fn many_queues(queues: u64) {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path())
        .commitlog_file_size(64 * MIB)
        .consumequeue_file_size(6_000_000)
        .index_geometry(500_000, 2_000_000)
        .start();
    for number in 0..3 * queues {
        let (topic, queue_id) = (number % queues / 8, i32::try_from(number % 8).unwrap_or(0));
        let key = format!("7F0000010C2A18B4AAC2{number:012X}");
        writer.put(&Message::new(&format!("Topic-{topic:06}"), queue_id).sized(100).property("UNIQ_KEY", &key));
    }
    let built = writer.finish();
    let limit = rustix::process::Rlimit { current: Some(1024), maximum: Some(1024) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    // What building took does not count.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS:");
    for jobs in [1, 2] {
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let (mappings, (time, ())) = most_mappings(|| seconds(|| full(&store, built, jobs)));
        let peak = memory("VmHWM:");
        println!(
            "{queues} queues, {jobs} threads: {time:.1} s, peak {peak} MiB, {before} of them before, at most {mappings} \
             mappings seen; 1,024 open files"
        );
    }
}

/// A value of `/proc/self/status`, in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The most mappings that this process has while `work` runs, looked at every few milliseconds.
fn most_mappings<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut most = 0;
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(std::fs::read_to_string("/proc/self/maps").unwrap_or_default().lines().count());
                std::thread::sleep(Duration::from_millis(5));
            }
            most
        });
        let result = work();
        is_done.store(true, Ordering::Relaxed);
        (watcher.join().unwrap(), result)
    })
}

fn full(store: &Store, built: Built, jobs: usize) {
    let mut options = VerifyOptions::default();
    options.level = Level::Full;
    options.jobs = jobs;
    let report = verify(store, &options, &NoProgress, &mut |finding| panic!("{finding:?}")).unwrap();
    assert_eq!(report.coverage.records, Some(built.records));
}
