//! Which release wrote a store, over all recorded stores.

use mqstore_core::release::Release;
use mqstore_core::release::marks::{About, LogMarks, ReleaseBounds};
use mqstore_testkit::{STORES, golden, truth};

fn bounds(archive: &str, store: &str) -> ReleaseBounds {
    let unpacked = crate::unpacked();
    let root = unpacked[archive].sub(store);
    let home = root.parent().unwrap().join("home");
    ReleaseBounds::read(&root, Some(&home), &LogMarks::default()).unwrap()
}

/// The release whose broker wrote the store last.
fn last_writer(archive: &str, store: &str) -> Release {
    if store == "backup-t0/store" {
        return Release::V3_5_8;
    }
    let text = match archive.strip_prefix("boot-base-") {
        Some(release) => release.to_owned(),
        None => truth(archive)["release"].as_str().unwrap().to_owned(),
    };
    text.parse().unwrap()
}

fn range(archive: &str) -> (Option<Release>, Option<Release>) {
    let bounds = bounds(archive, "store");
    (bounds.oldest, bounds.newest)
}

#[test]
fn the_last_writer_lies_within_the_bounds_of_every_store() {
    for (archive, store, _) in STORES {
        let bounds = bounds(archive, store);
        let writer = last_writer(archive, store);
        let (oldest, newest) = (bounds.oldest, bounds.newest);
        assert!(oldest.is_none_or(|r| r <= writer), "{archive}/{store}: {writer} but oldest {oldest:?}");
        assert!(newest.is_none_or(|r| r >= writer), "{archive}/{store}: {writer} but newest {newest:?}");
        assert!(oldest.is_some() || newest.is_some(), "{archive}/{store}: no bound at all");
        assert_eq!(bounds.mixed, None, "{archive}/{store}");
        assert_eq!(bounds.unread, Vec::<String>::new(), "{archive}/{store}");
    }
}

#[test]
fn the_bounds_are_as_narrow_as_the_marks_allow() {
    use Release as R;
    assert_eq!(range("3.2.6-clean"), (None, Some(R::V3_5_8)));
    assert_eq!(range("3.5.8-clean"), (Some(R::V3_5_5), Some(R::V3_5_8)));
    assert_eq!(range("4.3.2-clean"), (Some(R::V4_3_0), Some(R::V4_9_8)));
    assert_eq!(range("4.9.7-clean"), (Some(R::V4_7_1), Some(R::V4_9_8)));
    assert_eq!(range("5.3.3-clean"), (Some(R::V5_3_1), Some(R::V5_3_4)));
    assert_eq!(range("5.3.3-rocksdb"), (Some(R::V5_3_1), Some(R::V5_3_4)));
    assert_eq!(range("5.3.3-rocksdb-v2"), (Some(R::V5_3_2), Some(R::V5_3_4)));
    assert_eq!(range("5.4.0-clean"), (Some(R::V5_4_0), None));
    assert_eq!(range("5.5.0-clean"), (Some(R::V5_5_0), None));
}

#[test]
fn an_upgraded_store_still_tells_of_its_first_release() {
    let bounds = bounds("3.5.8-upgraded-4.3.2", "store");
    let old = bounds.evidence.iter().find(|m| m.about == About::History).unwrap();
    assert_eq!((old.mark, old.path.as_str()), ("config.home-split", "$HOME/store/config/topics.json"));
    assert_eq!((old.at_least, old.at_most), (Some(Release::V3_5_5), Some(Release::V3_5_8)));
}

#[test]
fn an_older_broker_that_took_a_store_over_is_noticed() {
    let golden = golden("5.3.3-clean");
    let older = mqstore_testkit::golden("4.9.7-clean");
    let name = "config/consumerOffset.json";
    std::fs::copy(older.root().join(name), golden.root().join(name)).unwrap();
    let bounds = ReleaseBounds::read(&golden.root(), None, &LogMarks::default()).unwrap();
    let mixed = bounds.mixed.unwrap();
    assert_eq!((mixed.last_written_by, mixed.path.as_str()), (Release::V4_9_8, name));
    assert!(bounds.oldest.is_none_or(|r| r <= Release::V4_9_7));
    assert!(bounds.newest.is_none_or(|r| r >= Release::V5_3_3));
}

#[test]
fn without_the_home_folder_the_split_of_3_5_8_is_not_seen_but_nothing_wrong_is_said() {
    let golden = golden("3.5.8-clean");
    let bounds = ReleaseBounds::read(&golden.root(), None, &LogMarks::default()).unwrap();
    assert_eq!((bounds.oldest, bounds.newest), (None, Some(Release::V4_9_8)));
}
