//! Arguments of `snapshot`.

use clap::Args;
use mqstore_check::snapshot::DigestScope;

use super::StoreArgs;
use super::units::parse_size;

/// All positions and digests of a store in a small JSON, to compare stores that live on different machines
///
/// The document goes to standard output or to --output, compressed where that name ends in .zst. A broker may run on the
/// store.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Files of the commit log that get digests: all, the last N as last:N, or none
    #[arg(
        long,
        help_heading = "Content",
        value_name = "FILES",
        default_value = "last:2",
        value_parser = parse_digest,
        env = "MQSTORE_DIGEST",
        hide_env = true
    )]
    pub(crate) digest: DigestScope,

    /// Bytes of log under one digest
    #[arg(
        long,
        help_heading = "Content",
        value_name = "SIZE",
        default_value = "16MiB",
        value_parser = parse_chunk,
        env = "MQSTORE_CHUNK",
        hide_env = true
    )]
    pub(crate) chunk: u64,

    /// Also digests of every record between two physical offsets, to find where two logs part; of every byte, which tells
    /// the bytes, if they are no more than 1 KiB apart
    #[arg(
        long,
        help_heading = "Content",
        value_name = "FROM..TO",
        value_parser = parse_range,
        env = "MQSTORE_RANGE",
        hide_env = true
    )]
    pub(crate) range: Option<(u64, u64)>,
}

fn parse_digest(text: &str) -> Result<DigestScope, String> {
    match text {
        "all" => Ok(DigestScope::All),
        "none" => Ok(DigestScope::None),
        _ => match text.strip_prefix("last:").map(str::parse) {
            Some(Ok(files)) if files > 0 => Ok(DigestScope::Last(files)),
            _ => Err("expected all, none, or last:N with N files".to_owned()),
        },
    }
}

fn parse_chunk(text: &str) -> Result<u64, String> {
    match parse_size(text)? {
        0 => Err("expected at least one byte".to_owned()),
        bytes => Ok(bytes),
    }
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let range = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    range.filter(|(from, to)| from < to).ok_or_else(|| "expected two physical offsets as 65536..131072".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_all_none_or_some_last_files() {
        assert_eq!(parse_digest("all"), Ok(DigestScope::All));
        assert_eq!(parse_digest("none"), Ok(DigestScope::None));
        assert_eq!(parse_digest("last:3"), Ok(DigestScope::Last(3)));
        for wrong in ["last", "last:", "last:0", "last:x", "3"] {
            assert!(parse_digest(wrong).is_err(), "{wrong}");
        }
        assert!(parse_chunk("0").is_err());
    }

    #[test]
    fn a_range_is_two_offsets_of_which_the_first_is_smaller() {
        assert_eq!(parse_range("0..65536"), Ok((0, 65_536)));
        for wrong in ["", "..", "5", "5..", "..5", "5..5", "6..5", "a..b", "1..2..3"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
    }
}
