//! `inspect offsets`: consumer and delay offsets against their queues.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::format::config::delay_offset::DelayOffsetTable;
use mqstore_core::format::system_topic::SCHEDULE_TOPIC;
use mqstore_core::store::RocksDbConfig;
use mqstore_core::store::config::{ConfigSource, Loaded};
use serde::Serialize;

use super::queues::{QueueJson, Queues};
use crate::args::OffsetsArgs;
use crate::commands::{Context, Target};
use crate::exit::{Exit, hinted, readable};
use crate::glob::{Glob, any};
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, number, plain};
use crate::output::json::{self, TargetJson};

/// How an offset stands to its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Within the queue.
    Ok,
    /// Below the first message that is still there.
    BehindMin,
    /// Beyond the end of the queue.
    BeyondMax,
    /// The queue has no folder: it never got a message, or it was lost.
    NoQueue,
    /// The queue may be in a part that is not read.
    Unknown,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::BehindMin => "behind_min",
            Self::BeyondMax => "beyond_max",
            Self::NoQueue => "no_queue",
            Self::Unknown => "unknown",
        }
    }
}

/// An offset and its queue.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Position {
    pub(crate) queue_id: i32,
    pub(crate) offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_offset: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_offset: Option<u64>,
    /// Units from the offset to the end of the queue; negative beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lag: Option<i64>,
    pub(crate) state: State,
}

impl Position {
    /// Messages between the offset and the end of the queue that are still there.
    pub(crate) fn waiting(&self) -> Option<u64> {
        let start = self.min_offset?.max(u64::try_from(self.offset).unwrap_or(0));
        Some(self.max_offset?.saturating_sub(start))
    }
}

/// A committed offset.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OffsetJson {
    pub(crate) group: String,
    pub(crate) topic: String,
    #[serde(flatten)]
    pub(crate) position: Position,
}

/// How far a delay level is delivered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DelayJson {
    pub(crate) level: i32,
    #[serde(flatten)]
    pub(crate) position: Position,
}

/// The queues by name, to put offsets against.
#[derive(Debug)]
pub(crate) struct QueueMap<'a> {
    queues: BTreeMap<(&'a str, i64), &'a QueueJson>,
    /// Some queues cannot be read.
    incomplete: bool,
}

impl<'a> QueueMap<'a> {
    pub(crate) fn new(queues: &'a [QueueJson], incomplete: bool) -> Self {
        let queues = queues.iter().map(|queue| ((queue.topic.as_str(), i64::from(queue.queue_id)), queue)).collect();
        Self { queues, incomplete }
    }

    fn position(&self, topic: &str, queue_id: i32, offset: i64) -> Position {
        let Some(queue) = self.queues.get(&(topic, i64::from(queue_id))) else {
            let state = if self.incomplete { State::Unknown } else { State::NoQueue };
            return Position { queue_id, offset, min_offset: None, max_offset: None, lag: None, state };
        };
        let [min, max] = [queue.min_offset, queue.max_offset].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        let state = if offset > max {
            State::BeyondMax
        } else if offset < min {
            State::BehindMin
        } else {
            State::Ok
        };
        Position {
            queue_id,
            offset,
            min_offset: Some(queue.min_offset),
            max_offset: Some(queue.max_offset),
            lag: Some(max.saturating_sub(offset)),
            state,
        }
    }

    pub(crate) fn consumer(&self, table: &ConsumerOffsetTable) -> Vec<OffsetJson> {
        let mut rows: Vec<_> = table
            .committed()
            .map(|committed| OffsetJson {
                group: committed.group.to_owned(),
                topic: committed.topic.to_owned(),
                position: self.position(committed.topic, committed.queue_id, committed.offset),
            })
            .collect();
        rows.sort_by(|a, b| (&a.group, &a.topic, a.position.queue_id).cmp(&(&b.group, &b.topic, b.position.queue_id)));
        rows
    }

    pub(crate) fn delay(&self, table: &DelayOffsetTable) -> Vec<DelayJson> {
        let levels = table.offset_table.iter();
        levels
            .map(|(level, offset)| DelayJson {
                level: *level,
                position: self.position(SCHEDULE_TOPIC, level.saturating_sub(1), *offset),
            })
            .collect()
    }
}

