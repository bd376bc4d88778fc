//! The index files: each entry against its record, in log order; then each file by itself.
//!
//! Entries lie in log order, so a cursor into each file moves along with the log pass. What no record claimed when the
//! cursor has passed it refers to nothing.

use std::ops::ControlFlow;

use mqstore_core::StoreError;
use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::format::index::{INDEX_HEADER_LENGTH, INDEX_LENGTH, IndexEntry, IndexFile, IndexGeometry};
use mqstore_core::format::{java_hash, java_hash_from};
use mqstore_core::store::OpenIndexFile;

use super::ahead::Row;
use super::commitlog::LogFacts;
use super::parallel::in_order;
use super::record::Known;
use super::{Context, VerifyOptions, at_most, finding};
use crate::finding::{Finding, Location, Severity};
use crate::report::Report;

/// One file with the entry that the log pass has come to.
#[derive(Debug)]
struct Cursor {
    file: OpenIndexFile,
    geometry: IndexGeometry,
    path: String,
    next: u32,
    count: u32,
    begin_timestamp: i64,
    /// Physical offset of the next entry; the greatest number behind the last one.
    next_offset: u64,
    /// That entry, if it was looked at already.
    upcoming: Option<IndexEntry>,
    /// Offset of the last entry that was in order.
    passed: i64,
    orphans: u64,
    first_orphan: Option<IndexEntry>,
}

/// All index files.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    files: Vec<Cursor>,
    /// The smallest physical offset of a next entry, and the file it is in.
    next_offset: u64,
    nearest: usize,
    /// The smallest one of the other files.
    second_offset: u64,
    /// Keys that have no entry, in the range that the files cover.
    missing: u64,
    covered: (u64, u64),
    /// A file of the index could not be read: whether a key has an entry cannot be told.
    unread: bool,
}

