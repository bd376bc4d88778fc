//! RocksDB databases in a store: which files belong together, and whether they are all there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::layout::EntryKind;
use super::mapped_file::MappedFile;
use super::special::{CONFIG_DATABASES, SpecialKind, is_rocksdb};
use super::{RootEntry, Store, read_small};
use crate::error::StoreError;
use crate::format::rocksdb::{Manifest, MissingSst, current_manifest};

/// What a file of a database is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RocksDbFileKind {
    /// `CURRENT`: which manifest counts.
    Current,
    /// `MANIFEST-<number>`.
    Manifest(u64),
    /// `<number>.sst`: keys and values.
    Sst(u64),
    /// `<number>.log`: the write-ahead log.
    Wal(u64),
    /// `OPTIONS-<number>`: options as text.
    Options(u64),
    /// `IDENTITY`: id of the database.
    Identity,
    /// `LOCK`: its existence means nothing.
    Lock,
    /// Anything else, as the text log `LOG`; nothing depends on it.
    Other,
}

/// A file of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RocksDbFile {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: RocksDbFileKind,
    /// Length in bytes.
    pub length: u64,
}

/// A database, opened without its library and without taking its lock.
#[derive(Debug, Clone)]
pub struct RocksDb {
    kind: SpecialKind,
    dir: PathBuf,
    manifest_name: String,
    manifest: Manifest,
    files: Vec<RocksDbFile>,
}

impl Store {
    /// Where RocksDB databases lie in the store, with what each is for.
    pub fn rocksdb_dirs(&self) -> Vec<(SpecialKind, PathBuf)> {
        let mut dirs = Vec::new();
        for RootEntry { path, kind, .. } in self.entries() {
            let special = match kind {
                EntryKind::ConsumeQueue | EntryKind::ConsumeQueueRocksDb => SpecialKind::RocksDbQueues,
                EntryKind::KvStore => SpecialKind::RocksDbPop,
                EntryKind::RocksDbStore => SpecialKind::RocksDbStore,
                EntryKind::Config => {
                    let databases = CONFIG_DATABASES.iter().map(|name| path.join(name)).filter(|dir| is_rocksdb(dir));
                    dirs.extend(databases.map(|dir| (SpecialKind::RocksDbConfig, dir)));
                    continue;
                }
                _ => continue,
            };
            if is_rocksdb(path) {
                dirs.push((special, path.clone()));
            }
        }
        dirs.sort();
        dirs
    }

    /// The databases of the store; each may fail to open for itself.
    pub fn rocksdbs(&self) -> Vec<Result<RocksDb, StoreError>> {
        self.rocksdb_dirs().into_iter().map(|(kind, dir)| RocksDb::open(kind, &dir)).collect()
    }
}

