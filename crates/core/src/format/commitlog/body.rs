//! Bodies as the consumer sees them: decompressed.

use std::io::{self, Read};

use super::{Codec, MessageRecord};

/// A body could not be decompressed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The codec bits of the system flag are ones that no release knows.
    #[error("body is compressed by unknown codec {0}")]
    UnknownCodec(u8),
    /// The body is longer than the caller allows.
    #[error("body grows past {limit} bytes when decompressed")]
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The compressed bytes are not what the codec demands.
    #[error("body does not decompress")]
    Broken(#[source] io::Error),
}

impl MessageRecord<'_> {
    /// The body, decompressed if the client compressed it, at most `limit` bytes long.
    ///
    /// The limit is the caller's defence against a small record that unpacks to gigabytes.
    pub fn decompressed_body(&self, limit: usize) -> Result<Vec<u8>, DecompressError> {
        match self.sys_flag.codec() {
            None if self.body.len() > limit => Err(DecompressError::TooLong { limit }),
            None => Ok(self.body.to_vec()),
            Some(Codec::Zlib) => read_up_to(flate2::read::ZlibDecoder::new(self.body), limit),
            Some(Codec::Lz4) => read_up_to(lz4_flex::frame::FrameDecoder::new(self.body), limit),
            Some(Codec::Zstd) => {
                let decoder = zstd::stream::read::Decoder::with_buffer(self.body).map_err(DecompressError::Broken)?;
                read_up_to(decoder, limit)
            }
            Some(Codec::Unknown(codec)) => Err(DecompressError::UnknownCodec(codec)),
        }
    }
}

fn read_up_to(reader: impl Read, limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(DecompressError::Broken)?;
    if out.len() > limit { Err(DecompressError::TooLong { limit }) } else { Ok(out) }
}
