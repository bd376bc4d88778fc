//! Topics, groups and filters, by meaning.

use std::collections::{BTreeMap, BTreeSet};

use mqstore_core::release::rules::SlaveTopicSync;
use serde_json::Value;

use super::report::{ConfigDiff, DiffReport, Which};
use super::{Area, Pair};
use crate::finding::{Finding, Location, Severity};
use crate::snapshot::{FILTERS, FORBIDDEN, GROUPS, MODES, Snapshot, TOPICS};

/// Table, file, and why a slave's may differ.
const TABLES: &[(&str, &str, Option<&str>)] = &[
    (TOPICS, "topics.json", None),
    (GROUPS, "subscriptionGroup.json", None),
    (FORBIDDEN, "subscriptionGroup.json", Some("what groups are forbidden is not synchronised up to 5.3.3")),
    (
        FILTERS,
        "consumerFilter.json",
        Some("filters are never synchronised: each broker keeps those of its own clients"),
    ),
    (MODES, "messageRequestMode.json", None),
];
const PARTIAL_TOPICS: &str =
    "a slave of 5.3.2 or 5.3.3 deletes its topics at each sync and stops at the first one with attributes";
const SLAVES_OWN_GROUP: &str = "a pull at the slave makes the group there, until the next sync";

pub(super) fn compare(pair: &mut Pair<'_>, result: &mut DiffReport) {
    if !pair.wants(Area::Config) {
        return;
    }
    pair.unread(Area::Config);
    let [a, b] = [pair.a.snapshot, pair.b.snapshot];
    for (table, file, local) in TABLES {
        let empty = BTreeMap::new();
        let (of_a, of_b) = (a.config.tables.get(*table), b.config.tables.get(*table));
        // A file that one release does not write yet is an empty table there.
        let diffs = differences(file, of_a.unwrap_or(&empty), of_b.unwrap_or(&empty));
        for mut diff in diffs {
            diff.explained = explain(pair, table, *local, &diff);
            tell(pair, table, &diff);
            result.config.push(diff);
        }
    }
    if !pair.roles.before_after {
        partial_topics(pair, result);
        versions(pair, a, b);
    }
}

/// The entries that differ, and of those on both sides the fields.
fn differences(file: &'static str, a: &BTreeMap<String, Value>, b: &BTreeMap<String, Value>) -> Vec<ConfigDiff> {
    let mut found = Vec::new();
    let mut push = |path: String, a: Option<&Value>, b: Option<&Value>| {
        found.push(ConfigDiff { file, path, a: a.cloned(), b: b.cloned(), explained: None });
    };
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for name in names {
        match (a.get(name), b.get(name)) {
            (Some(Value::Object(a)), Some(Value::Object(b))) => {
                let fields: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                for field in fields.into_iter().filter(|field| a.get(*field) != b.get(*field)) {
                    push(format!("{name}.{field}"), a.get(field), b.get(field));
                }
            }
            (a, b) if a != b => push(name.clone(), a, b),
            _ => {}
        }
    }
    found
}

fn explain(pair: &Pair<'_>, table: &str, local: Option<&'static str>, diff: &ConfigDiff) -> Option<&'static str> {
    if pair.roles.before_after {
        return None;
    }
    let of = |which| if which == Which::A { &diff.a } else { &diff.b };
    let (on_master, on_slave) = (of(pair.roles.first).is_some(), of(pair.roles.second()).is_some());
    if table == TOPICS && on_master && !on_slave && slave_loses_topics(pair) {
        return Some(PARTIAL_TOPICS);
    }
    if table == GROUPS && !on_master && on_slave {
        return Some(SLAVES_OWN_GROUP);
    }
    local
}

fn slave_loses_topics(pair: &Pair<'_>) -> bool {
    let mut releases = pair.side(pair.roles.second()).snapshot.release.releases();
    releases.any(|release| release.behaviour().slave_topic_sync.value == SlaveTopicSync::Destroys)
}

fn tell(pair: &mut Pair<'_>, table: &str, diff: &ConfigDiff) {
    if diff.explained == Some(PARTIAL_TOPICS) {
        return;
    }
    let place = Location::path(format!("config/{}", diff.file));
    let shown = |value: &Option<Value>| value.as_ref().map_or("none".to_owned(), shorten);
    let (a, b) = (shown(&diff.a), shown(&diff.b));
    let kind = match table {
        TOPICS => "topic",
        GROUPS => "group",
        _ => "entry",
    };
    let finding = if pair.roles.before_after {
        let (before, after) = if pair.roles.first == Which::A { (&diff.a, &diff.b) } else { (&diff.b, &diff.a) };
        match (before, after) {
            (Some(_), None) if !diff.path.contains('.') || table == FILTERS => {
                let message = format!("{kind} {} is gone", diff.path);
                Finding::error("pair.config-lost", place, message)
            }
            (None, Some(_)) => Finding::info("pair.config-added", place, format!("{kind} {} is new", diff.path)),
            _ => {
                let message = format!("{kind} {} has changed", diff.path);
                Finding::warning("pair.config-differs", place, message)
            }
        }
    } else {
        let severity = if diff.explained.is_some() { Severity::Info } else { Severity::Warning };
        let message = match (&diff.a, &diff.b) {
            (Some(_), None) => format!("{kind} {} is on a only", diff.path),
            (None, Some(_)) => format!("{kind} {} is on b only", diff.path),
            _ => format!("{kind} {} differs", diff.path),
        };
        let finding = Finding::new("pair.config-differs", severity, place, message);
        let lag = "the tables are equal when nothing changes: a slave asks for them every 10 or 60 seconds, by release";
        finding.consequence(diff.explained.unwrap_or(lag))
    };
    pair.report.push(finding.values(a, b));
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
}

/// The defect of 5.3.2 and 5.3.3, told once.
fn partial_topics(pair: &mut Pair<'_>, result: &DiffReport) {
    let missing = result.config.iter().filter(|diff| diff.explained == Some(PARTIAL_TOPICS)).count();
    if missing == 0 {
        return;
    }
    let message = format!("{missing} topics of the master are not in the slave's topics.json");
    let finding = Finding::info("pair.slave-topics-partial", Location::path("config/topics.json"), message)
        .consequence(
            "a defect of slaves of 5.3.2 and 5.3.3 with topics that have attributes (seen on 5.3.3), not damage of the store; \
             while the master is down it sends consumers of them away, and as master it would answer TOPIC_NOT_EXIST for them",
        )
        .suggest("copy the master's topics.json to the stopped slave before it takes over");
    pair.report.push(finding);
}

fn versions(pair: &mut Pair<'_>, a: &Snapshot, b: &Snapshot) {
    for (file, version) in &a.data_versions {
        let Some(other) = b.data_versions.get(file).filter(|other| other.key() != version.key()) else { continue };
        let shown = |version: &crate::snapshot::Version| format!("counter {}", version.counter);
        let finding =
            Finding::info("pair.data-version", Location::path(format!("config/{file}")), "the change counters differ")
                .values(shown(version), shown(other))
                .consequence("harmless if the tables are equal: counters lag, and some slaves count their own changes");
        pair.report.push(finding);
    }
}
