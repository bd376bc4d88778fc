//! `diff`.

mod merge;
mod side;
mod text;
mod watch;

use std::collections::BTreeMap;
use std::path::Path;

use mqstore_check::diff::{
    Ahead, Area, ConfigDiff, DelayDiff, DiffOptions, DiffReport, Limits, LogDiff, Moved, OffsetDiff, QueueDiff,
    RelationFound, TimerDiff, Which, diff,
};
use mqstore_check::{Counts, Coverage, Finding, Location, Outcome, Severity};
use serde::Serialize;

use super::Context;
use super::findings::{first_skipped, worst_in_words};
use crate::args::DiffArgs;
use crate::exit::Exit;
use crate::output::also;
use crate::output::human::count;
use crate::output::json::{self, TargetJson};
use merge::{Merge, MergeJson};
use side::Opened;

/// What lies at the end of a log that an archive does not hold.
const UNKNOWN_END: &str = "unknown";
/// Findings that a side may cause that is read later than the other one while it goes on: a slave that was read after its
/// master, and has got from it what the master's reading does not have.
const OF_MOVING_SIDES: &[&str] = &[
    "pair.slave-ahead",
    "pair.queue-missing",
    "pair.offset-beyond-max",
    "pair.offset-goes-back",
    "pair.delay-goes-back",
];

pub(crate) fn run(context: &mut Context, args: &DiffArgs) -> anyhow::Result<Exit> {
    let merge = Merge::prepare(&args.merge, [&args.a, &args.b])?;
    context.out(&[&args.a, &args.b])?;
    let compared = watch::until_close(context, args)?;
    if context.interrupted() {
        return Ok(Exit::interrupted());
    }
    let merged = merge.map(|merge| merge.write(context, &compared)).transpose()?;
    let exit = compared.exit.clone();
    let ndjson = context.is_ndjson();
    let target = TargetJson::pair(compared.a.target(&args.a), compared.b.target(&args.b));
    let whole = DiffJson::new(&compared.report, true, merged.as_ref());
    also::write(context, &args.also, (&[&args.a, &args.b], None), ("mqstore.diff", &target), &whole, &exit)?;
    if context.is_text() {
        text::print(context, args, &compared, merged.as_ref())?;
        return Ok(exit);
    }
    let out = context.out(&[&args.a, &args.b])?;
    if ndjson {
        for finding in compared.report.report.findings() {
            serde_json::to_writer(&mut *out, finding).map_err(std::io::Error::from)?;
            std::io::Write::write_all(out, b"\n")?;
        }
    }
    let body = DiffJson::new(&compared.report, !ndjson, merged.as_ref());
    json::document(out, ndjson, ("mqstore.diff", &target), &body, &exit)?;
    Ok(exit)
}

/// Two sides, and what one comparison of them said.
#[derive(Debug)]
struct Compared {
    a: Opened,
    b: Opened,
    report: DiffReport,
    exit: Exit,
}

/// Opens both sides anew and compares them.
fn compare(context: &Context, args: &DiffArgs) -> anyhow::Result<Compared> {
    let a = side::open(context, &args.a, &side::place(args, true), &args.chain.folders)?;
    let b = side::open(context, &args.b, &side::place(args, false), &args.chain.folders)?;
    let mut options = DiffOptions::default();
    options.relation = args.relation.into();
    options.limits = (&args.limits).into();
    options.ignore.clone_from(&args.ignore);
    options.jobs = super::jobs(args.jobs);
    let archives = [("a", &a), ("b", &b)].into_iter().filter(|(_, side)| side.archive().is_some());
    let archives: Vec<_> = archives.map(|(name, side)| (name, side.archive())).collect();
    if !archives.is_empty() && !options.ignore.contains(&Area::Log) {
        options.ignore.push(Area::Log);
    }
    let bar = context.bar("comparing");
    let mut report = diff(&a.side(), &b.side(), &options, &bar)?;
    drop(bar);
    if !archives.is_empty() {
        log_by_manifest([&a, &b], &mut report.commitlog);
        if !args.ignore.contains(&Area::Log) {
            judge_by_manifest(&mut report, options.limits);
        }
    }
    for (name, manifest) in archives {
        let gaps = manifest.map_or(0, |manifest| manifest.gaps.len() as u64);
        if gaps > 0 {
            report.report.skip(name, format!("the archive has {}", count(gaps, "gap", "gaps")));
        }
    }
    report.verdict = text::verdict([&a, &b], &report);
    let exit = exit(&report);
    Ok(Compared { a, b, report, exit })
}

