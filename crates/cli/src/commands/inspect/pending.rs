//! `inspect pending`: what would be late, lost or delivered twice if the feature that handles it went away.

use std::io::{self, Write as _};

use mqstore_core::store::pending::{PendingMessage, PendingMessages};
use mqstore_core::store::{Pending, PendingGap, PendingOptions, pending};
use serde::Serialize;

use super::offsets::{OffsetJson, QueueMap, consumer_table, rocksdb_config};
use super::queues::{CompactedJson, QueueJson, Queues};
use super::timer::{SampleJson, WheelJson, unread_exit, waiting, wheel_exit};
use crate::args::PendingArgs;
use crate::commands::{Context, Target};
use crate::exit::Exit;
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, number, plain};
use crate::output::json::{self, TargetJson};
use crate::time::Moment;

/// What waits for one reason.
#[derive(Debug, Serialize)]
struct FeatureJson {
    feature: &'static str,
    /// Releases that handle it.
    releases: &'static str,
    /// What is counted.
    what: &'static str,
    /// `null` if it could not be looked at.
    count: Option<u64>,
    /// Of these, records that the log does not hold or that cannot be read.
    unreadable: u64,
    /// The earliest birth, or the earliest pop; of delayed messages among those that are due first.
    oldest: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_at: Option<Moment>,
    first_due: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_due_at: Option<Moment>,
    overdue: Option<u64>,
    without_it: &'static str,
}

impl FeatureJson {
    fn new(feature: &'static str, count: Option<u64>) -> Self {
        let (releases, what, without_it) = words(feature);
        Self {
            feature,
            releases,
            what,
            count,
            unreadable: 0,
            oldest: None,
            oldest_at: None,
            first_due: None,
            first_due_at: None,
            overdue: None,
            without_it,
        }
    }

    fn times(mut self, oldest: Option<i64>, first_due: Option<i64>) -> Self {
        (self.oldest, self.oldest_at) = (oldest, oldest.and_then(Moment::from_ms));
        (self.first_due, self.first_due_at) = (first_due, first_due.and_then(Moment::from_ms));
        self
    }
}

/// Of a feature: the releases that have it, what waits, and what becomes of that in a release without it, by the
/// brokers' source.
fn words(feature: &str) -> (&'static str, &'static str, &'static str) {
    match feature {
        "delay" => ("all", "messages of a delay level", "every release delivers them"),
        "half" => ("4.3.0 and later", "half messages", "are never checked again: dropped"),
        "prepared" => ("up to 4.2.0", "prepared messages in the log", "are never checked by 4.3.0 and later"),
        "timer" => ("5.0.0 and later", "timed messages", "stay in rmq_sys_wheel_timer until they expire"),
        "pop" => ("5.0.0 and later", "messages taken by POP", "are not delivered again"),
        "lmq" => ("4.9.3 and later", "messages in light queues", "their queues no longer grow"),
        "batch" => ("5.0.0 and later", "messages in batch queues", "a batch becomes one unit: offsets diverge"),
        "compaction" => ("5.1.0 and later", "messages in compacted copies", "the copies are not looked at"),
        _ => ("all", "messages to retry, not consumed", "every release delivers them"),
    }
}

#[derive(Debug, Serialize)]
struct MessageJson<'a> {
    physical_offset: i64,
    topic: &'a str,
    queue_offset: i64,
    born_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    born_at: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Moment>,
    unique_key: Option<&'a str>,
}

impl<'a> From<&'a PendingMessage> for MessageJson<'a> {
    fn from(message: &'a PendingMessage) -> Self {
        Self {
            physical_offset: message.physical_offset,
            topic: &message.topic,
            queue_offset: message.queue_offset,
            born_timestamp: message.born_timestamp,
            born_at: Moment::from_ms(message.born_timestamp),
            due: message.due_time,
            due_at: message.due_time.and_then(Moment::from_ms),
            unique_key: message.unique_key.as_deref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct LevelJson<'a> {
    level: i32,
    count: u64,
    stored_offset: Option<i64>,
    next_offset: u64,
    max_offset: u64,
    first_due: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_due_at: Option<Moment>,
    samples: Vec<MessageJson<'a>>,
}

#[derive(Debug, Serialize)]
struct GroupJson<'a> {
    topic: &'a str,
    group: &'a str,
    messages: u64,
}

