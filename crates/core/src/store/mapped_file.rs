//! One file, mapped for reading: the only unsafe code of the crate.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// A read-only private mapping of a whole file, or an empty slice for an empty file.
///
/// # What can go wrong
///
/// If somebody cuts the file short while it is mapped, touching the lost pages kills the process (SIGBUS). Brokers
/// never do: they make log, queue and index files at full length and delete them whole, and deleting is harmless to a
/// mapping. A file system that loses a sector does the same. Callers that must survive both read with `std::fs` instead.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    map: Option<memmap2::Mmap>,
}

impl MappedFile {
    /// Opens `path` read-only and maps its present length.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        let length = file.metadata().map_err(|e| StoreError::io("read", path, e))?.len();
        // An empty file cannot be mapped.
        if length == 0 {
            return Ok(Self { path: path.into(), map: None });
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe because other processes can change it")]
        // SAFETY: the mapping is private and never written. Brokers only ever append to the mapped files or fill zeros,
        // which changes bytes under us but not the length; all readers treat every byte as hostile and copy integers
        // out, so a value that changes between two reads can give an error, not undefined behaviour in this crate.
        // Files cut short by others are the documented exception above.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| StoreError::io("map", path, e))?;
        Ok(Self { path: path.into(), map: Some(map) })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the kernel that the file is read from start to end, so that it reads ahead.
    pub fn advise_sequential(&self) {
        if let Some(map) = &self.map {
            // Only a hint: where it is not understood, nothing is lost.
            let _ = map.advise(memmap2::Advice::Sequential);
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}
