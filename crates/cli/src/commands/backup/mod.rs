//! `backup`: plans, archives, proofs and restorations, rendered.

pub(crate) mod catalog;
pub(crate) mod create;
mod in_place;
pub(crate) mod prune;
pub(crate) mod restore;
pub(crate) mod undo;
pub(crate) mod verify;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use mqstore_backup::manifest::{EarlierArchive, FileClass, Gap, GapKind};
use mqstore_backup::{Manifest, MissingArchive};
use serde::Serialize;

use crate::args::ChainArgs;
use crate::commands::Context;
use crate::exit::{Exit, hinted};
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, field, number, plain, size};
use crate::output::json::text;

/// Gaps of a backup make it incomplete.
fn gaps_exit(gaps: &[Gap]) -> Exit {
    match gaps {
        [] => Exit::clean(),
        [gap] => Exit::no_verdict(format!("the backup has a gap: {}", gap_in_words(gap))),
        [gap, ..] => Exit::no_verdict(format!("the backup has {} gaps, the first: {}", gaps.len(), gap_in_words(gap))),
    }
}

fn gap_in_words(gap: &Gap) -> String {
    let kind = match gap.kind {
        GapKind::Changed => "changed",
        GapKind::Vanished => "vanished",
        GapKind::Unreadable => "unreadable",
        GapKind::Symlink => "symlink",
        GapKind::Special => "special",
        GapKind::Name => "name",
        _ => "other",
    };
    format!("{} ({kind}): {}", plain(&gap.path), plain(&gap.reason))
}

fn print_gaps(out: &mut Output, paint: Paint, gaps: &[Gap]) -> io::Result<()> {
    for gap in gaps {
        writeln!(out, "{} {}", paint.warn("gap:"), gap_in_words(gap))?;
    }
    Ok(())
}

/// Files and bytes of one class.
#[derive(Debug, Default)]
struct ClassTotal {
    files: u64,
    length: u64,
    stored: u64,
}

fn print_classes(
    out: &mut Output,
    paint: Paint,
    files: impl Iterator<Item = (FileClass, u64, Option<u64>)>,
) -> anyhow::Result<()> {
    let mut classes: BTreeMap<FileClass, ClassTotal> = BTreeMap::new();
    let mut with_stored = true;
    for (class, length, stored) in files {
        let total = classes.entry(class).or_default();
        total.files += 1;
        total.length += length;
        total.stored += stored.unwrap_or(0);
        with_stored &= stored.is_some();
    }
    let mut heads = vec!["CLASS", ">FILES", ">BYTES"];
    heads.extend(with_stored.then_some(">WITHOUT HOLES"));
    let mut columns = Columns::new(paint, &heads);
    for (class, total) in classes {
        // The class's name is that of the manifest.
        let class = serde_json::to_value(class)?;
        let mut cells = vec![class.as_str().unwrap_or("other").to_owned(), number(total.files), size(total.length)];
        cells.extend(with_stored.then(|| size(total.stored)));
        columns.row(cells);
    }
    Ok(columns.print(out)?)
}

/// Whose store it is, in words: `broker-a of LabCluster, 4.3.0 to 4.9.8`.
fn broker_in_words(manifest: &Manifest) -> String {
    let broker = &manifest.broker;
    let name = broker.name.as_deref().unwrap_or("a broker");
    let id = broker.id.filter(|id| *id != 0).map(|id| format!(" (id {id})")).unwrap_or_default();
    let cluster = broker.cluster.as_deref().map(|cluster| format!(" of {cluster}")).unwrap_or_default();
    plain(&format!("{name}{id}{cluster}{}", release_in_words(manifest))).into_owned()
}

fn release_in_words(manifest: &Manifest) -> String {
    let bounds = manifest.broker.release.clone().unwrap_or_default();
    match (bounds.oldest, bounds.newest) {
        (Some(oldest), Some(newest)) if oldest == newest => format!(", {oldest}"),
        (Some(oldest), Some(newest)) => format!(", {oldest} to {newest}"),
        (Some(oldest), None) => format!(", {oldest} or later"),
        (None, Some(newest)) => format!(", {newest} or earlier"),
        (None, None) => String::new(),
    }
}

