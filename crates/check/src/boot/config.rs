//! What the release makes of the files under `config/`: which copy it loads, what it refuses, and what a refused start
//! writes over.

use std::collections::BTreeSet;
use std::path::Path;

use mqstore_core::format::config::consumer_offset::ConsumerOffsetTable;
use mqstore_core::format::config::delay_offset::DelayOffsetTable;
use mqstore_core::format::config::topics::TopicConfigTable;
use mqstore_core::format::config::{Document, Node, Value};
use mqstore_core::release::Release;
use mqstore_core::release::rules::{ConfigRead, RefusedStart};
use mqstore_core::store::config::{ConfigDir, ConfigKind, ConfigPlace, ConfigSource, CopyState, KNOWN_FILES, Loaded};

use super::settings::Settings;
use super::{ConfigFile, LoadedFrom};

const TOPICS: &str = "topics.json";
const GROUPS: &str = "subscriptionGroup.json";
const CONSUMER_OFFSET: &str = "consumerOffset.json";
pub(super) const DELAY_OFFSET: &str = "delayOffset.json";

/// Files that some releases write empty when a start is refused.
const EMPTIED: &[&str] = &[CONSUMER_OFFSET, DELAY_OFFSET];

/// The files in the order in which brokers load them; delayOffset.json comes with the store.
const ORDER: &[&str] =
    &[TOPICS, "topicQueueMapping.json", CONSUMER_OFFSET, GROUPS, "consumerFilter.json", "consumerOrderInfo.json"];

/// What loading one file came to.
#[derive(Debug, Clone)]
pub(super) struct LoadedConfig {
    pub file: ConfigFile,
    /// Why the start fails here.
    pub refused: Option<String>,
    /// What is lost: a copy was there, and its table is not loaded.
    pub lost: Option<String>,
    /// Whether the release writes the file again at a start although nothing changed.
    pub rewritten: bool,
}

/// The config folder through the eyes of a release.
#[derive(Debug, Clone)]
pub(super) struct Configs {
    dir: ConfigDir,
    place: ConfigPlace,
    release: Release,
    refused_start: RefusedStart,
    topics_rewritten: bool,
}

impl Configs {
    pub(super) fn new(settings: &Settings) -> Self {
        let chars = settings.rules.config_read.value == ConfigRead::Chars;
        let dir = ConfigDir::new(&settings.root).with_home(settings.topics_folder.clone()).refusing_multi_byte(chars);
        Self {
            dir,
            place: if settings.topics_folder.is_some() { ConfigPlace::Home } else { ConfigPlace::Root },
            release: settings.release,
            refused_start: settings.rules.refused_start.value,
            topics_rewritten: settings.rules.topics_json_written_at_start.value,
        }
    }

    /// Loads what comes before the store, up to the first file that is refused.
    pub(super) fn load(&self, lmq: bool) -> Vec<LoadedConfig> {
        let mut loaded = Vec::new();
        for name in ORDER {
            let name = if *name == CONSUMER_OFFSET && lmq { "lmqConsumerOffset.json" } else { name };
            let Some(one) = self.load_one(name) else { continue };
            let refused = one.refused.is_some();
            loaded.push(one);
            if refused {
                break;
            }
        }
        loaded
    }

    /// Loads one file; `None` if the release does not know it.
    pub(super) fn load_one(&self, name: &str) -> Option<LoadedConfig> {
        let known = KNOWN_FILES.iter().find(|file| file.name == name)?;
        let ConfigKind::Json { tables, .. } = known.kind else { return None };
        if known.since.parse::<Release>().is_ok_and(|since| since > self.release) {
            return None;
        }
        let moves = name == TOPICS || name == GROUPS;
        let place = if moves { self.place } else { ConfigPlace::Root };
        let loaded = self.dir.document(place, name)?;
        let entries = loaded.value().map_or(0, |document| count(document, tables));
        let from = match loaded.source {
            ConfigSource::File => LoadedFrom::File,
            ConfigSource::Bak => LoadedFrom::Bak,
            ConfigSource::None | ConfigSource::Refused => LoadedFrom::None,
        };
        Some(LoadedConfig {
            file: ConfigFile { file: display(&loaded, self.dir.path()), loaded_from: from, entries },
            refused: (loaded.source == ConfigSource::Refused).then(|| {
                format!(
                    "{name} {} and its .bak {}: the start is refused",
                    state(&loaded.file.state),
                    state(&loaded.bak.state)
                )
            }),
            lost: lost(&loaded, name, entries, loaded.bak.value.as_ref().map_or(0, |document| count(document, tables))),
            rewritten: name == TOPICS && self.topics_rewritten && loaded.source == ConfigSource::None,
        })
    }

