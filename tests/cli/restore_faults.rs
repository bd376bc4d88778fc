//! `backup restore` in place and `backup undo`, killed and failing at every single change that they make to the file
//! system: afterwards, or after the next run, the store is the old one or the new one, and never a mix.
//!
//! The faults come from `restore_faults.c`, preloaded into the program as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mqstore_testkit::{Entry, Message, StoreBuilder, fingerprint};

use super::{Run, command, mqstore, run};

/// The shared object with the faults.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SHIM.get_or_init(|| {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cli/restore_faults.c");
        let status = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(source).status();
        assert!(status.unwrap().success(), "a C compiler is needed, as for zstd");
        (temp, path)
    });
    path
}

/// A store whose log went on since its backup.
struct Fixture {
    temp: tempfile::TempDir,
}

const RESTORE: [&str; 3] = ["--release=4.3.2", "--what=all", "--offsets=backup"];

impl Fixture {
    fn new() -> Self {
        let fixture = Self { temp: tempfile::tempdir().unwrap() };
        let write = |root: &Path, messages: i32, committed: i64| {
            let mut writer = StoreBuilder::new(root).start();
            for n in 0..messages {
                writer.put(&Message::new("T", n % 2));
            }
            writer.commit("T", "GID_a", 0, committed);
            writer.finish();
        };
        write(&fixture.path("t0/store"), 10, 3);
        write(&fixture.path("template/store"), 40, 12);
        fs::write(fixture.path("template/store/abort"), "").unwrap();
        let archive = fixture.path("t0.tar.zst");
        let created = mqstore(&["backup", "create", text(&fixture.path("t0/store")), "-o", text(&archive)]);
        assert_eq!(created.code, 0, "{}", created.stderr);
        fixture.reset();
        fixture
    }

    fn path(&self, below: &str) -> PathBuf {
        self.temp.path().join(below)
    }

    /// Puts the store back as it was, and removes what lies beside it.
    fn reset(&self) {
        let _ = fs::remove_dir_all(self.path("live"));
        let copied = Command::new("cp").arg("-a").arg(self.path("template")).arg(self.path("live")).status();
        assert!(copied.unwrap().success());
    }

    fn store(&self) -> PathBuf {
        self.path("live/store")
    }

    fn restore(&self, fault: Option<(&str, u64)>) -> Run {
        let mut command = command();
        command.args(["backup", "restore"]).arg(self.path("t0.tar.zst")).arg("--to").arg(self.store()).args(RESTORE);
        self.run(&mut command, fault)
    }

    fn undo(&self, fault: Option<(&str, u64)>) -> Run {
        let mut command = command();
        command.args(["backup", "undo"]).arg(self.store());
        self.run(&mut command, fault)
    }

    fn run(&self, command: &mut Command, fault: Option<(&str, u64)>) -> Run {
        command.env("LD_PRELOAD", shim()).env("FAULT_BELOW", self.path("live")).env("FAULT_LOG", self.path("count"));
        if let Some((fault, at)) = fault {
            command.env("FAULT", fault).env("FAULT_AT", at.to_string());
        }
        run(command)
    }

    /// Changes that the last run made.
    fn changes(&self) -> u64 {
        fs::read_to_string(self.path("count")).unwrap().trim().parse().unwrap()
    }

    /// The store; the time of the root itself is that of the last rename.
    fn state(&self) -> Vec<Entry> {
        let mut entries = fingerprint(&self.store());
        entries[0].mtime_ns = 0;
        entries
    }

    /// What lies beside the store and is not kept on purpose.
    fn remains(&self) -> Vec<String> {
        let names = fs::read_dir(self.path("live")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "store" && !name.starts_with("store.before-")).collect();
        names.sort();
        names
    }

