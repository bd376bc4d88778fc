//! A backup is put back beside the log that went on since: the way is the one on which nothing is lost, the commit log
//! stays as it is, and an undo brings everything back. Truth comes from the recorded upgrade and rollback of brokers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use mqstore_backup::in_place::{
    Change, InPlace, InPlaceOptions, Offsets, Prepared, UndoOptions, Undone, Way, What, prepare, undo,
};
use mqstore_backup::manifest::ReleaseBounds;
use mqstore_backup::{BackupError, Base, CreateOptions, PlanOptions, StoreFacts, create_file, facts, plan};
use mqstore_check::boot::{BootFlag, BootOptions, BootPrediction, boot};
use mqstore_core::progress::NoProgress;
use mqstore_core::release::Release;
use mqstore_core::release::conf::BrokerConf;
use mqstore_core::store::config::ConfigDir;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Entry, Golden, fingerprint, golden, truth};

/// The store that 3.5.8 wrote, 4.3.2 went on with, and of which there is a backup from before that.
struct Upgraded {
    golden: Golden,
    archive: PathBuf,
}

impl Upgraded {
    fn new() -> Self {
        Self::with_log_of("3.5.8-upgraded-4.3.2")
    }

    /// The same backup, and the store of another recording as it stands beside it.
    fn with_log_of(name: &str) -> Self {
        let golden = golden("3.5.8-upgraded-4.3.2");
        let archive = golden.sub("t0.tar.zst");
        let t0 = golden.sub("backup-t0/store");
        let options = PlanOptions { home: Some(golden.sub("backup-t0/home")), ..PlanOptions::default() };
        let facts = facts::gather(&Store::open(&t0, StoreOptions::default()).unwrap());
        create_file(&plan(&t0, &options, facts).unwrap(), &archive, &CreateOptions::default(), &NoProgress).unwrap();
        if name != "3.5.8-upgraded-4.3.2" {
            let other = mqstore_testkit::golden(name);
            for folder in ["store", "home"] {
                fs::remove_dir_all(golden.sub(folder)).unwrap();
                super::run(std::process::Command::new("cp").arg("-a").arg(other.sub(folder)).arg(golden.path()));
            }
        }
        Self { golden, archive }
    }

    fn root(&self) -> PathBuf {
        self.golden.root()
    }

    fn options(&self, release: Release) -> InPlaceOptions {
        let mut options = InPlaceOptions::new(self.root(), release);
        options.home = Some(self.golden.sub("home"));
        options
    }

    fn prepare(&self, release: Release, set: impl FnOnce(&mut InPlaceOptions)) -> Result<Prepared, BackupError> {
        let mut options = self.options(release);
        set(&mut options);
        prepare(&self.archive, &options, &NoProgress)
    }

    fn restore(&self, release: Release, set: impl FnOnce(&mut InPlaceOptions)) -> InPlace {
        self.prepare(release, set).unwrap().carry_out().unwrap()
    }

    fn refusal(&self, release: Release, set: impl FnOnce(&mut InPlaceOptions)) -> String {
        let before = self.fingerprint();
        let error = self.prepare(release, set).unwrap_err();
        assert!(error.is_refusal(), "{error}");
        assert_eq!(self.fingerprint(), before, "refused, and something changed: {error}");
        let BackupError::Refused { problem, instead, .. } = error else { panic!("{error}") };
        format!("{problem}; {}", instead.unwrap_or_default())
    }

    fn start(&self, release: Release) -> BootPrediction {
        let mut options = BootOptions::default();
        options.home = Some(self.golden.sub("home"));
        boot(self.root(), release, &options, &NoProgress).unwrap()
    }

