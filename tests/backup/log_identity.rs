//! Whether a log is the one that a backup was made beside: real masters, slaves and strangers.

use mqstore_backup::facts::gather;
use mqstore_backup::log_identity::{LogMatch, compare};
use mqstore_backup::manifest::CommitLogPositions;
use mqstore_core::store::{Store, StoreOptions};
use mqstore_testkit::golden;

fn open(path: &std::path::Path) -> Store {
    Store::open(path, StoreOptions::default()).unwrap()
}

fn positions(store: &Store) -> CommitLogPositions {
    gather(store).positions.commitlog.unwrap()
}

#[test]
fn a_slave_has_the_log_of_its_master_as_far_as_it_goes() {
    let pair = golden("4.3.2-pair");
    let (master, slave) = (open(&pair.sub("master/store")), open(&pair.sub("slave/store")));
    let (of_master, of_slave) = (positions(&master), positions(&slave));
    let against = |backup, store: &Store| compare(backup, store.commitlog(), None).unwrap();
    assert_eq!(against(&of_master, &master), LogMatch::Same);
    // The master's log went on where the slave's ends: a log that grew since the backup.
    assert_eq!(against(&of_slave, &master), LogMatch::Same);
    assert!(matches!(against(&of_master, &slave), LogMatch::NotCovering { needs, has } if has.to < needs.to));
    let last = of_master.last_record.unwrap();
    assert_eq!(last.physical_offset + last.total_size, of_master.max_offset);
}

#[test]
fn another_brokers_log_and_one_with_a_changed_byte_differ() {
    let (ours, strangers) = (golden("4.3.2-clean"), golden("4.3.2-pair"));
    let backup = positions(&open(&ours.root()));
    let stranger = compare(&positions(&open(&strangers.sub("slave/store"))), open(&ours.root()).commitlog(), None);
    assert!(matches!(stranger.unwrap(), LogMatch::Differs(_)));

    let tail = backup.tail.clone().unwrap();
    assert!(tail.to - tail.from <= 256 << 10 && tail.to == backup.max_offset, "{tail:?}");
    let log = open(&ours.root());
    let file = log.commitlog().queue().find(tail.from).unwrap();
    let mut bytes = std::fs::read(&file.path).unwrap();
    let at = usize::try_from(tail.from - file.file_from_offset).unwrap() + 60;
    bytes[at] ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    let changed = compare(&backup, open(&ours.root()).commitlog(), Some(backup.max_offset.into())).unwrap();
    assert_eq!(changed, LogMatch::Differs(mqstore_backup::manifest::OffsetRange { from: tail.from, to: tail.to }));
}

#[test]
fn what_expired_at_the_beginning_is_not_missed() {
    let ours = golden("4.3.2-clean");
    let backup = positions(&open(&ours.root()));
    let log = open(&ours.root());
    std::fs::remove_file(&log.commitlog().files()[0].path).unwrap();
    assert_eq!(compare(&backup, open(&ours.root()).commitlog(), None).unwrap(), LogMatch::Same);
}