    fn kept(&self) -> usize {
        let names = fs::read_dir(self.path("live")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("store.before-")).count()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// States before and after, and the number of changes in between.
fn baseline(fixture: &Fixture) -> (Vec<Entry>, Vec<Entry>, u64) {
    let old = fixture.state();
    let done = fixture.restore(None);
    assert_eq!(done.code, 0, "{}", done.session());
    let (new, changes) = (fixture.state(), fixture.changes());
    assert_ne!(old, new);
    assert!(fixture.remains().is_empty() && changes > 50, "{:?} {changes}", fixture.remains());
    (old, new, changes)
}

#[test]
fn killed_at_any_change_a_restoration_is_ended_or_taken_back_by_the_next_run() {
    let fixture = Fixture::new();
    let (old, new, changes) = baseline(&fixture);
    let mut interrupted = 0;
    for at in 1..=changes {
        let fault = if at % 3 == 0 { "half" } else { "kill" };
        fixture.reset();
        assert_eq!(fixture.restore(Some((fault, at))).code, 137, "change {at}");
        let is_whole = [&old, &new].contains(&&fixture.state());
        interrupted += u64::from(!is_whole);
        // A journal is there whenever it is needed, and it is said to whoever asks for something else.
        let journal = fixture.path("live/.store.restore-journal.json").exists();
        assert!(is_whole || journal, "change {at}: a mix without a journal");
        if at % 2 == 0 {
            let next = fixture.restore(None);
            assert_eq!(next.code, 0, "change {at}: {}", next.session());
            assert_eq!(fixture.state(), new, "change {at}");
            assert_eq!(fixture.remains(), [""; 0], "change {at}");
        } else {
            let was_new = fixture.state() == new && !journal;
            let next = fixture.undo(None);
            assert!(next.code == 0 || fixture.state() == old, "change {at}: {}", next.session());
            assert_eq!(fixture.state(), old, "change {at}: {}", next.session());
            assert_eq!(fixture.kept() > 0, was_new, "change {at}: {}", next.session());
        }
    }
    assert!(interrupted > 5, "the switch was never interrupted");
}

#[test]
fn killed_at_any_change_an_undo_is_ended_or_taken_back() {
    let fixture = Fixture::new();
    let (old, new, _) = baseline(&fixture);
    assert_eq!(fixture.undo(None).code, 0);
    let changes = fixture.changes();
    assert_eq!(fixture.state(), old);
    for at in 1..=changes {
        fixture.reset();
        assert_eq!(fixture.restore(None).code, 0);
        assert_eq!(fixture.undo(Some(("kill", at))).code, 137, "change {at}");
        let pending = fixture.path("live/.store.restore-journal.json").exists();
        if pending && at % 2 == 0 {
            assert_eq!(fixture.restore(None).code, 0);
            assert_eq!(fixture.state(), old, "change {at}: ended");
        } else if pending {
            let next = fixture.undo(None);
            assert_eq!((next.code, fixture.state() == new), (0, true), "change {at}: {}", next.session());
        } else {
            assert!([&old, &new].contains(&&fixture.state()), "change {at}: a mix without a journal");
        }
    }
}

#[test]
fn a_full_disk_and_a_failing_one_are_errors_that_change_nothing() {
    let fixture = Fixture::new();
    let (old, new, changes) = baseline(&fixture);
    for fault in ["ENOSPC", "EIO"] {
        for at in 1..=changes {
            fixture.reset();
            let failed = fixture.restore(Some((fault, at)));
            let state = fixture.state();
            if failed.code == 0 {
                assert_eq!(state, new, "{fault} at {at}");
                continue;
            }
            assert_eq!(failed.code, 2, "{fault} at {at}: {}", failed.session());
            let journal = fixture.path("live/.store.restore-journal.json").exists();
            if journal {
                assert!(failed.stderr.contains("mqstore backup undo"), "{fault} at {at}: {}", failed.session());
                assert_eq!(fixture.undo(None).code, 0);
            } else if state == new {
                // Only the last steps were left: then it is done, but for a name that may not be on disk yet.
                continue;
            }
            assert_eq!(fixture.state(), old, "{fault} at {at}: {}", failed.session());
            assert!(failed.stderr.contains("os error") || failed.stderr.contains("I/O"), "{}", failed.session());
        }
    }
}

#[test]
fn while_a_switch_is_interrupted_a_dry_run_and_another_undo_say_so() {
    let fixture = Fixture::new();
    let (old, _, changes) = baseline(&fixture);
    let journal = fixture.path("live/.store.restore-journal.json");
    let at = (1..=changes).find(|at| {
        fixture.reset();
        fixture.restore(Some(("kill", *at)));
        journal.exists()
    });
    assert!(at.is_some());
    let args = ["backup", "restore", text(&fixture.path("t0.tar.zst")), "--to", text(&fixture.store()), "--dry-run"]
        .map(str::to_owned);
    let dry = run(command().args(args).args(RESTORE));
    assert_eq!(dry.code, 4, "{}", dry.session());
    assert!(dry.stderr.contains("was interrupted") && dry.stderr.contains("backup undo"), "{}", dry.stderr);
    assert_eq!(fixture.undo(None).code, 0);
    assert_eq!(fixture.state(), old);
}
