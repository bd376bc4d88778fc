//! The part of the log that DLedger keeps: the head of each entry, their order, the record inside, the index beside them
//! and the marks of how far the log goes. The records themselves go the way of all records (`commitlog`).

use memchr::memmem;
use mqstore_core::bytes::{i32_at, is_zero};
use mqstore_core::format::dledger::{
    DLEDGER_HEAD_LENGTH, DLEDGER_INDEX_UNIT_LENGTH, DLEDGER_MAGIC, DataEntry, DledgerEntry, DledgerIndexUnit,
};
use mqstore_core::store::{DledgerLog, MappedFile, QueueFile};
use mqstore_core::{FormatError, FormatErrorKind, PhysicalOffset};

use super::commitlog::{Pass, Tail};
use super::record::{self, Known};
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// What was read is let go, and told to the progress, in pieces of this length.
const PIECE: usize = 1 << 20;

/// What is known about the entries so far.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// Index and term of the entry before.
    last: Option<(i64, i64)>,
    /// Something between the entry before and the next one could not be read.
    broken: bool,
    index_file: Option<(u64, MappedFile)>,
    /// Entries that the index describes otherwise: how many, and the first.
    index_differs: (u64, i64),
    /// Number of the committed entry, once it was asked for; the highest of all if no file names it.
    committed: Option<i64>,
    /// Entries behind the committed one: how many, and where the first stands.
    uncommitted: (u64, u64),
}

/// Reads one data file.
pub(super) fn file(pass: &mut Pass<'_, '_, '_>, map: &MappedFile, file: &QueueFile, path: &str, is_last: bool) {
    let base = file.file_from_offset;
    let (mut at, mut told) = (0, 0);
    while at < map.len() {
        if pass.lost(map, base.saturating_add(at as u64), file.end()) {
            return;
        }
        if at - told >= PIECE {
            if !pass.cx.advance((at - told) as u64) {
                return;
            }
            map.release(told & !(PIECE - 1)..at & !(PIECE - 1));
            told = at;
        }
        let place = Place { map, file, path, at, is_last };
        let next = match DataEntry::parse(map.get(at..).unwrap_or_default(), place.position()) {
            Ok(Some(DataEntry::Entry(entry))) => {
                one(pass, &entry, path);
                Some(at + DLEDGER_HEAD_LENGTH + entry.body.len())
            }
            Ok(Some(DataEntry::Blank(blank))) => closed(pass, place, blank.size),
            Ok(None) => no_entry(pass, place, None),
            Err(error) => no_entry(pass, place, Some(error)),
        };
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    pass.lost(map, base.saturating_add(at as u64), file.end());
    pass.cx.advance(map.len().saturating_sub(told) as u64);
}

/// A place in a data file.
#[derive(Clone, Copy)]
struct Place<'a> {
    map: &'a MappedFile,
    file: &'a QueueFile,
    path: &'a str,
    at: usize,
    is_last: bool,
}

impl Place<'_> {
    fn position(&self) -> PhysicalOffset {
        PhysicalOffset(self.file.file_from_offset.saturating_add(self.at as u64))
    }

    fn left(&self) -> usize {
        self.map.len() - self.at
    }

    /// The next entry that can follow `last`, behind this place: where it begins in the file. What a cut left behind has a
    /// lower term or an index that was there already.
    fn resync(&self, last: Option<(i64, i64)>) -> Option<usize> {
        let from = self.at + 1;
        let rest = self.map.get(from..)?;
        memmem::find_iter(rest, &DLEDGER_MAGIC.to_be_bytes()).map(|n| from + n).find(|at| {
            let position = PhysicalOffset(self.file.file_from_offset.saturating_add(*at as u64));
            let entry = DataEntry::parse(self.map.get(*at..).unwrap_or_default(), position);
            matches!(entry, Ok(Some(DataEntry::Entry(entry)))
                if last.is_none_or(|(index, term)| entry.index > index && entry.term >= term))
        })
    }
}