/// The log is not in an archive, only where it stood.
fn log_by_manifest([a, b]: [&Opened; 2], log: &mut LogDiff) {
    for (opened, side) in [(a, &mut log.a), (b, &mut log.b)] {
        let stood = opened.archive().and_then(|manifest| manifest.positions.commitlog.as_ref());
        if let Some(stood) = stood {
            (side.min_offset, side.max_offset) = (stood.min_offset, stood.max_offset);
        }
        if opened.archive().is_some() {
            UNKNOWN_END.clone_into(&mut side.end);
        }
    }
    log.lag_bytes = log.a.max_offset.abs_diff(log.b.max_offset);
    log.ahead = match log.a.max_offset.cmp(&log.b.max_offset) {
        std::cmp::Ordering::Less => Ahead::B,
        std::cmp::Ordering::Equal => Ahead::None,
        std::cmp::Ordering::Greater => Ahead::A,
    };
    let level = log.ahead == Ahead::None;
    (log.lag_messages, log.lag_messages_exact, log.lag_ms) = (level.then_some(0), level, level.then_some(0));
}

/// Says why the log was left out, and holds what is known of it against the limits.
fn judge_by_manifest(diff: &mut DiffReport, limits: Limits) {
    let report = &mut diff.report;
    for skipped in report.coverage.skipped.iter_mut().filter(|skipped| skipped.asked && skipped.what == "log") {
        "an archive does not hold it".clone_into(&mut skipped.why);
    }
    let log = &diff.commitlog;
    if log.lag_bytes == 0 || diff.relation.kind == "before-after" {
        return;
    }
    let others = limits.max_lag_messages.is_some() || limits.max_lag_ms.is_some();
    if limits.max_lag_bytes.map_or(!others, |limit| log.lag_bytes > limit) {
        let short = if log.ahead == Ahead::A { Which::B } else { Which::A };
        let message = format!("{short} is behind by {} bytes, by what the archive's manifest says", log.lag_bytes);
        report.push(Finding::warning("pair.behind", Location::path("commitlog").spanning(log.lag_bytes), message));
    } else if others {
        report.skip("lag in messages and time", "an archive does not hold the log");
    }
}

/// What a comparison means for the exit code.
fn exit(diff: &DiffReport) -> Exit {
    let report = &diff.report;
    match diff.outcome() {
        Outcome::Clean => Exit::fine("the sides are within the limits"),
        Outcome::Found if (diff.moved.a || diff.moved.b) && only_by_moving(diff) => Exit::no_verdict(format!(
            "{} went on while it was read, and may only look as if it differed",
            moved(diff.moved)
        )),
        Outcome::Found => {
            let found = count(report.counts().at_least(Severity::Warning), "finding", "findings");
            Exit::differs(format!("{found}; the worst: {}", worst_in_words(report)))
        }
        Outcome::NoVerdict => {
            Exit::no_verdict(first_skipped(report).unwrap_or_else(|| "there was nothing to compare".to_owned()))
        }
    }
}

fn only_by_moving(diff: &DiffReport) -> bool {
    let mut counting = diff.report.findings().iter().filter(|finding| finding.severity >= Severity::Warning);
    counting.all(|finding| OF_MOVING_SIDES.contains(&finding.id))
}

