//! The console blocks of README and guides, typed into a shell: what the page shows is what the program prints.
//!
//! `<!-- lay out: store = 4.3.2-clean/store -->` puts a recorded store under a name into the page's working folder, in place
//! of what is there. In a block ```` ```console ```` each line `$ COMMAND` (`\` at its end continues it) is run there, and the
//! lines below are what it prints on both streams; a line `...` stands for any lines, `[..]` for anything in a line. Moments and
//! ids may be of any run. `GUIDES_UPDATE=1` writes what differs into the pages, and keeps `...` where it still fits.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mqstore_testkit::{golden, testdata};
use snapbox::Data;
use snapbox::filter::NormalizeToExpected;

use super::backup::settled;
use super::docs::repository;

/// What the working folder is called on the page.
const FOLDER: &str = "/data/rocketmq";

#[test]
fn the_readme_shows_what_the_program_prints() {
    follow("README.md");
}

#[test]
fn the_upgrade_to_4_3_2_runs_as_told() {
    follow("docs/guides/upgrade-3.5.8-to-4.3.2.md");
}

#[test]
fn the_upgrade_to_5_3_3_runs_as_told() {
    follow("docs/guides/upgrade-4.9-to-5.3.md");
}

#[test]
fn the_way_back_runs_as_told() {
    follow("docs/guides/way-back.md");
}

/// Runs the page from top to bottom.
fn follow(page: &str) {
    let path = repository().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let temp = roomy();
    let mut told = String::new();
    let mut runs = 0;
    let mut lines = text.lines().peekable();
    let mut console = false;
    while let Some(line) = lines.next() {
        told += line;
        told += "\n";
        if let Some((name, source)) = layout(line) {
            lay_out(&temp.path().join(name), source);
        }
        console = line == "```console" || console && line != "```";
        let Some(command) = line.strip_prefix("$ ").filter(|command| console && !command.starts_with("cargo ")) else {
            continue;
        };
        let mut command = command.to_owned();
        while command.ends_with('\\') {
            let more = lines.next().unwrap();
            writeln!(told, "{more}").unwrap();
            command.truncate(command.len() - 1);
            command += more.trim_start();
        }
        let mut expected = String::new();
        while let Some(line) = lines.next_if(|line| *line != "```" && !line.starts_with("$ ")) {
            writeln!(expected, "{line}").unwrap();
        }
        let gap = expected.ends_with("\n\n") || expected == "\n";
        let expected = expected.trim_end_matches('\n');
        let actual = typed(temp.path(), &command);
        let as_told = compared(&actual, expected);
        if !as_told.is_empty() {
            told += &as_told;
            told += "\n";
        }
        // An empty line before the next command is the page's own.
        if gap {
            told += "\n";
        }
        runs += 1;
    }
    assert!(runs > 5, "{page}: {runs} commands were run");
    if told != text && std::env::var_os("GUIDES_UPDATE").is_some() {
        fs::write(&path, &told).unwrap();
    } else {
        assert!(told == text, "{page} does not show what the program prints:\n{}", difference(&text, &told));
    }
}

/// A folder on a disk that is not nearly full: `preflight` would speak of that.
fn roomy() -> tempfile::TempDir {
    let free = |folder: &Path| rustix::fs::statvfs(folder).map_or(0, |stat| stat.f_bavail * 100 / stat.f_blocks.max(1));
    let (usual, memory) = (std::env::temp_dir(), Path::new("/dev/shm"));
    let folder = if free(&usual) < 20 && free(memory) > 50 { memory } else { &usual };
    tempfile::tempdir_in(folder).unwrap()
}

fn layout(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("<!-- lay out: ")?.strip_suffix(" -->")?.split_once(" = ")
}

fn lay_out(to: &Path, source: &str) {
    let (name, below) = source.split_once('/').unwrap_or((source, ""));
    let unpacked;
    let from: PathBuf = if name == "testdata" {
        testdata().join(below)
    } else {
        unpacked = golden(name);
        unpacked.sub(below)
    };
    if to.is_dir() {
        fs::remove_dir_all(to).unwrap();
    }
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    assert!(Command::new("cp").arg("-a").arg(&from).arg(to).status().unwrap().success(), "{source}");
}

/// What a shell in the folder shows for the command.
fn typed(folder: &Path, command: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_mqstore")).parent().unwrap();
    let path = std::env::join_paths(
        [program.to_path_buf()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    // The environment of a person who has set nothing for this program.
    let mut shell = super::command_of("bash");
    let output = shell.arg("-c").arg(format!("exec 2>&1; {command}")).current_dir(folder).env("PATH", path.unwrap());
    let shown = String::from_utf8(output.output().unwrap().stdout).unwrap();
    shown.replace(folder.to_str().unwrap(), FOLDER).trim_end().to_owned()
}

/// What is shown, with the page's words where they fit.
fn compared(actual: &str, expected: &str) -> String {
    let like = |text: &str| {
        // Two folders of one second are told apart by a number.
        let text = settled(text).replace("before-[time]-2", "before-[time]");
        let sized = text.lines().map(without_archive_size).collect::<Vec<_>>().join("\n");
        Data::text(sized)
    };
    let fitted = NormalizeToExpected::new().redact().normalize(like(actual), &like(expected));
    if fitted == like(expected) { expected.to_owned() } else { actual.to_owned() }
}

/// How well a manifest packs depends on the moment and the id that are in it.
fn without_archive_size(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" KiB").filter(|_| line.contains(".mqstore.tar.zst")) else {
        return line.to_owned();
    };
    format!("{}[size]{rest}", before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

/// The lines that only one of both has, `-` for the page and `+` for the program.
fn difference(page: &str, program: &str) -> String {
    let only = |sign: char, these: &str, those: &str| {
        let those: std::collections::BTreeSet<&str> = those.lines().collect();
        let mut only = String::new();
        for line in these.lines().filter(|line| !those.contains(line)) {
            writeln!(only, "{sign} {line}").unwrap();
        }
        only
    };
    only('-', page, program) + &only('+', program, page)
}
