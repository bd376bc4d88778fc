//! What the checklist says of recorded stores, there and back, and of settings that are known to bite.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_check::boot::{BootFlag, BootOptions, boot};
use mqstore_check::diff::{Limits, Side};
use mqstore_check::preflight::{
    BackupTarget, ConfFile, LINES, Line, Preflight, PreflightError, PreflightOptions, Presence, Space, Status, Way,
    preflight,
};
use mqstore_check::snapshot::{Snapshot, SnapshotOptions, take};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::damage::files;
use mqstore_testkit::{GOLDEN, Golden, fingerprint, golden, mutate, truth};

/// Half of it used.
const ROOMY: Space = Space { total: 1 << 40, free: 1 << 39, available: 1 << 39 };
/// Both spellings of the sizes of the recorded stores.
const SIZES: &str = "mapedFileSizeCommitLog=1048576\nmappedFileSizeCommitLog=1048576\n\
                     mapedFileSizeConsumeQueue=20000\nmappedFileSizeConsumeQueue=20000\nmappedFileSizeTimerLog=1048576\n";
const SOME: &str = "brokerClusterName=LabCluster\nbrokerName=broker-a\nstorePathRootDir=/data/rocketmq/store\n\
                    storePathCommitLog=/data/rocketmq/store/commitlog\nmaxHashSlotNum=500\nmaxIndexNum=2000\n";

fn conf(text: &str) -> ConfFile {
    ConfFile { path: PathBuf::from("broker.conf"), conf: BrokerConf::parse(text.as_bytes()).unwrap() }
}

/// What a broker with both files, enough room and its name servers known is asked with.
fn options(old: &str, new: &str, home: &Path) -> PreflightOptions {
    let mut options = PreflightOptions::default();
    options.old_conf = Some(conf(&format!("{SOME}{SIZES}{old}")));
    options.new_conf = Some(conf(&format!("{SOME}{SIZES}{new}")));
    options.home = Some(home.to_path_buf());
    options.space = Some(ROOMY);
    options.name_server = Some(Release::V5_5_0);
    options
}

fn open(root: &Path, home: &Path) -> Store {
    let mut options = StoreOptions::default();
    options.home = Some(home.to_path_buf());
    Store::open(root, options).unwrap()
}

fn ask(golden: &Golden, from: &str, to: &str, options: &PreflightOptions) -> Preflight {
    let store = open(&golden.root(), &golden.sub("home"));
    preflight(&store, from.parse().unwrap(), to.parse().unwrap(), None, options, &NoProgress).unwrap()
}

fn line<'a>(checked: &'a Preflight, id: &str) -> &'a Line {
    checked.lines.iter().find(|line| line.id() == id).unwrap_or_else(|| panic!("no line {id}"))
}

/// The lines that say something, each as `WARN conf.java`; but for parts of the store that `verify` does not read.
fn loud(checked: &Preflight) -> Vec<String> {
    let unread = |line: &&Line| line.status == Status::NotChecked && line.id() == "store.sound";
    let loud = checked.lines.iter().filter(|line| line.status != Status::Pass && !line.optional);
    loud.filter(|line| !unread(line)).map(|line| format!("{} {}", line.status.word(), line.id())).collect()
}

