//! `--report`: one self-contained HTML page of a document, for those who read and sign rather than type.
//!
//! The page is made from the same document that `--format json` prints, by one template; pictures are SVG inside it.
//! It asks for nothing from anywhere and runs no script.

mod log_map;
mod picture;

use anyhow::Context as _;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value as Cell};
use serde_json::Value;

pub(crate) use log_map::LogMap;

use crate::output::human::{number, size};

/// Queues and offsets that a page shows; a store may have ten thousand.
const ROWS: usize = 200;

/// The page of a document; `map` is what is known of the log's files beyond it.
pub(crate) fn render(document: &Value, map: Option<&LogMap>) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // Documents differ in what they hold; a part that one does not have is left out of its page.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.add_filter("number", |value: i128| number(value));
    environment.add_filter("size", |value: u64| size(value));
    environment.add_filter("moment", |ms: i64| {
        crate::time::Moment::from_ms(ms).map_or_else(|| ms.to_string(), crate::time::Moment::short)
    });
    environment.add_filter("words", |name: String| name.replace(['_', '.'], " "));
    environment.add_template("page", include_str!("page.html")).context("the page's template")?;
    let pictures = pictures(document, map);
    let context = minijinja::context! {
        doc => Cell::from(Serde(document)),
        verdict => verdict(document),
        groups => Cell::from(Serde(groups(document))),
        passed => Cell::from(Serde(passed(document))),
        pictures => pictures,
        rows => ROWS,
        style => Cell::from_safe_string(include_str!("page.css").to_owned()),
    };
    environment.get_template("page").and_then(|page| page.render(context)).context("cannot make the page")
}

/// Word and class of the verdict: the word says it, the colour only repeats it.
fn verdict(document: &Value) -> Cell {
    let code = document.pointer("/exit/code").and_then(Value::as_u64);
    let schema = document.get("schema").and_then(Value::as_str).unwrap_or_default();
    let warned = document.pointer("/counts/warning").and_then(Value::as_u64).unwrap_or(0) > 0;
    let (word, class) = match (code, schema) {
        (Some(0), _) if warned => ("PASS, with warnings", "warn"),
        (Some(0), _) => ("PASS", "good"),
        (Some(1), "mqstore.diff") => ("DIFFERENT", "bad"),
        (Some(1), "mqstore.boot" | "mqstore.preflight") => ("STOP", "bad"),
        (Some(1), "mqstore.fleet") => ("ATTENTION", "bad"),
        (Some(1), _) => ("DAMAGED", "bad"),
        (Some(3), _) => ("NO VERDICT", "warn"),
        (Some(4), _) => ("REFUSED", "warn"),
        (Some(130), _) => ("INTERRUPTED", "warn"),
        _ => ("TROUBLE", "bad"),
    };
    minijinja::context! { word, class }
}

/// The findings of one id.
#[derive(Debug, serde::Serialize)]
struct Group<'a> {
    id: &'a str,
    severity: &'a str,
    /// What stands before the id: the status of a line of a checklist, else the severity.
    word: &'a str,
    /// Whether any of them has a place, and whether any says what was expected.
    has_places: bool,
    has_values: bool,
    consequence: Option<&'a str>,
    suggestion: Option<&'a Value>,
    /// All of them, those that the document only counts included.
    total: u64,
    findings: Vec<&'a Value>,
}

/// The status of a line of a checklist that is as it should be.
const PASSED: &str = "pass";

/// The lines of a checklist that need no attention.
fn passed(document: &Value) -> Vec<&Value> {
    let lines = document.get("findings").and_then(Value::as_array).into_iter().flatten();
    lines.filter(|line| line.get("status").and_then(Value::as_str) == Some(PASSED)).collect()
}

