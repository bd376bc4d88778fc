//! Incremental archives: every state comes back as it was, plain tools put it together, and a chain that is not whole is named.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use mqstore_backup::manifest::FileEntry;
use mqstore_backup::{
    BackupError, Base, CreateOptions, Created, PlanOptions, RestoreOptions, StoreFacts, Verified, create, create_file,
    facts, plan, restore, show, verify, verify_chain, verify_file,
};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::{NoProgress, Progress};
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::{Entry, EntryKind, fingerprint, golden};
use tempfile::TempDir;

use super::damage::{assemble, frame, frames};
use super::{CREATED, SmallStore, fixed_time, plan_of, run, without_commitlog};

/// Options for the archive number `n` of a chain: so many hours after the first.
fn hour(n: u64, since: Option<&Path>) -> CreateOptions {
    let mut options = fixed_time();
    options.created_at = Some(SystemTime::UNIX_EPOCH + CREATED + Duration::from_secs(n * 3600));
    options.since = since.map(|base| Base::open(base, &[], &NoProgress).unwrap());
    options
}

fn archive(root: &Path, path: &Path, options: &CreateOptions) -> Created {
    let created = create_file(&plan_of(root), path, options, &NoProgress).unwrap();
    assert_eq!(created.manifest.gaps, []);
    created
}

fn restored(archive: &Path, chain: &[PathBuf]) -> Result<(TempDir, Vec<Entry>), BackupError> {
    let temp = tempfile::tempdir().unwrap();
    let options = RestoreOptions { to: temp.path().join("store"), chain: chain.to_vec(), ..RestoreOptions::default() };
    let done = restore(archive, &options, &NoProgress);
    let left = fs::read_dir(temp.path()).unwrap().count();
    assert_eq!(left, usize::from(done.is_ok()), "nothing is left of a restoration that failed");
    done.map(|_| fingerprint(&options.to)).map(|entries| (temp, entries))
}

fn outcome(verified: &Verified) -> Outcome {
    verified.report.outcome(Severity::Error)
}

fn skipped(verified: &Verified) -> Vec<String> {
    verified.report.coverage.skipped.iter().map(|skipped| format!("{} {}", skipped.what, skipped.why)).collect()
}

fn ids(verified: &Verified) -> Vec<&'static str> {
    let mut ids: Vec<_> = verified.report.findings().iter().map(|finding| finding.id).collect();
    ids.dedup();
    ids
}

/// A recorded store at three times: before an upgrade, after it, and after a day of which not much is left.
struct Three {
    temp: TempDir,
    states: [PathBuf; 3],
    archives: [PathBuf; 3],
}

impl Three {
    fn new() -> Self {
        let golden = golden("3.5.8-upgraded-4.3.2");
        let temp = tempfile::tempdir().unwrap();
        let states = ["t0", "t1", "t2"].map(|name| temp.path().join(name));
        for (from, to) in [("backup-t0/store", &states[0]), ("store", &states[1]), ("store", &states[2])] {
            run(Command::new("cp").arg("-a").arg(golden.sub(from)).arg(to));
        }
        let last = &states[2];
        fs::remove_file(last.join("config/topics.json.bak")).unwrap();
        fs::remove_dir_all(last.join("consumequeue/%RETRY%gold_group")).unwrap_or_default();
        fs::create_dir(last.join("consumequeue/Fresh")).unwrap();
        fs::write(last.join("config/consumerOffset.json"), "{\"offsetTable\":{}}").unwrap();
        // The same bytes with other marks, and one byte more in a file that stays as long as it was.
        fs::set_permissions(last.join("config/topics.json"), fs::Permissions::from_mode(0o600)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_790_000_000_123_456_789);
        File::open(last.join("checkpoint")).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        let units = fingerprint(&last.join("consumequeue")).into_iter().find(|entry| entry.kind == EntryKind::File);
        let units = File::options().write(true).open(last.join("consumequeue").join(units.unwrap().path)).unwrap();
        units.write_all_at(b"\x01", units.metadata().unwrap().len() - 5).unwrap();
        let archives = ["a", "b", "c"].map(|name| temp.path().join(format!("{name}.tar.zst")));
        archive(&states[0], &archives[0], &hour(0, None));
        archive(&states[1], &archives[1], &hour(1, Some(&archives[0])));
        archive(&states[2], &archives[2], &hour(2, Some(&archives[1])));
        Self { temp, states, archives }
    }
}