    /// Store and home folder, without what is kept beside them. Folders that get or lose a name are given without time.
    fn fingerprint(&self) -> Vec<Entry> {
        let mut entries = fingerprint(&self.golden.path());
        let parts = |entry: &Entry| entry.path.iter().map(|p| p.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        entries.retain(|entry| {
            let parts = parts(entry);
            let first = parts.first().map_or("", String::as_str);
            (first == "store" || first == "home") && !parts.iter().any(|part| part.contains(".before-"))
        });
        for entry in &mut entries {
            let changes = ["store", "home", "home/store", "home/store/config"].map(Path::new);
            if changes.contains(&entry.path.as_path()) {
                entry.mtime_ns = 0;
            }
        }
        entries
    }

    fn log(&self) -> Vec<Entry> {
        fingerprint(&self.root().join("commitlog"))
    }
}

fn all(options: &mut InPlaceOptions) {
    options.what = Some(What::All);
}

#[test]
fn the_plan_counts_the_messages_that_a_rollback_by_hand_hid() {
    let store = Upgraded::new();
    let prepared = store.prepare(Release::V3_5_8, all).unwrap();
    let plan = prepared.plan();
    let by_hand = plan.ways.iter().find(|one| one.way == Some(Way::AsArchived)).unwrap();
    assert_eq!(by_hand.unreachable, truth("rollback-s1")["expected"]["recordsWithoutUnit"].as_u64().unwrap());
    assert_eq!((plan.way, plan.prediction.outcome), (Way::Abort, BootFlag::Starts));
    assert_eq!(plan.log.grown, 1_840_634 - 853_075);
    assert_eq!((plan.log.compared, plan.log.same), (28, true));
}

#[test]
fn the_restored_store_hides_nothing_its_log_is_untouched_and_an_undo_brings_back_every_byte() {
    let store = Upgraded::new();
    let (before, log) = (store.fingerprint(), store.log());
    let done = store.restore(Release::V3_5_8, all);
    assert_eq!(store.log(), log, "the commit log");
    let predicted = store.start(Release::V3_5_8);
    assert_eq!((predicted.outcome, predicted.losses.hidden.total), (BootFlag::Starts, 0));
    assert_eq!(predicted.losses, done.plan.prediction.losses, "as the plan said");
    for (name, from) in [("checkpoint", "backup-t0/store/checkpoint"), ("index", "backup-t0/store/index")] {
        let (restored, archived) = (store.root().join(name), store.golden.sub(from));
        assert_eq!(fingerprint(&restored), fingerprint(&archived), "{name}");
    }
    let topics = ConfigDir::new(&store.root()).with_home(Some(store.golden.sub("home/store/config"))).topics();
    let topics = topics.home.unwrap().into_value().unwrap().topics;
    assert!(topics.contains_key("GoldOne") && topics.contains_key("RMQ_SYS_TRANS_HALF_TOPIC"), "{topics:?}");

    let Undone::Undone { kept, .. } = undo(&store.root(), &stopped(), &NoProgress).unwrap() else {
        panic!("not undone")
    };
    assert_eq!(store.fingerprint(), before);
    assert!(!done.kept.exists() && kept.join("store/consumequeue").is_dir());
    let mut options = stopped();
    options.from = Some(kept);
    undo(&store.root(), &options, &NoProgress).unwrap();
    assert_eq!(store.start(Release::V3_5_8).losses, predicted.losses, "undone twice it is restored again");
}

fn stopped() -> UndoOptions {
    let mut options = UndoOptions::default();
    options.stopped = true;
    options
}

#[test]
fn left_to_itself_only_the_configuration_is_restored_where_the_queues_are_whole() {
    let store = Upgraded::new();
    let queues = fingerprint(&store.root().join("consumequeue"));
    let done = store.restore(Release::V3_5_8, |_| {});
    assert_eq!((done.plan.way, done.plan.what), (Way::ConfigOnly, What::Config));
    assert_eq!(fingerprint(&store.root().join("consumequeue")), queues);
    assert!(!store.root().join("abort").exists());
    let changed: Vec<_> = done.plan.entries.iter().map(|e| (e.path.rsplit('/').next().unwrap(), e.change)).collect();
    assert_eq!(changed[0], ("config", Change::Replaced));
    assert_eq!(store.start(Release::V3_5_8).outcome, BootFlag::Starts);
}

#[test]
fn the_way_is_the_one_that_is_safe_for_the_release() {
    let store = Upgraded::new();
    for (release, way, unreachable_as_archived) in [
        (Release::V3_2_6, Way::Rebuild, 915),
        (Release::V3_5_8, Way::Abort, 915),
        (Release::V4_3_2, Way::Abort, 915),
        (Release::V4_4_0, Way::Abort, 915),
        (Release::V4_5_2, Way::AsArchived, 0),
        (Release::V4_9_7, Way::AsArchived, 0),
        (Release::V5_1_4, Way::Abort, 915),
        (Release::V5_3_3, Way::Abort, 1),
    ] {
        let prepared = store.prepare(release, all).unwrap();
        let plan = prepared.plan();
        assert_eq!((plan.way, plan.ways[0].unreachable), (way, unreachable_as_archived), "{release}");
        assert_eq!(plan.ways[0].shifted > 0, release == Release::V5_3_3, "{release}");
        let chosen = plan.ways.iter().find(|one| one.way == Some(way)).unwrap();
        assert_eq!((chosen.unreachable, chosen.shifted, chosen.fires_at_once), (0, 0, 0), "{release}");
        assert!(!plan.reasons.is_empty() && plan.reasons.iter().all(|reason| !reason.evidence.is_empty()), "{release}");
    }
}

#[test]
fn an_abort_that_would_fire_delayed_messages_is_only_placed_when_asked_for() {
    let store = Upgraded::new();
    let prepared = store.prepare(Release::V4_9_7, |options| options.way = Some(Way::Abort)).unwrap();
    let fires = prepared.plan().ways[0].fires_at_once;
    // Those of the gap: what is stored of them in 3.5.8-upgraded-4.3.2 less what there was at T0.
    assert_eq!(fires, 29);
    assert!(prepared.plan().reasons.iter().any(|reason| reason.text.contains("at once")));
}

#[test]
fn after_a_rollback_by_hand_a_rebuild_is_refused_where_it_drops_the_messages_that_came_since() {
    let store = Upgraded::with_log_of("rollback-s1");
    let repeated = truth("rollback-s1")["expected"]["repeatedQueueOffsets"].as_u64().unwrap();
    for set in [all, |_: &mut InPlaceOptions| {}] {
        let text = store.refusal(Release::V4_3_2, set);
        assert!(text.starts_with(&format!("{repeated} messages re-used queue offsets")), "{text}");
        assert!(text.contains("--what config"), "{text}");
    }
    let prepared = store.prepare(Release::V4_3_2, |options| options.what = Some(What::Config)).unwrap();
    assert_eq!(prepared.plan().way, Way::ConfigOnly);
    drop(prepared);
    // Up to 4.1.0 they follow behind the others, and all are reached.
    let prepared = store.prepare(Release::V3_5_8, |_| {}).unwrap();
    let chosen = prepared.plan().ways.iter().find(|one| one.way == Some(prepared.plan().way)).unwrap();
    assert_eq!((chosen.unreachable, chosen.shifted > 0), (0, true));
    drop(prepared);
    let text = store.refusal(Release::V3_5_8, |options| options.offsets = Some(Offsets::Current));
    assert!(text.contains("pass over") && text.contains("--offsets min"), "{text}");
}

#[test]
fn offsets_are_those_of_the_policy_and_counted_in_messages() {
    for (policy, offset, again) in
        [(Offsets::Backup, 60, 60), (Offsets::Current, 120, 0), (Offsets::Max, 120, 0), (Offsets::Min, 60, 60)]
    {
        let store = Upgraded::new();
        let done = store.restore(Release::V3_5_8, |options| options.offsets = Some(policy));
        let table = ConfigDir::new(&store.root()).consumer_offsets().into_value().unwrap();
        assert_eq!(table.offset_table["GoldOne@GID_Gold_part"][&0], offset, "{policy:?}");
        let effect = done.plan.offsets.effects.iter().find(|effect| effect.policy == policy).unwrap();
        assert_eq!((effect.redelivered, effect.skipped), (again, 0), "{policy:?}");
    }
}

#[test]
fn topics_and_groups_lie_where_the_release_reads_them() {
    let store = Upgraded::new();
    store.restore(Release::V4_3_2, |options| options.exact_config = true);
    let restored = fs::read(store.root().join("config/topics.json")).unwrap();
    assert_eq!(restored, fs::read(store.golden.sub("backup-t0/home/store/config/topics.json")).unwrap());
    assert_eq!(
        fs::read(store.golden.sub("home/store/config/topics.json")).unwrap(),
        restored,
        "the home folder was left alone, and 4.3.2 never wrote there"
    );
}

#[test]
fn a_running_broker_is_not_disturbed() {
    let store = Upgraded::new();
    let lock = File::options().write(true).open(store.root().join("lock")).unwrap();
    // Another process must hold it: one's own lock is no obstacle.
    let mut holder = std::process::Command::new("python3")
        .args(["-c", "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f,fcntl.LOCK_EX,1); print('held',flush=True); sys.stdin.read()"])
        .arg(store.root().join("lock"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(holder.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "held\n");
    assert!(store.refusal(Release::V4_3_2, all).contains("a broker holds the lock"));
    drop(holder.stdin.take());
    holder.wait().unwrap();
    drop(lock);
    // Up to 4.1.x a broker takes no lock.
    File::create(store.root().join("abort")).unwrap();
    assert!(store.refusal(Release::V3_5_8, all).contains("--stopped"));
    assert!(store.prepare(Release::V4_3_2, all).is_ok(), "killed: the lock would be held by one that runs");
}

#[test]
fn while_it_works_no_broker_can_start() {
    let store = Upgraded::new();
    let prepared = store.prepare(Release::V4_3_2, all).unwrap();
    let code = "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB,1)";
    let try_lock = || {
        let mut command = std::process::Command::new("python3");
        command.args(["-c", code]).arg(store.root().join("lock")).stderr(std::process::Stdio::null());
        command.status().unwrap().success()
    };
    assert!(!try_lock());
    let error = store.prepare(Release::V4_3_2, all).unwrap_err();
    assert!(matches!(error, BackupError::InUse { .. }), "{error}");
    drop(prepared);
    assert!(try_lock());
}

#[test]
fn a_log_that_is_missing_shorter_or_of_another_store_is_refused() {
    let store = Upgraded::new();
    let log = store.root().join("commitlog");
    fs::rename(log.join("00000000000000000000"), store.golden.sub("first")).unwrap();
    let text = store.refusal(Release::V4_3_2, all);
    assert!(text.contains("begins at 1048576, behind all"), "{text}");
    fs::rename(log.join("00000000000001048576"), store.golden.sub("second")).unwrap();
    assert!(store.refusal(Release::V4_3_2, all).contains("there is no file of the commit log"));
    fs::remove_dir(&log).unwrap();
    assert!(store.refusal(Release::V4_3_2, all).contains("there is no file of the commit log"));

    fs::create_dir(&log).unwrap();
    let first = fs::read(store.golden.sub("first")).unwrap();
    let mut short = first.clone();
    short[500_000..].fill(0);
    fs::write(log.join("00000000000000000000"), short).unwrap();
    let text = store.refusal(Release::V4_3_2, all);
    assert!(text.contains("does not cover the backup") && text.contains("853075"), "{text}");

    let other = golden("4.3.2-clean");
    fs::copy(other.root().join("commitlog/00000000000000000000"), log.join("00000000000000000000")).unwrap();
    let text = store.refusal(Release::V4_3_2, all);
    assert!(text.contains("is not the log of this backup: its bytes"), "{text}");
    // A manifest that knows nothing of the log: then the queues tell.
    let plan = plan(&store.golden.sub("backup-t0/store"), &PlanOptions::default(), StoreFacts::default()).unwrap();
    create_file(&plan, &store.golden.sub("bare.tar.zst"), &CreateOptions::default(), &NoProgress).unwrap();
    let mut options = store.options(Release::V4_3_2);
    all(&mut options);
    let error = prepare(&store.golden.sub("bare.tar.zst"), &options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("is not the log of this backup: 28 of 28 queues"), "{error}");
}

#[test]
fn another_brokers_backup_and_sizes_that_the_release_would_refuse_are_refused() {
    let store = Upgraded::new();
    let conf = |text: &str| Some(BrokerConf::parse(text.as_bytes()).unwrap());
    let root = store.root();
    let sizes = format!("storePathRootDir={0}\nstorePathCommitLog={0}/commitlog\n", root.display());
    let text = store.refusal(Release::V4_3_2, |options| options.conf = conf(&sizes));
    assert!(text.contains("expects log files of 1073741824 bytes") && text.contains("found 1048576"), "{text}");
    let sizes = format!("{sizes}mapedFileSizeCommitLog=1048576\n");
    let text = store.refusal(Release::V4_3_2, |options| options.conf = conf(&sizes));
    assert!(text.contains("expects queue files of 6000000 bytes") && text.contains("found 20000"), "{text}");
}

#[test]
fn entries_that_renames_cannot_exchange_are_refused() {
    let store = Upgraded::new();
    fs::rename(store.root().join("index"), store.golden.sub("index")).unwrap();
    std::os::unix::fs::symlink(store.golden.sub("index"), store.root().join("index")).unwrap();
    let text = store.refusal(Release::V4_3_2, all);
    assert!(text.contains("is a link or a mount point"), "{text}");
    assert!(store.prepare(Release::V4_3_2, |options| options.what = Some(What::Config)).is_ok());
}

#[test]
fn what_nothing_tells_stays_and_the_commit_log_may_lie_elsewhere() {
    let store = Upgraded::new();
    fs::write(store.root().join("notes.txt"), "ours").unwrap();
    let log = store.root().join("second-disk");
    fs::rename(store.root().join("commitlog"), &log).unwrap();
    let before = fingerprint(&log);
    let done = store.restore(Release::V4_3_2, |options| {
        all(options);
        options.commitlog = vec![log.clone()];
    });
    assert_eq!(done.plan.left_alone, ["notes.txt"]);
    assert_eq!(fingerprint(&log), before);
    assert_eq!(fs::read(store.root().join("notes.txt")).unwrap(), b"ours");
}

#[test]
fn an_undo_beside_a_log_that_went_on_needs_the_release() {
    let store = Upgraded::new();
    // The first half of the log is what there was at the restoration.
    let second = store.root().join("commitlog/00000000000001048576");
    fs::rename(&second, store.golden.sub("second")).unwrap();
    let done = store.restore(Release::V4_3_2, all);
    fs::rename(store.golden.sub("second"), &second).unwrap();
    let before = store.fingerprint();
    let error = undo(&store.root(), &stopped(), &NoProgress).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("the log went on"), "{error}");
    assert_eq!(store.fingerprint(), before);
    assert!(done.kept.is_dir());
    let mut options = stopped();
    options.release = Some(Release::V4_3_2);
    options.home = Some(store.golden.sub("home"));
    let undone = undo(&store.root(), &options, &NoProgress).unwrap();
    assert!(matches!(undone, Undone::Undone { way: Some(_), .. }), "{undone:?}");
    assert_eq!(store.start(Release::V4_3_2).losses.hidden.total, 0);
}

#[test]
fn a_damaged_archive_changes_nothing() {
    let store = Upgraded::new();
    let mut bytes = fs::read(&store.archive).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&store.archive, bytes).unwrap();
    let before = store.fingerprint();
    let error = store.prepare(Release::V4_3_2, all).unwrap_err();
    assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    assert_eq!(store.fingerprint(), before);
    assert!(!store.golden.sub(".store.restore-work").exists());
}

#[test]
fn the_topics_of_a_slave_that_loses_some_are_not_given_to_a_master() {
    let store = Upgraded::new();
    let t0 = store.golden.sub("backup-t0/store");
    let bounds =
        |oldest: &str, newest: &str| ReleaseBounds { oldest: Some(oldest.to_owned()), newest: Some(newest.to_owned()) };
    let mut options = store.options(Release::V4_3_2);
    let conf = fs::read(store.golden.sub("broker.conf")).unwrap();
    options.conf = Some(BrokerConf::parse(&conf).unwrap());
    options.other_broker = true;
    for (id, release, what, refused) in [
        (1, bounds("5.3.2", "5.3.3"), None, true),
        (1, bounds("5.3.0", "5.5.0"), Some(What::Config), true),
        (1, bounds("5.3.2", "5.3.3"), Some(What::Queues), false),
        (1, bounds("5.0.0", "5.3.1"), Some(What::Config), false),
        (0, bounds("5.3.2", "5.3.3"), Some(What::Config), false),
    ] {
        let mut facts = StoreFacts::default();
        (facts.broker.id, facts.broker.release) = (Some(id), Some(release));
        let archive = store.golden.sub("slave.tar.zst");
        let mut create = CreateOptions::default();
        create.replace = true;
        create_file(&plan(&t0, &PlanOptions::default(), facts).unwrap(), &archive, &create, &NoProgress).unwrap();
        options.what = what;
        let result = prepare(&archive, &options, &NoProgress).map(|_| ()).map_err(|error| error.to_string());
        let of_a_slave = |text: &String| text.contains("of a slave that may have run on 5.3.2");
        assert_eq!(result.as_ref().is_err_and(of_a_slave), refused, "{id} {what:?}: {result:?}");
    }
}

#[test]
fn the_broker_is_told_by_its_configuration() {
    let store = Upgraded::new();
    let t0 = store.golden.sub("backup-t0/store");
    let mut facts = StoreFacts::default();
    facts.broker.name = Some("broker-a".to_owned());
    // The home folder was forgotten: topics and groups are not in this backup, and the present ones stay.
    let archive = store.golden.sub("named.tar.zst");
    let plan = plan(&t0, &PlanOptions::default(), facts).unwrap();
    create_file(&plan, &archive, &CreateOptions::default(), &NoProgress).unwrap();
    let conf = fs::read_to_string(store.golden.sub("broker.conf")).unwrap().replace("broker-a", "broker-b");
    let mut options = store.options(Release::V4_3_2);
    options.conf = Some(BrokerConf::parse(conf.as_bytes()).unwrap());
    let error = prepare(&archive, &options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("brokerName broker-a, expected broker-b"), "{error}");
    options.other_broker = true;
    let prepared = prepare(&archive, &options, &NoProgress).unwrap();
    assert!(prepared.plan().later_topics.contains(&"GoldOne".to_owned()), "{:?}", prepared.plan().later_topics);
}

#[test]
fn an_incremental_backup_comes_to_the_same_as_the_whole_one_and_needs_the_earlier_one() {
    let (by_whole, by_chain) = (Upgraded::new(), Upgraded::new());
    let (golden, t0) = (&by_chain.golden, by_chain.golden.sub("backup-t0/store"));
    // One queue mark and one file of the configuration changed between the two backups.
    let (mark, offsets) = (t0.join("checkpoint"), t0.join("config/consumerOffset.json"));
    let kept = [&mark, &offsets].map(|path| fs::read(path).unwrap());
    fs::remove_file(&by_chain.archive).unwrap();
    let base = golden.sub("base.tar.zst");
    fs::write(&mark, vec![1; 4096]).unwrap();
    fs::write(&offsets, "{}").unwrap();
    let archive = |to: &Path, since: Option<&Path>| {
        let options = PlanOptions { home: Some(golden.sub("backup-t0/home")), ..PlanOptions::default() };
        let facts = facts::gather(&Store::open(&t0, StoreOptions::default()).unwrap());
        let mut create = CreateOptions::default();
        create.since = since.map(|base| Base::open(base, &[], &NoProgress).unwrap());
        create_file(&plan(&t0, &options, facts).unwrap(), to, &create, &NoProgress).unwrap()
    };
    archive(&base, None);
    fs::write(&mark, &kept[0]).unwrap();
    fs::write(&offsets, &kept[1]).unwrap();
    let created = archive(&by_chain.archive, Some(&base));
    let stored: Vec<_> = created.manifest.stored_files().map(|file| file.path.as_str()).collect();
    assert_eq!(stored, ["store/checkpoint", "store/config/consumerOffset.json"]);

    let away = tempfile::tempdir().unwrap();
    let moved = away.path().join("base.tar.zst");
    super::run(std::process::Command::new("mv").arg(&base).arg(&moved));
    let before = by_chain.fingerprint();
    let error = by_chain.prepare(Release::V3_5_8, all).unwrap_err();
    assert!(matches!(error, BackupError::MissingArchives { .. }) && error.is_refusal(), "{error}");
    assert_eq!(by_chain.fingerprint(), before);

    let one = by_whole.restore(Release::V3_5_8, all);
    let other = by_chain.restore(Release::V3_5_8, |options| {
        all(options);
        options.chain = vec![away.path().to_path_buf()];
    });
    let changes = |done: &InPlace| {
        let name = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        done.plan.entries.iter().map(|entry| (name(&entry.path), entry.change)).collect::<Vec<_>>()
    };
    assert_eq!((one.plan.way, changes(&one)), (other.plan.way, changes(&other)));
    let content = |upgraded: &Upgraded| {
        let entries = upgraded.fingerprint().into_iter();
        entries.map(|entry| (entry.path, entry.kind, entry.length, entry.sha256, entry.mode)).collect::<Vec<_>>()
    };
    assert_eq!(content(&by_whole), content(&by_chain));
}
