//! A backup that is stopped, killed or out of space leaves the old archive or the new one, never half of one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use mqstore_backup::{BackupError, RestoreOptions, create, create_file, restore, verify_file};
use mqstore_core::progress::{NoProgress, Progress};

use super::{SmallStore, archive_of, fixed_time, plan_of};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Asks to stop once something was done.
#[derive(Default)]
struct StopSoon(std::sync::atomic::AtomicU64);

impl Progress for StopSoon {
    fn update(&self, done: u64, _: Option<u64>) {
        self.0.store(done, std::sync::atomic::Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) > 100_000
    }
}

/// Takes so many bytes and then reports a full disk.
struct Full(u64);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_any_byte() {
    let store = SmallStore::new();
    let length = archive_of(store.root()).len() as u64;
    let plan = plan_of(store.root());
    for room in (0..length).step_by(97).chain([length - 1]) {
        let error = create(&plan, Full(room), &fixed_time(), &NoProgress).unwrap_err();
        assert!(matches!(error, BackupError::Write(_)), "room for {room}: {error}");
    }
    assert!(create(&plan, Full(length), &fixed_time(), &NoProgress).is_ok());
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(matches!(create(&plan, full, &fixed_time(), &NoProgress), Err(BackupError::Write(_))));
}

#[test]
fn a_cancelled_backup_leaves_nothing_and_the_old_archive_as_it_was() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let archive = temp.path().join("a.tar.zst");
    let stop = StopSoon::default();
    let error = create_file(&plan_of(store.root()), &archive, &fixed_time(), &stop).unwrap_err();
    assert!(matches!(error, BackupError::Cancelled), "{error}");
    assert!(names(temp.path()).is_empty());

    fs::write(&archive, "old").unwrap();
    let error = create_file(&plan_of(store.root()), &archive, &fixed_time(), &NoProgress).unwrap_err();
    assert!(matches!(error, BackupError::Exists { .. }) && error.is_refusal(), "{error}");
    let mut replace = fixed_time();
    replace.replace = true;
    create_file(&plan_of(store.root()), &archive, &replace, &StopSoon::default()).unwrap_err();
    assert_eq!(fs::read(&archive).unwrap(), b"old");
    create_file(&plan_of(store.root()), &archive, &replace, &NoProgress).unwrap();
    assert!(fs::read(&archive).unwrap() == archive_of(store.root()));
    assert_eq!(names(temp.path()), ["a.tar.zst"]);
}

#[test]
fn a_cancelled_restore_leaves_nothing() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let archive = temp.path().join("a.tar.zst");
    fs::write(&archive, archive_of(store.root())).unwrap();
    let options = RestoreOptions { to: temp.path().join("store"), ..RestoreOptions::default() };
    let flag = std::sync::atomic::AtomicBool::new(true);
    let error = restore(&archive, &options, &flag).unwrap_err();
    assert!(matches!(error, BackupError::Cancelled), "{error}");
    assert_eq!(names(temp.path()), ["a.tar.zst"]);
}

/// Where the child writes to, and the store that it backs up.
const CHILD: [&str; 2] = ["MQSTORE_TEST_CHILD_FOLDER", "MQSTORE_TEST_CHILD_STORE"];

/// Says that it is in the middle of the archive and then waits to be killed.
struct WaitToBeKilled;

impl Progress for WaitToBeKilled {
    fn update(&self, done: u64, _: Option<u64>) {
        if done > 100_000 {
            let mut out = std::io::stdout();
            writeln!(out, "in the middle").unwrap();
            loop {
                std::thread::park();
            }
        }
    }
}

/// Runs as a test of its own, and as the child process of the tests below, then with a folder to write into.
#[test]
fn child_writes_an_archive() {
    if let (Some(folder), Some(store)) = (std::env::var_os(CHILD[0]), std::env::var_os(CHILD[1])) {
        let archive = Path::new(&folder).join("a.tar.zst");
        let limited = std::env::var_os("MQSTORE_TEST_CHILD_LIMITED").is_some();
        let progress: &dyn Progress = if limited { &NoProgress } else { &WaitToBeKilled };
        let error = create_file(&plan_of(Path::new(&store)), &archive, &fixed_time(), progress).unwrap_err();
        let mut out = std::io::stdout();
        writeln!(out, "failed with {error:?}").unwrap();
    } else {
        let store = SmallStore::new();
        let created = create(&plan_of(store.root()), Vec::new(), &fixed_time(), &NoProgress).unwrap();
        assert!(created.is_complete());
    }
}

fn child(program: &str, arguments: &[&str], folder: &Path, store: &SmallStore) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "crash::child_writes_an_archive", "--nocapture", "--test-threads=1"]);
    command.env(CHILD[0], folder).env(CHILD[1], store.root());
    command
}

#[test]
fn a_backup_that_is_killed_leaves_no_archive_and_the_next_one_takes_over() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let mut running = child("env", &[], temp.path(), &store).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("in the middle")));
    assert_eq!(names(temp.path()), ["a.tar.zst.partial"]);

    let archive = temp.path().join("a.tar.zst");
    let error = create_file(&plan_of(store.root()), &archive, &fixed_time(), &NoProgress).unwrap_err();
    assert!(matches!(error, BackupError::InUse { .. }), "two write the same archive: {error}");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(names(temp.path()), ["a.tar.zst.partial"], "killed, it cleans nothing up");

    create_file(&plan_of(store.root()), &archive, &fixed_time(), &NoProgress).unwrap();
    assert_eq!(names(temp.path()), ["a.tar.zst"]);
    assert_eq!(verify_file(&archive, &NoProgress).unwrap().report.findings(), []);
}

#[test]
fn a_file_that_cannot_grow_further_leaves_no_archive() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    // 512 bytes a file, and the signal ignored: a write beyond fails, as on a full disk.
    let limit = ["-c", "trap '' XFSZ; ulimit -f 1; exec \"$@\"", "sh"];
    let output = child("sh", &limit, temp.path(), &store).env("MQSTORE_TEST_CHILD_LIMITED", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("failed with Write("), "{text}");
    assert!(names(temp.path()).is_empty(), "{:?}", names(temp.path()));
}
