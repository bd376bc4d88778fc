//! Pairs changed at random: where they part is known, because it was made so.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use mqstore_check::Outcome;
use mqstore_check::diff::{Area, DiffOptions, DiffReport, Divergence, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, Snapshot, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::pairs::{Change, Known, Pair, QUEUES, RECORDS};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::{open, options, stores};

/// Pairs of each of both tests, unless `PROPTEST_CASES` says otherwise.
const PAIRS: u32 = 5_000;

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

/// Changes two equal stores again and again, and hands them over with what must be found.
fn with_pairs(check: impl Fn(&Pair, Change, &Known) -> TestCaseResult) {
    // In memory where there is such a folder: each pair is a few small files.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let pair = Pair::new(dir.path());
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(PAIRS);
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    runner.run(&changes(pair.middle_files()), |change| check(&pair, change, &pair.change(change))).unwrap();
}

fn log_and_queues() -> DiffOptions {
    let mut only = options();
    only.ignore = vec![Area::Offsets, Area::Delay, Area::Timer, Area::Config];
    only
}

/// What stores and snapshots find alike.
fn is_told(report: &DiffReport, change: Change, known: &Known) -> TestCaseResult {
    if let Some(end) = known.end {
        prop_assert_eq!(report.commitlog.b.max_offset, end, "{:?}", change);
    }
    let gap = report.report.findings().iter().find(|finding| finding.id == "pair.log-gap");
    let gap = gap.and_then(|finding| finding.location.offset.zip(finding.location.length));
    prop_assert_eq!(gap, known.gap, "{:?}", change);
    if known.gap.is_some() || known.queue.is_some() || known.physical_offset.is_some() {
        prop_assert_eq!(report.outcome(), Outcome::Found, "{:?}", change);
    }
    if let Some(queue) = known.queue {
        let lost = report.queues.iter().find(|row| row.queue_id == queue).unwrap();
        prop_assert!(lost.a.is_some() && lost.b.is_none(), "{:?}: {:?}", change, lost);
    }
    Ok(())
}

#[test]
fn five_thousand_random_pairs_of_stores_part_exactly_where_they_were_changed() {
    let only = log_and_queues();
    with_pairs(|pair, change, known| {
        let report = stores(&pair.a(), &pair.b(), &only);
        is_told(&report, change, known)?;
        let found = report.commitlog.divergence.as_ref();
        let place = found.map(|found| (found.physical_offset, found.record_offset, found.exact));
        let expected = known.physical_offset.map(|at| (at, known.record_offset, true));
        prop_assert_eq!(place, expected, "{:?}: {:#?}", change, report.commitlog);
        Ok(())
    });
}

fn taken(root: &Path, range: Option<(u64, u64)>) -> Snapshot {
    let mut options = SnapshotOptions::default();
    // No records by themselves: those of the range are to find it.
    (options.digest, options.recent, options.range) = (DigestScope::All, 0, range);
    snapshot::take(&open(root), &options, &NoProgress).unwrap()
}

#[test]
fn five_thousand_random_pairs_of_snapshots_part_in_the_chunk_then_in_the_record_then_at_the_byte() {
    let only = log_and_queues();
    // The first store is always the same one.
    let snapshots_of_a = Mutex::new(HashMap::new());
    with_pairs(|pair, change, known| {
        let of_a = |range: Option<(u64, u64)>| -> Snapshot {
            let mut known = snapshots_of_a.lock().unwrap();
            known.entry(range).or_insert_with(|| taken(&pair.a(), range)).clone()
        };
        let compared = |range| {
            let (a, b) = (of_a(range), taken(&pair.b(), range));
            diff(&Side::Snapshot(&a), &Side::Snapshot(&b), &only, &NoProgress).unwrap()
        };
        let parted = |report: &DiffReport| report.commitlog.divergence.clone().unwrap_or_default();
        let whole = compared(None);
        is_told(&whole, change, known)?;
        let Some(offset) = known.physical_offset else {
            prop_assert_eq!(&whole.commitlog.divergence, &None, "{:?}", change);
            return Ok(());
        };
        let around = |found: &Divergence| {
            found.chunk.filter(|chunk| chunk.from <= offset && offset < chunk.to).map(|chunk| (chunk.from, chunk.to))
        };
        // The chunk; the range that the first comparison names, of both sides; and the one that this one names.
        let chunk = around(&parted(&whole));
        prop_assert!(chunk.is_some(), "{:?}: {} is not in {:#?}", change, offset, whole.commitlog);
        let in_record = parted(&compared(chunk));
        prop_assert_eq!(in_record.record_offset, known.record_offset, "{:?}: {:#?}", change, in_record);
        let record = around(&in_record);
        prop_assert!(record.is_some(), "{:?}: {} is not in {:#?}", change, offset, in_record);
        let at_byte = parted(&compared(record));
        let place = (at_byte.physical_offset, at_byte.record_offset, at_byte.exact);
        prop_assert_eq!(place, (offset, known.record_offset, true), "{:?}: {:#?}", change, at_byte);
        // One side may as well be the store itself.
        let side = of_a(record);
        let log = diff(&Side::Snapshot(&side), &Side::store(&open(&pair.b())), &only, &NoProgress).unwrap().commitlog;
        prop_assert_eq!(log.divergence, Some(at_byte), "{:?}", change);
        Ok(())
    });
}