/// A store, the backup of it, and the place for the next one.
fn first_backup() -> (SmallStore, TempDir, [PathBuf; 2]) {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let archives = ["a", "b"].map(|name| temp.path().join(format!("{name}.tar.zst")));
    archive(store.root(), &archives[0], &hour(0, None));
    (store, temp, archives)
}

fn files(root: &Path) -> Vec<Entry> {
    without_commitlog(root).into_iter().filter(|entry| entry.kind == EntryKind::File).collect()
}

#[test]
fn every_state_of_a_chain_of_three_comes_back_as_it_was_and_only_what_changed_is_stored() {
    let three = Three::new();
    for (state, archive) in three.states.iter().zip(&three.archives) {
        let verified = verify_file(archive, &NoProgress).unwrap();
        assert_eq!(verified.report.findings(), []);
        assert_eq!(outcome(&verified), Outcome::Clean, "{:?}", verified.report.coverage);
        let (temp, found) = restored(archive, &[]).unwrap();
        assert_eq!(found, without_commitlog(state), "names, content, modes and times in nanoseconds");
        for entry in &found {
            let blocks = |root: &Path| fs::metadata(root.join(&entry.path)).unwrap().blocks();
            let (here, there) = (blocks(&temp.path().join("store")), blocks(state));
            assert!(here <= there + 16, "{} lost its holes", entry.path.display());
        }
    }
    let manifests = three.archives.each_ref().map(|archive| show(archive, &NoProgress).unwrap());
    assert_eq!((manifests[0].schema_version, &manifests[0].since), (1, &None));
    for n in [1, 2] {
        let (before, now) = (files(&three.states[n - 1]), files(&three.states[n]));
        let same = |entry: &&Entry| before.iter().any(|old| (&old.path, &old.sha256) == (&entry.path, &entry.sha256));
        let names = |entries: Vec<&Entry>| entries.iter().map(|e| Path::new("store").join(&e.path)).collect::<Vec<_>>();
        let (unchanged, changed): (Vec<&Entry>, Vec<&Entry>) = now.iter().partition(same);
        assert!(!unchanged.is_empty() && !changed.is_empty(), "the stores tell both apart");
        let manifest = &manifests[n];
        assert_eq!(manifest.schema_version, 2);
        let mut stored: Vec<PathBuf> = manifest.stored_files().map(|file| PathBuf::from(&file.path)).collect();
        stored.sort();
        assert_eq!(stored, names(changed), "of archive {n}");
        assert_eq!(manifest.files.len(), now.len(), "the whole state is listed");
        let since = manifest.since.as_ref().unwrap();
        assert_eq!(
            (&since.backup_id, since.archive.as_str()),
            (&manifests[n - 1].backup_id, ["", "a.tar.zst", "b.tar.zst"][n])
        );
        assert_eq!(since.needs.iter().map(|earlier| earlier.files).sum::<u64>(), unchanged.len() as u64);
    }
    // No archive is needed for what another one already says: the third names both, each for what it stores.
    let needs = &manifests[2].since.as_ref().unwrap().needs;
    let names: Vec<_> = needs.iter().map(|earlier| (&earlier.backup_id, earlier.archive.as_str())).collect();
    assert_eq!(names, [(&manifests[1].backup_id, "b.tar.zst"), (&manifests[0].backup_id, "a.tar.zst")]);
}

