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
pub fn java_hash_from(seed: i32, text: &[u8]) -> i32 {
    if text.is_ascii() {
        return text.iter().fold(seed, |h, b| h.wrapping_mul(31).wrapping_add(i32::from(*b)));
    }
    String::from_utf8_lossy(text).encode_utf16().fold(seed, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
