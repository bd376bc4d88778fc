//! Two logs by their digests, when at least one of them is a snapshot.
//!
//! The snapshot says where chunks and grains begin and end; a store computes the digest of exactly these bytes. Of two
//! snapshots only those chunks and grains can be compared that both have: of a chunk that one log ends in, the grains
//! before that end.

use std::collections::HashMap;

use mqstore_core::StoreError;
use mqstore_core::progress::Progress;
use mqstore_core::store::CommitLog;

use super::report::PhysicalRange;
use crate::snapshot::{Chunk, Digest, LogSnapshot, SnapshotError, digest_of};

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
            progress.update(result.bytes, Some(to - from));
            continue;
        }
        let grains = layout.tail.iter().filter(|g| g.from >= chunk.from.max(from) && g.to <= chunk.to.min(to));
        for grain in grains {
            match other.grain(grain.from, grain.to)? {
                Some(digest) if digest == grain.digest => result.bytes += grain.to - grain.from,
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
