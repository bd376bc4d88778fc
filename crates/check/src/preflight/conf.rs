//! Both configurations, each as both releases read it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mqstore_core::format::index::IndexGeometry;
use mqstore_core::release::Release;
use mqstore_core::release::conf::{BrokerConf, ConfKey, ConfNote, ConfProblem, NoteLevel, Resolved};
use mqstore_core::release::features::{Effect, Feature, GetsIn};
use mqstore_core::release::notes::{Note, Subject};
use mqstore_core::release::rules::{DefaultPlace, WrongLength};
use mqstore_core::store::IndexService;

use super::back::switch_in_words;
use super::{ConfFile, Cx, Line, PreflightOptions, Status};

/// Stands for the home folder where it is not known.
const HOME: &str = "$HOME";
const NEEDED: &str = "neither --old-conf nor --new-conf is given";

/// A configuration, as its release reads it.
#[derive(Debug)]
pub(super) struct Side<'a> {
    pub(super) file: &'a ConfFile,
    pub(super) resolved: Resolved,
}

/// Both configurations.
#[derive(Debug)]
pub(super) struct Both<'a> {
    pub(super) old: Side<'a>,
    pub(super) new: Side<'a>,
    /// The new file as the old release reads it, for somebody who goes back and keeps the file.
    new_in_old: Resolved,
    /// One file stands for both.
    pub(super) one_file: bool,
}

impl<'a> Both<'a> {
    /// `None` if no file is given.
    pub(super) fn resolve(from: Release, to: Release, options: &'a PreflightOptions) -> Option<Self> {
        let old = options.old_conf.as_ref().or(options.new_conf.as_ref())?;
        let new = options.new_conf.as_ref().or(options.old_conf.as_ref())?;
        let home = options.home.as_deref().unwrap_or(Path::new(HOME));
        let side = |file: &'a ConfFile, release| Side { file, resolved: file.conf.resolve(release, home) };
        Some(Self {
            old: side(old, from),
            new: side(new, to),
            new_in_old: new.conf.resolve(from, home),
            one_file: options.old_conf.is_none() || options.new_conf.is_none(),
        })
    }
}

pub(super) fn lines(cx: &Cx<'_>) -> Vec<Line> {
    let mut lines = vec![defaults(cx), place(cx)];
    let Some(both) = &cx.conf else {
        let ids = ["conf.keys", "conf.paths", "conf.sizes", "conf.identity", "conf.one-way"];
        lines.extend(ids.map(|id| Line::not_checked(id, NEEDED)));
        return lines;
    };
    let mut keys = keys(cx, both);
    if both.one_file {
        keys = keys.evidence([format!("{} is taken for both releases", both.old.file.path.display())]);
    }
    lines.extend([keys, paths(cx, both), sizes(cx, both), identity(both), one_way(cx, both)]);
    lines
}

