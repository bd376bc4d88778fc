//! Hostile inputs that are kept are survived, and recorded files after random damage hold no surprise for any reader.

use std::fs;
use std::path::Path;

use mqstore_testkit::damage::files;
use mqstore_testkit::{golden, mutate, testdata};
use proptest::prelude::{ProptestConfig, any, proptest};

#[expect(unreachable_pub, reason = "the fuzz targets need it public; here it is a module of a test")]
#[path = "../../fuzz/src/lib.rs"]
mod hammer;

fn hammer_named(name: &str) -> hammer::Hammer {
    let found = hammer::HAMMERS.iter().find(|(hammer, _)| *hammer == name);
    found.unwrap_or_else(|| panic!("no hammer is named {name}")).1
}

#[test]
fn every_hammer_has_a_fuzz_target_and_every_target_a_hammer() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let stem = |file: &std::path::PathBuf| file.file_stem().unwrap().to_str().unwrap().to_owned();
    // The archive has no hammer here: its reader is not part of the library under test.
    let found: Vec<String> = files(&targets).iter().map(stem).filter(|name| name != "archive").collect();
    let hammers: Vec<&str> = hammer::HAMMERS.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, hammers);
    let manifest = fs::read_to_string(targets.join("../Cargo.toml")).unwrap();
    for name in hammers {
        let text = fs::read_to_string(targets.join(format!("{name}.rs"))).unwrap();
        assert!(text.contains(&format!("mqstore_fuzz::{name}(bytes)")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

/// `testdata/fuzz-artifacts/<hammer>/<what is wrong>`: found by fuzzing, or made by hand to hurt.
#[test]
fn every_kept_hostile_input_is_survived() {
    let folder = testdata().join("fuzz-artifacts");
    let mut replayed = 0;
    for path in files(&folder).iter().filter(|path| path.parent() != Some(&folder)) {
        let name = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        hammer_named(name)(&fs::read(path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "no artifact under {}", folder.display());
}

/// Runs a hammer over the files as they are, and over each with random damage.
fn hammer_files(name: &str, seeds: &[Vec<u8>]) {
    assert!(!seeds.is_empty());
    let hammer = hammer_named(name);
    for bytes in seeds {
        hammer(bytes);
    }
    proptest!(ProptestConfig::with_cases(400), |(seed in any::<u64>(), which in 0..seeds.len())| {
        hammer(&mutate(&seeds[which], seed));
    });
}

/// The first `length` bytes of each file below a folder of recorded stores, without what only repeats.
fn heads(stores: &[&str], folder: &str, length: usize) -> Vec<Vec<u8>> {
    let mut heads = Vec::new();
    for store in stores {
        for file in files(&golden(store).root().join(folder)).iter().take(12) {
            let mut bytes = fs::read(file).unwrap();
            bytes.truncate(length);
            heads.push(bytes);
        }
    }
    heads
}

#[test]
fn commitlog_files_with_random_damage() {
    // Plain and compressed bodies, IPv6, V2, property CRC, inner batches, and a file from the middle of a log.
    let stores = ["3.2.6-clean", "5.3.3-clean", "5.3.3-propcrc", "5.3.3-batchcq", "5.3.3-v6mix", "4.3.2-expired"];
    hammer_files("commitlog", &heads(&stores, "commitlog", 1 << 14));
}

#[test]
fn consume_queue_files_with_random_damage() {
    hammer_files("consumequeue", &heads(&["4.3.2-clean", "5.3.3-clean"], "consumequeue", 4000));
}

#[test]
fn batch_and_compaction_queues_with_random_damage() {
    let mut seeds = heads(&["5.3.3-batchcq"], "batchconsumequeue", 920);
    seeds.extend(heads(&["5.3.3-batchcq"], "compaction/compactionCq", 460));
    hammer_files("batchconsumequeue", &seeds);
}

#[test]
fn dledger_data_and_properties_with_random_damage() {
    let mut seeds = heads(&["4.9.7-dledger", "5.3.3-dledger"], "dledger-n0/data", 1 << 13);
    seeds.extend(heads(&["4.9.7-dledger"], "dledger-n0", 32));
    hammer_files("dledger", &seeds);
}

#[test]
fn timer_logs_and_used_slots_with_random_damage() {
    let mut seeds = heads(&["5.3.3-timer", "5.5.0-clean"], "timerlog", 3000);
    // The part of the wheel with the slots in use.
    let wheel = fs::read(golden("5.3.3-timer").root().join("timerwheel")).unwrap();
    seeds.push(wheel[423_000 * 32..][..6400].to_vec());
    hammer_files("timer", &seeds);
}

#[test]
fn rocksdb_files_with_random_damage() {
    let mut seeds = Vec::new();
    for (store, folder) in
        [("5.3.3-rocksdb", "consumequeue"), ("5.3.3-rocksdb", "config/topics"), ("5.3.3-rocksdb-v2", "config/rdb")]
    {
        seeds.extend(heads(&[store], folder, 1 << 14).into_iter().filter(|bytes| !bytes.is_empty()));
    }
    hammer_files("rocksdb", &seeds);
}

#[test]
fn consume_queue_extensions_with_random_damage() {
    hammer_files("consumequeue_ext", &heads(&["4.3.2-cqext"], "consumequeue_ext", 4000));
}

#[test]
fn index_files_with_random_damage() {
    hammer_files("index", &heads(&["3.2.6-clean", "5.3.3-clean"], "index", usize::MAX));
}

#[test]
fn checkpoints_with_random_damage() {
    let of = |store: &str| fs::read(golden(store).root().join("checkpoint")).unwrap();
    hammer_files("checkpoint", &[of("3.2.6-clean"), of("5.5.0-clean"), of("5.5.0-clean")[..50].to_vec()]);
}

#[test]
fn broker_conf_with_random_damage() {
    let of = |path: &str| fs::read(golden("4.3.2-pair").sub(path)).unwrap();
    let odd = b"\\u0041:1\r\n! no\nlisten\\\n  Port = 1\nlistenPort=2 \n=\nstorePathCommitLog=a,b\nbrokerName=\\u00e4"
        .to_vec();
    hammer_files("broker_conf", &[of("master/broker.conf"), of("slave/broker.conf"), odd]);
}

#[test]
fn config_files_with_random_damage() {
    let mut seeds = Vec::new();
    for store in ["3.2.6-clean", "5.3.3-lmq", "5.3.3-timer", "4.3.2-cqext", "5.5.0-clean"] {
        let golden = golden(store);
        let found = files(&golden.root().join("config"));
        seeds.extend(found.iter().filter(|f| f.extension().is_some_and(|e| e == "json")).map(|f| fs::read(f).unwrap()));
    }
    hammer_files("fastjson", &seeds);
}
