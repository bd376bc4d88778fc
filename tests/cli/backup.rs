//! `backup`: create, list, show, verify, restore.

use std::fs;
use std::path::Path;
use std::process::Command;

use mqstore_testkit::{EntryKind, fingerprint};

use super::{Run, assert_snapshot, mqstore, shared};

/// A folder with one archive of 4.3.2-clean in it, made with the broker's configuration.
fn archive() -> (tempfile::TempDir, String, Run) {
    let golden = shared("4.3.2-clean");
    let temp = tempfile::tempdir().unwrap();
    let (root, conf) = (golden.root(), golden.sub("broker.conf"));
    let args =
        ["backup", "create", root.to_str().unwrap(), "-c", conf.to_str().unwrap(), "-o", temp.path().to_str().unwrap()];
    let run = mqstore(&args);
    let entry = fs::read_dir(temp.path()).unwrap().next().unwrap().unwrap();
    let path = entry.path().to_str().unwrap().to_owned();
    (temp, path, run)
}

/// Times, ids and lengths that differ from run to run.
fn settled(text: &str) -> String {
    let text = replace_digits(text, "00000000T000000Z", "[time]");
    let text = replace_digits(&text, "0000-00-00T00:00:00Z", "[time]");
    replace_after(&text, "[time]-", 12, "[id]")
}

/// Replaces what looks like `shape`, where `0` stands for any digit.
fn replace_digits(text: &str, shape: &str, name: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let shape: Vec<char> = shape.chars().collect();
    let fits = |window: &[char]| {
        window.len() == shape.len()
            && window.iter().zip(&shape).all(|(c, s)| if *s == '0' { c.is_ascii_digit() } else { c == s })
    };
    let (mut i, mut out) = (0, String::new());
    while i < chars.len() {
        if fits(&chars[i..chars.len().min(i + shape.len())]) {
            out += name;
            i += shape.len();
        } else {
            out.push(chars[i]);
            i += 1;
        }
    }
    out
}

/// Replaces the `length` characters behind each `mark`, if they are hexadecimal.
fn replace_after(text: &str, mark: &str, length: usize, name: &str) -> String {
    let mut parts = text.split(mark);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let is_id = part.len() >= length && part[..length].bytes().all(|b| b.is_ascii_hexdigit());
        out += mark;
        out += if is_id { name } else { &part[..length.min(part.len())] };
        out += &part[length.min(part.len())..];
    }
    out
}

#[test]
fn a_backup_is_made_listed_shown_verified_and_put_back() {
    let (temp, archive, created) = archive();
    let folder = temp.path().to_str().unwrap();
    let to = format!("{folder}/restored");
    let folders: [(&Path, &str); 1] = [(temp.path(), "TEMP")];
    for (name, run) in [
        ("create", created),
        ("list", mqstore(&["backup", "list", folder])),
        ("show", mqstore(&["backup", "show", &archive])),
        ("verify", mqstore(&["backup", "verify", &archive])),
        ("restore", mqstore(&["backup", "restore", &archive, "--to", &to])),
    ] {
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        // How well a member packs is zstd's affair.
        let text = settled(&run.session()).replace(&size_of(&archive), "[size]");
        assert_snapshot(&format!("backup-{name}"), &text, &folders);
    }
    let golden = shared("4.3.2-clean");
    let without_log = |root: &Path| {
        let mut all = fingerprint(root);
        all.retain(|entry| !entry.path.starts_with("commitlog") && entry.kind == EntryKind::File);
        all
    };
    assert_eq!(without_log(Path::new(&to)), without_log(&golden.root()), "content, mode and time of every file");
}

fn size_of(archive: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a hundred KiB")]
    let kib = fs::metadata(archive).unwrap().len() as f64 / 1024.0;
    format!("{kib:.1} KiB")
}

