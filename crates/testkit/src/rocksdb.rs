//! Rows put into a RocksDB database without its library: a table of their own, and an edit that makes it count.

use std::fs;
use std::path::Path;

const TABLE_MAGIC: u64 = 0x88E2_41B7_85F4_CFF7;

/// Sets rows of a column family (0 is `default`), or removes those without a value. Rows must come in the order of keys.
///
/// The writes count as newer than all that is there.
pub fn put(dir: &Path, family: u8, rows: &[(&[u8], Option<&[u8]>)]) {
    let number = fs::read_dir(dir).expect("a database").count() as u64 + 900;
    let current = fs::read_to_string(dir.join("CURRENT")).expect("a database");
    let sequence = 1 << 40 | number;
    let keys: Vec<Vec<u8>> = rows
        .iter()
        .map(|(key, value)| [key, &low_first(sequence << 8 | u64::from(value.is_some()), 8)[..]].concat())
        .collect();
    let entries: Vec<_> =
        keys.iter().zip(rows).map(|(key, (_, value))| (&key[..], value.unwrap_or_default())).collect();
    let table = table(&entries);
    fs::write(dir.join(format!("{number:06}.sst")), &table).expect("a writable folder");
    let mut edit = vec![200, 1, family];
    for (tag, value) in [(3, number + 1), (4, sequence)] {
        edit.push(tag);
        edit.extend(varint(value));
    }
    edit.extend([7, 0]);
    edit.extend(varint(number));
    edit.extend(varint(table.len() as u64));
    for key in [keys.first(), keys.last()] {
        let key = key.expect("at least one row");
        edit.extend(varint(key.len() as u64));
        edit.extend(key);
    }
    let path = dir.join(current.trim_end());
    let mut manifest = fs::read(&path).expect("a manifest");
    manifest.extend(low_first(u64::from(masked_crc32c(&[&[1][..], &edit].concat())), 4));
    manifest.extend(low_first(edit.len() as u64, 2));
    manifest.push(1);
    manifest.extend(edit);
    fs::write(path, manifest).expect("a writable manifest");
}

/// A table of one block, without compression and checksums.
fn table(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut file = block(entries);
    let data = handle(0, file.len());
    let (last, _) = entries.last().expect("at least one row");
    let meta_at = file.len();
    file.extend(block(&[]));
    let index_at = file.len();
    file.extend(block(&[(last, &data)]));
    let end = file.len();
    let mut footer = vec![0];
    footer.extend(handle(meta_at, index_at - meta_at));
    footer.extend(handle(index_at, end - index_at));
    footer.resize(41, 0);
    footer.extend(low_first(5, 4));
    footer.extend(low_first(TABLE_MAGIC, 8));
    file.extend(footer);
    file
}

/// A block with its trailer of five bytes.
fn block(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value) in entries {
        bytes.push(0);
        bytes.extend(varint(key.len() as u64));
        bytes.extend(varint(value.len() as u64));
        bytes.extend(*key);
        bytes.extend(*value);
    }
    bytes.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    bytes.extend([0; 5]);
    bytes
}

/// Where a block lies; `length` counts its trailer.
fn handle(at: usize, length: usize) -> Vec<u8> {
    [varint(at as u64), varint(length as u64 - 5)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn low_first(value: u64, length: usize) -> Vec<u8> {
    value.to_be_bytes().into_iter().rev().take(length).collect()
}

fn masked_crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0x82F6_3B78 } else { 0 };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xA282_EAD8)
}