impl Cursors {
    pub(super) fn open(cx: &mut Context<'_>) -> Result<Self, StoreError> {
        let index = cx.store.index()?;
        for path in index.foreign() {
            let path = cx.relative(path);
            cx.push(finding("index.foreign-entry", Location::path(&path), format!("{path} is no index file")));
        }
        let mut files = Vec::new();
        let mut unread = false;
        for path in index.files() {
            cx.report.coverage.files.total += 1;
            match index.open_file(path).and_then(|file| file.check().map(|()| file)) {
                Ok(file) => {
                    cx.report.coverage.files.seen += 1;
                    files.push(file);
                }
                Err(error) => {
                    unread = true;
                    cx.unreadable(&error);
                }
            }
        }
        let mut lengths: Vec<u64> = files.iter().map(OpenIndexFile::length).collect();
        lengths.sort_unstable();
        let usual = lengths.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).and_then(|run| run.first()).copied();
        // The division of a file whose own header does not tell is that of the others.
        let shared = files.iter().filter(|f| Some(f.length()) == usual).find_map(OpenIndexFile::geometry);
        let mut cursors = Self { next_offset: u64::MAX, covered: (u64::MAX, 0), unread, ..Self::default() };
        for file in files {
            let path = cx.relative(file.path());
            if Some(file.length()) != usual {
                let message = format!("{} bytes, the other index files have {}", file.length(), usual.unwrap_or(0));
                let found = finding("index.length", Location::path(&path), message);
                cx.push(found.values(usual.unwrap_or(0), file.length()));
                continue;
            }
            cursors.add(cx, file, shared, path);
        }
        cursors.settle();
        Ok(cursors)
    }

    fn add(&mut self, cx: &mut Context<'_>, file: OpenIndexFile, shared: Option<IndexGeometry>, path: String) {
        let Ok(header) = file.header() else { return };
        let fallback = cx.store.options().index_geometry.or(shared).filter(|g| g.file_length() == file.length());
        let Some(geometry) = file.geometry().or(fallback) else {
            // A file without an entry tells nothing, and nothing is wrong with it.
            if header.index_count > 1 || header.index_count < 0 {
                let message =
                    format!("no division into slots and entries fits the file: index count {}", header.index_count);
                cx.push(finding("index.geometry", Location::path(path).at(0), message));
            }
            return;
        };
        let count = u32::try_from(header.index_count).unwrap_or(0).max(1);
        if count > geometry.index_num || header.index_count < 0 {
            let message = format!("index count {} of {} entries", header.index_count, geometry.index_num);
            let found = finding("index.header", Location::path(path).at(36).spanning(4), message);
            cx.push(found.values(format_args!("at most {}", geometry.index_num), header.index_count));
            return;
        }
        if count > 1 {
            let (begin, end) =
                (header.begin_physical_offset.cast_unsigned(), header.end_physical_offset.cast_unsigned());
            self.covered = (self.covered.0.min(begin), self.covered.1.max(end));
        }
        let begin_timestamp = header.begin_timestamp;
        self.files.push(Cursor {
            file,
            geometry,
            path,
            next: 1,
            count,
            begin_timestamp,
            next_offset: 0,
            upcoming: None,
            passed: 0,
            orphans: 0,
            first_orphan: None,
        });
    }

    fn settle(&mut self) {
        (self.next_offset, self.nearest, self.second_offset) = (u64::MAX, 0, u64::MAX);
        for (n, cursor) in self.files.iter().enumerate() {
            if cursor.next_offset < self.next_offset {
                self.second_offset = self.next_offset;
                (self.next_offset, self.nearest) = (cursor.next_offset, n);
            } else {
                self.second_offset = self.second_offset.min(cursor.next_offset);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Moves all cursors past the entries of this record, and of what lay before it. `hashes` are those of its keys.
    pub(super) fn record<'a>(
        &mut self,
        cx: &mut Context<'_>,
        row: &Row,
        hashes: &[i32],
        log: &LogFacts,
        record: impl Fn() -> Option<MessageRecord<'a>>,
    ) {
        if !cx.is_full() || self.files.is_empty() {
            return;
        }
        let position = row.position;
        let inside = position >= self.covered.0 && position <= self.covered.1;
        if position < self.next_offset && !inside {
            return;
        }
        let mut found = 0;
        if position >= self.next_offset {
            // The files follow one another: mostly there is only one to look at, however many there are.
            let alone = position < self.second_offset;
            let files = if alone { self.nearest..self.nearest + 1 } else { 0..self.files.len() };
            let files = self.files.get_mut(files).unwrap_or_default();
            for cursor in files.iter_mut().filter(|cursor| cursor.next_offset <= position) {
                found += cursor.pass(cx, row, hashes, log, &record);
                self.next_offset = cursor.next_offset;
            }
            if !alone || self.next_offset >= self.second_offset {
                self.settle();
            }
        }
        if inside && row.is_indexed {
            // Every release from 3.5.5 on makes an entry for each key.
            self.missing += (hashes.len() as u64).saturating_sub(found);
        }
    }
}

/// The hash under which 5.4.0 and later also index the tag of a message, as `topic#T#tag`.
fn tag_hash(record: &MessageRecord<'_>) -> Option<i32> {
    let tags = Known::of(record).tags?;
    let hash = java_hash_from(java_hash_from(java_hash(record.topic), b"#T#"), tags);
    Some(hash.checked_abs().unwrap_or(0))
}

impl Cursor {
    fn view(&self) -> Option<IndexFile<'_>> {
        match self.file.view() {
            Ok(view) => Some(view),
            // The content alone did not tell the division; the other files did.
            Err(_) => self.file.view_with(self.geometry).ok(),
        }
    }

    fn entry(&self, index: u32) -> Option<IndexEntry> {
        self.file.entry(self.geometry, index)
    }

    /// The next entry. One that is too large, by the one behind it, is passed over: it is told with the order of entries.
    fn current(&mut self) -> Option<IndexEntry> {
        while self.next < self.count {
            let entry = self.entry(self.next)?;
            let behind = self.entry(self.next + 1).filter(|behind| behind.index < self.count);
            let too_large =
                behind.is_some_and(|b| b.physical_offset < entry.physical_offset && b.physical_offset >= self.passed);
            if !too_large {
                return Some(entry);
            }
            self.next += 1;
        }
        None
    }

    /// The entries that the log pass did not come to: counted as orphans, or behind the end of the log, then with the
    /// first of them.
    fn rest(&mut self, log: &LogFacts) -> Option<(u64, IndexEntry)> {
        let mut beyond: Option<(u64, IndexEntry)> = None;
        while self.next < self.count {
            let Some(entry) = self.entry(self.next) else { break };
            self.next += 1;
            if entry.physical_offset.cast_unsigned() < log.end || entry.physical_offset < 0 {
                self.orphan(entry, log);
            } else if log.reached_end && !log.scanned_nothing() {
                let (count, first) = beyond.unwrap_or((0, entry));
                beyond = Some((count + 1, first));
            }
        }
        beyond
    }

    fn place(&self, entry: IndexEntry) -> Location {
        let slots = u64::from(self.geometry.hash_slot_num) * 4;
        let at = INDEX_HEADER_LENGTH as u64 + slots + u64::from(entry.index) * INDEX_LENGTH as u64;
        Location::path(&self.path).at(at).spanning(INDEX_LENGTH as u64)
    }

    /// Passes the entries up to those of a record; returns how many of them are its own.
    fn pass<'a>(
        &mut self,
        cx: &mut Context<'_>,
        row: &Row,
        hashes: &[i32],
        log: &LogFacts,
        record: impl Fn() -> Option<MessageRecord<'a>>,
    ) -> u64 {
        let position = row.position;
        let mut own = 0;
        let mut upcoming = self.upcoming.take().or_else(|| self.current());
        while let Some(entry) = upcoming {
            let offset = entry.physical_offset.cast_unsigned();
            if offset > position && entry.physical_offset >= 0 {
                break;
            }
            self.next += 1;
            self.passed = self.passed.max(entry.physical_offset);
            upcoming = self.current();
            if offset < position || entry.physical_offset < 0 {
                self.orphan(entry, log);
                continue;
            }
            own += 1;
            let is_tag = || record().is_some_and(|record| tag_hash(&record) == Some(entry.key_hash));
            if !hashes.contains(&entry.key_hash) && !is_tag() {
                let message =
                    format!("entry {} has hash {}, the message at {position} no such key", entry.index, entry.key_hash);
                cx.push(finding("index.key", self.place(entry), message));
            }
            self.time(cx, entry, row.store_timestamp);
        }
        self.upcoming = upcoming;
        self.next_offset = upcoming.map_or(u64::MAX, |entry| entry.physical_offset.cast_unsigned());
        own
    }

    /// The first entry of a file is measured from the end of the file before.
    fn time(&self, cx: &mut Context<'_>, entry: IndexEntry, store_timestamp: i64) {
        if entry.index == 1 || self.begin_timestamp <= 0 {
            return;
        }
        let seconds = (store_timestamp.saturating_sub(self.begin_timestamp) / 1000).clamp(0, i64::from(i32::MAX));
        if i64::from(entry.time_diff) != seconds {
            let message = format!(
                "entry {} lies {} s behind the file's begin, its message {seconds} s",
                entry.index, entry.time_diff
            );
            cx.push(finding("index.time-diff", self.place(entry), message).values(seconds, entry.time_diff));
        }
    }

    /// An entry that the log has passed: expired, in a damaged range, or leading nowhere.
    fn orphan(&mut self, entry: IndexEntry, log: &LogFacts) {
        let offset = entry.physical_offset.cast_unsigned();
        let told = entry.physical_offset < 0
            || offset < log.min
            || log.damage.contains(offset)
            || !log.scanned.contains(offset);
        // An entry out of order is told as that.
        let before = entry.index.checked_sub(1).and_then(|n| self.entry(n)).filter(|before| before.index > 0);
        if !told && before.is_none_or(|before| before.physical_offset <= entry.physical_offset) {
            self.orphans += 1;
            self.first_orphan = self.first_orphan.or(Some(entry));
        }
    }
}

