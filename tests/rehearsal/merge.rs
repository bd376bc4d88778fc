//! Consumers that went on at the slave while the master was down: the merged `consumerOffset.json` in a broker that loads it.

use std::collections::BTreeMap;
use std::fs;

use crate::client::{Client, acked};
use crate::ledger::Ledger;
use crate::operator::mqstore;
use crate::plan::Stage;
use crate::predict::text;
use crate::site::Site;

const TOPICS: &[&str] = &["Orders", "Payments"];
const GROUP: &str = "GID_rehearsal";

pub(crate) fn run(stage: &Stage, ledger: &mut Ledger) {
    let release = &stage.jars[0];
    let site = Site::new();
    let mut client = Client::with_name_server(&site, release);
    let (mut master, mut slave) = site.pair(release);
    for topic in TOPICS {
        client.send(topic, 400);
    }
    let all = acked(&site);
    let (master_root, slave_root) = (master.root.clone(), slave.root.clone());
    let stores = [text(&master_root), text(&slave_root)];
    // The topics, too: a slave that has not asked for them yet sends consumers away.
    let watch = ["diff", stores[0], stores[1], "--watch", "1s", "--timeout", "300s", "--ignore", "offsets"];
    assert_eq!(mqstore(&watch).code, 0);
    if lacks_topics(stores) {
        // What the finding advises. While the slave lacks them, it sends consumers away.
        slave.stop();
        fs::copy(master.root.join("config/topics.json"), slave.root.join("config/topics.json")).unwrap();
        assert!(slave.start(release));
        assert_eq!(mqstore(&watch).code, 0);
        ledger.expect("the slave lacks topics after it was given them", &false, &lacks_topics(stores));
    }
    // One topic is consumed at the master, the other at the slave, which must be up when the master goes: alone it does not
    // give name servers any route.
    let of = |topic: &str| all.iter().filter(|seen| seen.topic == topic).count();
    let mut seen_by_group = client.consume(GROUP, &TOPICS[..1], of(TOPICS[0]), &[&master]);
    master.stop();
    seen_by_group.extend(client.consume(GROUP, &TOPICS[1..], of(TOPICS[1]), &[&slave]));
    slave.stop();
    seen_by_group.sort();
    seen_by_group.dedup();
    ledger.expect("messages consumed", &all.len(), &seen_by_group.len());

    let file = site.path().join("merged.json");
    let (conf_a, conf_b) = (master.conf(), slave.conf());
    let places = ["--broker-conf-a", text(&conf_a), "--broker-conf-b", text(&conf_b)];
    let to = ["--merge-offsets", text(&file), "--release", &release.version, "--format", "json"];
    let document = mqstore(&[&["diff", stores[0], stores[1]], &places[..], &to].concat()).json();
    let mut said = BTreeMap::new();
    for offset in document["consumer_offsets"].as_array().unwrap() {
        let of_side = |name: &str| offset[name].as_i64();
        let (topic, queue_id) = (offset["topic"].as_str().unwrap(), offset["queue_id"].as_u64().unwrap());
        if offset["group"] == GROUP && TOPICS.contains(&topic) {
            said.insert((topic.to_owned(), queue_id), of_side("a").max(of_side("b")));
        }
    }
    ledger.expect("a row for each queue that differs", &true, &!said.is_empty());
    fs::copy(&file, master.root.join("config/consumerOffset.json")).unwrap();
    assert!(master.start(release));
    let mut ask = master.ask();
    for topic in TOPICS {
        for queue_id in 0..4 {
            let end = ask.range(topic, queue_id).unwrap().1;
            let committed = ask.committed(GROUP, topic, queue_id);
            ledger.expect(&format!("{topic}/{queue_id}: the group goes on at the end"), &Some(end), &committed);
            if let Some(said) = said.get(&((*topic).to_owned(), queue_id)) {
                ledger.expect(&format!("{topic}/{queue_id}: the larger offset"), said, &committed);
            }
        }
    }
    client.send(TOPICS[0], 10);
    let more = client.consume(GROUP, TOPICS, 10, &[&master]);
    let again = more.iter().filter(|seen| seen_by_group.contains(seen)).count();
    ledger.expect("messages consumed twice", &0, &again);
    ledger.expect("new messages consumed", &10, &more.len());
    master.stop();
}

/// Whether `diff` says that this slave has the defect of 5.3.2 and 5.3.3.
fn lacks_topics(stores: [&str; 2]) -> bool {
    let document = mqstore(&["diff", stores[0], stores[1], "--format", "json"]).json();
    document["findings"].as_array().unwrap().iter().any(|finding| finding["id"] == "pair.slave-topics-partial")
}