#[test]
fn gnu_tar_and_sha256sum_put_a_state_together_from_its_chain() {
    let three = Three::new();
    let script = r"
        set -eu
        mkdir out alone
        tar --zstd -pxf c.tar.zst -C alone
        (cd alone && sha256sum -c --strict --quiet SHA256SUMS)
        for archive in a b c; do tar --zstd -pxf $archive.tar.zst -C out; done
        cd out
        head -1 SHA256SUMS
        sha256sum -c --strict --quiet SHA256SUMS
        sed -n 's/^# not stored here but in [^:]*: //p' SHA256SUMS | tee earlier | sha256sum -c --strict --quiet
        # What was deleted meanwhile came out of an earlier archive and is in no line of the last one.
        sed -n 's/^# not listed, more than nine tenths of it is hole: //p' SHA256SUMS > hole
        cut -c 67- SHA256SUMS earlier | cat - hole | sort > wanted
        find store -type f | sort > there
        comm -13 wanted there | tr '\n' '\0' | xargs -0 rm --
    ";
    let said = run(Command::new("bash").args(["-c", script]).current_dir(three.temp.path()));
    assert_eq!(said, "# this archive alone is not the whole: see \"since\" in manifest.json\n");
    let content = |entries: Vec<Entry>| {
        let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
        files.map(|entry| (entry.path, entry.sha256)).collect::<Vec<_>>()
    };
    assert_eq!(content(fingerprint(&three.temp.path().join("out/store"))), content(files(&three.states[2])));
}

#[test]
fn holes_odd_modes_and_nanoseconds_come_from_the_capture_and_the_bytes_from_the_chain() {
    let (store, temp, [a, b]) = first_backup();
    for (n, entry) in (0..).zip(&without_commitlog(store.root())) {
        let name = entry.path.to_str().unwrap();
        store.set(name, if entry.kind == EntryKind::Dir { 0o711 } else { 0o640 }, 1_650_000_000_000_000_007 + n);
    }
    let created = archive(store.root(), &b, &hour(1, Some(&a)));
    assert_eq!(created.manifest.stored_files().count(), 0, "content decides, not the time");
    assert_eq!(restored(&b, &[]).unwrap().1, without_commitlog(store.root()));
    // The same stored bytes at another place of a file of the same length are other content.
    store.file("consumequeue/T/0/00000000000000000000", &[(36_864, &[1; 20])], 45_060);
    let created = archive(store.root(), &temp.path().join("c.tar.zst"), &hour(2, Some(&b)));
    let stored: Vec<_> = created.manifest.stored_files().map(|file| file.path.as_str()).collect();
    assert_eq!(stored, ["store/consumequeue/T/0/00000000000000000000"]);
    assert_eq!(restored(&temp.path().join("c.tar.zst"), &[]).unwrap().1, without_commitlog(store.root()));
}

#[test]
fn the_same_store_since_the_same_archive_gives_the_same_bytes_and_an_id_of_its_own() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let a = temp.path().join("a.tar.zst");
    let whole = archive(store.root(), &a, &hour(0, None));
    store.file("config/new.json", &[(0, b"{}")], 2);
    let bytes_of = |jobs| {
        let mut options = hour(0, Some(&a));
        options.jobs = jobs;
        let mut bytes = Vec::new();
        let created = create(&plan_of(store.root()), &mut bytes, &options, &NoProgress).unwrap();
        assert_ne!(created.manifest.backup_id, whole.manifest.backup_id, "made in the same second");
        bytes
    };
    assert!(bytes_of(1) == bytes_of(3));
}