fn note_in_words(file: &Path, note: &ConfNote) -> String {
    format!("{} line {}, {}: {} ({})", name(file), note.line, note.key, note.says, note.evidence)
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn keys(cx: &Cx<'_>, both: &Both<'_>) -> Line {
    const ID: &str = "conf.keys";
    // Where the log lies has a line of its own, and keys that nobody can judge would only hide the others.
    let tells = |note: &&ConfNote| {
        let of_paths = note.key == "storePathRootDir" && note.problem == ConfProblem::Bites;
        note.problem != ConfProblem::NotKnown && !of_paths
    };
    let new = both.new.file.conf.lint(cx.to);
    let unknown = new.iter().filter(|note| note.problem == ConfProblem::NotKnown).count();
    let mut new: Vec<&ConfNote> = new.iter().filter(tells).collect();
    new.sort_by_key(|note| (std::cmp::Reverse(note.level), note.line));
    let worst = new.iter().map(|note| note.level).max().unwrap_or(NoteLevel::Info);
    let loud = new.iter().filter(|note| note.level > NoteLevel::Info).count();
    let path = &both.new.file.path;
    let (file, to) = (name(path), cx.to);
    let line = match worst {
        NoteLevel::Block => Line::fail(ID, format!("{to} does harm, or fails, by what {file} says")),
        NoteLevel::Warning => {
            let lines = if loud == 1 { "a line".to_owned() } else { format!("{loud} lines") };
            Line::warn(ID, format!("{to} ignores {lines} of {file}, or takes what is there otherwise than it looks"))
        }
        NoteLevel::Info => Line::pass(ID, format!("{to} takes {file} as it looks")),
    };
    let quiet = |note: &&&ConfNote| worst == NoteLevel::Info || note.level > NoteLevel::Info;
    let mut line = line.evidence(new.iter().filter(quiet).map(|note| note_in_words(path, note)));
    let old = both.old.file.conf.lint(cx.from);
    let old_loud = old.iter().filter(tells).filter(|note| note.level > NoteLevel::Info);
    line = line
        .evidence(old_loud.map(|note| format!("already {}: {}", cx.from, note_in_words(&both.old.file.path, note))));
    if unknown > 0 {
        line = line.evidence([format!("keys of {file} that are not known here and not judged: {unknown}")]);
    }
    if line.status == Status::Pass { line } else { line.suggest("put these lines right before the start") }
}

/// A path of one release and of the other.
struct Compared {
    what: &'static str,
    old: String,
    new: String,
    /// What the new file gives in the old release.
    new_in_old: String,
    grave: bool,
}

impl Compared {
    fn differs(&self) -> bool {
        self.old != self.new
    }

    fn in_words(&self, from: Release, to: Release) -> String {
        format!("{}: {from} {}, {to} {}", self.what, self.old, self.new)
    }
}

fn joined(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
}

fn paths(cx: &Cx<'_>, both: &Both<'_>) -> Line {
    let (old, new) = (&both.old.resolved, &both.new.resolved);
    let row = |what, grave, of: &dyn Fn(&Resolved) -> String| Compared {
        what,
        old: of(old),
        new: of(new),
        new_in_old: of(&both.new_in_old),
        grave,
    };
    let mut rows = vec![
        row("the store", true, &|r| r.store_path_root_dir.value.display().to_string()),
        row("the commit log", true, &|r| joined(&r.commit_log_paths.value)),
        row("more log, read only", true, &|r| joined(&r.read_only_commit_log_paths.value)),
    ];
    let dledger =
        |r: &Resolved| r.dledger.as_ref().map_or_else(|| "none".to_owned(), |d| d.data.value.display().to_string());
    rows.push(row("the log of DLedger", true, &dledger));
    if new.enable_controller_mode.value || old.enable_controller_mode.value {
        let epoch =
            |r: &Resolved| r.epoch_file.as_ref().map_or_else(|| "none".to_owned(), |p| p.value.display().to_string());
        rows.push(row("the epochs of controller mode", false, &epoch));
    }
    let consequence = "a release that looks elsewhere finds an empty log: from 4.5.0 on it deletes the queues, with abort every release does";
    compared(cx, "conf.paths", "look in the same folders", &rows, consequence).evidence([place_in_words(
        cx,
        "the commit log",
        &joined(&new.commit_log_paths.value),
    )])
}

fn place_in_words(cx: &Cx<'_>, what: &str, path: &str) -> String {
    let evidence = cx.to.behaviour().commit_log_place.evidence;
    format!("{} looks for {what} in {path} ({evidence})", cx.to)
}

fn compared(cx: &Cx<'_>, id: &'static str, what: &str, rows: &[Compared], consequence: &str) -> Line {
    let (from, to) = (cx.from, cx.to);
    let differing: Vec<&Compared> = rows.iter().filter(|row| row.differs()).collect();
    let back: Vec<&Compared> = rows.iter().filter(|row| row.new_in_old != row.old).collect();
    if let Some(first) = differing.first() {
        let message = differing.iter().map(|row| row.in_words(from, to)).collect::<Vec<_>>().join("; ");
        let line = if differing.iter().any(|row| row.grave) {
            Line::fail(id, message).consequence(consequence)
        } else {
            Line::warn(id, message)
        };
        let line = line.suggest(format!("set it in the new file so that {to} gets {}", first.old));
        return line;
    }
    let same = format!("{from} and {to} {what}");
    if back.is_empty() {
        return Line::pass(id, same);
    }
    let rows = back
        .iter()
        .map(|row| format!("{}: {from} takes {} from the new file, not {}", row.what, row.new_in_old, row.old));
    Line::warn(id, format!("{same}, but {from} would not by the new file")).evidence(rows).suggest(format!(
        "go back with the old file; or write both spellings, so that one file does for {from} and {to}"
    ))
}

fn sizes(cx: &Cx<'_>, both: &Both<'_>) -> Line {
    const ID: &str = "conf.sizes";
    let (old, new) = (&both.old.resolved, &both.new.resolved);
    let row = |what, grave, of: &dyn Fn(&Resolved) -> u64| Compared {
        what,
        old: of(old).to_string(),
        new: of(new).to_string(),
        new_in_old: of(&both.new_in_old).to_string(),
        grave,
    };
    let mut rows = vec![
        row("bytes of a log file", true, &|r| r.mapped_file_size_commit_log.value),
        row("bytes of a queue file", true, &|r| r.mapped_file_size_consume_queue.value),
        row("slots of an index file", false, &|r| u64::from(r.max_hash_slot_num.value)),
        row("entries of an index file", false, &|r| u64::from(r.max_index_num.value)),
    ];
    // A release that has no such files has no opinion on their size.
    let both_read = |key: &str| ConfKey::find(key).is_some_and(|key| key.is_read_by(cx.from) && key.is_read_by(cx.to));
    if both_read("mappedFileSizeConsumeQueueExt") {
        rows.push(row("bytes of a queue extension file", true, &|r| r.mapped_file_size_consume_queue_ext.value));
    }
    if both_read("mapperFileSizeBatchConsumeQueue") {
        rows.push(row("bytes of a batch queue file", true, &|r| r.mapper_file_size_batch_consume_queue.value));
    }
    if both_read("mappedFileSizeTimerLog") {
        rows.push(row("bytes of a timer log file", true, &|r| r.mapped_file_size_timer_log.value));
    }
    let rule = cx.to.behaviour().wrong_length;
    let does = match rule.value {
        WrongLength::HidesLater => "stops loading at the first file of another length, and hides it and all later ones",
        _ => "refuses to start at a file of another length",
    };
    let consequence = format!("{} {does} ({})", cx.to, rule.evidence);
    let found = found_sizes(cx, new);
    if !found.is_empty() && !rows.iter().any(Compared::differs) {
        return Line::fail(ID, found.join("; "))
            .consequence(consequence)
            .suggest("give the configuration that the files were made with");
    }
    compared(cx, ID, "expect files of the same sizes, those on disk", &rows, &consequence).evidence(found)
}

/// Lengths on disk that the configuration does not give.
fn found_sizes(cx: &Cx<'_>, conf: &Resolved) -> Vec<String> {
    let mut differing = Vec::new();
    let mut hold = |what: &str, expected: u64, lengths: &mut dyn Iterator<Item = u64>| {
        let others: Vec<u64> = lengths.filter(|length| *length != expected).collect();
        if let Some(first) = others.first() {
            let mut text = format!("{what} have {first} bytes, {} expects {expected}", cx.to);
            if others.len() > 1 {
                let _ = write!(text, " ({} files)", others.len());
            }
            differing.push(text);
        }
    };
    let log = cx.store.commitlog();
    let size = conf.mapped_file_size_commit_log.value;
    hold("log files", size, &mut log.files().iter().map(|file| file.length));
    let queues = cx.store.consumequeues().unwrap_or_default();
    let lengths = queues.iter().flat_map(|queue| queue.queue().files()).map(|file| file.length);
    hold("queue files", conf.mapped_file_size_consume_queue.value, &mut lengths.into_iter());
    let geometry = IndexGeometry { hash_slot_num: conf.max_hash_slot_num.value, index_num: conf.max_index_num.value };
    let index = cx.store.index();
    let files = index.iter().flat_map(IndexService::files).filter_map(|path| std::fs::metadata(path).ok());
    hold("index files", geometry.file_length(), &mut files.map(|metadata| metadata.len()));
    differing
}

fn identity(both: &Both<'_>) -> Line {
    const ID: &str = "conf.identity";
    let (old, new) = (&both.old, &both.new);
    let raw = |conf: &BrokerConf, key: &str| {
        conf.get(key).map_or_else(|| "the default".to_owned(), |entry| entry.value.trim().to_owned())
    };
    let id = |side: &Side<'_>| side.resolved.broker_id.value.to_string();
    let rows = [
        (
            "brokerClusterName",
            old.resolved.broker_cluster_name.value.clone(),
            new.resolved.broker_cluster_name.value.clone(),
            true,
        ),
        ("brokerName", raw(&old.file.conf, "brokerName"), raw(&new.file.conf, "brokerName"), true),
        ("brokerId", id(old), id(new), true),
        ("brokerRole", old.resolved.broker_role.value.clone(), new.resolved.broker_role.value.clone(), false),
        ("listenPort", raw(&old.file.conf, "listenPort"), raw(&new.file.conf, "listenPort"), false),
        ("brokerIP1", raw(&old.file.conf, "brokerIP1"), raw(&new.file.conf, "brokerIP1"), false),
        ("brokerIP2", raw(&old.file.conf, "brokerIP2"), raw(&new.file.conf, "brokerIP2"), false),
        ("namesrvAddr", raw(&old.file.conf, "namesrvAddr"), raw(&new.file.conf, "namesrvAddr"), false),
    ];
    let mut differing: Vec<(String, bool)> = rows
        .into_iter()
        .filter(|(_, old, new, _)| old != new)
        .map(|(key, old, new, grave)| (format!("{key} is {old} and becomes {new}"), grave))
        .collect();
    differing.extend(ha_port(both).map(|text| (text, false)));
    if differing.is_empty() {
        let who = &new.resolved;
        let name = who.broker_name.value.as_deref().unwrap_or("the host's name");
        return Line::pass(
            ID,
            format!("{name} of {}, id {}, stays who it is", who.broker_cluster_name.value, who.broker_id.value),
        );
    }
    let message = differing.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join("; ");
    if differing.iter().any(|(_, grave)| *grave) {
        return Line::fail(ID, message)
            .consequence("names and id are part of system topics, routes and offsets: to clients and to the other side it is another broker")
            .suggest("carry them over as they are");
    }
    Line::warn(ID, message)
        .consequence("message ids hold address and port, clients and slaves connect to them")
        .suggest("make sure that this is meant")
}

/// `haListenPort` that one of the releases does not read.
fn ha_port(both: &Both<'_>) -> Option<String> {
    let honoured = |side: &Side<'_>| side.resolved.release.behaviour().ha_listen_port_honoured.value;
    let number = |conf: &BrokerConf, key: &str| conf.get(key).and_then(|entry| entry.value.parse::<i64>().ok());
    let port = |side: &Side<'_>| {
        let conf = &side.file.conf;
        let next = number(conf, "listenPort").unwrap_or(10911) + 1;
        if honoured(side) { number(conf, "haListenPort").unwrap_or(next) } else { next }
    };
    let (old, new) = (port(&both.old), port(&both.new));
    (old != new).then(|| format!("the port for slaves is {old} and becomes {new}"))
}