/// Looks at each file by itself, and at what the log pass left over.
pub(super) fn pass(cx: &mut Context<'_>, cursors: Cursors, log: &LogFacts) {
    let (missing, unread) = (cursors.missing, cursors.unread);
    let mut files = cursors.files;
    let full = cx.is_full();
    let beyond: Vec<_> = files.iter_mut().map(|cursor| if full { cursor.rest(log) } else { None }).collect();
    let excuses = Excuses { abort: cx.facts.abort, in_motion: cx.facts.in_motion() };
    let options = cx.options;
    let entries = |(): &mut (), n: usize| files.get(n).filter(|_| full).map(|cursor| entries(excuses, options, cursor));
    in_order(
        cx.options.jobs,
        files.len(),
        || (),
        entries,
        |n, entries| {
            let Some(cursor) = files.get(n).filter(|_| !cx.stopped) else { return ControlFlow::Break(()) };
            if let Err(error) = cursor.file.check() {
                cx.unreadable(&error);
                return ControlFlow::Continue(());
            }
            header(cx, cursor);
            let length = cursor.file.length();
            cx.total += if full { length } else { 0 };
            if let Some((count, entry)) = beyond.get(n).copied().flatten() {
                let message =
                    format!("{count} entries from {} on refer behind the end of the log at {}", entry.index, log.end);
                let found = finding("index.beyond-log", cursor.place(entry), message);
                cx.push(if excuses.in_motion { at_most(Severity::Info, found) } else { found });
            }
            if let Some(entry) = cursor.first_orphan.filter(|_| full) {
                let message = format!(
                    "{} entries refer to places where no record stands, first entry {} to {}",
                    cursor.orphans, entry.index, entry.physical_offset
                );
                cx.push(finding("index.orphan", cursor.place(entry), message));
            }
            if let Some(entries) = entries {
                cx.absorb(entries);
            }
            if !full || cx.advance(length) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        },
    );
    let unread = unread || files.iter().any(|cursor| cursor.file.check().is_err());
    if missing > 0 && !unread && !cx.stopped {
        let message = format!("{missing} keys of messages in the range of the index have no entry");
        cx.push(finding("index.keys-missing", Location::path("index"), message).values(0, missing));
    }
}

