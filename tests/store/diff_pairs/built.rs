//! Pairs that were built: two masters, cut logs, lost groups and queues.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mqstore_check::diff::{Area, OffsetState, Relation, Side, Which, diff};
use mqstore_check::snapshot::{self, SnapshotOptions};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::{NoProgress, Progress};
use mqstore_testkit::{Message, StoreBuilder, damage};

use super::{ids, open, options, snapshots, stores};

/// A store of 300 records in three files, with two groups.
fn build(root: &Path, tail: u64) -> Vec<mqstore_testkit::Placed> {
    let mut writer = StoreBuilder::new(root).commitlog_file_size(64 << 10).start();
    let mut placed = Vec::new();
    for n in 0..300u64 {
        let queue = i32::try_from(n % 3).unwrap();
        // From `tail` on another master wrote.
        let seed = if n >= tail { n + 5000 } else { n };
        let message = Message::new("T", queue).at(1_700_000_000_000 + i64::try_from(n).unwrap() * 1000);
        placed.push(writer.put(&message.body(mqstore_testkit::noise(400 + usize::try_from(n % 7).unwrap(), seed))));
    }
    writer.commit("T", "G", 0, 40);
    writer.commit("T", "G", 1, 50);
    writer.finish();
    placed
}

fn found_end(placed: &[mqstore_testkit::Placed]) -> u64 {
    placed.last().map_or(0, |last| last.physical_offset + last.size as u64)
}

#[test]
fn logs_that_two_masters_wrote_part_at_the_first_record_of_the_other_one() {
    let dir = tempfile::tempdir().unwrap();
    for tail in [1, 42, 119, 150, 299] {
        let (a, b) = (dir.path().join(format!("a{tail}")), dir.path().join(format!("b{tail}")));
        let placed = build(&a, u64::MAX);
        build(&b, tail);
        let first = placed[usize::try_from(tail).unwrap()].physical_offset;
        let report = stores(&a, &b, &options());
        let found = report.commitlog.divergence.clone().unwrap();
        assert_eq!(found.record_offset, Some(first), "{tail}");
        // The body checksum is the first field that differs.
        assert_eq!(found.physical_offset, first + 8, "{tail}");
        assert_eq!(found.equal_again_from, None, "{tail}");
        let [on_a, on_b] = [found.a.unwrap(), found.b.unwrap()];
        assert_eq!((on_a.problem, on_b.problem), (None, None), "both wrote sound records");
        assert!(found.message.contains("both hold a sound record there"), "{}", found.message);
        assert_eq!(found.last_common.unwrap().queue_offset, Some((i64::try_from(tail).unwrap() - 1) / 3));
        assert_eq!(report.outcome(), Outcome::Found);
        let by_digest = snapshots(&a, &b, &options()).commitlog.divergence.unwrap().chunk;
        // Both snapshots know each of the 300 records.
        let next =
            placed.get(usize::try_from(tail).unwrap() + 1).map_or(found_end(&placed), |next| next.physical_offset);
        assert_eq!(by_digest.map(|chunk| (chunk.from, chunk.to)), Some((first, next)), "{tail}");
    }
}

#[test]
fn a_missing_file_in_the_middle_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    build(&a, u64::MAX);
    build(&b, u64::MAX);
    damage::remove(&b.join("commitlog/00000000000000065536"));
    let report = stores(&a, &b, &options());
    let gap = report.report.findings().iter().find(|finding| finding.id == "pair.log-gap").unwrap();
    assert_eq!((gap.location.offset, gap.location.length), (Some(65_536), Some(65_536)));
    assert_eq!(report.commitlog.divergence, None);
}

