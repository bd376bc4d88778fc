//! `backup restore --release`: the plan of a restoration beside a commit log that went on, and what became of it.

use std::io::{self, Write as _};
use std::path::Path;

use mqstore_backup::in_place::{
    Change, InPlaceOptions, OffsetsPlan, RestorePlan, Resumed, Way, WayReport, prepare, resume,
};
use mqstore_backup::{BackupError, Manifest};
use mqstore_core::release::conf::BrokerConf;
use serde::Serialize;

use super::restore::{damaged, note_not_restored};
use super::{gaps_exit, print_gaps};
use crate::args::RestoreArgs;
use crate::commands::Context;
use crate::commands::boot::{exact_release, in_words};
use crate::exit::Exit;
use crate::output::Output;
use crate::output::human::{Columns, Paint, count, field, number, plain, size};
use crate::output::json::{self, TargetJson, text};

/// Names in a line of text before the rest is counted.
const NAMES: usize = 8;
/// Groups that are shown unless more is asked for.
const GROUPS: usize = 6;

#[derive(Debug, Serialize)]
struct InPlaceJson<'a> {
    dry_run: bool,
    /// Where what was there before is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
    plan: &'a RestorePlan,
    manifest: &'a Manifest,
}

#[derive(Debug, Serialize)]
struct ResumedJson {
    resumed: bool,
    backup_id: String,
    kept: String,
}

pub(super) fn run(context: &mut Context, args: &RestoreArgs, release: &str) -> anyhow::Result<Exit> {
    let options = options(args, release)?;
    if !args.in_place.dry_run
        && let Some(resumed) = resume(&args.to)?
    {
        return ended(context, args, &resumed);
    }
    let bar = context.bar("preparing");
    let prepared = prepare(&args.archive, &options, &bar);
    drop(bar);
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(BackupError::Damaged { report }) => return damaged(context, &args.archive, &report),
        Err(error) => return Err(error.into()),
    };
    if args.in_place.dry_run {
        let (plan, manifest) = (prepared.plan().clone(), prepared.manifest().clone());
        drop(prepared);
        return show(context, args, &plan, &manifest, None);
    }
    let done = prepared.carry_out()?;
    note_not_restored(context, &done.not_restored);
    show(context, args, &done.plan, &done.manifest, Some(&done.kept))
}

fn options(args: &RestoreArgs, release: &str) -> anyhow::Result<InPlaceOptions> {
    let mut options = InPlaceOptions::new(&args.to, exact_release(release)?);
    let given = &args.in_place;
    options.conf = given.broker_conf.as_deref().map(BrokerConf::read).transpose()?;
    options.commitlog.clone_from(&given.commitlog);
    options.home.clone_from(&args.home);
    options.program.clone_from(&args.program);
    options.include.clone_from(&args.include);
    options.chain.clone_from(&args.chain.folders);
    options.what = given.what.map(Into::into);
    options.way = given.way.map(Into::into);
    options.offsets = given.offsets.map(Into::into);
    options.exact_config = given.exact_config;
    options.other_broker = given.other_broker;
    options.stopped = given.stopped;
    Ok(options)
}

fn ended(context: &mut Context, args: &RestoreArgs, resumed: &Resumed) -> anyhow::Result<Exit> {
    let exit = Exit::fine("an interrupted restoration was ended, nothing else was done");
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[&args.to])?;
    if !is_text {
        let body = ResumedJson { resumed: true, backup_id: resumed.backup_id.clone(), kept: text(&resumed.kept) };
        json::document(out, ndjson, ("mqstore.backup.restore", &TargetJson::store(&args.to)), &body, &exit)?;
        return Ok(exit);
    }
    writeln!(
        out,
        "{} of {}: it had been interrupted. Nothing else was done\n",
        paint.bold(format_args!("ended the restoration of {}", args.to.display())),
        plain(&resumed.backup_id)
    )?;
    field(out, paint, "kept", resumed.kept.display())?;
    field(out, paint, "next", format_args!("mqstore backup undo {}, or start the broker", args.to.display()))?;
    Ok(exit)
}

fn show(
    context: &mut Context,
    args: &RestoreArgs,
    plan: &RestorePlan,
    manifest: &Manifest,
    kept: Option<&Path>,
) -> anyhow::Result<Exit> {
    let mut exit = gaps_exit(&manifest.gaps);
    let chosen = plan.ways.iter().find(|one| one.way == Some(plan.way));
    if let Some(lost) = chosen.map(|one| one.unreachable).filter(|lost| *lost > 0) {
        let messages = count(lost, "message stays", "messages stay");
        exit = exit.and(Exit::blocking(format!("{messages} out of reach, as without the restoration")));
    }
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let verbose = context.args.verbose;
    let out = context.out(&[&args.to])?;
    if !is_text {
        let body = InPlaceJson { dry_run: kept.is_none(), kept: kept.map(text), plan, manifest };
        json::document(out, ndjson, ("mqstore.backup.restore", &TargetJson::archive(&args.archive)), &body, &exit)?;
        return Ok(exit);
    }
    let verb = if kept.is_some() { "restored" } else { "would restore" };
    let head = format!("{verb} {}: {} {}", plain(&plan.root), plan.release, in_words(plan.prediction.outcome));
    writeln!(out, "{}\n", paint.bold(head))?;
    print_plan(out, paint, plan, verbose)?;
    print_gaps(out, paint, &manifest.gaps)?;
    for note in &plan.notes {
        writeln!(out, "{} {}", paint.warn("note:"), plain(note))?;
    }
    writeln!(out)?;
    match kept {
        Some(kept) => {
            field(out, paint, "kept", format_args!("what was there before: {}", kept.display()))?;
            field(
                out,
                paint,
                "next",
                format_args!("start {}; or mqstore backup undo {}", plan.release, args.to.display()),
            )?;
        }
        None => field(out, paint, "next", "the same without --dry-run")?,
    }
    Ok(exit)
}