/// Findings by id, worst first; within an id in the document's order.
fn groups(document: &Value) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for finding in document.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| finding.get(name).and_then(Value::as_str);
        let (Some(id), Some(severity)) = (text("id"), text("severity")) else { continue };
        if text("status") == Some(PASSED) {
            continue;
        }
        let has_place = finding.get("location").and_then(Value::as_object).is_some_and(|place| !place.is_empty());
        let has_value = finding.get("expected").is_some() || finding.get("actual").is_some();
        if let Some(group) = groups.iter_mut().find(|group| group.id == id && group.severity == severity) {
            group.findings.push(finding);
            group.total += 1;
            group.has_places |= has_place;
            group.has_values |= has_value;
            continue;
        }
        let more = document.pointer(&format!("/suppressed/{id}")).and_then(Value::as_u64).unwrap_or(0);
        groups.push(Group {
            id,
            severity,
            word: text("status").unwrap_or(severity),
            has_places: has_place,
            has_values: has_value,
            consequence: text("consequence"),
            suggestion: finding.get("suggestion"),
            total: more + 1,
            findings: vec![finding],
        });
    }
    let rank = |severity: &str| ["error", "warning", "info"].iter().position(|known| *known == severity);
    groups.sort_by_key(|group| rank(group.severity));
    groups
}

#[derive(Debug, serde::Serialize)]
struct Picture {
    title: &'static str,
    /// What it shows, for those who cannot see it.
    caption: String,
    #[serde(skip)]
    svg: String,
}

fn pictures(document: &Value, map: Option<&LogMap>) -> Vec<Cell> {
    let mut pictures = Vec::new();
    let number_at = |at: &str| document.pointer(at).and_then(Value::as_u64);
    if let Some(map) = map.filter(|map| !map.files.is_empty()) {
        pictures.push(picture::log(map, &log_map::marks(document, map)));
        pictures.extend(picture::over_time(map));
    }
    let side = |name: &str| {
        let at = |end: &str| number_at(&format!("/commitlog/{name}/{end}_offset"));
        Some((at("min")?, at("max")?))
    };
    if let (Some(a), Some(b)) = (side("a"), side("b")) {
        pictures.push(picture::pair(a, b, number_at("/commitlog/divergence/physical_offset")));
    }
    if let (Some(before), Some(after)) = (number_at("/log/end_before"), number_at("/log/end_after")) {
        pictures.push(picture::cut(before, after, number_at("/log/scan_from")));
    }
    let rows = |list: &str, value: &str| -> Vec<(String, u64)> {
        let rows = document.get(list).and_then(Value::as_array).into_iter().flatten();
        rows.filter_map(|row| {
            let topic = row.get("topic").and_then(Value::as_str)?;
            let queue = row.get("queue_id").and_then(Value::as_u64)?;
            let value = row.pointer(value).and_then(Value::as_i64)?.unsigned_abs();
            (value > 0).then(|| (format!("{topic}/{queue}"), value))
        })
        .collect()
    };
    let lag = rows("queues", "/lag");
    if !lag.is_empty() {
        pictures.push(picture::bars("Queues that lag", "messages", &lag));
    }
    pictures
        .into_iter()
        .map(|Picture { title, caption, svg }| {
            minijinja::context! { title, caption, svg => Cell::from_safe_string(svg) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_a_store_says_is_text_on_the_page() {
        let evil = "<script>alert(1)</script>";
        let document = json!({"schema": "mqstore.verify", "target": {"store": evil}, "exit": {"code": 1, "reason": evil},
            "findings": [{"id": "commitlog.body-crc", "severity": "error", "message": evil, "expected": evil,
                "location": {"path": evil, "topic": evil}, "consequence": evil}],
            "queues": [{"topic": evil, "queue_id": 0, "lag": 3}],
            "counts": {"error": 1, "warning": 0, "info": 0}, "coverage": {"skipped": [{"what": evil, "why": evil}]}});
        let page = render(&document, None).unwrap();
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }

    #[test]
    fn of_findings_that_were_only_counted_the_number_is_told() {
        let finding = json!({"id": "queue.hole", "severity": "warning", "message": "m", "location": {}});
        let document = json!({"schema": "mqstore.verify", "exit": {"code": 0, "reason": ""}, "target": {},
            "findings": [finding, finding], "suppressed": {"queue.hole": 998}});
        let groups = groups(&document);
        assert_eq!((groups.len(), groups[0].total, groups[0].findings.len()), (1, 1000, 2));
    }
}
