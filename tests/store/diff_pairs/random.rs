//! Pairs changed at random: where they part is known, because it was made here.

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_check::diff::{Area, Side, diff};
use mqstore_check::snapshot::{self, DigestScope, SnapshotOptions};
use mqstore_core::progress::NoProgress;
use mqstore_testkit::damage;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{build, open, options, stores};

/// What is done to the second of two equal stores.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// Flips a bit of the byte at this share of the log.
    Flip(f64, u8),
    /// Another master wrote from this record on.
    Rewrite(usize),
    /// From this record on nothing was written.
    Cut(usize),
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0.0..1.0f64, 0..8u8).prop_map(|(share, bit)| Change::Flip(share, bit)),
        (1..299usize).prop_map(Change::Rewrite),
        (1..300usize).prop_map(Change::Cut),
    ]
}

/// The files of the log, by their offsets.
fn log_files(root: &Path) -> Vec<(u64, PathBuf, Vec<u8>)> {
    let files = damage::files(&root.join("commitlog")).into_iter();
    let number = |path: &Path| path.file_name().unwrap().to_str().unwrap().parse().unwrap();
    files.map(|path| (number(&path), path.clone(), fs::read(&path).unwrap())).collect()
}

#[test]
fn pairs_changed_at_random_part_exactly_where_they_were_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let placed = build(&a, u64::MAX);
    build(&b, u64::MAX);
    let sound = log_files(&b);
    let end = placed[299].physical_offset + placed[299].size as u64;
    let mut runner = TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let case = |change: Change| {
        let mut files = sound.clone();
        let mut at = |offset: u64, change: &mut dyn FnMut(&mut u8)| {
            let (base, _, bytes) = files.iter_mut().rfind(|(base, ..)| *base <= offset).unwrap();
            change(&mut bytes[usize::try_from(offset - *base).unwrap()]);
        };
        let record_of = |offset: u64| placed.iter().rposition(|p| p.physical_offset <= offset).unwrap();
        let inside = |n: usize, offset: u64| offset < placed[n].physical_offset + placed[n].size as u64;
        // Where the logs part, and where the second one ends.
        let expected = match change {
            Change::Flip(share, bit) => {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
                let offset = (share * end as f64) as u64;
                at(offset, &mut |byte| *byte ^= 1 << bit);
                let record = record_of(offset);
                let blank = placed[record].physical_offset + placed[record].size as u64;
                if inside(record, offset) && record < 299 {
                    (Some(offset), None)
                } else if inside(record, offset) {
                    (None, Some(placed[299].physical_offset))
                } else if offset < blank + 8 {
                    (Some(offset), None)
                } else {
                    (None, Some(end))
                }
            }
            Change::Rewrite(n) => {
                for placed in &placed[n..] {
                    // Body checksum and a byte of the body that fit to each other are not needed: the logs differ.
                    at(placed.physical_offset + 20, &mut |byte| *byte ^= 0x40);
                }
                (Some(placed[n].physical_offset + 20), Some(end))
            }
            Change::Cut(n) => {
                for offset in placed[n].physical_offset..end {
                    at(offset, &mut |byte| *byte = 0);
                }
                (None, Some(placed[n].physical_offset))
            }
        };
        for (_, path, bytes) in &files {
            fs::write(path, bytes).unwrap();
        }
        let mut only_log = options();
        only_log.ignore = vec![Area::Queues, Area::Offsets, Area::Delay, Area::Timer, Area::Config];
        let log = stores(&a, &b, &only_log).commitlog;
        let parted = log.divergence.as_ref().map(|divergence| divergence.physical_offset);
        prop_assert_eq!(parted, expected.0, "{:?}: {:#?}", change, log);
        if let Some(end) = expected.1 {
            prop_assert_eq!(log.b.max_offset, end, "{:?}", change);
        }
        let all = {
            let mut o = SnapshotOptions::default();
            o.digest = DigestScope::All;
            o
        };
        let [a, b] = [&a, &b].map(|root| snapshot::take(&open(root), &all, &NoProgress).unwrap());
        let log = diff(&Side::Snapshot(&a), &Side::Snapshot(&b), &only_log, &NoProgress).unwrap().commitlog;
        if let Some(offset) = expected.0 {
            let chunk = log.divergence.as_ref().and_then(|divergence| divergence.chunk);
            let inside = chunk.is_some_and(|chunk| chunk.from <= offset && offset < chunk.to);
            prop_assert!(inside, "{:?}: {} is not in {:?} of {:#?}", change, offset, chunk, log);
        } else {
            prop_assert_eq!(log.divergence, None, "{:?}", change);
        }
        Ok(())
    };
    runner.run(&changes(), case).unwrap();
}
