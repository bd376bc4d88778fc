//! The command line as its users see it: texts, JSON, exit codes, and that a store is never touched.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod backup;
mod boot;
mod chain;
mod checkpoint;
mod commitlog;
mod config;
mod diff;
mod docs;
mod eio;
mod exit_codes;
mod fleet;
mod guides;
mod help;
mod index;
mod inspect;
mod manners;
mod offsets;
mod pairs;
mod paperwork;
mod parity;
mod pending;
mod pipes;
mod preflight;
mod queues;
mod releases;
mod report;
mod restore;
mod restore_faults;
mod snapshot;
mod special;
mod textfile;
mod untouched;
mod verify;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use mqstore_testkit::{Golden, golden};
use serde_json::Value;

/// The stores whose answers are kept as snapshots.
const REPRESENTATIVE: &[(&str, &str)] = &[
    ("3.5.8-clean", "store"),
    ("4.3.2-clean", "store"),
    ("4.3.2-pair", "slave/store"),
    ("5.3.3-clean", "store"),
    ("5.3.3-killed", "store"),
    ("5.3.3-rocksdb", "store"),
    ("4.9.7-dledger", "store"),
    ("5.3.3-v6mix", "store"),
];

/// A recorded store, unpacked once for the tests that run side by side. Whoever wants to break it copies it first.
fn shared(name: &str) -> Arc<Golden> {
    static SHARED: Mutex<BTreeMap<String, Weak<Golden>>> = Mutex::new(BTreeMap::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(golden) = shared.get(name).and_then(Weak::upgrade) {
        return golden;
    }
    let unpacked = Arc::new(golden(name));
    shared.insert(name.to_owned(), Arc::downgrade(&unpacked));
    unpacked
}

/// What a run of the program gave.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// The program, without the settings of whoever runs the tests.
fn command() -> Command {
    command_of(env!("CARGO_BIN_EXE_mqstore"))
}

/// Any program, without the settings of whoever runs the tests.
fn command_of(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MQSTORE_") {
            command.env_remove(name);
        }
    }
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env("COLUMNS", "100").stdin(Stdio::null());
    command
}

fn mqstore(args: &[impl AsRef<OsStr>]) -> Run {
    run(command().args(args))
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {}", self.stdout))
    }

    fn ndjson(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Everything that the run gave, as a session would show it.
    fn session(&self) -> String {
        let mut text = format!("exit code {}\n", self.code);
        for (name, content) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !content.is_empty() {
                text += "--- ";
                text += name;
                text += "\n";
                text += content;
            }
        }
        text
    }
}

/// Compares with `snapshots/NAME.snap`; `folders` are replaced by their names, moments and versions by placeholders.
fn assert_snapshot(name: &str, text: &str, folders: &[(&Path, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (path, name) in folders {
        settings.add_filter(&regex_escape(path.to_str().unwrap()), format!("[{name}]"));
    }
    settings.add_filter(r#""generated_at": ?"[^"]*""#, r#""generated_at": "[now]""#);
    settings.add_filter(r#""version": ?"\d+\.\d+\.\d+""#, r#""version": "[version]""#);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn regex_escape(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_alphanumeric() || c == '/' { vec![c] } else { vec!['\\', c] }).collect()
}

/// A document as a person would review it: of each long list the first elements and the number of the others.
fn abridged(value: &Value) -> Value {
    const KEPT: usize = 2;
    match value {
        Value::Array(items) if items.len() > KEPT + 1 => {
            let more = format!("... and {} more", items.len() - KEPT);
            items.iter().take(KEPT).map(abridged).chain([Value::String(more)]).collect()
        }
        Value::Array(items) => items.iter().map(abridged).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), abridged(value))).collect(),
        other => other.clone(),
    }
}

/// The session of a run with a JSON document on standard output, abridged.
fn json_session(run: &Run) -> String {
    let stdout = serde_json::to_string_pretty(&abridged(&run.json())).unwrap() + "\n";
    Run { code: run.code, stdout, stderr: run.stderr.clone() }.session()
}

/// Runs a command on a store and compares text and JSON with their snapshots.
fn assert_snapshots(name: &str, golden: &Golden, root: &str, args: &[&str]) {
    let root = golden.sub(root);
    let mut all: Vec<PathBuf> = args.iter().map(PathBuf::from).collect();
    for (part, i) in args.iter().zip(0..) {
        if *part == "STORE" {
            all[i].clone_from(&root);
        }
    }
    let folders: [(&Path, &str); 1] = [(&root, "STORE")];
    assert_snapshot(name, &mqstore(&all).session(), &folders);
    all.extend(["--format", "json"].map(PathBuf::from));
    assert_snapshot(&format!("{name}-json"), &json_session(&mqstore(&all)), &folders);
}

/// A copy of a recorded store that a test may break.
fn broken(name: &str) -> (tempfile::TempDir, PathBuf) {
    let golden = shared(name);
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("store");
    let status = Command::new("cp").arg("-a").arg(golden.root()).arg(&root).status().unwrap();
    assert!(status.success());
    (temp, root)
}