/// What a config file holds, or why nothing of it counts. A file that is not there is an empty table.
pub(crate) fn loaded<T: Default + Clone>(loaded: &Loaded<T>, name: &str, exit: &mut Exit) -> T {
    if loaded.source == ConfigSource::Refused {
        let reason = format!("config/{name} cannot be read, and its .bak neither: no broker starts on it");
        *exit = exit.clone().and(Exit::no_verdict(reason));
    }
    loaded.value().cloned().unwrap_or_default()
}

/// The consumer offsets: from RocksDB if it holds any; with light message queues they are in a file of their own.
pub(crate) fn consumer_table(target: &Target, database: &RocksDbConfig, exit: &mut Exit) -> ConsumerOffsetTable {
    if let Some(table) = &database.consumer_offsets {
        return table.clone();
    }
    let config = target.config();
    let lmq = config.lmq_consumer_offsets();
    let use_lmq = target.conf.as_ref().map_or_else(|| lmq.is_there(), |conf| conf.enable_lmq.value);
    if use_lmq {
        loaded(&lmq, "lmqConsumerOffset.json", exit)
    } else {
        loaded(&config.consumer_offsets(), "consumerOffset.json", exit)
    }
}

/// Topics, groups and offsets in RocksDB. What cannot be read of them makes every list of them incomplete.
pub(crate) fn rocksdb_config(target: &Target, exit: &mut Exit) -> RocksDbConfig {
    let config = readable(exit, "config in RocksDB", target.store.rocksdb_config().map_err(Into::into));
    let config = config.unwrap_or_default();
    let mut incomplete = |reason| *exit = exit.clone().and(Exit::no_verdict(reason));
    if config.wal_bytes > 0 {
        let bytes = count(config.wal_bytes, "byte", "bytes");
        incomplete(format!(
            "{bytes} of the newest writes to config in RocksDB are in its write-ahead log, which is not read"
        ));
    }
    if config.bad_rows > 0 {
        incomplete(format!(
            "{} of config in RocksDB are not what a broker writes",
            count(config.bad_rows, "row", "rows")
        ));
    }
    config
}

#[derive(Debug, Serialize)]
struct Offsets {
    offsets: Vec<OffsetJson>,
    delay_offsets: Vec<DelayJson>,
}

pub(crate) fn run(context: &mut Context, args: &OffsetsArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let mut exit = Exit::clean();
    let listed = Queues::read(&target, &mut exit);
    let queues = QueueJson::all(&target, &listed.list, &mut exit);
    let map = QueueMap::new(&queues, listed.incomplete);
    let database = rocksdb_config(&target, &mut exit);
    let mut body = Offsets {
        offsets: map.consumer(&consumer_table(&target, &database, &mut exit)),
        delay_offsets: map.delay(&loaded(&target.config().delay_offsets(), "delayOffset.json", &mut exit)),
    };
    select(args, &mut body)?;
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if text {
        print(out, paint, &body)?;
    } else {
        json::document(out, ndjson, ("mqstore.inspect.offsets", &TargetJson::store(root)), &body, &exit)?;
    }
    Ok(exit)
}

fn select(args: &OffsetsArgs, body: &mut Offsets) -> anyhow::Result<()> {
    let (mut groups, mut topics) = (args.group.clone(), args.topic.clone());
    if groups.is_empty() && topics.is_empty() {
        return Ok(());
    }
    body.offsets.retain(|row| any(&mut groups, row.group.as_bytes()) & any(&mut topics, row.topic.as_bytes()));
    if groups.is_empty() {
        body.delay_offsets.retain(|_| any(&mut topics, SCHEDULE_TOPIC.as_bytes()));
    } else {
        body.delay_offsets.clear();
    }
    let unmatched =
        |globs: &[Glob]| globs.iter().find(|glob| !glob.has_matched()).map(|glob| plain(glob.as_str()).into_owned());
    let nothing =
        |what| hinted(format!("no committed offset matches {what}"), "without it, all groups and topics are listed");
    match (unmatched(&groups), unmatched(&topics)) {
        (Some(glob), _) => Err(nothing(format!("--group {glob}"))),
        (None, Some(glob)) => Err(nothing(format!("--topic {glob}"))),
        (None, None) if body.offsets.is_empty() && body.delay_offsets.is_empty() => {
            Err(nothing("both the groups and the topics".to_owned()))
        }
        (None, None) => Ok(()),
    }
}

