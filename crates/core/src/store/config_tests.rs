use std::fs;

use tempfile::TempDir;

use super::*;

const OFFSETS: &str = "{\"offsetTable\":{\"T@G\":{0:5}}}";

/// A store root with these files under `config/`.
fn root_with(files: &[(&str, &[u8])]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("config");
    fs::create_dir(&config).unwrap();
    for (name, bytes) in files {
        let path = config.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root
}

fn offsets(files: &[(&str, &[u8])]) -> Loaded<ConsumerOffsetTable> {
    ConfigDir::new(root_with(files).path()).consumer_offsets()
}

#[test]
fn a_good_file_wins_and_its_copies_are_told() {
    let loaded = offsets(&[
        ("consumerOffset.json", OFFSETS.as_bytes()),
        ("consumerOffset.json.bak", b"{\"offset"),
        ("consumerOffset.json.tmp", b"{}"),
    ]);
    assert_eq!(loaded.source, ConfigSource::File);
    assert_eq!((loaded.file.state.clone(), loaded.file.bytes), (CopyState::Good, 29));
    assert!(loaded.file.modified.is_some());
    let CopyState::Bad(error) = &loaded.bak.state else { panic!("{:?}", loaded.bak.state) };
    assert_eq!(error.to_string(), "expected a string that ends, found the end of the file at offset 8");
    assert!(loaded.tmp.as_ref().unwrap().ends_with("config/consumerOffset.json.tmp"));
    assert_eq!(loaded.value().unwrap().offset_table["T@G"][&0], 5);
}

#[test]
fn a_tmp_is_noticed_but_never_read() {
    let loaded = offsets(&[("consumerOffset.json.tmp", OFFSETS.as_bytes())]);
    assert_eq!((loaded.source, loaded.value()), (ConfigSource::None, None));
    assert!(loaded.tmp.is_some() && loaded.is_there());
    assert_eq!(loaded.file.state, CopyState::Missing);
}

#[test]
fn a_file_without_its_table_counts_as_an_empty_table() {
    for text in ["{}", "null", "   \n", "{\"dataVersion\":{\"counter\":1}}", "{\"offsetTable\":null}"] {
        let loaded =
            offsets(&[("consumerOffset.json", text.as_bytes()), ("consumerOffset.json.bak", OFFSETS.as_bytes())]);
        assert_eq!((loaded.source, &loaded.file.state), (ConfigSource::File, &CopyState::WithoutTable), "{text:?}");
        assert!(loaded.value().unwrap().offset_table.is_empty());
        assert_eq!(loaded.bak.value.unwrap().offset_table.len(), 1, "what will be overwritten is there to tell");
    }
}

#[test]
fn an_empty_table_is_good() {
    let loaded = offsets(&[("consumerOffset.json", b"{\n\t\"offsetTable\":{}\n}")]);
    assert_eq!((loaded.source, loaded.file.state), (ConfigSource::File, CopyState::Good));
}

#[test]
fn a_value_of_the_wrong_type_sends_the_broker_to_the_bak() {
    let wrong: &[u8] = b"{\"offsetTable\":{\"T@G\":{0:null}}}";
    let loaded = offsets(&[("consumerOffset.json", wrong), ("consumerOffset.json.bak", OFFSETS.as_bytes())]);
    assert_eq!(loaded.source, ConfigSource::Bak);
    let root = root_with(&[("consumerOffset.json", wrong), ("consumerOffset.json.bak", OFFSETS.as_bytes())]);
    let document = ConfigDir::new(root.path()).document(ConfigPlace::Root, "consumerOffset.json").unwrap();
    assert_eq!(document.source, ConfigSource::Bak, "the text is chosen as the table is");
}

#[test]
fn what_cannot_be_read_is_told_and_a_bak_like_that_refuses() {
    let loaded = offsets(&[("consumerOffset.json/x", b"")]);
    assert_eq!(loaded.file.state, CopyState::Unreadable { reason: io::ErrorKind::IsADirectory });
    assert_eq!(loaded.source, ConfigSource::None);
    let loaded = offsets(&[("consumerOffset.json.bak/x", b"")]);
    assert_eq!(loaded.source, ConfigSource::Refused);
}

#[test]
fn a_file_too_large_is_not_read() {
    let root = root_with(&[]);
    let file = File::create(root.path().join("config/consumerOffset.json")).unwrap();
    file.set_len(MAX_CONFIG_BYTES + 1).unwrap();
    let loaded = ConfigDir::new(root.path()).consumer_offsets();
    assert_eq!((loaded.file.state, loaded.file.bytes), (CopyState::TooLarge, MAX_CONFIG_BYTES + 1));
}

#[test]
fn a_folder_of_the_files_name_with_utf_8_inside_is_read_and_told() {
    let root =
        root_with(&[("topics.json/UTF-8", b"{\"topicConfigTable\":{\"T\":{}}}"), ("topics.json.bak/UTF-8", b"")]);
    let config = ConfigDir::new(root.path());
    let topics = config.topics().root;
    assert!(topics.file.in_utf8_folder && topics.file.path.ends_with("config/topics.json/UTF-8"));
    assert_eq!((topics.source, topics.value().unwrap().topics.len()), (ConfigSource::File, 1));
    assert_eq!(topics.bak.state, CopyState::Empty);
    assert_eq!(config.list(ConfigPlace::Root).unwrap().files, ["topics.json"]);
}

#[test]
fn characters_of_several_bytes_are_an_empty_file_to_3_5_8() {
    let text = "{\"offsetTable\":{\"T@GID_消\":{0:5}}}";
    let root = root_with(&[("consumerOffset.json", text.as_bytes()), ("consumerOffset.json.bak", text.as_bytes())]);
    let config = ConfigDir::new(root.path());
    assert_eq!(config.consumer_offsets().source, ConfigSource::File);
    let loaded = config.refusing_multi_byte(true).consumer_offsets();
    assert_eq!((loaded.source, loaded.file.state), (ConfigSource::None, CopyState::MultiByte));
}

#[test]
fn topics_are_looked_for_in_the_home_folder_too() {
    let topics = |counter: i64| format!("{{\"dataVersion\":{{\"counter\":{counter}}},\"topicConfigTable\":{{}}}}");
    let (old, new) = (topics(3), topics(9));
    let home = root_with(&[("topics.json", new.as_bytes())]);
    let home_folder = Some(home.path().join("config"));

    let root = root_with(&[]);
    let only_home = ConfigDir::new(root.path()).with_home(home_folder.clone()).topics();
    assert_eq!((only_home.places(), only_home.newest()), (vec![ConfigPlace::Home], ConfigPlace::Home));

    let root = root_with(&[("topics.json", old.as_bytes())]);
    let config = ConfigDir::new(root.path()).with_home(home_folder);
    let both = config.topics();
    assert_eq!((both.places().len(), both.newest()), (2, ConfigPlace::Home));
    assert_eq!(both.data_versions().map(|v| v.unwrap().counter), [3, 9]);
    assert_eq!(config.subscription_groups().places(), []);
    assert_eq!(ConfigDir::new(root.path()).topics().newest(), ConfigPlace::Root);
}

#[test]
fn a_listing_tells_known_files_databases_and_the_rest() {
    let root = root_with(&[
        ("topics.json.bak", b""),
        ("delayOffset.json.tmp", b""),
        ("timermetrics", b""),
        ("timercheck", &[0; 4096]),
        ("broker.properties", b""),
        ("topics.json.20160918", b""),
        ("rdb/CURRENT", b""),
        ("acls/CURRENT", b""),
        ("kv/CURRENT", b""),
        ("users", b"a file, not a database"),
        ("consumerOffset.json/x", b""),
    ]);
    let config = ConfigDir::new(root.path());
    let listing = config.list(ConfigPlace::Root).unwrap();
    assert_eq!(listing.files, ["broker.properties", "delayOffset.json", "timercheck", "timermetrics", "topics.json"]);
    assert_eq!(listing.rocksdb, ["acls", "rdb"]);
    assert_eq!(listing.unknown, ["consumerOffset.json", "kv", "topics.json.20160918", "users"]);
    assert_eq!(config.list(ConfigPlace::Home).unwrap(), ConfigListing::default());
    assert_eq!(ConfigDir::new(Path::new("no/such/store")).list(ConfigPlace::Root).unwrap(), ConfigListing::default());
}

#[test]
fn a_short_timercheck_is_an_error_with_its_path_and_a_missing_one_is_none() {
    let root = root_with(&[("timercheck", &[0; 20])]);
    let error = ConfigDir::new(root.path()).timercheck().unwrap_err();
    assert!(error.path().ends_with("config/timercheck"));
    assert_eq!(ConfigDir::new(root_with(&[]).path()).timercheck().unwrap(), None);
}
