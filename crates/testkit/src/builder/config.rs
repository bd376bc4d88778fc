//! The JSON files under `config/`, in the text that fastjson 1 writes: tabs, keys of beans sorted, numeric map keys
//! bare and without line breaks, no newline at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use super::{Release, StoreBuilder};

#[derive(Debug, Default)]
pub(super) struct Config {
    topics: Vec<(String, i32)>,
    groups: Vec<String>,
    offsets: Vec<(String, String, BTreeMap<i32, i64>)>,
    pub(super) delays: BTreeMap<i32, i64>,
}

impl Config {
    pub(super) fn topic(&mut self, name: &str, queues: i32) {
        match self.topics.iter_mut().find(|(present, _)| present == name) {
            Some((_, present)) => *present = (*present).max(queues),
            None => self.topics.push((name.to_owned(), queues)),
        }
    }

    pub(super) fn group(&mut self, name: &str) {
        if !self.groups.iter().any(|group| group == name) {
            self.groups.push(name.to_owned());
        }
    }

    pub(super) fn commit(&mut self, topic: &str, group: &str, queue_id: i32, offset: i64) {
        match self.offsets.iter_mut().find(|(t, g, _)| t == topic && g == group) {
            Some((_, _, offsets)) => {
                offsets.insert(queue_id, offset);
            }
            None => self.offsets.push((topic.to_owned(), group.to_owned(), BTreeMap::from([(queue_id, offset)]))),
        }
    }

    pub(super) fn write(mut self, settings: &StoreBuilder, present: &BTreeMap<String, i32>) {
        let builtin = builtin_topics(settings);
        for (name, queues, _) in &builtin {
            if !self.topics.iter().any(|(topic, _)| topic == name) {
                self.topics.push((name.clone(), *queues));
            }
        }
        let known: BTreeSet<String> = self.topics.iter().map(|(name, _)| name.clone()).collect();
        // The topic of delayed messages is not listed before 4.7.1.
        let hidden = |name: &str| name == "SCHEDULE_TOPIC_XXXX" && settings.release < Release::V4_9_7;
        let used = present.iter().filter(|(name, _)| !known.contains(*name) && !hidden(name));
        self.topics.extend(used.map(|(name, queues)| (name.clone(), *queues)));
        for name in builtin_groups(settings.release) {
            self.group(name);
        }
        // The broker's own group of 4.x commits offsets without being listed.
        let consuming =
            self.offsets.iter().map(|(_, group, _)| group).filter(|group| !group.starts_with("CID_RMQ_SYS_"));
        for group in consuming.cloned().collect::<Vec<_>>() {
            self.group(&group);
        }
        let save = |path: std::path::PathBuf, text: String| {
            fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        };
        let below_root = settings.root.join("config");
        save(below_root.join("delayOffset.json"), self.delay_offsets(settings));
        save(settings.config_dir.join("topics.json"), self.topics(settings, &builtin));
        save(settings.config_dir.join("subscriptionGroup.json"), self.groups(settings));
        save(below_root.join("consumerOffset.json"), self.consumer_offsets(settings));
        if settings.release >= Release::V4_3_2 {
            let text = "{\n\t\"filterDataByTopic\":{}\n}".to_owned();
            save(below_root.join("consumerFilter.json"), text);
        }
    }

    fn topics(&self, settings: &StoreBuilder, builtin: &[(String, i32, i32)]) -> String {
        let entry = |(name, queues): &(String, i32)| {
            let perm = builtin.iter().find(|(topic, _, _)| topic == name).map_or(6, |(_, _, perm)| *perm);
            let attributes = if settings.release >= Release::V5_3_3 { "\t\t\t\"attributes\":{},\n" } else { "" };
            let name = quoted(name);
            format!(
                "\t\t{name}:{{\n{attributes}\t\t\t\"order\":false,\n\t\t\t\"perm\":{perm},\n\
                 \t\t\t\"readQueueNums\":{queues},\n\t\t\t\"topicFilterType\":\"SINGLE_TAG\",\n\
                 \t\t\t\"topicName\":{name},\n\t\t\t\"topicSysFlag\":0,\n\t\t\t\"writeQueueNums\":{queues}\n\t\t}}"
            )
        };
        let entries: Vec<_> = self.topics.iter().map(entry).collect();
        format!("{{\n{},\n\t\"topicConfigTable\":{}\n}}", data_version(settings), table(&entries))
    }

