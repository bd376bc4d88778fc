//! What `--help` says, per command.

use super::{assert_snapshot, mqstore};

#[test]
fn every_command_explains_itself() {
    for path in [
        "",
        "inspect",
        "inspect commitlog",
        "inspect queues",
        "inspect index",
        "inspect checkpoint",
        "inspect config",
        "inspect offsets",
        "inspect timer",
        "inspect pending",
        "verify",
        "backup",
        "backup create",
        "backup list",
        "backup show",
        "backup verify",
        "backup prune",
        "backup restore",
        "backup undo",
        "snapshot",
        "diff",
        "boot",
        "preflight",
        "fleet",
        "releases",
        "completions",
        "man",
    ] {
        let args: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
        let run = mqstore(&args);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{path}");
        let name = if path.is_empty() { "help".to_owned() } else { format!("help-{}", path.replace(' ', "-")) };
        assert_snapshot(&name, &run.stdout, &[]);
    }
}

#[test]
fn every_flag_has_an_environment_twin() {
    for path in [
        "inspect commitlog",
        "inspect queues",
        "inspect index",
        "inspect offsets",
        "inspect timer",
        "inspect pending",
        "backup create",
        "backup restore",
        "snapshot",
        "boot",
    ] {
        let args: Vec<&str> = path.split_whitespace().chain(["--help"]).collect();
        let help = mqstore(&args).stdout;
        let flags = help.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        let flags: std::collections::BTreeSet<&str> =
            flags.map(|flag| flag.trim_end_matches([',', '.', ':'])).collect();
        for flag in
            flags.iter().filter(|flag| !matches!(**flag, "help" | "version" | "output" | "broker-conf" | "include"))
        {
            // A value that no flag takes shows whether the variable is looked at; what takes any value is tried below.
            let variable = format!("MQSTORE_{}", flag.to_uppercase().replace('-', "_"));
            let run =
                super::run(super::command().args(path.split_whitespace()).arg("/nowhere").env(&variable, "\u{1}"));
            assert_eq!(run.code, 2, "{path} --{flag}");
            let takes_any_text = [
                "topic",
                "queue",
                "tag",
                "key",
                "group",
                "commitlog",
                "home",
                "release",
                "program",
                "to",
                "exclude",
                "chain",
                "textfile",
                "report",
            ];
            if !takes_any_text.contains(flag) {
                assert!(
                    run.stderr.contains(&format!("--{flag}")),
                    "{path}: {variable} is not looked at: {}",
                    run.stderr
                );
            }
        }
    }
}

#[test]
fn variables_of_the_environment_select_as_their_flags_do() {
    let golden = super::shared("4.3.2-clean");
    let by = |name: &str, value: &str| {
        let mut command = super::command();
        super::run(command.args(["inspect", "commitlog", "--format=ndjson"]).arg(golden.root()).env(name, value))
    };
    for (name, value, flag) in [
        ("MQSTORE_TOPIC", "GoldOne,GoldU*", "--topic=GoldOne,GoldU*"),
        ("MQSTORE_QUEUE", "1", "--queue=1"),
        ("MQSTORE_TAG", "TagOne", "--tag=TagOne"),
        ("MQSTORE_KEY", "one2", "--key=one2"),
        ("MQSTORE_LIMIT", "7", "--limit=7"),
    ] {
        let args =
            ["inspect", "commitlog", "--format=ndjson", golden.root().to_str().unwrap(), flag].map(str::to_owned);
        let expected = mqstore(&args);
        assert_eq!(by(name, value).stdout, expected.stdout, "{name}");
        assert_eq!(expected.code, 0, "{name}");
    }
}