#[test]
fn a_missing_archive_is_named_with_where_it_was_looked_for_and_found_elsewhere_by_name_or_id() {
    let three = Three::new();
    let last = &three.archives[2];
    let id = show(&three.archives[0], &NoProgress).unwrap().backup_id;
    let away = tempfile::tempdir().unwrap();
    let moved = away.path().join("a.tar.zst");
    fs::rename(&three.archives[0], &moved).unwrap();
    let verified = verify_file(last, &NoProgress).unwrap();
    assert_eq!(outcome(&verified), Outcome::NoVerdict);
    let said = skipped(&verified);
    assert_eq!(said.len(), 1, "{said:?}");
    let folder = three.temp.path().to_str().unwrap();
    for part in [&format!("a.tar.zst ({id}) holds "), &format!(" of this backup and was not found in {folder}")] {
        assert!(said[0].contains(part.as_str()), "{said:?}");
    }
    let error = restored(last, &[]).unwrap_err();
    assert!(matches!(error, BackupError::MissingArchives { .. }) && error.is_refusal(), "{error}");
    assert_eq!(format!("the archive {error}"), format!("the archive {}", said[0]));
    assert!(matches!(Base::open(last, &[], &NoProgress), Err(BackupError::MissingArchives { .. })));

    let chain = [away.path().to_path_buf()];
    for renamed in [None, Some("renamed.tar.zst")] {
        if let Some(name) = renamed {
            fs::rename(&moved, away.path().join(name)).unwrap();
        }
        assert_eq!(outcome(&verify_chain(last, &chain, &NoProgress).unwrap()), Outcome::Clean);
        assert_eq!(restored(last, &chain).unwrap().1, without_commitlog(&three.states[2]));
    }
    // From a stream there is no folder to look in.
    let verified = verify(File::open(last).unwrap(), &NoProgress).unwrap();
    assert_eq!((outcome(&verified), skipped(&verified).len()), (Outcome::NoVerdict, 2));
}

#[test]
fn another_archive_under_the_name_of_an_earlier_one_does_not_stand_in_for_it() {
    let three = Three::new();
    let [a, _, c] = &three.archives;
    let right = show(a, &NoProgress).unwrap();
    fs::remove_file(a).unwrap();
    let manifest = show(c, &NoProgress).unwrap();
    let of_a = |file: &&FileEntry| file.held_in.as_ref() == Some(&right.backup_id) && file.stored_length > 0;
    let needed = manifest.files.iter().find(of_a).unwrap().path.strip_prefix("store/").unwrap();
    let needed = File::options().write(true).open(three.states[0].join(needed)).unwrap();
    needed.write_all_at(b"other", needed.metadata().unwrap().len() - 5).unwrap();
    let other = archive(&three.states[0], a, &hour(0, None)).manifest.backup_id;
    let verified = verify_file(c, &NoProgress).unwrap();
    assert_eq!(outcome(&verified), Outcome::NoVerdict);
    let said = skipped(&verified).remove(0);
    assert!(said.contains(&format!("is another backup, {other}")) && said.contains(&right.backup_id), "{said}");
    assert!(restored(c, &[]).unwrap_err().is_refusal());

    // With the right id, and every checksum of its own right, it still has not the bytes.
    let mut parts = frames(&fs::read(a).unwrap());
    let at = parts.len() - 2;
    parts[at] = document(&parts[at], "manifest.json", &[(&other, &right.backup_id)]);
    let manifest = zstd::decode_all(&parts[at][..]).unwrap();
    let sums = content(&zstd::decode_all(&parts[at + 1][..]).unwrap());
    let old = sums.lines().find(|line| line.ends_with("  manifest.json")).unwrap().to_owned();
    let text = content(&manifest);
    fs::write(three.temp.path().join("m"), text).unwrap();
    let new = mqstore_testkit::sha256_of_file(&three.temp.path().join("m")) + "  manifest.json";
    parts[at + 1] = document(&parts[at + 1], "SHA256SUMS", &[(&old, &new)]);
    fs::write(a, assemble(&parts)).unwrap();
    assert_eq!(outcome(&verify_file(a, &NoProgress).unwrap()), Outcome::Clean, "sound by itself");
    let verified = verify_file(c, &NoProgress).unwrap();
    assert_eq!((outcome(&verified), ids(&verified)), (Outcome::Found, vec!["backup.chain"]));
    assert!(matches!(restored(c, &[]), Err(BackupError::Damaged { .. })));
}