fn moved(moved: Moved) -> &'static str {
    match (moved.a, moved.b) {
        (true, true) => "each side",
        (true, false) => "a",
        _ => "b",
    }
}

/// The document. NDJSON has the findings on lines of their own before it.
#[derive(Debug, Serialize)]
struct DiffJson<'a> {
    relation: &'a RelationFound,
    verdict: &'a str,
    commitlog: &'a LogDiff,
    queues: &'a [QueueDiff],
    compared_units: u64,
    consumer_offsets: &'a [OffsetDiff],
    compared_offsets: u64,
    delay_offsets: &'a [DelayDiff],
    #[serde(skip_serializing_if = "Option::is_none")]
    timer: Option<&'a TimerDiff>,
    config: &'a [ConfigDiff],
    moved: Moved,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_offsets: Option<&'a MergeJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    findings: Option<&'a [Finding]>,
    counts: Counts,
    suppressed: &'a BTreeMap<&'static str, u64>,
    coverage: &'a Coverage,
}

impl<'a> DiffJson<'a> {
    fn new(diff: &'a DiffReport, with_findings: bool, merged_offsets: Option<&'a MergeJson>) -> Self {
        Self {
            relation: &diff.relation,
            verdict: &diff.verdict,
            commitlog: &diff.commitlog,
            queues: &diff.queues,
            compared_units: diff.compared_units,
            consumer_offsets: &diff.consumer_offsets,
            compared_offsets: diff.compared_offsets,
            delay_offsets: &diff.delay_offsets,
            timer: diff.timer.as_ref(),
            config: &diff.config,
            moved: diff.moved,
            merged_offsets,
            findings: with_findings.then(|| diff.report.findings()),
            counts: diff.report.counts(),
            suppressed: diff.report.suppressed(),
            coverage: &diff.report.coverage,
        }
    }
}

/// The name of a file without its folders.
fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.display().to_string())
}

#[cfg(test)]
mod tests {
    use mqstore_check::diff::{DiffOptions, Relation, Side, diff};
    use mqstore_core::progress::NoProgress;
    use mqstore_core::store::{Store, StoreOptions};
    use mqstore_testkit::{Message, StoreBuilder};

    use super::*;

    /// The comparison of two logs of so many records, the first `same` of which are the same.
    fn compared((a, b): (u64, u64), same: u64) -> DiffReport {
        let dir = tempfile::tempdir().unwrap();
        let stores = [("a", a, 0), ("b", b, 1)].map(|(name, records, other)| {
            let root = dir.path().join(name);
            let mut writer = StoreBuilder::new(&root).start();
            for n in 0..records {
                let body = [u8::try_from(n).unwrap(), if n < same { 0 } else { other }];
                writer.put(&Message::new("T", 0).at(1_700_000_000_000).body(body));
            }
            writer.finish();
            Store::open(root, StoreOptions::default()).unwrap()
        });
        let mut options = DiffOptions::default();
        options.relation = Relation::MasterSlave;
        let [a, b] = &stores;
        diff(&Side::store(a), &Side::store(b), &options, &NoProgress).unwrap()
    }

    #[test]
    fn a_side_that_went_on_excuses_what_it_may_only_look_like_and_nothing_else() {
        let code = |mut report: DiffReport, moved: Moved| {
            report.moved = moved;
            serde_json::to_value(exit(&report)).unwrap()["code"].clone()
        };
        let (none, b) = (Moved::default(), Moved { a: false, b: true });
        assert_eq!(code(compared((5, 7), 9), none), 1, "a slave ahead of its master");
        assert_eq!(code(compared((5, 7), 9), b), 3, "it may have been read later");
        assert_eq!(code(compared((5, 7), 3), b), 1, "but logs that part have parted");
        assert_eq!(code(compared((7, 5), 9), b), 1, "and a slave that is behind is behind");
        assert_eq!(code(compared((5, 5), 9), b), 0);
    }
}
