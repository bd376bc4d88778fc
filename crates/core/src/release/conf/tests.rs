use std::path::{Path, PathBuf};

use super::*;

fn conf(text: &str) -> BrokerConf {
    BrokerConf::parse(text.as_bytes()).unwrap()
}

fn resolved(text: &str, release: Release) -> Resolved {
    conf(text).resolve(release, Path::new("/home/mq"))
}

fn notes(text: &str, release: Release) -> Vec<(String, usize, NoteLevel, ConfProblem)> {
    conf(text).lint(release).into_iter().map(|n| (n.key, n.line, n.level, n.problem)).collect()
}

#[test]
fn the_file_is_read_as_java_reads_properties() {
    let text = b"# a=1\n  ! b=2\nkey = value \n\tc:d\ne f\\=g\nlist=a,\\\n   b,\\\r\n\tc\nuni=\\u4e2d\\u0041\\ud83d\\ude00\nlatin=\xe9\nbare\nes\\:c\\ ape=\\q\\t|\nodd=x\\\\\nkey=last";
    let conf = BrokerConf::parse(text).unwrap();
    let all: Vec<_> = conf.entries().iter().map(|e| (e.line, e.key.as_str(), e.value.as_str())).collect();
    assert_eq!(
        all,
        [
            (3, "key", "value "),
            (4, "c", "d"),
            (5, "e", "f=g"),
            (6, "list", "a,b,c"),
            (9, "uni", "中A😀"),
            (10, "latin", "é"),
            (11, "bare", ""),
            (12, "es:c ape", "q\t|"),
            (13, "odd", "x\\"),
            (14, "key", "last"),
        ]
    );
    assert_eq!(conf.get("key").map(|e| e.line), Some(14));
}

#[test]
fn a_malformed_escape_is_an_error_with_its_line() {
    assert_eq!(BrokerConf::parse(b"a=1\nb=\\u12x4\n"), Err(BadEscape { line: 2 }));
}

#[test]
fn without_a_file_the_log_lies_in_home_and_sizes_are_the_defaults() {
    for release in Release::ALL {
        let r = resolved("", release);
        assert_eq!(r.store_path_root_dir.value, Path::new("/home/mq/store"), "{release}");
        assert_eq!(r.commit_log_paths.value, [Path::new("/home/mq/store/commitlog")], "{release}");
        assert_eq!(r.mapped_file_size_commit_log, Value { value: 1_073_741_824, origin: Origin::Default }, "{release}");
        assert_eq!(r.mapped_file_size_consume_queue.value, 6_000_000, "{release}");
        assert_eq!((r.max_hash_slot_num.value, r.max_index_num.value), (5_000_000, 20_000_000), "{release}");
    }
    assert_eq!(resolved("", Release::V3_4_6).max_message_size.value, 524_288);
    assert_eq!(resolved("", Release::V3_5_5).max_message_size.value, 4_194_304);
}

#[test]
fn a_log_path_that_follows_the_root_does_so_from_4_9_4_on() {
    let text = "storePathRootDir=/data/store\n";
    assert_eq!(resolved(text, Release::V4_9_3).commit_log_paths.value, [Path::new("/home/mq/store/commitlog")]);
    assert_eq!(resolved(text, Release::V4_9_4).commit_log_paths.value, [Path::new("/data/store/commitlog")]);
}

#[test]
fn each_spelling_of_a_size_key_counts_on_its_side_of_4_5_2_only() {
    let text = "mapedFileSizeConsumeQueue=300000\nmappedFileSizeCommitLog=1048576\n";
    let old = resolved(text, Release::V4_5_1);
    assert_eq!(
        old.mapped_file_size_consume_queue,
        Value { value: 300_000, origin: Origin::Key { key: "mapedFileSizeConsumeQueue", line: 1 } }
    );
    assert_eq!(old.mapped_file_size_commit_log.value, 1 << 30);
    let new = resolved(text, Release::V4_5_2);
    assert_eq!(new.mapped_file_size_consume_queue.value, 6_000_000);
    assert_eq!(new.mapped_file_size_commit_log.value, 1_048_576);
    assert_eq!(
        resolved("mapedFileSizeConsumeQueue=20001", Release::V3_5_8).mapped_file_size_consume_queue.value,
        20_020
    );
}