    /// The topics that are known after the start, if they can be told.
    pub(super) fn topics(&self) -> Option<TopicConfigTable> {
        let placed = self.dir.topics();
        Some(placed.at(self.place)?.value().cloned().unwrap_or_default())
    }

    /// The committed offsets that the release loads.
    pub(super) fn consumer_offsets(&self) -> Option<ConsumerOffsetTable> {
        self.dir.consumer_offsets().into_value()
    }

    /// The delay offsets that the release loads.
    pub(super) fn delay_offsets(&self) -> Option<DelayOffsetTable> {
        self.dir.delay_offsets().into_value()
    }

    /// Topics whose queues are batch queues.
    pub(super) fn batch_topics(&self) -> BTreeSet<String> {
        let batch = |topic: &mqstore_core::format::config::topics::TopicConfig| {
            topic.attributes.as_ref().and_then(|a| a.get("queue.type")).is_some_and(|kind| kind == "BatchCQ")
        };
        let topics = self.topics().unwrap_or_default().topics;
        topics.into_iter().filter(|(_, topic)| batch(topic)).map(|(name, _)| name).collect()
    }

    /// The file that the shutdown of a refused start writes over, for a start refused at `stage`.
    pub(super) fn emptied_by_refusal(&self, stage: Stage<'_>) -> Option<&'static str> {
        let offsets_not_loaded = matches!(stage, Stage::Config(name) if name == TOPICS || name == CONSUMER_OFFSET);
        match self.refused_start {
            RefusedStart::EmptiesConsumerOffset if offsets_not_loaded => Some(CONSUMER_OFFSET),
            RefusedStart::EmptiesDelayOffset if matches!(stage, Stage::Store | Stage::DelayOffset) => {
                Some(DELAY_OFFSET)
            }
            _ => None,
        }
    }
}

/// Where a start was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage<'a> {
    /// At this file under `config/`.
    Config(&'a str),
    /// While the store was loaded.
    Store,
    /// At `delayOffset.json`.
    DelayOffset,
}

fn display(loaded: &Loaded<Document>, root_config: &Path) -> String {
    let path = &loaded.file.path;
    path.strip_prefix(root_config.parent().unwrap_or(root_config)).unwrap_or(path).to_string_lossy().into_owned()
}

fn count(document: &Document, tables: &[&str]) -> u64 {
    let size = |node: &Node| match &node.value {
        Value::Object(members) => members.len() as u64,
        Value::Array(items) => items.len() as u64,
        _ => 0,
    };
    tables.iter().filter_map(|table| document.root.get(table)).map(size).sum()
}

fn lost(loaded: &Loaded<Document>, name: &str, entries: u64, bak_entries: u64) -> Option<String> {
    let had = |state: &CopyState| !matches!(state, CopyState::Missing);
    let because = |state: &CopyState| self::state(state);
    match loaded.source {
        ConfigSource::None if had(&loaded.file.state) || had(&loaded.bak.state) || loaded.tmp.is_some() => {
            Some(format!(
                "{name} {} and its .bak {}: the broker starts with an empty table and says nothing",
                because(&loaded.file.state),
                because(&loaded.bak.state)
            ))
        }
        ConfigSource::File if loaded.file.state == CopyState::WithoutTable => {
            Some(format!("{name} has no table, which counts as an empty one: .bak is not tried, and overwritten later"))
        }
        // What a refused start leaves.
        ConfigSource::File if entries == 0 && bak_entries > 0 && EMPTIED.contains(&name) => {
            Some(format!("{name} holds an empty table, while its .bak has {bak_entries} entries: .bak is not tried"))
        }
        _ => None,
    }
}

fn state(state: &CopyState) -> String {
    match state {
        CopyState::Good => "is good".to_owned(),
        CopyState::WithoutTable => "has no table".to_owned(),
        CopyState::Missing => "is missing".to_owned(),
        CopyState::Empty => "is empty".to_owned(),
        CopyState::MultiByte => {
            "has characters of several bytes, which this release takes for an empty file".to_owned()
        }
        CopyState::Unreadable { reason } => format!("cannot be read ({reason})"),
        CopyState::TooLarge => "is too large to be read".to_owned(),
        CopyState::Bad(error) => format!("does not parse ({error})"),
        _ => "is not usable".to_owned(),
    }
}