fn one(pass: &mut Pass<'_, '_, '_>, entry: &DledgerEntry<'_>, path: &str) {
    let at = || Location::path(path).at(entry.position.get()).spanning(DLEDGER_HEAD_LENGTH as u64);
    let sequence = &mut pass.entries;
    let broken = std::mem::take(&mut sequence.broken);
    if let Some((index, term)) = sequence.last.replace((entry.index, entry.term)) {
        let follows = entry.index == index.saturating_add(1) || (broken && entry.index > index);
        if !follows || entry.term < term {
            let message = format!(
                "entry at {} has index {} and term {} behind index {index} and term {term}",
                entry.position, entry.index, entry.term
            );
            let found = finding("commitlog.dledger-entry", at(), message);
            let expected = format!("index {}, term {term} or higher", index.saturating_add(1));
            pass.cx.push(found.values(expected, format_args!("index {}, term {}", entry.index, entry.term)));
        }
    }
    let unused = [entry.channel, entry.chain_crc, entry.body_crc];
    if unused != [0; 3] {
        let message = format!("entry at {} has values in fields that every release leaves at 0", entry.position);
        let found = finding("commitlog.dledger-entry", at(), message);
        pass.cx.push(at_most(Severity::Warning, found.values("0, 0, 0", format_args!("{unused:?}"))));
    }
    let dledger = pass.cx.log.dledger();
    if pass.cx.is_full()
        && let Some(dledger) = dledger
        && !pass.entries.is_indexed(dledger, entry)
    {
        let (count, first) = &mut pass.entries.index_differs;
        if *count == 0 {
            *first = entry.index;
        }
        *count += 1;
    }
    let committed = *pass
        .entries
        .committed
        .get_or_insert_with(|| dledger.and_then(DledgerLog::committed_index).unwrap_or(i64::MAX));
    match entry.record() {
        Ok(record) => {
            let waits = entry.index > committed;
            if waits {
                let (count, first) = &mut pass.entries.uncommitted;
                if *count == 0 {
                    *first = entry.position.get();
                }
                *count += 1;
            }
            // The mark is written from time to time: after a kill these may well have been dispatched.
            if waits && !pass.cx.facts.in_motion() {
                let mut findings = Vec::new();
                record::check(&mut findings, path, &record, &Known::of(&record));
                for found in findings {
                    pass.cx.push(found);
                }
            } else {
                pass.record(&record, path);
            }
        }
        Err(error) => {
            let place = Location::path(path).at(entry.record_position().get()).spanning(entry.body.len() as u64);
            pass.cx.push(record::no_record(entry.record_position(), error.kind, place));
            pass.damage(entry.position.get(), entry.end().get());
        }
    }
}

impl Sequence {
    /// Whether the index describes the entry.
    fn is_indexed(&mut self, dledger: &DledgerLog, entry: &DledgerEntry<'_>) -> bool {
        let unit = u64::try_from(entry.index).ok().and_then(|n| n.checked_mul(DLEDGER_INDEX_UNIT_LENGTH as u64));
        let unit = unit.and_then(|at| {
            let holds = |(from, map): &(u64, MappedFile)| at >= *from && at - from < map.len() as u64;
            if !self.index_file.as_ref().is_some_and(holds) {
                let file = dledger.index().find(at)?;
                self.index_file = Some((file.file_from_offset, file.map().ok()?));
            }
            let (from, map) = self.index_file.as_ref()?;
            DledgerIndexUnit::read(map.get(usize::try_from(at - from).ok()?..)?)
        });
        unit.is_some_and(|unit| unit.describes(entry))
    }
}

/// A blank closes the file. If it does not reach to the end, something may lie behind it.
fn closed(pass: &mut Pass<'_, '_, '_>, place: Place<'_>, size: i32) -> Option<usize> {
    if usize::try_from(size) == Ok(place.left()) {
        return None;
    }
    let (position, left) = (place.position(), place.left());
    let next = place.resync(pass.entries.last);
    let message = format!("blank at {position} has total size {size}, {left} bytes are left");
    let length = next.map_or(left, |next| next - place.at) as u64;
    let at = Location::path(place.path).at(position.get()).spanning(length);
    pass.cx.push(finding("commitlog.blank", at, message).values(left, size));
    if next.is_some() {
        pass.damage(position.get(), position.get().saturating_add(length));
        pass.entries.broken = true;
    }
    next
}

