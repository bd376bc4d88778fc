//! `inspect commitlog`: a stream of records in constant memory.

use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mqstore_core::PhysicalOffset;
use mqstore_core::format::commitlog::{Entry, MessageRecord, names};
use mqstore_core::store::{CommitLog, LogEnd, LogEndKind, QueueFile, StoreLog};
use serde::Serialize;

use super::{EndJson, end_exit, end_text};
use crate::args::{BodyForm, CommitlogArgs};
use crate::commands::{Context, Target};
use crate::exit::{Exit, hinted};
use crate::glob::{Glob, any};
use crate::output::Output;
use crate::output::human::{Paint, count, number, plain};
use crate::output::json::{Stream, TargetJson};
use crate::output::record::{self, BlankJson, Body, RecordJson};
use crate::progress::{Bar, STEP};

#[derive(Debug, Serialize)]
struct Summary {
    records: u64,
    blanks: u64,
    records_seen: u64,
    min_offset: u64,
    max_offset: u64,
    #[serde(flatten)]
    end: Option<EndJson>,
}

pub(crate) fn run(context: &mut Context, args: &CommitlogArgs) -> anyhow::Result<Exit> {
    let (log, path, live) = open(context, args)?;
    let is_file = path.is_file();
    if log.is_empty() {
        return empty(context, args, &path);
    }
    let from = start(context, args, &log)?;
    let mut printer = Printer::new(context, args, &path);
    let mut selection = Selection::new(args);
    let to = args.range.to_offset.map(PhysicalOffset);
    let bar = context.bar("reading");
    let total = log.files().last().map_or(0, QueueFile::end).min(args.range.to_offset.unwrap_or(u64::MAX));
    let sources = [path.as_path()];
    let out = context.out(&sources)?;
    printer.begin(out)?;
    let mut failed = None;
    let mut seen = Seen { records: 0, blanks: 0, to: from };
    let mut next_update = from.get() + STEP;
    let end = log.scan_from(from, true, |entry| {
        if bar.interrupted() {
            return ControlFlow::Break(());
        }
        let position = entry.position();
        if to.is_some_and(|to| position >= to) || selection.is_full() {
            return ControlFlow::Break(());
        }
        if position.get() >= next_update {
            bar.at(position.since(from), Some(total.saturating_sub(from.get())));
            next_update = position.get() + STEP;
        }
        seen.add(entry);
        let written = match entry {
            Entry::Message(record) => selection.takes(record).then(|| printer.record(out, record)),
            Entry::Blank(blank) => selection.is_open.then(|| printer.blank(out, blank)),
        };
        failed = written.and_then(Result::err);
        if failed.is_some() || selection.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let exit = exit(&end, &selection, &bar, live);
    let words = if end.stopped { "was not read to its end".to_owned() } else { end_text(&log, &end) };
    drop(bar);
    printer.end(
        out,
        &Summary {
            records: selection.taken,
            blanks: seen.blanks,
            records_seen: seen.records,
            min_offset: from.get(),
            max_offset: seen.to.get(),
            end: (!end.stopped).then(|| EndJson::new(&end)),
        },
        &words,
        &exit,
    )?;
    if !end.stopped && end.kind == LogEndKind::Torn {
        context.note(&format!("the log {words}; normal after a power loss and on a slave"));
    }
    if !end.stopped
        && let Some(stale) = end.stale
    {
        let what = if is_file { "this file" } else { "the log" };
        context.note(&format!("--from-offset {} shows what can be read of {what} behind its end", stale.first));
    }
    Ok(exit)
}

fn open(context: &Context, args: &CommitlogArgs) -> anyhow::Result<(StoreLog, PathBuf, bool)> {
    if let Some(path) = &args.store.store
        && path.is_file()
    {
        return Ok((CommitLog::single_file(path)?.into(), path.clone(), args.store.place.live));
    }
    let target = Target::open(context, &args.store)?;
    Ok((target.log.clone(), target.root().to_path_buf(), target.live))
}

/// A log without a file: truly new, kept elsewhere, or lost.
fn empty(context: &mut Context, args: &CommitlogArgs, root: &Path) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let exit = if target.is_new()? {
        context.note("the store is new: it has no commit log file yet");
        Exit::clean()
    } else {
        Exit::no_verdict("the commit log has no files, but the store is not new: name its folder with --commitlog")
    };
    let mut printer = Printer::new(context, args, root);
    let out = context.out(&[root])?;
    printer.begin(out)?;
    let summary = Summary { records: 0, blanks: 0, records_seen: 0, min_offset: 0, max_offset: 0, end: None };
    printer.finish(out, &summary, "no records: the commit log has no files", &exit)?;
    Ok(exit)
}

/// Where to begin: the first record at or behind `--from-offset`.
fn start(context: &Context, args: &CommitlogArgs, log: &StoreLog) -> anyhow::Result<PhysicalOffset> {
    let Some(wanted) = args.range.from_offset.map(PhysicalOffset) else { return Ok(log.min_offset()) };
    if wanted < log.min_offset() {
        context.note(&format!("the log begins at {}", log.min_offset()));
        return Ok(log.min_offset());
    }
    match log.entry_from(wanted)? {
        Some(found) if found == wanted => Ok(found),
        Some(found) => {
            context.note(&format!("no record begins at {wanted}: the next one is at {found}"));
            Ok(found)
        }
        None => {
            let message = format!("there is no record at or behind offset {wanted}");
            let end = log.end()?;
            Err(hinted(message, format!("the log reaches from {} to {}", log.min_offset(), end.offset)))
        }
    }
}

fn exit(end: &LogEnd, selection: &Selection, bar: &Bar, live: bool) -> Exit {
    if bar.interrupted() {
        return Exit::interrupted();
    }
    let selected = match selection.unmatched() {
        Some(what) if !selection.is_full() => Exit::nothing_selected(what),
        _ => Exit::clean(),
    };
    if end.stopped { selected } else { selected.and(end_exit(end, live)) }
}

/// What was read, shown or not.
#[derive(Debug)]
struct Seen {
    records: u64,
    blanks: u64,
    /// The offset behind the last record.
    to: PhysicalOffset,
}

impl Seen {
    #[inline]
    fn add(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Message(record) => {
                self.records += 1;
                self.to = record.end();
            }
            Entry::Blank(_) => self.blanks += 1,
        }
    }
}

