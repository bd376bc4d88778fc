//! `inspect config`: which copy of each file a broker would load, and one file as strict JSON.

use std::io::{self, Write as _};

use mqstore_core::format::config::{Document, fastjson::KeyOrder};
use mqstore_core::store::config::{
    ConfigCopy, ConfigDir, ConfigKind, ConfigPlace, ConfigSource, CopyState, KNOWN_FILES, Loaded,
};
use serde::Serialize;

use super::offsets::rocksdb_config;
use crate::args::ConfigArgs;
use crate::commands::{Context, Target};
use crate::exit::{Exit, hinted};
use crate::output::human::{Columns, count, plain};
use crate::output::json::{self, TargetJson, text};
use crate::time::Moment;

/// One copy of a file.
#[derive(Debug, Serialize)]
struct CopyJson {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_at: Option<Moment>,
}

impl CopyJson {
    fn new<T>(copy: &ConfigCopy<T>) -> Self {
        let (state, problem) = state(&copy.state);
        let modified_at = copy.modified.and_then(Moment::from_system);
        Self { state, problem, bytes: copy.bytes, modified_at }
    }
}

fn state(state: &CopyState) -> (&'static str, Option<String>) {
    match state {
        CopyState::Good => ("good", None),
        CopyState::WithoutTable => ("without-table", None),
        CopyState::Missing => ("missing", None),
        CopyState::Empty => ("empty", None),
        CopyState::MultiByte => ("multi-byte", Some("3.2.6 to 4.0.0 take it as empty".to_owned())),
        CopyState::Unreadable { reason } => ("unreadable", Some(reason.to_string())),
        CopyState::TooLarge => ("too-large", None),
        CopyState::Bad(error) => ("bad", Some(error.to_string())),
        _ => ("other", None),
    }
}

/// The word for the copy that counts.
pub(crate) fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::File => "file",
        ConfigSource::Bak => "bak",
        ConfigSource::None => "none",
        ConfigSource::Refused => "refused",
    }
}

/// A file with both its copies.
#[derive(Debug, Serialize)]
struct FileJson {
    file: String,
    source: &'static str,
    copy: CopyJson,
    bak: CopyJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    tmp: Option<String>,
}

impl FileJson {
    fn new(place: ConfigPlace, name: &str, loaded: &Loaded<Document>) -> Self {
        let file = match place {
            ConfigPlace::Root => format!("config/{name}"),
            ConfigPlace::Home => format!("$HOME/store/config/{name}"),
        };
        Self {
            file,
            source: source(loaded.source),
            copy: CopyJson::new(&loaded.file),
            bak: CopyJson::new(&loaded.bak),
            tmp: loaded.tmp.as_deref().map(text),
        }
    }
}

pub(crate) fn run(context: &mut Context, args: &ConfigArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    match &args.name {
        Some(name) => show(context, &target, name),
        None => list(context, &target),
    }
}

const PLACES: [ConfigPlace; 2] = [ConfigPlace::Root, ConfigPlace::Home];

fn list(context: &mut Context, target: &Target) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        config: Vec<FileJson>,
        /// Known files that are no JSON.
        other: Vec<&'static str>,
        rocksdb: Vec<&'static str>,
        unknown: Vec<String>,
    }
    let config = target.config();
    let mut body = Body { config: Vec::new(), other: Vec::new(), rocksdb: Vec::new(), unknown: Vec::new() };
    let mut exit = Exit::clean();
    rocksdb_config(target, &mut exit);
    for place in PLACES {
        let listing = config.list(place)?;
        for name in &listing.files {
            let Some(loaded) = config.document(place, name) else {
                body.other.push(name);
                continue;
            };
            let file = FileJson::new(place, name, &loaded);
            if loaded.source == ConfigSource::Refused {
                exit = exit.and(Exit::found(format!("neither {} nor its .bak can be read", file.file)));
            }
            body.config.push(file);
        }
        body.rocksdb.extend(listing.rocksdb);
        body.unknown.extend(listing.unknown);
    }
    if body.config.is_empty() && exit.is_clean() && !target.is_new()? {
        exit = Exit::no_verdict("the store has no config files, but it is not new");
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if !is_text {
        json::document(out, ndjson, ("mqstore.inspect.config", &TargetJson::store(root)), &body, &exit)?;
        return Ok(exit);
    }
    let files = count(body.config.len() as u64, "file", "files");
    writeln!(out, "{}", paint.bold(format!("{files} under config")))?;
    if !body.config.is_empty() {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &["FILE", "COUNTS", "ITSELF", ">BYTES", "ITS .BAK", ">BYTES", "CHANGED"]);
        for file in &body.config {
            let changed = if file.source == "bak" { file.bak.modified_at } else { file.copy.modified_at };
            columns.row([
                file.file.clone(),
                file.source.to_owned(),
                file.copy.state.to_owned(),
                file.copy.bytes.to_string(),
                file.bak.state.to_owned(),
                file.bak.bytes.to_string(),
                changed.map_or_else(|| "-".to_owned(), Moment::short),
            ]);
        }
        columns.print(out)?;
        for file in &body.config {
            for (name, copy) in [("", &file.copy), (".bak", &file.bak)] {
                if let Some(problem) = &copy.problem {
                    writeln!(out, "{}{name}: {problem}", file.file)?;
                }
            }
        }
    }
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (what, names) in [
        ("no JSON", owned(&body.other)),
        ("in RocksDB, which makes the JSON file of the same table stale", owned(&body.rocksdb)),
        ("not a broker's", body.unknown),
    ] {
        if !names.is_empty() {
            writeln!(out, "{what}: {}", names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "))?;
        }
    }
    writeln!(out, "\nshow one: mqstore inspect config {} NAME", root.display())?;
    Ok(exit)
}

