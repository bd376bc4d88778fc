//! What one piece of the log says by itself: records found, checked and hashed without those before them.
//!
//! This is the part of the log pass that threads do side by side. A piece in the middle of a file begins where the first
//! record names its own place. That is a guess: the pass takes a row only where its own walk has come to exactly that
//! place, and reads what no row fits itself.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::{Entry, MessageRecord, TransactionType, resync_within};
use mqstore_core::format::{java_hash, java_hash_from};

use super::names::Finder;
use super::record::{self, Known, has_unit};
use crate::finding::Finding;

/// Bytes of the log that are one piece.
pub(super) const PIECE: usize = 1 << 20;
/// The shortest piece of a short file, a multiple of every page size.
pub(super) const LEAST_PIECE: usize = 64 << 10;

/// No number of a queue.
const NO_QUEUE: u32 = u32::MAX;

/// What the log pass keeps of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) position: u64,
    pub(super) queue_offset: i64,
    pub(super) store_timestamp: i64,
    pub(super) size: u32,
    queue: u32,
    /// Hash of its tag, 0 without one.
    pub(super) tags_hash: i32,
    /// Keys it is indexed under.
    pub(super) keys: u16,
    findings: u16,
    pub(super) has_unique_key: bool,
    /// Entries in the index are made for its keys.
    pub(super) is_indexed: bool,
    /// The body does not match its CRC.
    pub(super) has_bad_body: bool,
}

impl Row {
    /// The number of its queue, if the record is like most: one message, one unit, nothing about it that only other
    /// records tell.
    #[inline]
    pub(super) fn plain_queue(&self) -> Option<usize> {
        (self.queue != NO_QUEUE).then_some(self.queue as usize)
    }
}

/// The records of a piece.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) rows: Vec<Row>,
    /// Hashes of the keys of all rows, one row behind the other.
    pub(super) hashes: Vec<i32>,
    /// What is wrong with the records by themselves, one row behind the other.
    pub(super) findings: Vec<Finding>,
}

/// The room of pieces that were taken, for those that come: so records cost no memory, however many there are.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<Vec<Ahead>>);

impl Spare {
    /// Nothing, with room.
    pub(super) fn get(&self) -> Ahead {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Takes back what was got.
    pub(super) fn put(&self, mut ahead: Ahead) {
        ahead.rows.clear();
        ahead.hashes.clear();
        ahead.findings.clear();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ahead);
    }
}

/// One log file that is read in pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogFile<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) base: u64,
    /// Path below the store root, for findings.
    pub(super) path: &'a str,
    /// Whether the hashes of the keys are wanted.
    pub(super) hashes: bool,
}

impl LogFile<'_> {
    /// Reads the records that begin in `range` into `ahead`, which is empty.
    pub(super) fn read(&self, finder: &mut Finder, range: Range<usize>, mut ahead: Ahead) -> Ahead {
        let mut at = range.start;
        let mut synced = at == 0;
        while at < range.end {
            if !synced {
                let found = resync_within(self.bytes, PhysicalOffset(self.base), at..range.end);
                let found = found.and_then(|record| usize::try_from(record.position.get() - self.base).ok());
                let Some(found) = found else { break };
                (at, synced) = (found, true);
            }
            let rest = self.bytes.get(at..).unwrap_or_default();
            match Entry::parse(rest, PhysicalOffset(self.base.saturating_add(at as u64))) {
                Ok(Entry::Message(record)) => {
                    ahead.add(finder, self, &record);
                    at += record.bytes.len();
                }
                Ok(Entry::Blank(_)) => break,
                Err(_) => (at, synced) = (at + 1, false),
            }
        }
        ahead
    }
}

impl Ahead {
    /// The one record at a place.
    pub(super) fn of(finder: &mut Finder, file: &LogFile<'_>, record: &MessageRecord<'_>) -> Self {
        let mut ahead = Self::default();
        ahead.add(finder, file, record);
        ahead
    }

    fn add(&mut self, finder: &mut Finder, file: &LogFile<'_>, record: &MessageRecord<'_>) {
        let known = Known::of(record);
        let before = self.findings.len();
        let has_bad_body = record::check(&mut self.findings, file.path, record, &known);
        let queue = finder.find(record.topic, record.queue_id);
        let hashes = self.hashes.len();
        if file.hashes {
            let seed = queue.and_then(|number| finder.names().key_seed(number));
            let seed = seed.unwrap_or_else(|| java_hash_from(java_hash(record.topic), b"#"));
            let hash = |key| java_hash_from(seed, key).checked_abs().unwrap_or(0);
            self.hashes.extend(known.indexed_keys().map(hash));
        }
        // Java and Rust disagree on the replacement characters of text that is not UTF-8.
        let comparable = known.tags.is_none_or(|tags| tags.is_ascii() || std::str::from_utf8(tags).is_ok());
        let is_plain = comparable
            && record.prepared_transaction_offset == 0
            && known.multi_dispatch.is_none()
            && !record.sys_flag.is_inner_batch()
            && has_unit(record);
        let queue = queue.filter(|number| is_plain && finder.names().is_plain(*number)).unwrap_or(NO_QUEUE);
        let count = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        self.rows.push(Row {
            position: record.position.get(),
            queue_offset: record.queue_offset,
            store_timestamp: record.store_timestamp,
            size: record.total_size(),
            queue,
            tags_hash: known.tags.map_or(0, java_hash),
            // A record has at most 32,767 bytes of properties.
            keys: count(self.hashes.len() - hashes),
            findings: count(self.findings.len() - before),
            has_unique_key: known.uniq_key.is_some(),
            is_indexed: record.sys_flag.transaction_type() != TransactionType::Rollback,
            has_bad_body,
        });
    }
}

/// Goes through the rows of a piece with what belongs to each.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    left: std::slice::Iter<'a, Row>,
    hashes: &'a [i32],
    findings: std::vec::Drain<'a, Finding>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(ahead: &'a mut Ahead) -> Self {
        Self { left: ahead.rows.iter(), hashes: &ahead.hashes, findings: ahead.findings.drain(..) }
    }

    /// The row of the record at `position`, with the hashes of its keys. Rows before it are passed over.
    #[inline]
    pub(super) fn at(&mut self, position: u64) -> Option<(&'a Row, &'a [i32])> {
        loop {
            let row = self.left.as_slice().first().filter(|row| row.position <= position)?;
            self.left.next();
            let (hashes, rest) = self.hashes.split_at_checked(usize::from(row.keys))?;
            self.hashes = rest;
            if row.position == position {
                return Some((row, hashes));
            }
            self.findings(row).for_each(drop);
        }
    }

    /// The findings of the row that was given last.
    pub(super) fn findings(&mut self, row: &Row) -> impl Iterator<Item = Finding> + use<'_, 'a> {
        self.findings.by_ref().take(usize::from(row.findings))
    }
}
