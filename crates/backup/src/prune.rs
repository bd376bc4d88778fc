//! Which archives of a folder may go.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mqstore_core::progress::Progress;

use crate::catalog::{Listed, list};
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::verify::verify_file;

/// What to keep of each broker's archives; whatever one of the rules keeps stays.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct PruneOptions {
    /// The newest so many.
    pub keep_last: Option<usize>,
    /// Those younger than this.
    pub keep_within: Option<Duration>,
    /// Say what would go, remove nothing.
    pub dry_run: bool,
}

/// What a pruning did, or would do.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// Archives that are gone, or would be.
    pub removed: Vec<PathBuf>,
    /// Archives that stay.
    pub kept: Vec<PathBuf>,
    /// Of each broker the archive that was read to its end and found right before others were removed.
    pub verified: Vec<PathBuf>,
    /// Files named like archives that were left alone, with the reason.
    pub left_alone: Vec<(PathBuf, String)>,
}

/// Removes the archives of a folder that no rule keeps, broker by broker.
///
/// Before anything of a broker goes, one archive of those that stay is verified, the newest first; if none of them is right,
/// the newest right one among the others stays, too. Files that are not archives, archives whose manifest cannot be read,
/// and those that do not name their broker are never touched.
pub fn prune(folder: &Path, options: &PruneOptions, progress: &dyn Progress) -> Result<Pruned, BackupError> {
    let mut pruned = Pruned::default();
    let mut brokers: BTreeMap<String, Vec<(Timestamp, PathBuf)>> = BTreeMap::new();
    for Listed { path, manifest, .. } in list(folder, progress)? {
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        match manifest {
            Ok(manifest) if is_file => match (manifest.created_at.parse(), broker(&manifest)) {
                (Ok(at), Some(broker)) => brokers.entry(broker).or_default().push((at, path)),
                (Err(error), _) => pruned.left_alone.push((path, format!("its time of creation: {error}"))),
                (_, None) => {
                    let why = "its manifest has no name of a broker (backup create -c broker.conf gives it one)";
                    pruned.left_alone.push((path, why.to_owned()));
                }
            },
            Ok(_) => pruned.left_alone.push((path, "is not a plain file".to_owned())),
            Err(error) => pruned.left_alone.push((path, error.to_string())),
        }
    }
    for (_, mut archives) in brokers {
        archives.sort_by(|a, b| b.cmp(a));
        let young = |at: Timestamp| {
            options.keep_within.is_some_and(|within| {
                let age = Timestamp::now().as_second().saturating_sub(at.as_second());
                u64::try_from(age).unwrap_or(0) <= within.as_secs()
            })
        };
        let stays = |n: usize, at: Timestamp| options.keep_last.is_some_and(|last| n < last) || young(at);
        let mut kept = Vec::new();
        let mut going = Vec::new();
        for (n, (at, path)) in archives.into_iter().enumerate() {
            if stays(n, at) { kept.push(path) } else { going.push(path) }
        }
        if !going.is_empty() {
            match first_right(&kept, progress)? {
                Some(n) => pruned.verified.extend(kept.get(n).cloned()),
                None => {
                    if let Some(n) = first_right(&going, progress)? {
                        let right = going.remove(n);
                        pruned.verified.push(right.clone());
                        kept.push(right);
                    } else {
                        // Nothing of this broker is right: nothing of it goes.
                        kept.append(&mut going);
                    }
                }
            }
        }
        for path in &going {
            if !options.dry_run {
                fs::remove_file(path).map_err(|source| BackupError::io("remove", path, source))?;
            }
        }
        pruned.removed.append(&mut going);
        pruned.kept.append(&mut kept);
    }
    pruned.removed.sort_unstable();
    pruned.kept.sort_unstable();
    Ok(pruned)
}

/// Whose archive it is: cluster, name and id. `None` without a name: the place of a store does not tell brokers of several
/// machines apart.
fn broker(manifest: &Manifest) -> Option<String> {
    let broker = &manifest.broker;
    broker.name.as_ref().map(|name| format!("{:?}/{name}/{:?}", broker.cluster, broker.id))
}

/// The first archive without damage and without a gap.
fn first_right(archives: &[PathBuf], progress: &dyn Progress) -> Result<Option<usize>, BackupError> {
    for (n, path) in archives.iter().enumerate() {
        let verified = verify_file(path, progress)?;
        let whole = verified.manifest.is_some_and(|manifest| manifest.gaps.is_empty());
        if whole && verified.report.counts().error == 0 && verified.report.coverage.skipped.is_empty() {
            return Ok(Some(n));
        }
    }
    Ok(None)
}
