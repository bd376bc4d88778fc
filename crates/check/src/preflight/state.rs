//! The store itself: who wrote it, is it at rest and sound, is there room, what waits in it.

use mqstore_core::release::features::Waiting;
use mqstore_core::release::marks::About;
use mqstore_core::store::PendingGap;

use super::{Cx, Line, Status};
use crate::finding::Severity;
use crate::report::{Outcome, Report};
use crate::verify::{Level, VerifyOptions, verify};

/// Above this share of the disk, in per cent, a broker deletes its oldest log files whatever their age.
const CLEAN_FORCIBLY: u64 = 85;
/// Default of `diskMaxUsedSpaceRatio`, and the range that a broker takes it in.
const MAX_USED: u64 = 75;
const MAX_USED_RANGE: std::ops::RangeInclusive<u64> = 10..=95;

pub(super) fn lines(cx: &Cx<'_>, report: &mut Report) -> Vec<Line> {
    vec![release(cx), stopped(cx), sound(cx, report), disk(cx), half_messages(cx), pop(cx), delay(cx), timer(cx)]
}

fn release(cx: &Cx<'_>) -> Line {
    const ID: &str = "store.release";
    let bounds = match &cx.facts.bounds {
        Ok(bounds) => bounds,
        Err(why) => return Line::not_checked(ID, why.clone()),
    };
    let from = cx.from;
    let marks = bounds.evidence.iter();
    if let Some(oldest) = bounds.oldest.filter(|oldest| bounds.mixed.is_none() && *oldest > from) {
        let newer =
            marks.filter(|mark| mark.at_least.is_some_and(|release| release > from) && mark.about != About::Client);
        return Line::fail(ID, format!("{oldest} or later opened this store, {from} cannot be what runs on it"))
            .evidence(newer.map(|mark| format!("{}: {}", mark.path, mark.says)))
            .suggest("give the release that runs with --from");
    }
    if let Some(mixed) = &bounds.mixed {
        return Line::warn(ID, format!("{}: {}", mixed.path, mixed.says))
            .suggest(format!("make sure that {from} is what runs, and that the rollback before is through"));
    }
    if let Some(newest) = bounds.newest.filter(|newest| *newest < from) {
        let older = marks.filter(|mark| mark.about == About::LastWriter && mark.at_most.is_some_and(|r| r < from));
        return Line::warn(ID, format!("{newest} or earlier wrote some files last, {from} did not yet"))
            .evidence(older.map(|mark| format!("{}: {}", mark.path, mark.says)))
            .suggest("give the release that runs with --from");
    }
    if !bounds.unread.is_empty() {
        return Line::not_checked(ID, format!("cannot read {}", bounds.unread.join(", ")));
    }
    let range = match (bounds.oldest, bounds.newest) {
        (Some(oldest), Some(newest)) => format!("by its marks {oldest} to {newest}"),
        (Some(oldest), None) => format!("by its marks {oldest} or later"),
        (None, Some(newest)) => format!("by its marks {newest} or earlier"),
        (None, None) => "it has no marks".to_owned(),
    };
    Line::pass(ID, format!("{from} can have written this store, {range}"))
        .evidence(marks.map(|mark| format!("{}: {}", mark.path, mark.says)))
}

fn stopped(cx: &Cx<'_>) -> Line {
    const ID: &str = "store.stopped";
    let root = cx.store.root().display();
    let start_fact = cx.to.behaviour().abort_dispatch.evidence;
    match (cx.options.live, cx.facts.abort) {
        (true, _) => Line::warn(
            ID,
            "a broker runs on this store: what is said here holds for this moment, and for an orderly stop",
        )
        .suggest("go through the list again when it is stopped"),
        (false, true) => {
            let locks = cx.from.behaviour().lock_file.value;
            let message = if locks {
                "the last stop was not an orderly one: there is a file abort, and nobody holds the lock"
            } else {
                "there is a file abort: a broker runs on this store, or the last stop was not an orderly one"
            };
            let line = Line::warn(ID, message).evidence([format!("{root}/abort")]).consequence(format!(
                "{} would start abnormally: it reads more of the log, dispatches it again and rebuilds the newest index file ({start_fact})",
                cx.to
            ));
            line.suggest(format!("start {} once more and stop it in an orderly way", cx.from))
        }
        (false, false) => Line::pass(ID, "no file abort and no lock held: the last stop was an orderly one"),
    }
}

