//! Master and slave: from documents of `diff`, and from snapshots of brokers of the same name.

use std::collections::BTreeMap;

use mqstore_check::Outcome;
use mqstore_check::diff::{DiffOptions, Side, diff};
use mqstore_check::snapshot::{Identity, Snapshot};
use mqstore_core::progress::NoProgress;
use serde::Serialize;
use serde_json::Value;

use super::documents::{Content, Document, Unread};
use crate::commands::findings::{first_skipped, worst_in_words};

/// How far two brokers are apart.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Pair {
    pub(super) a: String,
    pub(super) b: String,
    /// `document`: somebody compared them; `snapshots`: compared here.
    pub(super) how: &'static str,
    pub(super) code: u8,
    pub(super) reason: String,
    pub(super) lag_bytes: Option<u64>,
    pub(super) lag_messages: Option<u64>,
    pub(super) lag_ms: Option<u64>,
    /// Physical offset at which the logs part.
    pub(super) diverged_at: Option<u64>,
}

impl Pair {
    /// Those that parted first, then those furthest apart.
    pub(super) fn rank(&self) -> (bool, u8, u64) {
        let code = super::rank(self.code);
        (self.diverged_at.is_some(), code, self.lag_bytes.unwrap_or(0))
    }
}

/// All pairs, worst first.
pub(super) fn pairs(documents: &[&Document], options: &DiffOptions, unread: &mut Vec<Unread>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut by_name: BTreeMap<_, Vec<(&Document, &Snapshot)>> = BTreeMap::new();
    for document in documents {
        match &document.content {
            Content::Diff(content) => pairs.push(of_document(document, content)),
            Content::Snapshot(Ok(snapshot)) => {
                let Identity { cluster, broker, .. } = &snapshot.identity;
                if let Some(name) = broker {
                    by_name.entry((cluster, name)).or_default().push((document, snapshot.as_ref()));
                }
            }
            Content::Snapshot(Err(error)) => {
                let (file, why) = (document.file.clone(), crate::exit::chain(error.as_ref()));
                unread.push(Unread { file, why });
            }
            Content::Other => {}
        }
    }
    for (_, mut brokers) in by_name {
        // The master has the id 0; if no configuration tells, the comparison finds out by the files.
        brokers.sort_by_key(|(document, snapshot)| {
            (snapshot.identity.broker_id.unwrap_or(i64::MAX), document.broker.clone())
        });
        let Some((first, rest)) = brokers.split_first() else { continue };
        pairs.extend(rest.iter().map(|other| of_snapshots(first, other, options)));
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.rank()));
    pairs
}

fn of_document(document: &Document, content: &Value) -> Pair {
    let log = |name: &str| content.pointer(&format!("/commitlog/{name}")).and_then(Value::as_u64);
    let side = |name: &str| {
        let target = content.pointer(&format!("/target/{name}")).and_then(Value::as_object);
        let path = target.and_then(|target| target.values().find_map(Value::as_str));
        path.unwrap_or("?").to_owned()
    };
    let (code, reason) = document.exit.clone().unwrap_or((3, "it has no exit".to_owned()));
    Pair {
        a: side("a"),
        b: side("b"),
        how: "document",
        code,
        reason,
        lag_bytes: log("lag_bytes"),
        lag_messages: log("lag_messages"),
        lag_ms: log("lag_ms"),
        diverged_at: log("divergence/physical_offset"),
    }
}

fn of_snapshots(a: &(&Document, &Snapshot), b: &(&Document, &Snapshot), options: &DiffOptions) -> Pair {
    let (a_name, b_name) = (a.0.broker.clone(), b.0.broker.clone());
    let mut pair = Pair {
        a: a_name,
        b: b_name,
        how: "snapshots",
        code: 3,
        reason: String::new(),
        lag_bytes: None,
        lag_messages: None,
        lag_ms: None,
        diverged_at: None,
    };
    match diff(&Side::Snapshot(a.1), &Side::Snapshot(b.1), options, &NoProgress) {
        Ok(found) => {
            let log = &found.commitlog;
            pair.code = found.outcome().exit_code();
            pair.reason = match found.outcome() {
                Outcome::Clean => "within the limits".to_owned(),
                Outcome::Found => worst_in_words(&found.report),
                Outcome::NoVerdict => first_skipped(&found.report).unwrap_or_default(),
            };
            (pair.lag_bytes, pair.lag_messages, pair.lag_ms) = (Some(log.lag_bytes), log.lag_messages, log.lag_ms);
            pair.diverged_at = log.divergence.as_ref().map(|parted| parted.physical_offset);
        }
        Err(error) => pair.reason = crate::exit::chain(&error),
    }
    pair
}
