//! `backup list` and `backup show`.

use std::io::Write as _;

use mqstore_backup::manifest::Since;
use mqstore_backup::{BackupError, Listed, Manifest};
use serde::Serialize;

use super::{ChainJson, broker_in_words, chain_of, print_classes, print_gaps, print_manifest, require_archive};
use crate::args::{ListArgs, ShowArgs};
use crate::commands::Context;
use crate::exit::{Exit, chain as causes, hinted};
use crate::output::human::{Columns, count, field, number, plain, size};
use crate::output::json::{self, TargetJson, text};

#[derive(Debug, Serialize)]
struct ListedJson {
    archive: String,
    archive_length: u64,
    #[serde(flatten)]
    backup: Option<BackupJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<ChainJson>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Since>,
}

impl ListedJson {
    fn new(listed: &Listed, chain: Option<ChainJson>) -> Self {
        let backup = listed.manifest.as_ref().ok().map(|manifest| BackupJson {
            backup_id: manifest.backup_id.clone(),
            created_at: manifest.created_at.clone(),
            capture: manifest.capture,
            broker: manifest.broker.clone(),
            commitlog: manifest.positions.commitlog.clone(),
            files: manifest.files.len(),
            gaps: manifest.gaps.len(),
            since: manifest.since.clone(),
        });
        let error = listed.manifest.as_ref().err().map(|error| causes(error));
        Self { archive: text(&listed.path), archive_length: listed.length, backup, chain, error }
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
    let mut chains = Vec::new();
    for archive in &listed {
        let problem = |error: &BackupError| format!("{}: {}", archive.path.display(), causes(error));
        match &archive.manifest {
            Ok(manifest) => {
                chains.push(chain_of(context, &archive.path, manifest, &args.chain, &mut exit)?);
                continue;
            }
            Err(error @ BackupError::Damaged { .. }) => exit = exit.and(Exit::found(problem(error))),
            Err(error) => exit = exit.and(Exit::no_verdict(problem(error))),
        }
        chains.push(None);
    }
    if listed.is_empty() {
        exit = Exit::no_verdict(format!("there is no archive (*.tar.zst) in {}", args.dir.display()));
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if !is_text {
        let backups = listed.iter().zip(chains).map(|(listed, chain)| ListedJson::new(listed, chain));
        let body = Body { backups: backups.collect() };
        json::document(out, ndjson, ("mqstore.backup.list", &TargetJson::dir(&args.dir)), &body, &exit)?;
        return Ok(exit);
    }
    writeln!(out, "{}", paint.bold(count(listed.len() as u64, "archive", "archives")))?;
    if listed.is_empty() {
        return Ok(exit);
    }
    writeln!(out)?;
    let mut heads = vec!["CREATED", ">SIZE", ">FILES", ">LOG END", ">GAPS", "ARCHIVE"];
    // Only where there is an incremental one.
    let with_needs = chains.iter().any(Option::is_some);
    heads.extend(with_needs.then_some("NEEDS"));
    heads.push("OF");
    let mut columns = Columns::new(paint, &heads);
    for (archive, chain) in listed.iter().zip(&chains) {
        let name = archive.path.file_name().unwrap_or_default().to_string_lossy();
        let length = size(archive.length);
        let name = plain(&name).into_owned();
        match &archive.manifest {
            Ok(manifest) => {
                let needs = with_needs.then(|| chain.as_ref().map_or_else(|| "-".to_owned(), needs));
                columns.row(row(manifest, length, name, needs));
            }
            Err(error) => {
                let none = || "-".to_owned();
                let cells = [none(), length, none(), none(), none(), name].into_iter();
                columns.row(cells.chain(with_needs.then(none)).chain([causes(error)]));
            }
        }
    }
    columns.print(out)?;
    Ok(exit)
}

/// The earlier archives that an incremental one needs, as the table has them.
fn needs(chain: &ChainJson) -> String {
    let all = count((chain.found.len() + chain.missing.len()) as u64, "archive", "archives");
    if chain.complete { all } else { format!("{all}, {} missing", chain.missing.len()) }
}

fn row(manifest: &Manifest, length: String, name: String, needs: Option<String>) -> Vec<String> {
    let end = manifest.positions.commitlog.as_ref().map_or_else(|| "-".to_owned(), |log| number(log.max_offset));
    let (files, gaps) = (number(manifest.files.len()), number(manifest.gaps.len()));
    let cells = [plain(&manifest.created_at).into_owned(), length, files, end, gaps, name];
    cells.into_iter().chain(needs).chain([broker_in_words(manifest)]).collect()
}

pub(crate) fn show(context: &mut Context, args: &ShowArgs) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body<'a> {
        manifest: &'a Manifest,
        #[serde(skip_serializing_if = "Option::is_none")]
        chain: Option<ChainJson>,
    }
    require_archive(&args.archive)?;
    if let Some(name) = &args.file {
        return content(context, args, name);
    }
    let bar = context.bar("reading the manifest");
    let manifest = mqstore_backup::show(&args.archive, &bar)?;
    drop(bar);
    let mut exit = Exit::clean();
    let chain = chain_of(context, &args.archive, &manifest, &args.chain, &mut exit)?;
    let (paint, is_text, ndjson, verbose) =
        (context.paint, context.is_text(), context.is_ndjson(), context.args.verbose);
    let out = context.out(&[])?;
    if !is_text {
        let target = TargetJson::archive(&args.archive);
        json::document(out, ndjson, ("mqstore.backup.show", &target), &Body { manifest: &manifest, chain }, &exit)?;
        return Ok(exit);
    }
    print_manifest(out, paint, &manifest)?;
    for missing in chain.iter().flat_map(|chain| &chain.missing) {
        let text = format!("{} ({}), looked in {}", missing.archive, missing.backup_id, missing.looked_in.join(", "));
        field(out, paint, "missing", paint.bad(plain(&text)))?;
    }
    writeln!(out)?;
    let files = manifest.files.iter();
    print_classes(out, paint, files.map(|file| (file.class, file.length, Some(file.stored_length))))?;
    if verbose {
        writeln!(out)?;
        for file in &manifest.files {
            let held_in = file.held_in.as_ref().map(|id| format!("  in {id}")).unwrap_or_default();
            writeln!(out, "{:>14}  {}  {}{}", file.length, file.sha256, plain(&file.path), plain(&held_in))?;
        }
    }
    print_gaps(out, paint, &manifest.gaps)?;
    writeln!(out, "\n{}", paint.dim(format_args!("next: mqstore backup verify {}", args.archive.display())))?;
    Ok(exit)
}

/// Writes one file of the archive; with `--output` it gets its name only if it is right.
fn content(context: &mut Context, args: &ShowArgs, name: &str) -> anyhow::Result<Exit> {
    if !context.is_text() {
        return Err(hinted("the content of a file has no other form", "leave --format out"));
    }
    let bar = context.bar("reading the file");
    let extracted = mqstore_backup::extract(&args.archive, name, &args.chain.folders, context.out(&[])?, &bar);
    match extracted {
        Ok(_) => Ok(Exit::clean()),
        Err(error @ BackupError::Unusable { .. }) => {
            let hint = format!("mqstore backup show -v {} lists the files", args.archive.display());
            Err(hinted(error.to_string(), hint))
        }
        // A reader that went away is no problem of the archive.
        Err(BackupError::Write(error)) => Err(error.into()),
        Err(error) => Err(error.into()),
    }
}
