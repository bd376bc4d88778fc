//! Puts an archive back, into a new folder.
//!
//! Everything is written to `.NAME.restore-partial` beside the target while it is verified, made durable, and renamed
//! at the end. A target therefore never holds half a store, and what is wrong with the archive is known before
//! anything appears under its name.

use std::fs;
use std::path::{Path, PathBuf};

use mqstore_core::progress::Progress;

use crate::chain::{IfMissing, peek_and_refuse_missing, scan_all};
use crate::error::BackupError;
use crate::manifest::Manifest;
use crate::member::Section;
use crate::partial::{PartialFolder, parent};
use crate::scan::Scan;
use crate::unpack::{Target, Unpacker, room};

/// Where to restore to. What has no place here is verified but not written.
#[derive(Debug, Clone, Default)]
pub struct RestoreOptions {
    /// New store root; absent or an empty folder.
    pub to: PathBuf,
    /// Home folder whose `store/config` gets the files of `home/store/config`; that must be absent or empty.
    pub home: Option<PathBuf>,
    /// New program folder; absent or empty.
    pub program: Option<PathBuf>,
    /// New folder for the files of `include`; absent or empty.
    pub include: Option<PathBuf>,
    /// Folders in which the earlier archives of an incremental one are looked for, besides its own.
    pub chain: Vec<PathBuf>,
}

/// What was restored.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Restored {
    /// The archive's manifest; its gaps are gaps of the restored store, too.
    pub manifest: Manifest,
    /// Files written.
    pub files: u64,
    /// Their length in bytes, holes included.
    pub bytes: u64,
    /// Files per section that were not asked for.
    pub not_restored: Vec<(Section, u64)>,
}

/// Restores an archive file. The archive is verified as a whole, also what is not restored; with the first thing that is
/// wrong the result is [`BackupError::Damaged`] and nothing is left behind. Of an incremental archive the earlier ones that it
/// needs are, too; if one is missing the result is [`BackupError::MissingArchives`].
///
/// With several targets each appears at once, the store last. A commit log is never written.
pub fn restore(archive: &Path, options: &RestoreOptions, progress: &dyn Progress) -> Result<Restored, BackupError> {
    let peeked = peek_and_refuse_missing(archive, &options.chain, progress)?;
    let folders = folders(options)?;
    let target = |(section, folder): &(Section, PartialFolder)| Target {
        section: *section,
        folder: folder.path().to_path_buf(),
    };
    let targets: Vec<Target> = folders.iter().map(target).collect();
    if let Some(manifest) = &peeked {
        room(manifest, &targets)?;
    }
    let mut unpacker = Unpacker::new(targets);
    let Scan { report, manifest } = scan_all(archive, &options.chain, IfMissing::Refuse, &mut unpacker, progress)?;
    let manifest = match manifest {
        Some(manifest) if report.counts().error == 0 => manifest,
        _ => return Err(BackupError::Damaged { report: Box::new(report) }),
    };
    unpacker.settle(&manifest, progress)?;
    // The store is the first target and is to appear last.
    for (_, folder) in folders.into_iter().rev() {
        folder.commit()?;
    }
    let Unpacker { files, bytes, not_restored, .. } = unpacker;
    Ok(Restored { manifest, files, bytes, not_restored })
}

/// The sections that have a place, and the folders on their way there.
fn folders(options: &RestoreOptions) -> Result<Vec<(Section, PartialFolder)>, BackupError> {
    let home = options.home.as_ref().map(|home| home.join("store").join("config"));
    if let Some(home) = &home {
        let around = parent(home);
        fs::create_dir_all(around).map_err(|source| BackupError::io("create", around, source))?;
    }
    let wanted = [
        (Section::Store, Some(options.to.clone())),
        (Section::Home, home),
        (Section::Program, options.program.clone()),
        (Section::Include, options.include.clone()),
    ];
    let wanted = wanted.into_iter().filter_map(|(section, path)| path.map(|path| (section, path)));
    wanted.map(|(section, path)| Ok((section, PartialFolder::create(&path)?))).collect()
}