fn sound(cx: &Cx<'_>, report: &mut Report) -> Line {
    const ID: &str = "store.sound";
    let options = VerifyOptions { level: Level::Quick, ..VerifyOptions::default() };
    let verified = match verify(cx.store, &options, cx.progress, &mut |_| {}) {
        Ok(verified) => verified,
        Err(error) => return Line::not_checked(ID, error.to_string()),
    };
    report.coverage.files = verified.coverage.files;
    report.coverage.bytes = verified.coverage.bytes;
    report.coverage.level = Some(Level::Quick.as_str());
    let counts = verified.counts();
    let told = verified.findings().iter().filter(|finding| finding.severity > Severity::Info);
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let evidence: Vec<String> = told
        .iter()
        .take(5)
        .map(|finding| {
            let path = finding.location.path.as_deref().map(|path| format!(" {path}")).unwrap_or_default();
            format!("{}{path}: {}", finding.id, finding.message)
        })
        .collect();
    let command = format!("mqstore verify {} --level full", cx.store.root().display());
    let line = if counts.error > 0 {
        Line::fail(ID, format!("the store is damaged: {} errors, {} warnings", counts.error, counts.warning))
            .suggest("see what is damaged and mend it before the release changes")
            .command(command)
    } else if let (Outcome::NoVerdict, Some(skipped)) =
        (verified.outcome(Severity::Error), verified.coverage.skipped.iter().find(|skipped| !skipped.asked))
    {
        Line::not_checked(ID, format!("{}: {}", skipped.what, skipped.why))
    } else if counts.warning > 0 {
        Line::warn(ID, format!("a quick look finds {} warnings and no error", counts.warning))
            .suggest("see what they are about")
            .command(command)
    } else {
        Line::pass(ID, "a quick look finds nothing wrong: names, lengths, the last files, state and offsets")
    };
    line.evidence(evidence)
}

fn disk(cx: &Cx<'_>) -> Line {
    const ID: &str = "store.disk";
    let Some(space) = cx.options.space.filter(|space| space.total > 0) else {
        return Line::not_checked(ID, "the file system of the store cannot be asked for its space");
    };
    let used = space.used_percent();
    let configured = cx.conf.as_ref().and_then(|both| both.new.file.conf.get("diskMaxUsedSpaceRatio"));
    let limit = configured.and_then(|entry| entry.value.parse().ok()).unwrap_or(MAX_USED);
    let limit = limit.clamp(*MAX_USED_RANGE.start(), *MAX_USED_RANGE.end());
    let mut status = Status::Pass;
    let mut says = vec![format!("{used} % of the disk are used, {} MiB are free", space.available >> 20)];
    let mut worse = |new: Status, text: String| {
        status = status.min(new);
        says.push(text);
    };
    if used >= CLEAN_FORCIBLY {
        worse(Status::Fail, format!("above {CLEAN_FORCIBLY} % brokers delete the oldest log files whatever their age"));
    } else if used >= limit {
        worse(Status::Warn, format!("above {limit} % brokers delete expired log files at any hour"));
    }
    if let Some(both) = &cx.conf {
        let hours = |side: &super::conf::Side<'_>| side.resolved.file_reserved_time.value;
        let (old, new) = (hours(&both.old), hours(&both.new));
        if new < old {
            worse(
                Status::Warn,
                format!("fileReservedTime is {old} hours and becomes {new}: log files of the time between are deleted"),
            );
        }
    }
    let mut evidence = Vec::new();
    if let Some(backup) = &cx.options.backup {
        let dir = backup.dir.display();
        let need = cx.facts.without_log;
        evidence.push(format!("everything but the log takes {} MiB on disk, before it is packed", need >> 20));
        match backup.space {
            Some(space) if space.available < need => {
                worse(
                    Status::Fail,
                    format!("{dir} has {} MiB free for a backup of up to {} MiB", space.available >> 20, need >> 20),
                );
            }
            Some(_) if backup.same_as_store => {
                worse(
                    Status::Warn,
                    format!("{dir} lies on the file system of the store: a backup there fills it, and falls with it"),
                );
            }
            Some(_) => {}
            None => return Line::not_checked(ID, format!("{dir} cannot be asked for its space")),
        }
    }
    let line = Line::new(ID, status, says.join("; ")).evidence(evidence);
    if status == Status::Pass {
        line
    } else {
        line.suggest("make room before the switch, with the old release stopped or not")
    }
}

