//! `--merge-offsets`: one consumerOffset.json of both sides, in a new file.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_check::diff::{MergeOptions, MergedOffset, OffsetFile, Which, merge_offsets};
use mqstore_check::snapshot::Snapshot;
use mqstore_core::release::Release;
use serde::Serialize;

use super::Compared;
use crate::args::MergeArgs;
use crate::commands::{Context, refuse_inside};
use crate::exit::{Refused, hinted, unknown_release};
use crate::output::json::text;

/// What was written.
#[derive(Debug, Serialize)]
pub(super) struct MergeJson {
    pub(super) file: String,
    /// The name under which the broker reads it.
    pub(super) name: &'static str,
    pub(super) release: Release,
    pub(super) target: Which,
    pub(super) offsets: u64,
    pub(super) changes: Vec<MergedOffset>,
}

/// What is to be written, checked as far as it can be before anything is compared.
#[derive(Debug)]
pub(super) struct Merge {
    file: PathBuf,
    target: Option<Which>,
    release: Option<Release>,
}

impl Merge {
    pub(super) fn prepare(args: &MergeArgs, sides: [&Path; 2]) -> anyhow::Result<Option<Self>> {
        let Some(file) = args.merge_offsets.clone() else { return Ok(None) };
        refuse_inside(&file, &sides)?;
        if in_a_store(&file) {
            return Err(Refused(format!("{} would lie inside a store", file.display())).into());
        }
        if file.symlink_metadata().is_ok() {
            return Err(Refused(format!("{} exists, expected a new file", file.display())).into());
        }
        let release = args.release.as_deref().map(named).transpose()?;
        Ok(Some(Self { file, target: args.merge_for.map(Into::into), release }))
    }

    pub(super) fn write(self, context: &Context, compared: &Compared) -> anyhow::Result<MergeJson> {
        let bar = context.bar("merging");
        let [a, b] = [compared.a.positions(&bar)?, compared.b.positions(&bar)?];
        drop(bar);
        let relation = &compared.report.relation;
        let master = if relation.kind == "before-after" { relation.first.other() } else { relation.first };
        let target = self.target.unwrap_or(master);
        let enable_lmq = if target == Which::A { &compared.a } else { &compared.b }.enable_lmq();
        let file = offset_file(enable_lmq, if target == Which::A { &a } else { &b }, target)?;
        for (which, side) in [(Which::A, &a), (Which::B, &b)] {
            let there = match file {
                OffsetFile::Lmq => side.lmq_consumer_offsets.is_some(),
                _ => side.consumer_offsets.is_some(),
            };
            if !there {
                return Err(hinted(
                    format!("{which} has no consumer offsets that can be merged"),
                    format!("its {} is missing or damaged, or the offsets are in RocksDB", file.as_str()),
                ));
            }
        }
        let release = match self.release {
            Some(release) => release,
            None => told_by_marks(if target == Which::A { &a } else { &b }, target)?,
        };
        let mut options = MergeOptions::new(release, target);
        options.file = file;
        let merged = merge_offsets(&a, &b, options);
        write_new(&self.file, &merged.bytes)?;
        let offsets: u64 = merged.table.values().map(|queues| queues.len() as u64).sum();
        let offsets = offsets + merged.lmq_table.len() as u64;
        Ok(MergeJson { file: text(&self.file), name: file.as_str(), release, target, offsets, changes: merged.changes })
    }
}

/// The file that the broker of the target uses: `enableLmq` decides, and without it which files are there.
fn offset_file(enable_lmq: Option<bool>, side: &Snapshot, which: Which) -> anyhow::Result<OffsetFile> {
    match (enable_lmq, side.consumer_offsets.is_some(), side.lmq_consumer_offsets.is_some()) {
        (Some(true), ..) | (None, false, true) => Ok(OffsetFile::Lmq),
        (Some(false), ..) | (None, _, false) => Ok(OffsetFile::Consumer),
        (None, true, true) => Err(hinted(
            format!(
                "{which} has both consumerOffset.json and lmqConsumerOffset.json: enableLmq decides which one counts"
            ),
            format!("give the store as {which} with its broker's configuration, --broker-conf-{which}"),
        )),
    }
}

/// The file is written for one release: no other is taken for it.
fn named(text: &str) -> anyhow::Result<Release> {
    match Release::find(text) {
        Some(found) if found.exact => Ok(found.release),
        other => Err(unknown_release(text, other.map(|found| found.release))),
    }
}

/// The newest release that can have written the side, if all that can write the same dialect.
fn told_by_marks(side: &Snapshot, which: Which) -> anyhow::Result<Release> {
    let releases: Vec<Release> = side.release.releases().collect();
    let dialects = releases.iter().map(|release| {
        let rules = release.behaviour();
        format!("{:?} {:?}", rules.json_writer.value, rules.data_version_fields.value)
    });
    match (dialects.collect::<BTreeSet<_>>().len(), releases.last()) {
        (1, Some(newest)) => Ok(*newest),
        _ => Err(hinted(
            format!("the files of {which} do not tell which release will read the merged offsets"),
            "name it with --release",
        )),
    }
}

/// Whether one of the folders above looks like a store root.
fn in_a_store(file: &Path) -> bool {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(parent) = parent.canonicalize() else { return false };
    parent.ancestors().any(|dir| dir.join("commitlog").is_dir() && dir.join("consumequeue").is_dir())
}

/// Complete or not there, and never over another file.
fn write_new(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", file.display());
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut partial = tempfile::Builder::new();
    // As other files: the umask decides who may read it.
    let partial = partial.permissions(Permissions::from_mode(0o666));
    let mut partial = partial.tempfile_in(parent).with_context(cannot)?;
    partial.write_all(bytes).with_context(cannot)?;
    partial.as_file().sync_all().with_context(cannot)?;
    partial.persist_noclobber(file).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}
