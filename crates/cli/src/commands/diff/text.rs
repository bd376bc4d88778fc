//! The comparison for people: one screen, the verdict first.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use mqstore_check::diff::{
    Ahead, DelayDiff, DiffReport, LogDiff, LogSide, OffsetDiff, OffsetState, QueueDiff, QueueSpan, Which,
};
use mqstore_check::{Outcome, Severity};
use serde_json::Value;

use super::merge::MergeJson;
use super::side::Opened;
use super::{Compared, moved, name};
use crate::args::DiffArgs;
use crate::commands::Context;
use crate::commands::findings::print_findings;
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, field, number, plain, size};

/// Rows of a table that are shown unless more is asked for.
const SHOWN: usize = 5;
/// Characters of a line that the picture may fill up.
const LINE: u64 = 80;
/// Cells of the picture, where the line leaves them.
const CELLS: std::ops::RangeInclusive<u64> = 16..=40;
/// Characters of a configuration value.
const VALUE: usize = 40;

pub(super) fn print(
    context: &mut Context,
    args: &DiffArgs,
    compared: &Compared,
    merged: Option<&MergeJson>,
) -> anyhow::Result<()> {
    let (paint, verbose) = (context.paint, context.args.verbose);
    let diff = &compared.report;
    let out = context.out(&[&args.a, &args.b])?;
    let line = diff.verdict.as_str();
    let line = match diff.outcome() {
        Outcome::Clean => paint.good(line),
        Outcome::Found if diff.report.counts().error > 0 => paint.bad(line),
        _ => paint.warn(line),
    };
    writeln!(out, "{line}\n")?;
    print_picture(out, paint, args, compared)?;
    // One of each kind: the tables have the others.
    let findings = if verbose { (Severity::Info, usize::MAX) } else { (Severity::Warning, 1) };
    print_findings(out, paint, &diff.report, findings)?;
    print_queues(out, paint, &diff.queues, verbose)?;
    print_offsets(out, paint, &diff.consumer_offsets, verbose)?;
    print_delay(out, paint, &diff.delay_offsets)?;
    print_config(out, paint, diff, verbose)?;
    if let Some(merged) = merged {
        print_merged(out, paint, merged)?;
    }
    for command in next_commands(args, compared) {
        writeln!(out, "next: {}", plain(&command))?;
    }
    Ok(())
}

/// What tells more of the place where the logs part: a range of what is known not exactly, and the record itself.
fn next_commands(args: &DiffArgs, compared: &Compared) -> Vec<String> {
    let Some(parted) = &compared.report.commitlog.divergence else { return Vec::new() };
    let sides = [("a", &args.a, &compared.a), ("b", &args.b, &compared.b)];
    let roots = sides.map(|(name, path, opened)| (name, path, opened, opened.root(path)));
    let mut commands = Vec::new();
    if let Some(chunk) = parted.chunk {
        let mut compared = Vec::new();
        for (name, path, opened, root) in &roots {
            // A store has all its records at hand when the other side brings its digests.
            if opened.kind() == "snapshot" {
                let (root, file) = (word(root.as_deref().unwrap_or_default()), format!("{name}-range.json"));
                commands.push(format!("mqstore snapshot {root} --range {}..{} -o {file}", chunk.from, chunk.to));
                compared.push(file);
            } else {
                compared.push(word(&path.display().to_string()));
            }
        }
        commands.push(format!("mqstore diff {}", compared.join(" ")));
    }
    if let Some(record) = parted.record_offset {
        let roots = roots.into_iter().filter_map(|(.., root)| root);
        let show = |root: String| format!("mqstore inspect commitlog {} --from-offset {record} --limit 1", word(&root));
        commands.extend(roots.map(show));
    }
    commands
}

/// A path as one word of a shell.
fn word(path: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !path.is_empty() && path.chars().all(safe) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

fn role(diff: &DiffReport, which: Which) -> &'static str {
    match (diff.relation.kind == "before-after", diff.relation.first == which) {
        (true, true) => "before",
        (true, false) => "after",
        (false, true) => "master",
        (false, false) => "slave",
    }
}

/// `slave (b) is 1.2 MiB / 8,412 messages / 3.0 s behind, same log up to …; safe to stop the master after catch-up`.
pub(super) fn verdict([a, b]: [&Opened; 2], diff: &DiffReport) -> String {
    let log = &diff.commitlog;
    let lag = match log.ahead {
        Ahead::None => format!("both end at {}", number(log.a.max_offset)),
        ahead => {
            let short = if ahead == Ahead::A { Which::B } else { Which::A };
            match (diff.relation.kind, diff.relation.first == short) {
                ("before-after", true) => format!("after ({}) goes on by {}", short.other(), distance(log)),
                ("before-after", false) => format!("after ({short}) ends {} earlier", distance(log)),
                _ => format!("{} ({short}) is {} behind", role(diff, short), distance(log)),
            }
        }
    };
    format!("{lag}, {}; {}", sameness(a.archive().is_some() || b.archive().is_some(), log), advice(diff))
}

