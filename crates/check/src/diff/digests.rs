//! Two logs by their digests, when at least one of them is a snapshot.
//!
//! The snapshot says where chunks and grains begin and end; a store computes the digest of exactly these bytes. Of two
//! snapshots only those chunks and grains can be compared that both have: of a chunk that one log ends in, the grains
//! before that end.

use std::borrow::Cow;
use std::collections::HashMap;

use mqstore_core::StoreError;
use mqstore_core::progress::Progress;
use mqstore_core::store::CommitLog;

use super::report::PhysicalRange;
use crate::snapshot::{
    Chunk, Digest, GOES_ON, LogSnapshot, RecentRecord, RecordRange, SnapshotError, digest_of, record_range,
};

/// One side of the comparison.
pub(super) enum Source<'a> {
    Store { log: &'a CommitLog, reach: u64 },
    Snapshot { log: &'a LogSnapshot, chunks: HashMap<u64, Chunk>, grains: HashMap<(u64, u64), Digest> },
}

impl<'a> Source<'a> {
    pub(super) fn store(log: &'a CommitLog, positions: &LogSnapshot) -> Self {
        Self::Store { log, reach: positions.reach() }
    }

    pub(super) fn snapshot(log: &'a LogSnapshot) -> Self {
        let chunks = log.chunks.iter().map(|chunk| (chunk.from, *chunk)).collect();
        let grains = log.tail.iter().map(|grain| ((grain.from, grain.to), grain.digest)).collect();
        Self::Snapshot { log, chunks, grains }
    }

    fn chunk(&self, from: u64, to: u64) -> Result<Option<Digest>, StoreError> {
        match self {
            Self::Store { log, reach } if to <= *reach => digest_of(log, from, to, false),
            Self::Store { .. } => Ok(None),
            Self::Snapshot { chunks, .. } => {
                Ok(chunks.get(&from).filter(|chunk| chunk.to == to).map(|chunk| chunk.digest))
            }
        }
    }

    fn grain(&self, from: u64, to: u64) -> Result<Option<Digest>, StoreError> {
        match self {
            Self::Store { log, reach } if to <= *reach => digest_of(log, from, to, true),
            Self::Store { .. } => Ok(None),
            Self::Snapshot { grains, .. } => Ok(grains.get(&(from, to)).copied()),
        }
    }

    /// What it can tell of a stretch that was asked for: from, to, and the length of a row unless any will do.
    fn asked(&self) -> Option<(u64, u64, Option<u64>)> {
        match self {
            Self::Snapshot { log, .. } => log.range.as_ref().map(|range| (range.from, range.to, Some(range.piece))),
            Self::Store { reach, .. } => Some((0, *reach, None)),
        }
    }

    /// The rows of `from .. to`, at most `piece` bytes each.
    fn range(&self, from: u64, to: u64, piece: u64) -> Result<Cow<'a, RecordRange>, StoreError> {
        Ok(match self {
            Self::Store { log, .. } => Cow::Owned(record_range(log, from, to, piece)?),
            Self::Snapshot { log, .. } => log.range.as_ref().map(Cow::Borrowed).unwrap_or_default(),
        })
    }

    /// Where the file begins that holds `offset`.
    fn file_start(&self, offset: u64) -> Option<u64> {
        match self {
            Self::Store { log, .. } => log.queue().find(offset).map(|file| file.file_from_offset),
            Self::Snapshot { log, .. } => log.files.iter().map(|file| file.from).filter(|from| *from <= offset).max(),
        }
    }

    /// Where the chunk ends that begins at `from`, if its file goes on behind it or is closed there: not where the log ends.
    fn closed_end(&self, from: u64) -> Option<u64> {
        match self {
            Self::Store { .. } => None,
            Self::Snapshot { log, chunks, .. } => {
                chunks.get(&from).map(|chunk| chunk.to).filter(|to| *to < log.max_offset)
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) bytes: u64,
    /// Behind the last run that was compared.
    pub(super) end: u64,
    pub(super) parted: Option<PhysicalRange>,
}

/// Compares `from .. to` by the chunks of `layout`, of which `this` is the source.
pub(super) fn compare(
    layout: &LogSnapshot,
    (this, other): (&Source<'_>, &Source<'_>),
    from: u64,
    to: u64,
    progress: &dyn Progress,
) -> Result<Comparison, SnapshotError> {
    let mut result = Comparison::default();
    for chunk in layout.chunks.iter().filter(|chunk| chunk.to > from && chunk.from < to) {
        if progress.cancelled() {
            return Err(SnapshotError::Cancelled);
        }
        let whole = chunk.from >= from && chunk.to <= to;
        let theirs = if whole { other.chunk(chunk.from, chunk.to)? } else { None };
        if theirs == Some(chunk.digest) {
            result.bytes += chunk.to - chunk.from;
            result.end = chunk.to;
            progress.update(result.bytes, Some(to - from));
            continue;
        }
        let grains = layout.tail.iter().filter(|g| g.from >= chunk.from.max(from) && g.to <= chunk.to.min(to));
        for grain in grains {
            match other.grain(grain.from, grain.to)? {
                Some(digest) if digest == grain.digest => {
                    result.bytes += grain.to - grain.from;
                    result.end = grain.to;
                }
                Some(_) => {
                    result.parted = Some(PhysicalRange { from: grain.from, to: grain.to });
                    return Ok(result);
                }
                None => {}
            }
        }
        // The chunk differs, but no grain of it is known that does.
        if theirs.is_some() {
            result.parted = Some(PhysicalRange { from: chunk.from, to: chunk.to });
            return Ok(result);
        }
        if let (Some(mine), Some(theirs)) = (this.closed_end(chunk.from), other.closed_end(chunk.from))
            && mine != theirs
            && mine.max(theirs) <= to
        {
            result.parted = Some(PhysicalRange { from: chunk.from, to: mine.max(theirs) });
            return Ok(result);
        }
    }
    Ok(result)
}

/// What the last records of both sides say, or the rows of a range.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// The first offset from which on both sides know each record.
    pub(super) from: u64,
    /// Behind the last record that is the same.
    to: u64,
    /// The first row that differs.
    pub(super) parted: Option<PhysicalRange>,
    /// Where the record begins that holds it.
    pub(super) record: u64,
    /// Whether the row is a byte.
    pub(super) exact: bool,
}

impl Records {
    /// Bytes of equal records from `offset` on.
    pub(super) fn bytes_behind(&self, offset: u64) -> u64 {
        self.to.saturating_sub(offset.max(self.from))
    }
}

/// Compares those of `from .. to` among the last records that both sides know one by one.
pub(super) fn compare_records(a: &LogSnapshot, b: &LogSnapshot, from: u64, to: u64) -> Records {
    let (Some(first_a), Some(first_b)) = (a.recent.first(), b.recent.first()) else { return Records::default() };
    let from = from.max(first_a.physical_offset).max(first_b.physical_offset);
    compare_rows(&a.recent, &b.recent, from, to)
}

/// Compares what both have of a stretch that was asked for row by row; of a store the rows are read now.
pub(super) fn compare_ranges((a, b): (&Source<'_>, &Source<'_>), from: u64, to: u64) -> Result<Records, SnapshotError> {
    let (Some(of_a), Some(of_b)) = (a.asked(), b.asked()) else { return Ok(Records::default()) };
    let (from, to) = (from.max(of_a.0).max(of_b.0), to.min(of_a.1).min(of_b.1));
    let piece = match (of_a.2, of_b.2) {
        // Rows of records say nothing of rows of bytes.
        (Some(a), Some(b)) if a != b => return Ok(Records::default()),
        (piece, other) => piece.or(other).unwrap_or_default(),
    };
    if from >= to {
        return Ok(Records::default());
    }
    let (in_a, in_b) = (a.range(from, to, piece)?, b.range(from, to, piece)?);
    let mut found = compare_rows(&in_a.records, &in_b.records, from, to);
    found.exact = piece == 1;
    if let Some(parted) = found.parted {
        found.record = start_of(&in_a, parted.from).max(start_of(&in_b, parted.from));
    }
    if in_a.from == in_b.from && in_a.before.is_some() && in_a.before == in_b.before {
        found.from = a.file_start(in_a.from).into_iter().chain(b.file_start(in_a.from)).max().unwrap_or(found.from);
    }
    Ok(found)
}

/// Where the record begins that holds `offset`.
fn start_of(range: &RecordRange, offset: u64) -> u64 {
    let rows = range.records.partition_point(|row| row.physical_offset <= offset);
    let begins = range.records.iter().take(rows).rfind(|row| row.store_timestamp != GOES_ON);
    begins.map_or(range.record, |row| row.physical_offset)
}

fn compare_rows(a: &[RecentRecord], b: &[RecentRecord], from: u64, to: u64) -> Records {
    if from >= to {
        return Records::default();
    }
    let known = |rows: &[RecentRecord]| {
        let range = |offset: u64| rows.partition_point(|record| record.physical_offset < offset);
        rows.get(range(from)..range(to)).unwrap_or_default().to_vec()
    };
    let (known_a, known_b) = (known(a), known(b));
    // The time is in the digest where it counts, and one side may not know it.
    let equal = |a: &RecentRecord, b: &RecentRecord| (a.physical_offset, a.digest) == (b.physical_offset, b.digest);
    let same = known_a.iter().zip(&known_b).take_while(|(a, b)| equal(a, b)).count();
    let next = |records: &[RecentRecord], n: usize| records.get(n).map(|record| record.physical_offset);
    let parted = match (next(&known_a, same), next(&known_b, same)) {
        (None, None) => None,
        (at_a, at_b) => {
            let from = at_a.into_iter().chain(at_b).min().unwrap_or(from);
            let behind = [next(&known_a, same + 1), next(&known_b, same + 1)];
            Some(PhysicalRange { from, to: behind.into_iter().flatten().filter(|at| *at > from).max().unwrap_or(to) })
        }
    };
    let to = parted.map_or(to, |parted| parted.from);
    Records { from, to, parted, record: to, exact: false }
}

/// Whether a log has that record among its last ones.
pub(super) fn has_record(log: &LogSnapshot, offset: u64, digest: u64) -> bool {
    let at = log.recent.binary_search_by_key(&offset, |record| record.physical_offset);
    at.ok().and_then(|n| log.recent.get(n)).is_some_and(|record| record.digest == digest)
}

/// Whether some grain or chunk between `from` and `to` is the same on both sides.
pub(super) fn any_equal(layout: &LogSnapshot, other: &Source<'_>, from: u64, to: u64) -> Result<bool, SnapshotError> {
    let inside = |chunk: &&Chunk| chunk.from >= from && chunk.to <= to;
    for grain in layout.tail.iter().filter(inside) {
        if other.grain(grain.from, grain.to)? == Some(grain.digest) {
            return Ok(true);
        }
    }
    for chunk in layout.chunks.iter().filter(inside) {
        if other.chunk(chunk.from, chunk.to)? == Some(chunk.digest) {
            return Ok(true);
        }
    }
    Ok(false)
}