#[test]
fn a_slave_that_cannot_go_on_is_told_with_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str, first: u64, records: u64| {
        let root = dir.path().join(name);
        let mut writer = StoreBuilder::new(&root).commitlog_file_size(64 << 10).first_offset(first).start();
        for n in 0..records {
            // Queue offsets go on from what has expired, as on a broker.
            let mut message = Message::new("T", 0).sized(300).at(1_700_000_000_000 + i64::try_from(n).unwrap());
            message.queue_offset = Some(i64::try_from(first / 64 + n).unwrap());
            writer.put(&message);
        }
        writer.finish();
        root
    };
    let (long, short) = (make("long", 0, 200), make("short", 0, 100));
    let (late, empty) = (make("late", 1 << 20, 100), make("empty", 0, 0));
    let with = |relation| {
        let mut options = options();
        options.relation = relation;
        options
    };
    let master_slave = with(Relation::MasterSlave);
    let errors = |a: &Path, b: &Path| ids(&stores(a, b, &master_slave), Severity::Error);
    assert_eq!(errors(&long, &short), [] as [&str; 0]);
    assert_eq!(errors(&short, &long), ["pair.slave-ahead"]);
    assert_eq!(errors(&late, &short), ["pair.slave-too-old"]);
    let apart = stores(&late, &short, &master_slave).commitlog;
    // As the brokers count: from the slave's end to the master's, also what the master holds no more.
    assert_eq!(apart.lag_bytes, apart.a.max_offset - apart.b.max_offset);
    assert!(apart.a.min_offset > apart.b.max_offset && !apart.lag_messages_exact, "{apart:?}");
    assert_eq!(errors(&long, &empty), ["pair.empty-slave"]);
    let report = stores(&long, &empty, &master_slave);
    let finding = report.report.findings().iter().find(|finding| finding.id == "pair.empty-slave").unwrap();
    assert_eq!(finding.location.offset, Some(65_536), "the beginning of the master's last file");
    let both_empty = stores(&empty, &make("empty2", 0, 0), &master_slave);
    assert_eq!(both_empty.outcome(), Outcome::Clean);
}

#[test]
fn a_slave_whose_log_was_cut_has_a_stale_tail_and_no_divergence() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let placed = build(&a, u64::MAX);
    build(&b, 280);
    // The slave is cut at record 270: what lies behind are remains that the master never had.
    let cut = placed[270].physical_offset;
    let base = cut - cut % 65_536;
    damage::zero(&b.join(format!("commitlog/{base:020}")), cut - base..placed[280].physical_offset - base);
    for report in [stores(&a, &b, &options()), snapshots(&a, &b, &options())] {
        assert_eq!(report.commitlog.b.max_offset, cut);
        let stale = report.commitlog.b.stale.unwrap();
        assert_eq!((stale.first, stale.records), (placed[280].physical_offset, 20));
        assert_eq!(report.commitlog.divergence, None);
        assert_eq!(report.commitlog.lag_messages, Some(30));
        assert!(ids(&report, Severity::Info).contains(&"pair.stale-tail"));
    }
}

#[test]
fn a_group_topic_or_offset_that_is_gone_after_an_upgrade_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for (root, full) in [(&a, true), (&b, false)] {
        let mut writer = StoreBuilder::new(root).start();
        for _ in 0..10 {
            writer.put(&Message::new("T", 0).sized(50));
        }
        writer.commit("T", "G", 0, if full { 9 } else { 4 });
        writer.delay_offset(3, if full { 5 } else { 2 });
        if full {
            writer.topic("Gone", 4);
            writer.group("GoneToo");
            writer.commit("T", "Lost", 0, 3);
        }
        writer.finish();
    }
    let mut options = options();
    options.relation = Relation::BeforeAfter;
    for report in [stores(&a, &b, &options), snapshots(&a, &b, &options)] {
        assert_eq!(ids(&report, Severity::Error), ["pair.config-lost", "pair.delay-lost", "pair.offset-lost"]);
        let lost: Vec<_> = report.config.iter().map(|diff| diff.path.as_str()).collect();
        assert_eq!(lost, ["Gone", "GoneToo", "Lost"]);
        let offset = report.consumer_offsets.iter().find(|offset| offset.group == "G").unwrap();
        assert_eq!((offset.winner, offset.replayed), (Which::B, 5));
    }
    options.ignore = vec![Area::Config, Area::Offsets, Area::Delay];
    assert_eq!(stores(&a, &b, &options).outcome(), Outcome::Clean);
}

#[test]
fn a_slave_that_consumers_used_goes_back_at_the_next_sync() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for (root, offset) in [(&a, 40), (&b, 55)] {
        let mut writer = StoreBuilder::new(root).start();
        for _ in 0..50 {
            writer.put(&Message::new("T", 0).sized(50));
        }
        writer.commit("T", "G", 0, offset);
        writer.finish();
    }
    let report = stores(&a, &b, &options());
    let [row] = report.consumer_offsets.as_slice() else { panic!("{:?}", report.consumer_offsets) };
    assert_eq!((row.a, row.b, row.winner, row.replayed, row.skipped), (Some(40), Some(55), Which::A, 15, 0));
    assert_eq!((row.a_state, row.b_state), (Some(OffsetState::Ok), Some(OffsetState::BeyondMax)));
    assert_eq!(ids(&report, Severity::Warning), ["pair.offset-goes-back"]);
    assert_eq!(report.outcome(), Outcome::Found);
}

