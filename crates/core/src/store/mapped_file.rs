//! One file, mapped for reading, or read whole where mappings are not wanted.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::holes::data_ranges;
use super::sigbus::{self, Registration};
use crate::error::StoreError;

/// Whether files are read instead of mapped.
static READS: AtomicBool = AtomicBool::new(false);
/// Bytes read at a time.
const STEP: usize = 1 << 20;
/// Bytes that are given up where the disk refuses some of them.
const SECTOR: usize = 4096;

/// From now on, [`MappedFile`] reads files whole into memory instead of mapping them, in the whole process.
///
/// For file systems that cannot map, and for disks that fail: what cannot be read is known with its place when the file is
/// open. Costs as much memory as the files that are open at a time hold; holes cost none.
pub fn read_instead_of_mapping() {
    READS.store(true, Ordering::Relaxed);
}

/// The bytes of a file.
#[derive(Debug)]
enum Content {
    Map(memmap2::Mmap),
    /// What was read, with zeros where nothing could be.
    Read {
        bytes: Vec<u8>,
        lost: Option<Lost>,
    },
    Empty,
}

/// What could not be read.
#[derive(Debug)]
struct Lost {
    first: usize,
    bytes: usize,
    error: io::Error,
}

/// A read-only private mapping of a whole file, or an empty slice for an empty file.
///
/// # What can go wrong
///
/// If somebody cuts the file short while it is mapped, touching the lost pages raises SIGBUS, which ends the process
/// unless [`sigbus::install`] was called; then they read as zeros and [`check`](Self::check)
/// fails. Brokers never do that: they make log, queue and index files at full length and delete them whole, and
/// deleting is harmless to a mapping. A disk that loses a sector does the same.
#[derive(Debug)]
pub struct MappedFile {
    path: PathBuf,
    /// Before the mapping, so that it is dropped first: the table must not name what is unmapped already.
    registration: Registration,
    content: Content,
}

impl MappedFile {
    /// Opens `path` read-only and maps its present length.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
        let length = file.metadata().map_err(|e| StoreError::io("read", path, e))?.len();
        // An empty file cannot be mapped.
        if length == 0 {
            return Ok(Self { path: path.into(), registration: Registration::new(&[]), content: Content::Empty });
        }
        if READS.load(Ordering::Relaxed) {
            let content = read(&file, path, length)?;
            return Ok(Self { path: path.into(), registration: Registration::new(&[]), content });
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe because other processes can change it")]
        // SAFETY: the mapping is private and never written. Brokers only ever append to the mapped files or fill zeros,
        // which changes bytes under us but not the length; all readers treat every byte as hostile and copy integers
        // out, so a value that changes between two reads can give an error, not undefined behaviour in this crate.
        // Files cut short by others are the documented exception above.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| StoreError::io("map", path, e))?;
        Ok(Self { path: path.into(), registration: Registration::new(&map), content: Content::Map(map) })
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails if pages of the mapping were lost while it was read: what was read from it is then worth nothing.
    ///
    /// Can only fail after [`sigbus::install`] or [`read_instead_of_mapping`].
    pub fn check(&self) -> Result<(), StoreError> {
        if let Content::Read { lost: Some(lost), .. } = &self.content {
            let problem = format!("{} bytes from byte {} on: {}", lost.bytes, lost.first, lost.error);
            return Err(StoreError::io("read", &self.path, io::Error::new(lost.error.kind(), problem)));
        }
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

    /// Bytes from the start on before the first page that was lost so far; the whole length if none was.
    pub fn intact(&self) -> usize {
        if let Content::Read { lost: Some(lost), .. } = &self.content {
            return lost.first;
        }
        let lost = self.registration.first_lost().and_then(|first| first.checked_sub(self.as_ptr().addr()));
        lost.map_or(self.len(), |lost| lost.min(self.len()))
    }

    /// Lets go of the pages of `range`, so that a file that is read once does not count as memory in use. They are read
    /// again if they are touched again.
    pub fn release(&self, range: std::ops::Range<usize>) {
        let Content::Map(map) = &self.content else { return };
        let range = range.start.min(map.len())..range.end.min(map.len());
        #[expect(unsafe_code, reason = "dropping pages would lose what was written to them")]
        // SAFETY: the mapping is never written, so every page that is dropped comes back from the file as it is there.
        let done = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
        // Only a matter of memory: where it fails, nothing is lost.
        let _ = done;
    }

    /// Whether every byte from `from` on is zero. Lets go of what it has read.
    pub fn is_zero_from(&self, from: usize) -> bool {
        const RELEASED: usize = 16 << 20;
        let mut at = from;
        while let Some(rest) = self.get(at..).filter(|rest| !rest.is_empty()) {
            let step = rest.get(..rest.len().min(RELEASED)).unwrap_or_default();
            if !crate::bytes::is_zero(step) {
                return false;
            }
            self.release(at..at + step.len());
            at += step.len();
        }
        true
    }

    /// Tells the kernel that the file is read from start to end, so that it reads ahead.
    pub fn advise_sequential(&self) {
        if let Content::Map(map) = &self.content {
            // Only a hint: where it is not understood, nothing is lost.
            let _ = map.advise(memmap2::Advice::Sequential);
        }
    }

    /// Tells the kernel that only few pages of the file are read, so that it does not read ahead.
    pub fn advise_random(&self) {
        if let Content::Map(map) = &self.content {
            let _ = map.advise(memmap2::Advice::Random);
        }
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.content {
            Content::Map(map) => map,
            Content::Read { bytes, .. } => bytes,
            Content::Empty => &[],
        }
    }
}

/// Reads the data of a file; its holes are zeros anyway.
fn read(file: &File, path: &Path, length: u64) -> Result<Content, StoreError> {
    let too_long = || StoreError::io("read", path, io::ErrorKind::OutOfMemory.into());
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| too_long())?];
    let mut lost = None;
    for range in data_ranges(path, 0, length)? {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let data = bytes.get_mut(place(range.start)..place(range.end)).unwrap_or_default();
        read_steps(file, data, place(range.start), STEP, &mut lost);
    }
    Ok(Content::Read { bytes, lost })
}

/// Reads in steps; where one fails, in sectors.
fn read_steps(file: &File, data: &mut [u8], from: usize, step: usize, lost: &mut Option<Lost>) {
    for (n, part) in data.chunks_mut(step).enumerate() {
        let at = from.saturating_add(n * step);
        let Err(error) = file.read_exact_at(part, at as u64) else { continue };
        if step > SECTOR {
            read_steps(file, part, at, SECTOR, lost);
            continue;
        }
        part.fill(0);
        sigbus::count_lost_page();
        let lost = lost.get_or_insert(Lost { first: at, bytes: 0, error });
        lost.bytes += part.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_pages_come_back_and_zeros_are_told_from_a_byte_behind_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let mut bytes = vec![0; 40 << 20];
        bytes[100] = 7;
        std::fs::write(&path, &bytes).unwrap();
        let map = MappedFile::open(&path).unwrap();
        map.release(0..usize::MAX);
        assert_eq!(map[100], 7);
        assert!(!map.is_zero_from(0) && !map.is_zero_from(100) && map.is_zero_from(101));
        assert!(map.is_zero_from(usize::MAX), "nothing is left");
    }
}
