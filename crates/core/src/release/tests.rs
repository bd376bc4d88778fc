use super::rules::*;
use super::*;

#[test]
fn the_timeline_is_in_the_order_of_version_numbers_and_ordinals() {
    for pair in Release::ALL.windows(2) {
        assert!(pair[0] < pair[1]);
        assert!(pair[0].version() < pair[1].version(), "{} before {}", pair[0], pair[1]);
        assert!(pair[0].ordinal() < pair[1].ordinal(), "{} before {}", pair[0], pair[1]);
    }
    assert_eq!(Release::ALL.first(), Some(&Release::OLDEST));
    assert_eq!(Release::ALL.last(), Some(&Release::NEWEST));
}

#[test]
fn every_name_parses_back_and_agrees_with_its_numbers() {
    for release in Release::ALL {
        let (major, minor, patch) = release.version();
        assert_eq!(release.name(), format!("{major}.{minor}.{patch}"));
        assert_eq!(release.name().parse(), Ok(release));
    }
}

#[test]
fn dates_and_ordinals_are_those_of_the_timeline() {
    let row = |r: Release| (r.date(), r.ordinal());
    assert_eq!(row(Release::V3_5_8), (Some("2016-09-10"), 137));
    assert_eq!(row(Release::V4_0_0), (Some("2017-02-07"), 212));
    assert_eq!(row(Release::V4_3_2), (Some("2018-11-05"), 277));
    assert_eq!(row(Release::V4_9_8), (Some("2024-02-22"), 409));
    assert_eq!(row(Release::V5_3_3), (Some("2025-05-07"), 479));
    assert!(Release::V4_2_0.ordinal_note().is_some_and(|note| note.contains("SNAPSHOT")));
    assert!(Release::V5_4_0.is_provisional() && !Release::V5_3_3.is_provisional());
    assert!(Release::V5_5_0.is_covered() && !Release::V5_5_1.is_covered());
}

#[test]
fn an_unknown_patch_version_is_taken_as_its_neighbour_and_said_to_be() {
    let found = |text| Release::find(text).map(|f| (f.release, f.exact));
    assert_eq!(found("4.3.2"), Some((Release::V4_3_2, true)));
    assert_eq!(found("v4.0.0-incubating"), Some((Release::V4_0_0, true)));
    assert_eq!(found("4.3.9"), Some((Release::V4_3_2, false)));
    assert_eq!(found("3.5.1"), Some((Release::V3_5_5, false)));
    assert_eq!(found("3.6.0"), Some((Release::V3_5_8, false)));
    assert_eq!(found("3.2.5"), None);
    assert_eq!(found("6.0.0"), None);
    assert_eq!(found("4.3"), None);
    assert_eq!(found("4.3.2.1"), None);
    assert_eq!(
        "4.3.9".parse::<Release>().map_err(|e| e.to_string()),
        Err("\"4.3.9\" is no known release, expected one of 3.2.6 to 5.5.1, as 4.3.2".to_owned())
    );
}

#[test]
fn the_ranges_of_every_property_cover_all_releases_once_and_in_order() {
    let properties = Behaviour::properties();
    assert!(properties.len() > 60);
    for property in properties {
        let name = property.name;
        assert_eq!(property.rows.first().map(|r| r.since), Some(Release::OLDEST), "{name}");
        assert_eq!(property.rows.last().map(|r| r.until), Some(Release::NEWEST), "{name}");
        for row in &property.rows {
            assert!(row.since <= row.until, "{name}: {} to {}", row.since, row.until);
        }
        for pair in property.rows.windows(2) {
            assert_eq!(pair[1].since.previous(), Some(pair[0].until), "{name}");
            assert_ne!(pair[0].value, pair[1].value, "{name}: two lines say the same");
        }
    }
}

#[test]
fn what_was_seen_was_seen_inside_its_range_on_a_broker_that_was_run() {
    for property in Behaviour::properties() {
        for row in &property.rows {
            let Evidence::Seen(releases) = row.evidence else { continue };
            assert!(!releases.is_empty());
            for release in releases {
                let range = row.since..=row.until;
                assert!(range.contains(release), "{} {}: seen on {release}", property.name, row.value);
                assert_eq!(release.basis(), Basis::Seen, "{} {}: {release}", property.name, row.value);
            }
        }
    }
}

#[test]
fn the_looked_up_fact_is_the_line_that_covers_the_release() {
    for release in Release::ALL {
        let fact = release.behaviour().wrong_length;
        assert!(fact.since <= release && release <= fact.until, "{release}: {} to {}", fact.since, fact.until);
    }
    let fact = Release::V4_9_2.behaviour().wrong_length;
    assert_eq!((fact.since, fact.until), (Release::V4_9_2, Release::V4_9_2));
    assert!(fact.was_seen_on(Release::V4_9_2));
    assert!(!Release::V4_9_8.behaviour().wrong_length.was_seen_on(Release::V4_9_8));
}