#[test]
fn pairs_of_releases_there_and_back_on_stores_of_the_first_one() {
    let both = |to: &'static str| vec![to];
    for (archive, from, to, way, expected) in [
        (
            "3.2.6-clean",
            "3.2.6",
            "4.3.2",
            Way::InPlaceUnlessUsed,
            vec!["WARN boot.way-back", "WARN store.half-messages", "WARN conf.java"],
        ),
        ("4.3.2-clean", "4.3.2", "3.2.6", Way::InPlace, vec!["FAIL store.half-messages"]),
        (
            "3.5.8-clean",
            "3.5.8",
            "4.3.2",
            Way::InPlaceUnlessUsed,
            vec!["FAIL config.place", "WARN boot.way-back", "WARN store.half-messages", "WARN conf.java"],
        ),
        ("3.5.8-upgraded-4.3.2", "4.3.2", "3.5.8", Way::InPlace, both("WARN config.place")),
        (
            "4.3.2-clean",
            "4.3.2",
            "4.9.7",
            Way::InPlaceUnlessUsed,
            vec!["WARN boot.way-back", "WARN delay.pending", "WARN conf.java"],
        ),
        ("4.9.7-clean", "4.9.7", "4.3.2", Way::InPlace, vec!["FAIL boot.unknown-features", "WARN conf.java"]),
        ("4.9.7-clean", "4.9.7", "5.3.3", Way::InPlaceUnlessUsed, vec!["WARN boot.way-back", "WARN pair.order"]),
        (
            "5.3.3-clean",
            "5.3.3",
            "4.9.7",
            Way::InPlace,
            vec!["FAIL boot.start", "FAIL boot.unknown-features", "WARN delay.pending", "WARN pair.order"],
        ),
        ("5.3.3-clean", "5.3.3", "5.5.0", Way::InPlace, vec!["WARN boot.way-back", "WARN pair.order"]),
        ("5.5.0-clean", "5.5.0", "5.3.3", Way::InPlace, both("WARN pair.order")),
    ] {
        let golden = golden(archive);
        let checked = ask(&golden, from, to, &options("", "", &golden.sub("home")));
        let named = format!("{archive} {from} to {to}");
        assert_eq!(loud(&checked), expected, "{named}: {:#?}", checked.lines);
        assert_eq!(checked.way_back.way, way, "{named}");
        assert_eq!(checked.verdict, checked.lines[0].status, "{named}");
        let expected = match checked.verdict {
            Status::Fail => Outcome::Found,
            Status::NotChecked => Outcome::NoVerdict,
            _ => Outcome::Clean,
        };
        assert_eq!(checked.outcome(Severity::Error), expected, "{named}");
        assert_eq!(checked.outcome(Severity::Warning), Outcome::Found, "{named}");
    }
}

#[test]
fn the_features_of_the_way_back_say_whether_they_are_there() {
    let golden = golden("4.9.7-clean");
    let checked = ask(&golden, "4.9.7", "5.3.3", &options("", "storeType=defaultRocksDB", &golden.sub("home")));
    let presence = |name: &str| checked.way_back.features.iter().find(|f| f.feature == name).unwrap().presence;
    assert_eq!(presence("timer"), Presence::IfUsed);
    assert_eq!(presence("abort_with_pid"), Presence::EachStart);
    assert_eq!(presence("rocksdb_queues"), Presence::Configured);
    assert_eq!(presence("controller_mode"), Presence::Off);
    assert_eq!(checked.way_back.way, Way::Restore);
    assert_eq!(
        (line(&checked, "conf.one-way").status, line(&checked, "boot.way-back").status),
        (Status::Fail, Status::Fail)
    );
    // A release that both know has no place there.
    assert!(!checked.way_back.features.iter().any(|feature| feature.feature == "ipv6_hosts"));

    let store = open(&golden.root(), &golden.sub("home"));
    let mut without = PreflightOptions::default();
    without.space = Some(ROOMY);
    let checked = preflight(&store, Release::V4_9_7, Release::V5_3_3, None, &without, &NoProgress).unwrap();
    let presence = |name: &str| checked.way_back.features.iter().find(|f| f.feature == name).unwrap().presence;
    assert_eq!(presence("rocksdb_queues"), Presence::IfSwitchedOn);
}

#[test]
fn what_lies_in_the_store_and_the_older_release_does_not_know_is_named_with_its_place() {
    let of = |archive: &str, to: &str| {
        let golden = golden(archive);
        let checked = ask(&golden, archive.split('-').next().unwrap(), to, &options("", "", &golden.sub("home")));
        let line = line(&checked, "boot.unknown-features");
        (line.status, line.evidence.join("\n"))
    };
    let (status, evidence) = of("5.3.3-clean", "4.9.7");
    assert_eq!(status, Status::Fail);
    assert!(
        evidence.starts_with("magic_v2: a record with magic 0xDAA320AB at 3888750 in the commit log"),
        "{evidence}"
    );
    let (status, evidence) = of("4.9.7-clean", "4.3.2");
    assert_eq!(status, Status::Fail);
    assert!(evidence.starts_with("ipv6_hosts: a record with an IPv6 host at 0 in the commit log"), "{evidence}");
    for (archive, to, feature) in [
        ("5.3.3-batchcq", "4.9.7", "batch_queues"),
        ("4.3.2-cqext", "3.5.8", "queue_extension"),
        ("4.9.7-dledger", "4.4.0", "dledger"),
        ("5.3.3-rocksdb", "5.1.3", "rocksdb_queues"),
        ("5.3.3-lmq", "4.9.2", "lmq"),
        ("5.3.3-timer", "4.9.7", "topic_attributes"),
    ] {
        let (status, evidence) = of(archive, to);
        assert!(evidence.contains(&format!("{feature}: ")), "{archive}: {evidence}");
        assert_ne!(status, Status::Pass, "{archive}");
    }
    assert_eq!(of("5.3.3-propcrc", "5.1.4").0, Status::Pass);
}

