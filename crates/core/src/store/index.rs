//! The index files of a store, and key look-up across them.

use std::path::{Path, PathBuf};

use super::mapped_file::MappedFile;
use crate::error::StoreError;
use crate::format::index::{IndexEntry, IndexFile, IndexGeometry, IndexHeader};

/// Digits of a file name: year to millisecond in the broker's local time.
const FILE_NAME_DIGITS: usize = 17;

/// The folder `index/`.
#[derive(Debug, Clone)]
pub struct IndexService {
    files: Vec<PathBuf>,
    foreign: Vec<PathBuf>,
    geometry: Option<IndexGeometry>,
}

/// One index file, mapped.
#[derive(Debug)]
pub struct OpenIndexFile {
    map: MappedFile,
    geometry: Option<IndexGeometry>,
}

impl IndexService {
    pub(super) fn open(dir: &Path, geometry: Option<IndexGeometry>) -> Result<Self, StoreError> {
        let mut service = Self { files: Vec::new(), foreign: Vec::new(), geometry };
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(service),
            Err(e) => return Err(StoreError::io("list", dir, e)),
        };
        for entry in entries {
            let entry = entry.map_err(|e| StoreError::io("list", dir, e))?;
            let name = entry.file_name();
            let digits =
                name.to_str().is_some_and(|n| n.len() == FILE_NAME_DIGITS && n.bytes().all(|b| b.is_ascii_digit()));
            let ours = digits && entry.file_type().is_ok_and(|kind| kind.is_file());
            if ours { &mut service.files } else { &mut service.foreign }.push(entry.path());
        }
        service.files.sort();
        service.foreign.sort();
        Ok(service)
    }

    /// The files, oldest first.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// What else lies in the folder.
    pub fn foreign(&self) -> &[PathBuf] {
        &self.foreign
    }

    /// Maps one of the files and finds its geometry: the configured one if it fits the length, else from the content.
    pub fn open_file(&self, path: &Path) -> Result<OpenIndexFile, StoreError> {
        let map = MappedFile::open(path)?;
        let geometry = self
            .geometry
            .filter(|geometry| geometry.file_length() == map.len() as u64)
            .or_else(|| IndexGeometry::infer(&map));
        Ok(OpenIndexFile { map, geometry })
    }

    /// Where a key was stored, newest file and newest index first, as far as the index knows.
    ///
    /// The hash alone decides, so a foreign key may be among them: read the records to be certain. Damaged chains end
    /// early without an error, as they do in a broker.
    pub fn find(&self, topic: &str, key: &str) -> Result<Vec<(PathBuf, IndexEntry)>, StoreError> {
        let mut found = Vec::new();
        for path in self.files.iter().rev() {
            let file = self.open_file(path)?;
            let Ok(index) = file.view() else { continue };
            found.extend(index.find(topic.as_bytes(), key.as_bytes()).map_while(Result::ok).map(|e| (path.clone(), e)));
        }
        Ok(found)
    }
}

impl OpenIndexFile {
    /// The file's path.
    pub fn path(&self) -> &Path {
        self.map.path()
    }

    /// Length in bytes.
    pub fn length(&self) -> u64 {
        self.map.len() as u64
    }

    /// How the file is divided; `None` if neither configuration nor content tells, as in a file without an index.
    pub fn geometry(&self) -> Option<IndexGeometry> {
        self.geometry
    }

    /// The header, which can be read whatever the geometry.
    pub fn header(&self) -> Result<IndexHeader, StoreError> {
        IndexHeader::parse(&self.map).map_err(|source| StoreError::Format { path: self.path().into(), source })
    }

    /// Slots and indexes of a file whose geometry is known from elsewhere, as from the other files of the folder.
    pub fn view_with(&self, geometry: IndexGeometry) -> Result<IndexFile<'_>, StoreError> {
        IndexFile::parse(&self.map, geometry).map_err(|source| StoreError::Format { path: self.path().into(), source })
    }

    /// Fails if a part of the file could not be read, or was lost since.
    pub fn check(&self) -> Result<(), StoreError> {
        self.map.check()
    }

    /// Index `index` under a geometry that fits the file, written or not, without a look at the header. `None` past the
    /// end of the file.
    #[inline]
    pub fn entry(&self, geometry: IndexGeometry, index: u32) -> Option<IndexEntry> {
        IndexEntry::read(&self.map, geometry, index)
    }

    /// Slots and indexes.
    pub fn view(&self) -> Result<IndexFile<'_>, StoreError> {
        let Some(geometry) = self.geometry else {
            let problem = "neither its length nor its content tells the number of hash slots";
            return Err(StoreError::layout(self.path(), problem));
        };
        IndexFile::parse(&self.map, geometry).map_err(|source| StoreError::Format { path: self.path().into(), source })
    }
}