#[derive(Debug, Serialize)]
struct PopJson<'a> {
    check_points: u64,
    groups: Vec<GroupJson<'a>>,
}

#[derive(Debug, Serialize)]
struct TimersJson {
    #[serde(flatten)]
    wheel: WheelJson,
    not_enqueued: Option<u64>,
    samples: Vec<SampleJson>,
}

#[derive(Debug, Serialize)]
struct Body<'a> {
    as_of: Option<Moment>,
    features: Vec<FeatureJson>,
    delay_levels: Vec<LevelJson<'a>>,
    half: Vec<MessageJson<'a>>,
    prepared: Vec<MessageJson<'a>>,
    timers: TimersJson,
    pop: Option<PopJson<'a>>,
    /// What could not be looked at.
    gaps: Vec<&'static str>,
}

pub(crate) fn run(context: &mut Context, args: &PendingArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let now = args.moment.at.unwrap_or_else(|| Moment::now().as_ms());
    let options = PendingOptions::at(now).with_samples(args.moment.samples);
    let options = if args.scan_log { options.scanning_log() } else { options };
    let mut exit = unread_exit(&target);
    let found = {
        let _bar = context.bar("looking for what waits");
        pending(&target.store, options)?
    };
    exit = wheel_exit(&found.timers.wheel, target.live).and(exit).and(gaps_exit(&found.gaps));
    let others = Others::read(&target, &mut exit);
    let body = document(&found, &others, now);
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if is_text {
        print(out, paint, &body)?;
        writeln!(out)?;
        if found.prepared.is_none() {
            let remark = "prepared messages of 3.x to 4.2.0 lie in no queue: --scan-log reads the whole log for them";
            writeln!(out, "{}", paint.dim(remark))?;
        }
        writeln!(out, "{}", paint.dim(format_args!("next: mqstore inspect timer|offsets {}", root.display())))?;
    } else {
        json::document(out, ndjson, ("mqstore.inspect.pending", &TargetJson::store(root)), &body, &exit)?;
    }
    Ok(exit)
}

/// What lies in queues of kinds that not every release has.
#[derive(Debug, Default)]
struct Others {
    lmq: u64,
    batch: u64,
    compacted: u64,
    retry: u64,
}

impl Others {
    fn read(target: &Target, exit: &mut Exit) -> Self {
        let listed = Queues::read(target, exit);
        let queues = QueueJson::all(target, &listed.list, exit);
        let messages = |wanted: &dyn Fn(&QueueJson) -> bool| {
            queues.iter().filter(|queue| wanted(queue)).map(QueueJson::messages).sum()
        };
        let database = rocksdb_config(target, exit);
        let offsets = QueueMap::new(&queues, listed.incomplete).consumer(&consumer_table(target, &database, exit));
        let is_own_retry = |row: &&OffsetJson| row.topic.starts_with("%RETRY%");
        Self {
            lmq: messages(&|queue| queue.topic.starts_with("%LMQ%")),
            batch: messages(&|queue| queue.kind == "batch"),
            compacted: CompactedJson::all(target, exit).iter().map(|queue| queue.messages).sum(),
            retry: offsets.iter().filter(is_own_retry).filter_map(|row| row.position.waiting()).sum(),
        }
    }
}

fn gap(gap: PendingGap) -> &'static str {
    match gap {
        PendingGap::QueuesInRocksDb => {
            "the queues in RocksDB cannot be read: delay levels, half messages and POP are unknown"
        }
        PendingGap::OffsetsInRocksDb => "the offsets in RocksDB cannot be read: half messages and POP are unknown",
        PendingGap::PopInKvStore => "POP keeps records in kvStore, which is not read",
        PendingGap::LogNotScanned => "the log was not read for prepared messages of 3.x to 4.2.0: --scan-log does that",
        _ => "a part could not be looked at",
    }
}

