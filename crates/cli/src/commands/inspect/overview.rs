//! `inspect STORE`: what is this store, on one screen, without a verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use mqstore_core::format::config::subscription_group::SubscriptionGroupConfig;
use mqstore_core::format::config::topics::{TopicConfig, TopicFilterType};
use mqstore_core::release::Release;
use mqstore_core::release::marks::{About, ReleaseBounds, Strength};
use mqstore_core::store::{EntryKind, LockState, LogEndKind, SpecialKind};
use serde::Serialize;

use super::checkpoint::CheckpointJson;
use super::index::IndexFileJson;
use super::offsets::{DelayJson, OffsetJson, Totals};
use super::queues::QueueJson;
use super::{EndJson, SpecialJson, end_text};
use crate::args::StoreArgs;
use crate::commands::conf::ConfCheck;
use crate::commands::facts::Facts;
use crate::commands::{Context, Target};
use crate::exit::Exit;
use crate::output::Output;
use crate::output::human::{Paint, count, field, number, plain, size};
use crate::output::json::{self, TargetJson, text};
use crate::time::Moment;

#[derive(Debug, Serialize)]
struct Overview<'a> {
    store: StoreJson<'a>,
    commitlog: LogJson,
    queues: &'a [QueueJson],
    index: &'a [IndexFileJson],
    checkpoint: Option<CheckpointJson>,
    offsets: &'a [OffsetJson],
    delay_offsets: &'a [DelayJson],
    topics: Vec<TopicJson<'a>>,
    groups: Vec<GroupJson<'a>>,
    not_read: Vec<SpecialJson>,
    foreign: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_conf: Option<&'a ConfCheck>,
}

#[derive(Debug, Serialize)]
struct StoreJson<'a> {
    root: String,
    release: &'a ReleaseBounds,
    clean_stop: bool,
    lock: LockJson,
    features: &'a [&'static str],
}

#[derive(Debug, Serialize)]
struct LockJson {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
}

#[derive(Debug, Serialize)]
struct LogJson {
    dirs: Vec<String>,
    files: usize,
    file_size: u64,
    min_offset: u64,
    max_offset: Option<u64>,
    #[serde(flatten)]
    end: Option<EndJson>,
}

#[derive(Debug, Serialize)]
struct TopicJson<'a> {
    topic: &'a str,
    read_queue_nums: i32,
    write_queue_nums: i32,
    perm: i32,
    order: bool,
    filter_type: &'a str,
    topic_sys_flag: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a std::collections::BTreeMap<String, String>>,
}

impl<'a> TopicJson<'a> {
    fn new((topic, config): (&'a String, &'a TopicConfig)) -> Self {
        Self {
            topic,
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            order: config.order,
            filter_type: match &config.topic_filter_type {
                TopicFilterType::SingleTag => "SINGLE_TAG",
                TopicFilterType::MultiTag => "MULTI_TAG",
                TopicFilterType::Other(name) => name,
                _ => "",
            },
            topic_sys_flag: config.topic_sys_flag,
            attributes: config.attributes.as_ref(),
        }
    }
}

#[derive(Debug, Serialize)]
struct GroupJson<'a> {
    group: &'a str,
    consume_enable: bool,
    consume_broadcast_enable: bool,
    retry_queue_nums: i32,
    retry_max_times: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    consume_message_orderly: Option<bool>,
}

impl<'a> GroupJson<'a> {
    fn new((group, config): (&'a String, &'a SubscriptionGroupConfig)) -> Self {
        Self {
            group,
            consume_enable: config.consume_enable,
            consume_broadcast_enable: config.consume_broadcast_enable,
            retry_queue_nums: config.retry_queue_nums,
            retry_max_times: config.retry_max_times,
            consume_message_orderly: config.consume_message_orderly,
        }
    }
}

pub(crate) fn run(context: &mut Context, args: &StoreArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, args)?;
    let facts = Facts::gather(context, &target)?;
    let conf = ConfCheck::of(&target, &facts.release)?;
    let (paint, verbose, is_text, ndjson) =
        (context.paint, context.args.verbose, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if is_text {
        Page { out, paint, verbose, target: &target, facts: &facts, conf: conf.as_ref() }.print()?;
    } else {
        let body = document(&target, &facts, conf.as_ref());
        json::document(out, ndjson, ("mqstore.inspect", &TargetJson::store(root)), &body, &facts.exit)?;
    }
    Ok(facts.exit)
}

