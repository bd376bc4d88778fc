//! Files beside the answer, made from the same document that `--format json` prints.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::json::{self, TargetJson};
use super::textfile;
use crate::args::AlsoArgs;
use crate::commands::Context;
use crate::exit::Exit;

/// Writes what `--textfile` asks for. `sources` must not hold it.
pub(crate) fn write<T: Serialize>(
    context: &Context,
    args: &AlsoArgs,
    sources: &[&Path],
    (schema, target): (&str, &TargetJson),
    body: &T,
    exit: &Exit,
) -> anyhow::Result<()> {
    let Some(path) = &args.textfile else { return Ok(()) };
    crate::commands::refuse_inside(path, sources)?;
    let document = json::value((schema, target), body, exit)?;
    write_textfile(path, &textfile::metrics(&document, context.elapsed()))
}

/// Under its name it is complete or not there: the collector may come at any moment, as another user.
fn write_textfile(path: &Path, text: &str) -> anyhow::Result<()> {
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
