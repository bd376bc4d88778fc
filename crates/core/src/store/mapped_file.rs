//! One file, mapped for reading.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::sigbus::Registration;
use crate::error::StoreError;

/// A read-only private mapping of a whole file, or an empty slice for an empty file.
///
/// # What can go wrong
///
/// If somebody cuts the file short while it is mapped, touching the lost pages raises SIGBUS, which ends the process
/// unless [`sigbus::install`](super::sigbus::install) was called; then they read as zeros and [`check`](Self::check)
/// fails. Brokers never do that: they make log, queue and index files at full length and delete them whole, and
/// deleting is harmless to a mapping. A disk that loses a sector does the same.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    /// Before the mapping, so that it is dropped first: the table must not name what is unmapped already.
    registration: Registration,
    map: Option<memmap2::Mmap>,
}

impl MappedFile {
    /// Opens `path` read-only and maps its present length.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        let length = file.metadata().map_err(|e| StoreError::io("read", path, e))?.len();
        // An empty file cannot be mapped.
        if length == 0 {
            return Ok(Self { path: path.into(), registration: Registration::new(&[]), map: None });
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe because other processes can change it")]
        // SAFETY: the mapping is private and never written. Brokers only ever append to the mapped files or fill zeros,
        // which changes bytes under us but not the length; all readers treat every byte as hostile and copy integers
        // out, so a value that changes between two reads can give an error, not undefined behaviour in this crate.
        // Files cut short by others are the documented exception above.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| StoreError::io("map", path, e))?;
        Ok(Self { path: path.into(), registration: Registration::new(&map), map: Some(map) })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if pages of the mapping were lost while it was read: what was read from it is then worth nothing.
    ///
    /// Can only fail after [`sigbus::install`](super::sigbus::install).
    pub fn check(&self) -> Result<(), StoreError> {
        match self.registration.lost_pages() {
            0 => Ok(()),
            pages => {
                let source = io::Error::other(format!(
                    "{pages} pages went away while they were read: the file was cut short, or the disk failed"
                ));
                Err(StoreError::io("read", &self.path, source))
            }
        }
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