fn distance(log: &LogDiff) -> String {
    let mut text = size(log.lag_bytes);
    if let Some(messages) = log.lag_messages {
        let about = if log.lag_messages_exact { "" } else { "about " };
        let _ = write!(text, " / {about}{}", count(messages, "message", "messages"));
    }
    if let Some(ms) = log.lag_ms {
        let _ = write!(text, " / {}", time(ms));
    }
    text
}

fn sameness(archive: bool, log: &LogDiff) -> String {
    match (&log.divergence, log.common) {
        (Some(divergence), _) => match divergence.chunk {
            Some(chunk) => format!("the logs part between {} and {}", number(chunk.from), number(chunk.to)),
            None => format!("the logs part at {}", number(divergence.physical_offset)),
        },
        (None, _) if archive => "the log is not in an archive and was not compared".to_owned(),
        (None, None) => "the logs have nothing in common".to_owned(),
        (None, Some(_)) if log.compared.bytes == 0 => "the logs were not compared".to_owned(),
        (None, Some(common)) if log.compared.bytes < common.to - common.from => {
            format!("same log up to {} in the {} compared", number(common.to), size(log.compared.bytes))
        }
        (None, Some(common)) => format!("same log up to {}", number(common.to)),
    }
}

/// Never more than what was compared allows to say.
fn advice(diff: &DiffReport) -> String {
    let before_after = diff.relation.kind == "before-after";
    let counts = diff.report.counts();
    let waits = ["pair.behind", "pair.queue-behind", "pair.offset-behind", "pair.delay-behind"];
    let others = diff.report.findings().iter().filter(|f| f.severity == Severity::Warning && !waits.contains(&f.id));
    let others: BTreeSet<&str> = others.map(|finding| finding.id).collect();
    if counts.error > 0 {
        let what = if before_after { "something is lost or changed" } else { "not safe to stop the master" };
        return what.to_owned();
    }
    if diff.outcome() == Outcome::NoVerdict {
        return "no verdict, not everything was compared".to_owned();
    }
    if !others.is_empty() {
        return format!("look at {} first", others.into_iter().collect::<Vec<_>>().join(", "));
    }
    let slave_is_behind = diff.commitlog.lag_bytes > 0;
    match (before_after, slave_is_behind) {
        (true, _) => "nothing is lost".to_owned(),
        (false, _) if diff.report.coverage.skipped.iter().any(|skipped| skipped.asked && skipped.what == "log") => {
            "whether the master can be stopped is not said without the log".to_owned()
        }
        (false, true) => "safe to stop the master after catch-up".to_owned(),
        (false, false) => "safe to stop the master".to_owned(),
    }
}

fn time(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..120_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", number(ms / 3_600_000)),
    }
}

fn print_picture(out: &mut Output, paint: Paint, args: &DiffArgs, compared: &Compared) -> io::Result<()> {
    let diff = &compared.report;
    let log = &diff.commitlog;
    let reach = (log.a.min_offset.min(log.b.min_offset), log.a.max_offset.max(log.b.max_offset));
    let parted = log.divergence.as_ref().map(|divergence| divergence.physical_offset);
    let heads = ["", "ROLE", "KIND", "LOG", ">FROM", ">TO", "ENDS IN"];
    let sides = [(Which::A, &log.a, &compared.a), (Which::B, &log.b, &compared.b)];
    let mut rows = sides.map(|(which, side, opened)| {
        [
            which.to_string(),
            role(diff, which).to_owned(),
            opened.kind().to_owned(),
            String::new(),
            number(side.min_offset),
            number(side.max_offset),
            side.end.clone(),
        ]
    });
    let cells = cells(&heads, &rows);
    let mut columns = Columns::new(paint, &heads);
    for (row, (_, side, _)) in rows.iter_mut().zip(sides) {
        if let Some(cell) = row.get_mut(3) {
            *cell = format!("|{}|", picture(side, reach, parted, cells));
        }
        columns.row(row.clone());
    }
    columns.print(out)?;
    writeln!(out)?;
    let show = |path: &Path| plain(&name(path)).into_owned();
    let (a, b) = (show(&args.a), show(&args.b));
    if a != b {
        field(out, paint, "a, b", format!("{a}, {b}"))?;
    }
    field(out, paint, "roles", diff.relation.how)?;
    let how = match log.compared.how {
        mqstore_check::diff::How::Bytes => "byte by byte",
        mqstore_check::diff::How::Digests => "by digests",
    };
    let looked = format!(
        "{} of log {how}, {}, {}",
        size(log.compared.bytes),
        count(diff.compared_units, "queue unit", "queue units"),
        count(diff.compared_offsets, "consumer offset", "consumer offsets")
    );
    field(out, paint, "compared", looked)?;
    if diff.moved.a || diff.moved.b {
        field(out, paint, "moved", format!("{} went on while it was read", moved(diff.moved)))?;
    }
    Ok(())
}

