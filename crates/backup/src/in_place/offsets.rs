//! Consumer and delay offsets of a restored store: the backup's, the present ones, or of each pair the higher or lower.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::format::config::delay_offset::DelayOffsetTable;
use mqstore_core::format::config::{KeyOrder, Node};

use super::plan::{GroupEffect, OffsetEffect, Offsets, OffsetsPlan};

/// `topic@group` → queue → offset.
type Table = BTreeMap<String, BTreeMap<i32, i64>>;

/// The offsets of both sides.
#[derive(Debug, Clone, Default)]
pub(super) struct Both {
    pub(super) backup: ConsumerOffsetTable,
    pub(super) current: ConsumerOffsetTable,
    pub(super) backup_delay: DelayOffsetTable,
    pub(super) current_delay: DelayOffsetTable,
}

impl Both {
    /// `offsetTable` of `consumerOffset.json` by a policy.
    pub(super) fn table(&self, policy: Offsets) -> Table {
        let (backup, current) = (&self.backup.offset_table, &self.current.offset_table);
        let mut table = Table::new();
        for (key, queues) in backup {
            let theirs = current.get(key);
            let merged = merge(queues, theirs.unwrap_or(&BTreeMap::new()), policy);
            table.insert(key.clone(), merged);
        }
        for (key, queues) in current.iter().filter(|(key, _)| !backup.contains_key(*key)) {
            table.insert(key.clone(), merge(&BTreeMap::new(), queues, policy));
        }
        table.retain(|key, queues| !queues.is_empty() || backup.get(key).is_some_and(BTreeMap::is_empty));
        table
    }

    /// `offsetTable` of `delayOffset.json` by a policy.
    pub(super) fn delay_table(&self, policy: Offsets) -> BTreeMap<i32, i64> {
        merge(&self.backup_delay.offset_table, &self.current_delay.offset_table, policy)
    }

    /// What each policy comes to, with queues of these ranges after the start.
    pub(super) fn effects(&self, policy: Offsets, ranges: &BTreeMap<(String, i32), (u64, u64)>) -> OffsetsPlan {
        let effects = Offsets::ALL.map(|policy| self.effect(policy, ranges, &mut |_, _, _, _| {}));
        let mut groups: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
        self.effect(policy, ranges, &mut |topic, group, redelivered, skipped| {
            let sum = groups.entry((group.to_owned(), topic.to_owned())).or_default();
            *sum = (sum.0 + redelivered, sum.1 + skipped);
        });
        let groups = groups.into_iter().filter(|(_, sum)| *sum != (0, 0));
        let groups =
            groups.map(|((group, topic), (redelivered, skipped))| GroupEffect { group, topic, redelivered, skipped });
        OffsetsPlan { policy: Some(policy), effects: effects.to_vec(), groups: groups.collect() }
    }

    fn effect(
        &self,
        policy: Offsets,
        ranges: &BTreeMap<(String, i32), (u64, u64)>,
        each: &mut dyn FnMut(&str, &str, u64, u64),
    ) -> OffsetEffect {
        let chosen = self.table(policy);
        let mut effect = OffsetEffect { policy, redelivered: 0, skipped: 0, without_offset: 0 };
        for now in self.current.committed() {
            let key = format!("{}@{}", now.topic, now.group);
            let Some(then) = chosen.get(&key).and_then(|queues| queues.get(&now.queue_id)) else {
                effect.without_offset += 1;
                continue;
            };
            let (min, max) = ranges.get(&(now.topic.to_owned(), now.queue_id)).copied().unwrap_or((0, 0));
            let inside = |offset: i64| u64::try_from(offset).unwrap_or(0).clamp(min, max.max(min));
            let (now_at, then_at) = (inside(now.offset), inside(*then));
            let (redelivered, skipped) = (now_at.saturating_sub(then_at), then_at.saturating_sub(now_at));
            effect.redelivered += redelivered;
            effect.skipped += skipped;
            each(now.topic, now.group, redelivered, skipped);
        }
        effect
    }
}

fn merge(backup: &BTreeMap<i32, i64>, current: &BTreeMap<i32, i64>, policy: Offsets) -> BTreeMap<i32, i64> {
    let pick: fn(i64, i64) -> i64 = match policy {
        Offsets::Backup => return backup.clone(),
        Offsets::Current => return current.clone(),
        Offsets::Max => i64::max,
        Offsets::Min => i64::min,
    };
    let mut merged = backup.clone();
    for (queue, offset) in current {
        merged.entry(*queue).and_modify(|there| *there = pick(*there, *offset)).or_insert(*offset);
    }
    merged
}