/// Gaps that nobody asked for.
fn gaps_exit(gaps: &[PendingGap]) -> Exit {
    let gaps = gaps.iter().filter(|gap| **gap != PendingGap::LogNotScanned);
    gaps.fold(Exit::clean(), |exit, found| exit.and(Exit::no_verdict(gap(*found))))
}

fn document<'a>(found: &'a Pending, others: &Others, now: i64) -> Body<'a> {
    let levels = found.delay.as_deref().unwrap_or_default();
    let samples = |messages: &'a Option<PendingMessages>| {
        messages.iter().flat_map(|messages| &messages.samples).map(Into::into).collect::<Vec<_>>()
    };
    Body {
        as_of: Moment::from_ms(now),
        features: features(found, others),
        delay_levels: levels
            .iter()
            .filter(|level| level.messages.count > 0)
            .map(|level| LevelJson {
                level: level.level,
                count: level.messages.count,
                stored_offset: level.stored_offset,
                next_offset: level.next_offset.get(),
                max_offset: level.max_offset.get(),
                first_due: level.first_due,
                first_due_at: level.first_due.and_then(Moment::from_ms),
                samples: level.messages.samples.iter().map(Into::into).collect(),
            })
            .collect(),
        half: samples(&found.half),
        prepared: samples(&found.prepared),
        timers: TimersJson {
            wheel: WheelJson::new(&found.timers.wheel),
            not_enqueued: found.timers.not_enqueued,
            samples: found.timers.samples.iter().map(Into::into).collect(),
        },
        pop: found.pop.as_ref().map(|pop| PopJson {
            check_points: pop.check_points,
            groups: pop
                .by_group
                .iter()
                .map(|((topic, group), messages)| GroupJson { topic, group, messages: *messages })
                .collect(),
        }),
        gaps: found.gaps.iter().map(|found| gap(*found)).collect(),
    }
}

fn features(found: &Pending, others: &Others) -> Vec<FeatureJson> {
    let of = |feature, messages: &Option<PendingMessages>| {
        let mut row = FeatureJson::new(feature, messages.as_ref().map(|messages| messages.count));
        row.unreadable = messages.as_ref().map_or(0, |messages| messages.unreadable);
        row.times(messages.as_ref().and_then(|messages| messages.oldest_born_timestamp), None)
    };
    let levels = found.delay.as_deref();
    let first = |times: &mut dyn Iterator<Item = Option<i64>>| times.flatten().min();
    let mut delay = FeatureJson::new("delay", levels.map(|levels| levels.iter().map(|l| l.messages.count).sum()));
    let waiting_levels = || levels.unwrap_or_default().iter().filter(|level| level.messages.count > 0);
    delay.unreadable = waiting_levels().map(|level| level.messages.unreadable).sum();
    let delay = delay.times(
        first(&mut waiting_levels().map(|level| level.messages.oldest_born_timestamp)),
        first(&mut waiting_levels().map(|level| level.first_due)),
    );
    let wheel = &found.timers.wheel;
    let in_timer = waiting(wheel) + found.timers.not_enqueued.unwrap_or(0);
    let mut timer = FeatureJson::new("timer", Some(in_timer)).times(None, wheel.first_due);
    timer.unreadable = wheel.without_message;
    timer.overdue = Some(wheel.overdue);
    let pop = found.pop.as_ref();
    let mut pop_row = FeatureJson::new("pop", pop.map(|pop| pop.messages))
        .times(pop.and_then(|pop| pop.oldest_pop_time), pop.and_then(|pop| pop.first_revive));
    pop_row.unreadable = pop.map_or(0, |pop| pop.unreadable);
    vec![
        delay,
        of("half", &found.half),
        of("prepared", &found.prepared),
        timer,
        pop_row,
        FeatureJson::new("retry", Some(others.retry)),
        FeatureJson::new("lmq", Some(others.lmq)),
        FeatureJson::new("batch", Some(others.batch)),
        FeatureJson::new("compaction", Some(others.compacted)),
    ]
}

