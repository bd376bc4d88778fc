//! The XML of `JUnit`, which CI systems show: a case per check, failed if it found something at or above `error`.

use std::io::{self, Write};
use std::time::Duration;

use mqstore_check::verify::ALL_CHECKS;
use mqstore_check::{Finding, Report, Severity};

use crate::commands::findings::in_words;

/// Text as XML can hold it: markup escaped, control characters dropped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn of<'a>(report: &'a Report, id: &'a str) -> impl Iterator<Item = &'a Finding> {
    report.findings().iter().filter(move |finding| finding.id == id)
}

pub(super) fn write(out: &mut impl Write, store: &str, report: &Report, took: Duration) -> io::Result<()> {
    let failed = |id: &str| of(report, id).any(|finding| finding.severity == Severity::Error);
    // What is found in an archive has ids of its own.
    let mut ids: Vec<&str> = ALL_CHECKS.iter().map(|check| check.id).collect();
    ids.extend(report.findings().iter().map(|finding| finding.id));
    ids.sort_unstable();
    ids.dedup();
    let failures = ids.iter().filter(|id| failed(id)).count();
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    let (name, tests, skipped) = (escaped(store), ids.len(), report.coverage.skipped.len());
    writeln!(
        out,
        r#"<testsuite name="mqstore verify {name}" tests="{}" failures="{failures}" errors="0" skipped="{skipped}" time="{:.3}">"#,
        tests + skipped,
        took.as_secs_f64()
    )?;
    for id in ids {
        let area = id.split_once('.').map_or(id, |(area, _)| area);
        write!(out, r#"  <testcase classname="mqstore.{area}" name="{id}""#)?;
        if of(report, id).next().is_none() {
            writeln!(out, "/>")?;
            continue;
        }
        writeln!(out, ">")?;
        let lines: Vec<String> = of(report, id).map(|finding| escaped(&in_words(finding))).collect();
        if failed(id) {
            writeln!(
                out,
                r#"    <failure message="{}">{}</failure>"#,
                lines.first().map_or("", |l| l),
                lines.join("\n")
            )?;
        } else {
            writeln!(out, "    <system-out>{}</system-out>", lines.join("\n"))?;
        }
        writeln!(out, "  </testcase>")?;
    }
    for skipped in &report.coverage.skipped {
        writeln!(out, r#"  <testcase classname="mqstore.coverage" name="{}">"#, escaped(&skipped.what))?;
        writeln!(out, r#"    <skipped message="{}"/>"#, escaped(&skipped.why))?;
        writeln!(out, "  </testcase>")?;
    }
    writeln!(out, "</testsuite>")
}