/// A case for each line that makes it say no.
#[test]
fn every_line_can_say_no() {
    let sure = |old: &'static str, new: &'static str| (old, new);
    let mut seen = Vec::new();
    for (id, status, archive, from, to, (old, new)) in [
        ("boot.start", Status::Fail, "5.3.3-v6mix", "5.3.3", "5.5.0", sure("", "")),
        ("boot.unknown-features", Status::Fail, "4.9.7-clean", "4.9.7", "4.5.2", sure("", "")),
        ("boot.way-back", Status::Fail, "4.3.2-clean", "4.3.2", "4.9.7", sure("", "enableDLegerCommitLog=true")),
        ("store.release", Status::Fail, "4.3.2-clean", "3.5.8", "4.9.7", sure("", "")),
        ("store.release", Status::Warn, "3.5.8-clean", "4.3.2", "4.9.7", sure("", "")),
        ("store.stopped", Status::Warn, "4.3.2-killed", "4.3.2", "4.9.7", sure("", "")),
        ("store.sound", Status::Fail, "5.3.3-v6mix", "5.3.3", "5.5.0", sure("", "")),
        ("store.disk", Status::Warn, "4.3.2-clean", "4.3.2", "4.9.7", sure("fileReservedTime=720", "")),
        ("store.half-messages", Status::Fail, "4.3.2-clean", "4.3.2", "3.5.8", sure("", "")),
        ("store.half-messages", Status::Warn, "3.5.8-clean", "3.5.8", "4.3.2", sure("", "")),
        ("store.pop-in-flight", Status::Fail, "5.3.3-timer", "5.3.3", "4.9.7", sure("", "")),
        ("delay.pending", Status::Warn, "4.3.2-clean", "4.3.2", "4.9.2", sure("", "")),
        ("delay.pending", Status::Fail, "4.3.2-clean", "4.3.2", "5.3.3", sure("", "messageDelayLevel=1s 2s 3s")),
        ("timer.pending", Status::Fail, "5.3.3-timer", "5.3.3", "4.9.7", sure("", "")),
        ("timer.pending", Status::Fail, "5.3.3-timer", "5.3.3", "5.5.0", sure("", "timerWheelEnable=false")),
        ("conf.keys", Status::Fail, "4.9.7-clean", "4.9.7", "5.3.3", sure("", "duplicationEnable=true")),
        ("conf.keys", Status::Fail, "5.3.3-clean", "5.3.3", "5.5.0", sure("", "forceVerifyPropCRC=true")),
        ("conf.keys", Status::Warn, "4.3.2-clean", "4.3.2", "4.4.0", sure("", "storePathIndex=/ssd/index")),
        ("conf.paths", Status::Fail, "4.3.2-clean", "4.3.2", "4.9.7", sure("", "storePathCommitLog=/data/log")),
        ("conf.sizes", Status::Fail, "4.3.2-clean", "4.3.2", "4.9.7", sure("", "mappedFileSizeConsumeQueue=6000000")),
        ("conf.sizes", Status::Warn, "4.3.2-clean", "4.3.2", "4.9.7", sure("", "mapedFileSizeConsumeQueue=6000000")),
        ("conf.identity", Status::Fail, "4.3.2-clean", "4.3.2", "4.9.7", sure("", "brokerName=broker-b")),
        ("conf.identity", Status::Warn, "4.3.2-clean", "4.3.2", "5.3.3", sure("haListenPort=9", "haListenPort=9")),
        ("conf.one-way", Status::Fail, "4.9.7-clean", "4.9.7", "5.3.3", sure("", "enableControllerMode=true")),
        ("conf.defaults", Status::Warn, "4.9.7-clean", "4.9.7", "5.3.3", sure("", "brokerRole=SYNC_MASTER")),
        ("config.place", Status::Fail, "3.5.8-clean", "3.5.8", "4.3.2", sure("", "")),
        ("conf.clients", Status::Warn, "3.5.8-clean", "3.5.8", "4.3.0", sure("", "")),
        ("conf.java", Status::Warn, "4.3.2-clean", "4.3.2", "4.5.0", sure("", "")),
        ("pair.order", Status::Fail, "5.3.3-clean", "5.3.3", "5.1.0", sure("", "enableControllerMode=true")),
        ("pair.order", Status::Warn, "5.3.3-clean", "5.3.3", "5.4.0", sure("", "")),
    ] {
        let golden = golden(archive);
        let mut options = options(old, new, &golden.sub("home"));
        options.name_server = None;
        let checked = ask(&golden, from, to, &options);
        let line = line(&checked, id);
        assert_eq!(line.status, status, "{id}: {line:#?}");
        assert!(checked.plan.iter().any(|step| step.destructive), "{id}");
        let named = checked.plan[0].what.contains(id);
        assert_eq!(named, status == Status::Fail, "{id}: {}", checked.plan[0].what);
        seen.push(id);
    }
    let elsewhere = ["conf.name-server", "pair.limits"];
    for kind in LINES {
        assert!(seen.contains(&kind.id) || elsewhere.contains(&kind.id), "no case for {}", kind.id);
    }
}

