//! Names, lengths and gaps of the files, foreign entries, and the parts that are not read.

use std::collections::BTreeMap;
use std::path::Path;

use mqstore_core::bytes::is_zero;
use mqstore_core::format::consumequeue::CQ_UNIT_LENGTH;
use mqstore_core::store::{ConsumeQueue, EntryKind, ForeignEntry, MappedFileQueue, SpecialKind};

use super::facts::is_unused;
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// Looks at the root, the log's folder, and what will not be looked at.
pub(super) fn pass(cx: &mut Context<'_>) {
    let store = cx.store;
    if cx.facts.live {
        cx.push(finding("store.live", Location::path("lock"), "a broker holds the lock of this store"));
    } else if cx.facts.abort {
        cx.push(finding("store.unclean-stop", Location::path("abort"), "abort is there: the last stop was not clean"));
    }
    for entry in store.entries().iter().filter(|entry| entry.kind == EntryKind::Unknown) {
        let name = cx.relative(&entry.path);
        cx.push(finding(
            "store.foreign-entry",
            Location::path(&name),
            format!("no broker makes an entry {name:?} here"),
        ));
    }
    parts(cx);
    log_folder(cx);
}

/// Names what is not read. Unused parts that every broker makes are none of them.
fn parts(cx: &mut Context<'_>) {
    let used: Vec<_> = cx.facts.parts.iter().filter(|part| !is_unused(part)).cloned().collect();
    for part in used {
        let path = cx.relative(&part.path);
        let what = match part.kind {
            SpecialKind::RocksDbPop => "POP records in RocksDB: files and checksums are checked, what they say is not",
            SpecialKind::RocksDbStore => {
                "index, timers and transactions in RocksDB: files and checksums are checked, what they say is not"
            }
            SpecialKind::Tiered => "tiered storage is not read",
            // These have passes of their own.
            SpecialKind::RocksDbQueues
            | SpecialKind::RocksDbConfig
            | SpecialKind::Dledger
            | SpecialKind::BatchQueues
            | SpecialKind::Compaction
            | SpecialKind::Timer => continue,
            _ => "this part is not read",
        };
        cx.report.skip(path, format!("{what} ({} files, {} bytes)", part.files, part.bytes));
    }
}

fn log_folder(cx: &mut Context<'_>) {
    let log = cx.store.commitlog();
    let queue = log.queue();
    if log.is_empty() {
        if cx.options.without_commitlog {
            cx.report.skip_as_asked("commitlog", "there is none by design: no cross-checks with it");
        } else if !cx.facts.dledger && !cx.facts.looks_new {
            let dir = log.dirs().first().map_or_else(|| "commitlog".to_owned(), |dir| cx.relative(dir));
            cx.push(finding("commitlog.missing", Location::path(dir), "no commit log file beside queues or index"));
        }
    }
    foreign(cx, queue.foreign(), "commitlog.foreign-entry");
    files(cx, queue, queue.file_size(), ["commitlog.file-name", "commitlog.file-length", "commitlog.file-gap"]);
    for (a, b) in queue.files().iter().zip(queue.files().iter().skip(1)) {
        if a.file_from_offset == b.file_from_offset {
            let path = cx.relative(&b.path);
            let message = format!("{path} has the same offset as {}", cx.relative(&a.path));
            cx.push(finding("commitlog.duplicate-file", Location::path(path).at(b.file_from_offset), message));
        }
    }
    // A file is made one ahead; two lie empty between a roll and the first record behind it.
    let empty = queue
        .files()
        .iter()
        .rev()
        .take_while(|file| file.length > 0 && file.map().is_ok_and(|map| map.is_zero_from(0)));
    let empty = empty.count();
    let allowed = if cx.facts.in_motion() { 2 } else { 0 };
    if empty > allowed && empty < queue.files().len() {
        let first = queue.files().len() - empty;
        if let Some(file) = queue.files().get(first) {
            let message = format!("{empty} empty files at the end of the log, from {} on", file.file_from_offset);
            let at = Location::path(cx.relative(&file.path)).at(file.file_from_offset);
            cx.push(finding("commitlog.zero-file", at, message).values(format_args!("at most {allowed}"), empty));
        }
    }
}

