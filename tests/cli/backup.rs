//! `backup`: create, list, show, verify, restore.

use std::fs;
use std::path::Path;
use std::process::Command;

use mqstore_testkit::{EntryKind, fingerprint};

use super::{Run, assert_snapshot, broken, mqstore, shared};

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
pub(super) fn settled(text: &str) -> String {
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
fn one_file_of_an_archive_is_shown_or_put_where_it_is_wanted() {
    let (temp, archive, _) = archive();
    let golden = shared("4.3.2-clean");
    let run = mqstore(&["backup", "show", &archive, "store/config/topics.json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(run.stdout.as_bytes(), fs::read(golden.root().join("config/topics.json")).unwrap());
    let entry = fingerprint(&golden.root())
        .into_iter()
        .find(|entry| entry.path.starts_with("consumequeue") && entry.kind == EntryKind::File);
    let queue = entry.unwrap().path;
    let (member, to) = (format!("store/{}", queue.display()), temp.path().join("queue"));
    let run = mqstore(&["backup", "show", &archive, &member, "-o", to.to_str().unwrap()]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""));
    assert!(fs::read(&to).unwrap() == fs::read(golden.root().join(&queue)).unwrap(), "holes and all");
    let run = mqstore(&["backup", "show", &archive, "store/config/nothing.json"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("holds no file store/config/nothing.json"), "{}", run.stderr);
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

#[test]
fn an_archive_is_named_after_cluster_broker_id_and_time() {
    let temp = tempfile::tempdir().unwrap();
    let golden = shared("4.3.2-pair");
    let store = golden.sub("slave/store");
    let conf = temp.path().join("broker.conf");
    std::fs::write(&conf, "brokerClusterName=Lab\nbrokerName=broker-a\nbrokerId=1\nbrokerRole=SLAVE\n").unwrap();
    let dir = temp.path().to_str().unwrap();
    let create = |more: &[&str]| {
        let mut args = vec!["backup", "create", store.to_str().unwrap(), "-c", conf.to_str().unwrap(), "-o", dir];
        args.extend(more);
        mqstore(&args)
    };
    assert_eq!(create(&[]).code, 0);
    let names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let archive = names.iter().find(|name| name.ends_with(".mqstore.tar.zst")).unwrap();
    assert!(archive.starts_with("Lab-broker-a-1-20") && archive.ends_with("Z.mqstore.tar.zst"), "{archive}");
}

#[test]
fn what_is_excluded_is_listed_and_a_pattern_that_matches_nothing_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let (_keep, root) = broken("4.3.2-clean");
    std::fs::write(root.join("config/plain_acl.yml"), "accounts: []\n").unwrap();
    let archive = temp.path().join("a.tar.zst");
    let create = |more: &[&str]| {
        let mut args = vec!["backup", "create", root.to_str().unwrap(), "-o", archive.to_str().unwrap()];
        args.extend(more);
        mqstore(&args)
    };
    let dry = create(&["--dry-run", "--format=json"]);
    assert_eq!(dry.json()["secrets"], serde_json::json!(["store/config/plain_acl.yml"]));
    assert!(dry.stderr.contains("passwords or keys in store/config/plain_acl.yml"), "{}", dry.stderr);
    let none = create(&["--exclude", "*/no-such-file"]);
    assert_eq!((none.code, archive.exists()), (2, false));
    let made = create(&["--exclude", "*/plain_acl.yml", "--format=json"]);
    let manifest = &made.json()["manifest"];
    assert_eq!(made.code, 0, "{}", made.stderr);
    let list = |member: &str| -> Vec<String> {
        let paths = manifest[member].as_array().unwrap().iter();
        paths.map(|file| file["path"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!list("files").contains(&"store/config/plain_acl.yml".to_owned()));
    assert!(list("excluded").contains(&"store/config/plain_acl.yml".to_owned()));
}

#[test]
fn verification_looks_into_the_content_and_at_the_log_that_is_to_carry_it() {
    let temp = tempfile::tempdir().unwrap();
    let golden = shared("4.3.2-pair");
    let [master, slave] = ["master/store", "slave/store"].map(|side| golden.sub(side));
    let archive = |name: &str, store: &Path| {
        let path = temp.path().join(format!("{name}.tar.zst"));
        let run = mqstore(&["backup", "create", store.to_str().unwrap(), "-o", path.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        path.to_str().unwrap().to_owned()
    };
    let (of_master, of_slave) = (archive("master", &master), archive("slave", &slave));
    let verify = |archive: &str, store: &Path| {
        let run = mqstore(&["backup", "verify", archive, "--store", store.to_str().unwrap(), "--format=json"]);
        let document = run.json();
        let ids = document["findings"].as_array().unwrap().iter().map(|f| f["id"].as_str().unwrap().to_owned());
        (run.code, ids.collect::<Vec<_>>())
    };
    assert_eq!(verify(&of_master, &master), (0, vec![]));
    assert_eq!(verify(&of_slave, &master), (0, vec![]), "the slave's log is the beginning of the master's");
    assert_eq!(verify(&of_master, &slave), (1, vec!["backup.log-not-covering".to_owned()]));
    let other = shared("4.3.2-clean");
    assert_eq!(verify(&of_slave, &other.root()), (1, vec!["backup.other-log".to_owned()]));

    // Bytes that are as they were archived, of a store that was damaged already.
    let (_keep, root) = broken("4.3.2-clean");
    std::fs::write(root.join("config/topics.json"), "{\"dataVersion\":").unwrap();
    std::fs::remove_file(root.join("config/topics.json.bak")).unwrap();
    let damaged = archive("damaged", &root);
    assert_eq!(mqstore(&["backup", "verify", "--bytes-only", &damaged]).code, 0);
    let run = mqstore(&["backup", "verify", &damaged]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("config/topics.json"), "{}", run.stdout);
}

#[test]
fn old_archives_go_and_a_new_one_takes_their_place() {
    let temp = tempfile::tempdir().unwrap();
    let golden = shared("3.2.6-clean");
    let root = golden.root();
    let conf = golden.sub("broker.conf");
    let conf = conf.to_str().unwrap();
    let path = |n: u32| temp.path().join(format!("{n}.tar.zst"));
    for n in 0..3 {
        let file = path(n);
        let run = mqstore(&["backup", "create", root.to_str().unwrap(), "-c", conf, "-o", file.to_str().unwrap()]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    let dir = temp.path().to_str().unwrap();
    let dry = mqstore(&["backup", "prune", dir, "--keep-last", "1", "--dry-run"]);
    assert_eq!((dry.code, dry.stdout.lines().next()), (0, Some("2 archives would go, 1 kept")), "{}", dry.stdout);
    assert_eq!(mqstore(&["backup", "prune", dir]).code, 2, "a rule is needed");
    let last = path(3);
    let kept =
        mqstore(&["backup", "create", root.to_str().unwrap(), "-c", conf, "-o", last.to_str().unwrap(), "--keep", "2"]);
    assert_eq!((kept.code, kept.stderr.matches("note: removed").count()), (0, 2), "{}", kept.stderr);
    assert!(last.exists());
    assert_eq!(std::fs::read_dir(dir).unwrap().count(), 2);
}