#[test]
fn documents_carry_the_manifest() {
    let (temp, archive, _) = archive();
    let created = mqstore(&["backup", "show", &archive, "--format=json"]).json();
    let manifest = &created["manifest"];
    assert_eq!(manifest["schema"], "mqstore.backup");
    assert_eq!(manifest["broker"]["name"], "broker-a");
    assert_eq!(manifest["broker"]["release"]["newest"], "4.9.8");
    assert_eq!(manifest["positions"]["commitlog"]["max_offset"], 3_285_572);
    let include = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .any(|file| file["path"].as_str().unwrap().ends_with("broker.conf"));
    assert!(include, "the configuration that was given is in the archive");
    let listed = mqstore(&["backup", "list", temp.path().to_str().unwrap(), "--format=json"]).json();
    assert_eq!(listed["backups"][0]["backup_id"], manifest["backup_id"]);
    let verified = mqstore(&["backup", "verify", &archive, "--format=json"]).json();
    assert_eq!((&verified["findings"], &verified["counts"]["error"]), (&serde_json::json!([]), &0.into()));
    let to = temp.path().join("restored");
    let restored = mqstore(&["backup", "restore", &archive, "--to", to.to_str().unwrap(), "--format=json"]).json();
    assert_eq!(restored["not_restored"], serde_json::json!([{"section": "include", "files": 1}]));
    assert_eq!(restored["manifest"]["backup_id"], manifest["backup_id"]);
}

#[test]
fn a_dry_run_shows_the_plan_and_writes_nothing() {
    let golden = shared("3.5.8-clean");
    let temp = tempfile::tempdir().unwrap();
    let (root, home) = (golden.root(), golden.sub("home"));
    let args = ["backup", "create", root.to_str().unwrap(), "--home", home.to_str().unwrap(), "--dry-run"];
    assert_snapshot("backup-dry-run", &mqstore(&args).session(), &[]);
    let to = temp.path().join("a.tar.zst");
    let json = mqstore(&[&args[..], &["--format=json", "-o", to.to_str().unwrap()]].concat()).json();
    let paths: Vec<&str> =
        json["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"home/store/config/topics.json") && !paths.iter().any(|p| p.contains("commitlog")));
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_on_standard_output_is_what_plain_tools_read() {
    let golden = shared("5.3.3-clean");
    let root = golden.root();
    let output =
        super::command().args(["backup", "create", root.to_str().unwrap(), "-o", "-", "--sums=all"]).output().unwrap();
    assert!(output.status.success());
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.tar.zst");
    fs::write(&path, &output.stdout).unwrap();
    let shell =
        format!("cd {} && zstd -qdc a.tar.zst | tar -xf - && sha256sum --quiet -c SHA256SUMS", temp.path().display());
    assert!(Command::new("sh").args(["-c", &shell]).status().unwrap().success());
    let verify =
        super::command().args(["backup", "verify", "-"]).stdin(fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!(verify.status.code(), Some(0));
}

#[test]
fn a_damaged_archive_is_found_and_nothing_of_it_is_restored() {
    let (temp, archive, _) = archive();
    let mut bytes = fs::read(&archive).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let verify = mqstore(&["backup", "verify", &archive, "--format=ndjson"]);
    let lines = verify.ndjson();
    assert_eq!((verify.code, &lines[0]["type"], &lines[0]["severity"]), (1, &"finding".into(), &"error".into()));
    assert_eq!(lines.last().unwrap()["exit"]["code"], 1);
    let to = temp.path().join("restored");
    let restore = mqstore(&["backup", "restore", &archive, "--to", to.to_str().unwrap()]);
    assert_eq!(restore.code, 1);
    assert!(restore.stdout.contains("damaged, nothing was restored") && !to.exists());
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "only the archive is there");
}

#[test]
fn what_is_no_archive_and_a_folder_without_one_are_told_apart() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("notes.txt");
    fs::write(&file, "no archive").unwrap();
    let text: String = [
        vec!["backup", "verify", file.to_str().unwrap()],
        vec!["backup", "show", "/nowhere/a.tar.zst"],
        vec!["backup", "list", temp.path().to_str().unwrap()],
        vec!["backup", "list", "/nowhere"],
    ]
    .map(|args| mqstore(&args).session())
    .concat();
    assert_snapshot("backup-no-archive", &text, &[(temp.path(), "TEMP")]);
}

#[test]
fn the_home_files_of_3_5_8_come_back_where_they_are_wanted() {
    let golden = shared("3.5.8-clean");
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    let (root, home) = (golden.root(), golden.sub("home"));
    let args = ["backup", "create", root.to_str().unwrap(), "--home", home.to_str().unwrap(), "-o", &path("a.tar.zst")];
    assert_eq!(mqstore(&args).code, 0);
    let restore = mqstore(&["backup", "restore", &path("a.tar.zst"), "--to", &path("store"), "--home", &path("home")]);
    assert_eq!(restore.code, 0, "{}", restore.stderr);
    let file = "store/config/topics.json";
    assert_eq!(fs::read(Path::new(&path("home")).join(file)).unwrap(), fs::read(home.join(file)).unwrap());
}
