//! `--textfile`: a result as Prometheus metrics, for the textfile collector of `node_exporter`.
//!
//! Every metric carries the command and what it was about as labels; a later run of the same command on the same store
//! replaces its values. Age is not a metric: `time() - mqstore_run_timestamp_seconds` is.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// A metric: its name, what it says, and where its value stands in the document.
struct Metric {
    name: &'static str,
    help: &'static str,
    /// JSON pointers, and the label that tells several values of one name apart.
    values: &'static [(&'static str, Option<(&'static str, &'static str)>)],
    scale: f64,
}

const MS: f64 = 0.001;

/// What a document may hold. A value that is absent or null gives no line.
const METRICS: &[Metric] = &[
    Metric {
        name: "mqstore_exit_code",
        help: "Exit code: 0 fine, 1 damage or difference, 3 no verdict, 4 refused, 130 interrupted.",
        values: &[("/exit/code", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_findings",
        help: "Findings by severity.",
        values: &[
            ("/counts/error", Some(("severity", "error"))),
            ("/counts/warning", Some(("severity", "warning"))),
            ("/counts/info", Some(("severity", "info"))),
        ],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_files",
        help: "Files that were looked at, and that there are.",
        values: &[
            ("/coverage/files/seen", Some(("state", "seen"))),
            ("/coverage/files/total", Some(("state", "total"))),
        ],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_bytes",
        help: "Bytes that were looked at, and that there are.",
        values: &[
            ("/coverage/bytes/seen", Some(("state", "seen"))),
            ("/coverage/bytes/total", Some(("state", "total"))),
        ],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_records",
        help: "Records that were read.",
        values: &[("/coverage/records", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_lag_bytes",
        help: "Bytes of log that the shorter side lacks.",
        values: &[("/commitlog/lag_bytes", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_lag_messages",
        help: "Messages that the shorter side lacks.",
        values: &[("/commitlog/lag_messages", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_lag_seconds",
        help: "Time between the last records of both sides.",
        values: &[("/commitlog/lag_ms", None)],
        scale: MS,
    },
    Metric {
        name: "mqstore_diverged_offset",
        help: "Physical offset where the two logs part; absent while they are the same.",
        values: &[("/commitlog/divergence/physical_offset", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_backup_size_bytes",
        help: "Length of the archive.",
        values: &[("/archive_length", None)],
        scale: 1.0,
    },
    Metric {
        name: "mqstore_backup_verified",
        help: "1 if the archive was read back and compared.",
        values: &[("/verified", None)],
        scale: 1.0,
    },
];

/// Lists that are counted.
const COUNTED: &[(&str, &str, &str)] = &[
    ("mqstore_backup_files", "Files in the archive.", "/manifest/files"),
    ("mqstore_backup_gaps", "What could not be archived.", "/manifest/gaps"),
];

/// The metrics of a document of any command.
pub(crate) fn metrics(document: &Value, took: Duration) -> String {
    let labels = labels(document);
    let mut text = String::new();
    for metric in METRICS {
        let lines: Vec<_> =
            metric.values.iter().filter_map(|(at, label)| Some((number(document, at)?, label))).collect();
        if lines.is_empty() {
            continue;
        }
        head(&mut text, metric.name, metric.help);
        for (value, label) in lines {
            let own = label.map(|(name, value)| format!(",{name}=\"{value}\"")).unwrap_or_default();
            let _ = writeln!(text, "{}{{{labels}{own}}} {}", metric.name, value * metric.scale);
        }
    }
    for (name, help, at) in COUNTED {
        if let Some(list) = document.pointer(at).and_then(Value::as_array) {
            head(&mut text, name, help);
            let _ = writeln!(text, "{name}{{{labels}}} {}", list.len());
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    for (name, help, value) in [
        ("mqstore_run_timestamp_seconds", "When the run ended, in seconds since the epoch.", now),
        ("mqstore_run_duration_seconds", "How long the run took.", took.as_secs_f64()),
    ] {
        head(&mut text, name, help);
        let _ = writeln!(text, "{name}{{{labels}}} {value:.3}");
    }
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

/// `command="verify",store="/data/store"`; of a pair both sides.
fn labels(document: &Value) -> String {
    let schema = document.get("schema").and_then(Value::as_str).unwrap_or_default();
    let mut labels = format!("command=\"{}\"", escaped(schema.trim_start_matches("mqstore.")));
    if let Some(target) = document.get("target").and_then(Value::as_object) {
        for (name, value) in target {
            let value = match value {
                Value::Object(side) => side.values().find_map(Value::as_str),
                value => value.as_str(),
            };
            if let Some(value) = value {
                let _ = write!(labels, ",{name}=\"{}\"", escaped(value));
            }
        }
    }
    labels
}

fn number(document: &Value, at: &str) -> Option<f64> {
    match document.pointer(at)? {
        Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
        value => value.as_f64(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_that_are_absent_or_null_give_no_line() {
        let document = json!({"schema": "mqstore.diff", "target": {"a": {"store": "/m"}, "b": {"snapshot": "s\"x"}},
            "commitlog": {"lag_bytes": 5, "lag_messages": null, "lag_ms": 1500, "divergence": null}, "exit": {"code": 1}});
        let text = metrics(&document, Duration::from_millis(20));
        let labels = r#"command="diff",a="/m",b="s\"x""#;
        for line in [
            format!("mqstore_exit_code{{{labels}}} 1"),
            format!("mqstore_lag_bytes{{{labels}}} 5"),
            format!("mqstore_lag_seconds{{{labels}}} 1.5"),
            format!("mqstore_run_duration_seconds{{{labels}}} 0.020"),
        ] {
            assert!(text.lines().any(|have| have == line), "{line} not in\n{text}");
        }
        for absent in ["lag_messages", "diverged", "findings", "backup"] {
            assert!(!text.contains(absent), "{absent} in\n{text}");
        }
    }
}