#[test]
fn units_that_differ_are_found_in_stores_and_in_snapshots() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    build(&a, u64::MAX);
    build(&b, u64::MAX);
    // Queue 1 of 100 units: the size of unit 17, and the last unit's.
    let file = b.join("consumequeue/T/1/00000000000000000000");
    damage::flip(&file, 17 * 20 + 11, 0);
    damage::flip(&file, 99 * 20 + 11, 0);
    let report = stores(&a, &b, &options());
    assert_eq!((report.queues[0].topic.as_str(), report.queues[0].queue_id), ("T", 1));
    assert_eq!(report.queues[0].first_difference, Some(17));
    assert_eq!(report.compared_units, 300);
    assert_eq!(snapshots(&a, &b, &options()).queues[0].first_difference, Some(99));
    assert_eq!(ids(&report, Severity::Error), ["pair.unit-differs"]);
}

#[test]
fn two_ranges_come_to_the_byte_also_in_a_long_record() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let mut long = 0;
    for root in [&a, &b] {
        let mut writer = StoreBuilder::new(root).commitlog_file_size(256 << 10).start();
        for n in 0..30 {
            let body = mqstore_testkit::noise(if n == 20 { 9000 } else { 300 }, n);
            let placed = writer.put(&Message::new("T", 0).at(1_700_000_000_000).body(body));
            long = if n == 20 { placed.physical_offset } else { long };
        }
        writer.finish();
    }
    let file = b.join("commitlog/00000000000000000000");
    let taken = |root: &Path, range| {
        let mut options = SnapshotOptions::default();
        options.range = range;
        snapshot::take(&open(root), &options, &NoProgress).unwrap()
    };
    // Its total size, its magic code, its checksum, and its body.
    for at in [3, 5, 10, 1024, 8999].map(|n| long + n) {
        damage::flip(&file, at, 5);
        let mut range = None;
        for _ in 0..3 {
            let sides = [taken(&a, range), taken(&b, range)];
            let [of_a, of_b] = sides.each_ref().map(Side::Snapshot);
            let found = diff(&of_a, &of_b, &options(), &NoProgress).unwrap().commitlog.divergence.unwrap();
            assert_eq!(found.exact, found.chunk.is_none(), "{at}: {found:?}");
            range = found.chunk.map(|chunk| (chunk.from, chunk.to));
            assert!(found.chunk.is_none_or(|chunk| chunk.from <= at && at < chunk.to), "{at}: {found:?}");
            // The last thousand records are known one by one, so the first comparison tells the record already.
            assert_eq!(found.record_offset, Some(long), "{at}: {found:?}");
            assert!(!found.exact || found.physical_offset == at, "{at}: {found:?}");
        }
        assert_eq!(range, None, "{at}: each range is nearer, the last one exact");
        damage::flip(&file, at, 5);
    }
}

/// Does something to a store at the first sign of progress: after its positions were taken.
struct Meanwhile<'a> {
    done: AtomicBool,
    act: &'a (dyn Fn() + Sync),
}

impl Progress for Meanwhile<'_> {
    fn update(&self, _: u64, _: Option<u64>) {
        if !self.done.swap(true, Ordering::Relaxed) {
            (self.act)();
        }
    }
}

#[test]
fn a_side_that_goes_on_while_it_is_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, records: u64| {
        let root = dir.path().join(name);
        let mut writer = StoreBuilder::new(&root).commitlog_file_size(64 << 10).start();
        let placed = (0..records).map(|n| writer.put(&Message::new("T", 0).body(mqstore_testkit::noise(300, n))));
        let last = placed.last().unwrap();
        writer.finish();
        (root, usize::try_from(last.physical_offset).unwrap(), last.size)
    };
    let (a, ..) = write("a", 20);
    let (b, ..) = write("b", 20);
    let (longer, at, length) = write("longer", 21);
    let file = "commitlog/00000000000000000000";
    let next = std::fs::read(longer.join(file)).unwrap()[at..at + length].to_vec();
    let append = || damage::write_at(&b.join(file), at as u64, &next);
    let moving = Meanwhile { done: AtomicBool::new(false), act: &append };
    let (store_a, store_b) = (open(&a), open(&b));
    let report = diff(&Side::store(&store_a), &Side::store(&store_b), &options(), &moving).unwrap();
    assert_eq!((report.moved.a, report.moved.b), (false, true));
    assert_eq!(report.commitlog.lag_bytes, 0, "everything is told of the end that was seen first");
}
