//! The checklist for people: what fails first, then the way back and the commands.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use mqstore_check::preflight::{FeatureBack, Line, PlanStep, Preflight, Presence, Status, Way, WayBack};

use crate::output::Output;
use crate::output::human::{Columns, Paint, count, number, plain};

/// Pieces of evidence shown with a line unless more is asked for.
const SHOWN: usize = 3;
/// Where messages begin: behind status and id.
const INDENT: usize = 13;
const ID_WIDTH: usize = 22;

/// The whole in one sentence.
pub(super) fn verdict(checked: &Preflight) -> String {
    let number_of = |status| checked.lines.iter().filter(|line| line.status == status && !line.optional).count() as u64;
    let mut parts = Vec::new();
    for (status, one, many) in [
        (Status::Fail, "point fails", "points fail"),
        (Status::NotChecked, "is not checked", "are not checked"),
        (Status::Warn, "needs attention", "need attention"),
    ] {
        let n = number_of(status);
        if n > 0 {
            parts.push(count(n, one, many));
        }
    }
    if parts.is_empty() {
        parts.push("nothing stands against it".to_owned());
    }
    format!("{} to {}: {}", checked.from, checked.to, parts.join(", "))
}

pub(super) fn print(out: &mut Output, paint: Paint, checked: &Preflight, verbose: bool) -> io::Result<()> {
    writeln!(out, "{}: {}\n", painted(paint, checked.verdict), verdict(checked))?;
    let (quiet, told): (Vec<&Line>, Vec<&Line>) = checked
        .lines
        .iter()
        .partition(|line| line.status == Status::Pass && !verbose && !line.id().starts_with("boot."));
    for line in told {
        print_line(out, paint, line, verbose)?;
    }
    print_passed(out, paint, &quiet)?;
    print_losses(out, paint, checked)?;
    print_way_back(out, paint, &checked.way_back, verbose)?;
    print_plan(out, paint, &checked.plan)?;
    let command = |line: &Line| line.finding.suggestion.as_ref().and_then(|suggestion| suggestion.command.clone());
    let mut open = checked.lines.iter().filter(|line| line.status != Status::Pass && !line.optional);
    let mut harmless = checked.plan.iter().filter(|step| !step.destructive);
    let next = open.find_map(command).or_else(|| harmless.find_map(|step| step.command.clone()));
    match next {
        Some(next) => writeln!(out, "\nnext: {}", plain(&next)),
        None => Ok(()),
    }
}

fn painted(paint: Paint, status: Status) -> String {
    let word = status.word();
    match status {
        Status::Fail => paint.bad(word),
        Status::Pass => paint.good(word),
        _ => paint.warn(word),
    }
}

/// The lines that have nothing to say, by their ids.
fn print_passed(out: &mut Output, paint: Paint, passed: &[&Line]) -> io::Result<()> {
    for (n, row) in passed.chunks(4).enumerate() {
        let mut ids = String::new();
        for line in row {
            let _ = write!(ids, "{:<ID_WIDTH$}", line.id());
        }
        let word = if n == 0 { painted(paint, Status::Pass) } else { " ".repeat(Status::Pass.word().len()) };
        writeln!(out, "{word}{}{}", " ".repeat(INDENT - Status::Pass.word().len()), ids.trim_end())?;
    }
    Ok(())
}

