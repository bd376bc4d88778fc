//! GNU tar, `sha256sum` and `zstd` on archives of every recorded store.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use mqstore_backup::{CreateOptions, create, create_file};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::{STORES, fingerprint, golden};

use super::{SmallStore, fixed_time, plan_of, run, without_commitlog};

/// Backs up, extracts with GNU tar, checks with `sha256sum` and `zstd`, and compares with the source.
fn check(root: &Path, options: &CreateOptions) {
    let before = fingerprint(root);
    let temp = tempfile::tempdir().unwrap();
    let archive = temp.path().join("a.tar.zst");
    create_file(&plan_of(root), &archive, options, &NoProgress).unwrap();
    assert_eq!(fingerprint(root), before, "the source is as it was");
    assert_eq!(fs::metadata(&archive).unwrap().mode() & 0o7777, 0o600);

    run(Command::new("zstd").arg("-qt").arg(&archive));
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    run(Command::new("tar").args(["--zstd", "-pxf"]).arg(&archive).arg("-C").arg(&out));
    let checked = run(Command::new("sha256sum").args(["-c", "--strict", "SHA256SUMS"]).current_dir(&out));
    assert!(checked.lines().all(|line| line.ends_with(": OK")), "{checked}");
    assert!(checked.contains("manifest.json: OK"));

    let mut expected = without_commitlog(root);
    for entry in &mut expected {
        // A tar header has whole seconds and none before 1970.
        entry.mtime_ns = (entry.mtime_ns / 1_000_000_000 * 1_000_000_000).max(0);
    }
    let restored = fingerprint(&out.join("store"));
    let names = |entries: &[mqstore_testkit::Entry]| entries.iter().map(|e| e.path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&restored), names(&expected), "no file more, no file less");
    assert_eq!(restored, expected);
    for entry in &restored {
        let blocks = |root: &Path| fs::metadata(root.join(&entry.path)).unwrap().blocks();
        // Up to two blocks of 4 KiB: an incomplete last block is data, and a file system may add one of its own.
        assert!(blocks(&out.join("store")) <= blocks(root) + 16, "{} lost its holes", entry.path.display());
    }

    let names = run(Command::new("tar").args(["--zstd", "-tf"]).arg(&archive));
    let names: Vec<&str> = names.lines().collect();
    let (documents, members) = (&names[names.len() - 2..], &names[..names.len() - 2]);
    assert_eq!(documents, ["manifest.json", "SHA256SUMS"]);
    assert!(members.windows(2).all(|pair| pair[0] < pair[1]), "members are sorted by their bytes");
}

#[test]
fn gnu_tar_sha256sum_and_zstd_agree_on_the_backup_of_every_recorded_store() {
    for (name, root, _) in STORES {
        check(&golden(name).sub(root), &fixed_time());
    }
}

#[test]
fn gnu_tar_restores_long_names_holes_at_both_ends_and_odd_modes() {
    check(SmallStore::new().root(), &fixed_time());
}

#[test]
fn sha256sum_can_check_every_file_if_asked_to() {
    let store = SmallStore::new();
    let mut all = fixed_time();
    all.all_sums = true;
    check(store.root(), &all);
    let sums_of = |options| {
        let mut archive = Vec::new();
        create(&plan_of(store.root()), &mut archive, options, &NoProgress).unwrap();
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("a"), archive).unwrap();
        run(Command::new("tar").args(["--zstd", "-xOf", "a", "SHA256SUMS"]).current_dir(temp.path()))
    };
    assert!(sums_of(&all).contains("  store/timerwheel\n"));
    let dense = sums_of(&fixed_time());
    assert!(dense.contains("\n# not listed, more than nine tenths of it is hole: store/timerwheel\n"), "{dense}");
}

#[test]
fn one_file_can_be_restored_from_its_frame_alone() {
    let store = SmallStore::new();
    let archive = super::archive_of(store.root());
    let frames = super::damage::raw_frames(&archive);
    let temp = tempfile::tempdir().unwrap();
    let name = "store/config/topics.json";
    let frame = frames.iter().find(|frame| {
        let tar = zstd::decode_all(&frame[..]).unwrap();
        tar.chunks(512).any(|block| block.starts_with(format!("{name}\0").as_bytes()))
    });
    fs::write(temp.path().join("one.tar.zst"), frame.unwrap()).unwrap();
    run(Command::new("tar").args(["--zstd", "-xf", "one.tar.zst", name]).current_dir(temp.path()));
    let restored = fs::read(temp.path().join("store/config/topics.json")).unwrap();
    assert_eq!(restored, fs::read(store.path("config/topics.json")).unwrap());
}