#[test]
fn several_log_folders_are_a_list_from_4_9_2_on_and_one_name_before() {
    let text = "storePathCommitLog=/a/log,/b/log\nreadOnlyCommitLogStorePaths=/c/log\n";
    let old = resolved(text, Release::V4_9_1);
    assert_eq!(old.commit_log_paths.value, [Path::new("/a/log,/b/log")]);
    assert_eq!(old.read_only_commit_log_paths.value, Vec::<PathBuf>::new());
    let new = resolved(text, Release::V4_9_2);
    assert_eq!(new.commit_log_paths.value, [Path::new("/a/log"), Path::new("/b/log")]);
    assert_eq!(new.read_only_commit_log_paths.value, [Path::new("/c/log")]);
    assert_eq!(notes(text, Release::V4_9_1)[0].2, NoteLevel::Block);
}

#[test]
fn blanks_at_the_end_stay_in_texts_before_5_2_0_and_spoil_numbers_always() {
    let text = "storePathRootDir=/data/store \nmaxHashSlotNum=500 \n";
    let old = resolved(text, Release::V5_1_4);
    assert_eq!(old.store_path_root_dir.value, Path::new("/data/store "));
    let new = resolved(text, Release::V5_2_0);
    assert_eq!(new.store_path_root_dir.value, Path::new("/data/store"));
    for r in [old, new] {
        let origin = Origin::DefaultInsteadOf { key: "maxHashSlotNum", line: 2 };
        assert_eq!(r.max_hash_slot_num, Value { value: 5_000_000, origin });
    }
}

#[test]
fn a_number_beyond_int_or_no_number_leaves_the_default() {
    let text = "mapedFileSizeCommitLog=2147483648\nfileReservedTime=48h\n";
    let r = resolved(text, Release::V3_5_8);
    assert_eq!((r.mapped_file_size_commit_log.value, r.file_reserved_time.value), (1 << 30, 72));
    let bad: Vec<_> =
        notes(text, Release::V3_5_8).into_iter().filter(|n| n.3 == ConfProblem::BadValue).map(|n| n.1).collect();
    assert_eq!(bad, [1, 2]);
}

#[test]
fn controller_files_have_the_place_of_their_release() {
    let text = "storePathRootDir=/data/store\n";
    let file = |release| resolved(text, release).epoch_file.map(|v| v.value);
    assert_eq!(file(Release::V4_9_8), None);
    assert_eq!(file(Release::V5_1_0), Some(PathBuf::from("/home/mq/store/epochFileCheckpoint")));
    assert_eq!(file(Release::V5_1_1), Some(PathBuf::from("/data/store/epochFileCheckpoint")));
    assert_eq!(resolved(text, Release::V5_1_0).broker_identity, None);
    assert_eq!(
        resolved(text, Release::V5_1_1).broker_identity.map(|v| v.value),
        Some(PathBuf::from("/data/store/brokerIdentity"))
    );
}

#[test]
fn topics_json_lies_in_home_from_3_5_5_to_3_5_8() {
    let folder = |release| resolved("storePathRootDir=/data/store", release).topics_json_folder;
    assert_eq!(folder(Release::V3_2_6), Path::new("/data/store/config"));
    assert_eq!(folder(Release::V3_5_8), Path::new("/home/mq/store/config"));
    assert_eq!(folder(Release::V4_0_0), Path::new("/data/store/config"));
}

#[test]
fn the_dledger_folder_carries_the_self_id_and_its_data_moves_from_4_9_4_on() {
    let text = "storePathRootDir=/data/store\nenableDLegerCommitLog=true\ndLegerSelfId=n0\nstorePathDLedgerCommitLog=/ssd/data\nbrokerId=7\n";
    assert_eq!(resolved(text, Release::V4_4_0).dledger, None);
    let old = resolved(text, Release::V4_9_3);
    assert_eq!(old.broker_id.value, -1);
    assert_eq!(old.dledger.map(|d| d.data.value), Some(PathBuf::from("/data/store/dledger-n0/data")));
    let new = resolved(text, Release::V4_9_4).dledger.unwrap();
    assert_eq!(new.folder, Path::new("/data/store/dledger-n0"));
    assert_eq!(new.data.value, Path::new("/ssd/data"));
}

#[test]
fn a_master_has_id_0_and_a_slave_its_own() {
    assert_eq!(resolved("brokerId=3", Release::V4_3_2).broker_id.value, 0);
    assert_eq!(resolved("brokerId=3\nbrokerRole=SLAVE", Release::V4_3_2).broker_id.value, 3);
}

