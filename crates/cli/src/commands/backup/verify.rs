//! `backup verify`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mqstore_backup::Manifest;
use mqstore_backup::log_identity::{self, LogMatch};
use mqstore_backup::manifest::OffsetRange;
use mqstore_check::verify::{Level, VerifyOptions, verify as check_store};
use mqstore_check::{Counts, Coverage, Finding, Location, Outcome, Report, Severity, Skipped};
use mqstore_core::store::{Store, StoreOptions};
use serde::Serialize;

use super::{broker_in_words, needs_in_words, print_gaps, require_archive};
use crate::args::VerifyArgs;
use crate::commands::findings::{WithFindings, in_words, painted};
use crate::commands::{Context, Unpacked};
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

pub(crate) fn run(context: &mut Context, args: &VerifyArgs) -> anyhow::Result<Exit> {
    require_archive(&args.archive)?;
    let bar = context.bar("verifying");
    let verified = if args.archive == Path::new("-") {
        mqstore_backup::verify(io::stdin().lock(), &bar)?
    } else {
        mqstore_backup::verify_chain(&args.archive, &args.chain.folders, &bar)?
    };
    drop(bar);
    let mut report = verified.report;
    let manifest = verified.manifest;
    if let (Some(store), Some(manifest)) = (&args.store, &manifest) {
        beside(store, &args.commitlog, manifest, &mut report)?;
    }
    let is_stream = args.archive == Path::new("-");
    if !args.bytes_only && report.counts().error == 0 {
        match &manifest {
            // Without all of its files it is no store.
            Some(manifest) if manifest.since.is_some() && !is_stream && !report.coverage.skipped.is_empty() => {
                report.skip("content", "is unpacked only if every earlier archive that holds a part of it is there");
            }
            _ => content(context, args, &mut report)?,
        }
    }
    let verified = Checked { report, manifest };
    let report = &verified.report;
    let exit = exit(report);
    let target = TargetJson::archive(&args.archive);
    let summary = Summary {
        backup_id: verified.manifest.as_ref().map(|manifest| manifest.backup_id.as_str()),
        counts: report.counts(),
        suppressed: report.suppressed(),
        coverage: &report.coverage,
    };
    let whole = WithFindings { findings: report.findings(), summary: &summary };
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

/// Whether an error is about the bytes of the archive, not about what they say or the log beside.
fn has_damaged_bytes(report: &Report) -> bool {
    let of_the_log = ["backup.other-log", "backup.log-not-covering"];
    let mut errors = report.findings().iter().filter(|finding| finding.severity == Severity::Error);
    errors.any(|error| error.id.starts_with("backup.") && !of_the_log.contains(&error.id))
}

/// The report over bytes, content and log.
#[derive(Debug)]
struct Checked {
    report: Report,
    manifest: Option<Manifest>,
}

/// Whether the log beside a store is the one that the backup needs.
fn beside(store: &Path, commitlog: &[PathBuf], manifest: &Manifest, report: &mut Report) -> anyhow::Result<()> {
    let Some(positions) = &manifest.positions.commitlog else {
        report.skip("commitlog", "the manifest does not say where the log stood");
        return Ok(());
    };
    let mut options = StoreOptions::default();
    options.commitlog_dirs = commitlog.to_vec();
    let store = Store::open(store, options)?;
    let place = || Location::path("commitlog");
    let words = |range: OffsetRange| format!("{} to {}", range.from, range.to);
    match log_identity::compare(positions, store.commitlog(), None)? {
        LogMatch::Same => {}
        LogMatch::Differs(range) => {
            let message =
                format!("the log is another one than that of the backup: its bytes from {} differ", words(range));
            report.push(Finding::error("backup.other-log", place().at(range.from), message));
        }
        LogMatch::NotCovering { needs, has } => {
            let message = "the log does not reach over what the archived queues point to";
            report.push(Finding::error("backup.log-not-covering", place(), message).values(words(needs), words(has)));
        }
        _ => report.skip(
            "commitlog",
            "whether it is the log of the backup cannot be told: what the manifest has a digest of has expired",
        ),
    }
    Ok(())
}

/// The content as a store without commit log; its findings are added to the report.
fn content(context: &Context, args: &VerifyArgs, report: &mut Report) -> anyhow::Result<()> {
    if args.archive == Path::new("-") {
        // Whoever pipes an archive in asks for its bytes.
        let (what, why) = ("content".to_owned(), "an archive from standard input is not unpacked".to_owned());
        report.coverage.skipped.push(Skipped { what, why, asked: true });
        return Ok(());
    }
    let unpacked = Unpacked::new(context, &args.archive, &args.chain.folders)?;
    let store = unpacked.store()?;
    let mut options = VerifyOptions::default();
    options.level = Level::Full;
    options.without_commitlog = true;
    let bar = context.bar("verifying content");
    let inside = check_store(&store, &options, &bar, &mut |_| {})?;
    drop(bar);
    for finding in inside.findings() {
        report.push(finding.clone());
    }
    // That there is no log is no news here.
    report.coverage.skipped.extend(inside.coverage.skipped.iter().filter(|skipped| !skipped.asked).cloned());
    Ok(())
}

/// What a report means for the exit code.
pub(crate) fn exit(report: &Report) -> Exit {
    let first = || report.findings().first().map_or_else(|| "see the findings".to_owned(), in_words);
    match report.outcome(Severity::Error) {
        Outcome::Clean => Exit::clean(),
        Outcome::Found => {
            let counts = report.counts();
            let errors = count(counts.error, "finding", "findings");
            let what = if has_damaged_bytes(report) {
                "the archive is damaged"
            } else {
                "the archive is as it was made, its use is not safe"
            };
            Exit::found(format!("{what}, {errors}; the first: {}", first()))
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

fn print(out: &mut Output, paint: Paint, archive: &Path, verified: &Checked) -> io::Result<()> {
    let report = &verified.report;
    let coverage = &report.coverage;
    let files = count(coverage.files.seen, "file", "files");
    let read = format!("{files}, {} read", size(coverage.bytes.seen));
    match report.outcome(Severity::Error) {
        Outcome::Clean => writeln!(out, "{}: {}, {read}", archive.display(), paint.good("every byte is right"))?,
        Outcome::Found if has_damaged_bytes(report) => {
            writeln!(out, "{}: {}, {read}", archive.display(), paint.bad("damaged"))?;
        }
        Outcome::Found => {
            let verdict = paint.bad("every byte is right, but it does not serve");
            writeln!(out, "{}: {verdict}, {read}", archive.display())?;
        }
        Outcome::NoVerdict => writeln!(out, "{}: {}, {read}", archive.display(), paint.warn("no verdict"))?,
    }
    print_findings(out, paint, report)?;
    for skipped in &coverage.skipped {
        writeln!(out, "{} {}: {}", paint.warn("skipped"), plain(&skipped.what), plain(&skipped.why))?;
    }
    if let Some(manifest) = &verified.manifest {
        writeln!(out, "{} of {}", plain(&manifest.backup_id), broker_in_words(manifest))?;
        if let Some(since) = &manifest.since {
            let stored = count(manifest.stored_files().count() as u64, "file", "files");
            writeln!(out, "{stored} stored in it, {}", needs_in_words(&since.needs))?;
        }
        print_gaps(out, paint, &manifest.gaps)?;
        if manifest.since.is_some() && coverage.files.seen < coverage.files.total {
            let next = format!("next: mqstore backup verify {} --chain DIR", archive.display());
            writeln!(out, "\n{}", paint.dim(next))?;
        }
    }
    Ok(())
}
