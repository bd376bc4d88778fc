//! The pass in commit log order: every record once, and what lies where none does.
//!
//! The pieces of a file are read ahead, side by side if there are threads for it (`ahead`); here their rows are taken
//! one by one, in order, and what no row fits is read again.

use std::ops::ControlFlow;
use std::sync::Arc;

use mqstore_core::bytes::is_zero;
use mqstore_core::format::commitlog::{Blank, Entry, MessageRecord, TransactionType, resync};
use mqstore_core::format::system_topic::TRANS_HALF_TOPIC;
use mqstore_core::store::{MappedFile, is_torn};
use mqstore_core::{FormatError, PhysicalOffset};

use super::ahead::{Ahead, LEAST_PIECE, LogFile, PIECE, Row, Rows, Spare};
use super::dledger;
use super::index::Cursors;
use super::logreader::LogReader;
use super::names::Finder;
use super::parallel::in_order;
use super::plan::{Ranges, log_files};
use super::queues::Queues;
use super::record::{self, Known};
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// Steps back of the store time up to this are the clock of two threads: up to 4.9.0 a batch is stamped before it waits.
/// DLedger stamps every message before it waits.
const CLOCK_SLACK: i64 = 10;

/// Pieces whose pages are let go of together: all threads have to forget them, and each time costs every one of them.
const RELEASED: usize = 16;

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
    /// For records that are not read ahead.
    finder: Finder,
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
    let finder = Finder::new(Arc::clone(&queues.names));
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
        finder,
    };
    // The last file with anything in it; what comes behind are files made ahead.
    let last_used = files.iter().rposition(|file| file.map().map_or(true, |map| !map.is_zero_from(0))).unwrap_or(0);
    let mut expected = None;
    let spare = Spare::default();
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
                let hashes = pass.wants_hashes();
                let log = LogFile { bytes: &map, base: file.file_from_offset, path: &path, hashes };
                pass.file(File { map: &map, log, is_last: n == last_used }, &spare);
            } else {
                dledger::file(&mut pass, &map, file, &path, n == last_used);
            }
        } else {
            pass.cx.advance(file.length);
        }
    }
    pass.finish()
}

/// One file of the pass.
#[derive(Debug, Clone, Copy)]
struct File<'a> {
    map: &'a MappedFile,
    log: LogFile<'a>,
    is_last: bool,
}

impl File<'_> {
    fn offset(&self, at: usize) -> u64 {
        self.log.base.saturating_add(at as u64)
    }

    fn end(&self) -> u64 {
        self.offset(self.log.bytes.len())
    }

    fn rest(&self, at: usize) -> &[u8] {
        self.log.bytes.get(at..).unwrap_or_default()
    }
}

