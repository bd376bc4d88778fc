//! `backup undo`.

use std::io::Write as _;

use mqstore_backup::in_place::{Reason, UndoOptions, Undone, Way, undo};
use mqstore_core::release::conf::BrokerConf;
use serde::Serialize;

use crate::args::UndoArgs;
use crate::commands::Context;
use crate::commands::boot::exact_release;
use crate::exit::Exit;
use crate::output::human::{field, plain};
use crate::output::json::{self, TargetJson, text};

#[derive(Debug, Serialize)]
struct UndoneJson<'a> {
    /// `undone`, `taken_back` or `nothing_switched`.
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    way: Option<Way>,
    reasons: &'a [Reason],
}

pub(crate) fn run(context: &mut Context, args: &UndoArgs) -> anyhow::Result<Exit> {
    let mut options = UndoOptions::default();
    options.release = args.release.as_deref().map(exact_release).transpose()?;
    options.conf = args.broker_conf.as_deref().map(BrokerConf::read).transpose()?;
    options.home.clone_from(&args.home);
    options.from.clone_from(&args.from);
    options.stopped = args.stopped;
    let bar = context.bar("undoing");
    let undone = undo(&args.store, &options, &bar)?;
    drop(bar);
    let exit = Exit::clean();
    let (paint, is_text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let out = context.out(&[&args.store])?;
    if !is_text {
        let target = TargetJson::store(&args.store);
        json::document(out, ndjson, ("mqstore.backup.undo", &target), &body(&undone), &exit)?;
        return Ok(exit);
    }
    let store = args.store.display();
    match &undone {
        Undone::Undone { backup_id, at, kept, way, reasons } => {
            let head = paint.bold(format_args!("put back {store} as it was before"));
            writeln!(out, "{head} the restoration of {} at {}\n", plain(backup_id), plain(at))?;
            if let Some(way) = way {
                field(out, paint, "way", format_args!("{}: {}", way.word(), way.in_words()))?;
            }
            for reason in reasons {
                field(out, paint, "because", format_args!("{} [{}]", reason.text, reason.evidence))?;
            }
            field(out, paint, "kept", format_args!("what was there until now: {}", kept.display()))?;
            field(out, paint, "next", format_args!("start the broker; or mqstore backup undo {store} again"))?;
        }
        Undone::TakenBack { backup_id } => {
            let head = paint.bold(format_args!("took back {store}:"));
            writeln!(out, "{head} the restoration of {} had been interrupted", plain(backup_id))?;
        }
        _ => {
            let head = paint.bold(format_args!("nothing to put back in {store}:"));
            writeln!(out, "{head} a restoration was stopped before it changed anything, its remains are removed")?;
        }
    }
    Ok(exit)
}

fn body(undone: &Undone) -> UndoneJson<'_> {
    let none = UndoneJson {
        result: "nothing_switched",
        backup_id: None,
        restored_at: None,
        kept: None,
        way: None,
        reasons: &[],
    };
    match undone {
        Undone::Undone { backup_id, at, kept, way, reasons } => UndoneJson {
            result: "undone",
            backup_id: Some(backup_id),
            restored_at: Some(at),
            kept: Some(text(kept)),
            way: *way,
            reasons,
        },
        Undone::TakenBack { backup_id } => UndoneJson { result: "taken_back", backup_id: Some(backup_id), ..none },
        _ => none,
    }
}
