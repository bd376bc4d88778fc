//! `verify`.

mod junit;

use std::path::Path;
use std::time::SystemTime;

use mqstore_backup::{BackupError, MissingArchive};
use mqstore_check::verify::{ALL_CHECKS, Check, VerifyOptions, verify};
use mqstore_check::{Counts, Coverage, Outcome, Report, Severity};
use mqstore_core::store::{Store, StoreOptions, read_instead_of_mapping};
use serde::Serialize;

use super::backup::verify::exit as archive_exit;
use super::findings::{self, WithFindings};
use super::{Context, Target, Unpacked, refuse_inside};
use crate::args::{IoArg, StoreArgs, VerifyStoreArgs};
use crate::exit::Exit;
use crate::output::also;
use crate::output::human::{Columns, count};
use crate::output::json::{self, Stream, TargetJson, text};

pub(crate) fn run(context: &mut Context, args: &VerifyStoreArgs) -> anyhow::Result<Exit> {
    if args.list_checks {
        return list_checks(context);
    }
    if args.io == IoArg::Read {
        read_instead_of_mapping();
    }
    match &args.store {
        Some(path) if path.is_file() => verify_archive(context, args, path),
        _ => {
            let place = StoreArgs { store: args.store.clone(), place: args.place.clone() };
            let target = Target::open_quietly(context, &place)?;
            if target.live {
                context.note("a broker runs on this store: it is verified up to where it stood at the start");
            }
            let root = target.root().to_path_buf();
            verify_store(
                context,
                args,
                &target.store,
                (&root, &TargetJson::store(&root)),
                &options(args),
                Exit::clean(),
            )
        }
    }
}

fn options(args: &VerifyStoreArgs) -> VerifyOptions {
    let what = &args.what;
    let random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let mut options = VerifyOptions::default();
    options.level = what.level.into();
    options.only.clone_from(&what.only);
    options.skip.clone_from(&what.skip);
    options.sample = what.sample(random);
    options.since = what.since;
    options.max_bytes = what.max_bytes;
    options.cap = what.max_findings;
    options.exit_on_error = what.exit_on_error;
    options.jobs = super::jobs(args.jobs);
    options
}

/// The archive's bytes first, then the files in it as a store without commit log, in a folder that goes away again.
fn verify_archive(context: &mut Context, args: &VerifyStoreArgs, archive: &Path) -> anyhow::Result<Exit> {
    let target = TargetJson::archive(archive);
    let unpacked = match Unpacked::new(context, archive, &args.chain.folders) {
        Ok(unpacked) => unpacked,
        Err(error) => {
            let report = match error.downcast_ref() {
                Some(BackupError::Damaged { report }) => (**report).clone(),
                Some(BackupError::MissingArchives { missing }) => without(missing),
                _ => return Err(error),
            };
            let exit = archive_exit(&report);
            show(context, args, (archive, &target), &report, &exit)?;
            write_beside(context, args, (archive, &target), (&report, None, None), &exit)?;
            return Ok(exit);
        }
    };
    let mut options = options(args);
    options.without_commitlog = true;
    let store = Store::open(unpacked.root(), StoreOptions::default())?;
    let gaps = match unpacked.manifest.gaps.len() as u64 {
        0 => Exit::clean(),
        n => Exit::no_verdict(format!("the archive has {}", count(n, "gap", "gaps"))),
    };
    verify_store(context, args, &store, (archive, &target), &options, gaps)
}

/// What there is to say of an incremental archive that is not whole: which are missing.
fn without(missing: &[MissingArchive]) -> Report {
    let mut report = Report::new();
    for one in missing {
        report.skip(one.name(), one.problem());
    }
    report
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    counts: Counts,
    suppressed: &'a std::collections::BTreeMap<&'static str, u64>,
    coverage: &'a Coverage,
    #[serde(skip_serializing_if = "Option::is_none")]
    sample_seed: Option<u64>,
}

impl<'a> Summary<'a> {
    fn of(report: &'a Report, sample_seed: Option<u64>) -> Self {
        let (counts, suppressed, coverage) = (report.counts(), report.suppressed(), &report.coverage);
        Self { counts, suppressed, coverage, sample_seed }
    }
}

