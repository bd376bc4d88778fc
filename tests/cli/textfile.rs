//! `--textfile`: what Prometheus gets to see. Its own checker is the judge where `promtool` is at hand.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{broken, mqstore, shared};

/// `name{labels} value` of each line, after a look at the form of all of them.
fn metrics(path: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut values = BTreeMap::new();
    let mut declared = String::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (kind, rest) = comment.split_once(' ').unwrap();
            assert!(["HELP", "TYPE"].contains(&kind), "{line}");
            rest.split(' ').next().unwrap().clone_into(&mut declared);
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert_eq!(name.split('{').next().unwrap(), declared, "each name is declared before its values");
        assert!(values.insert(name.to_owned(), value.to_owned()).is_none(), "{line} comes twice");
    }
    check_with_promtool(&text);
    values
}

fn check_with_promtool(text: &str) {
    let Ok(mut checker) =
        Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        return;
    };
    checker.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = checker.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn value(metrics: &BTreeMap<String, String>, name: &str, part: &str) -> String {
    let mut found = metrics.iter().filter(|(key, _)| key.starts_with(&format!("{name}{{")) && key.contains(part));
    let value = found.next().unwrap_or_else(|| panic!("no {name} with {part} in {metrics:?}")).1.clone();
    assert!(found.next().is_none(), "{name} with {part} comes more than once");
    value
}

#[test]
fn verify_tells_result_findings_and_coverage_and_others_may_read_the_file() {
    let golden = shared("4.3.2-clean");
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("mqstore.prom");
    let run =
        |root: &Path| mqstore(&["verify".as_ref(), root.as_os_str(), "--textfile".as_ref(), file.as_os_str()]).code;
    assert_eq!(run(&golden.root()), 0);
    let sound = metrics(&file);
    assert_eq!(value(&sound, "mqstore_exit_code", "command=\"verify\""), "0");
    assert_eq!(value(&sound, "mqstore_findings", "severity=\"error\""), "0");

    assert!(value(&sound, "mqstore_run_timestamp_seconds", "store=").parse::<f64>().unwrap() > 1.7e9);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);

    let (_keep, root) = broken("4.3.2-clean");
    std::fs::write(root.join("config/topics.json"), "{\"dataVersion\":").unwrap();
    std::fs::remove_file(root.join("config/topics.json.bak")).unwrap();
    assert_eq!(run(&root), 1);
    let damaged = metrics(&file);
    assert_eq!(value(&damaged, "mqstore_exit_code", ""), "1");
    assert!(value(&damaged, "mqstore_findings", "severity=\"error\"") != "0");
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["mqstore.prom"], "nothing else is left behind");
}

#[test]
fn a_backup_tells_its_size_and_whether_it_was_read_back() {
    let golden = shared("4.3.2-clean");
    let temp = tempfile::tempdir().unwrap();
    let (archive, file) = (temp.path().join("a.tar.zst"), temp.path().join("b.prom"));
    let root = golden.root();
    let create = [
        "backup".as_ref(),
        "create".as_ref(),
        "--verify".as_ref(),
        root.as_os_str(),
        "--output".as_ref(),
        archive.as_os_str(),
        "--textfile".as_ref(),
        file.as_os_str(),
    ];
    assert_eq!(mqstore(&create).code, 0);
    let made = metrics(&file);
    let length = std::fs::metadata(&archive).unwrap().len();
    assert_eq!(value(&made, "mqstore_backup_size_bytes", ""), length.to_string());
    assert_eq!(value(&made, "mqstore_backup_verified", "command=\"backup.create\""), "1");
    assert_eq!(value(&made, "mqstore_backup_gaps", ""), "0");
    let verify = ["backup".as_ref(), "verify".as_ref(), archive.as_os_str(), "--textfile".as_ref(), file.as_os_str()];
    assert_eq!(mqstore(&verify).code, 0);
    assert_eq!(value(&metrics(&file), "mqstore_findings", "severity=\"warning\""), "0");
}

#[test]
fn a_pair_tells_how_far_it_is_apart() {
    let golden = shared("4.3.2-pair");
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("pair.prom");
    let (a, b) = (golden.sub("master/store"), golden.sub("slave/store"));
    let run = mqstore(&["diff".as_ref(), a.as_os_str(), b.as_os_str(), "--textfile".as_ref(), file.as_os_str()]);
    let json = mqstore(&["diff".as_ref(), a.as_os_str(), b.as_os_str(), "--format=json".as_ref()]).json();
    let pair = metrics(&file);
    assert_eq!(value(&pair, "mqstore_exit_code", "command=\"diff\""), run.code.to_string());
    assert_eq!(value(&pair, "mqstore_lag_bytes", ""), json["commitlog"]["lag_bytes"].to_string());
}

#[test]
fn a_file_inside_the_store_is_refused() {
    let (_keep, root) = broken("4.3.2-clean");
    let file = root.join("config/x.prom");
    let run = mqstore(&["verify".as_ref(), root.as_os_str(), "--textfile".as_ref(), file.as_os_str()]);
    assert_eq!((run.code, file.exists()), (4, false), "{}", run.stderr);
}