fn one_way(cx: &Cx<'_>, both: &Both<'_>) -> Line {
    const ID: &str = "conf.one-way";
    let mut on = Vec::new();
    let mut advice = Vec::new();
    for feature in Feature::between(cx.to, cx.from).filter(|feature| feature.effect >= Effect::LosesData) {
        let GetsIn::Switch(switches) = feature.gets_in else { continue };
        for switch in switches.iter().filter(|switch| switch.is_on(&both.new.file.conf)) {
            on.push(format!("{}: {} ({})", switch_in_words(*switch), feature.says, feature.evidence));
            if !advice.contains(&feature.advice) && !feature.advice.is_empty() {
                advice.push(feature.advice);
            }
        }
    }
    let (old, new) = (&both.old.resolved.store_type.value, &both.new.resolved.store_type.value);
    if old != new && on.is_empty() {
        on.push(format!("storeType is {old} and becomes {new}: queues, topics and offsets are read from elsewhere"));
    }
    if on.is_empty() {
        return Line::pass(ID, format!("nothing is switched on that {} could not take back", cx.from));
    }
    let line = Line::fail(ID, format!("the new file switches on what {} cannot take back", cx.from)).evidence(on);
    if advice.is_empty() {
        line.suggest("change the release first, the setting later")
    } else {
        line.suggest(advice.join("; "))
    }
}

