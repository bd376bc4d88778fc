//! Is the commit log beside a store the one that a backup was made of?
//!
//! A backup does not hold the log, but its manifest holds a digest of the log's last bytes as they were. A broker only ever
//! appends, so the same bytes at the same physical offsets are the same log, whatever came after; a slave has them, too.

use mqstore_core::store::CommitLog;
use mqstore_core::{PhysicalOffset, StoreError};
use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::manifest::{CommitLogPositions, LastRecord, LogTail, OffsetRange};

/// So much of the log's end is digested, in bytes: a few hundred records, or the last one if that is larger.
const TAIL: u64 = 256 << 10;

/// What the log that lies beside a store is to a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogMatch {
    /// It holds the bytes that the backup was made beside, and all that the archived queues need.
    Same,
    /// It is another log, or a broker has cut it and gone on: the bytes of this range are not those of the backup.
    Differs(OffsetRange),
    /// It ends before what the archived queues need does, or begins behind it: `has` is what there is of it. What has
    /// expired at its beginning is not missed.
    NotCovering {
        /// What the archived queues need.
        needs: OffsetRange,
        /// First offset, and the offset behind the last record.
        has: OffsetRange,
    },
    /// It covers what the queues need, but the bytes to compare have expired, or the manifest has no digest.
    Unknown,
}

/// Compares the log with what a manifest says of the one beside the backup. Reads the log's last files (to find its end) and
/// up to 256 KiB; `end` is [`CommitLog::end`], if the caller has it already.
pub fn compare(
    backup: &CommitLogPositions,
    log: &CommitLog,
    end: Option<PhysicalOffset>,
) -> Result<LogMatch, StoreError> {
    let end = match end {
        Some(end) => end,
        None => log.end()?.offset,
    };
    let has = OffsetRange { from: log.min_offset().get(), to: end.get() };
    if let Some(tail) = &backup.tail
        && has.from <= tail.from
        && tail.to <= has.to
    {
        let range = OffsetRange { from: tail.from, to: tail.to };
        if digest(log, range)?.is_some_and(|found| found != tail.sha256) {
            return Ok(LogMatch::Differs(range));
        }
    }
    // What has expired at the log's beginning is no loss of the backup: a broker moves the queues' ends along.
    if let Some(needs) = backup.required
        && (has.to < needs.to || needs.to <= has.from)
    {
        return Ok(LogMatch::NotCovering { needs, has });
    }
    match &backup.tail {
        Some(tail) if has.from <= tail.from && tail.to <= has.to => Ok(LogMatch::Same),
        // A shorter log whose bytes go on like the backup's up to its end cannot be told from another one by the tail.
        _ => Ok(LogMatch::Unknown),
    }
}

/// The last record before `end`, and a digest of the bytes up to it.
pub(crate) fn tail(log: &CommitLog, end: PhysicalOffset) -> Result<(Option<LastRecord>, Option<LogTail>), StoreError> {
    let mut last = None;
    let mut starts = Vec::new();
    let from = end.get().saturating_sub(TAIL).max(log.min_offset().get());
    if let Some(first) = log.entry_from(PhysicalOffset(from))? {
        log.scan(first, false, |entry| {
            if entry.position() >= end {
                return std::ops::ControlFlow::Break(());
            }
            if let mqstore_core::format::commitlog::Entry::Message(record) = entry {
                starts.push(record.position.get());
                last = Some(LastRecord {
                    physical_offset: record.position.get(),
                    total_size: record.end().since(record.position),
                    store_timestamp: record.store_timestamp,
                });
            }
            std::ops::ControlFlow::Continue(())
        })?;
    }
    // From the beginning of a record on, so that whoever looks at the offsets finds something there.
    let range = starts.first().map(|from| OffsetRange { from: *from, to: end.get() });
    let digest = range.map(|range| digest(log, range)).transpose()?.flatten();
    let tail = range.zip(digest).map(|(range, sha256)| LogTail { from: range.from, to: range.to, sha256 });
    Ok((last, tail))
}

/// SHA-256 of a range of the log; `None` where a file of it is missing.
fn digest(log: &CommitLog, range: OffsetRange) -> Result<Option<String>, StoreError> {
    let mut hash = Sha256::new();
    let mut at = range.from;
    while at < range.to {
        let Some(file) = log.queue().find(at) else { return Ok(None) };
        let map = file.map()?;
        let begin = usize::try_from(at - file.file_from_offset).unwrap_or(usize::MAX);
        let end = usize::try_from(range.to.min(file.end()) - file.file_from_offset).unwrap_or(usize::MAX);
        hash.update(map.get(begin..end).unwrap_or_default());
        map.check()?;
        at = file.end();
    }
    let digest: [u8; 32] = hash.finalize().into();
    Ok(Some(hex(&digest)))
}