/// Names, lengths and gaps of the files of a log or queue.
pub(super) fn files(cx: &mut Context<'_>, queue: &MappedFileQueue, size: u64, [name, length, gap]: [&'static str; 3]) {
    let last = queue.files().len().saturating_sub(1);
    for (n, file) in queue.files().iter().enumerate() {
        let path = cx.relative(&file.path);
        let at = || Location::path(&path).at(file.file_from_offset);
        if file.length != size {
            let note = if file.length == 0 && n == last { ", the last file is empty" } else { "" };
            let message = format!("length not matched: {} bytes, the others have {size}{note}", file.length);
            cx.push(finding(length, at().spanning(file.length), message).values(size, file.length));
        }
        if size > 0 && file.file_from_offset % size != 0 {
            let message = format!("name {} is no multiple of {size}", file.file_from_offset);
            cx.push(finding(name, at(), message).values(format_args!("a multiple of {size}"), file.file_from_offset));
        }
    }
    for (a, b) in queue.gaps() {
        let (from, to) = (a.file_from_offset.saturating_add(size), b.file_from_offset);
        // Names that overlap are no gap: the name itself is wrong.
        if size == 0 || to <= from || to % size != 0 {
            continue;
        }
        let message = format!("nothing between {from} and {to}");
        let found = finding(gap, Location::path(cx.relative(&b.path)).at(from).spanning(to - from), message);
        // Up to 4.1.0 expiry could remove files from the middle of the log.
        let excused = gap == "commitlog.file-gap" && cx.facts.before_lock;
        cx.push(if excused { at_most(Severity::Warning, found) } else { found });
    }
}

pub(super) fn foreign(cx: &mut Context<'_>, entries: &[ForeignEntry], id: &'static str) {
    for entry in entries {
        let path = cx.relative(&entry.path);
        let name = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let first = name.bytes().next().unwrap_or(0);
        let hides = first < b'0' || name.bytes().all(|b| b.is_ascii_digit());
        let kind = if entry.is_dir { "folder" } else { "file" };
        let how = if hides {
            "sorts before log files: hides those behind it up to 4.4.0 and on 4.9.2"
        } else {
            "sorts behind the files"
        };
        let found = finding(id, Location::path(path), format!("{kind} {name:?} is no file of the broker and {how}"));
        // A folder behind the files is passed over by old and new releases alike; 4.5.0 to 5.0.0 refuse it.
        cx.push(if entry.is_dir && !hides { at_most(Severity::Warning, found) } else { found });
    }
}

/// Looks at the files of every queue.
pub(super) fn queues(cx: &mut Context<'_>, queues: &[ConsumeQueue]) {
    queue_files(cx, queues.iter().map(ConsumeQueue::queue));
    for queue in queues {
        zero_file(cx, queue);
    }
    stray_entries(cx);
}

/// Looks at the files of queues that share one length of file.
pub(super) fn queue_files<'q>(cx: &mut Context<'_>, queues: impl Iterator<Item = &'q MappedFileQueue> + Clone) {
    let mut lengths: BTreeMap<u64, u64> = BTreeMap::new();
    for file in queues.clone().flat_map(MappedFileQueue::files).filter(|file| file.length > 0) {
        *lengths.entry(file.length).or_default() += 1;
    }
    let size = lengths.iter().max_by_key(|(length, count)| (**count, **length)).map_or(0, |(length, _)| *length);
    for queue in queues {
        foreign(cx, queue.foreign(), "queue.foreign-entry");
        files(cx, queue, size, ["queue.file-name", "queue.file-length", "queue.file-gap"]);
    }
}

/// The last file is empty and one before it is full: a unit appears that nobody wrote.
fn zero_file(cx: &mut Context<'_>, queue: &ConsumeQueue) {
    let files = queue.queue().files();
    let Some((last, before)) = files.split_last().filter(|(last, before)| !before.is_empty() && last.length > 0) else {
        return;
    };
    let empty = last.map().is_ok_and(|map| is_zero(&map));
    if empty && !cx.facts.live {
        let full = before.last().is_some_and(|file| {
            file.map().is_ok_and(|map| map.last_chunk::<CQ_UNIT_LENGTH>().is_some_and(|unit| !is_zero(unit)))
        });
        let message = format!("last file of the queue is empty{}", if full { " behind a full one" } else { "" });
        let at = Location::path(cx.relative(&last.path)).in_queue(queue.topic(), queue.queue_id().cast_signed());
        cx.push(finding("queue.zero-file", at, message));
    }
}

/// Folders in a topic's folder whose name is no number are skipped by every release; files there, too.
fn stray_entries(cx: &mut Context<'_>) {
    let root = cx.store.root().join("consumequeue");
    let list = |dir: &Path| {
        let mut paths: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect();
        paths.sort();
        paths
    };
    for topic in list(&root).into_iter().filter(|path| path.is_dir()) {
        for path in list(&topic) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            if !(digits && path.is_dir()) {
                let message = format!("{name:?} is no queue of the topic and is skipped");
                let found = finding("queue.foreign-entry", Location::path(cx.relative(&path)), message);
                cx.push(at_most(Severity::Info, found));
            }
        }
    }
}
