//! `backup create --since`, and everything that reads its archives.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqstore_testkit::{EntryKind, fingerprint};
use serde_json::json;

use super::backup::settled;
use super::{Run, assert_snapshot, mqstore, shared};

/// A store of which there is a whole archive of one day and an incremental one of the next.
struct Nightly {
    temp: tempfile::TempDir,
    root: PathBuf,
    conf: PathBuf,
    created: Run,
}

impl Nightly {
    fn new() -> Self {
        let golden = shared("4.3.2-clean");
        let temp = tempfile::tempdir().unwrap();
        let (root, conf) = (temp.path().join("store"), temp.path().join("broker.conf"));
        for (from, to) in [(golden.root(), &root), (golden.sub("broker.conf"), &conf)] {
            assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
        }
        fs::create_dir(temp.path().join("backup")).unwrap();
        let mut nightly =
            Self { temp, root, conf, created: Run { code: 0, stdout: String::new(), stderr: String::new() } };
        assert_eq!(nightly.create("first.tar.zst", &[]).code, 0);
        fs::write(nightly.root.join("config/consumerOffset.json"), "{\n\t\"offsetTable\":{}\n}").unwrap();
        fs::remove_file(nightly.root.join("config/consumerOffset.json.bak")).unwrap();
        let whole = nightly.archive("first.tar.zst");
        nightly.created = nightly.create("next.tar.zst", &["--since", &whole]);
        nightly
    }

    fn create(&self, name: &str, more: &[&str]) -> Run {
        let (root, conf, to) = (self.root.to_str().unwrap(), self.conf.to_str().unwrap(), self.archive(name));
        mqstore(&[&["backup", "create", root, "-c", conf, "-o", &to], more].concat())
    }

    fn archive(&self, name: &str) -> String {
        self.temp.path().join("backup").join(name).to_str().unwrap().to_owned()
    }

    /// The same archives with the whole one in another folder.
    fn parted(&self) -> String {
        let away = self.temp.path().join("away");
        fs::create_dir(&away).unwrap();
        fs::rename(self.archive("first.tar.zst"), away.join("first.tar.zst")).unwrap();
        away.to_str().unwrap().to_owned()
    }

    fn snapshot(&self, name: &str, run: &Run) {
        // How well a member packs is zstd's affair.
        let archives = fs::read_dir(self.temp.path().join("backup")).unwrap();
        let mut lengths: Vec<u64> = archives.map(|archive| archive.unwrap().metadata().unwrap().len()).collect();
        lengths.push(lengths.iter().sum());
        let mut text = settled(&run.session());
        for length in lengths {
            #[expect(clippy::cast_precision_loss, reason = "a hundred KiB")]
            let kib = length as f64 / 1024.0;
            text = text.replace(&format!("{kib:.1} KiB"), "[size]");
        }
        // And with it the width of its column.
        while text.contains("   ") {
            text = text.replace("   ", "  ");
        }
        assert_snapshot(&format!("chain-{name}"), &text, &[(self.temp.path(), "TEMP")]);
    }
}

