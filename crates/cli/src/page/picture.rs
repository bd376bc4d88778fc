//! The pictures: SVG in the page's own colours (its style knows light, dark and print). Nothing in them is told by
//! colour alone: marks have shapes, bars have numbers.

use std::fmt::Write as _;

use super::Picture;
use super::log_map::LogMap;
use crate::output::human::{count, number, size};
use crate::time::Moment;

const WIDTH: f64 = 900.0;
/// Rows of a bar chart.
const BARS: usize = 24;
/// Files that are drawn one by one; more are drawn as one band.
const FILES: usize = 400;

/// Where a value lies on a line from `from` to `to`.
#[expect(clippy::cast_precision_loss, reason = "a pixel is far coarser than that")]
fn at(value: u64, from: u64, to: u64) -> f64 {
    let span = to.saturating_sub(from).max(1) as f64;
    (value.saturating_sub(from) as f64 / span * WIDTH).clamp(0.0, WIDTH)
}

fn open(height: u32, label: &str) -> String {
    format!("<svg viewBox=\"-4 0 {} {height}\" role=\"img\" aria-label=\"{}\">", WIDTH + 8.0, escaped(label))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn text(svg: &mut String, x: f64, y: u32, anchor: &str, words: &str) {
    let _ = write!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

fn rect(svg: &mut String, class: &str, (x, y): (f64, u32), (width, height): (f64, u32), title: &str) {
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{height}\"><title>{}</title></rect>",
        width.max(0.5),
        escaped(title)
    );
}

/// A mark above a line: a triangle that points down at its place.
fn mark(svg: &mut String, class: &str, x: f64, title: &str) {
    let _ =
        write!(svg, "<path class=\"{class}\" d=\"M{x:.1} 20 l-5 -10 h10 z\"><title>{}</title></path>", escaped(title));
}

/// The files of the log side by side, filled up to its end, with a mark for each place that has a finding.
pub(super) fn log(map: &LogMap, marks: &[(u64, String)]) -> Picture {
    let from = map.files.first().map_or(0, |file| file.from);
    let to = map.files.last().map_or(from, |file| file.from + file.length);
    let marked = match marks.len() {
        0 => String::new(),
        1 => "; a triangle marks the finding in it".to_owned(),
        several => format!("; triangles mark {} findings in it", number(several)),
    };
    let caption = format!(
        "{} from {} to {}; the log ends at the dashed line, {}{marked}",
        count(map.files.len() as u64, "file", "files"),
        number(from),
        number(to),
        number(map.end),
    );
    let mut svg = open(70, &caption);
    if map.files.len() > FILES {
        rect(&mut svg, "file", (0.0, 22), (WIDTH, 22), "all files");
    } else {
        for file in &map.files {
            let (x, until) = (at(file.from, from, to), at(file.from + file.length, from, to));
            rect(&mut svg, "file", (x, 22), (until - x - 1.0, 22), &format!("{}, {}", file.name, size(file.length)));
        }
    }
    for file in map.files.iter().take(FILES) {
        let (x, until) = (at(file.from, from, to), at(map.end.min(file.from + file.length), from, to));
        if until > x {
            rect(&mut svg, "data", (x, 26), (until - x - 1.0, 14), &file.name);
        }
    }
    let end = at(map.end, from, to);
    let _ = write!(svg, "<path class=\"end\" d=\"M{end:.1} 18 v32\"><title>end of the log</title></path>");
    let mut drawn: Vec<(i64, &str)> = Vec::new();
    for (offset, severity) in marks {
        let x = at(*offset, from, to);
        #[expect(clippy::cast_possible_truncation, reason = "a place on a line of 900 points")]
        let place = (x.round() as i64, severity.as_str());
        if !drawn.contains(&place) {
            drawn.push(place);
            mark(&mut svg, severity, x, &format!("{severity} at {}", number(*offset)));
        }
    }
    text(&mut svg, 0.0, 62, "start", &number(from));
    text(&mut svg, WIDTH, 62, "end", &number(to));
    svg.push_str("</svg>");
    Picture { title: "Map of the log", caption, svg }
}

/// How much log was written when: a bar for each file, as wide as the time that it took.
pub(super) fn over_time(map: &LogMap) -> Option<Picture> {
    let times: Vec<(u64, u64)> = map
        .files
        .iter()
        .filter_map(|file| {
            Some((u64::try_from(file.begins?).ok()?, file.length.min(map.end.saturating_sub(file.from))))
        })
        .collect();
    let (first, last) = (times.first()?.0, times.last()?.0);
    if times.len() < 3 || last <= first {
        return None;
    }
    let spans: Vec<(u64, u64, u64)> =
        times.iter().zip(times.iter().skip(1)).map(|(a, b)| (a.0, b.0.max(a.0 + 1), a.1)).collect();
    let rate = |(from, to, bytes): &(u64, u64, u64)| bytes * 1000 / (to - from);
    let most = spans.iter().map(rate).max().unwrap_or(1).max(1);
    let short = |ms: u64| Moment::from_ms(ms.cast_signed()).map_or_else(|| ms.to_string(), Moment::short);
    let caption = format!("by the first record of each file; at most {} a second", size(most));
    let mut svg = open(110, &caption);
    for span in &spans {
        let (x, until) = (at(span.0, first, last), at(span.1, first, last));
        let height = u32::try_from(rate(span) * 80 / most).unwrap_or(80).max(1);
        let title = format!("{} to {}: {} a second", short(span.0), short(span.1), size(rate(span)));
        rect(&mut svg, "data", (x, 90 - height), (until - x, height), &title);
    }
    text(&mut svg, 0.0, 104, "start", &short(first));
    text(&mut svg, WIDTH, 104, "end", &short(last));
    svg.push_str("</svg>");
    Some(Picture { title: "Log written over store time", caption, svg })
}

/// What each side has, and where they part.
pub(super) fn pair(a: (u64, u64), b: (u64, u64), parted: Option<u64>) -> Picture {
    let (from, to) = (a.0.min(b.0), a.1.max(b.1));
    let end = parted.map_or_else(String::new, |at| format!("; they part at {}", number(at)));
    let caption = format!("a has {} to {}, b has {} to {}{end}", number(a.0), number(a.1), number(b.0), number(b.1));
    let mut svg = open(100, &caption);
    for ((low, high), y, name) in [(a, 24, "a"), (b, 54, "b")] {
        let (x, until) = (at(low, from, to), at(high, from, to));
        rect(&mut svg, "data", (x, y), (until - x, 22), &format!("{name}: {} to {}", number(low), number(high)));
        let _ = write!(svg, "<text class=\"on\" x=\"{:.1}\" y=\"{}\">{name}</text>", x + 6.0, y + 16);
    }
    if let Some(offset) = parted {
        let x = at(offset, from, to);
        rect(&mut svg, "parted", (x, 22), (WIDTH - x, 56), "not the same log from here on");
        mark(&mut svg, "error", x, &format!("they part at {}", number(offset)));
    }
    text(&mut svg, 0.0, 94, "start", &number(from));
    text(&mut svg, WIDTH, 94, "end", &number(to));
    svg.push_str("</svg>");
    Picture { title: "The two logs", caption, svg }
}

/// The log before and after a start.
pub(super) fn cut(before: u64, after: u64, scan_from: Option<u64>) -> Picture {
    let to = before.max(after);
    let caption = match before.checked_sub(after) {
        Some(0) | None => format!("the log ends at {} before and after", number(after)),
        Some(lost) => format!("{} are cut, from {} on", size(lost), number(after)),
    };
    let caption = match scan_from {
        Some(offset) => format!("{caption}; the start reads it from the dashed line on, {}", number(offset)),
        None => caption,
    };
    let mut svg = open(70, &caption);
    rect(&mut svg, "data", (0.0, 24), (at(after, 0, to), 22), &format!("kept: up to {}", number(after)));
    if before > after {
        let x = at(after, 0, to);
        rect(&mut svg, "parted", (x, 24), (WIDTH - x, 22), &format!("cut: {} to {}", number(after), number(before)));
        mark(&mut svg, "error", x, &format!("cut at {}", number(after)));
    }
    if let Some(offset) = scan_from {
        let x = at(offset, 0, to);
        let _ = write!(svg, "<path class=\"end\" d=\"M{x:.1} 18 v32\"><title>read from here on</title></path>");
    }
    text(&mut svg, 0.0, 62, "start", "0");
    text(&mut svg, WIDTH, 62, "end", &number(to));
    svg.push_str("</svg>");
    Picture { title: "The log at this start", caption, svg }
}

/// Named values, the largest first, or in their own order if they are points in time.
pub(super) fn bars(title: &'static str, unit: &str, rows: &[(String, u64)]) -> Picture {
    let most = rows.iter().map(|row| row.1).max().unwrap_or(1).max(1);
    let shown = rows.get(..BARS).unwrap_or(rows);
    let more = rows.len() - shown.len();
    let rest = if more > 0 { format!(", and {} more", number(more)) } else { String::new() };
    let caption = format!("{} shown, the longest {} {unit}{rest}", number(shown.len()), number(most));
    let height = u32::try_from(shown.len()).unwrap_or(0) * 18 + 4;
    let mut svg = open(height, &caption);
    for ((name, value), y) in shown.iter().zip((0..).step_by(18)) {
        let name: String =
            if name.chars().count() > 40 { name.chars().take(39).chain(['…']).collect() } else { name.clone() };
        text(&mut svg, 300.0, y + 13, "end", &name);
        let width = at(*value, 0, most) / WIDTH * 500.0;
        rect(&mut svg, "data", (308.0, y + 2), (width, 13), &format!("{name}: {} {unit}", number(value)));
        text(&mut svg, 312.0 + width, y + 13, "start", &number(value));
    }
    svg.push_str("</svg>");
    Picture { title, caption, svg }
}