/// What makes the newest entries of a file milder.
#[derive(Debug, Clone, Copy)]
struct Excuses {
    abort: bool,
    in_motion: bool,
}

/// First and last entry have the header's offsets.
fn header(cx: &mut Context<'_>, cursor: &Cursor) {
    let Ok(header) = cursor.file.header() else { return };
    let at = |offset, length| Location::path(&cursor.path).at(offset).spanning(length);
    if cursor.count <= 1 {
        return;
    }
    let Some(view) = cursor.view() else { return };
    let (first, last) = (view.entry(1), view.entry(cursor.count - 1));
    if let Some(first) = first.filter(|e| e.physical_offset != header.begin_physical_offset) {
        let message =
            format!("begin phy offset {}, first entry {}", header.begin_physical_offset, first.physical_offset);
        cx.push(
            finding("index.header", at(16, 8), message).values(first.physical_offset, header.begin_physical_offset),
        );
    }
    if let Some(last) = last.filter(|e| e.physical_offset != header.end_physical_offset) {
        let message = format!("end phy offset {}, last entry {}", header.end_physical_offset, last.physical_offset);
        cx.push(finding("index.header", at(24, 8), message).values(last.physical_offset, header.end_physical_offset));
    }
    if header.begin_timestamp < 0 || header.end_timestamp < 0 {
        let message = format!("timestamps {} to {}", header.begin_timestamp, header.end_timestamp);
        cx.push(finding("index.header", at(0, 16), message));
        return;
    }
    // Up to the second that an entry is measured in; the first entry is measured otherwise.
    let last_time =
        last.filter(|e| e.index > 1).map(|e| header.begin_timestamp.saturating_add(i64::from(e.time_diff) * 1000));
    if let Some(time) = last_time.filter(|time| header.end_timestamp.saturating_sub(*time) >= 1000) {
        let message = format!("end timestamp {}, last entry about {time}", header.end_timestamp);
        cx.push(finding("index.header", at(8, 8), message).values(time, header.end_timestamp));
    }
}

