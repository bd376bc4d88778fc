//! Readers that go away, Ctrl-C, and output into files.

use std::io::Read;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{command, mqstore, shared};

/// Starts the program and waits until it has written something, so that it is in the middle of its work: there is more
/// to come than a pipe holds.
fn started(args: &[&str]) -> (Child, Vec<u8>) {
    let mut child = command().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = vec![0];
    child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    (child, first)
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let root = root.to_str().unwrap();
    for format in ["--format=text", "--format=json", "--format=ndjson"] {
        let (mut child, _) = started(&["inspect", "commitlog", root, format]);
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
    }
}

#[test]
fn an_archive_that_nobody_reads_to_its_end_is_an_error() {
    let golden = shared("5.3.3-clean");
    let root = golden.root();
    let (mut child, _) = started(&["backup", "create", root.to_str().unwrap()]);
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn ctrl_c_ends_a_stream_with_its_summary_and_130() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let (mut child, mut all) = started(&["inspect", "commitlog", root.to_str().unwrap(), "--format=ndjson"]);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.stdout.as_mut().unwrap().read_to_end(&mut all).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let text = String::from_utf8(all).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() < 3_800, "all {} records came", lines.len());
    let summary = lines.last().unwrap();
    assert_eq!((&summary["type"], &summary["exit"]["code"]), (&"summary".into(), &130.into()));
}

#[test]
fn a_file_is_complete_or_not_there() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("records.ndjson");
    let args = ["inspect", "commitlog", root.to_str().unwrap(), "--format=ndjson"];
    let to_file = mqstore(&[&args[..], &["--output", path.to_str().unwrap()]].concat());
    assert_eq!((to_file.code, to_file.stdout.as_str()), (0, ""));
    // Only the time of the run differs, and NDJSON has none.
    assert_eq!(std::fs::read_to_string(&path).unwrap(), mqstore(&args).stdout);
    let other = temp.path().join("other");
    let failed =
        mqstore(&["inspect", "config", root.to_str().unwrap(), "passwords", "--output", other.to_str().unwrap()]);
    assert_eq!(failed.code, 2);
    let names: Vec<_> = std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["records.ndjson"], "nothing half done is left");
}

#[test]
fn quiet_leaves_the_data_and_drops_the_notes() {
    let golden = shared("5.3.3-v6mix");
    let root = golden.root();
    let (loud, quiet) =
        (mqstore(&["inspect", root.to_str().unwrap()]), mqstore(&["inspect", "-q", root.to_str().unwrap()]));
    assert_eq!((loud.code, quiet.code), (1, 1));
    assert_eq!(loud.stdout, quiet.stdout);
    assert!(loud.stderr.starts_with("damage: ") && quiet.stderr.is_empty());
}

#[test]
fn progress_goes_to_standard_error_when_it_is_asked_for() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let temp = tempfile::tempdir().unwrap();
    let archive = temp.path().join("a.tar.zst");
    let args = ["backup", "create", root.to_str().unwrap(), "--progress=always", "-o", archive.to_str().unwrap()];
    let run = mqstore(&args);
    assert_eq!(run.code, 0);
    assert!(
        run.stderr.lines().last().unwrap().starts_with("progress: archiving 1006.2 KiB of 1006.2 KiB"),
        "{}",
        run.stderr
    );
    assert!(!run.stdout.contains("progress"));
}

#[test]
fn colors_are_shown_only_when_they_are_wanted() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let colored = mqstore(&["inspect", root.to_str().unwrap(), "--color=always"]).stdout;
    let plain = mqstore(&["inspect", root.to_str().unwrap()]).stdout;
    assert!(colored.contains("\u{1b}[32mstopped cleanly"), "{colored}");
    let mut stripped = String::new();
    for part in colored.split('\u{1b}') {
        stripped += part.split_once('m').filter(|_| part.starts_with('[')).map_or(part, |(_, text)| text);
    }
    assert_eq!(stripped, plain, "colors change nothing else");
}
