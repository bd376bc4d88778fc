//! The checkpoint against the newest messages.

use mqstore_core::format::checkpoint::{CHECKPOINT_FIELDS_LENGTH, CHECKPOINT_LENGTH, CHECKPOINT_MARGIN_MS, Checkpoint};

use super::commitlog::LogFacts;
use super::queues::Queues;
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// Looks at the checkpoint.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, log: &LogFacts) {
    let path = cx.store.root().join("checkpoint");
    let at = || Location::path("checkpoint");
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !cx.facts.looks_new {
                cx.push(finding("checkpoint.missing", at(), "there is no checkpoint"));
            }
            return;
        }
        Err(error) => {
            cx.report.skip("checkpoint", format!("cannot read it: {error}"));
            return;
        }
    };
    cx.report.coverage.files.total += 1;
    cx.report.coverage.files.seen += 1;
    if bytes.len() as u64 != CHECKPOINT_LENGTH {
        let message = format!("{} bytes, expected {CHECKPOINT_LENGTH}", bytes.len());
        cx.push(finding("checkpoint.length", at(), message).values(CHECKPOINT_LENGTH, bytes.len()));
    }
    if bytes.get(CHECKPOINT_FIELDS_LENGTH..).is_some_and(|rest| !mqstore_core::bytes::is_zero(rest)) {
        let rest = at().at(CHECKPOINT_FIELDS_LENGTH as u64);
        cx.push(finding("checkpoint.trailing", rest, "bytes behind the last known field are not zero"));
    }
    // A short file gets zeros in a broker, too.
    let mut fields = bytes;
    fields.resize(fields.len().max(CHECKPOINT_FIELDS_LENGTH), 0);
    let Ok(checkpoint) = Checkpoint::parse(&fields) else { return };
    let times = [
        ("physic msg timestamp", 0, checkpoint.physic_msg_timestamp),
        ("logics msg timestamp", 8, checkpoint.logics_msg_timestamp),
        ("index msg timestamp", 16, checkpoint.index_msg_timestamp),
    ];
    let offsets = [
        ("master flushed offset", 24, checkpoint.master_flushed_offset),
        ("confirm phy offset", 32, checkpoint.confirm_phy_offset),
        ("logics physical offset", 40, checkpoint.logics_physical_offset),
    ];
    let negative: Vec<_> = times.iter().chain(&offsets).filter(|(_, _, value)| *value < 0).copied().collect();
    for (name, offset, value) in negative {
        let found = finding("checkpoint.garbage", at().at(offset).spanning(8), format!("{name} is {value}"));
        cx.push(found.values("0 or more", value));
    }
    if log.records > 0 && log.reached_end {
        ahead(cx, &times, queues, log, &checkpoint);
        for (name, offset, value) in offsets.into_iter().skip(1) {
            if value > 0 && value.cast_unsigned() > log.end {
                let message = format!("{name} {value} lies behind the end of the log at {}", log.end);
                let found = finding("checkpoint.confirm-offset", at().at(offset).spanning(8), message);
                cx.push(found.values(format_args!("at most {}", log.end), value));
            }
        }
    }
}

fn ahead(
    cx: &mut Context<'_>,
    times: &[(&str, u64, i64); 3],
    queues: &Queues,
    log: &LogFacts,
    checkpoint: &Checkpoint,
) {
    let at = |offset| Location::path("checkpoint").at(offset).spanning(8);
    let newest = log.newest_time;
    // A message that can no longer be read may have been the newest.
    let newest_is_known = log.damage.end().is_none_or(|end| end < log.end);
    for (name, offset, time) in times.iter().filter(|_| newest_is_known) {
        // A message that was cut again may have been newer; the broker itself leaves this margin.
        if *time > newest.saturating_add(CHECKPOINT_MARGIN_MS) {
            let message = format!("{name} {time} is {} ms later than the newest message", time - newest);
            cx.push(finding("checkpoint.ahead", at(*offset), message).values(format_args!("at most {newest}"), time));
        } else if *time > newest {
            let message = format!("{name} {time} is {} ms later than the newest message", time - newest);
            cx.push(at_most(Severity::Warning, finding("checkpoint.ahead", at(*offset), message)));
        }
    }
    let newest_queued = queues.newest_time();
    if !cx.is_full() || newest_queued == 0 {
        return;
    }
    let logics = checkpoint.logics_msg_timestamp;
    if queues.lost() > 0 && logics > newest_queued.saturating_add(CHECKPOINT_MARGIN_MS) && logics <= newest {
        let message = format!(
            "logics msg timestamp {logics} is {} ms later than the newest message in a queue",
            logics - newest_queued
        );
        let found = finding("checkpoint.ahead-of-queues", at(8), message);
        cx.push(found.values(format_args!("at most {newest_queued}"), logics));
    }
    let behind = newest_queued.saturating_sub(logics);
    if !cx.facts.in_motion() && logics > 0 && behind > CHECKPOINT_MARGIN_MS {
        let message = format!("logics msg timestamp {logics} is {behind} ms older than the newest message in a queue");
        cx.push(finding("checkpoint.behind", at(8), message));
    }
}
