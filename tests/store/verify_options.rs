//! `verify` with options, on stores that other programs hold or that lie in several places, and on hostile bytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use mqstore_check::verify::{Level, Sample, VerifyError, VerifyOptions, verify};
use mqstore_check::{Outcome, Report, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::{files, flip, write_at, zero};
use mqstore_testkit::{Message, StoreBuilder, fingerprint, golden, mutate};

fn run(root: &Path, store: StoreOptions, change: impl FnOnce(&mut VerifyOptions)) -> Report {
    let mut options = VerifyOptions::default();
    change(&mut options);
    verify(&Store::open(root, store).unwrap(), &options, &NoProgress, &mut |_| {}).unwrap()
}

fn plain(root: &Path) -> Report {
    run(root, StoreOptions::default(), |_| {})
}

fn ids(report: &Report) -> Vec<&'static str> {
    report.findings().iter().map(|finding| finding.id).collect()
}

#[test]
fn two_folders_with_a_file_of_one_name_are_told() {
    let golden = golden("4.3.2-clean");
    let other = golden.sub("other");
    fs::create_dir(&other).unwrap();
    fs::copy(golden.root().join("commitlog/00000000000003145728"), other.join("00000000000003145728")).unwrap();
    let mut store = StoreOptions::default();
    store.commitlog_dirs = vec![golden.root().join("commitlog"), other];
    let report = run(&golden.root(), store, |_| {});
    assert!(ids(&report).contains(&"commitlog.duplicate-file"), "{:?}", ids(&report));
}

#[test]
fn a_config_file_in_both_places_is_told_and_a_home_folder_completes_a_3_5_8_store() {
    let upgraded = golden("3.5.8-upgraded-4.3.2");
    let mut store = StoreOptions::default();
    store.home = Some(upgraded.sub("home"));
    let report = run(&upgraded.root(), store, |_| {});
    assert_eq!(ids(&report), ["config.two-places", "config.two-places"]);
    let old = golden("3.5.8-clean");
    assert_eq!(ids(&plain(&old.root())), ["config.missing"]);
    let mut store = StoreOptions::default();
    store.home = Some(old.sub("home"));
    assert_eq!(ids(&run(&old.root(), store, |_| {})), [""; 0]);
}

/// Set for a copy of this program that holds a lock and does nothing else.
const HOLD: &str = "MQSTORE_TEST_HOLD_LOCK";

#[test]
fn a_running_broker_is_told_by_its_lock() {
    if let Some(path) = std::env::var_os(HOLD) {
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        rustix::fs::fcntl_lock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        println!("\nlocked");
        std::io::stdout().flush().unwrap();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        return;
    }
    let golden = golden("4.3.2-killed");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_running_broker_is_told_by_its_lock", "--nocapture"])
        .env(HOLD, golden.root().join("lock"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "locked"));
    let held = plain(&golden.root());
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(ids(&held), ["store.live"]);
    assert_eq!(ids(&plain(&golden.root())), ["store.unclean-stop"]);
}

#[test]
fn checks_can_be_chosen_and_what_was_left_out_is_named() {
    let golden = golden("4.3.2-clean");
    flip(&golden.root().join("commitlog/00000000000000000000"), 100, 0);
    zero(&golden.root().join("consumequeue/GoldFour/0/00000000000000000000"), 2000..2020);
    assert_eq!(ids(&plain(&golden.root())), ["commitlog.body-crc", "queue.hole"]);
    let only = run(&golden.root(), StoreOptions::default(), |options| options.only = vec!["queue".to_owned()]);
    assert_eq!(ids(&only), ["queue.hole"]);
    let skip = run(&golden.root(), StoreOptions::default(), |options| {
        options.skip = vec!["queue".into(), "commitlog.body-crc".into()];
    });
    assert_eq!(ids(&skip), [""; 0]);
    assert_eq!(skip.outcome(Severity::Error), Outcome::Clean);
    assert_eq!(
        skip.coverage.skipped.iter().map(|s| s.what.as_str()).collect::<Vec<_>>(),
        ["queue", "commitlog.body-crc"]
    );
    let first = run(&golden.root(), StoreOptions::default(), |options| options.exit_on_error = true);
    assert_eq!(ids(&first), ["commitlog.body-crc"]);
    let mut options = VerifyOptions::default();
    options.skip = vec!["queues".to_owned()];
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let error = verify(&store, &options, &NoProgress, &mut |_| {}).unwrap_err();
    assert!(matches!(&error, VerifyError::UnknownCheck { name } if name == "queues"));
    assert_eq!(error.to_string(), "no check or area is called \"queues\"");
}