/// Which records are shown.
#[derive(Debug)]
struct Selection {
    topic: Vec<Glob>,
    queue: Vec<Glob>,
    tag: Vec<Glob>,
    key: Vec<Glob>,
    since: i64,
    until: i64,
    limit: u64,
    taken: u64,
    /// Whether there is no filter at all, so that blanks are shown, too.
    is_open: bool,
    /// The topic seen last and whether it was taken: neighbours are often of one topic.
    last_topic: (Vec<u8>, bool),
    /// The same for the queue.
    last_queue: Option<(i32, bool)>,
}

impl Selection {
    fn new(args: &CommitlogArgs) -> Self {
        let lists = [&args.topic, &args.queue, &args.tag, &args.key];
        let is_open = lists.iter().all(|list| list.is_empty()) && args.since.is_none() && args.until.is_none();
        let [topic, queue, tag, key] = lists.map(Clone::clone);
        Self {
            last_topic: (Vec::new(), topic.is_empty()),
            last_queue: None,
            topic,
            queue,
            tag,
            key,
            since: args.since.unwrap_or(i64::MIN),
            until: args.until.unwrap_or(i64::MAX),
            limit: args.range.limit.unwrap_or(u64::MAX),
            taken: 0,
            is_open,
        }
    }

    fn is_full(&self) -> bool {
        self.taken >= self.limit
    }

    #[inline]
    fn takes(&mut self, record: &MessageRecord<'_>) -> bool {
        let takes = self.is_open
            || (self.since <= record.store_timestamp
                && record.store_timestamp < self.until
                && self.takes_topic(record.topic)
                && self.takes_queue(record.queue_id)
                && self.takes_properties(record));
        self.taken += u64::from(takes);
        takes
    }

    fn takes_topic(&mut self, topic: &[u8]) -> bool {
        if self.last_topic.0 != topic {
            self.last_topic.0.clear();
            self.last_topic.0.extend_from_slice(topic);
            self.last_topic.1 = any(&mut self.topic, topic);
        }
        self.last_topic.1
    }

    fn takes_queue(&mut self, queue_id: i32) -> bool {
        if self.queue.is_empty() {
            return true;
        }
        match self.last_queue {
            Some((last, takes)) if last == queue_id => takes,
            _ => {
                let takes = any(&mut self.queue, queue_id.to_string().as_bytes());
                self.last_queue = Some((queue_id, takes));
                takes
            }
        }
    }

