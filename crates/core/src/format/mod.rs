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

/// [`java_hash`] of a text whose beginning has the hash `seed`.
#[inline]
pub fn java_hash_from(seed: i32, text: &[u8]) -> i32 {
    let (words, rest) = text.as_chunks::<8>();
    let (mut hash, mut bits) = (seed.cast_unsigned(), 0);
    for word in words {
        let word = u64::from_be_bytes(*word);
        bits |= word;
        hash = hash.wrapping_mul(POWER_8_OF_31).wrapping_add(eight(word));
    }
    bits |= rest.iter().fold(0, |bits, byte| bits | u64::from(*byte));
    if bits & 0x8080_8080_8080_8080 != 0 {
        return hash_of_units(seed, text);
    }
    rest.iter().fold(hash, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte))).cast_signed()
}

const POWER_8_OF_31: u32 = 31_u32.wrapping_pow(8);

/// The hash of eight ASCII bytes: neighbours are joined to pairs, pairs to quads, side by side in one number. Byte by byte,
/// each multiplication would wait for the one before.
#[inline]
fn eight(word: u64) -> u32 {
    let pairs = ((word >> 8) & 0x00FF_00FF_00FF_00FF) * 31 + (word & 0x00FF_00FF_00FF_00FF);
    let quads = ((pairs >> 16) & 0x0000_FFFF_0000_FFFF) * 31_u64.pow(2) + (pairs & 0x0000_FFFF_0000_FFFF);
    let (first, second) = ((quads >> 32) as u32, (quads & 0xFFFF_FFFF) as u32);
    first.wrapping_mul(31_u32.pow(4)).wrapping_add(second)
}

#[cold]
fn hash_of_units(seed: i32, text: &[u8]) -> i32 {
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
        assert_eq!(java_hash(&[0x7F; 29]), by_definition(&[0x7F; 29]), "the greatest sums of neighbours");
    }

    #[test]
    fn a_text_that_is_not_ascii_is_hashed_by_its_utf_16_units_wherever_the_first_such_byte_stands() {
        for length in 0..20 {
            let text = format!("{}é😀{}", "a".repeat(length), "b".repeat(19 - length));
            let expected = text.encode_utf16().fold(7i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)));
            assert_eq!(java_hash_from(7, text.as_bytes()), expected, "{length}");
        }
    }
}
