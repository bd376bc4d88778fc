//! Long lines on a terminal: folded between words, so that none is cut through, and hung under what they continue.

use std::io::{self, StdoutLock, Write};

use unicode_width::UnicodeWidthStr as _;

/// What a continuation may be set in by; a value behind a longer name is not hung under.
const DEEPEST: usize = 24;
/// What is set in so far is itself a value under others: its continuation stands under it.
const DEEP: usize = 10;

/// Columns that a text takes on a terminal: styles take none, wide characters two.
pub(crate) fn columns(text: &str) -> usize {
    if text.contains('\u{1b}') { anstream::adapter::strip_str(text).to_string().width() } else { text.width() }
}

/// Standard output with lines folded to the width of the terminal.
#[derive(Debug)]
pub(super) struct Folding {
    pub(super) stdout: StdoutLock<'static>,
    pub(super) width: usize,
    line: Vec<u8>,
}

impl Folding {
    pub(super) fn new(stdout: StdoutLock<'static>, width: usize) -> Self {
        Self { stdout, width, line: Vec::new() }
    }
}

impl Write for Folding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line);
                self.stdout.write_all(fold(&line, self.width).as_bytes())?;
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stdout.write_all(&self.line)?;
        self.line.clear();
        self.stdout.flush()
    }
}

/// A line, broken between words where it is longer than `width`. Commands are left alone, since people copy them, and so are
/// rows of tables.
pub(crate) fn fold(line: &str, width: usize) -> String {
    if columns(line.trim_end()) <= width {
        return line.to_owned();
    }
    let plain = anstream::adapter::strip_str(line).to_string();
    let indent = plain.len() - plain.trim_start().len();
    let text = plain.trim();
    let gaps = text.split("  ").filter(|piece| !piece.trim().is_empty()).count() - 1;
    if text.starts_with("$ ") || text.starts_with("next") || gaps > 2 {
        return line.to_owned();
    }
    let under = text.find("  ").map(|gap| {
        let behind = text.get(gap..).unwrap_or_default();
        indent + gap + (behind.len() - behind.trim_start().len())
    });
    let hang = under.filter(|under| *under <= DEEPEST).unwrap_or(if indent < DEEP { indent + 2 } else { indent });
    let mut folded = String::with_capacity(line.len() + 64);
    let mut at = 0;
    for (n, word) in line.trim_end().split(' ').enumerate() {
        let wide = columns(word);
        if n > 0 && at + 1 + wide > width && at > hang {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.extend(std::iter::repeat_n(' ', hang));
            at = hang;
            if word.is_empty() {
                continue;
            }
        } else if n > 0 {
            folded.push(' ');
            at += 1;
        }
        folded += word;
        at += wide;
    }
    folded.push('\n');
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_between_words_and_hang_under_what_they_continue() {
        assert_eq!(fold("short\n", 20), "short\n");
        assert_eq!(fold("  what follows: it is read again\n", 20), "  what follows: it\n    is read again\n");
        assert_eq!(fold("release     one two three four\n", 22), "release     one two\n            three four\n");
        let colored = "\u{1b}[2mrelease\u{1b}[0m     one two three four\n";
        assert_eq!(fold(colored, 22), "\u{1b}[2mrelease\u{1b}[0m     one two\n            three four\n");
        assert_eq!(fold("  消息存储 消费队列 提交日志\n", 20), "  消息存储 消费队列\n    提交日志\n");
    }

    #[test]
    fn commands_tables_and_words_that_are_too_long_stay_whole() {
        for line in [
            "      $ cp -a --sparse=always store/commitlog BACKUP_DIR/\n",
            "next: mqstore verify /data/rocketmq/store --level full\n",
            "GoldOne       0  0 to 398       398  0 to 398         0      0\n",
            "  a-word-that-is-longer-than-the-terminal\n",
        ] {
            assert_eq!(fold(line, 24), line);
        }
    }
}
