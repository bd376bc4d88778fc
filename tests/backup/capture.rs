//! What a backup takes, what it leaves, and that it says so.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mqstore_backup::manifest::{Capture, FileClass, GapKind};
use mqstore_backup::{BackupError, PlanOptions, StoreFacts, create, create_file, facts, plan, verify};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::{NoProgress, Progress};
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{STORES, fingerprint, golden, noise};

use super::{SmallStore, archive_of, fixed_time, plan_of};

#[test]
fn every_file_of_every_recorded_store_is_archived_or_listed_as_commit_log() {
    for (name, root, _) in STORES {
        let golden = golden(name);
        let root = golden.sub(root);
        let plan = plan_of(&root);
        assert_eq!(plan.gaps, [], "{name}");
        let mut found: BTreeSet<(String, u64)> =
            plan.files().map(|item| (item.name.strip_prefix("store/").unwrap().to_owned(), item.length)).collect();
        for excluded in &plan.excluded {
            assert!(excluded.path == "commitlog" || excluded.path == "dledger-n0/data", "{name}: {}", excluded.path);
            found.extend(excluded.files.iter().map(|file| (format!("{}/{}", excluded.path, file.name), file.length)));
        }
        let there = fingerprint(&root).into_iter().filter(|entry| entry.kind == mqstore_testkit::EntryKind::File);
        let there: BTreeSet<_> = there.map(|entry| (entry.path.to_str().unwrap().to_owned(), entry.length)).collect();
        assert_eq!(found, there, "{name}");
        assert!(plan.files().all(|item| item.class != FileClass::Other), "{name}: every file has a class");
    }
}

#[test]
fn the_same_content_gives_the_same_archive_with_and_without_holes_and_with_any_number_of_jobs() {
    let store = SmallStore::new();
    let sparse = archive_of(store.root());
    let dense = tempfile::tempdir().unwrap();
    let script = "cp -a --sparse=never \"$1/.\" \"$2\" && touch -r \"$1\" \"$2\" && chmod --reference=\"$1\" \"$2\"";
    super::run(std::process::Command::new("sh").args(["-c", script, "sh"]).arg(store.root()).arg(dense.path()));
    let blocks = |root: &Path| fs::metadata(root.join("timerwheel")).unwrap().blocks();
    assert!(blocks(dense.path()) > blocks(store.root()), "the copy has no holes");
    assert!(archive_of(dense.path()) == sparse, "the archive of the dense copy differs");

    // Several frames: of short members, and of one that is longer than a frame.
    for number in 0..9 {
        let content = noise(2_000_000 + number * 77, number as u64);
        store.file(&format!("consumequeue/Many/{number}/00000000000000000000"), &[(0, &content)], content.len() as u64);
    }
    store.file("index/20260102000000000", &[(0, &noise(17 << 20, 99))], 18 << 20);
    let [one, two, many] = [1, 2, 7].map(|jobs| {
        let mut options = fixed_time();
        (options.jobs, options.all_sums) = (jobs, true);
        let mut archive = Vec::new();
        create(&plan_of(store.root()), &mut archive, &options, &NoProgress).unwrap();
        archive
    });
    assert!(one == two && one == many, "the archive depends on the number of jobs");
    assert_eq!(verify(&one[..], &NoProgress).unwrap().report.findings(), []);
}

#[test]
fn a_large_file_is_archived_like_a_small_one() {
    // Over 8 MiB a file is read twice, by SEEK_HOLE first; here data border holes inside and outside the file system's.
    let store = SmallStore::new();
    let length = 20 * 1_048_576 + 77;
    store.file(
        "index/20260102000000000",
        &[(5_000_000, &[1; 9000]), (6_000_000, &vec![0; 50_000]), (length - 3, b"end")],
        length,
    );
    let archive = archive_of(store.root());
    let verified = verify(&archive[..], &NoProgress).unwrap();
    assert_eq!(verified.report.findings(), []);
    let file = verified.manifest.unwrap().files.into_iter().find(|file| file.path.ends_with("0102000000000")).unwrap();
    let extents: Vec<(u64, u64)> = file.extents.into_iter().map(Into::into).collect();
    let last = length - length % 4096;
    assert_eq!(extents, [(4_997_120, 12_288), (last, length - last)]);
}

