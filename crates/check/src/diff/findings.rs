//! The ids of what a comparison can find.

/// Every finding id that [`diff`](super::diff()) can give, sorted; there is a page of that name under `docs/findings`.
pub const FINDINGS: &[&str] = &[
    "pair.behind",
    "pair.config-added",
    "pair.config-differs",
    "pair.config-lost",
    "pair.data-version",
    "pair.delay-behind",
    "pair.delay-compact",
    "pair.delay-goes-back",
    "pair.delay-lost",
    "pair.diverged",
    "pair.empty-slave",
    "pair.log-expired",
    "pair.log-gap",
    "pair.log-lost",
    "pair.offset-behind",
    "pair.offset-behind-min",
    "pair.offset-beyond-max",
    "pair.offset-goes-back",
    "pair.offset-lost",
    "pair.offset-on-slave-only",
    "pair.queue-behind",
    "pair.queue-lingers",
    "pair.queue-lost",
    "pair.queue-missing",
    "pair.slave-ahead",
    "pair.slave-older",
    "pair.slave-too-old",
    "pair.slave-topics-partial",
    "pair.stale-tail",
    "pair.timer",
    "pair.timer-goes-back",
    "pair.torn-tail",
    "pair.unit-differs",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn ids_are_sorted_and_there_once() {
        assert!(FINDINGS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_table_holds_the_ids_that_the_comparison_gives_and_no_others() {
        let mut given = BTreeSet::new();
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/diff")).unwrap() {
            let path = file.unwrap().path();
            if path.ends_with("findings.rs") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let quoted =
                text.split('"').filter(|part| part.starts_with("pair.") && !part.contains(char::is_whitespace));
            given.extend(quoted.map(str::to_owned));
        }
        assert_eq!(given.iter().map(String::as_str).collect::<Vec<_>>(), FINDINGS);
    }

    #[test]
    fn each_finding_has_a_page_with_all_its_parts_and_no_page_is_left_over() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        for id in FINDINGS {
            let page = std::fs::read_to_string(dir.join(format!("{id}.md"))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {id}: ")), "no page for {id}");
            for part in [
                "Severity: ",
                "**What it means.** ",
                "**How it comes about.** ",
                "**What brokers do with it.** ",
                "**What to do.** ",
            ] {
                assert!(page.lines().any(|line| line.starts_with(part)), "{id}: no line begins with {part:?}");
            }
        }
        for page in std::fs::read_dir(dir).unwrap() {
            let name = page.unwrap().file_name().into_string().unwrap();
            let id = name.strip_suffix(".md").unwrap_or(&name);
            let line = crate::preflight::LINES.iter().any(|line| line.id == id);
            assert!(!id.starts_with("pair.") || line || FINDINGS.contains(&id), "{name} is the page of no finding");
        }
    }
}
