//! Which files a release takes into its log and its queues (`MappedFileQueue.load`, `doLoad`).
//!
//! Entries are taken by name, as `Arrays.sort` orders them. Unlike
//! [`store::MappedFileQueue`](mqstore_core::store::MappedFileQueue), which lists what lies there, this stops where the
//! release stops.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use mqstore_core::StoreError;
use mqstore_core::release::Behaviour;
use mqstore_core::release::rules::{SubFolder, WrongLength, ZeroLengthLastFile};

/// An entry of a folder.
#[derive(Debug, Clone)]
pub(super) struct DirEntry {
    pub name: String,
    pub path: PathBuf,
    pub is_dir: bool,
    pub length: u64,
}

impl DirEntry {
    /// The name as `Long.parseLong` reads it.
    pub(super) fn base(&self) -> Option<u64> {
        self.name.parse::<i64>().ok().and_then(|base| u64::try_from(base).ok())
    }
}

/// The entries of `dir` by name; none if it is no folder or does not exist. Links are followed.
pub(super) fn list(dir: &Path) -> Result<Vec<DirEntry>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(source) => return Err(StoreError::Io { action: "list", path: dir.into(), source }),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| StoreError::Io { action: "list", path: dir.into(), source })?;
        let metadata = fs::metadata(entry.path());
        found.push(DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            is_dir: metadata.as_ref().is_ok_and(fs::Metadata::is_dir),
            // A dangling link has length 0 to Java, too.
            length: metadata.as_ref().map_or(0, fs::Metadata::len),
            path: entry.path(),
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// A file that was taken in.
#[derive(Debug, Clone)]
pub(super) struct LoadedFile {
    pub base: u64,
    pub path: PathBuf,
}

/// What loading a folder came to.
#[derive(Debug, Clone, Default)]
pub(super) struct LoadedFiles {
    pub files: Vec<LoadedFile>,
    /// Deleted because its length was zero.
    pub deleted: Vec<PathBuf>,
    /// The entry where loading stopped without a word.
    pub stopped_at: Option<PathBuf>,
    /// Files that hold something and are not seen, the one it stopped at included.
    pub hidden: Vec<LoadedFile>,
    /// The entry for which the start fails, and why.
    pub refused_at: Option<(PathBuf, &'static str)>,
}

/// Loads the files of `dirs`, each expected to be `size` bytes long.
pub(super) fn load(dirs: &[PathBuf], size: u64, rules: &Behaviour) -> Result<LoadedFiles, StoreError> {
    let mut entries = Vec::new();
    let unique: BTreeSet<&PathBuf> = dirs.iter().collect();
    for dir in unique {
        entries.extend(list(dir)?);
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut loaded = LoadedFiles::default();
    let mut rest = entries.iter().enumerate();
    while let Some((i, entry)) = rest.next() {
        if entry.is_dir && rules.sub_folder.value == SubFolder::Skipped {
            continue;
        }
        let last = i + 1 == entries.len();
        if !entry.is_dir
            && entry.length == 0
            && last
            && rules.zero_length_last_file.value == ZeroLengthLastFile::Deleted
        {
            loaded.deleted.push(entry.path.clone());
            continue;
        }
        if entry.is_dir || entry.length != size {
            if rules.wrong_length.value == WrongLength::Refuses {
                let why =
                    if entry.is_dir { "a folder among the files" } else { "its length is not the configured one" };
                loaded.refused_at = Some((entry.path.clone(), why));
                break;
            }
            loaded.stopped_at = Some(entry.path.clone());
            let unseen = std::iter::once(entry).chain(rest.map(|(_, entry)| entry));
            let unseen = unseen.filter(|entry| !entry.is_dir && entry.length > 0);
            loaded.hidden = unseen.filter_map(|e| Some(LoadedFile { base: e.base()?, path: e.path.clone() })).collect();
            break;
        }
        let Some(base) = entry.base() else {
            loaded.refused_at = Some((entry.path.clone(), "its name is no number, although its length is right"));
            break;
        };
        loaded.files.push(LoadedFile { base, path: entry.path.clone() });
    }
    Ok(loaded)
}
