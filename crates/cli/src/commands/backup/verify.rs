//! `backup verify`.

use std::io::{self, Write as _};
use std::path::Path;

use mqstore_backup::Verified;
use mqstore_check::{Counts, Coverage, Finding, Outcome, Report, Severity};
use serde::Serialize;

use super::{broker_in_words, print_gaps, require_archive};
use crate::args::VerifyArgs;
use crate::commands::Context;
use crate::commands::findings::{in_words, painted};
use crate::exit::Exit;
use crate::output::human::{Paint, count, plain, size};
use crate::output::json::{Stream, TargetJson};
use crate::output::{Output, also};

#[derive(Debug, Serialize)]
struct Summary<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_id: Option<&'a str>,
    counts: Counts,
    suppressed: &'a std::collections::BTreeMap<&'static str, u64>,
    coverage: &'a Coverage,
}

#[derive(Debug, Serialize)]
struct Whole<'a> {
    findings: &'a [Finding],
    #[serde(flatten)]
    summary: &'a Summary<'a>,
}

pub(crate) fn run(context: &mut Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    require_archive(&args.archive)?;
    let bar = context.bar("verifying");
    let verified = if args.archive == Path::new("-") {
        mqstore_backup::verify(io::stdin().lock(), &bar)?
    } else {
        mqstore_backup::verify_file(&args.archive, &bar)?
    };
    drop(bar);
    let report = &verified.report;
    let exit = exit(report);
    let target = TargetJson::archive(&args.archive);
    let summary = Summary {
        backup_id: verified.manifest.as_ref().map(|manifest| manifest.backup_id.as_str()),
        counts: report.counts(),
        suppressed: report.suppressed(),
        coverage: &report.coverage,
    };
    let whole = Whole { findings: report.findings(), summary: &summary };
    also::write(context, &args.also, (&[], None), ("mqstore.backup.verify", &target), &whole, &exit)?;
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if is_text {
        print(out, paint, &args.archive, &verified)?;
        return Ok(exit);
    }
    let mut stream = Stream::begin(out, ndjson, ("mqstore.backup.verify", &target), "findings")?;
    for finding in report.findings() {
        stream.element(out, finding)?;
    }
    stream.end(out, &summary, &exit)?;
    Ok(exit)
}

/// What a report means for the exit code.
pub(crate) fn exit(report: &Report) -> Exit {
    let first = || report.findings().first().map_or_else(|| "see the findings".to_owned(), in_words);
    match report.outcome(Severity::Error) {
        Outcome::Clean => Exit::clean(),
        Outcome::Found => {
            let counts = report.counts();
            let errors = count(counts.error, "finding", "findings");
            Exit::found(format!("the archive is damaged, {errors}; the first: {}", first()))
        }
        Outcome::NoVerdict => {
            let skipped = report.coverage.skipped.first().map(|skipped| format!("{}: {}", skipped.what, skipped.why));
            Exit::no_verdict(skipped.unwrap_or_else(|| "not everything was read".to_owned()))
        }
    }
}

pub(super) fn print_findings(out: &mut Output, paint: Paint, report: &Report) -> io::Result<()> {
    for finding in report.findings() {
        let severity = painted(paint, finding.severity);
        writeln!(out, "{severity} {}: {}", paint.dim(finding.id), in_words(finding))?;
    }
    for (id, n) in report.suppressed() {
        writeln!(out, "{}", paint.dim(format_args!("{id}: {n} more")))?;
    }
    Ok(())
}

fn print(out: &mut Output, paint: Paint, archive: &Path, verified: &Verified) -> io::Result<()> {
    let report = &verified.report;
    let coverage = &report.coverage;
    let files = count(coverage.files.seen, "file", "files");
    let read = format!("{files}, {} read", size(coverage.bytes.seen));
    match report.outcome(Severity::Error) {
        Outcome::Clean => writeln!(out, "{}: {}, {read}", archive.display(), paint.good("every byte is right"))?,
        Outcome::Found => writeln!(out, "{}: {}, {read}", archive.display(), paint.bad("damaged"))?,
        Outcome::NoVerdict => writeln!(out, "{}: {}, {read}", archive.display(), paint.warn("no verdict"))?,
    }
    print_findings(out, paint, report)?;
    for skipped in &coverage.skipped {
        writeln!(out, "{} {}: {}", paint.warn("skipped"), plain(&skipped.what), plain(&skipped.why))?;
    }
    if let Some(manifest) = &verified.manifest {
        writeln!(out, "{} of {}", plain(&manifest.backup_id), broker_in_words(manifest))?;
        print_gaps(out, paint, &manifest.gaps)?;
    }
    Ok(())
}
