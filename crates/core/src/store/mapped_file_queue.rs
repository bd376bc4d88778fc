//! The ordered files of one folder: names are offsets (`MappedFileQueue`, `MultiPathMappedFileQueue`).

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::mapped_file::MappedFile;
use crate::error::StoreError;

/// Digits of a file name (`UtilAll.offset2FileName`).
pub const FILE_NAME_DIGITS: usize = 20;

/// One file that belongs to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Offset of its first byte in the whole queue: its name.
    pub file_from_offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Last change; a broker counts the retention of a commit log file from it.
    pub modified: Option<SystemTime>,
}

impl QueueFile {
    /// Maps the file.
    pub fn map(&self) -> Result<MappedFile, StoreError> {
        MappedFile::open(&self.path)
    }

    /// The offset behind the last byte of the file.
    pub fn end(&self) -> u64 {
        self.file_from_offset.saturating_add(self.length)
    }
}

/// An entry of the folder that is no file of the queue: brokers hide what follows it, refuse to start or skip it,
/// depending on the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEntry {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Files that together hold one stream of bytes.
#[derive(Debug, Clone, Default)]
pub struct MappedFileQueue {
    files: Vec<QueueFile>,
    foreign: Vec<ForeignEntry>,
    file_size: u64,
}

impl MappedFileQueue {
    /// Lists the files of `dirs`, which together hold the queue. A folder that does not exist holds nothing.
    pub fn list(dirs: &[impl AsRef<Path>]) -> Result<Self, StoreError> {
        let mut queue = Self::default();
        for dir in dirs {
            let dir = dir.as_ref();
            let entries = match fs::read_dir(dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(StoreError::io("list", dir, e)),
            };
            for entry in entries {
                let entry = entry.map_err(|e| StoreError::io("list", dir, e))?;
                queue.add(entry.path(), parse_file_name(&entry.file_name()))?;
            }
        }
        queue.files.sort_by(|a, b| (a.file_from_offset, &a.path).cmp(&(b.file_from_offset, &b.path)));
        queue.foreign.sort_by(|a, b| a.path.cmp(&b.path));
        queue.file_size = most_common_length(&queue.files);
        Ok(queue)
    }

    /// A queue of one file.
    pub(super) fn list_one(path: &Path) -> Result<Self, StoreError> {
        let mut queue = Self::default();
        queue.add(path.to_path_buf(), path.file_name().and_then(parse_file_name))?;
        queue.file_size = most_common_length(&queue.files);
        Ok(queue)
    }

    fn add(&mut self, path: PathBuf, name: Option<u64>) -> Result<(), StoreError> {
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A broker may expire a file between the listing and now; a dangling link is foreign.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if fs::symlink_metadata(&path).is_ok() {
                    self.foreign.push(ForeignEntry { path, is_dir: false });
                }
                return Ok(());
            }
            Err(e) => return Err(StoreError::io("read", path, e)),
        };
        match name.filter(|_| metadata.is_file()) {
            Some(file_from_offset) => self.files.push(QueueFile {
                path,
                file_from_offset,
                length: metadata.len(),
                modified: metadata.modified().ok(),
            }),
            None => self.foreign.push(ForeignEntry { path, is_dir: metadata.is_dir() }),
        }
        Ok(())
    }

    /// The files, by offset.
    pub fn files(&self) -> &[QueueFile] {
        &self.files
    }

    /// What else lies in the folder, by name.
    pub fn foreign(&self) -> &[ForeignEntry] {
        &self.foreign
    }

    /// The length that most of the files have, in bytes; of two equally common ones the greater. 0 without files.
    ///
    /// The files are the truth about their length: the configuration may have changed since, or may not be at hand.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Offset of the first byte, if there is a file.
    pub fn min_offset(&self) -> Option<u64> {
        self.files.first().map(|file| file.file_from_offset)
    }

    /// The file that holds `offset`.
    pub fn find(&self, offset: u64) -> Option<&QueueFile> {
        let after = self.files.partition_point(|file| file.file_from_offset <= offset);
        self.files.get(after.checked_sub(1)?).filter(|file| offset < file.end())
    }

    /// Pairs of neighbours that do not meet: the one before and the one behind the gap.
    pub fn gaps(&self) -> impl Iterator<Item = (&QueueFile, &QueueFile)> {
        let meets =
            |a: &QueueFile, b: &QueueFile| a.file_from_offset.saturating_add(self.file_size) == b.file_from_offset;
        self.files.iter().zip(self.files.iter().skip(1)).filter(move |(a, b)| !meets(a, b))
    }
}

/// The offset that a file name stands for: exactly twenty ASCII digits.
pub fn parse_file_name(name: &std::ffi::OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let digits = name.len() == FILE_NAME_DIGITS && name.bytes().all(|b| b.is_ascii_digit());
    name.parse().ok().filter(|_| digits)
}

fn most_common_length(files: &[QueueFile]) -> u64 {
    let mut lengths: Vec<u64> = files.iter().map(|file| file.length).filter(|l| *l > 0).collect();
    lengths.sort_unstable();
    lengths.chunk_by(|a, b| a == b).max_by_key(|run| run.len()).and_then(|run| run.first()).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, usize)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, length) in files {
            fs::write(dir.path().join(name), vec![0; *length]).unwrap();
        }
        dir
    }

    #[test]
    fn names_are_offsets_and_everything_else_is_foreign() {
        let dir = folder(&[
            ("00000000000000002048", 1024),
            ("00000000000000000000", 1024),
            ("00000000000000001024", 1024),
            (".snapshot", 1),
            ("0000000000000003072", 1024),
        ]);
        fs::create_dir(dir.path().join("00000000000000004096")).unwrap();
        let queue = MappedFileQueue::list(&[dir.path()]).unwrap();
        assert_eq!(queue.files().iter().map(|f| f.file_from_offset).collect::<Vec<_>>(), [0, 1024, 2048]);
        let foreign: Vec<_> =
            queue.foreign().iter().map(|f| (f.path.file_name().unwrap().to_str().unwrap(), f.is_dir)).collect();
        assert_eq!(foreign, [(".snapshot", false), ("00000000000000004096", true), ("0000000000000003072", false)]);
        assert_eq!(queue.file_size(), 1024);
        assert_eq!(queue.gaps().count(), 0);
    }

    #[test]
    fn an_offset_is_found_in_its_file_and_not_in_a_gap() {
        let dir = folder(&[("00000000000000001024", 1024), ("00000000000000003072", 1024)]);
        let queue = MappedFileQueue::list(&[dir.path()]).unwrap();
        assert_eq!(queue.find(1023), None);
        assert_eq!(queue.find(2047).unwrap().file_from_offset, 1024);
        assert_eq!(queue.find(2048), None);
        assert_eq!(queue.find(3072).unwrap().file_from_offset, 3072);
        let gaps: Vec<_> = queue.gaps().map(|(a, b)| (a.end(), b.file_from_offset)).collect();
        assert_eq!(gaps, [(2048, 3072)]);
    }

    #[test]
    fn two_folders_hold_one_queue() {
        let (a, b) = (folder(&[("00000000000000000000", 8)]), folder(&[("00000000000000000008", 8)]));
        let queue = MappedFileQueue::list(&[a.path(), b.path()]).unwrap();
        assert_eq!(queue.files().len(), 2);
        assert_eq!(queue.gaps().count(), 0);
    }
}
