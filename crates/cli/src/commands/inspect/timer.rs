//! `inspect timer`: what waits in the timer wheel, by when it is due.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use mqstore_core::format::system_topic::TIMER_TOPIC;
use mqstore_core::store::{CancelKey, LogEndKind, PendingTimer, TimerPending, TimerStore};
use serde::Serialize;

use super::queues::{QueueJson, Queues};
use crate::args::TimerArgs;
use crate::commands::{Context, Target};
use crate::exit::Exit;
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, field, number, plain};
use crate::output::json::{self, TargetJson};
use crate::time::Moment;

const HOUR: i64 = 3_600_000;
/// Rows of the histogram at most.
const ROWS: usize = 12;
/// Characters of its longest bar.
const BAR: u64 = 40;

#[derive(Debug, Serialize)]
struct Body {
    as_of: Option<Moment>,
    timer: Option<TimerJson>,
}

#[derive(Debug, Serialize)]
struct TimerJson {
    wheel_length: u64,
    log_files: usize,
    log_units: u64,
    log_end: u64,
    log_end_kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_error: Option<String>,
    checkpoint: Option<CheckpointJson>,
    #[serde(flatten)]
    wheel: WheelJson,
    /// Messages of the timer's queue that are not in the wheel yet.
    not_enqueued: Option<u64>,
    due_by_hour: Vec<HourJson>,
    by_topic: BTreeMap<String, u64>,
    next: Vec<SampleJson>,
}

#[derive(Debug, Serialize)]
struct CheckpointJson {
    last_read_time_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_read_at: Option<Moment>,
    last_timer_log_flush_pos: i64,
    last_timer_queue_offset: i64,
    master_timer_queue_offset: i64,
}

/// What the wheel holds.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WheelJson {
    congestion: i64,
    slots: u64,
    normal: u64,
    rolled: u64,
    cancelled: u64,
    cancelled_with_topic: u64,
    deletes: u64,
    overdue: u64,
    without_message: u64,
    broken_slots: u64,
    first_due: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_due_at: Option<Moment>,
}

impl WheelJson {
    pub(super) fn new(pending: &TimerPending) -> Self {
        Self {
            congestion: pending.congestion,
            slots: pending.slots,
            normal: pending.normal,
            rolled: pending.rolled,
            cancelled: pending.cancelled,
            cancelled_with_topic: pending.cancelled_with_topic,
            deletes: pending.deletes,
            overdue: pending.overdue,
            without_message: pending.without_message,
            broken_slots: pending.broken_slots,
            first_due: pending.first_due,
            first_due_at: pending.first_due.and_then(Moment::from_ms),
        }
    }
}

#[derive(Debug, Serialize)]
struct HourJson {
    hour: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Moment>,
    count: u64,
}

/// A message in the wheel.
#[derive(Debug, Serialize)]
pub(super) struct SampleJson {
    timer_log_position: u64,
    physical_offset: i64,
    topic: Option<String>,
    unique_key: Option<String>,
    due: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<Moment>,
    rolled: bool,
}

impl From<&PendingTimer> for SampleJson {
    fn from(unit: &PendingTimer) -> Self {
        let due = unit.due_time.unwrap_or(unit.slot_time);
        Self {
            timer_log_position: unit.position,
            physical_offset: unit.unit.physical_offset,
            topic: unit.topic.clone(),
            unique_key: unit.unique_key.clone(),
            due,
            due_at: Moment::from_ms(due),
            rolled: unit.unit.magic.is_roll(),
        }
    }
}

/// Messages that wait: those that nobody cancelled.
pub(super) fn waiting(wheel: &TimerPending) -> u64 {
    (wheel.normal + wheel.rolled).saturating_sub(wheel.cancelled)
}

/// What the state of the wheel means for the exit code.
pub(super) fn wheel_exit(wheel: &TimerPending, live: bool) -> Exit {
    let mut words = Vec::new();
    if wheel.broken_slots > 0 {
        words.push(format!("{} of the wheel with a chain that breaks off", count(wheel.broken_slots, "slot", "slots")));
    }
    if wheel.without_message > 0 {
        let units = count(wheel.without_message, "timer unit", "timer units");
        words.push(format!("{units} whose message the log does not hold or that cannot be read"));
    }
    if words.is_empty() { Exit::clean() } else { damage(words.join(", "), live) }
}

/// Damage, unless it is being written right now.
fn damage(reason: String, live: bool) -> Exit {
    if live { Exit::no_verdict(format!("{reason}; it may have been written meanwhile")) } else { Exit::found(reason) }
}