/// The text in a member that is a small file.
fn content(tar: &[u8]) -> String {
    let length = tar::Header::from_byte_slice(&tar[..512]).entry_size().unwrap();
    String::from_utf8(tar[512..512 + usize::try_from(length).unwrap()].to_vec()).unwrap()
}

/// A frame with a document in which words were replaced; the last of an archive ends the tar stream.
fn document(of: &[u8], name: &str, replaced: &[(&str, &str)]) -> Vec<u8> {
    let tar = zstd::decode_all(of).unwrap();
    let old = content(&tar);
    let text = replaced.iter().fold(old.clone(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replace(from, to)
    });
    let mut header = tar::Header::from_byte_slice(&tar[..512]).clone();
    header.set_size(text.len() as u64);
    header.set_cksum();
    let mut new = header.as_bytes().to_vec();
    new.extend_from_slice(text.as_bytes());
    new.resize(new.len().next_multiple_of(512), 0);
    if name == "SHA256SUMS" {
        new.resize(new.len() + 1024, 0);
    }
    frame(&new)
}

/// An incremental archive of two files, the other one referred to, with words of its manifest replaced.
fn with_manifest(replace: impl Fn(&str, &str) -> Vec<(String, String)>) -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("store");
    fs::create_dir_all(root.join("config")).unwrap();
    fs::write(root.join("config/a.json"), "{}").unwrap();
    let (a, b) = (temp.path().join("a.tar.zst"), temp.path().join("b.tar.zst"));
    let base = archive(&root, &a, &hour(0, None)).manifest.backup_id;
    fs::write(root.join("config/b.json"), "{}").unwrap();
    let own = archive(&root, &b, &hour(1, Some(&a))).manifest.backup_id;
    let mut parts = frames(&fs::read(&b).unwrap());
    let at = parts.len() - 2;
    let replaced = replace(&base, &own);
    let replaced: Vec<_> = replaced.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    parts[at] = document(&parts[at], "manifest.json", &replaced);
    fs::write(&b, assemble(&parts)).unwrap();
    (temp, b)
}

#[test]
fn a_manifest_that_refers_to_itself_in_a_circle_or_to_nothing_is_found() {
    for (what, replace) in [
        ("itself", (|base, own| vec![(base.to_owned(), own.to_owned())]) as fn(&str, &str) -> Vec<(String, String)>),
        ("none it names", |base, _| vec![(format!("\"in\":\"{base}\""), "\"in\":\"20200101T000000Z-0\"".to_owned())]),
        ("one that does not hold it", |_, _| {
            let entry = "{\"path\":\"store/config/b.json\"";
            vec![(entry.to_owned(), entry.replace("b.json", "c.json"))]
        }),
    ] {
        let (_temp, archive) = with_manifest(replace);
        let verified = verify_file(&archive, &NoProgress).unwrap();
        assert_eq!(outcome(&verified), Outcome::Found, "{what}");
        if what != "one that does not hold it" {
            assert!(ids(&verified).contains(&"backup.chain"), "{what}: {:?}", verified.report.findings());
            assert!(matches!(Base::open(&archive, &[], &NoProgress), Err(BackupError::Damaged { .. })), "{what}");
        }
        assert!(restored(&archive, &[]).is_err(), "{what}");
    }
}

