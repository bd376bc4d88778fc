//! The log: its end, its last records one by one, and its digests.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use mqstore_core::format::commitlog::{Entries, Entry, MagicCode, MessageRecord, resync};
use mqstore_core::progress::Progress;
use mqstore_core::store::{CommitLog, MappedFile, QueueFile};
use mqstore_core::{PhysicalOffset, StoreError};

use super::digest::{ALGORITHM, Digest, GRAIN, PIECE, of_record};
use super::document::{
    Chunk, FileDigest, LogFeatures, LogSnapshot, RecentRecord, RecordRange, Stale, Unread, full_text,
};
use super::{DigestScope, SnapshotError, SnapshotOptions};

/// Length of the end of the log of which the grains are kept.
const TAIL: u64 = 64 << 20;
/// Instead of a time: the row goes on from the one before.
pub(crate) const GOES_ON: i64 = -1;
/// Length of a blank that is the same on both sides.
const BLANK_HEADER: u64 = mqstore_core::format::commitlog::MIN_BLANK_LENGTH as u64;

pub(super) fn read(
    log: &CommitLog,
    options: &SnapshotOptions,
    progress: &dyn Progress,
    unread: &mut Vec<Unread>,
) -> Result<LogSnapshot, SnapshotError> {
    let mut snapshot = LogSnapshot {
        file_size: log.file_size(),
        min_offset: log.min_offset().get(),
        chunk_size: options.chunk.div_ceil(GRAIN).max(1) * GRAIN,
        ..LogSnapshot::default()
    };
    find_end(log, options.recent, progress, &mut snapshot)?;
    let reach = snapshot.reach();
    if let Some((from, to)) = options.range {
        let piece = if to.saturating_sub(from) <= PIECE { 1 } else { PIECE };
        snapshot.range = Some(record_range(log, from, to.min(reach), piece)?);
    }
    snapshot.files = log
        .files()
        .iter()
        .map(|file| FileDigest { from: file.file_from_offset, length: file.length, records: None, digest: None })
        .collect();
    let with_records: Vec<usize> =
        (0..log.files().len()).filter(|n| log.files().get(*n).is_some_and(|f| f.file_from_offset < reach)).collect();
    let wanted = match options.digest {
        DigestScope::None => return Ok(snapshot),
        DigestScope::All => with_records.len(),
        DigestScope::Last(files) => files,
    };
    snapshot.digest = Some(ALGORITHM.to_owned());
    let wanted = with_records.get(with_records.len().saturating_sub(wanted)..).unwrap_or_default();
    let total = wanted.iter().filter_map(|n| log.files().get(*n)).map(|f| f.length.min(reach - f.file_from_offset));
    let mut watch = Watch { progress, done: 0, total: total.sum() };
    for number in wanted {
        let Some(file) = log.files().get(*number) else { continue };
        match digest_file(file, reach, &mut snapshot, &mut watch) {
            Ok(()) => {}
            // A broker may have expired it since.
            Err(SnapshotError::Store(error)) => {
                unread.push(Unread { what: file.path.to_string_lossy().into_owned(), why: full_text(&error) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(snapshot)
}

struct Watch<'a> {
    progress: &'a dyn Progress,
    done: u64,
    total: u64,
}

impl Watch<'_> {
    fn add(&mut self, bytes: u64) -> Result<(), SnapshotError> {
        self.done += bytes;
        self.progress.update(self.done, Some(self.total));
        if self.progress.cancelled() { Err(SnapshotError::Cancelled) } else { Ok(()) }
    }
}

impl LogSnapshot {
    /// Where the bytes end that may be compared: behind the last record, also behind one that is damaged.
    pub(crate) fn reach(&self) -> u64 {
        self.stale.map_or(self.max_offset, |stale| stale.end.max(self.max_offset))
    }
}

/// Where the log ends, and what lies shortly before that.
///
/// A broker's normal start reads the last three files; here the last one that was written to is enough, because whatever is
/// wrong with the others shows in the comparison, which tells better what it is than an early end.
fn find_end(
    log: &CommitLog,
    recent: usize,
    progress: &dyn Progress,
    snapshot: &mut LogSnapshot,
) -> Result<(), SnapshotError> {
    let written = |file: &QueueFile| -> Result<bool, StoreError> {
        Ok(file.map()?.get(..8).is_some_and(|head| head.iter().any(|byte| *byte != 0)))
    };
    let mut number = log.files().len().saturating_sub(1);
    while number > 0 && !log.files().get(number).is_some_and(|file| written(file).unwrap_or(true)) {
        number -= 1;
    }
    let from = log.files().get(number).map_or(0, |file| file.file_from_offset);
    let mut last = Last { wanted: recent, records: VecDeque::new() };
    let mut newest = None;
    let end = log.scan(PhysicalOffset(from), true, |entry| {
        if let Entry::Message(record) = entry {
            newest = Some(record.store_timestamp);
            last.push(record);
        } else if progress.cancelled() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    if end.stopped {
        return Err(SnapshotError::Cancelled);
    }
    snapshot.max_offset = end.offset.get();
    end.kind.as_str().clone_into(&mut snapshot.end);
    if let Some(stale) = end.stale {
        let (first, end, records) = (stale.first.get(), stale.end.get(), stale.records);
        snapshot.stale = Some(Stale { first, end, records, first_digest: record_digest(log, stale.first)? });
    }
    // A log that has just begun a file has few records in it.
    while last.records.len() < recent && number > 0 {
        number -= 1;
        let Some(file) = log.files().get(number) else { break };
        let mut before = Last { wanted: recent - last.records.len(), records: VecDeque::new() };
        walk(&file.map()?, PhysicalOffset(file.file_from_offset), |record| before.push(record));
        before.records.append(&mut last.records);
        last.records = before.records;
    }
    snapshot.newest_store_timestamp = newest.or(last.records.back().map(|record| record.store_timestamp));
    snapshot.recent = last.hash(log)?;
    Ok(())
}

/// The last records of a walk.
struct Last {
    wanted: usize,
    records: VecDeque<Place>,
}

struct Place {
    physical_offset: u64,
    size: usize,
    store_timestamp: i64,
}

impl Last {
    fn push(&mut self, record: &MessageRecord<'_>) {
        if self.records.len() == self.wanted {
            self.records.pop_front();
        }
        if self.wanted > 0 {
            let (physical_offset, store_timestamp) = (record.position.get(), record.store_timestamp);
            self.records.push_back(Place { physical_offset, size: record.bytes.len(), store_timestamp });
        }
    }

    /// Only now is it known which ones are the last.
    fn hash(self, log: &CommitLog) -> Result<Vec<RecentRecord>, StoreError> {
        let mut open: Option<(&QueueFile, MappedFile)> = None;
        let mut hashed = Vec::with_capacity(self.records.len());
        for Place { physical_offset, size, store_timestamp } in self.records {
            if open.as_ref().is_none_or(|(file, _)| physical_offset >= file.end()) {
                let Some(file) = log.queue().find(physical_offset) else { continue };
                open = Some((file, file.map()?));
            }
            let Some((file, map)) = &open else { continue };
            let at = to_usize(physical_offset - file.file_from_offset);
            let bytes = map.get(at..at.saturating_add(size)).unwrap_or_default();
            hashed.push(RecentRecord { physical_offset, store_timestamp, digest: of_record(bytes) });
        }
        Ok(hashed)
    }
}

/// The digest of the record at `offset`; 0 if there is none.
fn record_digest(log: &CommitLog, offset: PhysicalOffset) -> Result<u64, StoreError> {
    let mut digest = 0;
    log.scan(offset, false, |entry| {
        if let Entry::Message(record) = entry {
            digest = of_record(record.bytes);
        }
        ControlFlow::Break(())
    })?;
    Ok(digest)
}

/// Digests of one file, cut at `reach`.
fn digest_file(
    file: &QueueFile,
    reach: u64,
    snapshot: &mut LogSnapshot,
    watch: &mut Watch<'_>,
) -> Result<(), SnapshotError> {
    let map = file.map()?;
    map.advise_sequential();
    let base = file.file_from_offset;
    let limit = usize::try_from(reach.saturating_sub(base)).unwrap_or(usize::MAX).min(map.len());
    let bytes = map.get(..limit).unwrap_or_default();
    let mut counts = Counts { grains: vec![Grain::default(); grains(limit as u64)], features: snapshot.features };
    let used = walk(bytes, PhysicalOffset(base), |record| counts.add(base, record));
    snapshot.features = counts.features;
    let bytes = bytes.get(..usize::try_from(used).unwrap_or(usize::MAX)).unwrap_or(bytes);
    let (grain, per_chunk) = (to_usize(GRAIN), to_usize(snapshot.chunk_size / GRAIN));
    let (mut chunk_digests, mut records) = (Vec::new(), 0);
    for (number, chunk) in bytes.chunks(grain * per_chunk).enumerate() {
        let first = number * per_chunk;
        let mut whole: Option<Chunk> = None;
        let mut digests = Vec::with_capacity(per_chunk);
        for (n, bytes) in chunk.chunks(grain).enumerate() {
            let from = base + (first + n) as u64 * GRAIN;
            let counted = counts.grains.get(first + n).copied().unwrap_or_default();
            let digest = Digest::of(bytes);
            let piece = counted.chunk(from, from + bytes.len() as u64, digest);
            if piece.to + TAIL > reach {
                snapshot.tail.push(piece);
            }
            digests.push(digest);
            whole = Some(whole.map_or(piece, |whole| join(whole, piece)));
        }
        let digest = Digest::of_digests(&digests);
        chunk_digests.push(digest);
        if let Some(whole) = whole {
            records += whole.records;
            snapshot.chunks.push(Chunk { digest, ..whole });
        }
        watch.add(chunk.len() as u64)?;
    }
    if let Some(file) = snapshot.files.iter_mut().find(|file| file.from == base) {
        file.records = Some(records);
        file.digest = Some(Digest::of_digests(&chunk_digests));
    }
    Ok(())
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn grains(bytes: u64) -> usize {
    to_usize(bytes.div_ceil(GRAIN))
}

fn join(a: Chunk, b: Chunk) -> Chunk {
    let first = if a.records == 0 { b.first_store_timestamp } else { a.first_store_timestamp };
    let last = if b.records == 0 { a.last_store_timestamp } else { b.last_store_timestamp };
    Chunk { to: b.to, records: a.records + b.records, first_store_timestamp: first, last_store_timestamp: last, ..a }
}

#[derive(Debug, Clone, Copy, Default)]
struct Grain {
    records: u64,
    first: i64,
    last: i64,
}

impl Grain {
    fn chunk(self, from: u64, to: u64, digest: Digest) -> Chunk {
        let Self { records, first, last } = self;
        Chunk { from, to, records, first_store_timestamp: first, last_store_timestamp: last, digest }
    }
}

struct Counts {
    grains: Vec<Grain>,
    features: LogFeatures,
}

impl Counts {
    fn add(&mut self, base: u64, record: &MessageRecord<'_>) {
        self.features.magic_v2 |= record.magic == MagicCode::V2;
        self.features.ipv6_host |= record.sys_flag.is_born_host_v6() || record.sys_flag.is_store_host_v6();
        let Some(grain) = self.grains.get_mut(to_usize((record.position.get() - base) / GRAIN)) else { return };
        if grain.records == 0 {
            grain.first = record.store_timestamp;
        }
        grain.last = record.store_timestamp;
        grain.records += 1;
    }
}

/// Walks the records of a file, over damage to the next record that is surely one; returns how many bytes from the start
/// two brokers must have in common: up to the header of the blank, or the end of what can be read.
pub(crate) fn walk(bytes: &[u8], base: PhysicalOffset, mut visit: impl FnMut(&MessageRecord<'_>)) -> u64 {
    let mut entries = Entries::new(bytes, base);
    let mut used = 0;
    loop {
        match entries.next() {
            Some(Ok(Entry::Message(record))) => {
                visit(&record);
                used = record.end().since(base);
            }
            Some(Ok(Entry::Blank(blank))) => {
                return (blank.position.since(base) + BLANK_HEADER).min(bytes.len() as u64);
            }
            Some(Err(_)) => {
                let behind = to_usize(used).saturating_add(1);
                let Some(next) = resync(bytes, base, behind) else { return used };
                entries = Entries::starting_at(bytes, base, to_usize(next.position.since(base)));
            }
            None => return used,
        }
    }
}

/// The rows of `from .. to`, which must not reach behind the log's end. What both sides of a pair hold is cut into the
/// same rows, because a run that cannot be read begins where the record before it ends.
pub(crate) fn record_range(log: &CommitLog, from: u64, to: u64, piece: u64) -> Result<RecordRange, StoreError> {
    let mut range = RecordRange { from, to: from, piece, ..RecordRange::default() };
    for file in log.files().iter().filter(|file| file.end() > from && file.file_from_offset < to) {
        let map = file.map()?;
        let base = file.file_from_offset;
        let mut push = |row: std::ops::Range<u64>, store_timestamp: i64| {
            let mut at = row.start;
            if piece == 1 {
                at = at.max(from.min(row.end));
            }
            while at < row.end {
                let end = row.end.min(at + piece.max(1));
                if at < to && end > from {
                    if range.records.is_empty() {
                        (range.from, range.record) = (at, row.start);
                    }
                    range.to = end;
                    let bytes = map.get(to_usize(at - base)..to_usize(end - base)).unwrap_or_default();
                    let store_timestamp = if at == row.start { store_timestamp } else { GOES_ON };
                    let digest = of_record(bytes);
                    range.records.push(RecentRecord { physical_offset: at, store_timestamp, digest });
                }
                if end >= to {
                    break;
                }
                at = end;
            }
        };
        let mut behind = base;
        let used = walk(&map, PhysicalOffset(base), |record| {
            let (at, end) = (record.position.get(), record.end().get());
            push(behind..at, 0);
            push(at..end, record.store_timestamp);
            behind = end;
        });
        // The header of the blank, or what cannot be read up to the file's end.
        let end = if base + used > behind { base + used } else { file.end().min(to) };
        push(behind..end, 0);
    }
    if piece == 1
        && let Some(file) = log.queue().find(range.from)
    {
        range.before = digest_of(log, file.file_from_offset, range.from, true)?;
    }
    Ok(range)
}

/// The digest of `from .. to` of a store's log, cut as in a snapshot. `None` where the log does not have these bytes.
pub(crate) fn digest_of(log: &CommitLog, from: u64, to: u64, grain: bool) -> Result<Option<Digest>, StoreError> {
    let Some(file) = log.queue().find(from) else { return Ok(None) };
    if to > file.end() || from > to {
        return Ok(None);
    }
    let map = file.map()?;
    let bytes = map.get(to_usize(from - file.file_from_offset)..to_usize(to - file.file_from_offset));
    Ok(bytes.map(|bytes| if grain { Digest::of(bytes) } else { Digest::of_chunk(bytes) }))
}