/// What the other columns leave to the picture: whoever has a wider terminal loses little.
fn cells<const N: usize>(heads: &[&str; N], rows: &[[String; N]]) -> u64 {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let head = heads.get(column).map_or(0, |head| head.trim_start_matches('>').len());
        cells.max().unwrap_or(0).max(head) as u64
    };
    // The empty column of the picture counts with its title; its two bars and the gaps between columns are added.
    let taken = (0..N).map(width).sum::<u64>() - width(3) + 2 + 2 * (N as u64 - 1);
    LINE.saturating_sub(taken).clamp(*CELLS.start(), *CELLS.end())
}

/// A bar of what a side holds of all that one of them holds. Whatever is missing, however small, takes a cell.
fn picture(side: &LogSide, (from, to): (u64, u64), parted: Option<u64>, width: u64) -> String {
    let span = u128::from(to.saturating_sub(from)).max(1);
    let cell = |offset: u64| {
        let cell = u128::from(offset.saturating_sub(from)) * u128::from(width) / span;
        u64::try_from(cell).unwrap_or(width).min(width)
    };
    let first = if side.min_offset > from { cell(side.min_offset).max(1) } else { 0 };
    let end = if side.max_offset < to { cell(side.max_offset).min(width - 1) } else { width };
    let empty = side.max_offset <= side.min_offset;
    let mark = parted.map(|offset| cell(offset).min(width - 1));
    let cells = (0..width).map(|i| match i {
        _ if Some(i) == mark => '╳',
        _ if !empty && (first..end.max(first + 1)).contains(&i) => '━',
        _ => ' ',
    });
    cells.collect()
}

/// Prints the head of a table, its rows, and how many more there are.
fn table(
    out: &mut Output,
    paint: Paint,
    title: &str,
    heads: &[&str],
    (rows, verbose): (Vec<Vec<String>>, bool),
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold(title))?;
    let shown = if verbose { rows.len() } else { SHOWN };
    let more = rows.len().saturating_sub(shown);
    let mut columns = Columns::new(paint, heads);
    for row in rows.into_iter().take(shown) {
        columns.row(row);
    }
    columns.print(out)?;
    if more > 0 {
        writeln!(out, "{}", paint.dim(format_args!("and {} more, see -v", number(more))))?;
    }
    Ok(())
}

fn print_queues(out: &mut Output, paint: Paint, queues: &[QueueDiff], verbose: bool) -> io::Result<()> {
    let span = |span: Option<QueueSpan>| {
        span.map_or("-".to_owned(), |span| format!("{} to {}", number(span.min_offset), number(span.max_offset)))
    };
    let differ = queues.iter().filter(|queue| queue.lag > 0 || queue.first_difference.is_some());
    let rows = differ.map(|queue| {
        vec![
            plain(&queue.topic).into_owned(),
            queue.queue_id.to_string(),
            span(queue.a),
            span(queue.b),
            number(queue.lag),
            queue.first_difference.map_or("-".to_owned(), number),
        ]
    });
    let heads = ["TOPIC", ">QUEUE", ">A", ">B", ">LAG", ">DIFFERS AT"];
    table(out, paint, "queues", &heads, (rows.collect(), verbose))
}

fn offset(offset: Option<i64>) -> String {
    offset.map_or("-".to_owned(), number)
}

fn print_offsets(out: &mut Output, paint: Paint, offsets: &[OffsetDiff], verbose: bool) -> io::Result<()> {
    let state = |name: &str, state: Option<OffsetState>| match state {
        Some(OffsetState::BehindMin) => Some(format!("{name} behind its queue")),
        Some(OffsetState::BeyondMax) => Some(format!("{name} beyond its queue")),
        _ => None,
    };
    let rows = offsets.iter().map(|diff| {
        let states: Vec<_> = [state("a", diff.a_state), state("b", diff.b_state)].into_iter().flatten().collect();
        vec![
            plain(&diff.group).into_owned(),
            plain(&diff.topic).into_owned(),
            diff.queue_id.to_string(),
            offset(diff.a),
            offset(diff.b),
            diff.winner.to_string(),
            number(diff.replayed),
            number(diff.skipped),
            states.join(", "),
        ]
    });
    let heads = ["GROUP", "TOPIC", ">QUEUE", ">A", ">B", "WINS", ">REPLAYED", ">SKIPPED", ""];
    table(out, paint, "consumer offsets", &heads, (rows.collect(), verbose))
}

