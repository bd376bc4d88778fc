//! Reads the tar stream from any place, by the table of frames.

use std::io::{Read, Seek, SeekFrom};

use zstd::bulk::Decompressor;
use zstd::stream::raw::DParameter;

use super::frames::{Plain, ReadProblem, WINDOW_LOG_MAX};
use super::table::Span;

/// Longest frame that is read in one piece, packed or unpacked, in bytes: the writer makes them of up to 8 MiB, the first
/// archives had one a member, but no table.
const MAX_FRAME: u32 = 64 << 20;

/// The tar stream of an archive file, one frame of it in memory.
pub(crate) struct TableReader<R> {
    file: R,
    /// Of each frame its place in the file and in the tar stream, and its lengths.
    frames: Vec<(u64, u64, Span)>,
    decoder: Decompressor<'static>,
    /// Number of the frame behind the one in memory.
    next: usize,
    frame: Vec<u8>,
    used: usize,
}

impl<R: Read + Seek> TableReader<R> {
    /// Stands at the beginning of the tar stream.
    pub(crate) fn new(file: R, spans: &[Span]) -> std::io::Result<Self> {
        let (mut packed, mut plain) = (0, 0);
        let mut frames = Vec::with_capacity(spans.len());
        for span in spans {
            frames.push((packed, plain, *span));
            packed += u64::from(span.packed);
            plain += u64::from(span.plain);
        }
        let mut decoder = Decompressor::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        Ok(Self { file, frames, decoder, next: 0, frame: Vec::new(), used: 0 })
    }

    /// Where the content of the frame at a place of the file begins in the tar stream.
    pub(crate) fn place_of_frame(&self, packed: u64) -> Option<u64> {
        let number = self.frames.binary_search_by_key(&packed, |(packed, ..)| *packed).ok()?;
        self.frames.get(number).map(|(_, plain, _)| *plain)
    }

    /// Goes to a place of the tar stream. A frame that is in memory is not read again.
    pub(crate) fn seek(&mut self, place: u64) -> Result<(), ReadProblem> {
        let number = self.frames.partition_point(|(_, plain, span)| plain + u64::from(span.plain) <= place);
        if number + 1 != self.next {
            self.next = number;
            self.load()?;
        }
        let start = self.frames.get(number).map_or(place, |(_, plain, _)| *plain);
        self.used = usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Takes the next frame into memory; false behind the last.
    fn load(&mut self) -> Result<bool, ReadProblem> {
        (self.frame, self.used) = (Vec::new(), 0);
        let Some((at, _, span)) = self.frames.get(self.next).copied() else { return Ok(false) };
        let damage = |message| ReadProblem::Damage { id: "backup.frame", offset: at, message };
        if span.packed.max(span.plain) > MAX_FRAME {
            return Err(damage(format!("a frame of more than {MAX_FRAME} bytes")));
        }
        self.file.seek(SeekFrom::Start(at))?;
        let mut packed = Vec::new();
        self.file.by_ref().take(u64::from(span.packed)).read_to_end(&mut packed)?;
        let length = usize::try_from(span.plain).unwrap_or_default();
        let frame = self.decoder.decompress(&packed, length);
        self.frame = frame.map_err(|error| damage(format!("zstd frame is damaged: {error}")))?;
        if self.frame.len() != length {
            return Err(damage(format!("the frame holds {} bytes, the table says {length}", self.frame.len())));
        }
        self.next += 1;
        Ok(true)
    }
}

impl<R: Read + Seek> Plain for TableReader<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadProblem> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            let rest = self.frame.get(self.used..).unwrap_or_default();
            if rest.is_empty() {
                if !self.load()? {
                    break;
                }
                continue;
            }
            let count = rest.len().min(room.len());
            for (to, from) in room.iter_mut().zip(rest) {
                *to = *from;
            }
            self.used += count;
            filled += count;
        }
        Ok(filled)
    }

    fn frame_at(&self) -> u64 {
        self.next.checked_sub(1).and_then(|number| self.frames.get(number)).map_or(0, |(packed, ..)| *packed)
    }

    fn position(&self) -> u64 {
        self.frames.get(self.next).map_or(0, |(packed, ..)| *packed)
    }
}