fn show(context: &mut Context, target: &Target, name: &str) -> anyhow::Result<Exit> {
    let known = KNOWN_FILES.iter().find(|file| file.name == name || file.name.strip_suffix(".json") == Some(name));
    let known = known.filter(|file| !matches!(file.kind, ConfigKind::Properties)).ok_or_else(|| {
        let names: Vec<&str> = KNOWN_FILES.iter().map(|file| file.name).collect();
        hinted(format!("{} is no config file that is known", plain(name)), format!("known are {}", names.join(", ")))
    })?;
    let config = target.config();
    if matches!(known.kind, ConfigKind::Timercheck) {
        return timercheck(context, target, &config);
    }
    let (place, loaded) = newest(target, &config, known.name).ok_or_else(|| absent(target, known.name))?;
    let file = FileJson::new(place, known.name, &loaded);
    let document = match (&loaded.source, loaded.value()) {
        (_, Some(document)) => document,
        (ConfigSource::None, None) => return Err(absent(target, known.name)),
        (_, None) => {
            let problems =
                [&file.copy, &file.bak].map(|copy| copy.problem.clone().unwrap_or_else(|| copy.state.to_owned()));
            let [itself, bak] = problems;
            return Ok(Exit::found(format!(
                "neither {} ({itself}) nor its .bak ({bak}) can be read: no broker starts on them",
                file.file
            )));
        }
    };
    let strict = document.root.to_strict_json(KeyOrder::AsWritten);
    match loaded.source {
        ConfigSource::Bak => {
            let why = file.copy.problem.as_deref().unwrap_or(file.copy.state);
            context.note(&format!("this is {}.bak: the file itself does not count ({why})", file.file));
        }
        _ if place == ConfigPlace::Home => context.note(&format!("this is {}", file.file)),
        _ => {}
    }
    print_document(context, target, Some(file), serde_json::from_str(&strict)?)
}

/// A document as it is, or in the envelope; `file` says which copy it comes from, where there are copies.
fn print_document(
    context: &mut Context,
    target: &Target,
    file: Option<FileJson>,
    document: serde_json::Value,
) -> anyhow::Result<Exit> {
    #[derive(Debug, Serialize)]
    struct Body {
        #[serde(skip_serializing_if = "Option::is_none")]
        config: Option<FileJson>,
        document: serde_json::Value,
    }
    let exit = Exit::clean();
    let (is_text, ndjson) = (context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if is_text {
        serde_json::to_writer_pretty(&mut *out, &document).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        let body = Body { config: file, document };
        json::document(out, ndjson, ("mqstore.inspect.config", &TargetJson::store(root)), &body, &exit)?;
    }
    Ok(exit)
}

/// Of the two places of a file the one that holds it; where both do, the one that was changed last.
fn newest(target: &Target, config: &ConfigDir, name: &str) -> Option<(ConfigPlace, Loaded<Document>)> {
    let place = match name {
        "topics.json" => target.place(&config.topics()),
        "subscriptionGroup.json" => target.place(&config.subscription_groups()),
        _ => ConfigPlace::Root,
    };
    config.document(place, name).filter(Loaded::is_there).map(|loaded| (place, loaded))
}

fn absent(target: &Target, name: &str) -> anyhow::Error {
    let message = format!("there is no {name} in {}", target.root().join("config").display());
    let home = target.store.options().home.is_none() && matches!(name, "topics.json" | "subscriptionGroup.json");
    let hint = if home {
        "3.5.x keeps it under $HOME/store/config of the broker's user: give that home with --home"
    } else {
        "without a name, mqstore inspect config lists the files that are there"
    };
    hinted(message, hint)
}

fn timercheck(context: &mut Context, target: &Target, config: &ConfigDir) -> anyhow::Result<Exit> {
    let check = config.timercheck()?.ok_or_else(|| absent(target, "timercheck"))?;
    let document = serde_json::json!({
        "last_read_time_ms": check.last_read_time_ms,
        "last_read_at": Moment::from_mark(check.last_read_time_ms),
        "last_timer_log_flush_pos": check.last_timer_log_flush_pos,
        "last_timer_queue_offset": check.last_timer_queue_offset,
        "master_timer_queue_offset": check.master_timer_queue_offset,
        "state_version": check.state_version,
        "timestamp": check.timestamp,
        "counter": check.counter,
    });
    print_document(context, target, None, document)
}
