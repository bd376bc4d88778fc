//! Key look-up and checkpoint, against `IndexFile` and `StoreCheckpoint` of the release.

use std::collections::BTreeMap;

use mqstore_core::format::index::IndexGeometry;
use mqstore_testkit::{truth, truth_lines};

use crate::each_store;

#[test]
fn the_geometry_of_every_index_file_is_found_from_its_content() {
    let mut files = 0;
    each_store(|name, _, store, _| {
        let truth = truth(name.split('/').next().unwrap());
        let (Some(slots), Some(entries)) = (truth["slots"].as_u64(), truth["entries"].as_u64()) else { return };
        let expected =
            IndexGeometry { hash_slot_num: u32::try_from(slots).unwrap(), index_num: u32::try_from(entries).unwrap() };
        let index = store.index().unwrap();
        for path in index.files() {
            let file = index.open_file(path).unwrap();
            if file.header().unwrap().index_count > 1 {
                assert_eq!(file.geometry(), Some(expected), "{name}: {}", path.display());
                files += 1;
            }
        }
    });
    assert!(files > 60, "{files} files");
}

#[test]
fn every_key_leads_where_the_broker_found_it() {
    let mut keys = 0;
    each_store(|name, _, store, truth| {
        if truth.is_empty() {
            return;
        }
        let index = store.index().unwrap();
        for line in truth_lines(truth).iter().filter(|line| line["k"] == "key") {
            let (topic, key) = line["key"].as_str().unwrap().split_once('#').unwrap();
            let mut ours: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (path, entry) in index.find(topic, key).unwrap() {
                let file = path.file_name().unwrap().to_str().unwrap().to_owned();
                ours.entry(file).or_default().push(entry.physical_offset);
            }
            let theirs: BTreeMap<String, Vec<i64>> = serde_json::from_value(line["hits"].clone()).unwrap();
            let theirs: BTreeMap<_, _> = theirs.into_iter().filter(|(_, offsets)| !offsets.is_empty()).collect();
            assert_eq!(ours, theirs, "{name}: {topic}#{key}");
            keys += 1;
        }
    });
    assert!(keys > 50_000, "{keys} keys");
}

#[test]
fn headers_and_checkpoint_are_what_the_releases_own_classes_read() {
    let mut headers = 0;
    each_store(|name, _, store, truth| {
        if truth.is_empty() {
            return;
        }
        let lines = truth_lines(truth);
        let index = store.index().unwrap();
        let theirs: Vec<_> = lines.iter().filter(|line| line["k"] == "ix").collect();
        assert_eq!(index.files().len(), theirs.len(), "{name}");
        for (path, line) in index.files().iter().zip(theirs) {
            let file = index.open_file(path).unwrap();
            let header = file.header().unwrap();
            let ours = (header.begin_timestamp, header.end_timestamp, header.end_physical_offset);
            let number = |name: &str| line[name].as_i64().unwrap();
            assert_eq!(ours, (number("begin"), number("end"), number("endPhy")), "{name}: {}", path.display());
            assert_eq!(file.length(), line["length"].as_u64().unwrap(), "{name}: {}", path.display());
            headers += 1;
        }
        let line = lines.iter().find(|line| line["k"] == "checkpoint").unwrap();
        let checkpoint = store.checkpoint().unwrap().unwrap();
        let number = |name: &str| line[name].as_i64().unwrap_or(0);
        assert_eq!(checkpoint.physic_msg_timestamp, number("physic"), "{name}");
        assert_eq!(checkpoint.logics_msg_timestamp, number("logics"), "{name}");
        assert_eq!(checkpoint.index_msg_timestamp, number("index"), "{name}");
        assert_eq!(checkpoint.master_flushed_offset, number("masterFlushed"), "{name}");
        assert_eq!(checkpoint.confirm_phy_offset, number("confirm"), "{name}");
    });
    assert!(headers > 40, "{headers} headers");
}