impl RocksDb {
    /// Opens the database in `dir`.
    ///
    /// # Errors
    /// A `CURRENT` that names no manifest, a manifest that is missing or damaged, and a folder that cannot be listed.
    pub fn open(kind: SpecialKind, dir: &Path) -> Result<Self, StoreError> {
        let current = dir.join("CURRENT");
        let Some(bytes) = read_small(&current)? else {
            return Err(StoreError::layout(dir, "no database: expected a file CURRENT"));
        };
        let Some(manifest_name) = current_manifest(&bytes) else {
            return Err(StoreError::layout(current, "expected the name of a manifest and a line feed"));
        };
        let path = dir.join(manifest_name);
        let map = MappedFile::open(&path)?;
        let manifest = Manifest::parse(&map);
        map.check()?;
        let manifest = manifest.map_err(|source| StoreError::Format { path, source })?;
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).map_err(|e| StoreError::io("list", dir, e))? {
            let path = entry.map_err(|e| StoreError::io("list", dir, e))?.path();
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => {
                    let kind = file_kind(&path.file_name().unwrap_or_default().to_string_lossy());
                    files.push(RocksDbFile { path, kind, length: metadata.len() });
                }
                Ok(_) => {}
                // A running broker removes files that a compaction made useless.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(StoreError::io("read", path, e)),
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { kind, dir: dir.into(), manifest_name: manifest_name.to_owned(), manifest, files })
    }

    /// What the database is for.
    pub fn kind(&self) -> SpecialKind {
        self.kind
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Name of the manifest that counts.
    pub fn manifest_name(&self) -> &str {
        &self.manifest_name
    }

    /// What it says.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// All files of the folder, by name; those of file queues lie in folders of their own and are left out.
    pub fn files(&self) -> &[RocksDbFile] {
        &self.files
    }

    /// Where the SST file of this number lies, or would.
    pub fn sst_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:06}.sst"))
    }

    /// The files that a copy of the database needs, in the order in which to copy them: SST files that the manifest
    /// names, logs that it needs, then the manifest, `IDENTITY`, options, and `CURRENT` last.
    pub fn needed_files(&self) -> Vec<&RocksDbFile> {
        let oldest_log = self.manifest.oldest_log_needed();
        let newest_options = self.files.iter().filter_map(|file| match file.kind {
            RocksDbFileKind::Options(number) => Some(number),
            _ => None,
        });
        let newest_options = newest_options.max();
        let live = self.live_numbers();
        let rank = |file: &RocksDbFile| match file.kind {
            RocksDbFileKind::Sst(number) => live.contains_key(&number).then_some(0),
            RocksDbFileKind::Wal(number) => (number >= oldest_log).then_some(1),
            RocksDbFileKind::Manifest(_) => file.path.ends_with(&self.manifest_name).then_some(2),
            RocksDbFileKind::Identity => Some(3),
            RocksDbFileKind::Options(number) => (Some(number) == newest_options).then_some(3),
            RocksDbFileKind::Current => Some(4),
            RocksDbFileKind::Lock | RocksDbFileKind::Other => None,
        };
        let mut needed: Vec<_> = self.files.iter().filter_map(|file| Some((rank(file)?, file))).collect();
        needed.sort_by_key(|(rank, _)| *rank);
        needed.into_iter().map(|(_, file)| file).collect()
    }

    /// SST files that the manifest names and that are missing or have another length: the database does not open, or
    /// fails at the first look at them. By number.
    pub fn missing(&self) -> Vec<MissingSst> {
        self.manifest.missing(&self.files.iter().filter_map(|file| sst(file).zip(Some(file.length))).collect())
    }

    /// SST files and manifests that do not count any more, or not yet; a start removes them.
    pub fn obsolete(&self) -> Vec<&RocksDbFile> {
        let live = self.live_numbers();
        let obsolete = |file: &&RocksDbFile| match file.kind {
            RocksDbFileKind::Sst(number) => !live.contains_key(&number),
            RocksDbFileKind::Manifest(_) => !file.path.ends_with(&self.manifest_name),
            _ => false,
        };
        self.files.iter().filter(obsolete).collect()
    }

    /// Bytes in write-ahead logs that the SST files may lack. Queues are written without a log: their database is behind
    /// the commit log after a crash, and a start catches up.
    pub fn wal_bytes(&self) -> u64 {
        let oldest = self.manifest.oldest_log_needed();
        let needed = self.files.iter().filter(|file| matches!(file.kind, RocksDbFileKind::Wal(n) if n >= oldest));
        needed.map(|file| file.length).sum()
    }

    fn live_numbers(&self) -> BTreeMap<u64, u64> {
        self.manifest.live_files().map(|(_, file)| (file.number, file.size)).collect()
    }
}

fn sst(file: &RocksDbFile) -> Option<u64> {
    match file.kind {
        RocksDbFileKind::Sst(number) => Some(number),
        _ => None,
    }
}

fn file_kind(name: &str) -> RocksDbFileKind {
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
    let numbered = |prefix, suffix| number(name.strip_prefix(prefix)?.strip_suffix(suffix)?);
    match name {
        "CURRENT" => return RocksDbFileKind::Current,
        "IDENTITY" => return RocksDbFileKind::Identity,
        "LOCK" => return RocksDbFileKind::Lock,
        _ => {}
    }
    let kind =
        numbered("", ".sst").map(RocksDbFileKind::Sst).or_else(|| numbered("", ".log").map(RocksDbFileKind::Wal));
    let kind = kind.or_else(|| numbered("MANIFEST-", "").map(RocksDbFileKind::Manifest));
    kind.or_else(|| numbered("OPTIONS-", "").map(RocksDbFileKind::Options)).unwrap_or(RocksDbFileKind::Other)
}
