use std::collections::BTreeMap;

use proptest::prelude::*;

use super::consumer_filter::ConsumerFilterTable;
use super::consumer_offset::{CommittedOffset, ConsumerOffsetTable, split_topic_at_group};
use super::delay_offset::DelayOffsetTable;
use super::other::{ConsumerOrderInfoTable, MessageRequestModeTable, MetricsTable, TopicQueueMappingTable};
use super::subscription_group::SubscriptionGroupTable;
use super::timercheck::TimerCheckpoint;
use super::topics::{TopicConfigTable, TopicFilterType};
use super::*;

/// The samples of real brokers, with tabs shown as `>`.
fn sample(text: &str) -> String {
    text.replace('>', "\t")
}

const TOPICS_358: &str = "{\n>\"dataVersion\":{\n>>\"counter\":3,\n>>\"timestatmp\":1473500000000\n>},\n>\"topicConfigTable\":{\n>>\"TopicTest\":{\n>>>\"order\":false,\n>>>\"perm\":6,\n>>>\"readQueueNums\":8,\n>>>\"topicFilterType\":\"SINGLE_TAG\",\n>>>\"topicName\":\"TopicTest\",\n>>>\"topicSysFlag\":0,\n>>>\"writeQueueNums\":8\n>>}\n>}\n}";
const GROUPS_533: &str = "{\n>\"dataVersion\":{\n>>\"counter\":1,\n>>\"stateVersion\":0,\n>>\"timestamp\":1795462326206\n>},\n>\"forbiddenTable\":{},\n>\"subscriptionGroupTable\":{\n>>\"GID_a\":{\n>>>\"attributes\":{},\n>>>\"brokerId\":0,\n>>>\"consumeBroadcastEnable\":true,\n>>>\"consumeEnable\":true,\n>>>\"consumeFromMinEnable\":true,\n>>>\"consumeMessageOrderly\":false,\n>>>\"consumeTimeoutMinute\":15,\n>>>\"groupName\":\"GID_a\",\n>>>\"groupRetryPolicy\":{\n>>>>\"type\":\"CUSTOMIZED\"\n>>>},\n>>>\"groupSysFlag\":0,\n>>>\"notifyConsumerIdsChangedEnable\":true,\n>>>\"retryMaxTimes\":16,\n>>>\"retryQueueNums\":1,\n>>>\"whichBrokerWhenConsumeSlowly\":1\n>>}\n>}\n}";
const OFFSETS_358: &str =
    "{\n>\"offsetTable\":{\n>>\"TopicTest@GID_a\":{0:123,1:456\n>>},\n>>\"%RETRY%GID_a@GID_a\":{0:7\n>>}\n>}\n}";
