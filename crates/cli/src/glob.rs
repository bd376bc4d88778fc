//! Selections: `*` stands for any characters, `?` for one, everything else for itself.

/// A pattern, and whether it has matched anything so far.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pattern: String,
    matched: bool,
}

impl Glob {
    pub(crate) fn as_str(&self) -> &str {
        &self.pattern
    }

    pub(crate) fn has_matched(&self) -> bool {
        self.matched
    }

    /// Whether the text matches; remembers that it did.
    pub(crate) fn matches(&mut self, text: &[u8]) -> bool {
        let matches = matches(self.pattern.as_bytes(), text);
        self.matched |= matches;
        matches
    }
}

impl std::str::FromStr for Glob {
    type Err = std::convert::Infallible;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        Ok(Self { pattern: pattern.to_owned(), matched: false })
    }
}

/// Whether any of the patterns matches; true without a pattern.
pub(crate) fn any(globs: &mut [Glob], text: &[u8]) -> bool {
    // All of them are asked, so that each one knows whether it ever matched.
    globs.is_empty() || globs.iter_mut().fold(false, |found, glob| glob.matches(text) | found)
}

/// Linear: behind a `*` only the newest one is ever widened.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while let Some(byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t += char_length(*byte);
            }
            Some(expected) if expected == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// Bytes of the UTF-8 character that begins with `first`.
fn char_length(first: u8) -> usize {
    match first {
        0xC0..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF7 => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_stand_for_characters_and_the_rest_for_itself() {
        let fits = |pattern: &str, text: &str| matches(pattern.as_bytes(), text.as_bytes());
        assert!(fits("*", "") && fits("", "") && !fits("", "a"));
        assert!(fits("%RETRY%*", "%RETRY%GID_a") && !fits("%RETRY%*", "GID_a"));
        assert!(fits("*_a*b*", "GID_a__b") && !fits("*_a*b", "GID_a__bc"));
        assert!(fits("T?st", "Test") && fits("T?st", "Täst") && !fits("T?st", "Tst"));
        assert!(!fits("a.c", "abc") && fits("a[b]", "a[b]"));
    }

    #[test]
    fn a_pattern_knows_whether_it_ever_matched() {
        let mut globs: Vec<Glob> = ["a*", "b*"].iter().map(|p| p.parse().unwrap()).collect();
        assert!(any(&mut globs, b"ab") && !any(&mut globs, b"cd"));
        assert_eq!(globs.iter().map(Glob::has_matched).collect::<Vec<_>>(), [true, false]);
        assert!(any(&mut [], b"anything"));
    }
}
