//! Where a file has holes.
//!
//! A hole is an aligned 4 KiB block of zeros, whether the file system stores it or not: the archive of a store must
//! not depend on the file system that the store lies on, nor on whether it was copied there by a tool that knows holes.
//! `SEEK_HOLE` only saves reading what cannot hold anything else.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use mqstore_core::bytes::is_zero;
use rustix::fs::{SeekFrom, seek};

use crate::manifest::Extent;

/// Length of a block in bytes: holes start at multiples of it and are multiples of it long.
pub(crate) const BLOCK: u64 = 4096;
const BLOCK_LEN: usize = 4096;
/// How much is read at once.
pub(crate) const CHUNK: usize = 1 << 20;

/// Collects extents from blocks given in ascending order.
#[derive(Debug, Default)]
pub(crate) struct ExtentBuilder {
    extents: Vec<Extent>,
}

impl ExtentBuilder {
    /// Looks at `bytes`, which stand at `offset`, a multiple of [`BLOCK`]. Only the last call may be given a number of
    /// bytes that is not a multiple of it: the incomplete block at the end of a file, never a hole.
    pub(crate) fn look_at(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        for block in bytes.chunks(BLOCK_LEN) {
            let length = block.len() as u64;
            if length < BLOCK || !is_zero(block) {
                match self.extents.last_mut() {
                    Some(last) if last.offset + last.length == at => last.length += length,
                    _ => self.extents.push(Extent { offset: at, length }),
                }
            }
            at += length;
        }
    }

    pub(crate) fn finish(self) -> Vec<Extent> {
        self.extents
    }
}

/// The extents of a file between its holes, up to `length`; `go_on` is asked before each read.
///
/// If `buffer` takes the whole file, every extent stands in it at its offset afterwards; between them it holds anything.
/// A file that ends before `length` reads as zeros from there on.
pub(crate) fn extents_of<E: From<io::Error>>(
    file: &File,
    length: u64,
    buffer: &mut [u8],
    go_on: impl Fn() -> Result<(), E>,
) -> Result<Vec<Extent>, E> {
    let mut builder = ExtentBuilder::default();
    let whole = length <= buffer.len() as u64;
    let mut at = 0;
    while at < length {
        let (start, end, is_stored) = next_data(file, at, length)?;
        let mut here = start.max(at);
        while here < end {
            go_on()?;
            let wanted = (end - here).min(CHUNK as u64);
            let chunk = range(buffer, if whole { here } else { 0 }, wanted);
            if is_stored {
                read_padded(file, here, chunk)?;
            } else {
                chunk.fill(0);
            }
            builder.look_at(here, chunk);
            here += wanted;
        }
        at = end;
    }
    Ok(builder.finish())
}

/// A part of a buffer; empty if the buffer does not reach so far.
pub(crate) fn range(buffer: &mut [u8], from: u64, length: u64) -> &mut [u8] {
    let bounds = usize::try_from(from).and_then(|from| usize::try_from(length).map(|length| (from, length)));
    bounds.ok().and_then(|(from, length)| buffer.get_mut(from..from.checked_add(length)?)).unwrap_or_default()
}

/// The next run of bytes that the file system stores, from `at` on, widened to whole blocks; or the incomplete block at the end,
/// which counts as data though it is not stored.
fn next_data(file: &File, at: u64, length: u64) -> io::Result<(u64, u64, bool)> {
    let data = match seek(file, SeekFrom::Data(at)) {
        Ok(data) => data,
        Err(rustix::io::Errno::NXIO) => return Ok(last_block(length)),
        // File systems without holes answer so: all of it is data.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => return Ok((at, length, true)),
        Err(error) => return Err(error.into()),
    };
    let hole = seek(file, SeekFrom::Hole(data)).unwrap_or(length);
    let start = data - data % BLOCK;
    let end = hole.checked_next_multiple_of(BLOCK).unwrap_or(length).min(length);
    if start >= length { Ok(last_block(length)) } else { Ok((start, end.max(at + 1).max(start), true)) }
}

/// Nothing but a hole is left; an incomplete block at the end still counts as data.
fn last_block(length: u64) -> (u64, u64, bool) {
    (length - length % BLOCK, length, false)
}

/// Fills `buffer` from `offset` on, with zeros behind the end of the file; returns how many bytes were there.
pub(crate) fn read_padded(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => {
                rest.fill(0);
                break;
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
