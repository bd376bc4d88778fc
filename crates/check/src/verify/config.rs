//! The files under `config/`: which copy a broker would load, and topics.json against the folders on disk.

use mqstore_core::format::config::Document;
use mqstore_core::store::config::{
    ConfigCopy, ConfigDir, ConfigKind, ConfigPlace, ConfigSource, CopyState, KNOWN_FILES, Loaded,
};

use super::facts::config_dir;
use super::queues::{Queues, is_system};
use super::rocksdb::Databases;
use super::{Context, at_most, finding};
use crate::finding::{Location, Severity};

/// JSON files and the databases of the same tables.
const STALE_BESIDE: &[(&str, &str)] = &[
    ("topics.json", "topics"),
    ("subscriptionGroup.json", "subscriptionGroups"),
    ("consumerOffset.json", "consumerOffsets"),
];

/// Looks at every config file.
pub(super) fn pass(cx: &mut Context<'_>, queues: &Queues, databases: &Databases) {
    let dir = config_dir(cx.store);
    for place in [ConfigPlace::Root, ConfigPlace::Home] {
        if place == ConfigPlace::Home && dir.home().is_none() {
            continue;
        }
        let mut rocksdb = false;
        match dir.list(place) {
            Ok(listing) => {
                let folder = if place == ConfigPlace::Root { "config" } else { "home/store/config" };
                for name in &listing.unknown {
                    let message = format!("no broker makes a file {name:?} here");
                    cx.push(finding("config.foreign-entry", Location::path(format!("{folder}/{name}")), message));
                }
                rocksdb = !listing.rocksdb.is_empty();
                for (name, database) in STALE_BESIDE {
                    if listing.files.contains(name)
                        && let Some(database) = [database, &"rdb"].into_iter().find(|d| listing.rocksdb.contains(d))
                    {
                        let message = beside(&dir, name, database, databases);
                        let at = Location::path(format!("{folder}/{name}"));
                        cx.push(finding("config.rocksdb-beside-json", at, message));
                    }
                }
            }
            Err(error) => cx.unreadable(&error),
        }
        for known in KNOWN_FILES {
            if let ConfigKind::Json { .. } = known.kind
                && let Some(loaded) = dir.document(place, known.name)
            {
                let home = place == ConfigPlace::Home;
                if home && known.name != "topics.json" && known.name != "subscriptionGroup.json" {
                    continue;
                }
                file(cx, known.name, &loaded, rocksdb);
            }
        }
    }
    timercheck(cx, &dir);
    two_places(cx, &dir);
    topics(cx, &dir, queues);
}

/// Which of a JSON file and a database beside it is the newer one.
fn beside(dir: &ConfigDir, name: &str, database: &str, databases: &Databases) -> String {
    if database == "rdb" {
        return format!(
            "{name} beside config/rdb, which never takes it over: it is stale while the database is in use"
        );
    }
    let loaded = dir.document(ConfigPlace::Root, name);
    let document = loaded.as_ref().and_then(Loaded::value);
    let json = document.and_then(|json| json.root.get("dataVersion")?.get("counter")?.as_i64()).unwrap_or(0);
    let stored = databases.counters.get(database).copied().flatten().unwrap_or(0);
    if json > stored {
        format!("{name} was changed {json} times, config/{database} {stored}: 5.3.2 and later take it over at a start")
    } else {
        format!("{name} was changed {json} times, config/{database} {stored}: it is stale while the database is in use")
    }
}

fn file(cx: &mut Context<'_>, name: &str, loaded: &Loaded<Document>, rocksdb: bool) {
    if loaded.file.state != CopyState::Missing {
        cx.report.coverage.files.total += 1;
        cx.report.coverage.files.seen += 1;
    }
    let place = |copy: &ConfigCopy<Document>| Location::path(relative(cx.store.root(), copy));
    let (at, bak_at) = (place(&loaded.file), place(&loaded.bak));
    if let Some(tmp) = &loaded.tmp {
        let path = cx.relative(tmp);
        cx.push(finding("config.tmp", Location::path(&path), format!("{path} is left over")));
    }
    let why = words(&loaded.file.state);
    let bak_good = loaded.bak.state == CopyState::Good;
    match loaded.source {
        ConfigSource::File if loaded.file.state == CopyState::WithoutTable => {
            let found = finding("config.empty-table", at, format!("{name} {why}"));
            // Without a .bak there was never more in it, as far as is known.
            cx.push(if bak_good { found } else { at_most(Severity::Info, found) });
        }
        ConfigSource::File => {
            let state = &loaded.bak.state;
            if !matches!(state, CopyState::Good | CopyState::WithoutTable | CopyState::Missing) {
                cx.push(finding("config.bak", bak_at, format!("{name}.bak {}", words(state))));
            }
        }
        ConfigSource::Bak => {
            let found = finding("config.loaded-from-bak", at, format!("{name} {why}, {name}.bak will be loaded"));
            // Which files a broker with tables in RocksDB reads is not known here.
            cx.push(if rocksdb { at_most(Severity::Info, found) } else { found });
        }
        ConfigSource::None if loaded.is_there() && loaded.file.state != CopyState::Missing => {
            let bak = words(&loaded.bak.state);
            cx.push(finding("config.lost", at, format!("{name} {why} and {name}.bak {bak}")));
        }
        ConfigSource::None if loaded.bak.state != CopyState::Missing || loaded.tmp.is_some() => {
            let bak = words(&loaded.bak.state);
            cx.push(finding("config.lost", at, format!("{name} {why} and {name}.bak {bak}, but something was there")));
        }
        ConfigSource::None => {}
        ConfigSource::Refused => {
            let bak = words(&loaded.bak.state);
            cx.push(finding("config.refused", at, format!("{name} {why} and {name}.bak {bak}")));
        }
    }
}