/// The fields that matter about an archive, below each other.
fn print_manifest(out: &mut Output, paint: Paint, manifest: &Manifest) -> io::Result<()> {
    let capture = match manifest.capture {
        mqstore_backup::manifest::Capture::Stopped => "of a stopped broker",
        mqstore_backup::manifest::Capture::Live => "of a running broker",
    };
    field(
        out,
        paint,
        "backup",
        format_args!("{} made {}, {capture}", plain(&manifest.backup_id), plain(&manifest.created_at)),
    )?;
    field(out, paint, "of", broker_in_words(manifest))?;
    let length: u64 = manifest.files.iter().map(|file| file.length).sum();
    let stored: u64 = manifest.files.iter().map(|file| file.stored_length).sum();
    let files = count(manifest.files.len() as u64, "file", "files");
    field(out, paint, "content", format_args!("{files}, {}, {} without holes", size(length), size(stored)))?;
    if let Some(since) = &manifest.since {
        let stored = count(manifest.stored_files().count() as u64, "file", "files");
        let text = format!("{} ({})", plain(&since.archive), plain(&since.backup_id));
        field(out, paint, "since", format_args!("{text}: {stored} stored here, {}", needs_in_words(&since.needs)))?;
        if !since.needs.is_empty() {
            field(out, paint, "", paint.warn("this archive alone is not the whole: keep those, too"))?;
        }
    }
    if let Some(log) = &manifest.positions.commitlog {
        field(
            out,
            paint,
            "commitlog",
            format_args!("stood at {} to {}", number(log.min_offset), number(log.max_offset)),
        )?;
        if let Some(required) = &log.required {
            let text = format!("queues and index need {} to {} of it", number(required.from), number(required.to));
            field(out, paint, "", text)?;
        }
    }
    if manifest.positions.abort {
        field(out, paint, "state", paint.warn("not stopped cleanly"))?;
    }
    if !manifest.features.is_empty() {
        field(out, paint, "features", plain(&manifest.features.join(", ")))?;
    }
    for excluded in &manifest.excluded {
        let length: u64 = excluded.files.iter().map(|file| file.length).sum();
        let files = count(excluded.files.len() as u64, "file", "files");
        field(
            out,
            paint,
            "left out",
            format_args!("{} ({files}, {}): {}", plain(&excluded.path), size(length), plain(&excluded.reason)),
        )?;
    }
    Ok(())
}

/// The archives that hold the rest of an incremental one: `31 files are in a.tar.zst (20261125T…)`.
fn needs_in_words(needs: &[EarlierArchive]) -> String {
    let each: Vec<String> = needs
        .iter()
        .map(|earlier| {
            let files = count(earlier.files, "file is", "files are");
            format!("{files} in {} ({})", plain(&earlier.archive), plain(&earlier.backup_id))
        })
        .collect();
    if each.is_empty() { "none in an earlier one".to_owned() } else { each.join(", ") }
}

/// Where the archives are that an incremental one needs.
#[derive(Debug, Serialize)]
struct ChainJson {
    complete: bool,
    found: Vec<FoundJson>,
    missing: Vec<MissingJson>,
}

#[derive(Debug, Serialize)]
struct FoundJson {
    backup_id: String,
    archive: String,
}

#[derive(Debug, Serialize)]
struct MissingJson {
    backup_id: String,
    archive: String,
    looked_in: Vec<String>,
}

/// Looks for the archives that an incremental one needs; `None` for one that is whole. What is missing takes the verdict away.
fn chain_of(
    context: &Context,
    archive: &Path,
    manifest: &Manifest,
    chain: &ChainArgs,
    exit: &mut Exit,
) -> anyhow::Result<Option<ChainJson>> {
    if manifest.since.is_none() {
        return Ok(None);
    }
    let bar = context.bar("looking for earlier archives");
    let (found, missing) = mqstore_backup::find_links(archive, manifest, &chain.folders, &bar)?;
    drop(bar);
    for one in &missing {
        let problem = format!("{}: {} {}", archive.display(), plain(&one.name()), plain(&one.problem()));
        *exit = exit.clone().and(Exit::no_verdict(problem));
    }
    let found =
        found.into_iter().map(|link| FoundJson { backup_id: link.earlier.backup_id, archive: text(&link.path) });
    let looked = |one: &MissingArchive| one.looked_in.iter().map(|folder| text(folder)).collect();
    let missing = missing.iter().map(|one| MissingJson {
        backup_id: one.earlier.backup_id.clone(),
        archive: one.earlier.archive.clone(),
        looked_in: looked(one),
    });
    let missing: Vec<MissingJson> = missing.collect();
    Ok(Some(ChainJson { complete: missing.is_empty(), found: found.collect(), missing }))
}

/// Refuses what nobody would take for an archive: a file of another name that does not begin as zstd does. What is
/// called an archive and does not begin like one is damaged, and that is for the libraries to say.
fn require_archive(path: &Path) -> anyhow::Result<()> {
    const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
    let mut magic = [0; 4];
    let is_named_so = path.to_string_lossy().ends_with(".tar.zst");
    if is_named_so || path == Path::new("-") || !path.is_file() {
        return Ok(());
    }
    let begins_so = File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == ZSTD_MAGIC;
    if begins_so {
        return Ok(());
    }
    Err(hinted(format!("{} is not an archive", path.display()), "expected a .tar.zst that mqstore backup create made"))
}
