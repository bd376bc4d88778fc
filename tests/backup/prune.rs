//! Which archives go: never the only one that is right.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mqstore_backup::{Base, PlanOptions, PruneOptions, StoreFacts, create_file, plan, prune, verify_file};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::NoProgress;

use super::{SmallStore, fixed_time};

/// An archive of a broker of that name, made so many days ago.
fn archive(store: &SmallStore, folder: &Path, broker: &str, days: u64) -> PathBuf {
    let mut facts = StoreFacts::default();
    facts.broker.name = Some(broker.to_owned());
    let plan = plan(store.root(), &PlanOptions::default(), facts).unwrap();
    let mut options = fixed_time();
    options.created_at = Some(SystemTime::now() - Duration::from_secs(days * 86_400 + 60));
    let path = folder.join(format!("{broker}-{days}.tar.zst"));
    create_file(&plan, &path, &options, &NoProgress).unwrap();
    path
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    // In the first frame: the manifest stays readable.
    bytes[40] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn options(last: Option<usize>, days: Option<u64>) -> PruneOptions {
    let mut options = PruneOptions::default();
    (options.keep_last, options.keep_within) = (last, days.map(|days| Duration::from_secs(days * 86_400)));
    options
}

fn names(paths: &[PathBuf]) -> Vec<&str> {
    paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
}

#[test]
fn the_newest_of_each_broker_stay_and_what_is_no_archive_is_left_alone() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    for days in [0, 1, 2, 40] {
        archive(&store, temp.path(), "a", days);
    }
    archive(&store, temp.path(), "b", 50);
    // The same path on another machine, as far as an archive without a name tells.
    let nameless = temp.path().join("nameless.tar.zst");
    create_file(&super::plan_of(store.root()), &nameless, &fixed_time(), &NoProgress).unwrap();
    let foreign = temp.path().join("other.tar.zst");
    fs::write(&foreign, "not ours").unwrap();

    let mut dry = options(Some(2), None);
    dry.dry_run = true;
    let would = prune(temp.path(), &dry, &NoProgress).unwrap();
    assert_eq!(names(&would.removed), ["a-2.tar.zst", "a-40.tar.zst"]);
    assert!(would.removed.iter().all(|path| path.exists()));

    let pruned = prune(temp.path(), &options(Some(2), None), &NoProgress).unwrap();
    assert_eq!(pruned.removed, would.removed);
    assert_eq!(names(&pruned.kept), ["a-0.tar.zst", "a-1.tar.zst", "b-50.tar.zst"]);
    assert_eq!(names(&pruned.verified), ["a-0.tar.zst"]);
    assert_eq!(pruned.left_alone.len(), 2);
    assert!(nameless.exists());
    assert!(pruned.removed.iter().all(|path| !path.exists()) && foreign.exists());
}

#[test]
fn an_archive_stays_if_one_of_the_rules_keeps_it() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    for days in [5, 20, 35, 60] {
        archive(&store, temp.path(), "a", days);
    }
    let pruned = prune(temp.path(), &options(Some(1), Some(30)), &NoProgress).unwrap();
    assert_eq!(names(&pruned.removed), ["a-35.tar.zst", "a-60.tar.zst"]);
}

#[test]
fn if_none_of_those_that_stay_is_right_the_newest_right_one_stays_too() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let all: Vec<PathBuf> = [0, 1, 2, 3].map(|days| archive(&store, temp.path(), "a", days)).into();
    damage(&all[0]);
    damage(&all[1]);
    let pruned = prune(temp.path(), &options(Some(1), None), &NoProgress).unwrap();
    assert_eq!(names(&pruned.kept), ["a-0.tar.zst", "a-2.tar.zst"]);
    assert_eq!(
        (names(&pruned.verified), names(&pruned.removed)),
        (vec!["a-2.tar.zst"], vec!["a-1.tar.zst", "a-3.tar.zst"])
    );

    let temp = tempfile::tempdir().unwrap();
    let all: Vec<PathBuf> = [0, 1].map(|days| archive(&store, temp.path(), "a", days)).into();
    for path in &all {
        damage(path);
    }
    let pruned = prune(temp.path(), &options(Some(1), None), &NoProgress).unwrap();
    assert_eq!((pruned.removed.len(), pruned.kept.len()), (0, 2), "nothing of it is right, so nothing goes");
}

/// An archive of broker `a`, made so many days ago, that refers to another one for what has not changed.
fn since(store: &SmallStore, base: &Path, days: u64) -> PathBuf {
    store.file("config/day.json", &[(0, format!("{{\"day\":{days:02}}}").as_bytes())], 10);
    let mut facts = StoreFacts::default();
    facts.broker.name = Some("a".to_owned());
    let plan = plan(store.root(), &PlanOptions::default(), facts).unwrap();
    let mut options = fixed_time();
    options.created_at = Some(SystemTime::now() - Duration::from_secs(days * 86_400 + 60));
    options.since = Some(Base::open(base, &[], &NoProgress).unwrap());
    let path = base.with_file_name(format!("a-{days}.tar.zst"));
    create_file(&plan, &path, &options, &NoProgress).unwrap();
    path
}

#[test]
fn what_an_incremental_archive_that_stays_needs_stays_with_it() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    archive(&store, temp.path(), "a", 50);
    let whole = archive(&store, temp.path(), "a", 40);
    let middle = since(&store, &whole, 30);
    // Nothing of what the middle one stores is left in the last one, which needs only the whole one.
    since(&store, &middle, 20);
    let pruned = prune(temp.path(), &options(Some(1), None), &NoProgress).unwrap();
    assert_eq!(names(&pruned.removed), ["a-30.tar.zst", "a-50.tar.zst"]);
    assert_eq!(names(&pruned.kept), ["a-20.tar.zst", "a-40.tar.zst"]);
    assert_eq!((names(&pruned.needed), names(&pruned.verified)), (vec!["a-40.tar.zst"], vec!["a-20.tar.zst"]));
    let last = verify_file(&temp.path().join("a-20.tar.zst"), &NoProgress).unwrap();
    assert_eq!(last.report.outcome(Severity::Error), Outcome::Clean, "it is still whole");
}

#[test]
fn an_incremental_archive_without_what_it_needs_is_not_the_right_one_that_stays() {
    for harm in [|whole: &Path| damage(whole), |whole: &Path| fs::remove_file(whole).unwrap()] {
        let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
        let right = archive(&store, temp.path(), "a", 50);
        let whole = archive(&store, temp.path(), "a", 40);
        since(&store, &whole, 20);
        harm(&whole);
        let pruned = prune(temp.path(), &options(Some(1), None), &NoProgress).unwrap();
        assert_eq!(names(&pruned.verified), ["a-50.tar.zst"]);
        assert!(right.exists() && pruned.removed.is_empty(), "{:?}", pruned.removed);
    }
}

#[test]
fn what_an_archive_that_is_left_alone_needs_is_not_removed() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let old = archive(&store, temp.path(), "a", 40);
    archive(&store, temp.path(), "a", 20);
    let mut options_of_nameless = fixed_time();
    options_of_nameless.since = Some(Base::open(&old, &[], &NoProgress).unwrap());
    let nameless = temp.path().join("nameless.tar.zst");
    create_file(&super::plan_of(store.root()), &nameless, &options_of_nameless, &NoProgress).unwrap();
    let pruned = prune(temp.path(), &options(Some(1), None), &NoProgress).unwrap();
    assert_eq!((pruned.removed.len(), names(&pruned.needed)), (0, vec!["a-40.tar.zst"]));
}