const OFFSETS_550: &str = "{\n>\"dataVersion\":{\n>>\"counter\":0,\n>>\"stateVersion\":0,\n>>\"timestamp\":1795471220530\n>},\n>\"groupTopicMap\":{\n>>\"GNormal\":[\n>>>\"TPlain\"\n>>]\n>},\n>\"offsetTable\":{\n>>\"TPlain@GNormal\":{\n>>>0:15,\n>>>1:23\n>>}\n>},\n>\"pullOffsetTable\":{\n>>\"TPlain@GNormal\":{\n>>>0:16\n>>}\n>}\n}";
const DELAY_SLAVE: &str = "{\"offsetTable\":{1:10,3:12}}";
const ORDER_INFO: &str = "{\n>\"orderedConsumptionLevel\":\"QUEUE\",\n>\"table\":{\n>>\"T@G\":{0:{\n>>>>\"a\":\"att-1\",\n>>>>\"cm\":3,\n>>>>\"i\":30000,\n>>>>\"l\":1700000000001,\n>>>>\"o\":[\n>>>>>10,\n>>>>>1\n>>>>],\n>>>>\"oc\":{10:1\n>>>>},\n>>>>\"popTime\":1700000000000\n>>>}\n>>}\n>}\n}";
const LMQ: &str = "{\n>\"dataVersion\":{\n>>\"counter\":0,\n>>\"stateVersion\":0,\n>>\"timestamp\":1795472143963\n>},\n>\"groupTopicMap\":{\n>>\"GOther\":[\"%LMQ%b\"]\n>},\n>\"lmqOffsetTable\":{\n>>\"%LMQ%a@%LMQ%ga\":27\n>},\n>\"offsetTable\":{\n>>\"%LMQ%b@GOther\":{0:5\n>>}\n>}\n}";
const FILTER: &str = "{\"filterDataByTopic\":{\"TExt\":{\"groupFilterData\":{\"GSql\":{\"bloomFilterData\":{\"bitNum\":112,\"bitPos\":[43,31,19]},\"bornTime\":1795471920644,\"clientVersion\":1795471921519,\"consumerGroup\":\"GSql\",\"dead\":true,\"deadTime\":1795471936741,\"expression\":\"color='blue'\",\"expressionType\":\"SQL92\",\"topic\":\"TExt\"}},\"topic\":\"TExt\"}}}";
const METRICS: &str = "{\"dataVersion\":{\"counter\":160,\"stateVersion\":0,\"timestamp\":1795472003367},\"transactionCount\":{\"GoldTx\":{\"count\":-40,\"timeStamp\":1795472003367}}}";
const MAPPING: &str = "{\"dataVersion\":{\"counter\":1},\"topicQueueMappingInfoMap\":{\"S\":{\"bname\":\"broker-a\",\"currIdMap\":{0:1\n},\"dirty\":false,\"epoch\":1700000000000,\"hostedQueues\":{0:[\n{\"bname\":\"broker-a\",\"endOffset\":-1,\"gen\":0,\"logicOffset\":0,\"queueId\":1,\"startOffset\":0,\"timeOfEnd\":-1,\"timeOfStart\":-1}\n]\n},\"scope\":\"__global__\",\"topic\":\"S\",\"totalQueues\":1}}}";
const MODES: &str = "{\"messageRequestModeMap\":{\"T\":{\"G\":{\"consumerGroup\":\"G\",\"mode\":\"POP\",\"popShareQueueNum\":-1,\"topic\":\"T\"}}}}";
const SAMPLES: &[&str] =
    &[TOPICS_358, GROUPS_533, OFFSETS_358, OFFSETS_550, DELAY_SLAVE, ORDER_INFO, LMQ, FILTER, METRICS, MAPPING, MODES];

fn error<T: ConfigTable + std::fmt::Debug>(text: &str) -> String {
    T::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn topics_of_3_5_8_have_the_old_spelling_and_no_attributes() {
    let table = TopicConfigTable::parse(sample(TOPICS_358).as_bytes()).unwrap();
    let version = table.data_version.unwrap();
    assert_eq!((version.counter, version.timestamp, version.state_version), (3, Some(1_473_500_000_000), None));
    assert_eq!(version.spelling, TimestampSpelling::Timestatmp);
    let topic = &table.topics["TopicTest"];
    assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm, topic.order), (8, 8, 6, false));
    assert_eq!(topic.topic_filter_type, TopicFilterType::SingleTag);
    assert_eq!(topic.topic_name.as_deref(), Some("TopicTest"));
    assert_eq!(topic.attributes, None);
}