fn defaults(cx: &Cx<'_>) -> Line {
    const ID: &str = "conf.defaults";
    let conf = cx.conf.as_ref().map(|both| &both.new.file.conf);
    notes_line(cx, ID, Subject::Defaults, conf, "no default changes that is known to matter", "defaults change")
}

/// A line out of the notes of one subject.
pub(super) fn notes_line(
    cx: &Cx<'_>,
    id: &'static str,
    subject: Subject,
    conf: Option<&BrokerConf>,
    none: &str,
    some: &str,
) -> Line {
    let notes: Vec<&Note> = Note::between(cx.from, cx.to, conf).filter(|note| note.subject == subject).collect();
    let worst = notes.iter().map(|note| note.level).max();
    let loud: Vec<&&Note> = notes.iter().filter(|note| note.level > NoteLevel::Info).collect();
    let line = match worst {
        None => Line::pass(id, none),
        Some(NoteLevel::Info) => Line::pass(id, format!("{some}, none of them by itself a danger")),
        Some(level) => {
            let says = loud.iter().map(|note| note.says).collect::<Vec<_>>().join("; ");
            let status = if level == NoteLevel::Block { Status::Fail } else { Status::Warn };
            let advice: Vec<&str> = loud.iter().map(|note| note.advice).filter(|advice| !advice.is_empty()).collect();
            let line = Line::new(id, status, says);
            if advice.is_empty() { line } else { line.suggest(advice.join("; ")) }
        }
    };
    line.evidence(notes.iter().map(|note| format!("{} ({})", note.says, note.evidence)))
}