/// `consumerOffset.json` as a broker writes it, with numeric keys that are not quoted.
pub(super) fn consumer_offset_text(table: &Table, data_version: Option<&Node>) -> String {
    let mut text = start(data_version);
    for (n, (key, queues)) in table.iter().enumerate() {
        text.push_str(if n == 0 { "\n\t\t" } else { ",\n\t\t" });
        text.push_str(&serde_json::Value::from(key.as_str()).to_string());
        text.push(':');
        numbers(&mut text, queues, "\t\t");
    }
    text.push_str("\n\t}\n}");
    text
}

/// `delayOffset.json` likewise.
pub(super) fn delay_offset_text(table: &BTreeMap<i32, i64>, data_version: Option<&Node>) -> String {
    let mut text = start(data_version);
    text.pop();
    numbers(&mut text, table, "\t");
    text.push_str("\n}");
    text
}

fn start(data_version: Option<&Node>) -> String {
    let mut text = String::from("{\n");
    if let Some(version) = data_version {
        let version = version.to_strict_json(KeyOrder::AsWritten).replace('\n', "");
        let _ = writeln!(text, "\t\"dataVersion\":{version},");
    }
    text.push_str("\t\"offsetTable\":{");
    text
}

fn numbers(text: &mut String, table: &BTreeMap<i32, i64>, indent: &str) {
    text.push('{');
    for (n, (key, value)) in table.iter().enumerate() {
        let _ = write!(text, "{}{key}:{value}", if n == 0 { "" } else { "," });
    }
    let _ = write!(text, "\n{indent}}}");
}

#[cfg(test)]
mod tests {
    use mqstore_core::format::config::fastjson::parse;
    use mqstore_core::format::config::{ConfigTable as _, consumer_offset, delay_offset};

    use super::*;

    fn both() -> Both {
        let table = |entries: &[(&str, i32, i64)]| {
            let mut table = ConsumerOffsetTable::default();
            for (key, queue, offset) in entries {
                table.offset_table.entry((*key).to_owned()).or_default().insert(*queue, *offset);
            }
            table
        };
        Both {
            backup: table(&[("T@a", 0, 10), ("T@a", 1, 30), ("T@gone", 0, 5)]),
            current: table(&[("T@a", 0, 25), ("T@a", 1, 20), ("T@new", 0, 7)]),
            ..Both::default()
        }
    }

    #[test]
    fn each_policy_is_counted_in_messages_against_where_the_groups_stand_now() {
        let ranges = BTreeMap::from([(("T".to_owned(), 0), (0, 100)), (("T".to_owned(), 1), (0, 100))]);
        let plan = both().effects(Offsets::Min, &ranges);
        let counted = plan.effects.iter().map(|e| (e.policy.word(), e.redelivered, e.skipped, e.without_offset));
        let expected = [("backup", 15, 10, 1), ("current", 0, 0, 0), ("max", 0, 10, 0), ("min", 15, 0, 0)];
        assert_eq!(counted.collect::<Vec<_>>(), expected);
        let groups: Vec<_> = plan.groups.iter().map(|g| (g.group.as_str(), g.redelivered, g.skipped)).collect();
        assert_eq!(groups, [("a", 15, 0)]);
    }

    #[test]
    fn messages_that_the_queue_no_longer_holds_do_not_count() {
        let ranges = BTreeMap::from([(("T".to_owned(), 0), (22, 24)), (("T".to_owned(), 1), (25, 100))]);
        let effect = both().effects(Offsets::Min, &ranges).effects[0];
        assert_eq!((effect.redelivered, effect.skipped), (2, 5));
    }

    #[test]
    fn the_text_reads_back_as_a_broker_reads_it() {
        let table = both().table(Offsets::Min);
        let version = parse(br#"{"counter":3,"timestamp":9}"#).unwrap().root;
        let text = consumer_offset_text(&table, Some(&version));
        let read = consumer_offset::ConsumerOffsetTable::from_root(&parse(text.as_bytes()).unwrap().root).unwrap();
        assert_eq!(read.offset_table, table);
        assert_eq!(read.data_version.unwrap().counter, 3);
        assert!(text.contains("\"T@a\":{0:10,1:20\n\t\t}"), "{text}");
        let text = delay_offset_text(&BTreeMap::from([(1, 5), (18, 0)]), None);
        assert_eq!(text, "{\n\t\"offsetTable\":{1:5,18:0\n\t}\n}");
        let read = delay_offset::DelayOffsetTable::from_root(&parse(text.as_bytes()).unwrap().root).unwrap();
        assert_eq!(read.offset_table, BTreeMap::from([(1, 5), (18, 0)]));
    }
}
