//! The pages for people: links lead somewhere, and what is told in two languages is the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The fenced blocks of a page, each with the line that opens it.
pub(super) fn blocks(page: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        let fence = line.starts_with("```");
        if fence && !inside {
            blocks.push(String::new());
        }
        if let (true, Some(block)) = (fence || inside, blocks.last_mut()) {
            *block += line;
            *block += "\n";
        }
        inside ^= fence;
    }
    blocks
}

/// The lines of a page that are not in fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    })
}

/// Every page of the repository, but for what is built or unpacked below it.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            if !name.starts_with('.') && name != "target" && name != "golden" {
                pages(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Where the links and pictures of a page lead: what stands in parentheses behind a bracket, outside of code.
fn links(page: &str) -> Vec<String> {
    let text: Vec<&str> = prose(page).collect();
    let text = text.join("\n");
    // Of text between backticks every second piece is code.
    let plain: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let mut links = Vec::new();
    for (at, _) in plain.match_indices("](") {
        if let Some((link, _)) = plain[at + 2..].split_once(')') {
            links.push(link.to_owned());
        }
    }
    links
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = Vec::new();
    for heading in prose(page).filter(|line| line.starts_with('#')) {
        let kept = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let n = seen.entry(anchor.clone()).or_default();
        anchors.push(if *n == 0 { anchor } else { format!("{anchor}-{n}") });
        *n += 1;
    }
    anchors
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = repository();
    let mut all = Vec::new();
    pages(&root, &mut all);
    let (mut broken, mut followed) = (Vec::new(), 0);
    for path in &all {
        let page = fs::read_to_string(path).unwrap();
        for link in links(&page).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let leads = target.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&target).unwrap()).iter().any(|known| known == anchor));
            if !leads {
                broken.push(format!("{}: {link}", path.strip_prefix(&root).unwrap().display()));
            }
            followed += 1;
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(all.len() > 150 && followed > 40, "{} pages, {followed} links", all.len());
}

/// What two pages of different languages have in common: the levels of the headings, blocks, pictures, tables, comments.
fn skeleton(page: &str) -> (Vec<usize>, Vec<String>, usize, Vec<usize>, Vec<&str>) {
    let headings = prose(page).filter(|line| line.starts_with('#'));
    let levels = headings.map(|line| line.chars().take_while(|c| *c == '#').count()).collect();
    let columns = prose(page).filter(|line| line.starts_with('|')).map(|line| line.matches('|').count()).collect();
    let comments = prose(page).filter(|line| line.starts_with("<!--")).collect();
    (levels, blocks(page), page.matches("![").count(), columns, comments)
}

#[test]
fn the_chinese_pages_tell_what_the_english_ones_tell() {
    let root = repository();
    let mut all = Vec::new();
    pages(&root, &mut all);
    let name = |path: &PathBuf| path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
    let told_twice: Vec<String> =
        all.iter().map(name).filter_map(|name| name.strip_suffix(".zh-CN.md").map(str::to_owned)).collect();
    assert!(told_twice.iter().any(|page| page == "README") && told_twice.len() >= 4, "{told_twice:?}");
    for page in told_twice {
        let read = |name: String| fs::read_to_string(root.join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (english, chinese) = (read(format!("{page}.md")), read(format!("{page}.zh-CN.md")));
        let (ours, theirs) = (skeleton(&english), skeleton(&chinese));
        assert_eq!(ours.0, theirs.0, "{page}: levels of the headings");
        for (ours, theirs) in ours.1.iter().zip(&theirs.1) {
            assert_eq!(ours, theirs, "{page}");
        }
        assert_eq!((ours.1.len(), ours.2, ours.3, ours.4), (theirs.1.len(), theirs.2, theirs.3, theirs.4), "{page}");
        let outward = |text: &str| links(text).into_iter().filter(|link| link.contains("://")).count();
        assert_eq!(outward(&english), outward(&chinese), "{page}: links");
        let inward = |text: &str| {
            // Anchors are words of the language.
            let page = |link: &String| link.split('#').next().unwrap_or_default().replace(".zh-CN.md", ".md");
            let mut to: Vec<String> = links(text).iter().map(page).collect();
            to.sort_unstable();
            to
        };
        assert_eq!(inward(&english), inward(&chinese), "{page}: links");
    }
}

#[test]
fn the_drawings_of_how_it_works_are_those_of_the_code() {
    let root = repository();
    let page = fs::read_to_string(root.join("docs/how-it-works.md")).unwrap();
    let mut modules = String::new();
    let formats = root.join("crates/core/src/format");
    let mut folders = vec![formats.clone(), formats.join("commitlog")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            for line in fs::read_to_string(path).unwrap().lines().filter_map(|line| line.strip_prefix("//!")) {
                modules += line.strip_prefix(' ').unwrap_or(line);
                modules += "\n";
            }
        }
    }
    let drawings: Vec<String> = blocks(&page).into_iter().filter(|block| block.contains("+---")).collect();
    assert_eq!(drawings.len(), 7);
    for drawing in drawings {
        assert!(modules.contains(&drawing), "no format module has this drawing:\n{drawing}");
    }
}
