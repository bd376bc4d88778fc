use super::*;
use crate::PhysicalOffset;
use crate::error::FormatErrorKind;

/// The record of the format description: queue 3, offset 7, at 1024, body `hello`, topic `TopicA`, key `k1`.
fn sample() -> Vec<u8> {
    let hex = "00000082 daa320a7 3610a686 00000003 00000000 0000000000000007 0000000000000400 00000000 \
        0000018bcfe56800 7f00000100009c40 0000018bcfe5687b 0a00000500002a9f 00000000 \
        0000000000000000 00000005 68656c6c6f 06 546f70696341 001c 4b455953016b3102 5f5f435243333223 01 \
        36353239343036383131 02";
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_fields_of_the_described_record_are_read() {
    let bytes = sample();
    let record = MessageRecord::parse(&bytes, PhysicalOffset(1024)).unwrap();
    assert_eq!(record.total_size(), 130);
    assert_eq!((record.queue_id, record.queue_offset, record.physical_offset), (3, 7, 1024));
    assert_eq!((record.born_timestamp, record.store_timestamp), (1_700_000_000_000, 1_700_000_000_123));
    assert_eq!(record.born_host().to_string(), "127.0.0.1:40000");
    assert_eq!(record.store_host().to_string(), "10.0.0.5:10911");
    assert_eq!((record.body, record.topic), (&b"hello"[..], &b"TopicA"[..]));
    assert_eq!(record.properties.keys().collect::<Vec<_>>(), [b"k1"]);
    assert_eq!(record.body_crc, 907_060_870);
    record.check_body_crc().unwrap();
    record.check_property_crc().expect("the record carries one").unwrap();
    assert_eq!(record.offset_message_id(), "0A00000500002A9F0000000000000400");
}

#[test]
fn every_flipped_bit_under_the_property_crc_is_noticed() {
    let bytes = sample();
    for bit in 0..(bytes.len() - 20) * 8 {
        let mut broken = bytes.clone();
        broken[bit / 8] ^= 1 << (bit % 8);
        let record = MessageRecord::parse(&broken, PhysicalOffset(1024));
        let noticed = record.is_err_and(|_| true)
            || MessageRecord::parse(&broken, PhysicalOffset(1024))
                .unwrap()
                .check_property_crc()
                .is_none_or(|r| r.is_err());
        assert!(noticed, "bit {bit}");
    }
}

#[test]
fn a_record_cut_anywhere_is_refused_with_its_place() {
    let bytes = sample();
    for len in 0..bytes.len() {
        let error = MessageRecord::parse(&bytes[..len], PhysicalOffset(1024)).unwrap_err();
        assert!(matches!(error.kind, FormatErrorKind::Truncated { .. }), "{len}: {error}");
        assert!(error.offset >= 1024);
    }
}

#[test]
fn lengths_that_do_not_add_up_name_both_sums() {
    let mut bytes = sample();
    bytes[3] = 0x7e;
    let error = MessageRecord::parse(&bytes, PhysicalOffset(1024)).unwrap_err();
    assert_eq!(error.to_string(), "total size 126 but fields add up to 130 at offset 1024");
}

#[test]
fn zeros_are_an_illegal_magic_code_of_zero() {
    let error = Entry::parse(&[0; 64], PhysicalOffset(99)).unwrap_err();
    assert_eq!(error.to_string(), "illegal magic code 0x00000000 at offset 99");
}

#[test]
fn a_blank_ends_the_entries_of_a_file() {
    let mut bytes = sample();
    bytes.extend_from_slice(&[0, 0, 0, 40, 0xCB, 0xD4, 0x31, 0x94]);
    bytes.extend_from_slice(&[0xAA; 32]);
    let entries: Vec<_> = Entries::new(&bytes, PhysicalOffset(1024)).collect::<Result<_, _>>().unwrap();
    assert!(matches!(
        entries[..],
        [Entry::Message(_), Entry::Blank(Blank { position: PhysicalOffset(1154), total_size: 40 })]
    ));
}

#[test]
fn resync_finds_the_record_behind_garbage_and_no_copy_of_it() {
    let mut bytes = vec![0xDA; 1000];
    bytes.extend_from_slice(&sample());
    bytes.extend_from_slice(&sample());
    let found = resync(&bytes, PhysicalOffset(24), 0).unwrap();
    assert_eq!(found.position, PhysicalOffset(1024));
    assert!(resync(&bytes, PhysicalOffset(24), 1001).is_none(), "the second copy names another place");
}

#[test]
fn properties_follow_the_parser_of_4_9_1() {
    let text = b"A\x011\x02noseparator\x02\x01novalue\x02empty\x01\x02A\x012\x02B\x01x\x01y";
    let map = Properties::new(text).to_map();
    let pairs: Vec<_> = map.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect();
    assert_eq!(pairs, [("A", "2"), ("B", "x\u{1}y")]);
    assert_eq!(Properties::new(text).get("A"), Some(&b"2"[..]));
}
