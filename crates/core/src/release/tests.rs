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