fn half_messages(cx: &Cx<'_>) -> Line {
    const ID: &str = "store.half-messages";
    let half = match cx.facts.waiting(Waiting::Half) {
        Ok(half) => half.unwrap_or(0),
        Err(why) => return Line::not_checked(ID, why),
    };
    let prepared = cx.facts.pending.as_ref().ok().and_then(|pending| pending.prepared.as_ref());
    let prepared = prepared.map_or(0, |prepared| prepared.count);
    let rule = cx.to.behaviour().half_message_topic;
    if half > 0 && !rule.value {
        return Line::fail(
            ID,
            format!("{half} half messages wait, and {} never checks them ({})", cx.to, rule.evidence),
        )
        .consequence("what the producers do not end by themselves is never delivered")
        .suggest("stop the producers of transactions and wait until none is open");
    }
    if prepared > 0 && rule.value && !cx.from.behaviour().half_message_topic.value {
        return Line::warn(ID, format!("{prepared} prepared messages of 3.x to 4.2.0 have no end"))
            .consequence(format!("{} never checks them: by reading the source", cx.to))
            .suggest("ask the producers whether they matter, and send again what does");
    }
    Line::pass(
        ID,
        match half {
            0 => "no transaction is open".to_owned(),
            half => format!("{half} half messages wait, {} goes on checking them", cx.to),
        },
    )
}

fn pop(cx: &Cx<'_>) -> Line {
    const ID: &str = "store.pop-in-flight";
    let rule = cx.to.behaviour().pop;
    match cx.facts.waiting(Waiting::Pop) {
        Err(why) => Line::not_checked(ID, why),
        Ok(None | Some(0)) => Line::pass(ID, "no message is in flight to a POP consumer"),
        Ok(Some(held)) if rule.value => {
            Line::pass(ID, format!("{held} messages are in flight to POP consumers, {} revives them", cx.to))
        }
        Ok(Some(held)) => Line::fail(
            ID,
            format!(
                "{held} messages are in flight to POP consumers, and {} does not know POP ({})",
                cx.to, rule.evidence
            ),
        )
        .consequence("those that are not acknowledged in time are not delivered again")
        .suggest("stop the POP consumers and wait until their messages are visible again or acknowledged"),
    }
}

fn delay(cx: &Cx<'_>) -> Line {
    const ID: &str = "delay.pending";
    let pending = match &cx.facts.pending {
        Ok(pending) if pending.gaps.contains(&PendingGap::QueuesInRocksDb) => {
            return Line::not_checked(ID, "the queues are in RocksDB");
        }
        Ok(pending) => pending,
        Err(why) => return Line::not_checked(ID, why.clone()),
    };
    let waiting = pending.delay.iter().flatten().filter(|level| level.messages.count > 0);
    let levels: Vec<String> = waiting.map(|level| format!("level {}: {}", level.level, level.messages.count)).collect();
    let total: u64 = pending.delay.iter().flatten().map(|level| level.messages.count).sum();
    let text = |side: &super::conf::Side<'_>| side.resolved.message_delay_level.value.clone();
    let changed = cx.conf.as_ref().map(|both| (text(&both.old), text(&both.new))).filter(|(old, new)| old != new);
    if total == 0 {
        return Line::pass(ID, "no delayed message waits");
    }
    let wait = format!("{total} delayed messages wait");
    if let Some((old, new)) = changed {
        return Line::fail(ID, format!("{wait}, and messageDelayLevel is {old:?} and becomes {new:?}"))
            .evidence(levels)
            .consequence("levels that are gone are never delivered, due times of a rebuild come from the new list (seen on 3.5.8, 4.3.2, 4.9.7, 5.3.3)")
            .suggest("keep messageDelayLevel until the last one fired");
    }
    let fires = cx.to.behaviour().rebuilt_delay_fires_at_once;
    if fires.value {
        return Line::warn(
            ID,
            format!(
                "{wait}; if {} starts with a file abort, or rebuilds the queues so, all of them fire at once",
                cx.to
            ),
        )
        .evidence(levels)
        .evidence([format!("{}", fires.evidence)])
        .suggest("stop in an orderly way, and see that abort is gone before the start");
    }
    Line::pass(ID, format!("{wait}, {} goes on with them", cx.to)).evidence(levels)
}

fn timer(cx: &Cx<'_>) -> Line {
    const ID: &str = "timer.pending";
    let rule = cx.to.behaviour().timer_wheel;
    let off = cx.conf.as_ref().is_some_and(|both| !both.new.resolved.timer_wheel_enable.value);
    match cx.facts.waiting(Waiting::Timer) {
        Err(why) => Line::not_checked(ID, why),
        Ok(None | Some(0)) => Line::pass(ID, "no timed message waits"),
        Ok(Some(waiting)) if rule.value && !off => {
            Line::pass(ID, format!("{waiting} timed messages wait, {} goes on with them", cx.to))
        }
        Ok(Some(waiting)) => {
            let why = if rule.value {
                "the new file switches the timer off".to_owned()
            } else {
                format!("{} has no timer ({})", cx.to, rule.evidence)
            };
            Line::fail(ID, format!("{waiting} timed messages wait, and {why}"))
                .consequence("they stay in rmq_sys_wheel_timer, undelivered, until they expire")
                .suggest("send no more timed messages and wait until the last one fired")
        }
    }
}
