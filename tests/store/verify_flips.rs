//! Single bits flipped all over a recorded store: which of them `verify` sees, and exactly which it cannot.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mqstore_check::Finding;
use mqstore_check::verify::{VerifyOptions, verify};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::{files, flip};
use mqstore_testkit::{golden, truth_lines};

const STORE: &str = "4.3.2-clean";
const LOG_FILE: u64 = 1_048_576;
const SEED: u64 = 20_261_125;

/// Flips by what they hit.
const RECORD_FLIPS: usize = 3000;
const UNIT_FLIPS: usize = 900;
const INDEX_FLIPS: usize = 900;
const CHECKPOINT_FLIPS: usize = 100;
const CONFIG_FLIPS: usize = 300;

/// What neither a checksum nor another file covers. Everything else must be seen, each time.
const UNCOVERED: &[(&str, &str)] = &[
    ("record: flag", "the client's own 32 bits"),
    ("record: sys flag", "the multi-tags bit, and codec or unwrap bits of a body that is not compressed"),
    ("record: born timestamp", "the client's clock"),
    ("record: born host", "the client's address"),
    ("record: store timestamp", "milliseconds that keep the order and, for an indexed message, the second"),
    ("record: store host", "the address of the broker, which may change"),
    ("record: reconsume times", "any number of redeliveries is possible; the sign is seen"),
    (
        "record: properties",
        "names and values that no broker acts on; KEYS, TAGS, UNIQ_KEY, DELAY and separators are seen",
    ),
    ("index header: times", "begin and end within the second that entries are measured in"),
    ("index header: slot count", "between the used slots and the number of entries"),
    ("index entry: time of entry 1", "measured from the file before"),
    ("checkpoint: times", "any time up to the newest message is possible"),
    ("config", "numbers and names that no other file repeats"),
];

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (x ^ (x >> 31)) % limit
    }
}

/// A bit of a file, and what it is part of.
#[derive(Debug, Clone)]
struct Target {
    path: String,
    offset: u64,
    bit: u8,
    field: &'static str,
}

/// Fields of a record with two IPv4 hosts, by the position they end at.
const FIELDS: &[(u64, &str)] = &[
    (4, "record: total size"),
    (8, "record: magic code"),
    (12, "record: body crc"),
    (16, "record: queue id"),
    (20, "record: flag"),
    (28, "record: queue offset"),
    (36, "record: physical offset"),
    (40, "record: sys flag"),
    (48, "record: born timestamp"),
    (56, "record: born host"),
    (64, "record: store timestamp"),
    (72, "record: store host"),
    (76, "record: reconsume times"),
    (84, "record: prepared transaction offset"),
    (88, "record: body length"),
];