/// The release that recorded the store.
fn live_release(truth: &str) -> String {
    mqstore_testkit::truth(truth)["release"].as_str().unwrap().to_owned()
}

fn within(bounds: &mqstore_backup::manifest::ReleaseBounds, release: &str) -> bool {
    let parts = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap()).collect::<Vec<_>>();
    let release = parts(release);
    let oldest = bounds.oldest.as_deref().is_none_or(|oldest| parts(oldest) <= release);
    oldest && bounds.newest.as_deref().is_none_or(|newest| parts(newest) >= release)
}

#[test]
fn the_manifest_says_what_of_the_log_the_queues_need() {
    for (name, root, truth) in STORES.iter().filter(|(_, _, truth)| truth.ends_with("-clean")) {
        let golden = golden(name);
        let store = Store::open(golden.sub(root), StoreOptions::default()).unwrap();
        let facts = facts::gather(&store);
        assert_eq!(facts.gaps, []);
        let plan = plan(&golden.sub(root), &PlanOptions::default(), facts).unwrap();
        let mut archive = Vec::new();
        let manifest = create(&plan, &mut archive, &fixed_time(), &NoProgress).unwrap().manifest;
        let positions = &manifest.positions;
        assert!(!positions.abort);
        let release = live_release(truth);
        let bounds = manifest.broker.release.as_ref().unwrap();
        assert!(within(bounds, &release), "{name}: {bounds:?} and {release}");
        assert!(manifest.features.contains(&"delay".to_owned()), "{name}: {:?}", manifest.features);

        let lines = mqstore_testkit::truth_lines(truth);
        let records: Vec<_> = lines.iter().filter(|line| line["k"] == "rec").collect();
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        let log = positions.commitlog.as_ref().unwrap();
        let end = records.iter().map(|r| number(&r["physicalOffset"]) + number(&r["storeSize"])).max().unwrap();
        assert_eq!(log.max_offset, end, "{name}");
        let units = lines.iter().filter(|line| line["k"] == "cq").flat_map(|cq| cq["units"].as_array().unwrap());
        let units: Vec<(u64, u64)> = units.map(|unit| (number(&unit[1]), number(&unit[2]))).collect();
        let required = log.required.unwrap();
        assert_eq!(required.from, units.iter().map(|unit| unit.0).min().unwrap(), "{name}");
        assert_eq!(required.to, units.iter().map(|unit| unit.0 + unit.1).max().unwrap(), "{name}");

        let live = mqstore_testkit::truth(truth);
        for (queue, range) in live["live"]["queues"].as_object().unwrap() {
            let (topic, id) = queue.rsplit_once('/').unwrap();
            // System topics may grow between the broker's answer and its stop.
            let pulled = range["pulled"].as_array().is_some_and(|pulled| !pulled.is_empty());
            if topic.starts_with("RMQ_SYS") || topic.starts_with("OFFSET_MOVED") || !pulled {
                continue;
            }
            let found = positions.queues.iter().find(|q| q.topic == topic && q.queue_id.to_string() == id).unwrap();
            assert_eq!(found.max_offset, number(&range["max"]), "{name}: {queue}");
        }
    }
}

#[test]
fn the_files_that_3_5_8_keeps_under_home_are_archived_with_the_store() {
    let golden = golden("3.5.8-clean");
    let options = PlanOptions { home: Some(golden.sub("home")), ..PlanOptions::default() };
    let plan = plan(&golden.root(), &options, StoreFacts::default()).unwrap();
    let home: Vec<&str> =
        plan.files().map(|item| item.name.as_str()).filter(|name| name.starts_with("home/")).collect();
    assert!(home.contains(&"home/store/config/topics.json"), "{home:?}");
    assert!(home.contains(&"home/store/config/subscriptionGroup.json"), "{home:?}");
    let mut archive = Vec::new();
    create(&plan, &mut archive, &fixed_time(), &NoProgress).unwrap();
    assert_eq!(verify(&archive[..], &NoProgress).unwrap().report.findings(), []);
}

