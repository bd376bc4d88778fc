//! Arguments of `verify`.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, ValueEnum};
use mqstore_check::Severity;
use mqstore_check::verify::{Level, Sample};

use super::{AlsoArgs, ChainArgs, PlaceArgs};
use crate::time::parse_ms;

/// Is every file of a store sound, and do the files agree with each other
///
/// Also takes a backup archive: its files are then checked as a store without commit log.
#[derive(Debug, Args)]
pub(crate) struct VerifyStoreArgs {
    /// Store root or backup archive
    #[arg(value_name = "STORE")]
    pub(crate) store: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,

    #[command(flatten)]
    pub(crate) chain: ChainArgs,

    #[command(flatten)]
    pub(crate) what: WhatArgs,

    /// Print the ids of all checks, with severity, level and title
    #[arg(long, env = "MQSTORE_LIST_CHECKS", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) list_checks: bool,

    /// Exit with 1 from findings of this severity on
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t, env = "MQSTORE_FAIL_ON", hide_env = true)]
    pub(crate) fail_on: FailOn,

    /// Threads that read; the answer is the same with any number [default: as many as there are processors]
    #[arg(short, long, value_name = "N", env = "MQSTORE_JOBS", hide_env = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) jobs: Option<u32>,

    /// Map the files, or read them whole into memory: slower, and sure about which bytes a failing disk refuses
    #[arg(long, value_enum, default_value_t, env = "MQSTORE_IO", hide_env = true)]
    pub(crate) io: IoArg,

    /// Also write the result as an XML report that CI systems show
    #[arg(long, value_name = "FILE", env = "MQSTORE_JUNIT", hide_env = true)]
    pub(crate) junit: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) also: AlsoArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Checks")]
pub(crate) struct WhatArgs {
    /// How deep: seconds on any store, or every record, unit and index entry
    #[arg(long, value_enum, default_value_t, env = "MQSTORE_LEVEL_OF_VERIFY", hide_env = true)]
    pub(crate) level: LevelArg,

    /// Only these checks: ids or areas
    #[arg(long, value_name = "ID", value_delimiter = ',', env = "MQSTORE_ONLY", hide_env = true)]
    pub(crate) only: Vec<String>,

    /// Not these checks: ids or areas; the summary names them
    #[arg(long, value_name = "ID", value_delimiter = ',', env = "MQSTORE_SKIP", hide_env = true)]
    pub(crate) skip: Vec<String>,

    /// Only a part of the log files, as 10% or 1/4; the newest is always among them
    #[arg(long, value_name = "PART", value_parser = parse_sample, env = "MQSTORE_SAMPLE", hide_env = true)]
    pub(crate) sample: Option<(u32, u32)>,

    /// Draw the same sample as a run that printed this seed
    #[arg(long, value_name = "N", requires = "sample", env = "MQSTORE_SEED", hide_env = true)]
    pub(crate) seed: Option<u64>,

    /// Only log files with messages stored since then: RFC 3339 or milliseconds
    #[arg(long, value_name = "TIME", value_parser = parse_ms, env = "MQSTORE_SINCE", hide_env = true)]
    pub(crate) since: Option<i64>,

    /// Only the newest log files, up to so many bytes
    #[arg(long, value_name = "BYTES", env = "MQSTORE_MAX_BYTES", hide_env = true)]
    pub(crate) max_bytes: Option<u64>,

    /// Keep so many findings of each id; the rest is counted
    #[arg(long, value_name = "N", default_value_t = 100, env = "MQSTORE_MAX_FINDINGS", hide_env = true)]
    pub(crate) max_findings: u64,

    /// End at the first error
    #[arg(long, env = "MQSTORE_EXIT_ON_ERROR", hide_env = true, value_parser = BoolishValueParser::new())]
    pub(crate) exit_on_error: bool,
}

impl WhatArgs {
    /// The sample with its seed: the one given, or one drawn from `random`.
    pub(crate) fn sample(&self, random: u64) -> Option<Sample> {
        self.sample.map(|(n, of)| Sample { n, of, seed: self.seed.unwrap_or(random) })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelArg {
    #[default]
    Quick,
    Full,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Quick => Self::Quick,
            LevelArg::Full => Self::Full,
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoArg {
    #[default]
    Map,
    Read,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Info,
    Warning,
    #[default]
    Error,
}

impl From<FailOn> for Severity {
    fn from(limit: FailOn) -> Self {
        match limit {
            FailOn::Info => Self::Info,
            FailOn::Warning => Self::Warning,
            FailOn::Error => Self::Error,
        }
    }
}

/// `10%` or `n/t`.
fn parse_sample(text: &str) -> Result<(u32, u32), String> {
    let (n, of) = match text.split_once('/') {
        Some((n, of)) => (n.parse(), of.parse()),
        None => (text.strip_suffix('%').unwrap_or("").parse(), Ok(100)),
    };
    match (n, of) {
        (Ok(n), Ok(of)) if 0 < n && n <= of => Ok((n, of)),
        _ => Err("expected a percentage as 10%, or a fraction as 1/4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_percentage_or_a_fraction_of_at_most_all() {
        assert_eq!(parse_sample("10%"), Ok((10, 100)));
        assert_eq!(parse_sample("1/4"), Ok((1, 4)));
        for wrong in ["10", "0%", "101%", "5/4", "0/3", "a/b", "/"] {
            assert!(parse_sample(wrong).is_err(), "{wrong}");
        }
    }
}