#[test]
fn an_incremental_backup_is_made_listed_shown_verified_and_put_back() {
    let nightly = Nightly::new();
    let (next, folder) = (nightly.archive("next.tar.zst"), nightly.temp.path().join("backup"));
    let to = nightly.temp.path().join("restored");
    for (name, run) in [
        ("create", &nightly.created),
        ("list", &mqstore(&["backup", "list", folder.to_str().unwrap()])),
        ("show", &mqstore(&["backup", "show", &next])),
        ("verify", &mqstore(&["backup", "verify", &next, "--store", nightly.root.to_str().unwrap()])),
        ("restore", &mqstore(&["backup", "restore", &next, "--to", to.to_str().unwrap()])),
    ] {
        assert_eq!(run.code, 0, "{name}: {}", run.stderr);
        nightly.snapshot(name, run);
    }
    let without_log = |root: &Path| {
        let mut all = fingerprint(root);
        all.retain(|entry| !entry.path.starts_with("commitlog") && entry.kind == EntryKind::File);
        all
    };
    assert_eq!(without_log(&to), without_log(&nightly.root), "content, mode and time of every file");

    let shown = mqstore(&["backup", "show", &next, "--format=json"]).json();
    let (since, chain) = (&shown["manifest"]["since"], &shown["chain"]);
    assert_eq!(shown["manifest"]["schema_version"], 2);
    assert_eq!((&since["archive"], &since["needs"][0]["archive"]), (&json!("first.tar.zst"), &json!("first.tar.zst")));
    assert_eq!((&chain["complete"], &chain["missing"]), (&json!(true), &json!([])));
    let held = shown["manifest"]["files"].as_array().unwrap().iter().filter(|file| file["in"].is_string()).count();
    assert_eq!(since["needs"][0]["files"], held);
    let listed = mqstore(&["backup", "list", folder.to_str().unwrap(), "--format=json"]).json();
    assert_eq!((&listed["backups"][1]["since"], &listed["backups"][1]["chain"]["complete"]), (since, &json!(true)));
    assert_eq!(listed["backups"][0].get("since"), None, "a whole archive says nothing of it");

    // What reads an archive as a store reads the chain, too.
    let verified = mqstore(&["verify", &next, "--level", "full"]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    let compared = mqstore(&["diff", &next, &next]);
    assert_eq!(
        compared.code,
        mqstore(&["diff", &nightly.archive("first.tar.zst"), &nightly.archive("first.tar.zst")]).code
    );
}

#[test]
fn without_an_earlier_archive_there_is_no_verdict_no_restoration_and_its_name() {
    let nightly = Nightly::new();
    let next = nightly.archive("next.tar.zst");
    let whole = mqstore(&["backup", "show", &nightly.archive("first.tar.zst"), "--format=json"]).json();
    let id = whole["manifest"]["backup_id"].as_str().unwrap().to_owned();
    let away = nightly.parted();
    let (folder, to) = (nightly.temp.path().join("backup"), nightly.temp.path().join("restored"));
    let (folder, to) = (folder.to_str().unwrap(), to.to_str().unwrap());
    let root = nightly.root.to_str().unwrap();
    let in_place = ["backup", "restore", &next, "--to", root, "--release", "4.3.2", "--dry-run"];
    for (name, args, code) in [
        ("missing-verify", &["backup", "verify", &next][..], 3),
        ("missing-list", &["backup", "list", folder], 3),
        ("missing-show", &["backup", "show", &next], 3),
        ("missing-restore", &["backup", "restore", &next, "--to", to], 4),
        ("", &in_place, 4),
        ("", &["verify", &next], 3),
        ("missing-diff", &["diff", &next, root], 3),
        ("", &["backup", "verify", &next, "--bytes-only"], 3),
    ] {
        let before = fingerprint(nightly.temp.path());
        let run = mqstore(args);
        assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
        let said = run.stdout.clone() + &run.stderr;
        for part in ["first.tar.zst", &id, folder] {
            assert!(said.contains(part), "{args:?} does not name {part}: {said}");
        }
        assert!(fingerprint(nightly.temp.path()) == before, "{args:?} touched something");
        if !name.is_empty() {
            nightly.snapshot(name, &run);
        }
        let with_chain = mqstore(&[args, &["--chain", &away]].concat());
        assert!([0, 1].contains(&with_chain.code), "{args:?} --chain: {}{}", with_chain.stdout, with_chain.stderr);
        fs::remove_dir_all(to).unwrap_or_default();
    }
    let document = mqstore(&["backup", "verify", &next, "--format=json"]).json();
    let skipped = &document["coverage"]["skipped"][0];
    assert_eq!(skipped["what"], format!("first.tar.zst ({id})"));
    assert!(skipped["why"].as_str().unwrap().contains(folder), "{skipped}");
    let listed = mqstore(&["backup", "list", folder, "--format=json"]).json();
    assert_eq!(
        listed["backups"][0]["chain"],
        json!({"complete": false, "found": [],
            "missing": [{"backup_id": id, "archive": "first.tar.zst", "looked_in": [folder]}]})
    );
}

#[test]
fn what_is_no_base_is_refused_before_anything_is_written() {
    let nightly = Nightly::new();
    let whole = nightly.archive("first.tar.zst");
    let sound = fs::read(&whole).unwrap();
    let other = nightly.temp.path().join("other.conf");
    fs::write(&other, fs::read_to_string(&nightly.conf).unwrap().replace("broker-a", "broker-b")).unwrap();
    let refused = |more: &[&str], code: i32, said: &str| {
        let (root, to) = (nightly.root.to_str().unwrap(), nightly.archive("new.tar.zst"));
        let run = mqstore(&[&["backup", "create", root, "-o", &to, "--since"], more].concat());
        assert_eq!(run.code, code, "{more:?}: {}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains(said), "{more:?}: {}", run.stderr);
        assert!(!Path::new(&to).exists());
    };
    refused(&[&whole, "-c", other.to_str().unwrap()], 4, "brokerName broker-a, expected broker-b");
    refused(&["/nowhere.tar.zst"], 2, "--since /nowhere.tar.zst: cannot open");
    refused(&[nightly.conf.to_str().unwrap()], 2, "is not an archive");
    fs::write(&whole, &sound[..sound.len() / 2]).unwrap();
    refused(&[&whole], 4, "cannot be relied on");
    fs::remove_file(&whole).unwrap();
    refused(&[&nightly.archive("next.tar.zst")], 4, "was not found in");
    let away = nightly.temp.path().join("away");
    fs::create_dir(&away).unwrap();
    fs::write(away.join("renamed.tar.zst"), &sound).unwrap();
    let made = nightly.create(
        "new.tar.zst",
        &["--since", &nightly.archive("next.tar.zst"), "--chain", away.to_str().unwrap(), "--verify"],
    );
    assert_eq!(made.code, 0, "{}", made.stderr);
    let dry = nightly.create(
        "dry.tar.zst",
        &["--since", &nightly.archive("new.tar.zst"), "--chain", away.to_str().unwrap(), "--dry-run"],
    );
    assert!(dry.code == 0 && dry.stdout.contains("\nsince: "), "{}{}", dry.stdout, dry.stderr);
}

#[test]
fn prune_keeps_what_an_incremental_archive_needs_and_says_so() {
    let nightly = Nightly::new();
    let folder = nightly.temp.path().join("backup");
    let run = mqstore(&["backup", "prune", folder.to_str().unwrap(), "--keep-last", "1", "--format=json"]);
    let names = |key: &str| {
        let paths = run.json()[key].as_array().unwrap().clone();
        paths.iter().map(|path| path.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((run.code, names("removed")), (0, vec![]), "{}", run.stderr);
    assert_eq!((names("needed"), names("verified").len()), (vec!["first.tar.zst".to_owned()], 0));
    let text = mqstore(&["backup", "prune", folder.to_str().unwrap(), "--keep-last", "1"]).stdout;
    assert!(text.contains("first.tar.zst: an incremental archive that stays needs it"), "{text}");
}
