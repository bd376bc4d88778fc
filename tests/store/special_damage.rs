//! Timer, DLedger and compaction files of brokers after the accidents that the formats have an answer to.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use mqstore_core::PhysicalOffset;
use mqstore_core::store::{Located, LogEndKind, Store, StoreOptions};
use mqstore_testkit::Golden;

use crate::unpacked;

fn open(root: &Path) -> Store {
    Store::open(root, StoreOptions::default()).unwrap()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn number(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn length(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// The data files of a recorded DLedger log, without its index, below `to`, each after `change`.
fn copy_dledger(golden: &Golden, to: &Path, shift: u64, mut change: impl FnMut(u64, &mut Vec<u8>)) {
    for base in [0, 262_144] {
        let from = golden.root().join(format!("dledger-n0/data/{base:020}"));
        let mut bytes = fs::read(from).unwrap();
        change(base, &mut bytes);
        write(&to.join(format!("dledger-n0/data/{:020}", base + shift)), &bytes);
    }
    for name in ["checkpoint", "currterm"] {
        fs::copy(golden.root().join("dledger-n0").join(name), to.join("dledger-n0").join(name)).unwrap();
    }
}

/// Positions of the entries of a data file, told by their sizes alone.
fn entry_positions(bytes: &[u8]) -> Vec<usize> {
    let (mut at, mut found) = (0, Vec::new());
    while bytes.get(at..at + 4) == Some(&[0, 0, 0, 1]) {
        found.push(at);
        at += length(bytes, at + 4);
    }
    found
}

#[test]
fn a_classic_log_continued_by_dledger_is_one_log() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    let classic = fs::read(all["4.3.2-clean"].root().join("commitlog/00000000000000000000")).unwrap();
    let divide = classic.len() as u64;
    write(&dir.path().join("commitlog/00000000000000000000"), &classic);
    let mut entries = 0;
    copy_dledger(&all["5.3.3-dledger"], dir.path(), divide, |_, bytes| {
        for at in entry_positions(bytes) {
            // The entry's position, and the physical offset of the record in it.
            for field in [at + 24, at + 48 + 28] {
                let moved = number(bytes, field) + divide;
                bytes[field..field + 8].copy_from_slice(&moved.to_be_bytes());
            }
            entries += 1;
        }
    });
    let store = open(dir.path());
    let log = store.log().unwrap();
    assert_eq!((log.min_offset(), log.dividing_offset()), (PhysicalOffset(0), Some(PhysicalOffset(divide))));
    let alone = store.commitlog().scan(PhysicalOffset(0), true, |_| ControlFlow::Continue(())).unwrap();
    assert!(alone.blanks == 1 && alone.records > 0);
    let mut positions = Vec::new();
    let end = log
        .scan(true, |record| {
            assert_eq!(record.physical_offset.cast_unsigned(), record.position.get());
            positions.push(record.position);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((end.records, end.blanks, end.kind), (alone.records + entries, 2, LogEndKind::Zeros));
    assert_eq!(end.offset, PhysicalOffset(divide + 387_926));
    let mut reader = log.reader();
    for position in positions {
        assert!(matches!(reader.record_at(position).unwrap(), Located::Record(_)), "{position}");
    }
    assert!(matches!(reader.record_at(PhysicalOffset(divide)).unwrap(), Located::Unreadable(_)));
    let stopped = log.scan(true, |record| {
        if record.position.get() < divide + 1000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let stopped = stopped.unwrap();
    assert!(stopped.stopped && stopped.offset.get() >= divide + 1000, "{stopped:?}");
}

#[test]
fn what_a_majority_did_not_have_is_on_disk_and_not_in_the_log() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    copy_dledger(&all["5.3.3-dledger"], dir.path(), 0, |_, _| {});
    let ends: Vec<u64> = {
        let bytes = fs::read(dir.path().join("dledger-n0/data/00000000000000262144")).unwrap();
        entry_positions(&bytes).iter().map(|at| 262_144 + (*at + length(&bytes, at + 4)) as u64).collect()
    };
    write(&dir.path().join("dledger-n0/checkpoint"), b"endIndex=270\ncommittedIndex=268\n");
    let end = open(dir.path()).dledgers().unwrap()[0].end().unwrap();
    assert_eq!((end.last_index, end.offset), (Some(270), PhysicalOffset(387_926)));
    assert_eq!(end.committed_offset, Some(PhysicalOffset(ends[ends.len() - 3])));
    fs::remove_file(dir.path().join("dledger-n0/checkpoint")).unwrap();
    assert_eq!(open(dir.path()).dledgers().unwrap()[0].end().unwrap().committed_offset, None);
}

#[test]
fn data_files_in_a_folder_of_their_own_are_read_from_there() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    copy_dledger(&all["4.9.7-dledger"], &dir.path().join("store"), 0, |_, _| {});
    fs::rename(dir.path().join("store/dledger-n0/data"), dir.path().join("elsewhere")).unwrap();
    let root = dir.path().join("store");
    assert!(open(&root).log().unwrap().is_empty());
    let mut options = StoreOptions::default();
    options.dledger_data_dir = Some(dir.path().join("elsewhere"));
    let log = Store::open(&root, options).unwrap().log().unwrap();
    assert_eq!(log.scan(true, |_| ControlFlow::Continue(())).unwrap().records, 274);
}

/// Does something to a data file at the position of an entry.
type Change = fn(&mut Vec<u8>, usize);

#[test]
fn a_dledger_log_ends_where_its_entries_stop_to_follow_each_other() {
    let all = unpacked();
    let last = |bytes: &[u8]| *entry_positions(bytes).last().unwrap();
    let cases: [(&str, Change, LogEndKind); 5] = [
        ("cut in the body", |bytes, at| bytes[at + 100..].fill(0), LogEndKind::Garbage),
        ("an index left out", |bytes, at| bytes[at + 15] ^= 1, LogEndKind::Garbage),
        ("another place", |bytes, at| bytes[at + 31] ^= 1, LogEndKind::Garbage),
        ("a length that does not fit", |bytes, at| bytes[at + 47] ^= 1, LogEndKind::Torn),
        ("cut in the head", |bytes, at| bytes.truncate(at + 40), LogEndKind::Torn),
    ];
    for (what, change, kind) in cases {
        let dir = tempfile::tempdir().unwrap();
        let mut start = 0;
        copy_dledger(&all["5.3.3-dledger"], dir.path(), 0, |base, bytes| {
            if base > 0 {
                let at = last(bytes);
                start = base + at as u64;
                change(bytes, at);
            }
        });
        let end = open(dir.path()).dledgers().unwrap()[0].end().unwrap();
        if what == "cut in the body" {
            // Nothing protects a body: recovery takes the entry, and only the record tells.
            assert_eq!((end.last_index, end.error), (Some(270), None), "{what}");
            let log_end = open(dir.path()).log().unwrap().scan(true, |_| ControlFlow::Continue(())).unwrap();
            assert_eq!((log_end.offset.get(), log_end.kind), (start, kind), "{what}");
        } else {
            assert_eq!((end.offset.get(), end.kind, end.last_index), (start, kind, Some(269)), "{what}");
            assert!(end.error.is_some(), "{what}");
        }
    }
}

#[test]
fn a_follower_that_was_started_anew_in_the_middle_of_a_file_is_read_from_there() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    let mut first = 0;
    copy_dledger(&all["5.3.3-dledger"], dir.path(), 0, |base, bytes| {
        if base == 0 {
            first = entry_positions(bytes)[100];
            bytes[..first].fill(0);
        }
    });
    let index = fs::read(all["5.3.3-dledger"].root().join("dledger-n0/index/00000000000000000000")).unwrap();
    let mut units = index[..271 * 32].to_vec();
    units[..100 * 32].fill(0);
    write(&dir.path().join("dledger-n0/index/00000000000000000000"), &units);
    let end = open(dir.path()).dledgers().unwrap()[0].scan(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!((end.first_index, end.last_index, end.entries), (Some(100), Some(270), 171));
}

#[test]
fn a_timer_chain_that_comes_back_or_breaks_off_ends_with_an_error() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    let root = all["5.3.3-timer"].root();
    let wheel = fs::read(root.join("timerwheel")).unwrap();
    let log = fs::read(root.join("timerlog/00000000000000000000")).unwrap()[..2704].to_vec();
    fs::create_dir_all(dir.path().join("commitlog")).unwrap();
    write(&dir.path().join("timerwheel"), &wheel);
    let chains = |log: &[u8]| {
        write(&dir.path().join("timerlog/00000000000000000000"), log);
        let timer = open(dir.path()).timer().unwrap();
        let mut reader = timer.reader();
        let (mut units, mut errors) = (0, Vec::new());
        timer
            .visit_slots(|_, slot| {
                let chain = reader.chain(&slot).unwrap();
                units += chain.units.len();
                errors.extend(chain.error.map(|error| error.to_string()));
                ControlFlow::Continue(())
            })
            .unwrap();
        (units, errors)
    };
    assert_eq!(chains(&log), (52, vec![]));
    // The second unit of a chain of ten names itself, then one behind it.
    for previous in [52u64, 104] {
        let mut looped = log.clone();
        looped[52 + 4..52 + 12].copy_from_slice(&previous.to_be_bytes());
        let expected = format!("timer position is {previous}, expected one before the unit that names it at offset 52");
        assert_eq!(chains(&looped), (51, vec![expected]));
    }
    let mut torn = log.clone();
    torn.truncate(2704 - 60);
    let (units, errors) = chains(&torn);
    assert!(units < 52 && errors.len() == 1, "{units} {errors:?}");
    let (units, errors) = chains(&[]);
    assert_eq!((units, errors.len()), (0, 8), "every slot in use names a unit that is gone");
}

#[test]
fn timers_whose_messages_are_gone_are_counted_and_said_to_be_without_one() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    let root = all["5.3.3-timer"].root();
    fs::create_dir_all(dir.path().join("commitlog")).unwrap();
    for name in ["timerwheel", "timerlog/00000000000000000000", "config/timercheck"] {
        let bytes = fs::read(root.join(name)).unwrap();
        write(&dir.path().join(name), &bytes[..bytes.len().min(38_707_200)]);
    }
    let store = open(dir.path());
    let pending =
        store.timer().unwrap().pending(&store.log().unwrap(), 0, |unit| assert_eq!(unit.topic, None)).unwrap();
    assert_eq!((pending.normal, pending.rolled, pending.deletes, pending.without_message), (16, 3, 1, 20));
}

#[test]
fn compaction_files_without_partner_and_what_a_crash_left_are_named() {
    let (all, dir) = (unpacked(), tempfile::tempdir().unwrap());
    let root = all["5.3.3-batchcq"].root();
    let queue = "compaction/compactionCq/TComp/0";
    fs::create_dir_all(dir.path().join("commitlog")).unwrap();
    for name in ["compactionLog", "compactionCq"] {
        for file in ["00000000000000000000", "00000000000000119370"] {
            let path = format!("compaction/{name}/TComp/0/{file}");
            write(&dir.path().join(&path), &fs::read(root.join(&path)).unwrap());
        }
    }
    fs::remove_file(dir.path().join(queue).join("00000000000000119370")).unwrap();
    write(&dir.path().join(queue).join("00000000000000000000.delete"), b"");
    fs::create_dir_all(dir.path().join("compaction/compactionLog/TComp/0/compacting")).unwrap();
    let store = open(dir.path());
    let queues = store.compacted_queues().unwrap();
    let unpaired = queues[0].unpaired();
    assert_eq!(unpaired.len(), 1);
    assert!(unpaired[0].path.ends_with("compactionLog/TComp/0/00000000000000119370"));
    assert_eq!(store.compaction_leftovers().unwrap().len(), 2);
    assert_eq!(
        queues[0].visit(|_, record| record.map_or(ControlFlow::Break(()), |_| ControlFlow::Continue(()))).unwrap()[0]
            .units,
        5
    );
}