fn print_line(out: &mut Output, paint: Paint, line: &Line, verbose: bool) -> io::Result<()> {
    let padding = " ".repeat(INDENT.saturating_sub(line.status.word().len()));
    let id = format!("{:<ID_WIDTH$}", line.id());
    let message = plain(&line.finding.message);
    writeln!(out, "{}{padding}{}{message}", painted(paint, line.status), paint.bold(id))?;
    if line.status == Status::Pass && !verbose {
        return Ok(());
    }
    let indent = " ".repeat(INDENT);
    // The table of the way back says the same.
    let told = line.id() == "boot.way-back" && line.status != Status::Fail && !verbose;
    let shown = if verbose { usize::MAX } else { SHOWN };
    for evidence in line.evidence.iter().take(shown).filter(|_| !told) {
        writeln!(out, "{indent}{}", paint.dim(format_args!("- {}", plain(evidence))))?;
    }
    let more = line.evidence.len().saturating_sub(shown);
    if more > 0 && !told {
        writeln!(out, "{indent}{}", paint.dim(format_args!("- and {}, see -v", count(more as u64, "more", "more"))))?;
    }
    if let Some(consequence) = &line.finding.consequence {
        writeln!(out, "{indent}so: {}", plain(consequence))?;
    }
    if let Some(suggestion) = &line.finding.suggestion {
        if !suggestion.summary.is_empty() {
            writeln!(out, "{indent}do: {}", plain(&suggestion.summary))?;
        }
        if let Some(command) = &suggestion.command {
            writeln!(out, "{indent}    $ {}", plain(command))?;
        }
    }
    Ok(())
}

fn print_losses(out: &mut Output, paint: Paint, checked: &Preflight) -> io::Result<()> {
    let Some(losses) = &checked.losses else { return Ok(()) };
    let kinds = [("hidden", &losses.hidden), ("cut", &losses.cut), ("redelivered", &losses.redelivered)];
    if kinds.iter().all(|(_, messages)| messages.total == 0) {
        return Ok(());
    }
    writeln!(out, "\n{}", paint.bold(format_args!("what the start of {} does to messages", checked.to)))?;
    for (kind, messages) in kinds.iter().filter(|(_, messages)| messages.total > 0) {
        let mut topics: Vec<_> = messages.topics.iter().collect();
        topics.sort_by_key(|(topic, n)| (std::cmp::Reverse(**n), *topic));
        let named = topics.iter().take(SHOWN).map(|(topic, n)| format!("{} {}", plain(topic), number(n)));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = if topics.len() > SHOWN { ", …" } else { "" };
        writeln!(out, "  {kind}: {} ({named}{more})", number(messages.total))?;
    }
    Ok(())
}

fn print_way_back(out: &mut Output, paint: Paint, back: &WayBack, verbose: bool) -> io::Result<()> {
    let how = match back.way {
        Way::InPlace => "in place: stop, and start the old release on the store as it was left",
        Way::InPlaceUnlessUsed => "in place, unless what is marked \"if used\" comes into the store",
        Way::Restore => "only by a complete backup from before, log included; what is stored since is gone",
        Way::Unknown => "not known",
    };
    writeln!(out, "\n{} {how}", paint.bold(format_args!("the way back to {}:", back.release)))?;
    let matters = |feature: &&FeatureBack| verbose || (feature.effect != "safe" && feature.presence != Presence::Off);
    let features: Vec<&FeatureBack> = back.features.iter().filter(matters).collect();
    if !features.is_empty() {
        let mut columns = Columns::new(paint, &["FEATURE", "EFFECT", "PRESENT", "WHAT THE OLD RELEASE DOES WITH IT"]);
        for feature in features {
            columns.row([
                feature.feature.to_owned(),
                feature.effect.replace('_', " "),
                present(feature.presence).to_owned(),
                feature.says.to_owned(),
            ]);
        }
        columns.print(out)?;
    }
    writeln!(out, "older queues put beside the newer log: {}", back.older_queues_beside_newer_log)
}

fn present(presence: Presence) -> &'static str {
    match presence {
        Presence::OnDisk => "on disk",
        Presence::Configured => "switched on",
        Presence::EachStart => "with each start",
        Presence::IfUsed => "if used",
        Presence::IfSwitchedOn => "if switched on",
        Presence::Off => "off",
    }
}

fn print_plan(out: &mut Output, paint: Paint, plan: &[PlanStep]) -> io::Result<()> {
    writeln!(out, "\n{}", paint.bold("the plan (! changes what is there)"))?;
    for step in plan {
        let mark = if step.destructive { paint.warn("!") } else { " ".to_owned() };
        writeln!(out, "{:>3} {mark} {}", step.step, plain(&step.what))?;
        if let Some(command) = &step.command {
            writeln!(out, "      $ {}", plain(command))?;
        }
    }
    Ok(())
}
