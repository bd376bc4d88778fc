//! The pass in commit log order: every record once, and what lies where none does.

use mqstore_core::bytes::{i32_at, is_zero};
use mqstore_core::format::commitlog::{Blank, Entry, MessageRecord, TransactionType, resync};
use mqstore_core::format::system_topic::TRANS_HALF_TOPIC;
use mqstore_core::store::MappedFile;
use mqstore_core::{FormatError, FormatErrorKind, PhysicalOffset};

use super::dledger;
use super::index::Cursors;
use super::logreader::LogReader;
use super::plan::{Ranges, log_files};
use super::queues::Queues;
use super::record::{self, Known};
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// Steps back of the store time up to this are the clock of two threads: up to 4.9.0 a batch is stamped before it waits.
/// DLedger stamps every message before it waits.
const CLOCK_SLACK: i64 = 10;

/// What was read of a file is let go in pieces of this length, a multiple of every page size.
const RELEASED: usize = 1 << 20;

/// What the pass found out, for those behind it.
#[derive(Debug, Default)]
pub(super) struct LogFacts {
    /// First offset that a file holds.
    pub(super) min: u64,
    /// Behind the last record.
    pub(super) end: u64,
    /// Records read.
    pub(super) records: u64,
    /// The newest store timestamp.
    pub(super) newest_time: i64,
    /// What was read, damage included.
    pub(super) scanned: Ranges,
    /// Where no record can be read, told already.
    pub(super) damage: Ranges,
    /// Whether the last file was read, so that `end` is the end of the log.
    pub(super) reached_end: bool,
    /// No record has a unique key: they may be from 3.2.6 to 3.4.6, which leave other traces.
    pub(super) before_unique_keys: bool,
}

/// What lies behind the last record, judged when the queues are known.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) at: u64,
    pub(super) file_end: u64,
    pub(super) path: String,
    pub(super) error: FormatError,
    pub(super) torn: bool,
}

pub(super) struct Pass<'a, 'b, 'c> {
    pub(super) cx: &'a mut Context<'b>,
    queues: &'a mut Queues,
    cursors: &'a mut Cursors,
    reader: LogReader<'c>,
    pub(super) log: LogFacts,
    previous_time: i64,
    backwards: (u64, i64, u64),
    pub(super) tail: Option<Tail>,
    pub(super) entries: dledger::Sequence,
    unreadable: Unreadable,
}

/// Records that no release can read although a sound broker wrote them.
#[derive(Debug, Default)]
struct Unreadable {
    count: u64,
    /// Where the first stands, in which file, and how many records come before it.
    first: Option<(u64, String, u64)>,
}

/// Reads the log once.
pub(super) fn pass(cx: &mut Context<'_>, queues: &mut Queues, cursors: &mut Cursors) -> LogFacts {
    let files = cx.log_files();
    let classic = cx.log.commitlog().files().len();
    let chosen = log_files(cx);
    cx.total += chosen.iter().filter_map(|n| files.get(*n)).map(|file| file.length).sum::<u64>();
    cx.report.coverage.files.total += chosen.len() as u64;
    let log = LogFacts { min: cx.log.min_offset().get(), before_unique_keys: true, ..LogFacts::default() };
    let reader = LogReader::new(cx.log);
    let mut pass = Pass {
        cx,
        queues,
        cursors,
        reader,
        log,
        previous_time: i64::MIN,
        backwards: (0, 0, 0),
        tail: None,
        entries: dledger::Sequence::default(),
        unreadable: Unreadable::default(),
    };
    // The last file with anything in it; what comes behind are files made ahead.
    let last_used = files.iter().rposition(|file| file.map().map_or(true, |map| !map.is_zero_from(0))).unwrap_or(0);
    let mut expected = None;
    for n in chosen {
        let Some(file) = files.get(n) else { continue };
        if pass.cx.stopped {
            break;
        }
        if expected.is_some_and(|expected| expected != file.file_from_offset) {
            // A gap or a file that was not asked for; a gap is told by the layout pass.
            pass.queues.records_are_missing();
            pass.previous_time = i64::MIN;
        }
        expected = Some(file.end());
        let map = match file.map() {
            Ok(map) => map,
            Err(error) => {
                pass.cx.unreadable(&error);
                pass.log.damage.add(file.file_from_offset, file.end());
                continue;
            }
        };
        map.advise_sequential();
        pass.cx.report.coverage.files.seen += 1;
        pass.log.scanned.add(file.file_from_offset, file.end());
        pass.log.reached_end |= n >= last_used;
        if n <= last_used {
            let path = pass.cx.relative(&file.path);
            if n < classic {
                pass.file(&map, file.file_from_offset, &path, n == last_used);
            } else {
                dledger::file(&mut pass, &map, file, &path, n == last_used);
            }
        } else {
            pass.cx.advance(file.length);
        }
    }
    pass.finish()
}