fn print(out: &mut Output, paint: Paint, body: &Body<'_>) -> io::Result<()> {
    // The check points of what POP took may lie in the timer: they are not counted twice.
    let waits = ["delay", "half", "prepared", "timer", "retry"];
    let total: u64 = body.features.iter().filter(|f| waits.contains(&f.feature)).filter_map(|f| f.count).sum();
    let taken = body.features.iter().find(|f| f.feature == "pop").and_then(|f| f.count).unwrap_or(0);
    let unknown = body.features.iter().any(|feature| feature.count.is_none() && feature.feature != "prepared");
    let headline = match (total, unknown) {
        (0, false) if taken == 0 => "nothing waits in this store".to_owned(),
        (n, false) if taken == 0 => format!("{} for a time, a decision or another try", verb(n)),
        (n, false) => {
            let taken = count(taken, "message that POP took is", "messages that POP took are");
            format!("{} for a time, a decision or another try; {taken} not acknowledged", verb(n))
        }
        (n, true) => format!("{} that can be seen; not everything could be looked at", verb(n)),
    };
    writeln!(out, "{}\n", paint.bold(headline))?;
    let mut columns = Columns::new(paint, &[">COUNT", "WHAT", "OLDEST", "NEXT DUE", "RELEASES", "WITHOUT IT"]);
    let moment = |at: Option<Moment>| at.map_or_else(|| "-".to_owned(), Moment::short);
    let is_shown =
        |feature: &&FeatureJson| feature.count != Some(0) && (feature.count.is_some() || feature.feature != "prepared");
    let shown: Vec<_> = body.features.iter().filter(is_shown).collect();
    for feature in &shown {
        columns.row([
            feature.count.map_or_else(|| "unknown".to_owned(), number),
            feature.what.to_owned(),
            moment(feature.oldest_at),
            moment(feature.first_due_at),
            feature.releases.to_owned(),
            feature.without_it.to_owned(),
        ]);
    }
    if !shown.is_empty() {
        columns.print(out)?;
    }
    let unreadable: u64 = body.features.iter().map(|feature| feature.unreadable).sum();
    if unreadable > 0 {
        let records = count(unreadable, "of them has a record", "of them have records");
        writeln!(out, "\n{}", paint.warn(format!("{records} that the log does not hold or that cannot be read")))?;
    }
    if !body.delay_levels.is_empty() {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &[">LEVEL", ">WAITING", ">NEXT", ">END", "NEXT DUE"]);
        for level in &body.delay_levels {
            columns.row([
                level.level.to_string(),
                number(level.count),
                level.next_offset.to_string(),
                level.max_offset.to_string(),
                moment(level.first_due_at),
            ]);
        }
        columns.print(out)?;
    }
    let samples = [("half", &body.half), ("prepared", &body.prepared)];
    for (name, samples) in samples.into_iter().filter(|(_, samples)| !samples.is_empty()) {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &[&name.to_uppercase(), ">LOG OFFSET", "TOPIC", "UNIQUE KEY"]);
        for message in samples {
            columns.row([
                moment(message.born_at),
                message.physical_offset.to_string(),
                plain(message.topic).into_owned(),
                message.unique_key.map_or_else(|| "-".to_owned(), |key| plain(key).into_owned()),
            ]);
        }
        columns.print(out)?;
    }
    if let Some(pop) = body.pop.as_ref().filter(|pop| !pop.groups.is_empty()) {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &[">TAKEN", "GROUP", "TOPIC"]);
        for group in &pop.groups {
            columns.row([number(group.messages), plain(group.group).into_owned(), plain(group.topic).into_owned()]);
        }
        columns.print(out)?;
    }
    Ok(())
}

fn verb(messages: u64) -> String {
    let verb = if messages == 1 { "waits" } else { "wait" };
    format!("{} {verb}", count(messages, "message", "messages"))
}
