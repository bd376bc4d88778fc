//! `inspect queues`: ranges of the consume queues, or the units of one.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::ops::ControlFlow;

use mqstore_core::format::consumequeue::{CqUnit, TagsCode};
use mqstore_core::store::{ConsumeQueue, QueueRange, SpecialKind};
use mqstore_core::{PhysicalOffset, QueueOffset};
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
    pub(crate) fn new(queue: &ConsumeQueue, range: &QueueRange) -> Self {
        Self {
            topic: queue.topic().to_owned(),
            queue_id: queue.queue_id(),
            kind: "file",
            min_offset: range.min_offset.get(),
            max_offset: range.max_offset.get(),
            min_physical_offset: range.min_physical_offset.map(PhysicalOffset::get),
            max_physical_offset: range.max_physical_offset.map(PhysicalOffset::get),
            files: queue.queue().files().len(),
            pre_blank: range.pre_blank,
            units_behind_end: range.units_behind_end,
        }
    }

    /// The ranges of all these queues. One that cannot be read hides no other.
    pub(crate) fn all(target: &Target, queues: &[ConsumeQueue], exit: &mut Exit) -> Vec<Self> {
        queues.iter().filter_map(|queue| Self::read(target, queue, exit)).collect()
    }

    fn read(target: &Target, queue: &ConsumeQueue, exit: &mut Exit) -> Option<Self> {
        let range = queue.range(target.store.commitlog().min_offset());
        let range = readable(exit, &target.relative(queue.dir()), range.map_err(Into::into))?;
        Some(Self::new(queue, &range))
    }

    /// Messages that a consumer can still get.
    pub(crate) fn messages(&self) -> u64 {
        self.max_offset.saturating_sub(self.min_offset)
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
}

pub(crate) fn run(context: &mut Context, args: &QueuesArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let mut topic = args.topic.clone();
    let mut queues = target.store.consumequeues()?;
    if let Some(topic) = &mut topic {
        queues.retain(|queue| topic.matches(queue.topic().as_bytes()));
    }
    if let Some(queue_id) = args.queue {
        queues.retain(|queue| queue.queue_id() == queue_id);
    }
    let mut exit = unread_queues(&target);
    let selected = topic.is_some();
    if queues.is_empty() && selected && exit.is_clean() {
        return Err(nothing_matches(args, &target)?);
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

/// Queues in formats that are not read make every list of queues incomplete.
pub(crate) fn unread_queues(target: &Target) -> Exit {
    let mut exit = Exit::clean();
    for (kind, what) in [(SpecialKind::RocksDbQueues, "queues in RocksDB"), (SpecialKind::BatchQueues, "batch queues")]
    {
        if let Some(part) = target.special_in_words(kind) {
            exit = exit.and(Exit::no_verdict(format!("{what} are not read yet: {part}")));
        }
    }
    exit
}

fn nothing_matches(args: &QueuesArgs, target: &Target) -> anyhow::Result<anyhow::Error> {
    let topic = args.topic.as_ref().map(|glob| plain(glob.as_str()).into_owned()).unwrap_or_default();
    let queue = args.queue.map(|queue_id| format!("/{queue_id}")).unwrap_or_default();
    let all = target.store.consumequeues()?;
    let topics: BTreeSet<&str> = all.iter().map(ConsumeQueue::topic).collect();
    Ok(hinted(
        format!("no queue matches {topic}{queue} in {}", target.root().display()),
        format!(
            "it has {} of {}; a topic that never got a message has none",
            count(all.len() as u64, "queue", "queues"),
            count(topics.len() as u64, "topic", "topics")
        ),
    ))
}

fn ranges(context: &mut Context, target: &Target, queues: &[ConsumeQueue], mut exit: Exit) -> anyhow::Result<Exit> {
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
    stream.end(out, &Empty {}, &exit)?;
    Ok(exit)
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
    let pre_blank = queues.iter().any(|queue| queue.pre_blank > 0);
    let behind = queues.iter().any(|queue| queue.units_behind_end > 0);
    let mut heads = vec![">MIN", ">MAX", ">MESSAGES", ">FIRST IN LOG", ">LOG END", ">FILES"];
    heads.extend(pre_blank.then_some(">PRE-BLANK"));
    heads.extend(behind.then_some(">BEHIND END"));
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
        cells.push(format!("{}/{}", plain(&queue.topic), queue.queue_id));
        columns.row(cells);
    }
    if queues.is_empty() { Ok(()) } else { columns.print(out) }
}

fn units(
    context: &mut Context,
    args: &QueuesArgs,
    target: &Target,
    queues: &[ConsumeQueue],
    exit: Exit,
) -> anyhow::Result<Exit> {
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let log_min = target.store.commitlog().min_offset();
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
        let range = queue.range(log_min)?;
        queue.visit_units(QueueOffset(0), range.max_offset, |offset, unit| {
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
                    },
                ),
                None => line(out, offset, unit),
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

fn line(out: &mut Output, offset: QueueOffset, unit: CqUnit) -> io::Result<()> {
    write!(out, "{offset:>12}  {:>16}  {:>8}  {:>20}", unit.physical_offset, unit.size, unit.tags_code)?;
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