#[test]
fn a_program_folder_around_the_store_does_not_bring_the_log_in() {
    let temp = tempfile::tempdir().unwrap();
    let program = temp.path().join("rocketmq");
    fs::create_dir_all(program.join("store/commitlog")).unwrap();
    fs::create_dir_all(program.join("bin")).unwrap();
    fs::write(program.join("store/commitlog/00000000000000000000"), "log").unwrap();
    fs::write(program.join("bin/mqbroker"), "#!/bin/sh\n").unwrap();
    let conf = temp.path().join("broker.conf");
    fs::write(&conf, "brokerName=a\n").unwrap();
    let options = PlanOptions { program: Some(program.clone()), include: vec![conf.clone()], ..PlanOptions::default() };
    let plan = plan(&program.join("store"), &options, StoreFacts::default()).unwrap();
    let names: Vec<&str> = plan.items.iter().map(|item| item.name.as_str()).collect();
    let conf = format!("include{}", conf.canonicalize().unwrap().display());
    assert_eq!(names, ["store", "program", "program/bin", "program/bin/mqbroker", &conf]);
    let excluded: Vec<&str> = plan.excluded.iter().map(|excluded| excluded.path.as_str()).collect();
    assert_eq!(excluded[0], "commitlog");
    assert!(excluded[1].ends_with("rocketmq/store"), "{excluded:?}");
}

#[test]
fn links_pipes_and_odd_names_are_gaps_and_the_rest_is_archived() {
    let store = SmallStore::new();
    symlink("/etc/passwd", store.path("config/link.json")).unwrap();
    symlink("consumequeue", store.path("queues")).unwrap();
    let pipe = rustix::fs::Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, store.path("pipe"), rustix::fs::FileType::Fifo, pipe, 0).unwrap();
    fs::write(store.path("config/new\nline"), "x").unwrap();
    let mut archive = Vec::new();
    let created = create(&plan_of(store.root()), &mut archive, &fixed_time(), &NoProgress).unwrap();
    assert!(!created.is_complete());
    let gaps: Vec<_> = created.manifest.gaps.iter().map(|gap| (gap.path.as_str(), gap.kind)).collect();
    let expected = [
        ("store/config/link.json", GapKind::Symlink),
        ("store/config/new\nline", GapKind::Name),
        ("store/pipe", GapKind::Special),
        ("store/queues", GapKind::Symlink),
    ];
    assert_eq!(gaps, expected);
    let report = verify(&archive[..], &NoProgress).unwrap().report;
    assert_eq!(report.counts().error, 0);
    assert_eq!(report.counts().warning, 4, "the archive is sound but its gaps are told");
    assert_eq!(report.outcome(Severity::Error), Outcome::Clean);
}

#[test]
fn a_linked_commit_log_is_listed_not_followed() {
    let store = SmallStore::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(store.path("commitlog/00000000000000000000"), elsewhere.path().join("00000000000000000000")).unwrap();
    fs::remove_dir(store.path("commitlog")).unwrap();
    symlink(elsewhere.path(), store.path("commitlog")).unwrap();
    let plan = plan_of(store.root());
    assert_eq!(plan.gaps, []);
    assert_eq!(plan.excluded[0].files[0].length, 1 << 20);
    assert!(plan.items.iter().all(|item| !item.name.contains("commitlog")));
}

/// Calls a function once, at the first bytes that are written.
struct Meanwhile<F: Fn() + Sync>(AtomicBool, F);