#[test]
fn the_table_says_what_the_reference_says() {
    let of = |text: &str| text.parse::<Release>().unwrap().behaviour();
    assert_eq!(of("4.9.3").commit_log_place.value, DefaultPlace::Home);
    assert_eq!(of("4.9.4").commit_log_place.value, DefaultPlace::Root);
    assert_eq!(of("4.5.1").mapped_file_size_key.value, SizeKey::Maped);
    assert_eq!(of("4.5.2").mapped_file_size_key.value, SizeKey::Mapped);
    assert_eq!(of("3.5.8").topics_json_place.value, DefaultPlace::Home);
    assert_eq!(of("4.0.0").topics_json_place.value, DefaultPlace::Root);
    assert_eq!(of("4.4.0").wrong_length.value, WrongLength::HidesLater);
    assert_eq!(of("4.5.0").wrong_length.value, WrongLength::Refuses);
    assert_eq!(of("4.9.2").wrong_length.value, WrongLength::HidesLater);
    assert_eq!(of("4.9.3").wrong_length.value, WrongLength::Refuses);
    assert_eq!(of("5.0.0").sub_folder.value, SubFolder::AsWrongLength);
    assert_eq!(of("5.1.2").zero_length_last_file.value, ZeroLengthLastFile::AsWrongLength);
    assert_eq!(of("5.1.3").zero_length_last_file.value, ZeroLengthLastFile::Deleted);
    assert!(!of("5.0.0").record_magic_v2.value && of("5.1.0").record_magic_v2.value);
    assert!(!of("4.5.2").ipv6_hosts.value && of("4.6.0").ipv6_hosts.value);
    assert_eq!(of("3.4.1").length_mismatch.value, LengthMismatch::Fails);
    assert_eq!(of("4.3.1").length_mismatch.value, LengthMismatch::AbnormalGoesOn);
    assert_eq!(of("4.3.2").length_mismatch.value, LengthMismatch::Fails);
    assert_eq!(of("5.3.1").normal_scan_start.value, NormalScanStart::LastThree);
    assert_eq!(of("5.3.2").normal_scan_start.value, NormalScanStart::HighestCqPosition);
    assert_eq!(of("4.3.1").cq_truncation_normal.value, CqTruncation::Never);
    assert_eq!(of("4.4.0").max_physic_offset.value, MaxPhysicOffset::Phy);
    assert_eq!(of("4.4.0").empty_log_normal.value, EmptyLog::Ignored);
    assert_eq!(of("4.5.0").empty_log_normal.value, EmptyLog::DestroysQueues);
    assert_eq!(of("4.4.0").clean_dispatch.value, CleanDispatch::Nothing);
    assert_eq!(of("4.9.8").clean_dispatch.value, CleanDispatch::FromQueues);
    assert_eq!(of("5.3.1").clean_dispatch.value, CleanDispatch::Nothing);
    assert_eq!(of("5.3.2").clean_dispatch.value, CleanDispatch::FromQueuesButFirst);
    assert_eq!(of("4.9.8").abort_content.value, AbortContent::Empty);
    assert!(!of("4.1.0").lock_file.value && of("4.2.0").lock_file.value);
    assert_eq!([of("4.9.8"), of("5.0.0"), of("5.1.1"), of("5.5.0")].map(|b| b.checkpoint_fields.value), [3, 4, 5, 6]);
    assert_eq!(of("4.0.0").config_read.value, ConfigRead::Chars);
    assert_eq!(of("3.4.6").max_message_size.value, 524_288);
    assert_eq!(of("3.5.5").max_message_size.value, 4_194_304);
    assert_eq!(of("4.9.1").delay_offset.value, DelayOffset::Kept);
    assert!(of("4.9.8").rebuilt_delay_fires_at_once.value && !of("5.0.0").rebuilt_delay_fires_at_once.value);
    assert!(!of("3.4.6").commit_indexed.value && of("3.5.5").commit_indexed.value);
    assert!(!of("5.3.3").tags_indexed.value && of("5.4.0").tags_indexed.value);
    assert_eq!(of("4.3.2").phantom_unit.value, PhantomUnit::Never);
    assert_eq!(of("3.5.8").name_server_version_limit.value, Some(212));
    assert_eq!(of("4.1.0").name_server_version_limit.value, None);
}