fn targets(root: &Path) -> Vec<Target> {
    let mut random = Random(SEED);
    let mut targets = Vec::new();
    let lines = truth_lines(STORE);
    let records: Vec<_> = lines.iter().filter(|line| line["k"] == "rec").collect();
    for _ in 0..RECORD_FLIPS {
        let record = records[usize::try_from(random.below(records.len() as u64)).unwrap()];
        let (start, size) = (record["physicalOffset"].as_u64().unwrap(), record["storeSize"].as_u64().unwrap());
        // Half of the flips in the fields before the body: bodies are long.
        let at = if random.below(2) == 0 { random.below(88) } else { random.below(size) };
        let body = 88 + record["bodyLength"].as_u64().unwrap();
        let topic = body + 1 + record["topic"].as_str().unwrap().len() as u64;
        let field = FIELDS.iter().find(|(end, _)| at < *end).map(|(_, name)| *name);
        let field = field.unwrap_or(match at {
            _ if at < body => "record: body",
            _ if at < topic => "record: topic",
            _ if at < topic + 2 => "record: properties length",
            _ => "record: properties",
        });
        let position = start + at;
        let path = format!("commitlog/{:020}", position / LOG_FILE * LOG_FILE);
        targets.push(Target { path, offset: position % LOG_FILE, bit: 0, field });
    }
    let queues: Vec<_> = lines.iter().filter(|line| line["k"] == "cq").collect();
    for _ in 0..UNIT_FLIPS {
        let queue = queues[usize::try_from(random.below(queues.len() as u64)).unwrap()];
        let offset = random.below(queue["valid"].as_u64().unwrap() * 20);
        let text = |name: &str| queue[name].as_str().unwrap();
        let path = format!("consumequeue/{}/{}/{}", text("topic"), text("queue"), text("file"));
        targets.push(Target { path, offset, bit: 0, field: "unit" });
    }
    let index = files(&root.join("index"));
    for _ in 0..INDEX_FLIPS {
        let path = &index[usize::try_from(random.below(index.len() as u64)).unwrap()];
        let count = u64::from(u32::from_be_bytes(fs::read(path).unwrap()[36..40].try_into().unwrap()));
        let (offset, field) = match random.below(10) {
            0 => match random.below(40) {
                at @ 0..16 => (at, "index header: times"),
                at @ 32..36 => (at, "index header: slot count"),
                at => (at, "index header: offsets and count"),
            },
            1 | 2 => (40 + random.below(2000), "index slot"),
            _ => {
                let at = random.below((count - 1) * 20);
                let first = at < 20 && (12..16).contains(&at);
                (2040 + 20 + at, if first { "index entry: time of entry 1" } else { "index entry" })
            }
        };
        targets.push(Target {
            path: format!("index/{}", path.file_name().unwrap().to_str().unwrap()),
            offset,
            bit: 0,
            field,
        });
    }
    for _ in 0..CHECKPOINT_FLIPS {
        let (offset, field) = match random.below(2) {
            0 => (random.below(24), "checkpoint: times"),
            _ => (24 + random.below(4072), "checkpoint: offsets and rest"),
        };
        targets.push(Target { path: "checkpoint".into(), offset, bit: 0, field });
    }
    let config = ["consumerOffset.json", "delayOffset.json", "subscriptionGroup.json", "topics.json"];
    for _ in 0..CONFIG_FLIPS {
        let path = format!("config/{}", config[usize::try_from(random.below(4)).unwrap()]);
        let length = fs::metadata(root.join(&path)).unwrap().len();
        targets.push(Target { path, offset: random.below(length), bit: 0, field: "config" });
    }
    for target in &mut targets {
        target.bit = u8::try_from(random.below(8)).unwrap();
    }
    targets
}

fn findings(root: &Path) -> Vec<Finding> {
    let store = Store::open(root, StoreOptions::default()).unwrap();
    verify(&store, &VerifyOptions::default(), &NoProgress, &mut |_| {}).unwrap().findings().to_vec()
}

/// Which of the targets are seen; each is flipped, and flipped back.
fn seen(root: &Path, targets: &[Target]) -> Vec<bool> {
    let usual = findings(root);
    let look = |target: &Target| {
        let path = root.join(&target.path);
        flip(&path, target.offset, target.bit);
        let seen = findings(root) != usual;
        flip(&path, target.offset, target.bit);
        seen
    };
    targets.iter().map(look).collect()
}

#[test]
fn a_flipped_bit_is_seen_wherever_anything_covers_it() {
    let stores = [golden(STORE), golden(STORE)];
    let targets = targets(&stores[0].root());
    assert!(targets.len() >= 5000);
    let (half, rest) = targets.split_at(targets.len() / 2);
    let results: Vec<bool> = std::thread::scope(|scope| {
        let roots = [stores[0].root(), stores[1].root()];
        let [a, b] = roots;
        let first = scope.spawn(move || seen(&a, half));
        let second = scope.spawn(move || seen(&b, rest));
        [first.join().unwrap(), second.join().unwrap()].concat()
    });
    let mut by_field: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut missed = Vec::new();
    for (target, seen) in targets.iter().zip(&results) {
        let (hit, all) = by_field.entry(target.field).or_default();
        *all += 1;
        *hit += u32::from(*seen);
        if !seen && !UNCOVERED.iter().any(|(field, _)| *field == target.field) {
            missed.push(target);
        }
    }
    let (mut covered, mut covered_all) = (0, 0);
    for (field, (hit, all)) in &by_field {
        let why = UNCOVERED.iter().find(|(name, _)| name == field).map_or("", |(_, why)| why);
        println!("{field:38} {hit:5} of {all:5} seen  {why}");
        if why.is_empty() {
            covered += hit;
            covered_all += all;
        }
    }
    let hit: u32 = results.iter().map(|seen| u32::from(*seen)).sum();
    println!("{hit} of {} flips seen; {covered} of {covered_all} where something covers the byte", results.len());
    assert!(missed.is_empty(), "{} missed: {missed:#?}", missed.len());
}