#[test]
fn a_log_that_stays_at_home_is_told_before_the_boundary_is_crossed() {
    let golden = golden("4.3.2-clean");
    let home = golden.sub("home");
    let mut options = options("", "", &home);
    let text = format!("storePathRootDir=/data/rocketmq/store\nmaxHashSlotNum=500\nmaxIndexNum=2000\n{SIZES}");
    (options.old_conf, options.new_conf) = (Some(conf(&text)), None);
    let checked = ask(&golden, "4.3.2", "4.9.7", &options);
    let paths = line(&checked, "conf.paths");
    assert_eq!(paths.status, Status::Fail);
    let expected =
        format!("the commit log: 4.3.2 {}/store/commitlog, 4.9.7 /data/rocketmq/store/commitlog", home.display());
    assert_eq!(paths.finding.message, expected);
    // One file stands for both releases, and that is said.
    let one_file = "broker.conf is taken for both releases".to_owned();
    assert!(line(&checked, "conf.keys").evidence.contains(&one_file));
}

#[test]
fn name_servers_go_first_where_they_do_not_take_the_new_ordinal() {
    let golden = golden("4.3.2-clean");
    let status = |from: &str, to: &str, server: Option<&str>, new: &str| {
        let mut options = options("", new, &golden.sub("home"));
        options.name_server = server.map(|server| server.parse().unwrap());
        let checked = ask(&golden, from, to, &options);
        let plan = checked.plan.iter().any(|step| step.what.starts_with("upgrade all name servers to 4.1.0"));
        (line(&checked, "conf.name-server").status, plan)
    };
    assert_eq!(status("3.5.8", "4.3.2", None, ""), (Status::Warn, true));
    assert_eq!(status("3.5.8", "4.3.2", Some("3.5.8"), ""), (Status::Fail, true));
    assert_eq!(status("3.5.8", "4.3.2", Some("4.3.2"), ""), (Status::Pass, false));
    assert_eq!(status("4.3.2", "4.9.7", None, ""), (Status::Pass, false));
    assert_eq!(status("4.3.2", "4.9.7", Some("5.0.0"), "").0, Status::Pass);
    assert_eq!(status("4.3.2", "4.9.7", Some("5.0.0"), "compressedRegister=true").0, Status::Fail);
    assert_eq!(status("4.3.2", "5.3.3", Some("4.3.2"), "compatibleWithOldNameSrv=false").0, Status::Fail);
}

