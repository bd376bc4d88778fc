//! `inspect index`: headers, entries, and where a key is.

use std::io::Write as _;
use std::path::Path;

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::{MessageRecord, names};
use mqstore_core::format::index::{IndexEntry, IndexHeader};
use mqstore_core::store::IndexService;
use serde::Serialize;

use crate::args::{BodyForm, IndexArgs};
use crate::commands::{Context, Target};
use crate::exit::{Exit, hinted, readable};
use crate::output::human::{Columns, count, number, plain};
use crate::output::json::{self, Stream, TargetJson};
use crate::output::record::{self, RecordJson};
use crate::time::Moment;

/// An index file.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IndexFileJson {
    pub(crate) name: String,
    pub(crate) begin_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    begin_at: Option<Moment>,
    pub(crate) end_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_at: Option<Moment>,
    begin_physical_offset: i64,
    end_physical_offset: i64,
    hash_slot_count: i32,
    pub(crate) index_count: i32,
    /// How the file is divided, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_slot_num: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_num: Option<u32>,
}

impl IndexFileJson {
    /// All files, by their headers. One that cannot be read hides no other.
    pub(crate) fn all(index: &IndexService, exit: &mut Exit) -> Vec<Self> {
        let files = index.files().iter();
        files.filter_map(|path| readable(exit, &format!("index/{}", name(path)), Self::read(index, path))).collect()
    }

    fn read(index: &IndexService, path: &Path) -> anyhow::Result<Self> {
        let file = index.open_file(path)?;
        let header: IndexHeader = file.header()?;
        let geometry = file.geometry();
        Ok(Self {
            name: name(path),
            begin_timestamp: header.begin_timestamp,
            begin_at: Moment::from_mark(header.begin_timestamp),
            end_timestamp: header.end_timestamp,
            end_at: Moment::from_mark(header.end_timestamp),
            begin_physical_offset: header.begin_physical_offset,
            end_physical_offset: header.end_physical_offset,
            hash_slot_count: header.hash_slot_count,
            index_count: header.index_count,
            hash_slot_num: geometry.map(|geometry| geometry.hash_slot_num),
            index_num: geometry.map(|geometry| geometry.index_num),
        })
    }

    /// Entries in use; numbering starts at 1.
    pub(crate) fn entries(&self) -> u64 {
        u64::from(self.index_count.max(1).cast_unsigned()) - 1
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "entry")]
struct EntryJson<'a> {
    file: &'a str,
    index: u32,
    key_hash: i32,
    physical_offset: i64,
    time_diff: i32,
    prev: i32,
}

impl<'a> EntryJson<'a> {
    fn new(file: &'a str, entry: IndexEntry) -> Self {
        let IndexEntry { index, key_hash, physical_offset, time_diff, prev } = entry;
        Self { file, index, key_hash, physical_offset, time_diff, prev }
    }
}

pub(crate) fn run(context: &mut Context, args: &IndexArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let index = target.store.index()?;
    match (&args.key, &args.topic) {
        (Some(key), Some(topic)) => look_up(context, &target, &index, topic, key),
        _ if args.entries => entries(context, &target, &index),
        _ => headers(context, &target, &index),
    }
}

fn headers(context: &mut Context, target: &Target, index: &IndexService) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        index: Vec<IndexFileJson>,
    }
    // An index is no must: messageIndexEnable=false makes none.
    let mut exit = Exit::clean();
    let body = Body { index: IndexFileJson::all(index, &mut exit) };
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if !text {
        json::document(out, ndjson, ("mqstore.inspect.index", &TargetJson::store(root)), &body, &exit)?;
        return Ok(exit);
    }
    let total: u64 = body.index.iter().map(IndexFileJson::entries).sum();
    let files = count(body.index.len() as u64, "file", "files");
    writeln!(out, "{}", paint.bold(format!("{} in {files}", count(total, "entry", "entries"))))?;
    if body.index.is_empty() {
        return Ok(exit);
    }
    writeln!(out)?;
    let heads = ["FILE", ">ENTRIES", ">OF", ">SLOTS", ">LOG FROM", ">LOG TO", "STORED FROM", "STORED TO"];
    let mut columns = Columns::new(paint, &heads);
    for file in &body.index {
        let unknown = || "?".to_owned();
        let at = |at: Option<Moment>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        columns.row([
            file.name.clone(),
            number(file.entries()),
            file.index_num.map_or_else(unknown, |n| number(n.saturating_sub(1))),
            file.hash_slot_num.map_or_else(unknown, number),
            file.begin_physical_offset.to_string(),
            file.end_physical_offset.to_string(),
            at(file.begin_at),
            at(file.end_at),
        ]);
    }
    columns.print(out)?;
    writeln!(out, "\nlook a key up: mqstore inspect index {} --topic TOPIC --key KEY", root.display())?;
    Ok(exit)
}