#[test]
fn a_part_of_the_log_gives_no_false_alarm_and_finds_what_lies_in_it() {
    let golden = golden("4.3.2-clean");
    let parts: [fn(&mut VerifyOptions); 4] = [
        |options| options.sample = Some(Sample { n: 1, of: 2, seed: 7 }),
        |options| options.sample = Some(Sample { n: 1, of: 100, seed: 1 }),
        |options| options.max_bytes = Some(2_100_000),
        |options| options.since = Some(1_795_470_091_000),
    ];
    for part in parts {
        let report = run(&golden.root(), StoreOptions::default(), part);
        assert_eq!(ids(&report), [""; 0]);
        assert!(report.coverage.records.unwrap() < 3822, "a part of the records");
        assert_eq!(report.coverage.skipped.first().map(|s| s.asked), Some(true));
        assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
    }
    flip(&golden.root().join("commitlog/00000000000003145728"), 100, 0);
    for part in parts {
        assert_eq!(ids(&run(&golden.root(), StoreOptions::default(), part)), ["commitlog.body-crc"]);
    }
}

#[test]
fn the_quick_level_reads_the_last_files_and_their_units() {
    let golden = golden("4.3.2-clean");
    let quick = |options: &mut VerifyOptions| options.level = Level::Quick;
    flip(&golden.root().join("commitlog/00000000000000000000"), 100, 0);
    assert_eq!(ids(&run(&golden.root(), StoreOptions::default(), quick)), [""; 0]);
    flip(&golden.root().join("commitlog/00000000000003145728"), 100, 0);
    // The last units of a queue that goes on to the end.
    zero(&golden.root().join("consumequeue/GoldOne/0/00000000000000020000"), 101 * 20..102 * 20);
    let report = run(&golden.root(), StoreOptions::default(), quick);
    assert_eq!(ids(&report), ["commitlog.body-crc", "queue.records-without-unit"]);
}

#[test]
fn a_cancelled_run_says_so_and_is_never_clean() {
    let golden = golden("4.3.2-clean");
    let store = Store::open(golden.root(), StoreOptions::default()).unwrap();
    let report = verify(&store, &VerifyOptions::default(), &AtomicBool::new(true), &mut |_| {}).unwrap();
    assert!(report.coverage.interrupted);
    assert_eq!(report.outcome(Severity::Error), Outcome::NoVerdict);
    assert_eq!(ids(&report), [""; 0], "what was not read is no damage");
}

#[test]
fn a_store_with_nothing_in_it_is_clean_and_a_backup_without_log_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("commitlog")).unwrap();
    let report = plain(dir.path());
    assert_eq!((report.outcome(Severity::Error), report.coverage.new_store), (Outcome::Clean, true));
    let golden = golden("4.3.2-clean");
    fs::remove_dir_all(golden.root().join("commitlog")).unwrap();
    let backup = |options: &mut VerifyOptions| options.without_commitlog = true;
    let report = run(&golden.root(), StoreOptions::default(), backup);
    assert_eq!(ids(&report), [""; 0]);
    assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
    zero(&golden.root().join("consumequeue/GoldFour/0/00000000000000000000"), 2000..2020);
    write_at(&golden.root().join("checkpoint"), 0, &[0xFF]);
    let report = run(&golden.root(), StoreOptions::default(), backup);
    assert_eq!(ids(&report), ["queue.hole", "checkpoint.garbage"]);
}

#[test]
fn verifying_changes_nothing_in_the_store() {
    let golden = golden("5.3.3-clean");
    let before = fingerprint(&golden.root());
    plain(&golden.root());
    assert_eq!(fingerprint(&golden.root()), before);
}

#[test]
fn hostile_bytes_give_findings_and_never_a_panic() {
    let golden = golden("4.3.2-cqext");
    let all = files(&golden.root());
    let mut found = 0u64;
    for seed in 0..600 {
        let path = &all[usize::try_from(seed).unwrap() % all.len()];
        let bytes = fs::read(path).unwrap();
        // The beginning of a file is where its records are.
        let live = bytes.len().min(60_000);
        let mut broken = mutate(bytes.get(..live).unwrap(), seed);
        broken.extend_from_slice(bytes.get(live..).unwrap());
        fs::write(path, broken).unwrap();
        found += u64::from(!plain(&golden.root()).findings().is_empty());
        fs::write(path, bytes).unwrap();
    }
    assert!(found > 300, "{found} of 600 runs found something");
    assert_eq!(ids(&plain(&golden.root())), [""; 0]);
}