fn document<'a>(target: &'a Target, facts: &'a Facts, broker_conf: Option<&'a ConfCheck>) -> Overview<'a> {
    let log = target.store.commitlog();
    let pid = match target.lock {
        LockState::Held { pid } => pid,
        _ => None,
    };
    Overview {
        store: StoreJson {
            root: text(target.root()),
            release: &facts.release,
            clean_stop: facts.abort.is_none(),
            lock: LockJson { state: target.lock.as_str(), pid },
            features: &facts.features,
        },
        commitlog: LogJson {
            dirs: log.dirs().iter().map(|dir| text(dir)).collect(),
            files: log.files().len(),
            file_size: log.file_size(),
            min_offset: log.min_offset().get(),
            max_offset: facts.end.map(|end| end.offset.get()),
            end: facts.end.filter(|end| !end.stopped).as_ref().map(EndJson::new),
        },
        queues: &facts.queues,
        index: &facts.index,
        checkpoint: facts.checkpoint.map(CheckpointJson::from),
        offsets: &facts.offsets,
        delay_offsets: &facts.delay,
        topics: facts.topics.topics.iter().map(TopicJson::new).collect(),
        groups: facts.groups.groups.iter().map(GroupJson::new).collect(),
        not_read: target.special().iter().map(|part| SpecialJson::new(target, part)).collect(),
        foreign: &facts.foreign,
        broker_conf,
    }
}

/// Bounds in words: `4.2.0 to 4.9.8`.
fn bounds(release: &ReleaseBounds) -> String {
    match (release.oldest, release.newest) {
        (Some(oldest), Some(newest)) if oldest == newest => oldest.to_string(),
        (Some(oldest), Some(newest)) => format!("{oldest} to {newest}"),
        (Some(oldest), None) => format!("{oldest} or later"),
        (None, Some(newest)) => format!("{newest} or earlier"),
        (None, None) => "of a release that left no mark".to_owned(),
    }
}

struct Page<'a> {
    out: &'a mut Output,
    paint: Paint,
    verbose: bool,
    target: &'a Target,
    facts: &'a Facts,
    conf: Option<&'a ConfCheck>,
}

