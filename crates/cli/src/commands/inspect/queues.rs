//! `inspect queues`: ranges of the consume queues, or the units of one.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::rc::Rc;

use mqstore_core::format::consumequeue::{CqUnit, TagsCode};
use mqstore_core::store::rocksdb_rows::RocksDbQueueRange;
use mqstore_core::store::{BatchConsumeQueue, ConsumeQueue, QueueRange, RocksDb, SpecialKind};
use mqstore_core::{PhysicalOffset, QueueOffset, StoreError};
use serde::Serialize;

use crate::args::QueuesArgs;
use crate::commands::{Context, Target};
use crate::exit::{Exit, hinted, readable};
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, number, plain};
use crate::output::json::{Empty, Stream, TargetJson};
use crate::time::Moment;

/// A queue and its range.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct QueueJson {
    pub(crate) topic: String,
    pub(crate) queue_id: u32,
    pub(crate) kind: &'static str,
    pub(crate) min_offset: u64,
    pub(crate) max_offset: u64,
    pub(crate) min_physical_offset: Option<u64>,
    pub(crate) max_physical_offset: Option<u64>,
    pub(crate) files: usize,
    pub(crate) pre_blank: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) units_behind_end: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl QueueJson {
    fn new(queue: &Queue<'_>, range: &QueueRange) -> Self {
        let (kind, files) = match queue {
            Queue::File(queue) => ("file", queue.queue().files().len()),
            Queue::Batch(queue) => ("batch", queue.queue().files().len()),
            Queue::Rows { .. } => ("rocksdb", 0),
        };
        Self {
            topic: queue.topic().to_owned(),
            queue_id: queue.queue_id(),
            kind,
            min_offset: range.min_offset.get(),
            max_offset: range.max_offset.get(),
            min_physical_offset: range.min_physical_offset.map(PhysicalOffset::get),
            max_physical_offset: range.max_physical_offset.map(PhysicalOffset::get),
            files,
            pre_blank: range.pre_blank,
            units_behind_end: range.units_behind_end,
        }
    }

    /// The ranges of all these queues. One that cannot be read hides no other.
    pub(crate) fn all(target: &Target, queues: &[Queue<'_>], exit: &mut Exit) -> Vec<Self> {
        queues.iter().filter_map(|queue| Self::read(target, queue, exit)).collect()
    }

    fn read(target: &Target, queue: &Queue<'_>, exit: &mut Exit) -> Option<Self> {
        let range = queue.range(target);
        let range = readable(exit, &queue.place(target), range.map_err(Into::into))?;
        Some(Self::new(queue, &range))
    }

    /// Messages that a consumer can still get.
    pub(crate) fn messages(&self) -> u64 {
        self.max_offset.saturating_sub(self.min_offset)
    }
}

/// A queue, whatever holds it.
#[derive(Debug)]
pub(crate) enum Queue<'a> {
    File(&'a ConsumeQueue),
    Batch(BatchConsumeQueue),
    Rows { database: Rc<RocksDb>, topic: String, queue_id: u32, ends: RocksDbQueueRange },
}

/// The queues of a store.
#[derive(Debug, Default)]
pub(crate) struct Queues<'a> {
    pub(crate) list: Vec<Queue<'a>>,
    /// Some queues cannot be read.
    pub(crate) incomplete: bool,
}

impl<'a> Queues<'a> {
    /// Lists those in files, batch queues and those in RocksDB.
    pub(crate) fn read(target: &'a Target, exit: &mut Exit) -> Self {
        let before = exit.is_clean();
        let mut list = Vec::new();
        if let Some(files) = readable(exit, "consumequeue", target.queues()) {
            list.extend(files.iter().map(Queue::File));
        }
        let batch = target.store.batch_consumequeues();
        list.extend(
            readable(exit, "batchconsumequeue", batch.map_err(Into::into)).into_iter().flatten().map(Queue::Batch),
        );
        let mut incomplete = before && !exit.is_clean();
        for (kind, dir) in target.store.rocksdb_dirs() {
            if kind != SpecialKind::RocksDbQueues {
                continue;
            }
            let read = RocksDb::open(kind, &dir).and_then(|database| Ok((database.queues()?, database)));
            let what = format!("the queues in RocksDB in {}", target.relative(&dir));
            let Some((queues, database)) = readable(exit, &what, read.map_err(Into::into)) else {
                incomplete = true;
                continue;
            };
            let database = Rc::new(database);
            list.extend(queues.ranges.into_iter().filter_map(|((topic, queue_id), ends)| {
                let queue_id = u32::try_from(queue_id).ok()?;
                Some(Queue::Rows { database: Rc::clone(&database), topic, queue_id, ends })
            }));
        }
        list.sort_by(|a, b| (a.topic(), a.queue_id()).cmp(&(b.topic(), b.queue_id())));
        Self { list, incomplete }
    }
}