#[test]
fn a_disk_is_judged_by_what_brokers_delete_and_by_what_the_backup_needs() {
    let golden = golden("4.3.2-clean");
    let status = |used: u64, new: &str, backup: Option<(u64, bool)>| {
        let mut options = options(new, new, &golden.sub("home"));
        options.space = Some(Space { total: 100 << 30, free: (100 - used) << 30, available: (100 - used) << 30 });
        options.backup = backup.map(|(mib, same_as_store)| BackupTarget {
            dir: PathBuf::from("/backup"),
            space: Some(Space { total: mib << 20, free: mib << 20, available: mib << 20 }),
            same_as_store,
        });
        line(&ask(&golden, "4.3.2", "4.9.7", &options), "store.disk").status
    };
    assert_eq!(status(74, "", None), Status::Pass);
    assert_eq!(status(75, "", None), Status::Warn);
    assert_eq!(status(80, "diskMaxUsedSpaceRatio=84", None), Status::Pass);
    assert_eq!(status(85, "diskMaxUsedSpaceRatio=95", None), Status::Fail);
    assert_eq!(status(10, "", Some((1024, false))), Status::Pass);
    assert_eq!(status(10, "", Some((1024, true))), Status::Warn);
    assert_eq!(status(10, "", Some((0, false))), Status::Fail);
    let mut unknown = options("", "", &golden.sub("home"));
    unknown.space = None;
    let checked = ask(&golden, "4.3.2", "4.9.7", &unknown);
    assert_eq!(line(&checked, "store.disk").status, Status::NotChecked);
    assert_eq!(checked.outcome(Severity::Error), Outcome::NoVerdict);
}

#[test]
fn a_broker_that_runs_is_asked_about_an_orderly_stop() {
    let golden = golden("4.3.2-killed");
    let mut options = options("", "", &golden.sub("home"));
    let killed = ask(&golden, "4.3.2", "4.9.7", &options);
    assert!(line(&killed, "store.stopped").finding.message.starts_with("the last stop was not an orderly one"));
    options.live = true;
    let live = ask(&golden, "4.3.2", "4.9.7", &options);
    assert!(line(&live, "store.stopped").finding.message.starts_with("a broker runs on this store"));
    // How much of the log is read differs between both kinds of start.
    assert_ne!(line(&live, "boot.start").evidence, line(&killed, "boot.start").evidence);
}

fn snapshot(root: &Path) -> Snapshot {
    take(&Store::open(root, StoreOptions::default()).unwrap(), &SnapshotOptions::default(), &NoProgress).unwrap()
}

#[test]
fn a_pair_is_held_against_the_limits() {
    let golden = golden("4.3.2-pair");
    let (master, slave) = (golden.sub("master/store"), golden.sub("slave/store"));
    let store = Store::open(&master, StoreOptions::default()).unwrap();
    let ask = |pair: Option<&Snapshot>, limits: Limits, role: &str| {
        let mut options = options(role, role, &golden.sub("home"));
        options.limits = limits;
        let side = pair.map(Side::Snapshot);
        let checked =
            preflight(&store, Release::V4_3_2, Release::V4_9_7, side.as_ref(), &options, &NoProgress).unwrap();
        (line(&checked, "pair.limits").status, checked.outcome(Severity::Error))
    };
    let behind = snapshot(&slave);
    assert_eq!(ask(Some(&behind), Limits::default(), "").0, Status::Warn);
    assert_eq!(ask(Some(&snapshot(&master)), Limits::default(), "").0, Status::Pass);
    let far = Limits { max_lag_bytes: Some(1 << 30), ..Limits::default() };
    let other = mqstore_testkit::golden("4.3.2-clean");
    assert_eq!(ask(Some(&snapshot(&other.root())), far, ""), (Status::Fail, Outcome::Found));
    // Whoever has a slave by its role has to be asked about it.
    assert_eq!(ask(None, far, ""), (Status::NotChecked, Outcome::Clean));
    assert_eq!(ask(None, far, "brokerRole=SYNC_MASTER"), (Status::NotChecked, Outcome::NoVerdict));
}