impl Page<'_> {
    fn print(&mut self) -> io::Result<()> {
        self.headline()?;
        self.release()?;
        self.log()?;
        self.queues()?;
        self.index_and_checkpoint()?;
        self.offsets()?;
        self.broker_conf()?;
        self.rest()
    }

    fn broker_conf(&mut self) -> io::Result<()> {
        let Some(conf) = self.conf else { return Ok(()) };
        let mut name = "broker.conf";
        for (is_grave, line) in conf.lines(self.verbose) {
            let line = plain(&line);
            let line = if is_grave { self.paint.warn(line) } else { line.into_owned() };
            self.field(name, line)?;
            name = "";
        }
        Ok(())
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
        field(self.out, self.paint, name, value)
    }

    fn unread(&self, kind: SpecialKind) -> bool {
        self.target.special().iter().any(|part| part.kind == kind)
    }

    fn headline(&mut self) -> io::Result<()> {
        let paint = self.paint;
        let (facts, target) = (self.facts, self.target);
        if facts.is_new {
            writeln!(self.out, "{}\n", paint.bold("RocketMQ store, new: no broker has stored anything here yet"))?;
            return self.field("root", target.root().display());
        }
        let state = match (&target.lock, &facts.abort) {
            (LockState::Held { pid: Some(pid) }, _) => paint.warn(format!("a broker runs on it (pid {pid})")),
            (LockState::Held { pid: None }, _) => paint.warn("a broker runs on it"),
            (_, None) => paint.good("stopped cleanly"),
            (LockState::Absent, Some(_)) => paint.warn("not stopped cleanly, or a broker before 4.2.0 runs on it"),
            (LockState::Free, Some(_)) => paint.warn("not stopped cleanly: the abort file is there"),
        };
        writeln!(self.out, "{}, {state}", paint.bold(format!("RocketMQ store, {}", bounds(&facts.release))))?;
        if let Some(end) = facts.end.filter(|end| end.kind == LogEndKind::Garbage) {
            writeln!(self.out, "{} the log {}", paint.bad("damage:"), end_text(target.store.commitlog(), &end))?;
        }
        if let Some(mixed) = &facts.release.mixed {
            writeln!(self.out, "{} {}: {}", paint.warn("mixed:"), mixed.path, mixed.says)?;
        }
        writeln!(self.out)?;
        self.field("root", target.root().display())
    }

    /// The marks that the bounds rest on; all of them with `--verbose`.
    fn release(&mut self) -> io::Result<()> {
        let release = &self.facts.release;
        let (mut lower, mut upper) = (false, false);
        let mut name = "release";
        for mark in &release.evidence {
            let decides = |bound: Option<Release>, of: Option<Release>| {
                mark.strength == Strength::Strong && bound.is_some() && bound == of
            };
            let shows_lower = !lower && mark.about != About::History && decides(mark.at_least, release.oldest);
            let shows_upper = !upper && mark.about == About::LastWriter && decides(mark.at_most, release.newest);
            lower |= shows_lower;
            upper |= shows_upper;
            if self.verbose || shows_lower || shows_upper {
                field(self.out, self.paint, name, format_args!("{}: {}", mark.path, mark.says))?;
                name = "";
            }
        }
        Ok(())
    }

    fn log(&mut self) -> io::Result<()> {
        let log = self.target.store.commitlog();
        let Some(end) = self.facts.end else {
            return self.field("commitlog", "no files");
        };
        let span = size(end.offset.since(log.min_offset()));
        let files = count(log.files().len() as u64, "file", "files");
        let end_text = end_text(log, &end);
        let end_text = match end.kind {
            // The headline says what it is.
            LogEndKind::Garbage => self.paint.bad("ends in garbage"),
            LogEndKind::Torn => self.paint.warn(end_text),
            _ => end_text,
        };
        self.field(
            "commitlog",
            format_args!(
                "{} to {} ({span}) in {files} of {}, {end_text}",
                number(log.min_offset()),
                number(end.offset),
                size(log.file_size()),
            ),
        )?;
        for dir in log.dirs().iter().filter(|dir| **dir != self.target.root().join("commitlog")) {
            self.field("", dir.display())?;
        }
        Ok(())
    }

    fn queues(&mut self) -> io::Result<()> {
        let queues = &self.facts.queues;
        let topics: BTreeSet<&str> = queues.iter().map(|queue| queue.topic.as_str()).collect();
        let unread = if self.unread(SpecialKind::RocksDbQueues) {
            self.paint.warn(", without those in RocksDB")
        } else if self.unread(SpecialKind::BatchQueues) {
            self.paint.warn(", without batch queues")
        } else {
            String::new()
        };
        self.field(
            "queues",
            format_args!(
                "{} in {} of {}{unread}",
                count(self.facts.messages(), "message", "messages"),
                count(queues.len() as u64, "queue", "queues"),
                count(topics.len() as u64, "topic", "topics"),
            ),
        )?;
        let behind = queues.iter().filter(|queue| queue.units_behind_end > 0).count();
        if behind > 0 {
            let text = format!("{} with used units behind their end", count(behind as u64, "queue", "queues"));
            self.field("", self.paint.warn(text))?;
        }
        Ok(())
    }

    fn index_and_checkpoint(&mut self) -> io::Result<()> {
        let index = &self.facts.index;
        let entries: u64 = index.iter().map(IndexFileJson::entries).sum();
        let mut text =
            format!("{} in {}", count(entries, "entry", "entries"), count(index.len() as u64, "file", "files"));
        let ends = [index.first().map(|file| file.begin_timestamp), index.last().map(|file| file.end_timestamp)];
        if let [Some(from), Some(to)] = ends.map(|ms| ms.and_then(Moment::from_mark)) {
            let _ = write!(text, ", stored {} to {}", from.short(), to.short());
        }
        self.field("index", text)?;
        let Some(checkpoint) = self.facts.checkpoint else {
            let is_there = self.target.store.has(EntryKind::Checkpoint);
            return self.field("checkpoint", if is_there { "not read" } else { "none" });
        };
        let at = |ms| Moment::from_mark(ms).map_or_else(|| "never".to_owned(), Moment::short);
        self.field(
            "checkpoint",
            format_args!(
                "log {}, queues {}, index {}",
                at(checkpoint.physic_msg_timestamp),
                at(checkpoint.logics_msg_timestamp),
                at(checkpoint.index_msg_timestamp)
            ),
        )
    }

    fn offsets(&mut self) -> io::Result<()> {
        let facts = self.facts;
        let in_rocksdb = self.unread(SpecialKind::RocksDbConfig);
        let known = facts.topics.topics.len() + facts.groups.groups.len();
        let mut config = format!(
            "{}, {}",
            count(facts.topics.topics.len() as u64, "topic", "topics"),
            count(facts.groups.groups.len() as u64, "group", "groups")
        );
        if in_rocksdb {
            config += &self.paint.warn(", without those in RocksDB");
        } else if known == 0 && self.target.store.options().home.is_none() && !facts.queues.is_empty() {
            config += &self.paint.warn(" (3.5.x keeps them under the broker's $HOME: give it with --home)");
        }
        self.field("config", config)?;
        let groups: BTreeSet<&str> = facts.offsets.iter().map(|row| row.group.as_str()).collect();
        let totals: Totals = facts.offsets.iter().map(|row| &row.position).collect();
        self.field(
            "offsets",
            format_args!(
                "{} of {}: {}",
                number(facts.offsets.len()),
                count(groups.len() as u64, "group", "groups"),
                totals.of_groups(self.paint)
            ),
        )?;
        if !facts.delay.is_empty() {
            let totals: Totals = facts.delay.iter().map(|row| &row.position).collect();
            let words = totals.of_levels(self.paint);
            self.field("delay", format_args!("{}: {words}", count(facts.delay.len() as u64, "level", "levels")))?;
        }
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        if !self.facts.features.is_empty() {
            self.field("features", self.facts.features.join(", "))?;
        }
        let mut name = "not read";
        for part in self.target.special() {
            self.field(name, format_args!("{}: {}", part.kind.as_str(), self.target.in_words(part)))?;
            name = "";
        }
        let foreign = &self.facts.foreign;
        if !foreign.is_empty() {
            let shown = if self.verbose { foreign.len() } else { 3 };
            let names: Vec<_> = foreign.iter().take(shown).map(|path| plain(path)).collect();
            let more = foreign.len().saturating_sub(shown);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            self.field("foreign", format_args!("{}{more}", names.join(", ")))?;
        }
        let root = self.target.root().display();
        writeln!(
            self.out,
            "\n{}",
            self.paint.dim(format_args!("next: mqstore inspect queues|offsets|commitlog {root}"))
        )
    }
}