fn entries(context: &mut Context, target: &Target, index: &IndexService) -> anyhow::Result<Exit> {
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let bar = context.bar("reading entries");
    let root = target.root();
    let out = context.out(&[root])?;
    let mut exit = Exit::clean();
    let mut stream = None;
    if text {
        let heads = format!(
            "{:<17}  {:>9}  {:>11}  {:>16}  {:>9}  {:>9}",
            "FILE", "INDEX", "KEY HASH", "PHYSICAL OFFSET", "TIME DIFF", "PREV"
        );
        writeln!(out, "{}", paint.dim(heads))?;
    } else {
        stream = Some(Stream::begin(out, ndjson, ("mqstore.inspect.index", &TargetJson::store(root)), "entries")?);
    }
    for path in index.files() {
        let file = index.open_file(path)?;
        let name = name(path);
        let view = match file.view() {
            Ok(view) => view,
            // A file without an index is divided nobody knows how, and has no entries to show.
            Err(_) if file.header().is_ok_and(|header| header.index_count <= 1) => continue,
            Err(error) => {
                exit = exit.and(Exit::no_verdict(format!("index/{name} cannot be read: {error}")));
                continue;
            }
        };
        for entry in view.entries() {
            if bar.interrupted() {
                exit = Exit::interrupted();
                break;
            }
            if let Some(stream) = &mut stream {
                stream.element(out, &EntryJson::new(&name, entry))?;
            } else {
                let IndexEntry { index, key_hash, physical_offset, time_diff, prev } = entry;
                writeln!(
                    out,
                    "{name:<17}  {index:>9}  {key_hash:>11}  {physical_offset:>16}  {time_diff:>9}  {prev:>9}"
                )?;
            }
        }
    }
    if let Some(stream) = stream {
        stream.end(out, &json::Empty {}, &exit)?;
    }
    Ok(exit)
}

/// One hit of the hash, and what the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// The record has the key.
    Confirmed,
    /// The record is of another key or topic with the same hash.
    Other,
    /// There is no record at that offset.
    NoRecord,
}

fn look_up(
    context: &mut Context,
    target: &Target,
    index: &IndexService,
    topic: &str,
    key: &str,
) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Summary {
        hits: u64,
        confirmed: u64,
        other_keys: u64,
        without_record: u64,
    }
    let found = index.find(topic, key)?;
    let log = target.store.commitlog();
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    let mut stream = None;
    if !text {
        stream = Some(Stream::begin(out, ndjson, ("mqstore.inspect.index", &TargetJson::store(root)), "records")?);
    }
    let mut summary = Summary { hits: found.len() as u64, confirmed: 0, other_keys: 0, without_record: 0 };
    for (path, entry) in &found {
        let offset = PhysicalOffset(entry.physical_offset.cast_unsigned());
        let hit = log.with_record(offset, |record| {
            if !has_key(record, topic, key) {
                return anyhow::Ok(Hit::Other);
            }
            if let Some(stream) = &mut stream {
                stream.element(out, &RecordJson::new(record, BodyForm::None))?;
            } else {
                if summary.confirmed == 0 {
                    record::heading(out, paint)?;
                }
                record::line(out, record)?;
            }
            Ok(Hit::Confirmed)
        })?;
        match hit.transpose()?.unwrap_or(Hit::NoRecord) {
            Hit::Confirmed => summary.confirmed += 1,
            Hit::Other => summary.other_keys += 1,
            Hit::NoRecord => {
                summary.without_record += 1;
                if let Some(stream) = stream.as_mut().filter(|_| ndjson) {
                    stream.element(out, &EntryJson::new(&name(path), *entry))?;
                }
            }
        }
    }
    let what = format!("key {} of topic {}", plain(key), plain(topic));
    let exit = if summary.confirmed > 0 {
        Exit::clean()
    } else if summary.without_record > 0 {
        let hits = count(summary.without_record, "hit", "hits");
        Exit::no_verdict(format!("{hits} for {what}, but the log does not hold the records"))
    } else if text {
        return Err(hinted(
            format!("{what} is not in the index"),
            "keys are exact and case matters; inspect commitlog --topic TOPIC --key GLOB reads the log itself",
        ));
    } else {
        Exit::nothing_selected(format!("{what} is not in the index"))
    };
    match stream {
        Some(stream) => stream.end(out, &summary, &exit)?,
        None if summary.confirmed > 0 => {
            writeln!(out, "\n{}, newest first", count(summary.confirmed, "record", "records"))?;
        }
        None => writeln!(out, "no record")?,
    }
    Ok(exit)
}

fn has_key(record: &MessageRecord<'_>, topic: &str, key: &str) -> bool {
    let properties = record.properties;
    record.topic == topic.as_bytes()
        && properties.keys().chain(properties.get(names::UNIQ_KEY)).any(|other| other == key.as_bytes())
}
