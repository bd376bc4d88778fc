//! `inspect`: renders views of a store, and gives no verdict.

pub(crate) mod checkpoint;
pub(crate) mod commitlog;
pub(crate) mod config;
pub(crate) mod index;
pub(crate) mod offsets;
pub(crate) mod overview;
pub(crate) mod pending;
pub(crate) mod queues;
pub(crate) mod timer;

use std::fmt::Write as _;

use mqstore_core::format::commitlog::MessageRecord;
use mqstore_core::store::{LogEnd, LogEndKind, SpecialPart, StoreLog};
use serde::Serialize;

use super::Target;
use crate::exit::Exit;
use crate::output::human::{count, number};

/// A part of the store in a format of its own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SpecialJson {
    pub(crate) kind: &'static str,
    pub(crate) path: String,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

impl SpecialJson {
    pub(crate) fn new(target: &Target, part: &SpecialPart) -> Self {
        let path = target.relative(&part.path);
        Self { kind: part.kind.as_str(), path, files: part.files, bytes: part.bytes }
    }
}

/// Records behind the end of the log.
#[derive(Debug, Serialize)]
pub(crate) struct StaleJson {
    first: u64,
    end: u64,
    records: u64,
}

/// How the log ends.
#[derive(Debug, Serialize)]
pub(crate) struct EndJson {
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<StaleJson>,
}

impl EndJson {
    pub(crate) fn new(end: &LogEnd) -> Self {
        let damaged = matches!(end.kind, LogEndKind::Torn | LogEndKind::Garbage);
        Self {
            end: end.kind.as_str(),
            error: end.error.filter(|_| damaged).map(|error| error.to_string()),
            stale: end.stale.map(|stale| StaleJson {
                first: stale.first.get(),
                end: stale.end.get(),
                records: stale.records,
            }),
        }
    }
}

/// What the end of the log means for the exit code: garbage is damage, unless it is being written right now.
pub(crate) fn end_exit(end: &LogEnd, live: bool) -> Exit {
    if end.kind != LogEndKind::Garbage {
        return Exit::clean();
    }
    let mut reason = format!("the log ends in garbage at {}", end.offset);
    if let Some(stale) = end.stale {
        let _ = write!(
            reason,
            ": {} can be read behind it, from {} to {}",
            count(stale.records, "record", "records"),
            stale.first,
            stale.end
        );
    }
    if live { Exit::no_verdict(format!("{reason}; it may have been written meanwhile")) } else { Exit::found(reason) }
}

/// The end of the log in words.
pub(crate) fn end_text(log: &StoreLog, end: &LogEnd) -> String {
    let error = end.error.map_or_else(String::new, |error| format!(" at {}: {}", number(end.offset), error.kind));
    match (end.kind, end.stale) {
        (LogEndKind::Zeros, _) => "ends in zeros".to_owned(),
        (LogEndKind::FileEnd, _) => "ends with its last file".to_owned(),
        (LogEndKind::Torn, _) => format!("ends in a torn record{error}"),
        (LogEndKind::Garbage, _) if has_short_store_host(log, end) => format!(
            "ends in garbage at {}: a record claims an IPv6 store host but holds an IPv4 one; 5.0.0 to 5.3.3 write such \
             records, and no release can read them",
            number(end.offset)
        ),
        (LogEndKind::Garbage, None) => format!("ends in garbage{error}"),
        (LogEndKind::Garbage, Some(stale)) => {
            format!("ends in garbage{error}, with {} behind it", count(stale.records, "record", "records"))
        }
    }
}

/// Whether the log ends at a record of the one kind that a healthy broker writes and none can read.
fn has_short_store_host(log: &StoreLog, end: &LogEnd) -> bool {
    let Some(file) = log.commitlog().queue().find(end.offset.get()) else { return false };
    let Ok(map) = file.map() else { return false };
    let relative = usize::try_from(end.offset.get() - file.file_from_offset).unwrap_or(usize::MAX);
    let bytes = map.get(relative..).unwrap_or_default();
    MessageRecord::parse_with_short_store_host(bytes, end.offset).is_ok()
}
