//! Exit codes, and the texts of errors.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use super::{assert_snapshot, mqstore, shared};

fn code(args: &str, root: &Path) -> i32 {
    let root = root.to_str().unwrap();
    mqstore(&args.split(' ').map(|arg| if arg == "STORE" { root } else { arg }).collect::<Vec<_>>()).code
}

#[test]
fn whole_stores_are_0_damaged_ones_1_and_those_not_fully_read_3() {
    for (archive, root, _) in mqstore_testkit::STORES {
        let expected = match *archive {
            "5.3.3-v6mix" => 1,
            _ => 0,
        };
        assert_eq!(code("inspect STORE", &shared(archive).sub(root)), expected, "{archive}");
    }
}

#[test]
fn each_command_is_judged_by_what_it_needs() {
    for (archive, args, expected) in [
        ("4.9.7-dledger", "inspect commitlog STORE", 0),
        ("4.9.7-dledger", "inspect queues STORE", 0),
        ("4.9.7-dledger", "inspect index STORE", 0),
        ("5.3.3-rocksdb", "inspect commitlog STORE", 0),
        ("5.3.3-rocksdb", "inspect queues STORE", 0),
        ("5.3.3-rocksdb", "inspect offsets STORE", 0),
        ("5.3.3-rocksdb", "inspect config STORE", 0),
        ("5.3.3-rocksdb", "inspect checkpoint STORE", 0),
        ("5.3.3-batchcq", "inspect queues STORE", 0),
        ("5.3.3-v6mix", "inspect commitlog STORE", 1),
        ("5.3.3-v6mix", "inspect queues STORE", 0),
        ("4.3.2-killed", "inspect commitlog STORE", 0),
        ("5.5.0-clean", "inspect queues STORE", 0),
    ] {
        assert_eq!(code(args, &shared(archive).root()), expected, "{archive}: {args}");
    }
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    for (args, expected) in [
        ("--help", 0),
        ("--version", 0),
        ("inspect --help", 0),
        ("", 2),
        ("inspect", 2),
        ("frobnicate", 2),
        ("inspect commitlog STORE --frobnicate", 2),
        ("inspect commitlog STORE --since yesterday", 2),
        ("inspect index STORE --key k", 2),
        ("inspect STORE --live --stopped", 2),
        ("inspect STORE --release 1.0.0", 2),
        ("inspect STORE -c /nowhere/broker.conf", 2),
        ("backup restore x.tar.zst", 2),
    ] {
        let args: Vec<&str> = args.split_whitespace().collect();
        assert_eq!(mqstore(&args).code, expected, "{args:?}");
    }
}

#[test]
fn a_new_store_says_so_and_an_empty_folder_is_no_store() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("store");
    fs::create_dir(&root).unwrap();
    let mut text = mqstore(&["inspect", root.to_str().unwrap()]).session();
    for folder in ["commitlog", "consumequeue", "index", "config"] {
        fs::create_dir(root.join(folder)).unwrap();
    }
    text += &mqstore(&["inspect", root.to_str().unwrap()]).session();
    text += &mqstore(&["inspect", "commitlog", root.to_str().unwrap()]).session();
    text += &mqstore(&["inspect", "queues", root.to_str().unwrap()]).session();
    assert_snapshot("exit-new-store", &text, &[(&root, "STORE")]);
}

#[test]
fn what_cannot_be_read_is_named_and_hides_nothing_else() {
    let (_temp, root) = super::broken("4.3.2-clean");
    fs::remove_file(root.join("checkpoint")).unwrap();
    fs::create_dir(root.join("checkpoint")).unwrap();
    fs::write(root.join("index/20261123214104581"), "short").unwrap();
    let run = mqstore(&["inspect", root.to_str().unwrap()]);
    assert_snapshot("exit-unreadable-parts", &run.session(), &[(&root, "STORE")]);
}

#[test]
fn a_store_whose_log_is_gone_gives_no_verdict() {
    let (_temp, root) = super::broken("4.3.2-clean");
    fs::remove_dir_all(root.join("commitlog")).unwrap();
    for args in ["inspect STORE", "inspect commitlog STORE"] {
        assert_eq!(code(args, &root), 3, "{args}");
    }
    assert_eq!(code("inspect queues STORE", &root), 0);
}

#[test]
fn damage_wins_over_what_was_not_read() {
    let (_temp, root) = super::broken("5.3.3-v6mix");
    fs::remove_file(root.join("checkpoint")).unwrap();
    fs::create_dir(root.join("checkpoint")).unwrap();
    assert_eq!(code("inspect STORE", &root), 1);
}

#[test]
fn a_store_that_was_killed_before_locks_is_only_archived_when_somebody_says_what_it_is() {
    let (temp, root) = super::broken("3.5.8-killed");
    let archive = temp.path().join("a.tar.zst");
    let create = |flags: &[&str]| {
        let args = ["backup", "create", root.to_str().unwrap(), "-o", archive.to_str().unwrap()];
        mqstore(&[&args[..], flags].concat())
    };
    let refused = create(&[]);
    assert_eq!(refused.code, 4);
    let text = refused.session();
    assert!(
        text.contains("a broker runs on it or was killed") && text.contains("--stopped, if it was killed"),
        "{text}"
    );
    assert!(!archive.exists());
    assert_eq!(create(&["--stopped"]).code, 0);
}

#[test]
fn epochs_that_lie_elsewhere_are_archived_when_the_configuration_names_them() {
    let (temp, root) = super::broken("5.3.3-clean");
    let (elsewhere, conf) = (temp.path().join("epochs"), temp.path().join("broker.conf"));
    fs::write(&elsewhere, "1\n0\n1-0\n").unwrap();
    let text = format!("storePathRootDir={}\nstorePathEpochFile={}\n", root.display(), elsewhere.display());
    fs::write(&conf, text).unwrap();
    let run = mqstore(&["backup", "create", "-c", conf.to_str().unwrap(), "--release=5.3.3", "--dry-run", "-v"]);
    let member = format!("include{}\n", elsewhere.display());
    assert!(run.session().contains(&member), "{}", run.session());
}

#[test]
fn what_is_unsafe_is_refused_with_4() {
    let (temp, root) = super::broken("4.3.2-clean");
    let lock = fs::File::options().write(true).open(root.join("lock")).unwrap();
    rustix::fs::fcntl_lock(lock.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    let store = root.to_str().unwrap();
    let mut text = mqstore(&["backup", "create", store, "-o", &path("a.tar.zst")]).session();
    assert!(!Path::new(&path("a.tar.zst")).exists());
    assert_eq!(mqstore(&["backup", "create", store, "--live", "-o", &path("a.tar.zst")]).code, 0);
    drop(lock);
    text += &mqstore(&["backup", "create", store, "-o", &path("a.tar.zst")]).session();
    text += &mqstore(&["backup", "restore", &path("a.tar.zst"), "--to", store]).session();
    text += &mqstore(&["backup", "create", store, "-o", &path("store/a.tar.zst")]).session();
    assert_snapshot("exit-refused", &text, &[(temp.path(), "TEMP")]);
    assert_eq!(text.matches("exit code 4").count(), 4);
}