    fn takes_properties(&mut self, record: &MessageRecord<'_>) -> bool {
        let properties = record.properties;
        if !self.tag.is_empty() && !properties.get(names::TAGS).is_some_and(|tag| any(&mut self.tag, tag)) {
            return false;
        }
        if self.key.is_empty() {
            return true;
        }
        let unique = properties.get(names::UNIQ_KEY);
        // All keys are asked, so that every pattern knows whether it ever matched.
        properties.keys().chain(unique).fold(false, |found, key| any(&mut self.key, key) | found)
    }

    /// What was selected but is not there.
    fn unmatched(&self) -> Option<String> {
        let lists = [("topic", &self.topic), ("queue", &self.queue), ("tag", &self.tag), ("key", &self.key)];
        for (name, list) in lists {
            if let Some(glob) = list.iter().find(|glob| !glob.has_matched()) {
                return Some(format!("no record that was read matches --{name} {}", plain(glob.as_str())));
            }
        }
        (self.taken == 0).then(|| "no record that was read matches the selection".to_owned())
    }
}

/// Writes records in the form asked for.
#[derive(Debug)]
struct Printer<'a> {
    paint: Paint,
    body: BodyForm,
    target: TargetJson,
    form: Form<'a>,
}

#[derive(Debug)]
enum Form<'a> {
    Text,
    Json { ndjson: bool, stream: Option<Stream<'a>> },
}

impl Printer<'_> {
    fn new(context: &Context, args: &CommitlogArgs, path: &Path) -> Self {
        let target = if path.is_file() { TargetJson::file(path) } else { TargetJson::store(path) };
        let form =
            if context.is_text() { Form::Text } else { Form::Json { ndjson: context.is_ndjson(), stream: None } };
        Self { paint: context.paint, body: args.body, target, form }
    }

    fn begin(&mut self, out: &mut Output) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Text => record::heading(out, self.paint)?,
            Form::Json { ndjson, stream } => {
                *stream = Some(Stream::begin(out, *ndjson, ("mqstore.inspect.commitlog", &self.target), "entries")?);
            }
        }
        Ok(())
    }

    #[inline]
    fn record(&mut self, out: &mut Output, record: &MessageRecord<'_>) -> io::Result<()> {
        match &mut self.form {
            Form::Json { stream: Some(stream), .. } => stream.element(out, &RecordJson::new(record, self.body)),
            Form::Json { stream: None, .. } => Ok(()),
            Form::Text => {
                record::line(out, record)?;
                if let Some(body) = Body::new(record, self.body) {
                    writeln!(out, "{:>14}  {}", "", plain_body(&body.to_string()))?;
                }
                Ok(())
            }
        }
    }

    fn blank(&mut self, out: &mut Output, blank: &mqstore_core::format::commitlog::Blank) -> io::Result<()> {
        match &mut self.form {
            Form::Json { stream: Some(stream), .. } => stream.element(out, &BlankJson::from(blank)),
            Form::Json { stream: None, .. } => Ok(()),
            Form::Text => record::blank_line(out, self.paint, blank),
        }
    }

    fn end(&mut self, out: &mut Output, summary: &Summary, end: &str, exit: &Exit) -> anyhow::Result<()> {
        let text = format!(
            "{} shown of {} read, {} to {}; the log {end}",
            count(summary.records, "record", "records"),
            number(summary.records_seen),
            number(summary.min_offset),
            number(summary.max_offset),
        );
        self.finish(out, summary, &text, exit)
    }

    fn finish(&mut self, out: &mut Output, summary: &Summary, text: &str, exit: &Exit) -> anyhow::Result<()> {
        match &mut self.form {
            Form::Text => writeln!(out, "\n{text}")?,
            Form::Json { stream, .. } => {
                if let Some(stream) = stream.take() {
                    stream.end(out, summary, exit)?;
                }
            }
        }
        Ok(())
    }
}

/// A body below its record: every line indented, and nothing that moves the cursor.
fn plain_body(body: &str) -> String {
    let indent = format!("\n{:>14}  ", "");
    body.lines().map(plain).collect::<Vec<_>>().join(&indent)
}
