//! Arguments of `fleet`.

use std::path::PathBuf;

use clap::Args;
use mqstore_check::diff::Area;

use super::units::parse_duration_ms;
use super::{AlsoArgs, LimitArgs};

/// Many brokers' JSON documents as one table: brokers by verdict, pairs by lag, what to do next
///
/// DIR holds what --format json gave for each broker, and snapshots: DIR/BROKER/verify.json, or BROKER.verify.json in DIR
/// itself; .json and .json.zst. Snapshots of brokers of the same name are compared with each other. Of several documents
/// of one kind for a broker the newest counts.
#[derive(Debug, Args)]
pub(crate) struct FleetArgs {
    /// Folder with the documents, which may lie in folders of their own
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,

    /// A document older than this is no verdict, as 24h
    #[arg(long, value_name = "TIME", value_parser = parse_duration_ms, env = "MQSTORE_MAX_AGE", hide_env = true)]
    pub(crate) max_age: Option<u64>,

    /// Leave this area out of the comparison of snapshots: log, queues, offsets, delay, timer or config
    #[arg(long, value_name = "AREA", value_delimiter = ',', env = "MQSTORE_IGNORE", hide_env = true)]
    pub(crate) ignore: Vec<Area>,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}