/// Where topics and groups lie: 3.5.5 to 3.5.8 keep them below the home folder whatever the root is.
fn place(cx: &Cx<'_>) -> Line {
    const ID: &str = "config.place";
    let (old, new) = (cx.from.behaviour().topics_json_place, cx.to.behaviour().topics_json_place);
    if old.value == new.value {
        return Line::pass(ID, "topics.json and subscriptionGroup.json stay where they are");
    }
    let Some((source, target)) = topics_folders(cx) else {
        return Line::not_checked(
            ID,
            "topics.json lies below the home folder of the broker's user, which is not given (--home)",
        );
    };
    let message =
        format!("topics.json and subscriptionGroup.json move from {} to {}", source.display(), target.display());
    let known = [format!("{}: {}", cx.from, old.evidence), format!("{}: {}", cx.to, new.evidence)];
    let there = |folder: &Path| std::fs::metadata(folder.join("topics.json")).is_ok_and(|file| file.len() > 0);
    let line = if there(&target) {
        Line::warn(ID, format!("{message}; what lies there already is not kept up by {}", cx.from))
    } else if there(&source) {
        Line::fail(ID, format!("{message}, and are not there"))
    } else {
        Line::fail(ID, format!("{message}, and neither place has them"))
    };
    line.evidence(known)
        .consequence(format!(
            "without them {} knows no topic: every pull is refused, and cleanUnusedTopic would delete the queues",
            cx.to
        ))
        .suggest("copy both after the stop and before the start")
        .command(copy_command(&source, &target))
}

pub(super) fn copy_command(source: &Path, target: &Path) -> String {
    format!("cp -p {0}/topics.json {0}/subscriptionGroup.json {1}/", source.display(), target.display())
}

/// From where to where topics.json moves; `None` if it does not, or the home folder is not known.
pub(super) fn topics_folders(cx: &Cx<'_>) -> Option<(PathBuf, PathBuf)> {
    let folder = |release: Release| match release.behaviour().topics_json_place.value {
        DefaultPlace::Home => cx.options.home.as_ref().map(|home| home.join("store/config")),
        _ => Some(cx.store.root().join("config")),
    };
    let (old, new) = (folder(cx.from)?, folder(cx.to)?);
    (old != new).then_some((old, new))
}
