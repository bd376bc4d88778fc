//! `inspect checkpoint`.

use std::io::Write as _;

use mqstore_core::format::checkpoint::Checkpoint;
use serde::Serialize;

use crate::args::CheckpointArgs;
use crate::commands::{Context, Target};
use crate::exit::Exit;
use crate::output::human::{Columns, number};
use crate::output::json::{self, TargetJson};
use crate::time::Moment;

/// The marks, times with their twins.
#[derive(Debug, Serialize)]
pub(crate) struct CheckpointJson {
    physic_msg_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    physic_msg_at: Option<Moment>,
    logics_msg_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    logics_msg_at: Option<Moment>,
    index_msg_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_msg_at: Option<Moment>,
    master_flushed_offset: i64,
    confirm_phy_offset: i64,
    logics_physical_offset: i64,
}

impl From<Checkpoint> for CheckpointJson {
    fn from(checkpoint: Checkpoint) -> Self {
        Self {
            physic_msg_timestamp: checkpoint.physic_msg_timestamp,
            physic_msg_at: Moment::from_mark(checkpoint.physic_msg_timestamp),
            logics_msg_timestamp: checkpoint.logics_msg_timestamp,
            logics_msg_at: Moment::from_mark(checkpoint.logics_msg_timestamp),
            index_msg_timestamp: checkpoint.index_msg_timestamp,
            index_msg_at: Moment::from_mark(checkpoint.index_msg_timestamp),
            master_flushed_offset: checkpoint.master_flushed_offset,
            confirm_phy_offset: checkpoint.confirm_phy_offset,
            logics_physical_offset: checkpoint.logics_physical_offset,
        }
    }
}

#[derive(Debug, Serialize)]
struct Body {
    checkpoint: Option<CheckpointJson>,
}

pub(crate) fn run(context: &mut Context, args: &CheckpointArgs) -> anyhow::Result<Exit> {
    let target = Target::open(context, &args.store)?;
    let checkpoint = target.store.checkpoint()?;
    let exit = match checkpoint {
        Some(_) => Exit::clean(),
        None => Exit::no_verdict("the store has no checkpoint"),
    };
    let (paint, text, ndjson) = (context.paint, context.is_text(), context.is_ndjson());
    let root = target.root();
    let out = context.out(&[root])?;
    if !text {
        let body = Body { checkpoint: checkpoint.map(CheckpointJson::from) };
        json::document(out, ndjson, ("mqstore.inspect.checkpoint", &TargetJson::store(root)), &body, &exit)?;
        return Ok(exit);
    }
    let Some(checkpoint) = checkpoint else {
        writeln!(out, "no checkpoint")?;
        return Ok(exit);
    };
    let mut columns = Columns::new(paint, &["MARK", ">VALUE", "TIME"]);
    let mut time = |name: &str, value: i64| {
        let at = Moment::from_mark(value).map_or_else(|| "never".to_owned(), |at| at.to_string());
        columns.row([name.to_owned(), value.to_string(), at]);
    };
    time("physic msg timestamp", checkpoint.physic_msg_timestamp);
    time("logics msg timestamp", checkpoint.logics_msg_timestamp);
    time("index msg timestamp", checkpoint.index_msg_timestamp);
    for (name, value) in [
        ("master flushed offset", checkpoint.master_flushed_offset),
        ("confirm phy offset", checkpoint.confirm_phy_offset),
        ("logics physical offset", checkpoint.logics_physical_offset),
    ] {
        columns.row([name.to_owned(), number(value), String::new()]);
    }
    columns.print(out)?;
    if let Some(from) = Moment::from_mark(checkpoint.min_timestamp()) {
        writeln!(
            out,
            "\nafter an unclean stop a broker begins in the newest log file whose first record is not newer than {from}"
        )?;
    }
    Ok(exit)
}