/// Parts in which more may wait, and which are not read.
pub(super) fn unread_exit(target: &Target) -> Exit {
    let words: Vec<_> = target.not_read().into_iter().map(|part| target.in_words(part)).collect();
    if words.is_empty() {
        return Exit::clean();
    }
    Exit::no_verdict(format!("what waits in {} is not read", words.join(", ")))
}

pub(crate) fn run(context: &mut Context, args: &TimerArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let now = args.moment.at.unwrap_or_else(|| Moment::now().as_ms());
    let timer = target.store.timer()?;
    let mut exit = unread_exit(&target);
    let mut body = Body { as_of: Moment::from_ms(now), timer: None };
    let mut wheel = TimerPending::default();
    if !timer.is_unused()? {
        let (json, pending) = read(&target, &timer, (now, args.moment.samples), &mut exit)?;
        exit = wheel_exit(&pending, target.live).and(exit);
        if let Some(error) = &json.log_error {
            let reason = format!("the timer log ends in garbage at {}: {error}", json.log_end);
            exit = exit.and(damage(reason, target.live));
        }
        (body.timer, wheel) = (Some(json), pending);
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if is_text {
        print(out, paint, (&body, &wheel, now))?;
        writeln!(out, "\n{}", paint.dim(format_args!("next: mqstore inspect pending {}", root.display())))?;
    } else {
        json::document(out, ndjson, ("mqstore.inspect.timer", &TargetJson::store(root)), &body, &exit)?;
    }
    Ok(exit)
}

fn read(
    target: &Target,
    timer: &TimerStore,
    (now, samples): (i64, usize),
    exit: &mut Exit,
) -> anyhow::Result<(TimerJson, TimerPending)> {
    let mut next: Vec<PendingTimer> = Vec::new();
    let mut by_topic = BTreeMap::new();
    let pending = timer.pending(&target.log, now, |unit| {
        if unit.unit.magic.is_delete() || unit.cancelled == Some(CancelKey::Unique) {
            return;
        }
        *by_topic.entry(unit.topic.clone().unwrap_or_default()).or_default() += 1;
        let due = |unit: &PendingTimer| (unit.due_time.unwrap_or(unit.slot_time), unit.position);
        let at = next.partition_point(|other| due(other) < due(unit));
        if at < samples {
            next.insert(at, unit.clone());
            next.truncate(samples);
        }
    })?;
    let end = timer.scan_log(|_, _| std::ops::ControlFlow::Continue(()))?;
    let mut queues = Queues::read(target, exit).list;
    queues.retain(|queue| queue.is(TIMER_TOPIC, 0));
    let queue = QueueJson::all(target, &queues, exit).into_iter().next();
    let not_enqueued = timer.checkpoint().zip(queue).map(|(checkpoint, queue)| {
        let next = u64::try_from(checkpoint.last_timer_queue_offset).unwrap_or(0);
        queue.max_offset.saturating_sub(next.max(queue.min_offset))
    });
    let json = TimerJson {
        wheel_length: timer.wheel_length(),
        log_files: timer.log().files().len(),
        log_units: end.units,
        log_end: end.position,
        log_end_kind: end.kind.as_str(),
        log_error: end.error.filter(|_| end.kind == LogEndKind::Garbage).map(|error| error.to_string()),
        checkpoint: timer.checkpoint().map(|checkpoint| CheckpointJson {
            last_read_time_ms: checkpoint.last_read_time_ms,
            last_read_at: Moment::from_mark(checkpoint.last_read_time_ms),
            last_timer_log_flush_pos: checkpoint.last_timer_log_flush_pos,
            last_timer_queue_offset: checkpoint.last_timer_queue_offset,
            master_timer_queue_offset: checkpoint.master_timer_queue_offset,
        }),
        wheel: WheelJson::new(&pending),
        not_enqueued,
        due_by_hour: pending
            .due_by_hour
            .iter()
            .map(|(hour, count)| HourJson { hour: *hour, at: Moment::from_ms(*hour), count: *count })
            .collect(),
        by_topic,
        next: next.iter().map(Into::into).collect(),
    };
    Ok((json, pending))
}

fn print(out: &mut Output, paint: Paint, (body, wheel, now): (&Body, &TimerPending, i64)) -> io::Result<()> {
    let Some(timer) = &body.timer else {
        return writeln!(out, "{}", paint.bold("no timed messages: none was ever put into the timer of this store"));
    };
    let total = waiting(wheel);
    let verb = if total == 1 { "waits" } else { "wait" };
    writeln!(out, "{}\n", paint.bold(format!("{} {verb}", count(total, "timed message", "timed messages"))))?;
    let moment = |ms: i64| Moment::from_ms(ms).map_or_else(|| ms.to_string(), Moment::short);
    if let Some(due) = wheel.first_due {
        field(out, paint, "next due", moment(due))?;
    }
    let overdue = format!("{} at {}", number(wheel.overdue), moment(now));
    field(out, paint, "overdue", if wheel.overdue > 0 { paint.warn(overdue) } else { overdue })?;
    field(out, paint, "rolled", format_args!("{} due later than the wheel reaches", number(wheel.rolled)))?;
    let by_topic = if wheel.cancelled_with_topic > 0 {
        let words = "by topic and key, which works only with appendTopicForTimerDeleteKey";
        format!("; {} {words}", number(wheel.cancelled_with_topic))
    } else {
        String::new()
    };
    field(out, paint, "cancelled", format_args!("{}{by_topic}", number(wheel.cancelled)))?;
    if let Some(waiting) = timer.not_enqueued.filter(|n| *n > 0) {
        field(out, paint, "not yet in it", format_args!(" {}", count(waiting, "message", "messages")))?;
    }
    field(
        out,
        paint,
        "log",
        format_args!(
            "{} in {}, {}",
            count(timer.log_units, "unit", "units"),
            count(timer.log_files as u64, "file", "files"),
            count(wheel.slots, "pending slot", "pending slots")
        ),
    )?;
    if timer.log_error.is_some() {
        field(out, paint, "", paint.bad(format!("the log ends in garbage at {}", number(timer.log_end))))?;
    }
    if let Some(checkpoint) = &timer.checkpoint {
        field(out, paint, "read up to", moment(checkpoint.last_read_time_ms))?;
    }
    histogram(out, paint, &wheel.due_by_hour)?;
    if timer.next.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let mut columns = Columns::new(paint, &["DUE", ">LOG OFFSET", "TOPIC", "UNIQUE KEY"]);
    for sample in &timer.next {
        let text =
            |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), |text| plain(text).into_owned());
        columns.row([
            moment(sample.due),
            sample.physical_offset.to_string(),
            text(&sample.topic),
            text(&sample.unique_key),
        ]);
    }
    columns.print(out)
}