#[test]
fn fields_that_are_missing_have_the_brokers_defaults() {
    let text = br#"{"topicConfigTable":{"T":{"topicName":null,"perm":""}},"later":1,"dataVersion":{"timestamp":5}}"#;
    let table = TopicConfigTable::parse(text).unwrap();
    let topic = &table.topics["T"];
    assert_eq!((topic.read_queue_nums, topic.write_queue_nums, topic.perm, topic.topic_sys_flag), (16, 16, 6, 0));
    assert_eq!(topic.topic_name, None);
    assert_eq!(table.unknown_keys, ["later"]);
    assert_eq!(table.data_version.unwrap().spelling, TimestampSpelling::Timestamp);

    let groups = SubscriptionGroupTable::parse(br#"{"subscriptionGroupTable":{"G":{}}}"#).unwrap();
    let group = &groups.groups["G"];
    assert!(group.consume_enable && group.consume_from_min_enable && group.consume_broadcast_enable);
    assert_eq!((group.retry_queue_nums, group.retry_max_times, group.broker_id), (1, 16, 0));
    assert_eq!(group.which_broker_when_consume_slowly, 1);
    assert_eq!((group.notify_consumer_ids_changed_enable, groups.forbidden_table), (None, None));
}

#[test]
fn groups_of_5_3_3_are_read_with_the_fields_of_5x() {
    let table = SubscriptionGroupTable::parse(sample(GROUPS_533).as_bytes()).unwrap();
    let group = &table.groups["GID_a"];
    assert_eq!(table.data_version.unwrap().state_version, Some(0));
    assert_eq!(table.forbidden_table, Some(BTreeMap::new()));
    assert_eq!(group.group_retry_policy.as_ref().unwrap().kind, "CUSTOMIZED");
    assert_eq!((group.consume_timeout_minute, group.group_sys_flag), (Some(15), Some(0)));
    assert_eq!(group.attributes, Some(BTreeMap::new()));
    let text = br#"{"subscriptionGroupTable":{"G":{"groupRetryPolicy":{"type":"EXPONENTIAL",
        "customizedRetryPolicy":{"next":[1000,5000]},"exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}},
        "subscriptionDataSet":[{"topic":"T","expressionType":"TAG","expression":"*","version":7}]}},
        "forbiddenTable":{"G":{"T":4}}}"#;
    let table = SubscriptionGroupTable::parse(text).unwrap();
    let policy = table.groups["G"].group_retry_policy.as_ref().unwrap();
    assert_eq!((&*policy.customized_next_ms, policy.exponential), (&[1000, 5000][..], Some([5000, 7_200_000, 2])));
    assert_eq!(table.groups["G"].subscription_data_set.as_ref().unwrap()[0].version, 7);
    assert_eq!(table.forbidden_table.unwrap()["G"]["T"], 4);
}

#[test]
fn offsets_are_listed_by_topic_group_and_queue() {
    let table = ConsumerOffsetTable::parse(sample(OFFSETS_358).as_bytes()).unwrap();
    let committed: Vec<_> = table.committed().map(|c| (c.topic, c.group, c.queue_id, c.offset)).collect();
    let expected = [("%RETRY%GID_a", "GID_a", 0, 7), ("TopicTest", "GID_a", 0, 123), ("TopicTest", "GID_a", 1, 456)];
    assert_eq!(committed, expected);
    assert_eq!((table.data_version, table.group_topic_map), (None, None));
}

#[test]
fn offsets_of_5_5_0_hold_pull_offsets_too() {
    let table = ConsumerOffsetTable::parse(sample(OFFSETS_550).as_bytes()).unwrap();
    assert_eq!(table.pull_offset_table.unwrap()["TPlain@GNormal"], BTreeMap::from([(0, 16)]));
    assert_eq!(table.group_topic_map.unwrap()["GNormal"], ["TPlain"]);
    assert!(table.unknown_keys.is_empty());
}

#[test]
fn lmq_offsets_are_single_numbers() {
    let table = ConsumerOffsetTable::parse(sample(LMQ).as_bytes()).unwrap();
    let last = table.committed().last().unwrap();
    assert_eq!(last, CommittedOffset { topic: "%LMQ%a", group: "%LMQ%ga", queue_id: 0, offset: 27 });
    assert_eq!(table.offset_table["%LMQ%b@GOther"][&0], 5);
}

