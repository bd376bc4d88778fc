//! Files beside the answer, made from the same document that `--format json` prints.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use mqstore_core::store::Store;
use serde::Serialize;

use super::json::{self, TargetJson};
use super::textfile;
use crate::args::AlsoArgs;
use crate::commands::Context;
use crate::exit::Exit;
use crate::page::{self, LogMap};

/// Writes what `--textfile` and `--report` ask for, of `store` with a map of its log. `sources` must not hold them.
pub(crate) fn write<T: Serialize>(
    context: &Context,
    args: &AlsoArgs,
    (sources, store): (&[&Path], Option<&Store>),
    (schema, target): (&str, &TargetJson),
    body: &T,
    exit: &Exit,
) -> anyhow::Result<()> {
    if args.textfile.is_none() && args.report.is_none() {
        return Ok(());
    }
    let document = json::value((schema, target), body, exit)?;
    if let Some(path) = &args.textfile {
        crate::commands::refuse_inside(path, sources)?;
        replace(path, &textfile::metrics(&document, context.elapsed()))?;
    }
    if let Some(path) = &args.report {
        crate::commands::refuse_inside(path, sources)?;
        let map = store.filter(|store| !store.commitlog().is_empty()).map(LogMap::of);
        replace(path, &page::render(&document, map.as_ref())?)?;
    }
    Ok(())
}

/// Under its name it is complete or not there: a collector or reader may come at any moment, as another user.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".mqstore-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(failed)?;
    file.write_all(text.as_bytes()).with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}