impl Pass<'_, '_, '_> {
    fn file(&mut self, file: File<'_>, spare: &Spare) {
        let names = Arc::clone(&self.queues.names);
        let length = file.log.bytes.len();
        let jobs = self.cx.options.jobs.max(1);
        // Small files, too, are shared out.
        let piece = (length / (4 * jobs)).clamp(LEAST_PIECE, PIECE) & !(LEAST_PIECE - 1);
        let range = |n: usize| n * piece..length.min((n + 1) * piece);
        let mut at = 0;
        in_order(
            jobs,
            length.div_ceil(piece),
            || Finder::new(Arc::clone(&names)),
            |finder, n| file.log.read(finder, range(n), spare.get()),
            |n, mut ahead| {
                let range = range(n);
                let next = self.piece(file, at, range.end, &mut ahead);
                spare.put(ahead);
                if (n + 1).is_multiple_of(RELEASED) || range.end == length {
                    file.map.release(range.end.saturating_sub(RELEASED * piece)..range.end);
                }
                let goes_on = self.cx.advance(range.len() as u64);
                if let Some(next) = next.filter(|_| goes_on) {
                    at = next;
                    return ControlFlow::Continue(());
                }
                // Pages that were lost where nothing but zeros was looked for.
                if file.map.intact() < length && !self.log.damage.contains(file.end().saturating_sub(1)) {
                    self.give_up(file, at);
                }
                self.cx.advance((length - range.end) as u64);
                ControlFlow::Break(())
            },
        );
    }

    /// Walks from `at` to `end`. Where it goes on from, or `None` where the file ends for us.
    fn piece(&mut self, file: File<'_>, mut at: usize, end: usize, ahead: &mut Ahead) -> Option<usize> {
        let mut rows = Rows::new(ahead);
        // Read when the rows are complete: what was lost later is none of theirs.
        let intact = file.map.intact();
        while at < end {
            if let Some((row, hashes)) = rows.at(file.offset(at)) {
                let next = at + row.size as usize;
                if next > intact {
                    return self.give_up(file, at);
                }
                if file.is_last && row.has_bad_body && self.ends_torn(file, at) {
                    return None;
                }
                rows.findings(row).for_each(|found| self.cx.push(found));
                let record = || MessageRecord::parse(file.rest(at), PhysicalOffset(file.offset(at))).ok();
                self.row(row, hashes, file.log.path, record);
                at = next;
                continue;
            }
            let entry = Entry::parse(file.rest(at), PhysicalOffset(file.offset(at)));
            at = match entry {
                Ok(Entry::Message(record)) => {
                    // Not where it was looked for: behind damage, or it names another place.
                    let next = at + record.bytes.len();
                    if file.map.intact() < next {
                        return self.give_up(file, at);
                    }
                    if file.is_last && record.check_body_crc().is_err() && self.ends_torn(file, at) {
                        return None;
                    }
                    self.record(&record, file.log.path);
                    next
                }
                _ if file.map.intact() < file.log.bytes.len() => return self.give_up(file, at),
                Ok(Entry::Blank(blank)) => self.blank(blank, file, at)?,
                Err(error) => self.no_record(error, file, at)?,
            };
        }
        Some(at)
    }

    /// Whether pages of the file went away while it was read: then what comes behind is unknown, not damaged.
    pub(super) fn lost(&mut self, map: &MappedFile, from: u64, to: u64) -> bool {
        let Err(error) = map.check() else { return false };
        let base = to.saturating_sub(map.len() as u64);
        self.cx.unreadable_at(&error, Some(base.saturating_add(map.intact() as u64)));
        self.damage(from, to);
        true
    }

    /// Gives up a file at a place where pages of it went away.
    fn give_up(&mut self, file: File<'_>, at: usize) -> Option<usize> {
        self.lost(file.map, file.offset(at), file.end());
        None
    }

    fn wants_hashes(&self) -> bool {
        self.cx.is_full() && !self.cursors.is_empty()
    }

    /// Takes a record that was not read ahead.
    pub(super) fn record(&mut self, record: &MessageRecord<'_>, path: &str) {
        let log = LogFile { bytes: record.bytes, base: record.position.get(), path, hashes: self.wants_hashes() };
        let mut ahead = Ahead::of(&mut self.finder, &log, record);
        let mut rows = Rows::new(&mut ahead);
        if let Some((row, hashes)) = rows.at(record.position.get()) {
            rows.findings(row).for_each(|found| self.cx.push(found));
            self.row(row, hashes, path, || Some(*record));
        }
    }

    fn row<'r>(&mut self, row: &Row, hashes: &[i32], path: &str, record: impl Fn() -> Option<MessageRecord<'r>>) {
        self.log.records += 1;
        self.log.end = row.position + u64::from(row.size);
        self.log.before_unique_keys &= !row.has_unique_key;
        let time = row.store_timestamp;
        let back = self.previous_time.saturating_sub(time);
        if self.previous_time != i64::MIN && back > 0 {
            let (count, most, first) = self.backwards;
            let first = if back > most && most <= CLOCK_SLACK { row.position } else { first };
            self.backwards = (count + 1, most.max(back), first);
        }
        self.previous_time = time;
        self.log.newest_time = self.log.newest_time.max(time);
        if !row.plain_queue().is_some_and(|queue| self.queues.claim(queue, row))
            && let Some(record) = record()
        {
            let known = Known::of(&record);
            let prepared = record.prepared_transaction_offset;
            if prepared != 0 && self.cx.is_full() {
                self.transaction(&record, prepared, path);
            }
            self.queues.record(self.cx, &mut self.reader, path, &record, &known);
        }
        self.cursors.record(self.cx, row, hashes, &self.log, record);
    }

    /// Whether the record at `at`, whose body is bad, is the last one of all: torn, unless a queue refers to it.
    fn ends_torn(&mut self, file: File<'_>, at: usize) -> bool {
        let record = MessageRecord::parse(file.rest(at), PhysicalOffset(file.offset(at)));
        let error = record.and_then(|record| {
            record.check_body_crc().err().filter(|_| is_zero(file.rest(at + record.bytes.len()))).map_or(Ok(()), Err)
        });
        let Err(error) = error else { return false };
        self.tail =
            Some(Tail { at: file.offset(at), file_end: file.end(), path: file.log.path.to_owned(), error, torn: true });
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
    fn blank(&mut self, blank: Blank, file: File<'_>, at: usize) -> Option<usize> {
        let LogFile { bytes: map, base, path, .. } = file.log;
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
    fn no_record(&mut self, error: FormatError, file: File<'_>, at: usize) -> Option<usize> {
        let LogFile { bytes: map, base, path, .. } = file.log;
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
        if next.is_none() && file.is_last {
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
