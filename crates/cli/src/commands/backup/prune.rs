//! `backup prune`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use mqstore_backup::{PruneOptions, Pruned, prune};
use serde::Serialize;

use crate::args::PruneArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::output::human::{count, plain};
use crate::output::json::{self, TargetJson, text};

#[derive(Debug, Serialize)]
struct PrunedJson {
    dry_run: bool,
    removed: Vec<String>,
    kept: Vec<String>,
    /// Of those kept the ones that no rule keeps, but an incremental archive that stays.
    needed: Vec<String>,
    verified: Vec<String>,
    left_alone: Vec<LeftAlone>,
}

#[derive(Debug, Serialize)]
struct LeftAlone {
    file: String,
    why: String,
}

pub(crate) fn run(context: &mut Context, args: &PruneArgs) -> anyhow::Result<Exit> {
    let mut options = PruneOptions::default();
    options.keep_last = args.keep_last.map(|n| n as usize);
    options.keep_within = args.keep_within.map(Duration::from_millis);
    options.dry_run = args.dry_run;
    let bar = context.bar("verifying what stays");
    let pruned = prune(&args.dir, &options, &bar)?;
    drop(bar);
    let exit = match pruned.kept.len() + pruned.removed.len() {
        0 => Exit::no_verdict(format!("there is no archive (*.tar.zst) in {}", args.dir.display())),
        _ => Exit::fine(format!("{} kept", count(pruned.kept.len() as u64, "archive", "archives"))),
    };
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let verbose = context.args.verbose;
    let out = context.out(&[])?;
    if !is_text {
        let body = body(&pruned, args.dry_run);
        json::document(out, ndjson, ("mqstore.backup.prune", &TargetJson::dir(&args.dir)), &body, &exit)?;
        return Ok(exit);
    }
    let removed = count(pruned.removed.len() as u64, "archive", "archives");
    let verb = if args.dry_run { "would go" } else { "removed" };
    writeln!(out, "{}", paint.bold(format!("{removed} {verb}, {} kept", pruned.kept.len())))?;
    for path in &pruned.removed {
        writeln!(out, "  {} {}", paint.dim(verb), plain(&text(path)))?;
    }
    for path in &pruned.verified {
        writeln!(out, "  {} {}", paint.good("verified"), plain(&text(path)))?;
    }
    for path in &pruned.needed {
        writeln!(out, "  {} {}: an incremental archive that stays needs it", paint.dim("kept"), plain(&text(path)))?;
    }
    if verbose {
        for path in &pruned.kept {
            writeln!(out, "  {} {}", paint.dim("kept"), plain(&text(path)))?;
        }
    }
    for (path, why) in &pruned.left_alone {
        writeln!(out, "  {} {}: {}", paint.warn("left alone"), plain(&text(path)), plain(why))?;
    }
    Ok(exit)
}

fn body(pruned: &Pruned, dry_run: bool) -> PrunedJson {
    let names = |paths: &[std::path::PathBuf]| paths.iter().map(|path| text(path)).collect();
    PrunedJson {
        dry_run,
        removed: names(&pruned.removed),
        kept: names(&pruned.kept),
        needed: names(&pruned.needed),
        verified: names(&pruned.verified),
        left_alone: pruned
            .left_alone
            .iter()
            .map(|(path, why)| LeftAlone { file: text(path), why: why.clone() })
            .collect(),
    }
}

/// `backup create --keep N`: the folder of the new archive.
pub(super) fn after_create(context: &Context, archive: &Path, keep: u32) -> anyhow::Result<()> {
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut options = PruneOptions::default();
    options.keep_last = Some(keep as usize);
    let bar = context.bar("verifying what stays");
    let pruned = prune(folder, &options, &bar)?;
    drop(bar);
    for path in &pruned.removed {
        context.note(&format!("removed {}", path.display()));
    }
    Ok(())
}
