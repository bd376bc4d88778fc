//! What is restored equals what was backed up.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use mqstore_backup::{BackupError, PlanOptions, RestoreOptions, Section, StoreFacts, create_file, plan, restore};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::{STORES, fingerprint, golden};

use super::{SmallStore, archive_of, fixed_time, plan_of, without_commitlog};

fn round_trip(root: &Path) {
    let temp = tempfile::tempdir().unwrap();
    let (archive, to) = (temp.path().join("a.tar.zst"), temp.path().join("restored"));
    create_file(&plan_of(root), &archive, &fixed_time(), &NoProgress).unwrap();
    let options = RestoreOptions { to: to.clone(), ..RestoreOptions::default() };
    let restored = restore(&archive, &options, &NoProgress).unwrap();
    let (found, expected) = (fingerprint(&to), without_commitlog(root));
    assert_eq!(found, expected, "names, content, modes and times in nanoseconds");
    assert_eq!(restored.files, restored.manifest.files.len() as u64);
    for entry in &found {
        let blocks = |root: &Path| fs::metadata(root.join(&entry.path)).unwrap().blocks();
        assert!(blocks(&to) <= blocks(root) + 16, "{} lost its holes", entry.path.display());
    }
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "nothing else is left");
}

#[test]
fn every_recorded_store_comes_back_as_it_was() {
    for (name, root, _) in STORES {
        round_trip(&golden(name).sub(root));
    }
}

#[test]
fn holes_odd_modes_and_nanoseconds_come_back() {
    round_trip(SmallStore::new().root());
}

#[test]
fn an_empty_folder_is_taken_and_a_used_one_or_a_file_is_refused() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let archive = temp.path().join("a.tar.zst");
    fs::write(&archive, archive_of(store.root())).unwrap();
    let to = temp.path().join("store");
    let options = RestoreOptions { to: to.clone(), ..RestoreOptions::default() };
    fs::create_dir(&to).unwrap();
    restore(&archive, &options, &NoProgress).unwrap();
    let before = fingerprint(&to);
    let error = restore(&archive, &options, &NoProgress).unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }) && error.is_refusal(), "{error}");
    assert_eq!(fingerprint(&to), before);
    let onto_file = RestoreOptions { to: archive.clone(), ..RestoreOptions::default() };
    assert!(restore(&archive, &onto_file, &NoProgress).is_err());
}

#[test]
fn a_half_restored_folder_of_a_killed_process_is_taken_over() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let archive = temp.path().join("a.tar.zst");
    fs::write(&archive, archive_of(store.root())).unwrap();
    fs::create_dir(temp.path().join(".store.restore-partial")).unwrap();
    fs::write(temp.path().join(".store.restore-partial/half"), "half").unwrap();
    let options = RestoreOptions { to: temp.path().join("store"), ..RestoreOptions::default() };
    restore(&archive, &options, &NoProgress).unwrap();
    assert_eq!(fingerprint(&temp.path().join("store")), without_commitlog(store.root()));
    assert!(!temp.path().join(".store.restore-partial").exists());
}

#[test]
fn home_and_program_are_restored_where_asked_and_counted_where_not() {
    let (golden, temp) = (golden("3.5.8-clean"), tempfile::tempdir().unwrap());
    let program = temp.path().join("rocketmq");
    fs::create_dir_all(program.join("bin")).unwrap();
    fs::write(program.join("bin/mqbroker"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(program.join("bin/mqbroker"), fs::Permissions::from_mode(0o755)).unwrap();
    let options =
        PlanOptions { home: Some(golden.sub("home")), program: Some(program.clone()), ..PlanOptions::default() };
    let plan = plan(&golden.root(), &options, StoreFacts::default()).unwrap();
    let archive = temp.path().join("a.tar.zst");
    create_file(&plan, &archive, &fixed_time(), &NoProgress).unwrap();

    let only_store = RestoreOptions { to: temp.path().join("one"), ..RestoreOptions::default() };
    let restored = restore(&archive, &only_store, &NoProgress).unwrap();
    let home_files = fs::read_dir(golden.sub("home/store/config")).unwrap().count() as u64;
    assert_eq!(restored.not_restored, [(Section::Home, home_files), (Section::Program, 1)]);

    let all = RestoreOptions {
        to: temp.path().join("two"),
        home: Some(temp.path().join("home")),
        program: Some(temp.path().join("program")),
        ..RestoreOptions::default()
    };
    let restored = restore(&archive, &all, &NoProgress).unwrap();
    assert_eq!(restored.not_restored, []);
    assert_eq!(fingerprint(&temp.path().join("two")), without_commitlog(&golden.root()));
    let home = |root: &Path| fingerprint(&root.join("store/config"));
    assert_eq!(home(&temp.path().join("home")), home(&golden.sub("home")));
    assert_eq!(fingerprint(&temp.path().join("program")), fingerprint(&program));
}
