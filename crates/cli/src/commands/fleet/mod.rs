//! `fleet`: what was fetched from many brokers, as one table: which to look at first, and what to do next.

mod documents;
mod pairs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use mqstore_check::diff::DiffOptions;
use serde::Serialize;

use super::Context;
use crate::args::FleetArgs;
use crate::exit::Exit;
use crate::output::human::{Columns, Paint, count, number, plain, size};
use crate::output::json::{self, TargetJson};
use crate::output::{Output, also};
use crate::time::Moment;
use documents::{Content, Document, Unread};
use pairs::Pair;

pub(crate) fn run(context: &mut Context, args: &FleetArgs) -> anyhow::Result<Exit> {
    let (documents, mut unread) = documents::read(&args.dir)?;
    let mut options = DiffOptions::default();
    (options.limits, options.ignore) = ((&args.limits).into(), args.ignore.clone());
    let documents = newest(&documents);
    let pairs = pairs::pairs(&documents, &options, &mut unread);
    let brokers = brokers(&documents, args.max_age);
    let next = next(&brokers, &pairs);
    let exit = exit(&brokers, &pairs, &unread);
    let body = FleetJson { brokers: &brokers, pairs: &pairs, skipped: &unread, next: &next };
    let target = TargetJson::dir(&args.dir);
    also::write(context, &args.also, (&[], None), ("mqstore.fleet", &target), &body, &exit)?;
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[])?;
    if is_text {
        print(out, paint, &brokers, &pairs, &unread, &next)?;
        return Ok(exit);
    }
    json::document(out, ndjson, ("mqstore.fleet", &target), &body, &exit)?;
    Ok(exit)
}

#[derive(Debug, Serialize)]
struct FleetJson<'a> {
    brokers: &'a [Broker],
    pairs: &'a [Pair],
    skipped: &'a [Unread],
    next: &'a [String],
}

/// One broker, and what its documents say.
#[derive(Debug, Serialize)]
struct Broker {
    name: String,
    /// The worst of all: 0, 3, 1, 2, 4, 130, as the codes are weighed.
    code: u8,
    /// Why, in the words of that document.
    reason: String,
    documents: Vec<Said>,
}

/// One document.
#[derive(Debug, Serialize)]
struct Said {
    kind: String,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generated_at: Option<String>,
    code: u8,
    reason: String,
}

/// How bad a code is: no verdict is worse than clean, damage worse than no verdict, trouble and refusals worst.
fn rank(code: u8) -> u8 {
    match code {
        0 => 0,
        3 => 1,
        1 => 2,
        2 => 3,
        4 => 4,
        _ => 5,
    }
}

/// Of each kind of document of a broker the newest. A comparison is of its own kind for each pair.
fn newest(documents: &[Document]) -> Vec<&Document> {
    let mut newest: BTreeMap<(&str, &str, String), &Document> = BTreeMap::new();
    for document in documents {
        let pair = match &document.content {
            Content::Diff(content) => content.get("target").map(ToString::to_string).unwrap_or_default(),
            _ => String::new(),
        };
        let place = newest.entry((&document.broker, &document.kind, pair)).or_insert(document);
        if document.generated_at > place.generated_at {
            *place = document;
        }
    }
    newest.into_values().collect()
}

fn brokers(documents: &[&Document], max_age: Option<u64>) -> Vec<Broker> {
    let mut brokers: BTreeMap<&str, Vec<Said>> = BTreeMap::new();
    for document in documents.iter().filter(|document| document.kind != "diff") {
        let (mut code, mut reason) = match &document.exit {
            Some(exit) => exit.clone(),
            None => (3, "the document has no exit: it was cut short, or is of another kind".to_owned()),
        };
        if let Some(age) = too_old(document, max_age) {
            (code, reason) = if rank(code) < rank(3) { (3, age) } else { (code, reason) };
        }
        brokers.entry(&document.broker).or_default().push(Said {
            kind: document.kind.clone(),
            file: document.file.clone(),
            generated_at: document.generated_at.map(|at| Moment::from(at).to_string()),
            code,
            reason,
        });
    }
    let mut brokers: Vec<Broker> = brokers
        .into_iter()
        .map(|(name, documents)| {
            let worst = documents.iter().rev().max_by_key(|said| rank(said.code));
            let (code, reason) = worst.map_or((3, String::new()), |said| (said.code, said.reason.clone()));
            Broker { name: name.to_owned(), code, reason, documents }
        })
        .collect();
    brokers.sort_by_key(|broker| std::cmp::Reverse(rank(broker.code)));
    brokers
}

fn too_old(document: &Document, max_age: Option<u64>) -> Option<String> {
    let limit = max_age?;
    let Some(at) = document.generated_at else { return Some("it does not say when it was made".to_owned()) };
    let age = jiff::Timestamp::now().as_millisecond().saturating_sub(at.as_millisecond());
    (u64::try_from(age).unwrap_or(0) > limit).then(|| format!("older than allowed: of {}", Moment::from(at).short()))
}

fn exit(brokers: &[Broker], pairs: &[Pair], unread: &[Unread]) -> Exit {
    if brokers.is_empty() && pairs.is_empty() && unread.is_empty() {
        return Exit::no_verdict("there is no document");
    }
    let codes = || brokers.iter().map(|broker| broker.code).chain(pairs.iter().map(|pair| pair.code));
    let harmed = codes().filter(|code| rank(*code) >= rank(1)).count() as u64;
    if harmed > 0 {
        return Exit::blocking(format!("{} to look at", count(harmed, "broker or pair", "brokers or pairs")));
    }
    let open = codes().filter(|code| *code != 0).count() as u64 + unread.len() as u64;
    if open > 0 {
        return Exit::no_verdict(format!(
            "no verdict over {}",
            count(open, "broker, pair or file", "brokers, pairs or files")
        ));
    }
    Exit::fine("all brokers and pairs are as they should be")
}

