use super::*;

fn mark(path: &str, at_least: Option<Release>, at_most: Option<Release>, about: About) -> Mark {
    let says = String::new();
    Mark { mark: "test", path: path.to_owned(), says, at_least, at_most, about, strength: Strength::Strong }
}

#[test]
fn bounds_are_the_narrowest_of_all_strong_marks() {
    let mut weak = mark("abort", None, Some(Release::V4_3_0), About::LastWriter);
    weak.strength = Strength::Weak;
    let bounds = ReleaseBounds::from_marks(vec![
        mark("lock", Some(Release::V4_2_0), None, About::OpenedOnce),
        mark("config/topics.json", Some(Release::V4_1_0), Some(Release::V4_9_8), About::LastWriter),
        mark("commitlog", None, Some(Release::V4_0_0), About::History),
        weak,
    ]);
    assert_eq!((bounds.oldest, bounds.newest), (Some(Release::V4_2_0), Some(Release::V4_9_8)));
    assert_eq!(bounds.mixed, None);
    assert_eq!(bounds.evidence.len(), 4);
}

#[test]
fn without_marks_nothing_is_claimed() {
    assert_eq!(ReleaseBounds::from_marks(Vec::new()), ReleaseBounds::default());
}

#[test]
fn a_newer_mark_beside_a_file_of_an_older_writer_is_said_and_both_lie_in_the_bounds() {
    let bounds = ReleaseBounds::from_marks(vec![
        mark("timerwheel", Some(Release::V5_0_0), None, About::OpenedOnce),
        mark("config/topics.json", Some(Release::V4_1_0), Some(Release::V4_9_8), About::LastWriter),
        mark("config/consumerOffset.json", None, Some(Release::V4_9_8), About::LastWriter),
        mark("config/delayOffset.json", None, Some(Release::V5_3_4), About::LastWriter),
    ]);
    assert_eq!((bounds.oldest, bounds.newest), (Some(Release::V4_1_0), Some(Release::V5_3_4)));
    let mixed = bounds.mixed.unwrap();
    assert_eq!((mixed.opened_by, mixed.last_written_by), (Release::V5_0_0, Release::V4_9_8));
    assert_eq!(mixed.path, "config/topics.json");
}

#[test]
fn records_speak_of_the_broker_at_their_time_and_client_marks_stay_apart() {
    let seen = |at: u64| Some(Sighting { physical_offset: at.into(), store_timestamp: 1_500_000_000_000 });
    let store = tempfile::tempdir().unwrap();
    let log = LogMarks {
        magic_v2: seen(187),
        prepared_in_business_topic: seen(91),
        uniq_key: seen(0),
        codec_bits: seen(500),
        ..LogMarks::default()
    };
    let bounds = ReleaseBounds::read(store.path(), None, &log).unwrap();
    assert_eq!((bounds.oldest, bounds.newest), (Some(Release::V5_1_0), None));
    assert_eq!(
        bounds.evidence[0].says,
        "magic 0xDAA320AB: broker from 5.1.0 on, seen at 187, stored at 1500000000000 ms"
    );
    assert_eq!(
        bounds.client_marks.iter().map(|m| m.mark).collect::<Vec<_>>(),
        ["client.uniq-key", "client.codec-bits"]
    );
}

#[test]
fn a_store_that_cannot_be_listed_is_an_error() {
    let missing = tempfile::tempdir().unwrap().path().join("no-store");
    assert!(ReleaseBounds::read(&missing, None, &LogMarks::default()).is_err());
}

#[test]
fn a_topic_of_a_user_with_a_system_like_name_is_no_mark() {
    let store = tempfile::tempdir().unwrap();
    std::fs::create_dir(store.path().join("config")).unwrap();
    let topics = "{\"topicConfigTable\":{\"ORDER_REPLY_TOPIC\":{},\"stateVersion\":{}}}";
    std::fs::write(store.path().join("config/topics.json"), topics).unwrap();
    let bounds = ReleaseBounds::read(store.path(), None, &LogMarks::default()).unwrap();
    assert_eq!(bounds.evidence, []);
}

#[test]
fn the_backup_file_speaks_when_the_current_one_is_torn() {
    let store = tempfile::tempdir().unwrap();
    std::fs::create_dir(store.path().join("config")).unwrap();
    std::fs::write(store.path().join("config/topics.json"), "{\"dataVersion\":{\"counter\":1,\"stateVer").unwrap();
    let whole = "{\"dataVersion\":{\"counter\":1,\"timestatmp\":1500000000000}}";
    std::fs::write(store.path().join("config/topics.json.bak"), whole).unwrap();
    let bounds = ReleaseBounds::read(store.path(), None, &LogMarks::default()).unwrap();
    assert_eq!((bounds.newest, bounds.evidence[0].path.as_str()), (Some(Release::V4_0_0), "config/topics.json.bak"));
}

#[test]
fn the_serialised_form_carries_the_keys_of_the_command_line() {
    let bounds = ReleaseBounds::from_marks(vec![mark("lock", Some(Release::V4_2_0), None, About::OpenedOnce)]);
    let json = serde_json::to_value(&bounds).unwrap();
    assert_eq!(json["oldest"], "4.2.0");
    assert_eq!(json["newest"], serde_json::Value::Null);
    assert_eq!((&json["evidence"][0]["mark"], &json["evidence"][0]["path"]), (&"test".into(), &"lock".into()));
    assert!(json["evidence"][0]["says"].is_string());
}