/// Numbers over many offsets.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// From the offsets to the ends of the queues.
    pub(crate) lag: u64,
    /// Of that, messages that are still there.
    pub(crate) waiting: u64,
    pub(crate) behind_min: u64,
    pub(crate) beyond_max: u64,
    /// On queues that are not there, at 0: normal, the queue never got a message.
    pub(crate) never_used: u64,
    /// On queues that are not there, above 0: the queue was there.
    pub(crate) lost_queue: u64,
    pub(crate) unknown: u64,
}

impl<'a> FromIterator<&'a Position> for Totals {
    fn from_iter<T: IntoIterator<Item = &'a Position>>(positions: T) -> Self {
        let mut totals = Self::default();
        for position in positions {
            totals.lag += position.lag.and_then(|lag| u64::try_from(lag).ok()).unwrap_or(0);
            totals.waiting += position.waiting().unwrap_or(0);
            *match position.state {
                State::Ok => continue,
                State::BehindMin => &mut totals.behind_min,
                State::BeyondMax => &mut totals.beyond_max,
                State::NoQueue if position.offset <= 0 => &mut totals.never_used,
                State::NoQueue => &mut totals.lost_queue,
                State::Unknown => &mut totals.unknown,
            } += 1;
        }
        totals
    }
}

impl Totals {
    /// Of consumer groups: how far they are behind, then what is alarming; what is normal is left out.
    pub(crate) fn of_groups(&self, paint: Paint) -> String {
        self.in_words(paint, format!("{} behind", number(self.lag)))
    }

    /// Of delay levels: how many messages wait.
    pub(crate) fn of_levels(&self, paint: Paint) -> String {
        self.in_words(paint, format!("{} waiting", number(self.waiting)))
    }

    fn in_words(&self, paint: Paint, first: String) -> String {
        let mut words = vec![first];
        let mut alarm = |n: u64, what: &str| {
            if n > 0 {
                words.push(paint.bad(format!("{} {what}", number(n))));
            }
        };
        alarm(self.beyond_max, "beyond the end of their queue");
        alarm(self.lost_queue, "on queues that are gone");
        if self.behind_min > 0 {
            words.push(paint.warn(format!("{} before the start of their queue", number(self.behind_min))));
        }
        if self.unknown > 0 {
            words.push(paint.warn(format!("{} on queues that are not read", number(self.unknown))));
        }
        words.join(", ")
    }
}

fn print(out: &mut Output, paint: Paint, body: &Offsets) -> io::Result<()> {
    let totals: Totals = body.offsets.iter().map(|row| &row.position).collect();
    let offsets = count(body.offsets.len() as u64, "consumer offset", "consumer offsets");
    writeln!(out, "{}: {}", paint.bold(offsets), totals.of_groups(paint))?;
    if totals.never_used > 0 {
        writeln!(
            out,
            "{}",
            paint.dim(format!("{} on queues that never got a message: normal", number(totals.never_used)))
        )?;
    }
    let cells = |position: &Position, distance: Option<String>| {
        let known = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        [
            position.offset.to_string(),
            known(position.min_offset),
            known(position.max_offset),
            distance.unwrap_or_else(|| "-".to_owned()),
            position.state.as_str().to_owned(),
        ]
    };
    if !body.offsets.is_empty() {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &[">OFFSET", ">MIN", ">MAX", ">LAG", "STATE", "GROUP", "TOPIC/QUEUE"]);
        for row in &body.offsets {
            let queue = format!("{}/{}", plain(&row.topic), row.position.queue_id);
            columns.row(
                cells(&row.position, row.position.lag.map(number))
                    .into_iter()
                    .chain([plain(&row.group).into_owned(), queue]),
            );
        }
        columns.print(out)?;
    }
    if !body.delay_offsets.is_empty() {
        let waiting: Totals = body.delay_offsets.iter().map(|row| &row.position).collect();
        let levels = count(body.delay_offsets.len() as u64, "delay level", "delay levels");
        writeln!(out, "\n{}: {}\n", paint.bold(levels), waiting.of_levels(paint))?;
        let mut columns = Columns::new(paint, &[">OFFSET", ">MIN", ">MAX", ">WAITING", "STATE", ">LEVEL"]);
        for row in &body.delay_offsets {
            columns.row(
                cells(&row.position, row.position.waiting().map(number)).into_iter().chain([row.level.to_string()]),
            );
        }
        columns.print(out)?;
    }
    Ok(())
}