#[test]
fn an_earlier_archive_that_is_itself_incremental_for_a_file_does_not_hold_it() {
    let three = Three::new();
    let [a, b, c] = three.archives.each_ref().map(|archive| show(archive, &NoProgress).unwrap());
    // What the third has from the first it now claims to have from the second, which has it from there, too.
    let mut parts = frames(&fs::read(&three.archives[2]).unwrap());
    let at = parts.len() - 2;
    let (from, to) = (format!("\"in\":\"{}\"", a.backup_id), format!("\"in\":\"{}\"", b.backup_id));
    parts[at] = document(&parts[at], "manifest.json", &[(&from, &to)]);
    let sums = content(&zstd::decode_all(&parts[at + 1][..]).unwrap());
    let text = content(&zstd::decode_all(&parts[at][..]).unwrap());
    fs::write(three.temp.path().join("m"), text).unwrap();
    let old = sums.lines().find(|line| line.ends_with("  manifest.json")).unwrap().to_owned();
    let new = mqstore_testkit::sha256_of_file(&three.temp.path().join("m")) + "  manifest.json";
    parts[at + 1] = document(&parts[at + 1], "SHA256SUMS", &[(&old, &new)]);
    fs::write(&three.archives[2], assemble(&parts)).unwrap();
    let verified = verify_file(&three.archives[2], &NoProgress).unwrap();
    assert_eq!((outcome(&verified), ids(&verified)), (Outcome::Found, vec!["backup.chain"]), "{}", c.backup_id);
    let first = &verified.report.findings()[0];
    assert!(first.message.ends_with("the earlier archive b.tar.zst holds it, but that does not"), "{}", first.message);
}

#[test]
fn damage_in_any_archive_of_the_chain_is_found_and_nothing_is_restored() {
    let (store, _temp, [a, b]) = first_backup();
    store.file("config/topics.json.bak", &[(0, b"{}")], 2);
    archive(store.root(), &b, &hour(1, Some(&a)));
    assert_eq!(outcome(&verify_file(&b, &NoProgress).unwrap()), Outcome::Clean);
    for path in [&a, &b] {
        let sound = fs::read(path).unwrap();
        let mut bytes = sound.clone();
        for at in (0..bytes.len()).step_by(97) {
            bytes[at] ^= 1 << (at % 8);
            fs::write(path, &bytes).unwrap();
            assert_eq!(outcome(&verify_file(&b, &NoProgress).unwrap()), Outcome::Found, "{path:?} at {at}");
            bytes[at] = sound[at];
        }
        for length in (0..sound.len()).step_by(997) {
            fs::write(path, &sound[..length]).unwrap();
            assert_eq!(outcome(&verify_file(&b, &NoProgress).unwrap()), Outcome::Found, "{path:?} cut at {length}");
        }
        bytes[sound.len() / 2] ^= 4;
        fs::write(path, &bytes).unwrap();
        let verified = verify_file(&b, &NoProgress).unwrap();
        let names_it = verified.report.findings()[0].message.ends_with("in the earlier archive a.tar.zst");
        assert_eq!(names_it, path == &a, "{:?}", verified.report.findings());
        assert!(matches!(restored(&b, &[]), Err(BackupError::Damaged { .. })));
        fs::write(path, &sound).unwrap();
    }
    assert_eq!(restored(&b, &[]).unwrap().1, without_commitlog(store.root()));
}