#[test]
fn what_cannot_be_predicted_gives_no_verdict() {
    for (archive, from, to, id) in [
        ("5.3.3-rocksdb", "5.3.3", "5.5.0", "boot.start"),
        ("4.9.7-dledger", "4.9.7", "5.3.3", "boot.start"),
        ("5.3.3-batchcq", "5.3.3", "5.5.0", "boot.way-back"),
    ] {
        let golden = golden(archive);
        let store = open(&golden.root(), &golden.sub("home"));
        let mut options = options("", "", &golden.sub("home"));
        options.old_conf = Some(ConfFile {
            path: golden.sub("broker.conf"),
            conf: BrokerConf::read(golden.sub("broker.conf")).unwrap(),
        });
        options.new_conf = None;
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let checked = preflight(&store, from, to, None, &options, &NoProgress).unwrap();
        assert_eq!(line(&checked, id).status, Status::NotChecked, "{archive}");
        assert_ne!(checked.outcome(Severity::Error), Outcome::Clean, "{archive}");
    }
    let golden = golden("4.3.2-clean");
    let mut options = PreflightOptions::default();
    options.space = Some(ROOMY);
    let checked = ask(&golden, "4.3.2", "4.9.7", &options);
    assert_eq!(line(&checked, "conf.paths").status, Status::NotChecked);
    assert_eq!((checked.verdict, checked.outcome(Severity::Error)), (Status::NotChecked, Outcome::NoVerdict));
    let store = open(&golden.root(), &golden.sub("home"));
    let same = preflight(&store, Release::V4_3_2, Release::V4_3_2, None, &options, &NoProgress);
    assert!(matches!(same, Err(PreflightError::SameRelease(Release::V4_3_2))));
}

fn restore(root: &Path, backup: &Path, names: &[&str]) {
    for name in names {
        let (from, to) = (backup.join(name), root.join(name));
        if to.is_dir() {
            fs::remove_dir_all(&to).unwrap();
        }
        for file in files(&from) {
            let target = if file == from { to.clone() } else { to.join(file.strip_prefix(&from).unwrap()) };
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, target).unwrap();
        }
    }
}

/// 3.5.8 is backed up, 4.3.2 goes on, and the way back is tried three times.
#[test]
fn the_story_of_an_upgrade_and_its_rollbacks() {
    let golden = golden("3.5.8-upgraded-4.3.2");
    let backup = golden.sub("backup-t0");
    let own = BrokerConf::read(golden.sub("broker.conf")).unwrap();
    let options = |home: &Path| {
        let mut options = options("", "", home);
        options.old_conf = Some(ConfFile { path: golden.sub("broker.conf"), conf: own.clone() });
        options.new_conf = None;
        options
    };
    let at = |root: &Path, home: &Path, from, to| {
        preflight(&open(root, home), from, to, None, &options(home), &NoProgress).unwrap()
    };
    let (old, new) = (Release::V3_5_8, Release::V4_3_2);

    // T0: topics must be copied, then it may go up.
    let (t0, t0_home) = (backup.join("store"), backup.join("home"));
    let up = at(&t0, &t0_home, old, new);
    assert_eq!(line(&up, "config.place").status, Status::Fail);
    assert_eq!(
        line(&up, "boot.start").finding.message,
        "4.3.2 starts and loses nothing, once topics and groups are copied over"
    );
    restore(&t0.join("config"), &t0_home.join("store/config"), &["topics.json", "subscriptionGroup.json"]);
    let up = at(&t0, &t0_home, old, new);
    assert_eq!((up.verdict, up.way_back.way), (Status::Warn, Way::InPlaceUnlessUsed));
    assert!(up.way_back.older_queues_beside_newer_log.starts_with("3.5.8 hides every message stored since the backup"));

    // S3: the store as 4.3.2 left it.
    let (root, home) = (golden.sub("store"), golden.sub("home"));
    let kept = at(&root, &home, new, old);
    assert_eq!(line(&kept, "boot.start").status, Status::Pass, "{:#?}", line(&kept, "boot.start"));
    assert_eq!(kept.losses.as_ref().unwrap().hidden.total, 0);
    assert_eq!(kept.outcome(Severity::Error), Outcome::Clean);

    // S1: everything but the log from the backup.
    let hidden = truth("rollback-s1")["expected"]["recordsWithoutUnit"].as_u64().unwrap();
    restore(&root, &backup.join("store"), &["config", "consumequeue", "index", "checkpoint"]);
    let restored = at(&root, &t0_home, new, old);
    assert_eq!(line(&restored, "boot.start").status, Status::Fail);
    assert_eq!(restored.losses.as_ref().unwrap().hidden.total, hidden);
    let mut boot_options = BootOptions::default();
    (boot_options.conf, boot_options.home) = (Some(own.clone()), Some(t0_home.clone()));
    let predicted = boot(&root, old, &boot_options, &NoProgress).unwrap();
    assert_eq!((predicted.outcome, predicted.losses.hidden.total), (BootFlag::LosesQueueEntries, hidden));

    // S2: the same with an empty abort.
    fs::write(root.join("abort"), []).unwrap();
    let with_abort = at(&root, &t0_home, new, old);
    assert_eq!(line(&with_abort, "store.stopped").status, Status::Warn);
    assert!(with_abort.losses.as_ref().unwrap().hidden.total < hidden / 10, "{:?}", with_abort.losses);

    // What S1 left on a real broker: it must not go up again before it is mended.
    let after = mqstore_testkit::golden("rollback-s1");
    let again = at(&after.root(), &after.sub("home"), old, new);
    assert_eq!(line(&again, "store.sound").status, Status::Fail, "{:#?}", line(&again, "store.sound"));
    assert_eq!(again.outcome(Severity::Error), Outcome::Found);
}