fn histogram(out: &mut Output, paint: Paint, by_hour: &BTreeMap<i64, u64>) -> io::Result<()> {
    let (Some(first), Some(last)) = (by_hour.keys().next(), by_hour.keys().next_back()) else { return Ok(()) };
    let (width, buckets) = buckets(by_hour, *first, *last);
    let most = buckets.values().copied().max().unwrap_or(1).max(1);
    let hours = count(u64::try_from(width / HOUR).unwrap_or(1), "hour", "hours");
    writeln!(out, "\n{}", paint.dim(format!("due within {hours} from")))?;
    for (start, n) in buckets {
        // A bucket that holds anything has a bar.
        let bar = "#".repeat(usize::try_from((n * BAR).div_ceil(most)).unwrap_or(1));
        let start = Moment::from_ms(start).map_or_else(|| start.to_string(), Moment::short);
        writeln!(out, "{start}  {:>9}  {bar}", number(n))?;
    }
    Ok(())
}

/// Sums hours to buckets of one width, which is the smallest that gives few enough rows. Empty ones are left out.
fn buckets(by_hour: &BTreeMap<i64, u64>, first: i64, last: i64) -> (i64, BTreeMap<i64, u64>) {
    let span = last.saturating_sub(first) / HOUR + 1;
    let rows = i64::try_from(ROWS).unwrap_or(i64::MAX);
    let hours = [1, 2, 3, 6, 12, 24, 48, 168].into_iter().find(|hours| span <= hours * rows - hours);
    let width = hours.unwrap_or_else(|| (span / rows / 24 + 1) * 24).saturating_mul(HOUR);
    let mut buckets = BTreeMap::new();
    for (hour, n) in by_hour {
        *buckets.entry(hour.div_euclid(width).saturating_mul(width)).or_default() += *n;
    }
    (width, buckets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_few_rows_and_loses_no_message() {
        for span in [1, 11, 12, 13, 100, 400, 100_000] {
            let by_hour: BTreeMap<i64, u64> = (0..span).map(|hour| ((7 + hour) * HOUR, 2)).collect();
            let (first, last) = (7 * HOUR, (6 + span) * HOUR);
            let (width, buckets) = buckets(&by_hour, first, last);
            assert!(buckets.len() <= ROWS + 1 && width % HOUR == 0, "{span} hours: {} rows", buckets.len());
            assert_eq!(buckets.values().sum::<u64>(), 2 * by_hour.len() as u64);
        }
    }
}