#[test]
fn an_archive_of_another_broker_or_beside_another_log_is_refused_as_a_base() {
    let temp = tempfile::tempdir().unwrap();
    let made = |name: &str, broker: Option<&str>| {
        let golden = golden(name);
        let mut facts = facts::gather(&Store::open(golden.root(), StoreOptions::default()).unwrap());
        facts.broker.name = broker.map(str::to_owned);
        (plan(&golden.root(), &PlanOptions::default(), facts).unwrap(), golden)
    };
    let base_of = |name: &str, broker: Option<&str>, file: &str| {
        let path = temp.path().join(file);
        create_file(&made(name, broker).0, &path, &hour(0, None), &NoProgress).unwrap();
        path
    };
    let named = base_of("5.3.3-killed", Some("broker-a"), "named.tar.zst");
    let nameless = base_of("5.3.3-killed", None, "nameless.tar.zst");
    for (base, name, broker, expected) in [
        (&named, "5.3.3-killed", Some("broker-a"), None),
        (
            &named,
            "5.3.3-killed",
            Some("broker-b"),
            Some("is a backup of a broker with brokerName broker-a, expected broker-b"),
        ),
        (&named, "5.3.3-clean", Some("broker-a"), None),
        (&nameless, "5.3.3-killed", Some("broker-a"), None),
        (&nameless, "5.3.3-clean", None, Some("was made beside another commit log than the one of ")),
    ] {
        let (plan, _golden) = made(name, broker);
        match (create(&plan, Vec::new(), &hour(1, Some(base)), &NoProgress), expected) {
            (Ok(created), None) => assert!(created.manifest.since.is_some()),
            (Err(error), Some(expected)) => {
                assert!(error.is_refusal() && error.to_string().contains(expected), "{error}");
            }
            (result, _) => panic!("{name} of {broker:?}: {result:?}"),
        }
    }
}

#[test]
fn what_is_no_archive_or_has_no_manifest_is_no_base() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let a = temp.path().join("a.tar.zst");
    archive(store.root(), &a, &hour(0, None));
    let sound = fs::read(&a).unwrap();
    for bytes in [&b"something else"[..], &sound[..sound.len() / 2]] {
        fs::write(&a, bytes).unwrap();
        let error = Base::open(&a, &[], &NoProgress).unwrap_err();
        assert!(matches!(error, BackupError::Damaged { .. }), "{error}");
    }
    let absent = Base::open(&temp.path().join("absent.tar.zst"), &[], &NoProgress);
    assert!(matches!(absent, Err(BackupError::Io { .. })));
}

/// Removes an archive as soon as something was read.
struct Removes<'a>(&'a Path, AtomicBool);

impl Progress for Removes<'_> {
    fn update(&self, _: u64, _: Option<u64>) {
        if !self.1.swap(true, Ordering::Relaxed) {
            fs::remove_file(self.0).unwrap();
        }
    }
}

#[test]
fn an_archive_never_takes_the_place_of_one_it_refers_to_nor_outlives_it_while_it_is_made() {
    let (store, temp) = (SmallStore::new(), tempfile::tempdir().unwrap());
    let a = temp.path().join("a.tar.zst");
    archive(store.root(), &a, &hour(0, None));
    let sound = fs::read(&a).unwrap();
    let mut options = hour(1, Some(&a));
    options.replace = true;
    let error = create_file(&plan_of(store.root()), &a, &options, &NoProgress).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("would be replaced"), "{error}");
    assert!(fs::read(&a).unwrap() == sound);

    let b = temp.path().join("b.tar.zst");
    let removes = Removes(&a, AtomicBool::new(false));
    let error = create_file(&plan_of(store.root()), &b, &options, &removes).unwrap_err();
    assert!(matches!(error, BackupError::MissingArchives { .. }), "{error}");
    assert!(error.to_string().contains("it was there when this backup began"), "{error}");
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 0, "no archive that nothing can complete");
}

#[test]
fn a_live_capture_refers_to_what_a_stopped_one_stored() {
    let (store, _temp, [a, b]) = first_backup();
    store.file("config/delayOffset.json", &[(0, b"{\"offsetTable\":{1:2}}")], 21);
    let live = PlanOptions { live: true, ..PlanOptions::default() };
    let plan = plan(store.root(), &live, StoreFacts::default()).unwrap();
    let created = create_file(&plan, &b, &hour(1, Some(&a)), &NoProgress).unwrap();
    let stored: Vec<_> = created.manifest.stored_files().map(|file| file.path.as_str()).collect();
    assert_eq!(stored, ["store/config/delayOffset.json"], "the staged files, too, are compared");
    assert_eq!(restored(&b, &[]).unwrap().1, without_commitlog(store.root()));
}