impl<F: Fn() + Sync> Progress for Meanwhile<F> {
    fn update(&self, _: u64, _: Option<u64>) {
        if !self.0.swap(true, Ordering::Relaxed) {
            (self.1)();
        }
    }
}

type Happening<'a> = &'a (dyn Fn(&Path) + Sync);

#[test]
fn a_file_that_grows_is_rewritten_or_vanishes_while_it_is_read_is_a_gap() {
    let grow = |root: &Path| {
        let mut file = File::options().append(true).open(root.join("checkpoint")).unwrap();
        file.write_all(b"more").unwrap();
    };
    let replace = |root: &Path| {
        fs::write(root.join("commitlog/new"), vec![9; 4096]).unwrap();
        fs::rename(root.join("commitlog/new"), root.join("checkpoint")).unwrap();
    };
    let rewrite = |root: &Path| {
        File::options().write(true).open(root.join("checkpoint")).unwrap().write_all_at(b"other", 0).unwrap();
    };
    let vanish = |root: &Path| fs::remove_file(root.join("lock")).unwrap();
    let cases: [(Happening<'_>, &str, GapKind, &str); 4] = [
        (&grow, "store/checkpoint", GapKind::Changed, "length 4096 when opened, 4100 when read"),
        (&replace, "store/checkpoint", GapKind::Changed, "was replaced while it was read"),
        (&rewrite, "store/checkpoint", GapKind::Changed, "was written to while it was read"),
        (&vanish, "store/lock", GapKind::Vanished, "No such file"),
    ];
    for (happening, path, kind, reason) in cases {
        let store = SmallStore::new();
        // The checkpoint is the first file of the archive: the first report comes between its opening and its end.
        let progress = Meanwhile(AtomicBool::new(false), || happening(store.root()));
        let mut archive = Vec::new();
        let created = create(&plan_of(store.root()), &mut archive, &fixed_time(), &progress).unwrap();
        let gaps: Vec<_> = created.manifest.gaps.iter().map(|gap| (gap.path.as_str(), gap.kind)).collect();
        assert_eq!(gaps, [(path, kind)], "{reason}");
        assert!(created.manifest.gaps[0].reason.contains(reason), "{:?}", created.manifest.gaps);
        assert_eq!(verify(&archive[..], &NoProgress).unwrap().report.counts().error, 0, "what was read is sound");
    }
}

/// Refused, but not as a live capture.
fn assert_only_live(mut options: PlanOptions, is_expected: impl Fn(&BackupError) -> bool) {
    let store = SmallStore::new();
    let error = plan(store.root(), &options, StoreFacts::default()).unwrap_err();
    assert!(is_expected(&error) && error.is_refusal(), "{error}");
    options.live = true;
    assert_eq!(plan(store.root(), &options, StoreFacts::default()).unwrap().capture, Capture::Live);
}

#[test]
fn a_running_broker_is_refused_unless_a_live_backup_is_asked_for() {
    let options = PlanOptions { lock_held: true, ..PlanOptions::default() };
    assert_only_live(options, |error| matches!(error, BackupError::BrokerRunning { .. }));
}

#[test]
fn where_nothing_tells_whether_a_broker_runs_somebody_has_to() {
    let options = PlanOptions { may_run: true, ..PlanOptions::default() };
    assert_only_live(options, |error| matches!(error, BackupError::BrokerMayRun { .. }));
}

#[test]
fn an_archive_inside_its_own_source_is_refused_and_so_is_a_folder_that_is_no_store() {
    let store = SmallStore::new();
    let error = create_file(&plan_of(store.root()), &store.path("config/a"), &fixed_time(), &NoProgress).unwrap_err();
    assert!(matches!(error, BackupError::ArchiveInsideSource { .. }), "{error}");
    assert!(!store.path("config/a.partial").exists());
    let empty = tempfile::tempdir().unwrap();
    let error = plan(empty.path(), &PlanOptions::default(), StoreFacts::default()).unwrap_err();
    assert!(error.to_string().contains("is no store root"), "{error}");
}
