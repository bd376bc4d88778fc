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
    /// Those of them that stay only because an archive that stays needs them.
    pub needed: Vec<PathBuf>,
    /// Of each broker the archive that was read to its end and found right before others were removed.
    pub verified: Vec<PathBuf>,
    /// Files named like archives that were left alone, with the reason.
    pub left_alone: Vec<(PathBuf, String)>,
}

/// Removes the archives of a folder that no rule keeps, broker by broker.
///
/// What an archive that stays needs, because that is incremental, stays with it. Before anything of a broker goes, one archive
/// of those that stay is verified with what it needs, the newest first; if none of them is right, the newest right one among
/// the others stays, too. Files that are not archives, archives whose manifest cannot be read, and those that do not name their
/// broker are never touched. Incremental archives in other folders are not seen.
pub fn prune(folder: &Path, options: &PruneOptions, progress: &dyn Progress) -> Result<Pruned, BackupError> {
    let mut pruned = Pruned::default();
    let mut brokers: BTreeMap<String, Vec<Archive>> = BTreeMap::new();
    // What is left alone stays, and so does what it needs.
    let mut left_alone_needs = Vec::new();
    for Listed { path, manifest, .. } in list(folder, progress)? {
        let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
        match manifest {
            Ok(manifest) => match (is_file, manifest.created_at.parse(), broker(&manifest)) {
                (true, Ok(at), Some(broker)) => {
                    let (id, needs) = (manifest.backup_id.clone(), needs(&manifest).collect());
                    brokers.entry(broker).or_default().push(Archive { at, path, id, needs });
                }
                (is_file, at, _) => {
                    left_alone_needs.extend(needs(&manifest));
                    let why = match at {
                        _ if !is_file => "is not a plain file".to_owned(),
                        Err(error) => format!("its time of creation: {error}"),
                        Ok(_) => "its manifest has no name of a broker (backup create -c broker.conf gives it one)"
                            .to_owned(),
                    };
                    pruned.left_alone.push((path, why));
                }
            },
            Err(error) => pruned.left_alone.push((path, error.to_string())),
        }
    }
    for (_, mut archives) in brokers {
        archives.sort_by(|a, b| (b.at, &b.path).cmp(&(a.at, &a.path)));
        let young = |at: Timestamp| {
            options.keep_within.is_some_and(|within| {
                let age = Timestamp::now().as_second().saturating_sub(at.as_second());
                u64::try_from(age).unwrap_or(0) <= within.as_secs()
            })
        };
        let stays = |n: usize, at: Timestamp| options.keep_last.is_some_and(|last| n < last) || young(at);
        let mut kept = Vec::new();
        let mut going = Vec::new();
        for (n, archive) in archives.into_iter().enumerate() {
            if stays(n, archive.at) { kept.push(archive) } else { going.push(archive) }
        }
        pruned.needed.extend(keep_needed(&mut kept, &mut going, &left_alone_needs));
        if !going.is_empty() {
            match first_right(&kept, progress)? {
                Some(n) => pruned.verified.extend(kept.get(n).map(|archive| archive.path.clone())),
                None => {
                    if let Some(n) = first_right(&going, progress)? {
                        let right = going.remove(n);
                        pruned.verified.push(right.path.clone());
                        kept.push(right);
                        pruned.needed.extend(keep_needed(&mut kept, &mut going, &[]));
                    } else {
                        // Nothing of this broker is right: nothing of it goes.
                        kept.append(&mut going);
                    }
                }
            }
        }
        // The newest first, so that an interruption leaves no archive without what it needs.
        for Archive { path, .. } in &going {
            if !options.dry_run {
                fs::remove_file(path).map_err(|source| BackupError::io("remove", path, source))?;
            }
        }
        pruned.removed.extend(going.into_iter().map(|archive| archive.path));
        pruned.kept.extend(kept.into_iter().map(|archive| archive.path));
    }
    pruned.removed.sort_unstable();
    pruned.kept.sort_unstable();
    pruned.needed.sort_unstable();
    Ok(pruned)
}

/// What there is to know of an archive here.
#[derive(Debug)]
struct Archive {
    at: Timestamp,
    path: PathBuf,
    id: String,
    /// Ids of the archives that hold files of it.
    needs: Vec<String>,
}

/// Ids of the archives that hold files of this one.
fn needs(manifest: &Manifest) -> impl Iterator<Item = String> {
    manifest.since.iter().flat_map(|since| &since.needs).map(|earlier| earlier.backup_id.clone())
}

/// Moves from `going` to `kept` what those kept need, and what that needs; returns their paths. Of two files with the id needed
/// both stay.
fn keep_needed(kept: &mut Vec<Archive>, going: &mut Vec<Archive>, more: &[String]) -> Vec<PathBuf> {
    let mut moved = Vec::new();
    let mut wanted: Vec<String> = kept.iter().flat_map(|archive| &archive.needs).chain(more).cloned().collect();
    while let Some(id) = wanted.pop() {
        let (needed, others): (Vec<_>, Vec<_>) = std::mem::take(going).into_iter().partition(|other| other.id == id);
        *going = others;
        for archive in needed {
            wanted.extend(archive.needs.iter().cloned());
            moved.push(archive.path.clone());
            kept.push(archive);
        }
    }
    moved
}

/// Whose archive it is: cluster, name and id. `None` without a name: the place of a store does not tell brokers of several
/// machines apart.
fn broker(manifest: &Manifest) -> Option<String> {
    let broker = &manifest.broker;
    broker.name.as_ref().map(|name| format!("{:?}/{name}/{:?}", broker.cluster, broker.id))
}

/// The first archive without damage and without a gap.
fn first_right(archives: &[Archive], progress: &dyn Progress) -> Result<Option<usize>, BackupError> {
    for (n, archive) in archives.iter().enumerate() {
        let verified = verify_file(&archive.path, progress)?;
        let whole = verified.manifest.is_some_and(|manifest| manifest.gaps.is_empty());
        if whole && verified.report.counts().error == 0 && verified.report.coverage.skipped.is_empty() {
            return Ok(Some(n));
        }
    }
    Ok(None)
}
