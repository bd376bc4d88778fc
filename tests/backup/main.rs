//! Backups, tested against what is not ours: GNU tar, `sha256sum` and `zstd` read the archives, recorded broker stores
//! are what goes in.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod capture;
mod catalog;
mod chain;
mod crash;
mod damage;
mod external;
mod hostile;
mod in_place;
mod live;
mod log_identity;
mod prune;
mod roundtrip;

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use mqstore_backup::{BackupPlan, CreateOptions, PlanOptions, StoreFacts, create, plan};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::{Entry, fingerprint};
use tempfile::TempDir;

/// The time in the manifests of the tests.
const CREATED: Duration = Duration::from_secs(1_800_000_000);

fn fixed_time() -> CreateOptions {
    let mut options = CreateOptions::default();
    options.created_at = Some(SystemTime::UNIX_EPOCH + CREATED);
    options
}

fn plan_of(root: &Path) -> BackupPlan {
    plan(root, &PlanOptions::default(), StoreFacts::default()).unwrap()
}

/// The archive of the store at `root`, complete or the test fails.
fn archive_of(root: &Path) -> Vec<u8> {
    let mut archive = Vec::new();
    let created = create(&plan_of(root), &mut archive, &fixed_time(), &NoProgress).unwrap();
    assert_eq!(created.manifest.gaps, []);
    assert_eq!(created.archive_length, archive.len() as u64);
    archive
}

/// What a backup of the folder should bring back: everything but the commit log.
fn without_commitlog(root: &Path) -> Vec<Entry> {
    let mut entries = fingerprint(root);
    entries.retain(|entry| {
        let mut parts = entry.path.iter().map(|part| part.to_str().unwrap());
        match (parts.next(), parts.next()) {
            (Some("commitlog"), _) => false,
            (Some(first), Some("data")) if first.starts_with("dledger-") => false,
            _ => true,
        }
    });
    entries
}

/// Runs a program; its standard output if it succeeded, else the test fails with what it said.
fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A store of a few kilobytes with everything that is awkward: holes at each end, a long topic, an empty folder, odd
/// modes, times before 1970 and between two seconds.
struct SmallStore {
    temp: TempDir,
}

impl SmallStore {
    fn new() -> Self {
        let store = Self { temp: tempfile::tempdir().unwrap() };
        store.file("commitlog/00000000000000000000", &[(0, b"message")], 1 << 20);
        store.file("config/topics.json", &[(0, b"{\"topicConfigTable\":{}}")], 23);
        store.file("config/empty", &[], 0);
        store.file("checkpoint", &[(0, b"\0\0\x01\x8b\xcf\xe5\x68\x01")], 4096);
        store.file("lock", &[(0, b"lock")], 4);
        let topic = format!("consumequeue/{}/0", "%RETRY%".to_owned() + &"g".repeat(248));
        store.file(&format!("{topic}/00000000000000000000"), &[(0, &[1; 20]), (100_000, &[2; 20])], 600_000);
        store.file("index/20260101000000000", &[(8192, &[7; 5000])], 65_536);
        store.file("consumequeue/T/0/00000000000000000000", &[(40_960, &[1; 20])], 45_060);
        store.file("timerwheel", &[], 1 << 18);
        // More than 4 + 21 + 21 extents: three blocks of sparse map.
        let stripes: Vec<(u64, &[u8])> = (0..60).map(|n| (n * 8192, &b"x"[..])).collect();
        store.file("timerlog/00000000000000000000", &stripes, 60 * 8192);
        fs::create_dir_all(store.path("compaction/compactionCq")).unwrap();
        store.set("config", 0o750, 1_600_000_000_123_456_789);
        store.set("compaction/compactionCq", 0o700, 1_600_000_000_999_999_999);
        store.set("config/topics.json", 0o400, 1_700_000_000_000_000_001);
        store.set("checkpoint", 0o664, -1_500_000_000);
        store
    }

    fn root(&self) -> &Path {
        self.temp.path()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    fn file(&self, below: &str, parts: &[(u64, &[u8])], length: u64) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let file = File::create(path).unwrap();
        for (offset, bytes) in parts {
            file.write_all_at(bytes, *offset).unwrap();
        }
        file.set_len(length).unwrap();
    }

    fn set(&self, below: &str, mode: u32, mtime_ns: i64) {
        let path = self.path(below);
        let epoch = SystemTime::UNIX_EPOCH;
        let distance = Duration::from_nanos(mtime_ns.unsigned_abs());
        let time = if mtime_ns < 0 { epoch - distance } else { epoch + distance };
        File::open(&path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}