#[test]
fn hostile_bytes_in_special_parts_are_findings_and_never_a_panic() {
    let parts = [
        ("5.3.3-timer", ["timerlog", "config"]),
        ("5.3.3-batchcq", ["batchconsumequeue", "compaction"]),
        ("5.3.3-dledger", ["dledger-n0", "consumequeue"]),
        ("5.3.3-rocksdb", ["consumequeue", "config"]),
        ("5.3.3-rocksdb-v2", ["config/rdb", "consumequeue"]),
        ("4.3.2-cqext", ["consumequeue_ext", "config"]),
    ];
    let (mut found, mut runs) = (0u64, 0u64);
    for (store, folders) in parts {
        let golden = golden(store);
        let all: Vec<_> = folders.iter().flat_map(|folder| files(&golden.root().join(folder))).collect();
        let usual = ids(&plain(&golden.root()));
        for seed in 0..50 {
            let path = all.get(usize::try_from(seed).unwrap() % all.len()).unwrap();
            let length = usize::try_from(fs::metadata(path).unwrap().len().min(60_000)).unwrap();
            let mut bytes = vec![0; length];
            fs::File::open(path).unwrap().read_exact(&mut bytes).unwrap();
            let mut broken = mutate(&bytes, seed);
            broken.resize(length, 0);
            // Without checksums, what is wrong in a table is seen by those who read its rows.
            if seed % 2 == 1 && path.extension().is_some_and(|e| e == "sst") && length > 53 {
                broken.splice(length - 53..length - 52, [0]);
            }
            write_at(path, 0, &broken);
            found += u64::from(ids(&plain(&golden.root())) != usual);
            runs += 1;
            write_at(path, 0, &bytes);
        }
        assert_eq!(ids(&plain(&golden.root())), usual);
    }
    assert!(found * 2 > runs, "{found} of {runs} runs found something");
}

#[test]
fn a_store_built_by_other_code_is_clean() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut writer = StoreBuilder::new(&root).start();
    for n in 0..3000 {
        writer.put(&Message::new(&format!("T{}", n % 70), n % 4));
    }
    writer.finish();
    let report = plain(&root);
    assert_eq!(ids(&report), [""; 0]);
    assert_eq!(report.coverage.records, Some(3000));
}

/// Cuts a file short from another process as soon as the run is in the middle of it.
struct Cutting<'a> {
    victim: &'a Path,
    at: u64,
    done: AtomicBool,
}

impl mqstore_core::progress::Progress for Cutting<'_> {
    fn update(&self, done: u64, _: Option<u64>) {
        if done >= self.at && !self.done.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let status = Command::new("truncate").arg("--size=4096").arg(self.victim).status().unwrap();
            assert!(status.success());
        }
    }
}

#[test]
fn a_log_file_cut_short_by_another_process_while_it_is_mapped_is_a_finding() {
    mqstore_core::store::sigbus::install().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = StoreBuilder::new(dir.path()).commitlog_file_size(8 << 20).consumequeue_file_size(600_000).start();
    let mut message = Message::new("T", 0).sized(1000);
    writer.fill(20 << 20, &mut message, |_, _| {});
    writer.finish();
    let victim = dir.path().join("commitlog/00000000000008388608");
    // Two megabytes into the second file: it is mapped, and most of it was not read yet.
    let cutting = Cutting { victim: &victim, at: 10 << 20, done: AtomicBool::new(false) };
    let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
    let report = verify(&store, &VerifyOptions::default(), &cutting, &mut |_| {}).unwrap();
    assert!(cutting.done.into_inner(), "the run was over before the file was cut");
    let found: Vec<_> = report.findings().iter().filter(|finding| finding.id == "store.io-error").collect();
    assert_eq!(found.len(), 1, "{:?}", ids(&report));
    assert_eq!(found[0].location.path.as_deref(), Some("commitlog/00000000000008388608"));
    assert_eq!(report.outcome(Severity::Error), Outcome::Found);
    assert!(
        !ids(&report).contains(&"commitlog.magic"),
        "zeros of a lost page were taken for content: {:?}",
        ids(&report)
    );
}
