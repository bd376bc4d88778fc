//! A backup of a store that a broker is writing to: another thread does what a broker does, in its order.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mqstore_backup::manifest::Capture;
use mqstore_backup::{PlanOptions, RestoreOptions, create_file, plan, restore, verify_file};
use mqstore_core::format::config::ConfigTable as _;
use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};

use super::{fixed_time, plan_of};

const UNITS: u64 = 2000;
const QUEUE: &str = "consumequeue/Orders/0/00000000000000000000";

fn make_store(root: &Path) {
    for folder in ["commitlog", "consumequeue/Orders/0", "config"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    File::create(root.join(QUEUE)).unwrap().set_len(UNITS * 20).unwrap();
    File::create(root.join("commitlog/00000000000000000000")).unwrap().set_len(1 << 20).unwrap();
    fs::write(root.join("abort"), "").unwrap();
}

/// Appends a unit, then commits the offset behind it: the old way (`.tmp`, `.bak`, rename) and the new (in place) in turns.
fn broker(root: &Path, stop: &AtomicBool, written: &AtomicU64) {
    let queue = OpenOptions::new().write(true).open(root.join(QUEUE)).unwrap();
    let config = root.join("config");
    let name = |suffix: &str| config.join(format!("consumerOffset.json{suffix}"));
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) && n < UNITS {
        let mut unit = [0; 20];
        unit[..8].copy_from_slice(&(n * 100).to_be_bytes());
        unit[8..12].copy_from_slice(&100_u32.to_be_bytes());
        queue.write_all_at(&unit, n * 20).unwrap();
        n += 1;
        let json = format!("{{\"offsetTable\":{{\"Orders@G\":{{0:{n}}}}}}}");
        if n % 2 == 0 {
            fs::write(name(".tmp"), &json).unwrap();
            if let Ok(old) = fs::read(name("")) {
                fs::write(name(".bak"), old).unwrap();
                fs::remove_file(name("")).unwrap();
            }
            fs::rename(name(".tmp"), name("")).unwrap();
        } else {
            if let Ok(old) = fs::read(name("")) {
                fs::write(name(".bak"), old).unwrap();
            }
            fs::write(name(""), &json).unwrap();
        }
        fs::write(root.join("checkpoint"), vec![1; 4096]).unwrap();
        written.store(n, Ordering::Release);
    }
}

/// What a restored copy says: units in the queue, and the offset that the group has committed.
fn state_of(archive: &Path, to: &Path) -> (u64, i64) {
    restore(archive, &RestoreOptions { to: to.to_path_buf(), ..RestoreOptions::default() }, &NoProgress).unwrap();
    let store = Store::open(to, StoreOptions::default()).unwrap();
    let queue = store.consumequeues().unwrap().remove(0);
    let units = queue.range(0.into()).unwrap().max_offset.get();
    let offsets = ConsumerOffsetTable::parse(&fs::read(to.join("config/consumerOffset.json")).unwrap()).unwrap();
    let committed = offsets.committed().map(|committed| committed.offset).max().unwrap_or(0);
    (units, committed)
}

#[test]
fn in_two_hundred_rounds_no_offset_is_ahead_of_its_queue_and_every_archive_verifies() {
    let temp = tempfile::tempdir().unwrap();
    let mut rounds = 0;
    let mut moved = 0;
    while rounds < 200 {
        let root = temp.path().join("store");
        let _ = fs::remove_dir_all(&root);
        make_store(&root);
        let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| broker(&root, &stop, &written));
            while written.load(Ordering::Acquire) < 2 {
                std::thread::yield_now();
            }
            for _ in 0..20 {
                let before = written.load(Ordering::Acquire);
                let options = PlanOptions { live: true, lock_held: true, ..PlanOptions::default() };
                let plan = plan(&root, &options, mqstore_backup::StoreFacts::default()).unwrap();
                assert_eq!(plan.capture, Capture::Live);
                let archive = temp.path().join("live.tar.zst");
                let mut options = fixed_time();
                options.replace = true;
                let created = create_file(&plan, &archive, &options, &NoProgress).unwrap();
                let after = written.load(Ordering::Acquire);
                let verified = verify_file(&archive, &NoProgress).unwrap();
                assert_eq!(verified.report.counts().error, 0, "{:?}", verified.report.findings());
                // The checkpoint is written in place without end here: that it moved may be said, anything else not.
                let gaps: Vec<_> = created.manifest.gaps.iter().filter(|gap| gap.path != "store/checkpoint").collect();
                assert!(gaps.iter().all(|gap| gap.path.contains(".tmp")), "{gaps:?}");
                let to = temp.path().join("restored");
                let (units, committed) = state_of(&archive, &to);
                fs::remove_dir_all(&to).unwrap();
                assert!(u64::try_from(committed).unwrap() <= units, "committed {committed} of {units} units");
                assert!(before <= units && units <= after + 1, "{before} <= {units} <= {after}");
                moved += u64::from(before < after);
                rounds += 1;
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
    assert!(moved > rounds / 4, "the store went on in only {moved} of {rounds} rounds");
}

#[test]
fn a_database_that_lacks_a_table_that_its_manifest_needs_is_a_gap() {
    let golden = mqstore_testkit::golden("5.3.3-rocksdb");
    let live = || {
        let options = PlanOptions { live: true, ..PlanOptions::default() };
        let plan = plan(&golden.root(), &options, mqstore_backup::StoreFacts::default()).unwrap();
        let created = mqstore_backup::create(&plan, std::io::sink(), &fixed_time(), &NoProgress).unwrap();
        created.manifest.gaps.iter().map(|gap| format!("{}: {}", gap.path, gap.reason)).collect::<Vec<_>>()
    };
    assert_eq!(live(), [""; 0]);
    let tables = walkdir::WalkDir::new(golden.root()).into_iter().flatten();
    let table = tables.map(walkdir::DirEntry::into_path).find(|path| path.extension().is_some_and(|e| e == "sst"));
    let table = table.unwrap();
    fs::remove_file(&table).unwrap();
    let number = table.file_stem().unwrap().to_str().unwrap();
    let gaps = live();
    let about = |gap: &String| gap.contains("/CURRENT: ") && gap.contains(&format!("needs table {number} of"));
    assert!(gaps.len() == 1 && about(&gaps[0]), "{gaps:?}");
}

#[test]
fn a_stopped_store_gives_the_same_archive_either_way_but_for_the_word_for_it() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("store");
    make_store(&root);
    broker(&root, &AtomicBool::new(false), &AtomicU64::new(0));
    let live =
        plan(&root, &PlanOptions { live: true, ..PlanOptions::default() }, mqstore_backup::StoreFacts::default());
    let mut files = Vec::new();
    for plan in [live.unwrap(), plan_of(&root)] {
        let archive = temp.path().join("a.tar.zst");
        let mut options = fixed_time();
        options.replace = true;
        files.push(create_file(&plan, &archive, &options, &NoProgress).unwrap().manifest.files);
    }
    assert_eq!(files[0], files[1]);
}
