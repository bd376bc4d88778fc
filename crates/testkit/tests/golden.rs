//! The recorded stores are the ones that were recorded, and unpacking them gives what GNU tar gives.

#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for code outside tests")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use mqstore_testkit::{EntryKind, GOLDEN, STORES, fingerprint, golden, sha256_of_file, testdata, truth, truth_lines};

#[test]
fn every_file_of_testdata_has_its_recorded_checksum_and_none_is_unlisted() {
    let sums = fs::read_to_string(testdata().join("SHA256SUMS")).unwrap();
    let mut listed = Vec::new();
    for line in sums.lines() {
        let (sum, path) = line.split_once("  ").unwrap();
        assert_eq!(sha256_of_file(&testdata().join(path)), sum, "{path}");
        listed.push(path.to_owned());
    }
    let mut present = Vec::new();
    for folder in ["demo", "golden"] {
        let files = fingerprint(&testdata().join(folder)).into_iter().filter(|e| e.kind == EntryKind::File);
        present.extend(files.map(|e| format!("{folder}/{}", e.path.display())));
    }
    listed.sort();
    present.sort();
    assert_eq!(present, listed);
}

#[test]
fn sha256_agrees_with_sha256sum() {
    let done = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(testdata())
        .status()
        .unwrap();
    assert!(done.success());
}

#[test]
fn the_list_of_names_is_the_folder() {
    let mut found: Vec<String> = fs::read_dir(testdata().join("golden"))
        .unwrap()
        .filter_map(|f| Some(f.unwrap().file_name().to_str()?.strip_suffix(".tar.zst")?.to_owned()))
        .collect();
    found.sort();
    assert_eq!(found, GOLDEN);
    for (archive, _, _) in STORES {
        assert!(GOLDEN.contains(archive), "{archive}");
    }
    let archives_with_stores: Vec<_> =
        GOLDEN.iter().filter(|name| STORES.iter().any(|(archive, _, _)| archive == *name)).collect();
    assert_eq!(archives_with_stores.len(), GOLDEN.len());
}

#[test]
fn every_listed_store_has_a_commitlog_and_its_truth_can_be_read() {
    let mut lines_seen = 0;
    for (archive, root, lines) in STORES {
        let golden = golden(archive);
        let root = golden.sub(root);
        // DLedger keeps its log in a folder of its own name.
        assert!(root.join("commitlog").is_dir() || archive.contains("dledger"), "{}", root.display());
        assert!(truth(archive)["release"].is_string() || archive.starts_with("boot-base"), "{archive}");
        if !lines.is_empty() {
            assert!(truth_lines(lines).iter().any(|line| line["k"] == "rec"), "{lines}");
            lines_seen += 1;
        }
    }
    let recorded = fs::read_dir(testdata().join("golden")).unwrap();
    let recorded = recorded.filter(|f| f.as_ref().unwrap().path().to_str().unwrap().ends_with(".jsonl.zst")).count();
    assert_eq!(lines_seen, recorded);
}

#[test]
fn unpacking_gives_the_bytes_lengths_mtimes_and_modes_that_gnu_tar_gives() {
    for name in GOLDEN {
        let ours = golden(name);
        let theirs = tempfile::tempdir().unwrap();
        gnu_tar(&testdata().join(format!("golden/{name}.tar.zst")), theirs.path());
        assert_eq!(fingerprint(&ours.path()), fingerprint(&theirs.path().join(name)), "{name}");
    }
}

#[test]
fn holes_stay_holes() {
    let store = golden("5.3.3-timer");
    let log = store.root().join("timerlog/00000000000000000000");
    let meta = fs::metadata(&log).unwrap();
    assert_eq!(meta.len(), 104_857_600);
    assert!(meta.blocks() * 512 < 1024 * 1024, "{} bytes on disk", meta.blocks() * 512);
}

#[test]
fn the_demo_is_the_recorded_pair() {
    let pair = golden("4.3.2-pair");
    for side in ["master", "slave"] {
        let content = |dir: &Path| -> Vec<_> {
            fingerprint(dir).into_iter().map(|e| (e.path, e.kind, e.length, e.sha256)).collect()
        };
        assert_eq!(content(&testdata().join("demo").join(side)), content(&pair.sub(side)), "{side}");
    }
}

#[test]
fn a_fingerprint_sees_content_name_mtime_and_mode() {
    let store = golden("5.3.3-ipv6");
    let before = fingerprint(&store.path());
    assert_eq!(before, fingerprint(&store.path()));

    let conf = store.sub("broker.conf");
    let text = fs::read(&conf).unwrap();
    let time = fs::metadata(&conf).unwrap().modified().unwrap();
    let touched = |change: &dyn Fn()| {
        change();
        let changed = fingerprint(&store.path()) != before;
        fs::write(&conf, &text).unwrap();
        fs::File::options().write(true).open(&conf).unwrap().set_modified(time).unwrap();
        changed
    };
    let set_time = || fs::File::options().write(true).open(&conf).unwrap().set_modified(time).unwrap();
    assert!(touched(&|| {
        fs::write(&conf, text.to_ascii_uppercase()).unwrap();
        set_time();
    }));
    assert!(touched(&|| fs::write(&conf, &text).unwrap()));
    assert_eq!(fingerprint(&store.path()), before);

    fs::write(store.sub("new"), "").unwrap();
    assert_ne!(fingerprint(&store.path()), before);
}

fn gnu_tar(archive: &Path, into: &Path) {
    let mut zstd = Command::new("zstd").arg("-dcq").arg(archive).stdout(Stdio::piped()).spawn().unwrap();
    let tar = Command::new("tar")
        .args(["--extract", "--preserve-permissions", "--no-same-owner", "--directory"])
        .arg(into)
        .stdin(zstd.stdout.take().unwrap())
        .status()
        .unwrap();
    assert!(tar.success() && zstd.wait().unwrap().success());
}
