//! Named ways to break a healthy recorded store, and exactly what `verify` says about each.
//!
//! Places come from the truth that the broker's own classes left, offsets inside a record or unit are literals.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[path = "verify_mutations/log.rs"]
mod log;
#[path = "verify_mutations/queues.rs"]
mod queues;
#[path = "verify_mutations/special.rs"]
mod special;
#[path = "verify_mutations/state.rs"]
mod state;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mqstore_check::verify::{ALL_CHECKS, VerifyOptions, check, verify};
use mqstore_check::{Outcome, Report, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::{files, write_at};
use mqstore_testkit::{golden, truth_lines};
use serde_json::Value;

const LOG_FILE: u64 = 1_048_576;
/// Position of the first entry of an index file of 500 slots, number 0, which is not used.
const ENTRIES: u64 = 40 + 500 * 4;

/// A store that is being broken.
struct Sick {
    root: PathBuf,
    lines: Arc<Vec<Value>>,
}

impl Sick {
    fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn config(&self, name: &str) -> PathBuf {
        self.path("config").join(name)
    }

    /// Position and size of the record with this topic, queue and queue offset.
    fn record(&self, topic: &str, queue: i64, offset: i64) -> (u64, u64) {
        let line = self.line(topic, queue, offset);
        (line["physicalOffset"].as_u64().unwrap(), line["storeSize"].as_u64().unwrap())
    }

    fn line(&self, topic: &str, queue: i64, offset: i64) -> &Value {
        let fits =
            |l: &&Value| l["k"] == "rec" && l["topic"] == topic && l["queueId"] == queue && l["queueOffset"] == offset;
        self.lines.iter().find(fits).unwrap()
    }

    fn records(&self, topic: &str, queue: i64) -> impl Iterator<Item = (u64, i64)> {
        let fits = move |l: &&Value| l["k"] == "rec" && l["topic"] == topic && l["queueId"] == queue;
        self.lines
            .iter()
            .filter(fits)
            .map(|l| (l["physicalOffset"].as_u64().unwrap(), l["queueOffset"].as_i64().unwrap()))
    }

    fn log(&self, position: u64) -> (PathBuf, u64) {
        let base = position / LOG_FILE * LOG_FILE;
        (self.path(&format!("commitlog/{base:020}")), position - base)
    }

    /// Overwrites bytes of the log.
    fn put(&self, position: u64, bytes: &[u8]) {
        let (path, at) = self.log(position);
        write_at(&path, at, bytes);
    }

    fn get(&self, position: u64, length: usize) -> Vec<u8> {
        let (path, at) = self.log(position);
        fs::read(path).unwrap()[usize::try_from(at).unwrap()..][..length].to_vec()
    }

    /// The position of `text` in the record at `position`.
    fn find_in(&self, (position, size): (u64, u64), text: &[u8]) -> u64 {
        let bytes = self.get(position, usize::try_from(size).unwrap());
        position + bytes.windows(text.len()).position(|w| w == text).unwrap() as u64
    }

    fn queue(&self, topic: &str, queue: u32) -> PathBuf {
        self.path(&format!("consumequeue/{topic}/{queue}/00000000000000000000"))
    }

    fn index(&self, n: usize) -> PathBuf {
        files(&self.path("index"))[n].clone()
    }
}

/// The first record that contains `text`, in the first log file: its position.
fn find_text(sick: &Sick, text: &[u8]) -> u64 {
    let bytes = fs::read(sick.path("commitlog/00000000000000000000")).unwrap();
    bytes.windows(text.len()).position(|w| w == text).unwrap() as u64
}

struct Mutation {
    name: &'static str,
    store: &'static str,
    apply: fn(&Sick),
    /// The ids that must appear; the first is the one that the mutation is for.
    finds: &'static [&'static str],
    outcome: Outcome,
    /// A start of every release goes on without loss: cut, rebuilt, ignored.
    survives: bool,
}