fn print_plan(out: &mut Output, paint: Paint, plan: &RestorePlan, verbose: bool) -> io::Result<()> {
    field(out, paint, "backup", format_args!("{} made {}", plain(&plan.backup_id), plain(&plan.created_at)))?;
    field(out, paint, "way", format_args!("{}: {}", plan.way.word(), plan.way.in_words()))?;
    for (n, reason) in plan.reasons.iter().enumerate() {
        let name = if n == 0 { "because" } else { "" };
        field(out, paint, name, format_args!("{} {}", reason.text, paint.dim(format_args!("[{}]", reason.evidence))))?;
    }
    let log = &plan.log;
    let grown = if log.compared == 0 {
        String::new()
    } else {
        format!(
            "; {} more than the backup's queues know; {} lead to the right record",
            size(log.grown),
            count(log.compared, "queue", "queues")
        )
    };
    field(out, paint, "log", format_args!("{} to {}{grown}", number(log.min_offset), number(log.max_offset)))?;
    for (change, name) in [(Change::Replaced, "replaces"), (Change::Added, "adds"), (Change::Removed, "takes away")] {
        let paths = plan.entries.iter().filter(|entry| entry.change == change).map(|entry| entry.path.as_str());
        print_names(out, paint, name, &paths.collect::<Vec<_>>(), verbose)?;
    }
    // What is younger than the backup stays.
    for (name, names) in
        [("left alone", &plan.left_alone), ("new topics", &plan.later_topics), ("new groups", &plan.later_groups)]
    {
        print_names(out, paint, name, &names.iter().map(String::as_str).collect::<Vec<_>>(), verbose)?;
    }
    print_offsets(out, paint, &plan.offsets, verbose)?;
    writeln!(out)?;
    print_ways(out, paint, plan)
}

fn print_names(out: &mut Output, paint: Paint, name: &str, names: &[&str], verbose: bool) -> io::Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let shown = if verbose { names.len() } else { NAMES };
    let mut text = names.iter().take(shown).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    if names.len() > shown {
        text = format!("{text} and {} more", number(names.len() - shown));
    }
    field(out, paint, name, text)
}

fn print_offsets(out: &mut Output, paint: Paint, offsets: &OffsetsPlan, verbose: bool) -> io::Result<()> {
    for effect in &offsets.effects {
        let chosen = offsets.policy == Some(effect.policy);
        let lost = match effect.without_offset {
            0 => String::new(),
            lost => format!(", {} without an offset", count(lost, "queue", "queues")),
        };
        let text = format!(
            "{}{:<8}{} again, {} skipped{lost}",
            if chosen { "* " } else { "  " },
            effect.policy.word(),
            count(effect.redelivered, "message", "messages"),
            number(effect.skipped),
        );
        let name = if effect.policy == mqstore_backup::in_place::Offsets::Backup { "offsets" } else { "" };
        field(out, paint, name, if chosen { text } else { paint.dim(text) })?;
    }
    if offsets.groups.is_empty() {
        return Ok(());
    }
    let mut columns = Columns::new(paint, &["GROUP", "TOPIC", ">AGAIN", ">SKIPPED"]);
    let mut groups: Vec<_> = offsets.groups.iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse((group.skipped, group.redelivered)));
    let shown = if verbose { groups.len() } else { GROUPS };
    for group in groups.iter().take(shown) {
        let names = [plain(&group.group).into_owned(), plain(&group.topic).into_owned()];
        columns.row(names.into_iter().chain([number(group.redelivered), number(group.skipped)]));
    }
    writeln!(out)?;
    columns.print(out)?;
    match groups.len().saturating_sub(shown) {
        0 => Ok(()),
        more => writeln!(out, "{}", paint.dim(format_args!("and {} more, see -v", number(more)))),
    }
}

/// The ways that were looked at, the chosen one marked.
fn print_ways(out: &mut Output, paint: Paint, plan: &RestorePlan) -> io::Result<()> {
    let heads = ["WAY", "START", ">OUT OF REACH", ">MOVED", ">FIRE AT ONCE", ">KEYS LOST", ">AGAIN", ">READS"];
    let mut columns = Columns::new(paint, &heads);
    for report in plan.ways.iter().chain(&plan.left_as_it_is) {
        let mark = if report.way == Some(plan.way) { "* " } else { "  " };
        let name = report.way.map_or("left as it is", Way::word);
        columns.row(row(format!("{mark}{name}"), report));
    }
    columns.print(out)?;
    for report in &plan.ways {
        if let (Some(way), Some(unfit)) = (report.way, &report.unfit) {
            writeln!(out, "{} {}: {unfit}", paint.dim("not"), way.word())?;
        }
    }
    Ok(())
}

fn row(name: String, report: &WayReport) -> [String; 8] {
    [
        name,
        report.outcome.word().to_owned(),
        number(report.unreachable),
        number(report.shifted),
        number(report.fires_at_once),
        number(report.index_keys),
        number(report.redelivered),
        size(report.log_read),
    ]
}
