//! Text for people: what matters first, numbers aligned, colors only where a terminal shows them.

use std::fmt::Display;
use std::io::{self, Write};

use super::{Output, columns};
use clap::builder::styling::{AnsiColor, Style};

/// Styles that vanish where there are no colors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn paint(self, style: Style, text: &dyn Display) -> String {
        let text = text.to_string();
        // Styles around nothing would still count as something at the end of a line.
        if self.0 && !text.is_empty() { format!("{style}{text}{style:#}") } else { text }
    }

    pub(crate) fn bold(self, text: impl Display) -> String {
        self.paint(Style::new().bold(), &text)
    }

    pub(crate) fn dim(self, text: impl Display) -> String {
        self.paint(Style::new().dimmed(), &text)
    }

    pub(crate) fn good(self, text: impl Display) -> String {
        self.paint(Style::new().fg_color(Some(AnsiColor::Green.into())), &text)
    }

    pub(crate) fn warn(self, text: impl Display) -> String {
        self.paint(Style::new().fg_color(Some(AnsiColor::Yellow.into())), &text)
    }

    pub(crate) fn bad(self, text: impl Display) -> String {
        self.paint(Style::new().bold().fg_color(Some(AnsiColor::Red.into())), &text)
    }
}

/// Columns without borders; those marked with `>` are aligned to the right.
#[derive(Debug)]
pub(crate) struct Columns {
    to_the_right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// `heads` are the titles, `>TITLE` for a column of numbers.
    pub(crate) fn new(paint: Paint, heads: &[&str]) -> Self {
        let titles = heads.iter().map(|head| paint.dim(head.trim_start_matches('>'))).collect();
        Self { to_the_right: heads.iter().map(|head| head.starts_with('>')).collect(), rows: vec![titles] }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn print(&self, out: &mut Output) -> io::Result<()> {
        let mut widths = vec![0; self.to_the_right.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = columns(cell).max(*width);
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for ((cell, width), to_the_right) in row.iter().zip(&widths).zip(&self.to_the_right) {
                let gap = " ".repeat(width - columns(cell));
                let (before, behind) = if *to_the_right { (gap.as_str(), "") } else { ("", gap.as_str()) };
                line.extend([before, cell, behind, "  "]);
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Lines of `name  value`, all values in one column.
pub(crate) fn field(out: &mut Output, paint: Paint, name: &str, value: impl Display) -> io::Result<()> {
    writeln!(out, "{}{value}", paint.dim(format_args!("{name:<12}")))
}

/// Bytes in binary units: `3.1 MiB`; below 1 KiB exact.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB", "PiB", "EiB"] {
        // What would round to 1024.0 of the smaller unit is 1.0 of the larger one.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// A count with a comma between the thousands.
pub(crate) fn number(value: impl Display) -> String {
    let digits = value.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{sign}{text}")
}

/// `1 file`, `2 files`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// Text from a store, safe for a terminal: control characters are escaped, so that none can move the cursor or color.
pub(crate) fn plain(text: &str) -> std::borrow::Cow<'_, str> {
    if text.chars().any(char::is_control) {
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal_and_never_reach_1024_of_a_unit() {
        let texts = [0, 1023, 1024, 1536, 1_048_575, 1_048_576, 1 << 30, u64::MAX].map(size);
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "1.0 GiB", "16.0 EiB"]);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, -1_234_567].map(number), ["0", "999", "1,000", "-1,234,567"]);
    }

    #[test]
    fn columns_stand_under_each_other_with_colors_and_wide_characters() {
        let (with, without) = (Paint(true), Paint(false));
        assert_eq!([with.bad("ab"), without.bad("ab"), "中 文".to_owned()].map(|text| columns(&text)), [2, 2, 5]);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(plain("中 文"), "中 文");
    }
}