const fn m(
    name: &'static str,
    store: &'static str,
    apply: fn(&Sick),
    finds: &'static [&'static str],
    outcome: Outcome,
    survives: bool,
) -> Mutation {
    Mutation { name, store, apply, finds, outcome, survives }
}

const CLEAN: &str = "4.3.2-clean";
const KILLED: &str = "4.3.2-killed";

fn i64_bytes(value: i64) -> [u8; 8] {
    value.to_be_bytes()
}

/// Removes the unit with number `n` from a queue file, so that later ones move down.
fn drop_units(path: &Path, n: usize, count: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes.drain(n * 20..(n + count) * 20);
    bytes.resize(bytes.len() + count * 20, 0);
    fs::write(path, bytes).unwrap();
}
/// All rows, by part of the store.
fn mutations() -> impl Iterator<Item = &'static Mutation> {
    [log::MUTATIONS, queues::MUTATIONS, state::MUTATIONS, special::MUTATIONS].into_iter().flatten()
}

/// Ids with another proof than a row of the table.
const PROVEN_ELSEWHERE: &[&str] = &[
    "commitlog.store-host-length", // verify_golden: 5.3.3-v6mix
    "commitlog.cut-ahead",         // verify_golden: 5.3.3-v6mix
    "delay.behind-min",            // verify_golden: 4.3.2-expired
    "commitlog.duplicate-file",    // verify_options: needs two folders
    "config.two-places",           // verify_options: needs a home folder
    "store.live",                  // verify_options: needs a process that holds the lock
    "store.io-error",              // verify_options: needs a file that is cut short while it is read
];

fn run(root: &Path, options: StoreOptions) -> Report {
    let store = Store::open(root, options).unwrap();
    verify(&store, &VerifyOptions::default(), &NoProgress, &mut |_| {}).unwrap()
}

fn ids(report: &Report) -> BTreeSet<&'static str> {
    report.findings().iter().map(|finding| finding.id).collect()
}

#[test]
fn every_mutation_gives_exactly_its_findings() {
    let mut lines: HashMap<&str, Arc<Vec<Value>>> = HashMap::new();
    let mut usual: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    let mut wrong = Vec::new();
    for mutation in mutations() {
        let golden = golden(mutation.store);
        let root = golden.root();
        let lines = lines.entry(mutation.store).or_insert_with(|| {
            let known = ["4.3.2-clean", "4.3.2-killed", "4.3.2-expired"].contains(&mutation.store);
            Arc::new(if known { truth_lines(mutation.store) } else { Vec::new() })
        });
        let usual = usual.entry(mutation.store).or_insert_with(|| ids(&run(&root, StoreOptions::default())));
        (mutation.apply)(&Sick { root: root.clone(), lines: lines.clone() });
        let report = run(&root, StoreOptions::default());
        let new: BTreeSet<_> = ids(&report).difference(usual).copied().collect();
        let expected: BTreeSet<_> = mutation.finds.iter().copied().collect();
        let outcome = report.outcome(Severity::Error);
        if new != expected || outcome != mutation.outcome {
            let mut told: BTreeMap<&str, &str> = BTreeMap::new();
            for finding in report.findings() {
                told.entry(finding.id).or_insert(&finding.message);
            }
            wrong.push(format!(
                "{}: {outcome:?}, {new:?}, expected {:?}, {expected:?}\n    {told:?}",
                mutation.name, mutation.outcome
            ));
        }
    }
    let survived = mutations().filter(|mutation| mutation.survives).count();
    println!("{} mutations, {survived} of which a broker survives", mutations().count());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_check_has_a_mutation() {
    let first: BTreeSet<_> = mutations().flat_map(|mutation| mutation.finds).copied().collect();
    for found in &first {
        assert!(check(found).is_some(), "{found} is no check");
    }
    let missing: Vec<_> = ALL_CHECKS.iter().map(|check| check.id).filter(|id| !first.contains(id)).collect();
    let missing: Vec<_> = missing.into_iter().filter(|id| !PROVEN_ELSEWHERE.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(mutations().count() >= 60);
}