/// A part of a store in which every byte must be covered, but for some fields.
struct Part {
    store: &'static str,
    path: &'static str,
    /// Units of so many bytes, from this place on, so many.
    units: (u64, u64, u64),
    /// Bytes of a unit that nothing covers, and why.
    uncovered: &'static [(std::ops::Range<u64>, &'static str)],
}

const PARTS: &[Part] = &[
    Part {
        store: "5.3.3-timer",
        path: "timerlog/00000000000000000000",
        units: (52, 0, 52),
        uncovered: &[
            (4..12, "the unit before one whose time has passed"),
            (22..28, "milliseconds within the second of the slot"),
            (44..52, "reserved"),
        ],
    },
    Part {
        store: "5.3.3-batchcq",
        path: "batchconsumequeue/TBatch/0/00000000000000000000",
        units: (46, 0, 12),
        uncovered: &[],
    },
    Part {
        store: "5.3.3-batchcq",
        path: "compaction/compactionCq/TComp/0/00000000000000119370",
        units: (46, 0, 87),
        uncovered: &[],
    },
    Part { store: "5.3.3-dledger", path: "dledger-n0/index/00000000000000000000", units: (32, 0, 271), uncovered: &[] },
    Part { store: "5.3.3-dledger", path: "dledger-n0/data/00000000000000000000", units: (48, 0, 1), uncovered: &[] },
    Part { store: "5.3.3-rocksdb", path: "consumequeue/000024.sst", units: (36_996 - 53, 0, 1), uncovered: &[] },
    Part { store: "5.3.3-rocksdb", path: "consumequeue/MANIFEST-000019", units: (1503, 0, 1), uncovered: &[] },
    Part { store: "5.3.3-rocksdb-v2", path: "config/rdb/000009.sst", units: (1896 - 53, 0, 1), uncovered: &[] },
    Part {
        store: "4.3.2-cqext",
        path: "consumequeue_ext/TPlain/0/00000000000000000000",
        units: (20, 0, 10),
        uncovered: &[],
    },
];
const PART_FLIPS: u64 = 40;

#[test]
fn a_flipped_bit_in_a_special_part_of_a_store_is_seen() {
    let mut random = Random(SEED);
    let mut missed = Vec::new();
    for part in PARTS {
        let golden = golden(part.store);
        let (length, from, count) = part.units;
        let targets: Vec<_> = (0..PART_FLIPS)
            .map(|_| Target {
                path: part.path.to_owned(),
                offset: from + length * random.below(count) + random.below(length),
                bit: u8::try_from(random.below(8)).unwrap(),
                field: "",
            })
            .collect();
        let seen = seen(&golden.root(), &targets);
        let covered = |target: &&Target| {
            let at = (target.offset - from) % length;
            !part.uncovered.iter().any(|(range, _)| range.contains(&at))
        };
        let of_part = targets.iter().zip(&seen).filter(|(target, seen)| covered(target) && !**seen);
        let places: Vec<_> = of_part.map(|(target, _)| (target.offset, target.bit)).collect();
        println!("{:60} {} of {PART_FLIPS} seen", part.path, seen.iter().filter(|seen| **seen).count());
        for (range, why) in part.uncovered {
            println!("    bytes {range:?}: {why}");
        }
        if !places.is_empty() {
            missed.push(format!("{}: {places:?}", part.path));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