#[test]
fn what_older_releases_do_not_know_agrees_with_the_table_of_behaviours() {
    use features::Feature;
    let in_behaviour = |feature: &str, release: Release| {
        let b = release.behaviour();
        Some(match feature {
            "magic_v2" => b.record_magic_v2.value,
            "ipv6_hosts" => b.ipv6_hosts.value,
            "records_above_512_kib" => b.record_above_max_message_size.value,
            "queue_extension" => b.consume_queue_ext.value,
            "half_messages" => b.half_message_topic.value,
            "dledger" => b.dledger.value,
            "several_log_folders" => b.commit_log_multi_path.value,
            "lmq" => b.lmq.value,
            "lock_file" => b.lock_file.value,
            "topic_attributes" => b.attributes.value,
            "timer" => b.timer_wheel.value,
            "pop" => b.pop.value,
            "batch_queues" => b.batch_consume_queue.value,
            "compaction" => b.compaction.value,
            "rocksdb_config" => b.rocksdb_config.value,
            "rocksdb_queues" => b.rocksdb_consume_queue.value,
            "config_v2" => b.config_manager_v2.value,
            "rocksdb_folder" => b.rocksdb_message_store.value,
            "tags_in_index" => b.tags_indexed.value,
            _ => return None,
        })
    };
    let mut compared = 0;
    for feature in Feature::all() {
        for release in Release::ALL {
            let Some(known) = in_behaviour(feature.name, release) else { continue };
            assert_eq!(feature.is_unknown_to(release), !known, "{} on {release}", feature.name);
            assert_eq!(feature.since <= release, known, "{} on {release}", feature.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 19 * Release::ALL.len());
}

#[test]
fn every_feature_is_named_once_and_unknown_before_it_came_only() {
    use features::{Feature, GetsIn};
    for feature in Feature::all() {
        assert_eq!(Feature::all().iter().filter(|other| other.name == feature.name).count(), 1, "{}", feature.name);
        let (first, last) = feature.unknown_to;
        assert!(first <= last && last < feature.since, "{}", feature.name);
        if let Evidence::Seen(releases) = feature.evidence {
            assert!(releases.iter().all(|release| release.basis() == Basis::Seen), "{}", feature.name);
            assert!(releases.iter().any(|release| feature.is_unknown_to(*release)), "{}: seen elsewhere", feature.name);
        }
        if let GetsIn::Switch(switches) = feature.gets_in {
            for switch in switches {
                let key = conf::ConfKey::find(switch.key()).unwrap_or_else(|| panic!("{} is no key", switch.key()));
                assert!(key.is_read_by(feature.since), "{}", switch.key());
            }
        }
    }
    let back = |writer, reader| Feature::between(writer, reader).map(|feature| feature.name).collect::<Vec<_>>();
    assert_eq!(
        back(Release::V4_3_2, Release::V3_5_8),
        ["queue_extension", "consumer_filters", "lock_file", "half_messages"]
    );
    assert_eq!(back(Release::V3_5_8, Release::V4_3_2), Vec::<&str>::new());
    assert_eq!(
        back(Release::V5_5_0, Release::V5_3_3),
        [
            "rocksdb_folder",
            "rocksdb_timers_and_transactions",
            "tags_in_index",
            "json_of_fastjson2",
            "pull_offsets",
            "separate_rocksdb_queues"
        ]
    );
}

#[test]
fn a_note_holds_for_both_ways_across_its_boundary_and_only_if_the_file_says_so() {
    use notes::{Note, Subject};
    let says = |from, to, conf: Option<&str>| {
        let conf = conf.map(|text| conf::BrokerConf::parse(text.as_bytes()).unwrap());
        Note::between(from, to, conf.as_ref())
            .filter(|note| note.level > conf::NoteLevel::Info)
            .map(|note| (note.subject, note.since))
            .collect::<Vec<_>>()
    };
    let sync = (Subject::Defaults, Release::V5_0_0);
    assert_eq!(says(Release::V4_9_7, Release::V5_1_4, Some("brokerRole=SYNC_MASTER")), [sync]);
    assert_eq!(says(Release::V5_1_4, Release::V4_9_7, Some("brokerRole=SYNC_MASTER")), [sync]);
    assert_eq!(says(Release::V4_9_7, Release::V5_1_4, Some("brokerRole=SYNC_MASTER\ninSyncReplicas=2")), []);
    assert_eq!(says(Release::V4_9_7, Release::V5_1_4, None), []);
    assert_eq!(says(Release::V5_0_0, Release::V5_1_4, Some("brokerRole=SYNC_MASTER")), []);
    let partial = (Subject::Replication, Release::V5_3_2);
    assert_eq!(says(Release::V4_9_7, Release::V5_3_3, None), [partial]);
    assert_eq!(says(Release::V5_3_3, Release::V5_5_0, None), [(Subject::Replication, Release::V5_4_0)]);
}

#[test]
fn a_name_server_takes_ordinals_that_it_has_constants_for() {
    assert_eq!(Release::V3_5_8.oldest_name_server(), Release::V3_2_6);
    assert_eq!(Release::V4_0_0.oldest_name_server(), Release::V4_0_0);
    assert_eq!(Release::V4_3_2.oldest_name_server(), Release::V4_1_0);
    assert_eq!(Release::V5_5_1.oldest_name_server(), Release::V4_1_0);
    assert!(!Release::V4_0_0.name_server_takes(Release::V4_1_0));
    assert!(!Release::V3_5_8.name_server_takes(Release::V4_0_0));
    let of = |server, broker| notes::NameServerNote::of(server, broker).count();
    assert_eq!((of(Release::V5_0_0, Release::V4_9_7), of(Release::V5_1_0, Release::V4_9_7)), (1, 0));
}
