//! The lines of the checklist.

/// A line of the checklist, whatever it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct LineKind {
    place: u8,
    /// Stable id; there is a page of that name under `docs/findings`.
    pub id: &'static str,
    /// What the line asks.
    pub question: &'static str,
}

const fn ask(place: u8, id: &'static str, question: &'static str) -> LineKind {
    LineKind { place, id, question }
}

/// Every line, in the order in which they are shown.
pub const LINES: &[LineKind] = &[
    ask(0, "boot.start", "does the new release start on this store as it is, and lose nothing"),
    ask(1, "boot.unknown-features", "does the store hold what the new release does not know"),
    ask(2, "boot.way-back", "can the old release start again on the store as the new one leaves it"),
    ask(3, "store.release", "can the old release have written this store"),
    ask(4, "store.stopped", "is the store at rest, after an orderly stop"),
    ask(5, "store.sound", "is the store sound"),
    ask(6, "store.disk", "is there room on the disk"),
    ask(7, "store.half-messages", "what becomes of transactions that are open"),
    ask(8, "store.pop-in-flight", "what becomes of messages that POP consumers hold"),
    ask(9, "delay.pending", "what becomes of delayed messages"),
    ask(10, "timer.pending", "what becomes of timed messages"),
    ask(11, "conf.keys", "what in the configuration has no effect, or harm"),
    ask(12, "conf.paths", "do both releases look in the same folders"),
    ask(13, "conf.sizes", "do both releases expect files of the same sizes"),
    ask(14, "conf.identity", "does the broker stay who it is"),
    ask(15, "conf.one-way", "does the configuration switch on what cannot be taken back"),
    ask(16, "conf.defaults", "which defaults change"),
    ask(17, "config.place", "do both releases keep topics and groups in the same place"),
    ask(18, "conf.name-server", "do the name servers take the new release"),
    ask(19, "conf.clients", "do the clients get along with the new release"),
    ask(20, "conf.java", "which Java and which scripts does it need"),
    ask(21, "pair.order", "which broker of the pair goes first, and do both understand each other meanwhile"),
    ask(22, "pair.limits", "are master and slave close enough"),
];

/// The line with this id.
pub(super) fn kind(id: &str) -> Option<&'static LineKind> {
    LINES.iter().find(|line| line.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_table_holds_the_ids_that_the_checklist_gives_and_no_others() {
        let mut given = BTreeSet::new();
        for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/preflight")).unwrap() {
            let path = file.unwrap().path();
            if path.ends_with("lines.rs") {
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            let areas = ["boot.", "store.", "delay.", "timer.", "conf.", "config.", "pair."];
            let quoted = text.split('"').filter(|part| areas.iter().any(|area| part.starts_with(area)));
            given.extend(quoted.filter(|part| !part.contains(char::is_whitespace)).map(str::to_owned));
        }
        let table: BTreeSet<String> = LINES.iter().map(|line| line.id.to_owned()).collect();
        assert_eq!(given, table);
        assert!(LINES.iter().zip(0..).all(|(line, place)| line.place == place));
    }

    #[test]
    fn each_line_has_a_page_that_asks_its_question() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/findings");
        for LineKind { id, question, .. } in LINES {
            let page = std::fs::read_to_string(dir.join(format!("{id}.md"))).unwrap_or_default();
            assert!(page.starts_with(&format!("# {id}: {question}\n")), "no page for {id}");
            for part in ["**What is asked.** ", "**PASS.** ", "**WARN and FAIL.** ", "**What to do.** "] {
                assert!(page.lines().any(|line| line.starts_with(part)), "{id}: no line begins with {part:?}");
            }
        }
    }
}
