//! Findings in text, worst first, and the report around them.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use mqstore_check::{Finding, Location, Outcome, Report, Severity};
use serde::Serialize;

use crate::output::Output;
use crate::output::human::{Columns, Paint, count, number, plain, size};

/// Findings of one id that are shown with their places unless more is asked for.
const SHOWN: usize = 3;

pub(crate) fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

pub(crate) fn painted(paint: Paint, severity: Severity) -> String {
    match severity {
        Severity::Error => paint.bad("error"),
        Severity::Warning => paint.warn("warning"),
        Severity::Info => paint.dim("info"),
    }
}

/// A finding on one line: where, what, expected and found.
pub(crate) fn in_words(finding: &Finding) -> String {
    let place = place(&finding.location).map(|place| format!("{place}: ")).unwrap_or_default();
    let values = match (&finding.expected, &finding.actual) {
        (Some(expected), Some(actual)) => format!(" (expected {}, found {})", plain(expected), plain(actual)),
        (None, Some(actual)) => format!(" (found {})", plain(actual)),
        _ => String::new(),
    };
    format!("{place}{}{values}", plain(&finding.message))
}

/// What a comparison fails for, on one line. Of equally bad findings the first: the log comes before what is derived from it.
pub(crate) fn worst_in_words(report: &Report) -> String {
    let counting = report.findings().iter().filter(|finding| finding.severity >= Severity::Warning);
    counting.rev().max_by_key(|finding| finding.severity).map(in_words).unwrap_or_default()
}

/// The first thing that was not looked at although nobody asked for that, with the reason.
pub(crate) fn first_skipped(report: &Report) -> Option<String> {
    let skipped = report.coverage.skipped.iter().find(|skipped| !skipped.asked)?;
    Some(format!("{}: {}", skipped.what, skipped.why))
}

/// The document of a report that was not streamed: its findings before what a command sums up.
#[derive(Debug, Serialize)]
pub(crate) struct WithFindings<'a, S> {
    pub(crate) findings: &'a [Finding],
    #[serde(flatten)]
    pub(crate) summary: &'a S,
}

fn place(location: &Location) -> Option<String> {
    let mut parts = Vec::new();
    parts.extend(location.path.as_deref().map(|path| plain(path).into_owned()));
    if let Some(topic) = &location.topic {
        let queue = location.queue_id.map(|queue| format!("/{queue}")).unwrap_or_default();
        let unit = location.queue_offset.map(|unit| format!("@{unit}")).unwrap_or_default();
        // A path into the queue's folder says it already.
        if location.path.as_deref().is_none_or(|path| !path.contains(topic.as_str())) || !unit.is_empty() {
            parts.push(format!("{}{queue}{unit}", plain(topic)));
        }
    }
    parts.extend(location.group.as_deref().map(|group| format!("group {}", plain(group))));
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// Verdict, coverage, findings worst first, and what was not looked at.
pub(crate) fn print_report(
    out: &mut Output,
    paint: Paint,
    path: &Path,
    report: &Report,
    (fail_on, verbose): (Severity, bool),
) -> io::Result<()> {
    let (coverage, counts) = (&report.coverage, report.counts());
    let verdict = match report.outcome(fail_on) {
        _ if coverage.interrupted => paint.warn("interrupted"),
        Outcome::Clean if counts.error + counts.warning > 0 => paint.warn("no damage beyond what was allowed"),
        Outcome::Clean => paint.good("sound"),
        Outcome::Found if counts.error > 0 => paint.bad("damaged"),
        Outcome::Found => paint.warn("not as it should be"),
        Outcome::NoVerdict => paint.warn("no verdict"),
    };
    let level = coverage.level.map(|level| format!(" at level {level}")).unwrap_or_default();
    writeln!(out, "{}: {verdict}{level}", paint.bold(path.display()))?;
    let mut looked = format!(
        "{} of {} files, {}",
        number(coverage.files.seen),
        number(coverage.files.total),
        size(coverage.bytes.seen)
    );
    if let Some(records) = coverage.records {
        looked.push_str(", ");
        looked.push_str(&count(records, "record", "records"));
    }
    writeln!(out, "{}", paint.dim(format_args!("looked at {looked}")))?;
    writeln!(
        out,
        "{}",
        paint.dim(format_args!(
            "{}, {}, {}",
            count(counts.error, "error", "errors"),
            count(counts.warning, "warning", "warnings"),
            count(counts.info, "remark", "remarks")
        ))
    )?;

    print_findings(out, paint, report, (Severity::Info, if verbose { usize::MAX } else { SHOWN }))
}

/// The table of all findings, of each id from the severity `from` on the first `shown`, and what was not looked at.
pub(crate) fn print_findings(
    out: &mut Output,
    paint: Paint,
    report: &Report,
    (from, shown): (Severity, usize),
) -> io::Result<()> {
    let mut by_id: BTreeMap<(std::cmp::Reverse<Severity>, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings() {
        by_id.entry((std::cmp::Reverse(finding.severity), finding.id)).or_default().push(finding);
    }
    if by_id.len() > 1 || by_id.keys().any(|(severity, _)| severity.0 < from) {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &["SEVERITY", "CHECK", ">FINDINGS"]);
        for ((severity, id), findings) in &by_id {
            let n = findings.len() as u64 + report.suppressed().get(id).copied().unwrap_or(0);
            columns.row([painted(paint, severity.0), (*id).to_owned(), number(n)]);
        }
        columns.print(out)?;
    }
    for ((severity, id), findings) in by_id.iter().filter(|((severity, _), _)| severity.0 >= from) {
        writeln!(out, "\n{} {}", painted(paint, severity.0), paint.bold(id))?;
        for finding in findings.iter().take(shown) {
            writeln!(out, "  {}", in_words(finding))?;
        }
        let more = (findings.len().saturating_sub(shown)) as u64 + report.suppressed().get(id).copied().unwrap_or(0);
        if more > 0 {
            writeln!(out, "  {}", paint.dim(format_args!("and {} more", number(more))))?;
        }
        if let Some(finding) = findings.first() {
            if let Some(consequence) = &finding.consequence {
                writeln!(out, "  {} {}", paint.dim("what follows:"), plain(consequence))?;
            }
            if let Some(suggestion) = &finding.suggestion {
                let mark = if suggestion.destructive { " (destructive)" } else { "" };
                writeln!(out, "  {} {}{mark}", paint.dim("what to do:"), plain(&suggestion.summary))?;
            }
        }
    }
    let skipped = &report.coverage.skipped;
    if !skipped.is_empty() {
        writeln!(out, "\n{}", paint.bold("not looked at"))?;
        for skipped in skipped {
            writeln!(out, "  {}: {}", plain(&skipped.what), plain(&skipped.why))?;
        }
    }
    Ok(())
}