impl Queue<'_> {
    pub(crate) fn is(&self, topic: &str, queue_id: u32) -> bool {
        self.topic() == topic && self.queue_id() == queue_id
    }

    fn topic(&self) -> &str {
        match self {
            Self::File(queue) => queue.topic(),
            Self::Batch(queue) => queue.topic(),
            Self::Rows { topic, .. } => topic,
        }
    }

    fn queue_id(&self) -> u32 {
        match self {
            Self::File(queue) => queue.queue_id(),
            Self::Batch(queue) => queue.queue_id(),
            Self::Rows { queue_id, .. } => *queue_id,
        }
    }

    fn place(&self, target: &Target) -> String {
        match self {
            Self::File(queue) => target.relative(queue.dir()),
            Self::Batch(queue) => target.relative(queue.dir()),
            Self::Rows { database, topic, queue_id, .. } => {
                format!("{topic}/{queue_id} in {}", target.relative(database.dir()))
            }
        }
    }

    fn range(&self, target: &Target) -> Result<QueueRange, StoreError> {
        let log_min = target.log.min_offset();
        let mut range = QueueRange::default();
        match self {
            Self::File(queue) => return queue.range(log_min),
            Self::Batch(queue) => {
                let found = queue.range(log_min)?;
                (range.min_offset, range.max_offset) = (found.min_offset, found.max_offset);
                range.min_physical_offset = found.min_physical_offset;
                range.max_physical_offset = found.max_physical_offset;
                range.units_behind_end = found.units_behind_end;
            }
            Self::Rows { ends, .. } => {
                (range.min_offset, range.max_offset) = (ends.min_offset, ends.max_offset);
                // The row names where the last record begins.
                let mut reader = target.log.reader();
                let last = PhysicalOffset(ends.last_physical_offset.cast_unsigned());
                range.max_physical_offset = reader.record_at(last)?.record().map(|record| record.end());
                reader.check()?;
            }
        }
        Ok(range)
    }

    /// Hands the units that count to `visit`, with the messages that each stands for.
    fn visit_units(
        &self,
        target: &Target,
        mut visit: impl FnMut(QueueOffset, CqUnit, Option<i16>) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        match self {
            Self::File(queue) => {
                let range = queue.range(target.log.min_offset())?;
                queue.visit_units(QueueOffset(0), range.max_offset, |offset, unit| visit(offset, unit, None))
            }
            Self::Batch(queue) => queue.visit_units(|_, unit| {
                let plain =
                    CqUnit { physical_offset: unit.physical_offset, size: unit.size, tags_code: unit.tags_code };
                visit(QueueOffset(unit.base_offset.cast_unsigned()), plain, Some(unit.batch_size))
            }),
            Self::Rows { database, topic, queue_id, ends } => {
                let units = database.queue_units(topic, queue_id.cast_signed())?;
                for (offset, value) in units.range(..ends.max_offset.get().cast_signed()) {
                    if visit(QueueOffset(offset.cast_unsigned()), value.unit, None).is_break() {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// The compacted copy of a queue.
#[derive(Debug, Serialize)]
pub(crate) struct CompactedJson {
    topic: String,
    queue_id: u32,
    pairs: usize,
    pub(crate) messages: u64,
    first_queue_offset: Option<i64>,
    last_queue_offset: Option<i64>,
    files_without_partner: usize,
}

impl CompactedJson {
    pub(crate) fn all(target: &Target, exit: &mut Exit) -> Vec<Self> {
        let queues = readable(exit, "compaction", target.store.compacted_queues().map_err(Into::into));
        let mut all = Vec::new();
        for queue in queues.unwrap_or_default() {
            let what = format!("compaction of {}/{}", queue.topic(), queue.queue_id());
            let pairs = queue.visit(|_, _| ControlFlow::Continue(()));
            let Some(pairs) = readable(exit, &what, pairs.map_err(Into::into)) else { continue };
            all.push(Self {
                topic: queue.topic().to_owned(),
                queue_id: queue.queue_id(),
                messages: pairs.iter().map(|pair| pair.units).sum(),
                first_queue_offset: pairs.iter().find_map(|pair| pair.first_queue_offset),
                last_queue_offset: pairs.iter().rev().find_map(|pair| pair.last_queue_offset),
                files_without_partner: queue.unpaired().len(),
                pairs: pairs.len(),
            });
        }
        all
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "queue")]
struct QueueLine<'a> {
    #[serde(flatten)]
    queue: &'a QueueJson,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "unit")]
struct UnitJson<'a> {
    topic: &'a str,
    queue_id: u32,
    queue_offset: u64,
    physical_offset: i64,
    size: i32,
    tags_code: i64,
    /// The same as text: JavaScript's numbers end at 2^53.
    tags_code_str: String,
    /// Messages of the record, in batch queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<i16>,
}

pub(crate) fn run(context: &mut Context, args: &QueuesArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let mut topic = args.topic.clone();
    let mut exit = Exit::clean();
    let mut queues = Queues::read(&target, &mut exit).list;
    if let Some(topic) = &mut topic {
        queues.retain(|queue| topic.matches(queue.topic().as_bytes()));
    }
    if let Some(queue_id) = args.queue {
        queues.retain(|queue| queue.queue_id() == queue_id);
    }
    let selected = topic.is_some();
    if queues.is_empty() && selected && exit.is_clean() {
        return Err(nothing_matches(args, &target));
    }
    if queues.is_empty() && exit.is_clean() && !target.is_new()? {
        exit = Exit::no_verdict("the store has no consume queues, but it is not new");
    }
    if args.queue.is_some() && selected {
        units(context, args, &target, &queues, exit)
    } else {
        ranges(context, &target, &queues, exit)
    }
}

fn nothing_matches(args: &QueuesArgs, target: &Target) -> anyhow::Error {
    let topic = args.topic.as_ref().map(|glob| plain(glob.as_str()).into_owned()).unwrap_or_default();
    let queue = args.queue.map(|queue_id| format!("/{queue_id}")).unwrap_or_default();
    let all = Queues::read(target, &mut Exit::clean()).list;
    let topics: BTreeSet<&str> = all.iter().map(Queue::topic).collect();
    hinted(
        format!("no queue matches {topic}{queue} in {}", target.root().display()),
        format!(
            "it has {} of {}; a topic that never got a message has none",
            count(all.len() as u64, "queue", "queues"),
            count(topics.len() as u64, "topic", "topics")
        ),
    )
}

fn ranges(context: &mut Context, target: &Target, queues: &[Queue<'_>], mut exit: Exit) -> anyhow::Result<Exit> {
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let bar = context.bar("reading queues");
    let root = target.root();
    let out = context.out(&[root])?;
    if text {
        let mut rows = Vec::with_capacity(queues.len());
        for queue in queues {
            if bar.interrupted() {
                return Ok(Exit::interrupted());
            }
            rows.extend(QueueJson::read(target, queue, &mut exit));
        }
        table(out, paint, &rows)?;
        compacted_table(out, paint, &CompactedJson::all(target, &mut exit))?;
        return Ok(exit);
    }
    let schema = ("mqstore.inspect.queues", &TargetJson::store(root));
    let mut stream = Stream::begin(out, ndjson, schema, "queues")?;
    for queue in queues {
        if bar.interrupted() {
            stream.end(out, &Empty {}, &Exit::interrupted())?;
            return Ok(Exit::interrupted());
        }
        let Some(queue) = QueueJson::read(target, queue, &mut exit) else { continue };
        if ndjson {
            stream.element(out, &QueueLine { queue: &queue })?;
        } else {
            stream.element(out, &queue)?;
        }
    }
    let compacted = CompactedJson::all(target, &mut exit);
    stream.end(out, &RangesSummary { compacted }, &exit)?;
    Ok(exit)
}

#[derive(Debug, Serialize)]
struct RangesSummary {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    compacted: Vec<CompactedJson>,
}

fn compacted_table(out: &mut Output, paint: Paint, compacted: &[CompactedJson]) -> io::Result<()> {
    if compacted.is_empty() {
        return Ok(());
    }
    let messages: u64 = compacted.iter().map(|queue| queue.messages).sum();
    let total = format!(
        "compacted copies: {} of {}",
        count(messages, "message", "messages"),
        count(compacted.len() as u64, "queue", "queues")
    );
    writeln!(out, "\n{}\n", paint.bold(total))?;
    let mut columns = Columns::new(paint, &[">FIRST", ">LAST", ">MESSAGES", ">PAIRS", "TOPIC/QUEUE"]);
    for queue in compacted {
        let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        columns.row([
            offset(queue.first_queue_offset),
            offset(queue.last_queue_offset),
            number(queue.messages),
            queue.pairs.to_string(),
            format!("{}/{}", plain(&queue.topic), queue.queue_id),
        ]);
    }
    columns.print(out)
}

fn table(out: &mut Output, paint: Paint, queues: &[QueueJson]) -> io::Result<()> {
    let messages: u64 = queues.iter().map(QueueJson::messages).sum();
    let topics: BTreeSet<&str> = queues.iter().map(|queue| queue.topic.as_str()).collect();
    let total = format!(
        "{} in {} of {}",
        count(messages, "message", "messages"),
        count(queues.len() as u64, "queue", "queues"),
        count(topics.len() as u64, "topic", "topics")
    );
    writeln!(out, "{}\n", paint.bold(total))?;
    // Columns of what most stores do not have are shown only where there is something to show.
    let kinds = queues.iter().any(|queue| queue.kind != "file");
    let pre_blank = queues.iter().any(|queue| queue.pre_blank > 0);
    let behind = queues.iter().any(|queue| queue.units_behind_end > 0);
    let mut heads = vec![">MIN", ">MAX", ">MESSAGES", ">FIRST IN LOG", ">LOG END", ">FILES"];
    heads.extend(pre_blank.then_some(">PRE-BLANK"));
    heads.extend(behind.then_some(">BEHIND END"));
    heads.extend(kinds.then_some("KIND"));
    heads.push("TOPIC/QUEUE");
    let mut columns = Columns::new(paint, &heads);
    for queue in queues {
        let physical = |offset: Option<u64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        let mut cells = vec![
            queue.min_offset.to_string(),
            queue.max_offset.to_string(),
            number(queue.messages()),
            physical(queue.min_physical_offset),
            physical(queue.max_physical_offset),
            queue.files.to_string(),
        ];
        cells.extend(pre_blank.then(|| queue.pre_blank.to_string()));
        cells.extend(behind.then(|| queue.units_behind_end.to_string()));
        cells.extend(kinds.then(|| queue.kind.to_owned()));
        cells.push(format!("{}/{}", plain(&queue.topic), queue.queue_id));
        columns.row(cells);
    }
    if queues.is_empty() { Ok(()) } else { columns.print(out) }
}

fn units(
    context: &mut Context,
    args: &QueuesArgs,
    target: &Target,
    queues: &[Queue<'_>],
    exit: Exit,
) -> anyhow::Result<Exit> {
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let bar = context.bar("reading units");
    let root = target.root();
    let out = context.out(&[root])?;
    let mut stream = None;
    if text {
        let heads = format!("{:>12}  {:>16}  {:>8}  {:>20}", "QUEUE OFFSET", "PHYSICAL OFFSET", "SIZE", "TAGS CODE");
        writeln!(out, "{}", paint.dim(heads))?;
    } else {
        let schema = ("mqstore.inspect.queues", &TargetJson::store(root));
        stream = Some(Stream::begin(out, ndjson, schema, "units")?);
    }
    let low = args.range.from_offset.unwrap_or(0);
    let high = args.range.to_offset.unwrap_or(u64::MAX);
    let limit = args.range.limit.unwrap_or(u64::MAX);
    let (mut shown, mut failed) = (0, None);
    for queue in queues {
        queue.visit_units(target, |offset, unit, batch_size| {
            if bar.interrupted() || shown >= limit {
                return ControlFlow::Break(());
            }
            let physical = unit.physical_offset.cast_unsigned();
            if physical < low || physical >= high {
                return ControlFlow::Continue(());
            }
            shown += 1;
            let written = match &mut stream {
                Some(stream) => stream.element(
                    out,
                    &UnitJson {
                        topic: queue.topic(),
                        queue_id: queue.queue_id(),
                        queue_offset: offset.get(),
                        physical_offset: unit.physical_offset,
                        size: unit.size,
                        tags_code: unit.tags_code,
                        tags_code_str: unit.tags_code.to_string(),
                        batch_size,
                    },
                ),
                None => line(out, offset, unit, batch_size),
            };
            if let Err(error) = written {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    let narrowed = args.range.from_offset.is_some() || args.range.to_offset.is_some();
    let exit = if bar.interrupted() {
        Exit::interrupted()
    } else if shown == 0 && narrowed && limit > 0 {
        exit.and(Exit::nothing_selected("no unit leads into that range of the log"))
    } else {
        exit
    };
    match stream {
        Some(stream) => stream.end(out, &Empty {}, &exit)?,
        None => writeln!(out, "\n{}", count(shown, "unit", "units"))?,
    }
    Ok(exit)
}

fn line(out: &mut Output, offset: QueueOffset, unit: CqUnit, batch_size: Option<i16>) -> io::Result<()> {
    write!(out, "{offset:>12}  {:>16}  {:>8}  {:>20}", unit.physical_offset, unit.size, unit.tags_code)?;
    if let Some(messages) = batch_size {
        return writeln!(out, "  {}", count(u64::try_from(messages).unwrap_or(0), "message", "messages"));
    }
    if unit.is_pre_blank() {
        return writeln!(out, "  without a message");
    }
    match unit.tags_code_kind() {
        TagsCode::DueTime(ms) => match Moment::from_ms(ms) {
            Some(moment) => writeln!(out, "  due {moment}"),
            None => writeln!(out),
        },
        TagsCode::ExtAddress(address) => writeln!(out, "  extension unit at {address}"),
        TagsCode::Hash(_) => writeln!(out),
    }
}