/// What to do, the most urgent first.
fn next(brokers: &[Broker], pairs: &[Pair]) -> Vec<String> {
    let mut next = Vec::new();
    for pair in pairs.iter().filter(|pair| pair.diverged_at.is_some()) {
        next.push(format!(
            "stop no broker of {} and {}: their logs part at {}; mqstore diff on both stores names the records",
            pair.a,
            pair.b,
            number(pair.diverged_at.unwrap_or(0))
        ));
    }
    for broker in brokers {
        for said in broker.documents.iter().filter(|said| said.code != 0) {
            next.push(format!("{}: {}", broker.name, advice(said)));
        }
    }
    for pair in pairs.iter().filter(|pair| pair.code == 1 && pair.diverged_at.is_none()) {
        let (a, b) = (&pair.a, &pair.b);
        next.push(match pair.lag_bytes {
            Some(1..) => format!("wait for {a} and {b}: mqstore diff --watch 5s on both stores"),
            _ => format!("{a} and {b} differ, mqstore diff says in what"),
        });
    }
    if next.is_empty() && !(brokers.is_empty() && pairs.is_empty()) {
        next.push("nothing stands in the way: go on with the next step".to_owned());
    }
    next
}

fn advice(said: &Said) -> String {
    let file = &said.file;
    match (said.kind.as_str(), said.code) {
        (_, 3) => format!("no verdict, read why in {file}"),
        (_, 4) => format!("refused for safety, read why in {file}"),
        (_, 130) => format!("interrupted, run it again ({file})"),
        (_, 2) => format!("it could not run, read why in {file}"),
        ("verify", _) => format!("do not restart it before the findings in {file} are understood"),
        ("boot" | "preflight", _) => format!("do not start the new release on it, {file} says why"),
        ("backup.create" | "backup.verify", _) => format!("its backup does not count, take another ({file})"),
        _ => format!("look at {file}"),
    }
}

fn word(paint: Paint, code: u8) -> String {
    match code {
        0 => paint.good("ok"),
        1 => paint.bad("FOUND"),
        2 => paint.bad("TROUBLE"),
        3 => paint.warn("no verdict"),
        4 => paint.warn("refused"),
        _ => paint.warn("interrupted"),
    }
}

fn print(
    out: &mut Output,
    paint: Paint,
    brokers: &[Broker],
    pairs: &[Pair],
    unread: &[Unread],
    next: &[String],
) -> anyhow::Result<()> {
    let well = brokers.iter().filter(|broker| broker.code == 0).count();
    let parted = pairs.iter().filter(|pair| pair.diverged_at.is_some()).count();
    let mut head = format!("{} of {} well", number(well), count(brokers.len() as u64, "broker", "brokers"));
    if !pairs.is_empty() {
        let close = pairs.iter().filter(|pair| pair.code == 0).count();
        head = format!("{head}, {} of {} within the limits", number(close), count(pairs.len() as u64, "pair", "pairs"));
    }
    if parted > 0 {
        head = format!("{head}, {} parted", number(parted));
    }
    writeln!(out, "{}", paint.bold(head))?;
    if !brokers.is_empty() {
        let kinds: BTreeSet<&str> =
            brokers.iter().flat_map(|broker| &broker.documents).map(|said| said.kind.as_str()).collect();
        let heads: Vec<String> = kinds.iter().map(|kind| kind.to_uppercase()).collect();
        let heads: Vec<&str> = ["BROKER"].into_iter().chain(heads.iter().map(String::as_str)).chain(["WHY"]).collect();
        writeln!(out)?;
        let mut columns = Columns::new(paint, &heads);
        for broker in brokers {
            let cell = |kind: &&str| {
                let said = broker.documents.iter().find(|said| said.kind == *kind);
                said.map_or_else(|| "-".to_owned(), |said| word(paint, said.code))
            };
            let why = if broker.code == 0 { String::new() } else { plain(&broker.reason).into_owned() };
            columns.row([plain(&broker.name).into_owned()].into_iter().chain(kinds.iter().map(cell)).chain([why]));
        }
        columns.print(out)?;
    }
    if !pairs.is_empty() {
        writeln!(out)?;
        let mut columns = Columns::new(paint, &["A", "B", "VERDICT", ">BYTES", ">MESSAGES", ">TIME", "WHY"]);
        let unknown = || "?".to_owned();
        for pair in pairs {
            let why = if pair.code == 0 { String::new() } else { plain(&pair.reason).into_owned() };
            columns.row([
                plain(&pair.a).into_owned(),
                plain(&pair.b).into_owned(),
                if pair.diverged_at.is_some() { paint.bad("PARTED") } else { word(paint, pair.code) },
                pair.lag_bytes.map_or_else(unknown, size),
                pair.lag_messages.map_or_else(unknown, number),
                pair.lag_ms.map_or_else(unknown, |ms| format!("{}.{:03} s", ms / 1000, ms % 1000)),
                why,
            ]);
        }
        columns.print(out)?;
    }
    if !unread.is_empty() {
        writeln!(out, "\n{}", paint.bold("not read"))?;
        for unread in unread {
            writeln!(out, "  {}: {}", plain(&unread.file), plain(&unread.why))?;
        }
    }
    if !next.is_empty() {
        writeln!(out)?;
        for step in next {
            writeln!(out, "{} {}", paint.dim("next:"), plain(step))?;
        }
    }
    Ok(())
}