impl Pass<'_, '_, '_> {
    fn file(&mut self, map: &MappedFile, base: u64, path: &str, is_last: bool) {
        let mut at = 0;
        let (mut told, mut released) = (0, 0);
        while at < map.len() {
            if self.lost(map, base.saturating_add(at as u64), base.saturating_add(map.len() as u64)) {
                return;
            }
            if at - told >= 1 << 20 {
                if !self.cx.advance((at - told) as u64) {
                    return;
                }
                let whole = at & !(RELEASED - 1);
                map.release(released..whole);
                released = whole;
                told = at;
            }
            let position = PhysicalOffset(base.saturating_add(at as u64));
            let rest = map.get(at..).unwrap_or_default();
            match Entry::parse(rest, position) {
                Ok(Entry::Message(record)) => {
                    let behind = at + record.bytes.len();
                    if is_last
                        && self.ends_torn(
                            &record,
                            map.get(behind..).unwrap_or_default(),
                            base.saturating_add(map.len() as u64),
                            path,
                        )
                    {
                        break;
                    }
                    self.record(&record, path);
                    at = behind;
                }
                Ok(Entry::Blank(blank)) => match self.blank(blank, map, base, at, path) {
                    Some(next) => at = next,
                    None => break,
                },
                Err(error) => match self.no_record(error, map, base, at, path, is_last) {
                    Some(next) => at = next,
                    None => break,
                },
            }
        }
        self.lost(map, base.saturating_add(at as u64), base.saturating_add(map.len() as u64));
        self.cx.advance(map.len().saturating_sub(told) as u64);
    }

    /// Whether pages of the file went away while it was read: then what comes behind is unknown, not damaged.
    pub(super) fn lost(&mut self, map: &MappedFile, from: u64, to: u64) -> bool {
        let Err(error) = map.check() else { return false };
        self.cx.unreadable(&error);
        self.damage(from, to);
        true
    }

    pub(super) fn record(&mut self, record: &MessageRecord<'_>, path: &str) {
        self.log.records += 1;
        self.log.end = record.end().get();
        let known = Known::of(record);
        self.log.before_unique_keys &= known.uniq_key.is_none();
        record::check(self.cx, path, record, &known);
        let time = record.store_timestamp;
        let back = self.previous_time.saturating_sub(time);
        if self.previous_time != i64::MIN && back > 0 {
            let (count, most, first) = self.backwards;
            let first = if back > most && most <= CLOCK_SLACK { record.position.get() } else { first };
            self.backwards = (count + 1, most.max(back), first);
        }
        self.previous_time = time;
        self.log.newest_time = self.log.newest_time.max(time);
        let prepared = record.prepared_transaction_offset;
        if prepared != 0 && self.cx.is_full() {
            self.transaction(record, prepared, path);
        }
        self.queues.record(self.cx, &mut self.reader, path, record, &known);
        self.cursors.record(self.cx, record, &known, &self.log);
    }

    /// Whether the last record of all has a bad body: torn, unless a queue refers to it.
    fn ends_torn(&mut self, record: &MessageRecord<'_>, behind: &[u8], file_end: u64, path: &str) -> bool {
        // The next record's first bytes tell soon that this is not the last one.
        if !behind.iter().take(8).all(|b| *b == 0) {
            return false;
        }
        let Some(error) = record.check_body_crc().err().filter(|_| is_zero(behind)) else { return false };
        self.tail = Some(Tail { at: record.position.get(), file_end, path: path.to_owned(), error, torn: true });
        true
    }

    /// The prepared or half record must come before this one, if it has not expired.
    fn transaction(&mut self, record: &MessageRecord<'_>, prepared: i64, path: &str) {
        let offset = prepared.cast_unsigned();
        let expired = offset < self.log.min;
        let unread = offset < record.position.get() && !self.log.scanned.contains(offset);
        if prepared > 0 && (expired || unread || self.log.damage.contains(offset)) {
            return;
        }
        // A prepared record of 3.x to 4.2.0, or a half message; a commit is a copy of it.
        let there = offset < record.position.get()
            && self.reader.record(offset).is_some_and(|half| {
                let is_half = half.topic == TRANS_HALF_TOPIC.as_bytes();
                let commits = record.sys_flag.transaction_type() == TransactionType::Commit;
                (is_half || half.sys_flag.transaction_type() == TransactionType::Prepared)
                    && (!commits || half.body_crc == record.body_crc)
            });
        if !there {
            let message = format!("record at {} names {prepared} as its prepared record", record.position);
            let at = record::place(path, record);
            self.cx.push(finding("commitlog.transaction-offset", at, message).values("an earlier record", prepared));
        }
    }

    /// A blank closes the file. If it does not reach to the end, something may lie behind it.
    fn blank(&mut self, blank: Blank, map: &[u8], base: u64, at: usize, path: &str) -> Option<usize> {
        let left = map.len() - at;
        if usize::try_from(blank.total_size) == Ok(left) {
            return None;
        }
        let next = resync(map, PhysicalOffset(base), at + 1).map(|record| record.position.get() - base);
        let message = format!("blank at {} has total size {}, {left} bytes are left", blank.position, blank.total_size);
        let place = Location::path(path).at(blank.position.get()).spanning(next.map_or(left as u64, |n| n - at as u64));
        self.cx.push(finding("commitlog.blank", place, message).values(left, blank.total_size));
        if let Some(next) = next {
            self.damage(blank.position.get(), base.saturating_add(next));
        }
        next.and_then(|next| usize::try_from(next).ok())
    }

    pub(super) fn damage(&mut self, from: u64, to: u64) {
        self.log.damage.add(from, to);
        self.queues.records_are_missing();
    }

    /// Where no record stands: finds where the log goes on and tells what is between. `None` at the end of the file.
    fn no_record(
        &mut self,
        error: FormatError,
        map: &[u8],
        base: u64,
        at: usize,
        path: &str,
        is_last: bool,
    ) -> Option<usize> {
        let position = PhysicalOffset(base.saturating_add(at as u64));
        let rest = map.get(at..).unwrap_or_default();
        if let Ok(record) = MessageRecord::parse_with_short_store_host(rest, position) {
            let message = format!("record at {position} claims an IPv6 store host and holds {}", record.store_host());
            self.cx.push(finding("commitlog.store-host-length", record::place(path, &record), message));
            self.unreadable.count += 1;
            let before = self.log.records;
            self.unreadable.first.get_or_insert_with(|| (position.get(), path.to_owned(), before));
            let end = at + record.bytes.len();
            self.log.damage.add(position.get(), base.saturating_add(end as u64));
            self.log.records += 1;
            self.log.end = base.saturating_add(end as u64);
            self.log.newest_time = self.log.newest_time.max(record.store_timestamp);
            return Some(end);
        }
        let zeros = is_zero(rest);
        let next = if zeros { None } else { resync(map, PhysicalOffset(base), at + 1) };
        let next = next.map(|record| record.position.get());
        if next.is_none() && is_last {
            if !zeros {
                let torn = is_torn(&error, rest);
                let (path, at) = (path.to_owned(), position.get());
                self.tail = Some(Tail { at, file_end: base.saturating_add(map.len() as u64), path, error, torn });
            }
            return None;
        }
        let end = next.unwrap_or(base.saturating_add(map.len() as u64));
        let place = Location::path(path).at(position.get()).spanning(end - position.get());
        let gap = map.get(at..usize::try_from(end - base).unwrap_or(usize::MAX)).unwrap_or_default();
        if is_zero(gap) {
            let message = format!("{} bytes of zeros at {position} with records behind them", gap.len());
            self.cx.push(finding("commitlog.hole", place, message));
        } else {
            self.cx.push(record::no_record(position, error.kind, place));
        }
        self.damage(position.get(), end);
        next.and_then(|next| usize::try_from(next - base).ok())
    }

    fn finish(mut self) -> LogFacts {
        let stopped = self.cx.stopped;
        dledger::finish(&mut self);
        let (count, most, first) = self.backwards;
        if count > 0 {
            let message = format!("store timestamps step back {count} times, by up to {most} ms");
            let found = finding("commitlog.store-time-order", Location::path("commitlog").at(first), message);
            self.cx.push(if most > CLOCK_SLACK && !self.cx.facts.dledger {
                found
            } else {
                at_most(Severity::Info, found)
            });
        }
        if let Some((at, path, before)) = self.unreadable.first.take() {
            let (bytes, records) = (self.log.end.saturating_sub(at), self.log.records.saturating_sub(before));
            let readable = records.saturating_sub(self.unreadable.count);
            let message = format!(
                "a start that scans this place cuts the log at {at}: {bytes} bytes with {records} messages, {readable} of \
                 which can be read"
            );
            self.cx.push(finding("commitlog.cut-ahead", Location::path(path).at(at).spanning(bytes), message));
        }
        if let Some(tail) = self.tail.take() {
            self.judge(tail);
        }
        if !stopped {
            self.queues.finish(self.cx);
        }
        self.log
    }

    /// Bytes behind the last record: torn, left over from a cut, or a damaged record that a unit refers to.
    fn judge(&mut self, tail: Tail) {
        let referred = self.queues.units_from(tail.at);
        let place = Location::path(tail.path).at(tail.at).spanning(tail.file_end - tail.at);
        if let Some(end) = referred.filter(|_| !self.cx.facts.in_motion()) {
            let end = end.clamp(tail.at + 1, tail.file_end);
            let place = Location { length: Some(end - tail.at), ..place };
            self.cx.push(record::no_record(PhysicalOffset(tail.at), tail.error.kind, place));
            self.log.damage.add(tail.at, end);
            self.log.end = self.log.end.max(end);
        } else if tail.torn {
            let message = format!("the log ends at {} in a torn record: {}", tail.at, tail.error.kind);
            self.cx.push(finding("commitlog.torn-tail", place, message));
        } else {
            let message = format!("bytes behind the end of the log at {} are not zero", tail.at);
            self.cx.push(finding("commitlog.stale-tail", place, message));
        }
    }
}

/// Whether the bytes are the beginning of a record that was being written: nothing but zeros lies behind its length.
fn is_torn(error: &FormatError, rest: &[u8]) -> bool {
    let claimed = i32_at(rest, 0).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let behind = rest.get(claimed.min(rest.len())..).unwrap_or_default();
    match error.kind {
        FormatErrorKind::Truncated { .. } | FormatErrorKind::LengthMismatch { .. } => is_zero(behind),
        FormatErrorKind::UnknownMagic { found: 0 } => claimed > 0 && is_zero(behind),
        _ => false,
    }
}
