//! What a package ships beside the program, and what those see who type nothing but its name.

use std::process::Command;

use super::{assert_snapshot, command, mqstore, run};

#[test]
fn without_arguments_it_shows_what_people_do_first() {
    assert_snapshot("first-steps", &run(&mut command()).session(), &[]);
}

#[test]
fn completions_are_scripts_that_the_shell_can_read_and_know_all_commands() {
    let temp = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = mqstore(&["completions", shell]);
        assert_eq!((script.code, script.stderr.as_str()), (0, ""));
        for word in ["verify", "snapshot", "restore", "--broker-conf"] {
            let word = if shell == "fish" { word.trim_start_matches('-') } else { word };
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
        let path = temp.path().join(shell);
        std::fs::write(&path, &script.stdout).unwrap();
        // Of the three shells, bash is on every machine.
        if shell == "bash" {
            assert!(Command::new("bash").arg("-n").arg(&path).status().unwrap().success());
        }
    }
    assert_eq!(mqstore(&["completions", "csh"]).code, 2);
}

#[test]
fn each_command_has_a_man_page_with_its_examples() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("man1");
    let made = mqstore(&["man".as_ref(), dir.as_os_str()]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let mut pages: Vec<String> =
        std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    pages.sort_unstable();
    assert!(made.stdout.starts_with(&format!("{} pages", pages.len())), "{}", made.stdout);
    for page in ["mqstore.1", "mqstore-backup-create.1", "mqstore-inspect-queues.1", "mqstore-verify.1"] {
        assert!(pages.iter().any(|name| name == page), "{pages:?}");
    }
    for page in pages.iter().filter(|page| *page != "mqstore.1") {
        let text = std::fs::read_to_string(dir.join(page)).unwrap();
        assert!(text.contains(".SH NAME") && text.contains("Examples:"), "{page}");
        // The name is what `apropos` and `whatis` find it by.
        let name = page.trim_end_matches(".1");
        assert!(text.replace("\\-", "-").contains(&format!("{name} - ")), "{page}");
    }
}