#[test]
fn keys_without_effect_are_named_with_their_lines() {
    let text =
        "storePathConsumeQueue=/x\nmaxCommitLogFilesNumber=3\nstorePathIndex=/y\nstoreCheckpoint=/z\nabortFile=/a\n";
    for release in [Release::V3_2_6, Release::V4_3_2, Release::V5_5_0] {
        let found = notes(text, release);
        assert_eq!(found.iter().map(|n| n.1).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert!(found.iter().all(|n| n.2 == NoteLevel::Warning && n.3 == ConfProblem::NeverRead));
    }
}

#[test]
fn a_renamed_key_is_a_warning_alone_and_an_info_beside_the_right_one() {
    let maped = "mapedFileSizeCommitLog=1048576\n";
    let alone = conf(maped).lint(Release::V4_9_7);
    assert_eq!((alone[0].level, alone[0].problem), (NoteLevel::Warning, ConfProblem::Renamed));
    assert_eq!(
        alone[0].says,
        "4.9.7 ignores it and reads mappedFileSizeCommitLog, which is not set: the default is used"
    );
    let both = format!("{maped}mappedFileSizeCommitLog=1048576\n");
    assert_eq!(notes(&both, Release::V4_9_7)[0].2, NoteLevel::Info);
    assert_eq!(notes(maped, Release::V4_5_1), []);
}

#[test]
fn a_key_outside_the_table_is_not_called_wrong_but_a_slip_of_the_pen_is_noticed() {
    let text = "sendMessageThreadPoolNums=16\nstorePathRootdir=/data\nmappedFilSizeCommitLog=1\n";
    let of = |key: &str, line, level, problem| (key.to_owned(), line, level, problem);
    assert_eq!(
        notes(text, Release::V4_9_7),
        [
            of("sendMessageThreadPoolNums", 1, NoteLevel::Info, ConfProblem::NotKnown),
            of("storePathRootdir", 2, NoteLevel::Warning, ConfProblem::Misspelled),
            of("mappedFilSizeCommitLog", 3, NoteLevel::Warning, ConfProblem::Misspelled),
        ]
    );
}

#[test]
fn keys_that_bite_block_on_the_releases_where_they_do() {
    let level = |text: &str, release| notes(text, release).into_iter().map(|n| n.2).max();
    let duplication = "duplicationEnable=true";
    assert_eq!(level(duplication, Release::V4_9_8), None);
    assert_eq!(level(duplication, Release::V5_0_0), Some(NoteLevel::Block));
    let crc = "forceVerifyPropCRC=true";
    assert_eq!(level(crc, Release::V5_1_4), Some(NoteLevel::Info));
    assert_eq!(level(crc, Release::V5_2_0), Some(NoteLevel::Block));
    let acl = "aclEnable=true";
    assert_eq!(level(acl, Release::V5_3_2), None);
    assert_eq!(level(acl, Release::V5_3_3), Some(NoteLevel::Block));
    let both = "enableDLegerCommitLog=true\nenableControllerMode=true";
    assert_eq!(level(both, Release::V5_1_0), None);
    assert_eq!(level(both, Release::V5_1_1), Some(NoteLevel::Block));
    let root = "storePathRootDir=/data/store";
    assert_eq!(level(root, Release::V3_5_8), Some(NoteLevel::Warning));
    assert_eq!(level("storePathRootDir=/d\nstorePathCommitLog=/d/commitlog", Release::V3_5_8), None);
}

#[test]
fn a_key_of_a_megabyte_is_judged_like_any_unknown_one() {
    // The distance to a known key is quadratic: were it computed for this one, the test would not end.
    let key = "k".repeat(1 << 20);
    let found = notes(&format!("{key}=1"), Release::V4_3_2);
    assert!(matches!(&found[..], [(found, 1, NoteLevel::Info, _)] if *found == key));
}

#[test]
fn every_key_stands_in_the_table_once_and_its_other_name_points_back() {
    for key in ConfKey::all() {
        assert_eq!(ConfKey::all().iter().filter(|k| k.name == key.name).count(), 1, "{}", key.name);
        assert!(key.since <= key.until, "{}", key.name);
        if let Some(other) = key.other_name {
            assert_eq!(ConfKey::find(other).and_then(|k| k.other_name), Some(key.name), "{}", key.name);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_reading_or_judging_panic(bytes in "[a-zA-Z=:#! \\\\\t\r\nu0-9,é]{0,200}", release in 0..Release::ALL.len()) {
        let release = Release::ALL[release];
        if let Ok(conf) = BrokerConf::parse(bytes.as_bytes()) {
            conf.resolve(release, Path::new("/home/mq"));
            // A key that the table does not hold is never passed over.
            let noted = conf.lint(release);
            for entry in conf.entries().iter().filter(|e| ConfKey::find(&e.key).is_none()) {
                proptest::prop_assert!(noted.iter().any(|note| note.line == entry.line));
            }
        }
    }
}
