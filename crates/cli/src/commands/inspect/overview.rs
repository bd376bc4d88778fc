//! `inspect STORE`: what is this store, on one screen, without a verdict.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use mqstore_core::format::config::subscription_group::SubscriptionGroupConfig;
use mqstore_core::format::config::topics::{TopicConfig, TopicFilterType};
use mqstore_core::release::Release;
use mqstore_core::release::marks::{About, ReleaseBounds, Strength};
use mqstore_core::store::{DledgerLog, EntryKind, LockState, LogEndKind};
use serde::Serialize;

use super::checkpoint::CheckpointJson;
use super::index::IndexFileJson;
use super::offsets::{DelayJson, OffsetJson, Totals};
use super::queues::{CompactedJson, QueueJson};
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    compacted: &'a [CompactedJson],
    index: &'a [IndexFileJson],
    checkpoint: Option<CheckpointJson>,
    offsets: &'a [OffsetJson],
    delay_offsets: &'a [DelayJson],
    topics: Vec<TopicJson<'a>>,
    groups: Vec<GroupJson<'a>>,
    /// Parts in formats of their own, read or not.
    parts: Vec<SpecialJson>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    dledger: Option<DledgerJson>,
    dirs: Vec<String>,
    files: usize,
    file_size: u64,
    min_offset: u64,
    max_offset: Option<u64>,
    #[serde(flatten)]
    end: Option<EndJson>,
}

/// The part of the log that DLedger keeps.
#[derive(Debug, Serialize)]
struct DledgerJson {
    id: String,
    dir: String,
    files: usize,
    min_offset: Option<u64>,
    end_index: Option<i64>,
    committed_index: Option<i64>,
    term: Option<i64>,
}

impl DledgerJson {
    fn new(dledger: &DledgerLog) -> Self {
        Self {
            id: dledger.id().to_owned(),
            dir: text(dledger.dir()),
            files: dledger.data().files().len(),
            min_offset: dledger.data().min_offset(),
            end_index: dledger.checkpoint().and_then(|checkpoint| checkpoint.number("endIndex")),
            committed_index: dledger.committed_index(),
            term: dledger.current_term().and_then(|term| term.number("currTerm")),
        }
    }
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
    let log = &target.log;
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
            dledger: log.dledger().map(DledgerJson::new),
            dirs: log.commitlog().dirs().iter().map(|dir| text(dir)).collect(),
            files: log.files().count(),
            file_size: file_size(target),
            min_offset: log.min_offset().get(),
            max_offset: facts.end.map(|end| end.offset.get()),
            end: facts.end.filter(|end| !end.stopped).as_ref().map(EndJson::new),
        },
        queues: &facts.queues,
        compacted: &facts.compacted,
        index: &facts.index,
        checkpoint: facts.checkpoint.map(CheckpointJson::from),
        offsets: &facts.offsets,
        delay_offsets: &facts.delay,
        topics: facts.topics.topics.iter().map(TopicJson::new).collect(),
        groups: facts.groups.groups.iter().map(GroupJson::new).collect(),
        parts: target.special().iter().map(|part| SpecialJson::new(target, part)).collect(),
        not_read: target.not_read().into_iter().map(|part| SpecialJson::new(target, part)).collect(),
        foreign: &facts.foreign,
        broker_conf,
    }
}

/// Bytes of a file of the log: of the commit log, or of DLedger where it is all there is.
fn file_size(target: &Target) -> u64 {
    match target.log.commitlog().file_size() {
        0 => target.log.files().next().map_or(0, |file| file.length),
        size => size,
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
            writeln!(self.out, "{} the log {}", paint.bad("damage:"), end_text(&target.log, &end))?;
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
        let log = &self.target.log;
        let Some(end) = self.facts.end else {
            return self.field("commitlog", "no files");
        };
        let span = size(end.offset.since(log.min_offset()));
        let files = count(log.files().count() as u64, "file", "files");
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
                size(file_size(self.target)),
            ),
        )?;
        if let Some(dledger) = log.dledger() {
            let json = DledgerJson::new(dledger);
            let known = |n: Option<i64>| n.map_or_else(|| "?".to_owned(), number);
            let from = json.min_offset.map_or_else(|| "?".to_owned(), number);
            let (last, committed, term) = (known(json.end_index), known(json.committed_index), known(json.term));
            self.field(
                "dledger",
                format_args!(
                    "{} from {from} on: last entry {last}, committed {committed}, term {term}",
                    plain(&json.id)
                ),
            )?;
        }
        for dir in log.commitlog().dirs().iter().filter(|dir| **dir != self.target.root().join("commitlog")) {
            self.field("", dir.display())?;
        }
        Ok(())
    }

    fn queues(&mut self) -> io::Result<()> {
        let queues = &self.facts.queues;
        let topics: BTreeSet<&str> = queues.iter().map(|queue| queue.topic.as_str()).collect();
        let of_kind = |kind| queues.iter().filter(|queue| queue.kind == kind).count();
        let mut kinds = String::new();
        for (kind, words) in [("batch", "batch queues"), ("rocksdb", "in RocksDB")] {
            if of_kind(kind) > 0 {
                let _ = write!(kinds, ", {} {words}", number(of_kind(kind)));
            }
        }
        self.field(
            "queues",
            format_args!(
                "{} in {} of {}{kinds}",
                count(self.facts.messages(), "message", "messages"),
                count(queues.len() as u64, "queue", "queues"),
                count(topics.len() as u64, "topic", "topics"),
            ),
        )?;
        let compacted = &self.facts.compacted;
        if !compacted.is_empty() {
            let messages: u64 = compacted.iter().map(|queue| queue.messages).sum();
            let queues = count(compacted.len() as u64, "queue", "queues");
            let text = format!("{} kept of {queues}", count(messages, "message", "messages"));
            self.field("compaction", text)?;
        }
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
        let known = facts.topics.topics.len() + facts.groups.groups.len();
        let mut config = format!(
            "{}, {}",
            count(facts.topics.topics.len() as u64, "topic", "topics"),
            count(facts.groups.groups.len() as u64, "group", "groups")
        );
        if known == 0 && self.target.store.options().home.is_none() && !facts.queues.is_empty() {
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
        if let Some(waiting) = facts.timers {
            self.field("timer", format_args!("{} waiting", number(waiting)))?;
        }
        Ok(())
    }

    fn rest(&mut self) -> io::Result<()> {
        if !self.facts.features.is_empty() {
            self.field("features", self.facts.features.join(", "))?;
        }
        let mut name = "not read";
        for part in self.target.not_read() {
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
            self.paint.dim(format_args!("next: mqstore inspect queues|offsets|pending|commitlog {root}"))
        )
    }
}
