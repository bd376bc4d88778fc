//! `backup restore`.

use std::io::Write as _;
use std::path::Path;

use mqstore_backup::{BackupError, Manifest, RestoreOptions, Restored, Section};
use mqstore_check::Report;
use serde::Serialize;

use super::verify::{exit as report_exit, print_findings};
use super::{gaps_exit, in_place, print_gaps, print_manifest, require_archive};
use crate::args::RestoreArgs;
use crate::commands::Context;
use crate::commands::findings::in_words;
use crate::exit::Exit;
use crate::output::human::{count, field, number, size};
use crate::output::json::{self, TargetJson, text};

#[derive(Debug, Serialize)]
struct RestoredJson<'a> {
    store: String,
    files: u64,
    bytes: u64,
    not_restored: Vec<NotRestoredJson>,
    manifest: &'a Manifest,
}

#[derive(Debug, Serialize)]
struct NotRestoredJson {
    section: &'static str,
    files: u64,
}

pub(crate) fn run(context: &mut Context, args: &RestoreArgs) -> anyhow::Result<Exit> {
    require_archive(&args.archive)?;
    if let Some(release) = &args.in_place.release {
        return in_place::run(context, args, release);
    }
    let options = RestoreOptions {
        to: args.to.clone(),
        home: args.home.clone(),
        program: args.program.clone(),
        include: args.include.clone(),
        chain: args.chain.folders.clone(),
    };
    let bar = context.bar("restoring");
    let restored = mqstore_backup::restore(&args.archive, &options, &bar);
    drop(bar);
    match restored {
        Ok(restored) => done(context, args, &restored),
        Err(BackupError::Damaged { report }) => damaged(context, &args.archive, &report),
        Err(error) => Err(error.into()),
    }
}

/// Findings that are no accident, since every frame is right: something else made the archive, or made it to do harm.
const HOSTILE: [&str; 4] = ["backup.commitlog", "backup.header", "backup.unsafe-name", "backup.unsupported-member"];

/// Says what is wrong with the archive, and that nothing was restored of it.
pub(super) fn damaged(context: &mut Context, archive: &Path, report: &Report) -> anyhow::Result<Exit> {
    let hostile = report.findings().iter().find(|finding| HOSTILE.contains(&finding.id));
    let exit = match hostile {
        Some(finding) => Exit::refused(format!("nothing was restored: {}", in_words(finding))),
        None => report_exit(report),
    };
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if is_text {
        writeln!(out, "{}: {}", archive.display(), paint.bad("damaged, nothing was restored"))?;
        print_findings(out, paint, report)?;
    } else {
        json::document(out, ndjson, ("mqstore.backup.restore", &TargetJson::archive(archive)), report, &exit)?;
    }
    Ok(exit)
}

/// Says which files of the archive have no place to go to.
pub(super) fn note_not_restored(context: &Context, not_restored: &[(Section, u64)]) {
    for (section, files) in not_restored {
        let files = count(*files, "file", "files");
        let option = match section {
            Section::Home => "home",
            Section::Program => "program",
            Section::Include => "include",
            _ => continue,
        };
        context.note(&format!("{files} of {} not restored: --{option} DIR says where to", section.prefix()));
    }
}

fn done(context: &mut Context, args: &RestoreArgs, restored: &Restored) -> anyhow::Result<Exit> {
    let manifest = &restored.manifest;
    let exit = gaps_exit(&manifest.gaps);
    note_not_restored(context, &restored.not_restored);
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[&args.to])?;
    if !is_text {
        let not_restored = restored.not_restored.iter();
        let body = RestoredJson {
            store: text(&args.to),
            files: restored.files,
            bytes: restored.bytes,
            not_restored: not_restored
                .map(|(section, files)| NotRestoredJson { section: section.prefix(), files: *files })
                .collect(),
            manifest,
        };
        let target = TargetJson::archive(&args.archive);
        json::document(out, ndjson, ("mqstore.backup.restore", &target), &body, &exit)?;
        return Ok(exit);
    }
    let files = count(restored.files, "file", "files");
    writeln!(
        out,
        "{} {files}, {}\n",
        paint.bold(format_args!("restored {}:", args.to.display())),
        size(restored.bytes)
    )?;
    print_manifest(out, paint, manifest)?;
    print_gaps(out, paint, &manifest.gaps)?;
    if let Some(required) = manifest.positions.commitlog.as_ref().and_then(|log| log.required) {
        let text = format!(
            "the commit log is not in a backup: before a broker starts here it needs {} to {} of it in place",
            number(required.from),
            number(required.to)
        );
        writeln!(out)?;
        field(out, paint, "next", paint.warn(text))?;
    }
    Ok(exit)
}
