//! `backup list` and `backup show`.

use std::io::Write as _;

use mqstore_backup::{BackupError, Listed, Manifest};
use serde::Serialize;

use super::{broker_in_words, print_classes, print_gaps, print_manifest, require_archive};
use crate::args::{ListArgs, ShowArgs};
use crate::commands::Context;
use crate::exit::{Exit, chain};
use crate::output::human::{Columns, count, number, plain, size};
use crate::output::json::{self, TargetJson, text};

#[derive(Debug, Serialize)]
struct ListedJson {
    archive: String,
    archive_length: u64,
    #[serde(flatten)]
    backup: Option<BackupJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The part of a manifest that tells archives apart.
#[derive(Debug, Serialize)]
struct BackupJson {
    backup_id: String,
    created_at: String,
    capture: mqstore_backup::manifest::Capture,
    broker: mqstore_backup::manifest::Broker,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitlog: Option<mqstore_backup::manifest::CommitLogPositions>,
    files: usize,
    gaps: usize,
}

impl ListedJson {
    fn new(listed: &Listed) -> Self {
        let backup = listed.manifest.as_ref().ok().map(|manifest| BackupJson {
            backup_id: manifest.backup_id.clone(),
            created_at: manifest.created_at.clone(),
            capture: manifest.capture,
            broker: manifest.broker.clone(),
            commitlog: manifest.positions.commitlog.clone(),
            files: manifest.files.len(),
            gaps: manifest.gaps.len(),
        });
        let error = listed.manifest.as_ref().err().map(|error| chain(error));
        Self { archive: text(&listed.path), archive_length: listed.length, backup, error }
    }
}

pub(crate) fn list(context: &mut Context, args: &ListArgs) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        backups: Vec<ListedJson>,
    }
    let bar = context.bar("reading manifests");
    let listed = mqstore_backup::list(&args.dir, &bar)?;
    drop(bar);
    let mut exit = Exit::clean();
    for archive in &listed {
        let problem = |error: &BackupError| format!("{}: {}", archive.path.display(), chain(error));
        match &archive.manifest {
            Ok(_) => {}
            Err(error @ BackupError::Damaged { .. }) => exit = exit.and(Exit::found(problem(error))),
            Err(error) => exit = exit.and(Exit::no_verdict(problem(error))),
        }
    }
    if listed.is_empty() {
        exit = Exit::no_verdict(format!("there is no archive (*.tar.zst) in {}", args.dir.display()));
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if !is_text {
        let body = Body { backups: listed.iter().map(ListedJson::new).collect() };
        json::document(out, ndjson, ("mqstore.backup.list", &TargetJson::dir(&args.dir)), &body, &exit)?;
        return Ok(exit);
    }
    writeln!(out, "{}", paint.bold(count(listed.len() as u64, "archive", "archives")))?;
    if listed.is_empty() {
        return Ok(exit);
    }
    writeln!(out)?;
    let mut columns = Columns::new(paint, &["CREATED", ">SIZE", ">FILES", ">LOG END", ">GAPS", "ARCHIVE", "OF"]);
    for archive in &listed {
        let name = archive.path.file_name().unwrap_or_default().to_string_lossy();
        let length = size(archive.length);
        let name = plain(&name).into_owned();
        match &archive.manifest {
            Ok(manifest) => columns.row(row(manifest, length, name)),
            Err(error) => {
                let none = || "-".to_owned();
                columns.row([none(), length, none(), none(), none(), name, chain(error)]);
            }
        }
    }
    columns.print(out)?;
    Ok(exit)
}

fn row(manifest: &Manifest, length: String, name: String) -> [String; 7] {
    let end = manifest.positions.commitlog.as_ref().map_or_else(|| "-".to_owned(), |log| number(log.max_offset));
    let (files, gaps) = (number(manifest.files.len()), number(manifest.gaps.len()));
    [plain(&manifest.created_at).into_owned(), length, files, end, gaps, name, broker_in_words(manifest)]
}

pub(crate) fn show(context: &mut Context, args: &ShowArgs) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body<'a> {
        manifest: &'a Manifest,
    }
    require_archive(&args.archive)?;
    let bar = context.bar("reading the manifest");
    let manifest = mqstore_backup::show(&args.archive, &bar)?;
    drop(bar);
    let exit = Exit::clean();
    let (paint, is_text, ndjson, verbose) =
        (context.paint, context.is_text(), context.is_ndjson(), context.args.verbose);
    let out = context.out(&[])?;
    if !is_text {
        let target = TargetJson::archive(&args.archive);
        json::document(out, ndjson, ("mqstore.backup.show", &target), &Body { manifest: &manifest }, &exit)?;
        return Ok(exit);
    }
    print_manifest(out, paint, &manifest)?;
    writeln!(out)?;
    let files = manifest.files.iter();
    print_classes(out, paint, files.map(|file| (file.class, file.length, Some(file.stored_length))))?;
    if verbose {
        writeln!(out)?;
        for file in &manifest.files {
            writeln!(out, "{:>14}  {}  {}", file.length, file.sha256, plain(&file.path))?;
        }
    }
    print_gaps(out, paint, &manifest.gaps)?;
    writeln!(out, "\n{}", paint.dim(format_args!("next: mqstore backup verify {}", args.archive.display())))?;
    Ok(exit)
}
