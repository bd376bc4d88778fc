//! Pairs changed at random: where they part is known, because it was made so.

use std::path::Path;

use mqstore_check::Outcome;
use mqstore_check::diff::{Area, DiffReport, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, Snapshot, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::pairs::{Change, Pair, QUEUES, RECORDS};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{open, options, stores};

fn changes(middle_files: usize) -> impl Strategy<Value = Change> {
    let last = RECORDS - 1;
    prop_oneof![
        4 => (0.0..1.0f64, 0..8u8).prop_map(|(share, bit)| Change::FlippedByte { share, bit }),
        2 => (1..last).prop_map(Change::CutTail),
        2 => (1..last).prop_map(Change::RewrittenTail),
        1 => (0..middle_files).prop_map(Change::MissingMiddleFile),
        1 => (0..QUEUES).prop_map(Change::LostQueue),
        2 => (1..last, 1..last).prop_map(|(a, b)| Change::RolesSwappedTwice { first: a.min(b), back: a.max(b) + 1 }),
    ]
}

fn all(root: &Path, range: Option<(u64, u64)>) -> Snapshot {
    let mut options = SnapshotOptions::default();
    // No records by themselves: those of the range are to find it.
    (options.digest, options.recent, options.range) = (DigestScope::All, 0, range);
    snapshot::take(&open(root), &options, &NoProgress).unwrap()
}

fn has(report: &DiffReport, id: &str) -> bool {
    report.report.findings().iter().any(|finding| finding.id == id)
}

#[test]
fn four_thousand_random_pairs_part_exactly_where_they_were_changed() {
    // In memory where there is such a folder: each pair is a few small files.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let pair = Pair::new(dir.path());
    let whole = all(&pair.a(), None);
    let mut only = options();
    only.ignore = vec![Area::Offsets, Area::Delay, Area::Timer, Area::Config];
    let mut runner = TestRunner::new(ProptestConfig { cases: 4_000, ..ProptestConfig::default() });
    let case = |change: Change| {
        let known = pair.change(change);
        let report = stores(&pair.a(), &pair.b(), &only);
        let found = report.commitlog.divergence.as_ref();
        let place = found.map(|found| (found.physical_offset, found.record_offset));
        let expected = known.physical_offset.map(|at| (at, known.record_offset));
        prop_assert_eq!(place, expected, "{:?}: {:#?}", change, report.commitlog);
        let taken = all(&pair.b(), None);
        let by_digests = diff(&Side::Snapshot(&whole), &Side::Snapshot(&taken), &only, &NoProgress).unwrap();
        for report in [&report, &by_digests] {
            if let Some(end) = known.end {
                prop_assert_eq!(report.commitlog.b.max_offset, end, "{:?}", change);
            }
            prop_assert_eq!(has(report, "pair.log-gap"), known.gap.is_some(), "{:?}", change);
            if known.gap.is_some() || known.queue.is_some() || known.physical_offset.is_some() {
                prop_assert_eq!(report.outcome(), Outcome::Found, "{:?}", change);
            }
            if let Some(queue) = known.queue {
                let lost = report.queues.iter().find(|row| row.queue_id == queue).unwrap();
                prop_assert!(lost.a.is_some() && lost.b.is_none(), "{:?}: {:?}", change, lost);
            }
        }
        let Some(offset) = known.physical_offset else {
            prop_assert_eq!(by_digests.commitlog.divergence, None, "{:?}", change);
            return Ok(());
        };
        let chunk = by_digests.commitlog.divergence.as_ref().and_then(|found| found.chunk);
        let inside = chunk.is_some_and(|chunk| chunk.from <= offset && offset < chunk.to);
        prop_assert!(inside, "{:?}: {} is not in {:#?}", change, offset, by_digests.commitlog);
        // The range that the first comparison names, of both sides; and of one side against the other's store.
        let range = chunk.map(|chunk| (chunk.from, chunk.to));
        let (a, b) = (all(&pair.a(), range), all(&pair.b(), range));
        let store = open(&pair.b());
        for other in [Side::Snapshot(&b), Side::store(&store)] {
            let log = diff(&Side::Snapshot(&a), &other, &only, &NoProgress).unwrap().commitlog;
            let record = log.divergence.as_ref().and_then(|found| found.record_offset);
            prop_assert_eq!(record, known.record_offset, "{:?}: {:#?}", change, log);
        }
        Ok(())
    };
    runner.run(&changes(pair.middle_files()), case).unwrap();
}