/// Values, order and links of all entries, in one walk with the newest entry of each slot so far. Like every report it
/// keeps so many findings of an id and counts the rest: a file can hold twenty million bad entries.
fn entries(excuses: Excuses, options: &VerifyOptions, cursor: &Cursor) -> Report {
    let mut report = Report::with_cap(options.cap);
    let Some(view) = cursor.view() else { return report };
    let mut ended = false;
    let mut push = |found: Finding| {
        if !ended && options.wants(found.id) {
            ended = options.exit_on_error && found.severity == Severity::Error;
            report.push(found);
        }
    };
    let slots = cursor.geometry.hash_slot_num;
    let mut newest = vec![0i32; slots as usize];
    let mut used = 0i32;
    let mut previous = i64::MIN;
    for index in 1..cursor.count {
        let Some(entry) = view.entry(index) else { break };
        if entry.key_hash < 0 || entry.physical_offset < 0 || entry.time_diff < 0 {
            let message = format!(
                "entry {index}: hash {}, offset {}, time {}",
                entry.key_hash, entry.physical_offset, entry.time_diff
            );
            push(finding("index.entry", cursor.place(entry), message));
        } else if entry.physical_offset < previous {
            let message = format!("entry {index} refers to {} behind {previous}", entry.physical_offset);
            let found = finding("index.order", cursor.place(entry), message).values(previous, entry.physical_offset);
            push(found);
        }
        previous = if entry.physical_offset >= 0 { entry.physical_offset } else { previous };
        let slot = view_slot(cursor.geometry, entry.key_hash);
        let Some(last) = newest.get_mut(slot) else { continue };
        if entry.prev != *last {
            let message = format!("entry {index} names {} as the entry before it in its slot", entry.prev);
            let found = finding("index.chain", cursor.place(entry), message).values(*last, entry.prev);
            // A lost page of slots leaves the beginning of a new chain.
            let is_excused = entry.prev == 0 && excuses.abort;
            push(if is_excused { at_most(Severity::Warning, found) } else { found });
        }
        used += i32::from(*last == 0);
        *last = i32::try_from(index).unwrap_or(i32::MAX);
    }
    for (slot, (stored, last)) in view.slots().zip(&newest).enumerate() {
        if stored != *last {
            let at = Location::path(&cursor.path).at(INDEX_HEADER_LENGTH as u64 + slot as u64 * 4).spanning(4);
            let message = format!("slot {slot} names entry {stored}, the newest is {last}");
            let found = finding("index.slot", at, message).values(*last, stored);
            push(if excuses.in_motion { at_most(Severity::Warning, found) } else { found });
        }
    }
    let declared = view.header().hash_slot_count;
    let most = cursor.count.cast_signed() - 1;
    if cursor.count > 1 && (declared < used || declared > most) {
        let message = format!("hash slot count {declared}, {used} slots are used by {most} entries");
        let at = Location::path(&cursor.path).at(32).spanning(4);
        let found = finding("index.slot-count", at, message).values(format_args!("{used} to {most}"), declared);
        push(found);
    }
    report
}

fn view_slot(geometry: IndexGeometry, key_hash: i32) -> usize {
    geometry.slot_of(key_hash) as usize
}
