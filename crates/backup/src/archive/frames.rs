//! Reads zstd frames one after the other, knowing where each starts.

use std::io::{self, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::footer::{Footer, FooterReader};

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// In the byte behind the magic: the frame ends with a checksum.
const HAS_CHECKSUM: u8 = 0b100;
/// Largest window accepted, as a power of two: 8 MiB, what zstd uses up to level 19.
const WINDOW_LOG_MAX: u32 = 23;

/// Why the bytes of an archive could not be read.
#[derive(Debug)]
pub(crate) enum ReadProblem {
    /// The source failed; says nothing about the archive.
    Io(io::Error),
    /// The bytes are wrong: finding id, position in the archive file, and what is wrong.
    Damage { id: &'static str, offset: u64, message: String },
}

impl From<io::Error> for ReadProblem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The decompressed stream of an archive.
pub(crate) struct FrameReader<R> {
    source: FooterReader<R>,
    decoder: Decoder<'static>,
    input: Vec<u8>,
    used: usize,
    /// Position in the archive of `input[0]`.
    base: u64,
    frame_at: u64,
    in_frame: bool,
}

impl<R: Read> FrameReader<R> {
    pub(crate) fn new(source: R) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
        let source = FooterReader::new(source);
        Ok(Self { source, decoder, input: Vec::new(), used: 0, base: 0, frame_at: 0, in_frame: false })
    }

    /// Position in the archive of the frame that the last bytes came from.
    pub(crate) fn frame_at(&self) -> u64 {
        self.frame_at
    }

    /// Position in the archive of the next compressed byte.
    pub(crate) fn position(&self) -> u64 {
        self.base + self.used as u64
    }

    /// Bytes of the archive file read so far.
    pub(crate) fn total(&self) -> u64 {
        self.source.total()
    }

    /// The footer and the digest over what came before it; to be asked for at the end.
    pub(crate) fn finish(self) -> (Option<Footer>, [u8; 32]) {
        self.source.finish()
    }

    /// Fills `out` and returns how much of it: less than asked for only at the end of the last frame.
    pub(crate) fn read(&mut self, out: &mut [u8]) -> Result<usize, ReadProblem> {
        let mut filled = 0;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            if !self.in_frame && !self.start_frame()? {
                break;
            }
            let unread = self.input.get(self.used..).unwrap_or_default();
            let mut input = InBuffer::around(unread);
            let mut output = OutBuffer::around(room);
            let hint = self.decoder.run(&mut input, &mut output);
            let (read, written) = (input.pos(), output.pos());
            let hint = hint.map_err(|error| self.damage(format!("zstd frame is damaged: {error}")))?;
            self.used += read;
            filled += written;
            if hint == 0 {
                self.in_frame = false;
            } else if read == 0 && written == 0 && !self.refill()? {
                return Err(self.damage("the archive ends inside a zstd frame".to_owned()));
            }
        }
        Ok(filled)
    }

    fn start_frame(&mut self) -> Result<bool, ReadProblem> {
        while self.input.len() - self.used < MAGIC.len() + 1 && self.refill()? {}
        self.frame_at = self.position();
        let head = self.input.get(self.used..).unwrap_or_default();
        match head.split_first_chunk::<4>() {
            None if head.is_empty() => return Ok(false),
            Some((magic, rest)) if *magic == MAGIC => {
                if rest.first().is_none_or(|descriptor| descriptor & HAS_CHECKSUM == 0) {
                    return Err(self.damage("zstd frame has no checksum".to_owned()));
                }
            }
            _ => return Err(self.damage("no zstd frame starts here".to_owned())),
        }
        self.in_frame = true;
        Ok(true)
    }

    fn refill(&mut self) -> io::Result<bool> {
        self.input.drain(..self.used);
        self.base += self.used as u64;
        self.used = 0;
        self.source.fill(&mut self.input)
    }

    fn damage(&self, message: String) -> ReadProblem {
        ReadProblem::Damage { id: "backup.frame", offset: self.frame_at, message }
    }
}
