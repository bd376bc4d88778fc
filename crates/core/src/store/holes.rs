//! Where a sparse file holds data.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::error::StoreError;

/// The parts of `from .. to` of a file that are not holes, as the file system knows them; all of it where it does not.
///
/// Reading a hole through a mapping costs a page fault per 4 KiB, and the unwritten tails of ten thousand queue files are
/// sixty gigabytes of holes.
pub fn data_ranges(path: &Path, from: u64, to: u64) -> Result<Vec<Range<u64>>, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::io("open", path, e))?;
    let mut ranges = Vec::new();
    let mut at = from;
    while at < to {
        let start = match seek(&file, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data behind `at`.
            Err(Errno::NXIO) => break,
            Err(_) => {
                ranges.push(at..to);
                break;
            }
        };
        if start >= to {
            break;
        }
        let end = seek(&file, SeekFrom::Hole(start)).map_or(to, |end| end.min(to));
        // A file that shrinks meanwhile must not keep us here.
        if end <= start {
            break;
        }
        ranges.push(start..end);
        at = end;
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_was_written_is_data_and_what_lies_far_from_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        let file = File::create(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(&[1], 32 << 20).unwrap();
        let ranges = data_ranges(&path, 0, 64 << 20).unwrap();
        assert!(ranges.iter().any(|r| r.contains(&(32 << 20))), "{ranges:?}");
        let bytes: u64 = ranges.iter().map(|r| r.end - r.start).sum();
        assert!(bytes < 32 << 20, "{ranges:?}");
        assert_eq!(data_ranges(&path, 64 << 20, 64 << 20).unwrap(), []);
    }
}