    fn groups(&self, settings: &StoreBuilder) -> String {
        let v5 = settings.release >= Release::V5_3_3;
        let only = |wanted: bool, text: &'static str| if wanted { text } else { "" };
        let entry = |name: &String| {
            let name = quoted(name);
            let mut text = format!("\t\t{name}:{{\n");
            text += only(v5, "\t\t\t\"attributes\":{},\n");
            text += "\t\t\t\"brokerId\":0,\n\t\t\t\"consumeBroadcastEnable\":true,\n\t\t\t\"consumeEnable\":true,\n";
            text += "\t\t\t\"consumeFromMinEnable\":true,\n";
            text += only(v5, "\t\t\t\"consumeMessageOrderly\":false,\n\t\t\t\"consumeTimeoutMinute\":15,\n");
            let _ = writeln!(text, "\t\t\t\"groupName\":{name},");
            text += only(v5, "\t\t\t\"groupRetryPolicy\":{\n\t\t\t\t\"type\":\"CUSTOMIZED\"\n\t\t\t},\n");
            text += only(v5, "\t\t\t\"groupSysFlag\":0,\n");
            text += only(settings.release >= Release::V4_3_2, "\t\t\t\"notifyConsumerIdsChangedEnable\":true,\n");
            text += "\t\t\t\"retryMaxTimes\":16,\n\t\t\t\"retryQueueNums\":1,\n";
            text + "\t\t\t\"whichBrokerWhenConsumeSlowly\":1\n\t\t}"
        };
        let entries: Vec<_> = self.groups.iter().map(entry).collect();
        let forbidden = only(v5, "\t\"forbiddenTable\":{},\n");
        format!("{{\n{},\n{forbidden}\t\"subscriptionGroupTable\":{}\n}}", data_version(settings), table(&entries))
    }

    fn consumer_offsets(&self, settings: &StoreBuilder) -> String {
        let mut head = String::new();
        if settings.release >= Release::V5_3_3 {
            let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (topic, group, _) in &self.offsets {
                topics.entry(group).or_default().push(quoted(topic));
            }
            let of_group =
                |(group, topics): (&&str, &Vec<String>)| format!("\t\t{}:[{}]", quoted(group), topics.join(","));
            let groups: Vec<_> = topics.iter().map(of_group).collect();
            head = format!("{},\n\t\"groupTopicMap\":{},\n", data_version(settings), table(&groups));
        }
        let entry = |(topic, group, offsets): &(String, String, BTreeMap<i32, i64>)| {
            format!("\t\t{}:{{{}\n\t\t}}", quoted(&format!("{topic}@{group}")), numbers(offsets))
        };
        let entries: Vec<_> = self.offsets.iter().map(entry).collect();
        format!("{{\n{head}\t\"offsetTable\":{}\n}}", table(&entries))
    }

    fn delay_offsets(&self, settings: &StoreBuilder) -> String {
        let head = if settings.release >= Release::V5_3_3 { data_version(settings) + ",\n" } else { String::new() };
        let offsets =
            if self.delays.is_empty() { "{}".to_owned() } else { format!("{{{}\n\t}}", numbers(&self.delays)) };
        format!("{{\n{head}\t\"offsetTable\":{offsets}\n}}")
    }
}

fn data_version(settings: &StoreBuilder) -> String {
    let (counter, timestamp) = settings.data_version;
    let state = if settings.release >= Release::V5_3_3 { "\t\t\"stateVersion\":0,\n" } else { "" };
    // Spelled so by every release before 4.1.0.
    let name = if settings.release >= Release::V4_3_2 { "timestamp" } else { "timestatmp" };
    format!("\t\"dataVersion\":{{\n\t\t\"counter\":{counter},\n{state}\t\t\"{name}\":{timestamp}\n\t}}")
}

fn table(entries: &[String]) -> String {
    if entries.is_empty() { "{}".to_owned() } else { format!("{{\n{}\n\t}}", entries.join(",\n")) }
}

fn numbers(map: &BTreeMap<i32, i64>) -> String {
    map.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Name, queues and permission of the topics that every broker of the release makes.
fn builtin_topics(settings: &StoreBuilder) -> Vec<(String, i32, i32)> {
    let (cluster, broker) = (settings.cluster.as_str(), settings.broker.as_str());
    let mut topics = vec![
        ("SELF_TEST_TOPIC".to_owned(), 1, 6),
        ("TBW102".to_owned(), 16, 7),
        ("BenchmarkTest".to_owned(), 1024, 6),
        (cluster.to_owned(), 16, 7),
        (broker.to_owned(), 1, 7),
        ("OFFSET_MOVED_EVENT".to_owned(), 1, 6),
    ];
    if settings.release >= Release::V4_9_7 {
        topics.push(("SCHEDULE_TOPIC_XXXX".to_owned(), 18, 6));
        topics.push((format!("{cluster}_REPLY_TOPIC"), 1, 6));
    }
    if settings.release >= Release::V5_3_3 {
        topics.push(("RMQ_SYS_TRANS_HALF_TOPIC".to_owned(), 1, 6));
        topics.push(("RMQ_SYS_TRANS_OP_HALF_TOPIC".to_owned(), 1, 6));
        topics.push((format!("rmq_sys_REVIVE_LOG_{cluster}"), 8, 6));
        topics.push((format!("rmq_sys_SYNC_BROKER_MEMBER_{broker}"), 1, 1));
        topics.push(("rmq_sys_wheel_timer".to_owned(), 1, 6));
    }
    topics
}

fn builtin_groups(release: Release) -> Vec<&'static str> {
    let mut groups = vec![
        "TOOLS_CONSUMER",
        "FILTERSRV_CONSUMER",
        "SELF_TEST_C_GROUP",
        "CID_ONS-HTTP-PROXY",
        "CID_ONSAPI_PULL",
        "CID_ONSAPI_PERMISSION",
        "CID_ONSAPI_OWNER",
    ];
    if release >= Release::V5_3_3 {
        groups.push("CID_RMQ_SYS_TRANS");
    }
    groups
}
