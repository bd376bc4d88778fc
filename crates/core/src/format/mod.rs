//! Bytes in, views out: one module per file format. Nothing here opens a file, knows a path or asks the clock.
//!
//! All integers are big-endian and signed, as Java's `ByteBuffer` writes them.

pub mod batchconsumequeue;
pub mod checkpoint;
pub mod commitlog;
pub mod config;
pub mod consumequeue;
pub mod consumequeue_ext;
pub mod dledger;
pub mod index;
pub mod pop;
pub mod rocksdb;
pub mod system_topic;
pub mod timer;

/// Java's `String.hashCode` of `text`: `h = 31 * h + c` over its UTF-16 code units, modulo 2^32.
///
/// Tags become the tags code of a queue unit this way, keys the hash of an index entry. Bytes that are not UTF-8 are
/// decoded as Java does, with U+FFFD, but Java and Rust disagree on how many of them an encoded surrogate gives.
///
/// ```
/// assert_eq!(mqstore_core::format::java_hash(b"TagA"), 2_598_919);
/// assert_eq!(mqstore_core::format::java_hash(b"polygenelubricants"), i32::MIN);
/// ```
pub fn java_hash(text: &[u8]) -> i32 {
    java_hash_from(0, text)
}

/// What the bytes of eight are multiplied with, the first one's first.
const POWERS_OF_31: [i32; 8] = [1_742_810_335, 887_503_681, 28_629_151, 923_521, 29_791, 961, 31, 1];
const POWER_8_OF_31: i32 = 1_742_810_335_i32.wrapping_mul(31);

/// [`java_hash`] of a text whose beginning has the hash `seed`.
pub fn java_hash_from(seed: i32, text: &[u8]) -> i32 {
    if text.is_ascii() {
        // Eight at a time: one multiplication after the other would wait for the one before.
        let (chunks, rest) = text.as_chunks::<8>();
        let hash = chunks.iter().fold(seed, |hash, chunk| {
            let terms = chunk.iter().zip(POWERS_OF_31).map(|(b, power)| i32::from(*b).wrapping_mul(power));
            terms.fold(hash.wrapping_mul(POWER_8_OF_31), i32::wrapping_add)
        });
        return rest.iter().fold(hash, |h, b| h.wrapping_mul(31).wrapping_add(i32::from(*b)));
    }
    String::from_utf8_lossy(text).encode_utf16().fold(seed, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_text_is_the_same_in_pieces_of_any_length() {
        let text = b"TopicTest#7F0000010C2A18B4AAC2000000000001";
        let by_definition = |text: &[u8]| text.iter().fold(0i32, |h, b| h.wrapping_mul(31).wrapping_add(i32::from(*b)));
        for length in 0..text.len() {
            let (head, tail) = text.split_at(length);
            assert_eq!(java_hash(head), by_definition(head));
            assert_eq!(java_hash_from(java_hash(head), tail), by_definition(text));
        }
    }
}