/// Where no entry stands: finds where the log goes on and tells what is between. `None` at the end of the file.
fn no_entry(pass: &mut Pass<'_, '_, '_>, place: Place<'_>, error: Option<FormatError>) -> Option<usize> {
    let position = place.position();
    let rest = place.map.get(place.at..).unwrap_or_default();
    let zeros = is_zero(rest);
    let next = if zeros { None } else { place.resync(pass.entries.last) };
    // A follower that was set up anew begins inside its first file.
    if pass.entries.last.is_none() && place.at == 0 && error.is_none() && next.is_some() {
        return next;
    }
    if next.is_none() && place.is_last {
        if !zeros {
            let claimed = i32_at(rest, 4).and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
            let behind = rest.get(claimed.min(rest.len())..).unwrap_or_default();
            let cut = |kind| matches!(kind, FormatErrorKind::Truncated { .. } | FormatErrorKind::LengthMismatch { .. });
            let torn = error.is_some_and(|error| cut(error.kind)) && is_zero(behind);
            let nothing = FormatErrorKind::UnknownMagic { found: 0 };
            let error = error.unwrap_or(FormatError { offset: position.get(), kind: nothing });
            let (at, file_end, path) = (position.get(), place.file.end(), place.path.to_owned());
            pass.tail = Some(Tail { at, file_end, path, error, torn });
        }
        return None;
    }
    let length = next.map_or(place.left(), |next| next - place.at);
    let at = Location::path(place.path).at(position.get()).spanning(length as u64);
    match error.filter(|_| !rest.get(..length).is_some_and(is_zero)) {
        None => {
            let message = format!("{length} bytes without an entry at {position} with entries behind them");
            pass.cx.push(finding("commitlog.hole", at, message));
        }
        Some(error) => {
            let message = format!("no entry at {position}: {}", error.kind);
            pass.cx.push(finding("commitlog.dledger-entry", at, message));
        }
    }
    pass.damage(position.get(), position.get().saturating_add(length as u64));
    pass.entries.broken = true;
    next
}

/// Tells what only all entries show.
pub(super) fn finish(pass: &mut Pass<'_, '_, '_>) {
    let Some(dledger) = pass.cx.log.dledger() else { return };
    let dir = pass.cx.relative(dledger.dir());
    let (count, first) = pass.entries.index_differs;
    if count > 0 {
        let message = format!("the index does not describe {count} entries, the first is number {first}");
        let at = Location::path(format!("{dir}/index")).at(first.cast_unsigned().saturating_mul(32));
        pass.cx.push(finding("commitlog.dledger-index", at, message).values(0, count));
    }
    let (count, first) = pass.entries.uncommitted;
    if count > 0 {
        let message = format!("{count} entries from {first} on are behind committedIndex");
        pass.cx.push(finding("commitlog.dledger-uncommitted", Location::path(&dir).at(first), message));
    }
    if let Some((index, term)) = pass.entries.last.filter(|_| pass.log.reached_end && !pass.cx.stopped) {
        state(pass.cx, dledger, &dir, index, term);
    }
}

/// `checkpoint` and `currterm` against the last entry.
fn state(cx: &mut Context<'_>, dledger: &DledgerLog, dir: &str, last: i64, term: i64) {
    let mut tell = |name: &str, message: String, expected: String, actual: String| {
        let at = Location::path(format!("{dir}/{name}"));
        let found = finding("commitlog.dledger-state", at, message).values(expected, actual);
        // Both files are written from time to time while a broker runs.
        cx.push(if cx.facts.in_motion() { at_most(Severity::Info, found) } else { found });
    };
    let text = |n: Option<i64>| n.map_or("none".to_owned(), |n| n.to_string());
    let number = |key| dledger.checkpoint().and_then(|properties| properties.number(key));
    for key in ["committedIndex", "endIndex"] {
        let value = number(key);
        // A member of several may have entries that wait for a majority.
        let right =
            value.is_some_and(|value| value == last || (key == "committedIndex" && (-1..last).contains(&value)));
        if !right {
            let message = format!("{key} is {}, the last entry is number {last}", text(value));
            tell("checkpoint", message, last.to_string(), text(value));
        }
    }
    let current = dledger.current_term().and_then(|properties| properties.number("currTerm"));
    if current.is_none_or(|current| current < term) {
        let message = format!("currTerm is {}, the last entry has term {term}", text(current));
        tell("currterm", message, format!("{term} or higher"), text(current));
    }
}
