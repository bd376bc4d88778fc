use proptest::prelude::*;

use super::*;

const SAMPLE: &str = "{\n\t\"offsetTable\":{\n\t\t\"TopicTest@GID_a\":{0:123,1:456\n\t\t},\n\t\t\"%RETRY%GID_a@GID_a\":{0:7\n\t\t}\n\t}\n}";

fn strict(text: &str) -> String {
    let pretty = to_strict_json(text.as_bytes(), KeyOrder::AsWritten).unwrap();
    serde_json::from_str::<serde_json::Value>(&pretty).unwrap().to_string()
}

fn rejected(text: impl AsRef<[u8]>) -> String {
    parse(text.as_ref()).unwrap_err().to_string()
}

#[test]
fn numeric_keys_become_strings_at_every_depth() {
    assert_eq!(strict(SAMPLE), r#"{"offsetTable":{"TopicTest@GID_a":{"0":123,"1":456},"%RETRY%GID_a@GID_a":{"0":7}}}"#);
    assert_eq!(strict("{1:{-2:[{3:4}]}}"), r#"{"1":{"-2":[{"3":4}]}}"#);
}

#[test]
fn what_the_brokers_parser_accepts_beyond_json_is_accepted() {
    assert_eq!(strict("{'a':1,b:2,_c$1:3}"), r#"{"a":1,"b":2,"_c$1":3}"#, "single quotes, no quotes");
    assert_eq!(strict("{,\"a\":1,,2:3,}"), r#"{"a":1,"2":3}"#, "extra and trailing commas");
    assert_eq!(strict("{\"a\":[1,,2,],}"), r#"{"a":[1,2]}"#, "extra commas in an array");
    assert_eq!(strict("/* head */{/**/\"a\"/*x*/:/*y*/1/* * / */}/* tail */"), r#"{"a":1}"#, "comments");
    assert_eq!(strict("\u{feff}{\"a\":1}"), r#"{"a":1}"#, "byte order mark");
    assert_eq!(strict("{\"a\":1}\0\0\0\0"), r#"{"a":1}"#, "NUL bytes after the end");
    assert_eq!(strict("{\"a\":1}\n \t"), r#"{"a":1}"#, "blanks after the end");
    assert_eq!(strict("{\"a\":1,\"b\":2,\"a\":3}"), r#"{"b":2,"a":3}"#, "the last of two equal names");
    assert_eq!(strict("{0:1,\"0\":2}"), r#"{"0":2}"#, "a numeric key equals the quoted one");
}

#[test]
fn what_the_brokers_parser_rejects_is_rejected_with_its_place() {
    assert_eq!(rejected(b"{}xx"), "expected the end of the file, found 'x' at offset 2");
    assert_eq!(rejected(b"{}{}"), "expected the end of the file, found '{' at offset 2");
    assert_eq!(rejected([0; 98]), "expected a value, found byte 0x00 at offset 0");
    assert_eq!(rejected(b"  \0"), "expected a value, found byte 0x00 at offset 2");
    assert_eq!(rejected(br#"{"offsetTable":{1:"#), "expected a value, found the end of the file at offset 18");
    assert_eq!(rejected(br#"{"a"}"#), "expected ':', found '}' at offset 4");
    assert_eq!(rejected(br#"{"a":1 "b":2}"#), "expected ',' or '}', found '\"' at offset 7");
    assert_eq!(rejected(br#"{"a":1} /* "#), "expected a comment that ends, found '/' at offset 8");
    assert_eq!(rejected(br"{1.5:1}"), "expected a key that is an integer, found '1' at offset 1");
    assert_eq!(rejected(br#"{"a":"\q"}"#), "expected an escape, found 'q' at offset 7");
}

#[test]
fn a_torn_text_is_rejected_wherever_it_is_torn() {
    for len in 1..SAMPLE.len() {
        let error = parse(&SAMPLE.as_bytes()[..len]).unwrap_err();
        assert_eq!((error.offset, error.found.as_str()), (len as u64, "the end of the file"));
        let mut zero_filled = SAMPLE.as_bytes()[..len].to_vec();
        zero_filled.resize(4096, 0);
        parse(&zero_filled).unwrap_err();
    }
}

#[test]
fn blanks_and_null_are_null() {
    for text in ["", " ", "   \n", "\t\r\n\u{c}\u{8}", "null", " null \0"] {
        assert_eq!(parse(text.as_bytes()).unwrap().root.value, Value::Null, "{text:?}");
    }
}

#[test]
fn numbers_keep_all_their_digits() {
    let max = i64::MAX;
    assert_eq!(parse(format!("{{0:{max},1:-{max}}}").as_bytes()).unwrap().root.get("0").unwrap().as_i64(), Some(max));
    assert_eq!(strict("[007,-0,9007199254740993]"), "[7,0,9007199254740993]");
    let beyond = parse(b"[9223372036854775808,1.50,00.5e+3]").unwrap().root;
    assert_eq!(
        beyond.to_strict_json(KeyOrder::AsWritten),
        "[\n  9223372036854775808,\n  1.50,\n  0.5e+3\n]",
        "what no long holds stays text"
    );
}

#[test]
fn escapes_are_those_of_json_and_the_single_quote() {
    let root = parse(br#"["\"\\\/\n\t\r\b\f\'","\u6D88\u2028","\uD83D\uDE00","\ud83dx","\ude00"]"#).unwrap().root;
    let Value::Array(texts) = root.value else { panic!("not an array") };
    let texts: Vec<&str> = texts.iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(texts, ["\"\\/\n\t\r\u{8}\u{c}'", "消\u{2028}", "😀", "\u{fffd}x", "\u{fffd}"]);
}

#[test]
fn bytes_that_are_not_utf8_are_taken_as_latin1_and_flagged() {
    let gbk = parse(b"{\"T@GID_\xcf\xfb\":{0:5}}").unwrap();
    assert_eq!(gbk.facts.encoding, Encoding::Latin1);
    assert_eq!(gbk.root.get("T@GID_\u{cf}\u{fb}").unwrap().get("0").unwrap().as_i64(), Some(5));
    let utf8 = parse("{\"T@GID_消\":{0:5}}".as_bytes()).unwrap();
    assert_eq!(utf8.facts.encoding, Encoding::Utf8);
    assert!(utf8.root.get("T@GID_消").is_some());
}

#[test]
fn references_to_members_of_the_root_are_resolved_and_others_counted() {
    let document =
        parse(br#"{"a":{"b":{0:1}},"c":{"$ref":"$.a.b"},"d":{"$ref":".."},"e":{"$ref":"$"},"f":{"$ref":"$.x"}}"#);
    let document = document.unwrap();
    assert_eq!(document.root.get("c").unwrap().get("0").unwrap().as_i64(), Some(1));
    assert_eq!(document.facts.unresolved_references, 3);
    assert_eq!(document.root.get("d").unwrap().value, Value::Reference("..".to_owned()));
}

#[test]
fn references_that_would_grow_without_bound_are_left_alone() {
    let mut text = String::from("{\"a0\":[1,1]");
    for n in 1..40 {
        let below = format!("{{\"$ref\":\"$.a{}\"}}", n - 1);
        text.push_str(&[",\"a", &n.to_string(), "\":[", &below, ",", &below, "]"].concat());
    }
    let document = parse((text + "}").as_bytes()).unwrap();
    assert_eq!(document.facts.unresolved_references, 2 * 38, "only those to a0 hold no reference");
}

#[test]
fn nesting_is_bounded() {
    assert!(parse(format!("{}{}", "[".repeat(129), "]".repeat(129)).as_bytes()).is_ok());
    let deep = "[".repeat(1_000_000);
    assert_eq!(rejected(&deep), "expected at most 128 levels of nesting, found '[' at offset 129");
    assert_eq!(rejected("{0:".repeat(1_000_000)), "expected at most 128 levels of nesting, found '{' at offset 387");
}

#[test]
fn the_layout_of_numeric_keys_tells_fastjson2_from_fastjson1() {
    let layout = |text: &str| parse(text.as_bytes()).unwrap().facts.numeric_keys_on_own_lines;
    assert_eq!(layout(SAMPLE), Some(false));
    assert_eq!(layout("{\n\t\"offsetTable\":{\n\t\t\"T@G\":{\n\t\t\t0:15,\n\t\t\t1:15\n\t\t}\n\t}\n}"), Some(true));
    assert_eq!(layout("{\n\t\"offsetTable\":{}\n}"), None);
}

#[test]
fn strict_json_can_be_sorted_with_numbers_by_value() {
    let sorted = to_strict_json(b"{\"b\":1,10:2,9:3,\"a\":{}}", KeyOrder::Sorted).unwrap();
    assert_eq!(sorted, "{\n  \"9\": 3,\n  \"10\": 2,\n  \"a\": {},\n  \"b\": 1\n}");
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::vec((any::<String>(), inner), 0..8).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(document) = parse(&bytes) {
            document.root.to_strict_json(KeyOrder::Sorted);
        }
    }

    #[test]
    fn arbitrary_pieces_of_the_dialect_never_panic_and_what_is_accepted_becomes_json(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "'", "\\", "\\u", "d83d", "0", "-1", "1.5", "e9", "a", "null",
                "true", "/*", "*/", " ", "\n", "\0", "\u{feff}", "消", "\"$ref\"", "\"$.a\"", "{\"$ref\":\"$.a\"}",
                "{\"a\":", "{0:1}", "\u{1}",
            ]),
            0..40,
        ),
    ) {
        if let Ok(strict) = to_strict_json(pieces.concat().as_bytes(), KeyOrder::AsWritten) {
            let result = serde_json::from_str::<serde_json::Value>(&strict);
            prop_assert!(result.is_ok() || strict.contains('e'), "{strict}: {result:?}");
        }
    }

    #[test]
    fn strict_json_is_read_as_serde_json_reads_it(value in json()) {
        // fastjson itself would take a lone member of that name as a reference.
        prop_assume!(!value.to_string().contains("$ref"));
        let strict = to_strict_json(value.to_string().as_bytes(), KeyOrder::AsWritten).unwrap();
        prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&strict).unwrap(), value);
    }
}