fn print_delay(out: &mut Output, paint: Paint, levels: &[DelayDiff]) -> io::Result<()> {
    let rows = levels.iter().filter(|level| level.a != level.b).map(|level| {
        vec![
            level.level.to_string(),
            offset(level.a),
            offset(level.b),
            level.winner.to_string(),
            number(level.replayed),
        ]
    });
    // There are 18 levels at most by default, so all of them are shown.
    table(out, paint, "delay levels", &[">LEVEL", ">A", ">B", "WINS", ">REPLAYED"], (rows.collect(), true))
}

fn print_config(out: &mut Output, paint: Paint, diff: &DiffReport, verbose: bool) -> io::Result<()> {
    let value = |value: Option<&Value>| match value {
        None => "-".to_owned(),
        // Of an entry that only one side has, its fields say little.
        Some(Value::Object(_)) if !verbose => "there".to_owned(),
        Some(value) => shortened(&value.to_string()),
    };
    let rows = diff.config.iter().filter(|entry| verbose || entry.explained.is_none()).map(|entry| {
        vec![
            entry.file.to_owned(),
            plain(&entry.path).into_owned(),
            value(entry.a.as_ref()),
            value(entry.b.as_ref()),
            entry.explained.map_or(String::new(), |why| format!("normal: {why}")),
        ]
    });
    table(out, paint, "configuration", &["FILE", "ENTRY", "A", "B", ""], (rows.collect(), verbose))?;
    let mut normal: BTreeMap<&str, u64> = BTreeMap::new();
    for why in diff.config.iter().filter_map(|entry| entry.explained) {
        *normal.entry(why).or_default() += 1;
    }
    for (why, entries) in normal.into_iter().filter(|_| !verbose) {
        let entries = count(entries, "difference", "differences");
        writeln!(out, "\n{}", paint.dim(format_args!("{entries} of configuration are normal: {why}")))?;
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() <= VALUE {
        return text.into_owned();
    }
    text.chars().take(VALUE - 1).chain(['…']).collect()
}

fn print_merged(out: &mut Output, paint: Paint, merged: &MergeJson) -> io::Result<()> {
    let clamped = merged.changes.iter().filter(|change| change.clamped).count();
    let text = format!(
        "{}, to be named {}: {}, {} not as on {}, {} moved into their queue; as {} writes them",
        plain(&merged.file),
        merged.name,
        count(merged.offsets, "offset", "offsets"),
        number(merged.changes.len()),
        merged.target,
        number(clamped),
        merged.release
    );
    writeln!(out)?;
    field(out, paint, "merged", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(min_offset: u64, max_offset: u64) -> LogSide {
        LogSide { min_offset, max_offset, ..LogSide::default() }
    }

    #[test]
    fn the_smallest_lag_takes_a_cell_of_the_picture() {
        let picture = |side, reach, parted| super::picture(&side, reach, parted, 40);
        let whole = picture(side(0, 1 << 40), (0, 1 << 40), None);
        assert_eq!(whole, "━".repeat(40));
        assert_eq!(picture(side(0, (1 << 40) - 1), (0, 1 << 40), None), "━".repeat(39) + " ");
        assert_eq!(picture(side(1, 1 << 40), (0, 1 << 40), None), " ".to_owned() + &"━".repeat(39));
        assert_eq!(picture(side(0, 0), (0, 100), None), " ".repeat(40));
        assert_eq!(picture(side(0, u64::MAX), (0, u64::MAX), Some(u64::MAX)).chars().last(), Some('╳'));
        assert_eq!(picture(side(7, 7), (7, 7), None), " ".repeat(40), "two empty logs");
    }

    #[test]
    fn the_picture_takes_what_the_line_leaves_but_not_too_much_and_not_too_little() {
        let heads = ["", "ROLE", "KIND", "LOG", ">FROM", ">TO", "ENDS IN"];
        let row = |from: &str, to: &str| ["a", "master", "store", "", from, to, "zeros"].map(str::to_owned);
        assert_eq!(cells(&heads, &[row("0", "1"), row("0", "2")]), 40, "1 + 6 + 5 + 4 + 2 + 7 characters beside it");
        assert_eq!(cells(&heads, &[row("0", "9"), row("1,048,576", "9,999,999")]), 29);
        assert_eq!(cells(&heads, &[row("1,000,000,000,000", "1,000,000,000,000")]), 16);
    }

    #[test]
    fn times_have_the_unit_that_people_would_take() {
        assert_eq!([0, 999, 3049, 130_000, 7_200_000].map(time), ["0 ms", "999 ms", "3.0 s", "2 min", "2 h"]);
    }
}
