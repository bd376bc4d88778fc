//! `inspect checkpoint`.

use super::{assert_snapshots, mqstore, shared};

#[test]
fn the_marks_of_a_master_and_of_a_slave() {
    assert_snapshots("checkpoint-5.3.3-clean", &shared("5.3.3-clean"), "store", &["inspect", "checkpoint", "STORE"]);
    let pair = shared("4.3.2-pair");
    assert_snapshots("checkpoint-4.3.2-pair-slave", &pair, "slave/store", &["inspect", "checkpoint", "STORE"]);
}

#[test]
fn the_marks_are_those_that_the_brokers_own_class_reads() {
    for (archive, root, name) in mqstore_testkit::STORES.iter().filter(|(_, _, name)| !name.is_empty()) {
        let golden = shared(archive);
        let root = golden.sub(root);
        let json = mqstore(&["inspect", "checkpoint", root.to_str().unwrap(), "--format=json"]).json();
        let truth = mqstore_testkit::truth_lines(name);
        let truth = truth.iter().find(|line| line["k"] == "checkpoint").unwrap();
        for (ours, theirs) in
            [("physic_msg_timestamp", "physic"), ("logics_msg_timestamp", "logics"), ("index_msg_timestamp", "index")]
        {
            assert_eq!(json["checkpoint"][ours], truth[theirs], "{name}: {ours}");
        }
    }
}

#[test]
fn a_store_without_a_checkpoint_gives_no_verdict() {
    let (_temp, root) = super::broken("4.3.2-clean");
    std::fs::remove_file(root.join("checkpoint")).unwrap();
    let run = mqstore(&["inspect", "checkpoint", root.to_str().unwrap()]);
    super::assert_snapshot("checkpoint-absent", &run.session(), &[(&root, "STORE")]);
}