fn relative(root: &std::path::Path, copy: &ConfigCopy<Document>) -> String {
    super::relative(root, &copy.path)
}

fn words(state: &CopyState) -> String {
    match state {
        CopyState::Good => "is good".to_owned(),
        CopyState::WithoutTable => "holds no table".to_owned(),
        CopyState::Missing => "is missing".to_owned(),
        CopyState::Empty => "is empty".to_owned(),
        CopyState::MultiByte => "has characters that 3.2.6 to 4.0.0 cannot read".to_owned(),
        CopyState::Unreadable { reason } => format!("cannot be read: {reason}"),
        CopyState::TooLarge => "is too large to be read".to_owned(),
        CopyState::Bad(error) => format!("does not parse: {error}"),
        _ => "is unusable".to_owned(),
    }
}

fn timercheck(cx: &mut Context<'_>, dir: &ConfigDir) {
    let path = dir.path().join("timercheck");
    let Ok(metadata) = std::fs::metadata(&path) else { return };
    let at = || Location::path("config/timercheck");
    if metadata.len() != 4096 {
        let message = format!("{} bytes, expected 4096", metadata.len());
        cx.push(finding("config.timercheck", at(), message).values(4096, metadata.len()));
        return;
    }
    if let Err(error) = dir.timercheck() {
        cx.push(finding("config.timercheck", at(), error.to_string()));
    }
}

fn two_places(cx: &mut Context<'_>, dir: &ConfigDir) {
    let places = [
        ("topics.json", dir.topics().places().len()),
        ("subscriptionGroup.json", dir.subscription_groups().places().len()),
    ];
    for (name, count) in places {
        if count > 1 {
            let message = format!("{name} lies in the store and in the home folder");
            cx.push(finding("config.two-places", Location::path(format!("config/{name}")), message));
        }
    }
}

/// Entries under a wrong name, and topics that have queues but no entry.
fn topics(cx: &mut Context<'_>, dir: &ConfigDir, queues: &Queues) {
    let placed = dir.topics();
    let Some(loaded) = placed.at(placed.newest()) else { return };
    let groups = dir.subscription_groups();
    if let Some(table) = loaded.value() {
        for (key, topic) in &table.topics {
            if let Some(name) = topic.topic_name.as_ref().filter(|name| *name != key) {
                let at = Location { topic: Some(key.clone()), ..Location::path("config/topics.json") };
                cx.push(
                    finding("config.name", at, format!("entry {key:?} carries the name {name:?}")).values(key, name),
                );
            }
        }
    }
    if let Some(table) = groups.at(groups.newest()).and_then(Loaded::value) {
        for (key, group) in &table.groups {
            if let Some(name) = group.group_name.as_ref().filter(|name| *name != key) {
                let at = Location::path("config/subscriptionGroup.json").of_group(key);
                cx.push(
                    finding("config.name", at, format!("entry {key:?} carries the name {name:?}")).values(key, name),
                );
            }
        }
    }
    let in_rocksdb = dir.list(ConfigPlace::Root).is_ok_and(|listing| !listing.rocksdb.is_empty());
    let folders = queues.states.iter().filter(|s| s.files.as_ref().is_some_and(|f| !f.queue().files().is_empty()));
    let mut names: Vec<&str> = folders.map(|state| state.topic.as_str()).collect();
    names.dedup();
    if in_rocksdb || names.is_empty() {
        return;
    }
    let Some(table) = loaded.value() else {
        if !loaded.is_there() {
            let message = format!("there is no topics.json, and queues of {} topics", names.len());
            let found = finding("config.missing", Location::path("config/topics.json"), message);
            // 3.5.x keeps it in the home folder, and no later release has run here.
            let excused = cx.facts.before_lock && cx.store.options().home.is_none();
            cx.push(if excused { at_most(Severity::Info, found) } else { found });
        }
        return;
    };
    for name in names {
        let known = table.topics.contains_key(name) || is_system(name) || name.starts_with("%LMQ%");
        if !known {
            let at = Location { topic: Some(name.to_owned()), ..Location::path("config/topics.json") };
            let found =
                finding("config.topic-unknown", at, format!("topic {name:?} has queues and is not in topics.json"));
            // 5.3.2 and 5.3.3 slaves lose topics with attributes, and their topics.json is made again by each sync.
            cx.push(if cx.facts.slave { at_most(Severity::Info, found) } else { found });
        }
    }
}