fn verify_store(
    context: &mut Context,
    args: &VerifyStoreArgs,
    store: &Store,
    (path, target): (&Path, &TargetJson),
    options: &VerifyOptions,
    also: Exit,
) -> anyhow::Result<Exit> {
    if let Some(file) = &args.junit {
        // Before the work, not behind it.
        refuse_inside(file, &[path])?;
    }
    let seed = options.sample.map(|sample| sample.seed);
    let bar = context.bar("verifying");
    let (report, exit) = if context.is_text() {
        let report = verify(store, options, &bar, &mut |_| {})?;
        drop(bar);
        let exit = exit(&report, args.fail_on.into()).and(also);
        show(context, args, (path, target), &report, &exit)?;
        if let Some(seed) = seed {
            context.note(&format!("--seed {seed} draws the same sample again"));
        }
        (report, exit)
    } else {
        let ndjson = context.is_ndjson();
        let out = context.out(&[path])?;
        let mut stream = Stream::begin(out, ndjson, ("mqstore.verify", target), "findings")?;
        let mut failed = None;
        let report = verify(store, options, &bar, &mut |finding| {
            if failed.is_none() {
                failed = stream.element(out, finding).err();
            }
        })?;
        drop(bar);
        if let Some(error) = failed {
            return Err(error.into());
        }
        let exit = exit(&report, args.fail_on.into()).and(also);
        stream.end(out, &Summary::of(&report, seed), &exit)?;
        (report, exit)
    };
    write_beside(context, args, (path, target), (&report, seed, Some(store)), &exit)?;
    Ok(exit)
}

/// What a report means for the exit code.
fn exit(report: &Report, fail_on: Severity) -> Exit {
    if report.coverage.interrupted {
        return Exit::interrupted();
    }
    match report.outcome(fail_on) {
        Outcome::Clean => Exit::clean(),
        Outcome::Found => {
            let found = count(report.counts().at_least(fail_on), "finding", "findings");
            let worst = report.findings().iter().max_by_key(|finding| finding.severity);
            let worst = worst.map(findings::in_words).unwrap_or_default();
            Exit::found(format!("{found}; the worst: {worst}"))
        }
        Outcome::NoVerdict => {
            let skipped = findings::first_skipped(report);
            Exit::no_verdict(skipped.unwrap_or_else(|| "there was nothing to look at".to_owned()))
        }
    }
}

/// A report that is complete, in the form that was asked for.
fn show(
    context: &mut Context,
    args: &VerifyStoreArgs,
    (path, target): (&Path, &TargetJson),
    report: &Report,
    exit: &Exit,
) -> anyhow::Result<()> {
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let verbose = context.args.verbose;
    let out = context.out(&[path])?;
    if is_text {
        return Ok(findings::print_report(out, paint, path, report, (args.fail_on.into(), verbose))?);
    }
    let mut stream = Stream::begin(out, ndjson, ("mqstore.verify", target), "findings")?;
    for finding in report.findings() {
        stream.element(out, finding)?;
    }
    stream.end(out, &Summary::of(report, None), exit)
}

/// The files of `--junit` and `--textfile`.
fn write_beside(
    context: &Context,
    args: &VerifyStoreArgs,
    (path, target): (&Path, &TargetJson),
    (report, seed, store): (&Report, Option<u64>, Option<&Store>),
    exit: &Exit,
) -> anyhow::Result<()> {
    let whole = WithFindings { findings: report.findings(), summary: &Summary::of(report, seed) };
    also::write(context, &args.also, (&[path], store), ("mqstore.verify", target), &whole, exit)?;
    let Some(file) = &args.junit else { return Ok(()) };
    refuse_inside(file, &[path])?;
    let mut out = crate::output::Output::open(Some(file), false)?;
    junit::write(&mut out, &text(path), report, context.elapsed())?;
    out.commit()
}

fn list_checks(context: &mut Context) -> anyhow::Result<Exit> {
    #[derive(Serialize)]
    struct CheckJson {
        id: &'static str,
        severity: Severity,
        level: &'static str,
        title: &'static str,
    }
    let exit = Exit::clean();
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    let row = |check: &Check| CheckJson {
        id: check.id,
        severity: check.severity,
        level: check.level.as_str(),
        title: check.title,
    };
    if is_text {
        let mut columns = Columns::new(paint, &["ID", "SEVERITY", "LEVEL", "WHAT"]);
        for check in ALL_CHECKS {
            let severity = findings::severity_word(check.severity).to_owned();
            columns.row([check.id.to_owned(), severity, check.level.as_str().to_owned(), check.title.to_owned()]);
        }
        columns.print(out)?;
        return Ok(exit);
    }
    let mut stream = Stream::begin(out, ndjson, ("mqstore.checks", &TargetJson::default()), "checks")?;
    for check in ALL_CHECKS {
        stream.element(out, &row(check))?;
    }
    stream.end(out, &json::Empty {}, &exit)?;
    Ok(exit)
}
