//! Every finding that `verify` can make: its id, how bad it is, when it is looked for, and what brokers do with it.
//!
//! Findings take their consequence and suggestion from here, so that a thousand of one kind say the same.

mod commitlog;
mod index;
mod queue;
mod state;
mod store;
mod timer;

use super::Level;
use crate::finding::Severity;

/// One kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Stable id, `area.problem`; there is a page of that name under `docs/findings`.
    pub id: &'static str,
    /// How bad it is as a rule. A finding may be milder where the store explains it: under `abort`, on a slave.
    pub severity: Severity,
    /// The lowest level that looks for it.
    pub level: Level,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// What which release does with it. Without a word on how it is known, it was seen on brokers.
    pub consequence: &'static str,
    /// What to do; empty where there is nothing to do.
    pub suggestion: &'static str,
}

impl Check {
    /// The part of the store it belongs to: the id up to its dot.
    pub fn area(&self) -> &'static str {
        self.id.split_once('.').map_or(self.id, |(area, _)| area)
    }
}

/// The check of an id, or `None` for an id that `verify` does not know.
pub fn check(id: &str) -> Option<&'static Check> {
    ALL_CHECKS.iter().find(|check| check.id == id)
}

const fn c(
    id: &'static str,
    severity: Severity,
    level: Level,
    title: &'static str,
    consequence: &'static str,
    suggestion: &'static str,
) -> Check {
    Check { id, severity, level, title, consequence, suggestion }
}

/// The checks by part of the store, in the order of the passes.
const PARTS: [&[Check]; 6] =
    [store::CHECKS, commitlog::CHECKS, queue::CHECKS, index::CHECKS, state::CHECKS, timer::CHECKS];

#[expect(clippy::indexing_slicing, reason = "done by the compiler, which checks the bounds")]
const COUNT: usize = {
    let (mut count, mut part) = (0, 0);
    while part < PARTS.len() {
        count += PARTS[part].len();
        part += 1;
    }
    count
};

/// All checks, by area and in the order of the passes.
#[expect(clippy::indexing_slicing, reason = "done by the compiler, which checks the bounds")]
pub const ALL_CHECKS: &[Check] = &{
    let mut all = [store::CHECKS[0]; COUNT];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut n = 0;
        while n < PARTS[part].len() {
            all[at] = PARTS[part][n];
            (at, n) = (at + 1, n + 1);
        }
        part += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_grouped_by_area() {
        let mut areas = Vec::new();
        for (n, check) in ALL_CHECKS.iter().enumerate() {
            assert!(!ALL_CHECKS[..n].iter().any(|other| other.id == check.id), "{} is there twice", check.id);
            if areas.last() != Some(&check.area()) {
                assert!(!areas.contains(&check.area()), "{} is apart from its area", check.id);
                areas.push(check.area());
            }
            assert!(!check.title.ends_with('.') && !check.consequence.is_empty(), "{}", check.id);
        }
        assert_eq!(
            areas,
            ["store", "commitlog", "queue", "index", "checkpoint", "config", "offsets", "delay", "timer"]
        );
    }

    fn words(text: &str) -> String {
        text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
    }

    #[test]
    fn each_check_has_a_page_that_says_the_same_and_no_page_is_left_over() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        for check in ALL_CHECKS {
            let page = std::fs::read_to_string(dir.join(format!("{}.md", check.id))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {}\n", check.id)), "no page for {}", check.id);
            let severity = format!("{:?}", check.severity).to_lowercase();
            let line = format!("Severity: {severity}. Looked for from: --level {}.", check.level.as_str());
            assert!(page.contains(&line), "{}: expected {line:?}", check.id);
            for text in [check.title, check.consequence, check.suggestion] {
                assert!(words(&page).contains(&words(text)), "{}: expected {text:?}", check.id);
            }
            assert!((10..=40).contains(&page.lines().count()), "{}: {} lines", check.id, page.lines().count());
        }
        for page in std::fs::read_dir(dir).unwrap() {
            let name = page.unwrap().file_name().into_string().unwrap();
            let id = name.strip_suffix(".md").unwrap_or(&name);
            let ours = ALL_CHECKS.iter().any(|check| id.split('.').next() == Some(check.area()));
            let line = crate::preflight::LINES.iter().any(|line| line.id == id);
            assert!(!ours || line || check(id).is_some(), "{name} is the page of no check");
        }
    }
}