#[test]
fn numbers_may_be_strings_and_keys_may_be_quoted() {
    let table = ConsumerOffsetTable::parse(br#"{"offsetTable":{"T@G":{"0":"123",1:9007199254740993}}}"#).unwrap();
    assert_eq!(table.offset_table["T@G"], BTreeMap::from([(0, 123), (1, 9_007_199_254_740_993)]));
}

#[test]
fn values_of_the_wrong_type_make_the_file_unreadable() {
    assert_eq!(
        error::<ConsumerOffsetTable>(r#"{"offsetTable":{"T@G":{0:null}}}"#),
        "expected a value in the table, found null at offset 25"
    );
    assert_eq!(
        error::<ConsumerOffsetTable>(r#"{"offsetTable":{"T@G":{"zero":1}}}"#),
        "expected a key that is an integer, found \"zero\" at offset 30"
    );
    assert_eq!(
        error::<ConsumerOffsetTable>(r#"{"offsetTable":{"T@G":{0:9223372036854775808}}}"#),
        "expected an integer of 64 bits, found 9223372036854775808 at offset 25"
    );
    assert_eq!(
        error::<TopicConfigTable>(r#"{"topicConfigTable":{"T":{"perm":4294967296}}}"#),
        "expected an integer of 32 bits, found 4294967296 at offset 33"
    );
    assert_eq!(error::<DelayOffsetTable>(r#"{"offsetTable":[]}"#), "expected an object, found an array at offset 15");
    assert_eq!(
        error::<DelayOffsetTable>(r#"{"offsetTable":{1:{"$ref":"$.x"}}}"#),
        "expected an integer of 64 bits, found a reference to \"$.x\" at offset 18"
    );
    assert_eq!(error::<DelayOffsetTable>("7"), "expected an object, found 7 at offset 0");
}

#[test]
fn a_key_splits_where_the_topic_ends() {
    assert_eq!(split_topic_at_group("TopicTest@GID_a"), Some(("TopicTest", "GID_a")));
    assert_eq!(split_topic_at_group("T@a@b"), Some(("T", "a@b")));
    assert_eq!(split_topic_at_group("%RETRY%a@b@a@b"), Some(("%RETRY%a@b", "a@b")));
    assert_eq!(split_topic_at_group("%RETRY%GPop_T@GPop"), Some(("%RETRY%GPop_T", "GPop")));
    for key in ["", "T", "@", "T@", "@G", "%RETRY%", "%RETRY%@", "%RETRY%消"] {
        assert_eq!(split_topic_at_group(key), None, "{key}");
    }
    let table = ConsumerOffsetTable::parse(br#"{"offsetTable":{"T":{0:1},"T@G":{0:2}}}"#).unwrap();
    assert_eq!(table.keys_that_do_not_split().collect::<Vec<_>>(), ["T"]);
    assert_eq!(table.committed().count(), 1);
}

#[test]
fn delay_levels_are_keys_on_a_slave_too() {
    let table = DelayOffsetTable::parse(DELAY_SLAVE.as_bytes()).unwrap();
    assert_eq!(table.offset_table, BTreeMap::from([(1, 10), (3, 12)]));
}

#[test]
fn order_info_is_read_in_both_spellings() {
    let table = ConsumerOrderInfoTable::parse(sample(ORDER_INFO).as_bytes()).unwrap();
    let info = &table.table["T@G"][&0];
    assert_eq!((info.pop_time, info.invisible_time), (Some(1_700_000_000_000), Some(30_000)));
    assert_eq!((&*info.offset_list, info.commit_offset_bit), (&[10, 1][..], 3));
    assert_eq!(info.offset_consumed_count, BTreeMap::from([(10, 1)]));
    assert_eq!(info.attempt_id.as_deref(), Some("att-1"));
    assert_eq!(table.unknown_keys, ["orderedConsumptionLevel"]);

    let old =
        br#"{"table":{"T@G":{0:{"offsetList":[4],"consumedCount":1,"lastConsumeTimestamp":8,"commitOffsetBit":1}}}}"#;
    let info = &ConsumerOrderInfoTable::parse(old).unwrap().table["T@G"][&0];
    assert_eq!((&*info.offset_list, info.last_consume_timestamp, info.commit_offset_bit), (&[4][..], 8, 1));
}

#[test]
fn filters_mappings_modes_and_metrics_are_read() {
    let filter = ConsumerFilterTable::parse(FILTER.as_bytes()).unwrap();
    let data = &filter.filters["TExt"]["GSql"];
    assert_eq!((data.expression.as_str(), data.dead_time), ("color='blue'", 1_795_471_936_741));
    assert_eq!(data.bloom_filter_data.as_ref().unwrap().bit_pos, [43, 31, 19]);

    let mapping = TopicQueueMappingTable::parse(MAPPING.as_bytes()).unwrap();
    let detail = &mapping.topics["S"];
    assert_eq!((detail.total_queues, &detail.curr_id_map), (1, &BTreeMap::from([(0, 1)])));
    assert_eq!(detail.hosted_queues[&0][0].end_offset, -1);

    let modes = MessageRequestModeTable::parse(MODES.as_bytes()).unwrap();
    assert_eq!((modes.modes["T"]["G"].mode.as_str(), modes.modes["T"]["G"].pop_share_queue_num), ("POP", -1));

    let metrics = MetricsTable::parse(METRICS.as_bytes()).unwrap();
    assert_eq!(metrics.counts["GoldTx"].count, -40);
}

#[test]
fn data_versions_compare_by_state_counter_and_time() {
    let version = |text: &str| TopicConfigTable::parse(text.as_bytes()).unwrap().data_version.unwrap();
    let old = version(r#"{"dataVersion":{"counter":9,"timestatmp":9}}"#);
    let new = version(r#"{"dataVersion":{"counter":3,"timestamp":1,"stateVersion":1}}"#);
    assert!(old.compare(&new).is_lt() && new.compare(&old).is_gt() && old.compare(&old).is_eq());
    assert_eq!(version(r#"{"dataVersion":{"counter":1}}"#).spelling, TimestampSpelling::Absent);
}

#[test]
fn timercheck_is_seven_numbers() {
    let mut bytes = Vec::new();
    for number in 1..=7_i64 {
        bytes.extend(number.to_be_bytes());
    }
    bytes.resize(4096, 0);
    let check = TimerCheckpoint::parse(&bytes).unwrap();
    assert_eq!((check.last_read_time_ms, check.last_timer_queue_offset, check.counter), (1, 3, 7));
    let error = TimerCheckpoint::parse(&bytes[..50]).unwrap_err();
    assert_eq!(error.to_string(), "counter needs 8 bytes, 2 are left at offset 48");
}

fn parse_as_everything(bytes: &[u8]) {
    let _ = TopicConfigTable::parse(bytes);
    let _ = SubscriptionGroupTable::parse(bytes);
    if let Ok(table) = ConsumerOffsetTable::parse(bytes) {
        table.committed().count();
        table.keys_that_do_not_split().count();
    }
    let _ = DelayOffsetTable::parse(bytes);
    let _ = ConsumerFilterTable::parse(bytes);
    let _ = ConsumerOrderInfoTable::parse(bytes);
    let _ = TopicQueueMappingTable::parse(bytes);
    let _ = MessageRequestModeTable::parse(bytes);
    let _ = MetricsTable::parse(bytes);
    let _ = TimerCheckpoint::parse(bytes);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_as_everything(&bytes);
    }

    #[test]
    fn mutated_samples_never_panic(
        text in prop::sample::select(SAMPLES),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        truncate in any::<bool>(),
    ) {
        let mut bytes = sample(text).into_bytes();
        if truncate {
            bytes.truncate(cut.index(bytes.len()) + 1);
        }
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        parse_as_everything(&bytes);
    }

    #[test]
    fn arbitrary_keys_split_into_parts_of_the_key(key in "(%RETRY%|%DLQ%)?[ab@消]{0,6}") {
        if let Some((topic, group)) = split_topic_at_group(&key) {
            prop_assert_eq!(format!("{topic}@{group}"), key);
        }
    }
}
