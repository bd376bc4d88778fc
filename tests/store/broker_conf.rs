//! `broker.conf` of the recorded brokers against the files they made.

use std::path::Path;

use mqstore_core::release::Release;
use mqstore_core::release::conf::{BrokerConf, NoteLevel, Origin};
use mqstore_testkit::truth;

const RECORDED: &[&str] = &["3.2.6-clean", "3.5.8-clean", "4.3.2-clean", "4.9.7-clean", "4.9.7-dledger", "5.3.3-clean"];

#[test]
fn each_broker_used_the_sizes_that_its_release_reads_from_its_file() {
    let unpacked = crate::unpacked();
    for name in RECORDED {
        let (golden, truth) = (&unpacked[name], truth(name));
        let conf = BrokerConf::read(golden.sub("broker.conf")).unwrap();
        let resolved = conf.resolve(truth["release"].as_str().unwrap().parse().unwrap(), Path::new("/home/mq"));
        let sizes = (resolved.mapped_file_size_commit_log.value, resolved.mapped_file_size_consume_queue.value);
        let expected = (truth["commitlogFileSize"].as_u64(), truth["consumequeueFileSize"].as_u64());
        assert_eq!((Some(sizes.0), Some(sizes.1)), expected, "{name}");
        let counts = (resolved.max_hash_slot_num.value, resolved.max_index_num.value);
        assert_eq!(Some(u64::from(counts.0)), truth["slots"].as_u64(), "{name}");
        assert_eq!(Some(u64::from(counts.1)), truth["entries"].as_u64(), "{name}");
        // The recorded root is not where it was unpacked, but its name and the folder of DLedger are.
        let root = resolved.store_path_root_dir.value;
        assert_eq!(root.file_name().and_then(|n| n.to_str()), Some("store"), "{name}");
        if let Some(dledger) = resolved.dledger {
            assert!(golden.root().join(dledger.folder.strip_prefix(&root).unwrap()).join("data").is_dir(), "{name}");
        }
        let blocking: Vec<_> =
            conf.lint(resolved.release).into_iter().filter(|note| note.level == NoteLevel::Block).collect();
        assert_eq!(blocking, [], "{name}");
    }
}

#[test]
fn the_file_of_3_5_8_gives_other_sizes_to_4_9_7_which_lint_tells() {
    let conf = BrokerConf::read(crate::unpacked()["3.5.8-clean"].sub("broker.conf")).unwrap();
    let resolved = conf.resolve(Release::V4_9_7, Path::new("/home/mq"));
    assert_eq!(resolved.mapped_file_size_commit_log.origin, Origin::Default);
    let warned: Vec<_> = conf
        .lint(Release::V4_9_7)
        .into_iter()
        .filter(|note| note.level == NoteLevel::Warning)
        .map(|note| note.key)
        .collect();
    assert_eq!(warned, ["mapedFileSizeCommitLog", "mapedFileSizeConsumeQueue"]);
}