#[test]
fn no_store_is_written_to_and_damage_ends_no_checklist() {
    for (i, name) in GOLDEN.iter().enumerate() {
        let golden = golden(name);
        let roots: Vec<PathBuf> = ["store", "master/store", "slave/store"]
            .iter()
            .map(|root| golden.sub(root))
            .filter(|r| r.is_dir())
            .collect();
        let before = fingerprint(&golden.path());
        let (from, to) = [("3.5.8", "4.3.2"), ("4.3.2", "5.3.3"), ("5.5.0", "4.9.7")][i % 3];
        for root in &roots {
            let options = options("", "", &golden.sub("home"));
            let store = open(root, &golden.sub("home"));
            preflight(&store, from.parse().unwrap(), to.parse().unwrap(), None, &options, &NoProgress).unwrap();
        }
        assert!(fingerprint(&golden.path()) == before, "{name} was written to");
        let seed = i as u64;
        for file in files(&roots[0]).iter().filter(|file| !file.ends_with("timerwheel")).skip(i % 5).step_by(5) {
            fs::write(file, mutate(&fs::read(file).unwrap(), seed)).unwrap();
        }
        let store = open(&roots[0], &golden.sub("home"));
        let options = options("", "", &golden.sub("home"));
        let checked = preflight(&store, from.parse().unwrap(), to.parse().unwrap(), None, &options, &NoProgress);
        assert_eq!(checked.unwrap().lines.len(), LINES.len(), "{name}");
    }
}

#[test]
fn the_json_has_findings_with_a_status_and_the_summary_of_a_report() {
    let golden = golden("3.5.8-clean");
    let json = serde_json::to_value(ask(&golden, "3.5.8", "4.3.2", &options("", "", &golden.sub("home")))).unwrap();
    assert_eq!((&json["from"], &json["to"], &json["verdict"]), (&"3.5.8".into(), &"4.3.2".into(), &"fail".into()));
    let first = &json["findings"][0];
    assert_eq!((&first["type"], &first["id"]), (&"finding".into(), &"config.place".into()));
    assert_eq!((&first["status"], &first["severity"]), (&"fail".into(), &"error".into()));
    assert!(first["suggestion"]["command"].as_str().unwrap().starts_with("cp -p "));
    assert_eq!(json["counts"]["error"], 1);
    assert_eq!(json["coverage"]["skipped"][0]["what"], "pair.limits");
    assert_eq!(json["way_back"]["way"], "in_place_unless_used");
    let half = &json["way_back"]["features"][0];
    assert_eq!(
        (&half["feature"], &half["effect"], &half["presence"]),
        (&"half_messages".into(), &"loses_data".into(), &"if_used".into())
    );
    let steps: Vec<u64> = json["plan"].as_array().unwrap().iter().map(|step| step["step"].as_u64().unwrap()).collect();
    assert!(steps.iter().copied().eq(1..=steps.len() as u64));
}
