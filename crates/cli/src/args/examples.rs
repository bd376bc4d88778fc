//! Two examples for each command, as `--help` and the man pages show them.

use std::fmt::Write as _;

use clap::Command;

/// Path of a command, and what people do with it: a remark and a line to type.
pub(crate) const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "inspect",
        &[
            ("what is this store, on one screen", "mqstore inspect /data/rocketmq/store"),
            (
                "hold the sizes in the broker's configuration against the files",
                "mqstore inspect /data/rocketmq/store -c broker.conf",
            ),
        ],
    ),
    (
        "inspect commitlog",
        &[
            (
                "the newest messages of a topic",
                "mqstore inspect commitlog STORE --topic Orders --since 2026-11-25T02:00:00Z",
            ),
            (
                "every record for a program",
                "mqstore inspect commitlog STORE --format ndjson | jq -r 'select(.topic==\"Orders\").physical_offset'",
            ),
        ],
    ),
    (
        "inspect queues",
        &[
            ("the ranges of all queues", "mqstore inspect queues STORE"),
            ("the units of one queue", "mqstore inspect queues STORE Orders 3"),
        ],
    ),
    (
        "inspect index",
        &[
            ("the headers of the index files", "mqstore inspect index STORE"),
            ("look a key up, as the broker would", "mqstore inspect index STORE --topic Orders --key 20261125-17"),
        ],
    ),
    (
        "inspect checkpoint",
        &[
            ("the times that the checkpoint holds", "mqstore inspect checkpoint STORE"),
            ("for a program", "mqstore inspect checkpoint STORE --format json"),
        ],
    ),
    (
        "inspect config",
        &[
            ("which files there are, and which copy of each a broker loads", "mqstore inspect config STORE"),
            ("one of them as strict JSON", "mqstore inspect config STORE topics --format json | jq .content"),
        ],
    ),
    (
        "inspect offsets",
        &[
            ("how far behind each group is", "mqstore inspect offsets STORE"),
            ("one group, with its queues", "mqstore inspect offsets STORE --group order-service -v"),
        ],
    ),
    (
        "inspect timer",
        &[
            ("what waits in the timer, by hour", "mqstore inspect timer STORE"),
            (
                "what would be overdue if the broker came back then",
                "mqstore inspect timer STORE --at 2026-11-25T18:00:00Z",
            ),
        ],
    ),
    (
        "inspect pending",
        &[
            ("what would be late or lost without the feature that handles it", "mqstore inspect pending STORE"),
            (
                "the number of each kind, for a program",
                "mqstore inspect pending STORE --format json | jq '.features[] | {feature, count}'",
            ),
        ],
    ),
    (
        "verify",
        &[
            ("seconds, on any store", "mqstore verify /data/rocketmq/store"),
            (
                "every record, unit and index entry, for a CI system",
                "mqstore verify STORE --level full --junit report.xml",
            ),
        ],
    ),
    (
        "backup",
        &[
            ("before an upgrade", "mqstore backup create --verify /data/rocketmq/store -o /backup"),
            (
                "and then what changed since that",
                "mqstore backup create STORE -c broker.conf -o /backup --since /backup/ARCHIVE",
            ),
        ],
    ),
    (
        "backup create",
        &[
            (
                "a stopped broker, with its configuration, proven",
                "mqstore backup create --verify STORE -c broker.conf -o /backup",
            ),
            ("to another machine", "mqstore backup create STORE -o - | ssh backup 'cat > broker-a.tar.zst'"),
        ],
    ),
    (
        "backup list",
        &[
            ("the archives of a folder, newest first", "mqstore backup list /backup"),
            ("for a program", "mqstore backup list /backup --format json"),
        ],
    ),
    (
        "backup show",
        &[
            ("what is in it", "mqstore backup show ARCHIVE"),
            ("one file of it", "mqstore backup show ARCHIVE store/config/topics.json"),
        ],
    ),
    (
        "backup verify",
        &[
            ("is every byte still right", "mqstore backup verify ARCHIVE"),
            (
                "an incremental one whose earlier ones lie elsewhere",
                "mqstore backup verify ARCHIVE --chain /backup/old",
            ),
        ],
    ),
    (
        "backup prune",
        &[
            ("what would go", "mqstore backup prune /backup --keep-last 3 --dry-run"),
            ("a month's worth, and three in any case", "mqstore backup prune /backup --keep-last 3 --keep-within 30d"),
        ],
    ),
    (
        "backup restore",
        &[
            ("into a new folder, to look at", "mqstore backup restore ARCHIVE --to /tmp/restored"),
            (
                "what it would come to beside the commit log, for the release that will start",
                "mqstore backup restore ARCHIVE --to STORE --release 3.5.8 -c broker.conf --home /home/rocketmq --dry-run",
            ),
        ],
    ),
    (
        "backup undo",
        &[
            ("put back what the last restoration replaced", "mqstore backup undo STORE"),
            ("also if a broker ran since, safely for its release", "mqstore backup undo STORE --release 4.3.2"),
        ],
    ),
    (
        "snapshot",
        &[
            ("a small file that travels", "mqstore snapshot STORE -o broker-a.json.zst"),
            ("with digests of the whole log", "mqstore snapshot STORE --digest all -o broker-a.json.zst"),
        ],
    ),
    (
        "diff",
        &[
            ("master against slave", "mqstore diff master.json.zst /data/rocketmq/store"),
            (
                "wait until the slave has caught up",
                "mqstore diff MASTER SLAVE --max-lag-bytes 0 --watch 5s --timeout 10m",
            ),
        ],
    ),
    (
        "boot",
        &[
            ("what would this release do to the store", "mqstore boot STORE --release 4.3.2 -c broker.conf"),
            ("and after a crash", "mqstore boot STORE --release 4.3.2 --exit abort"),
        ],
    ),
    (
        "preflight",
        &[
            (
                "before an upgrade, with the file as it is and as it will be",
                "mqstore preflight STORE --from 3.5.8 --to 4.3.2 --old-conf old.conf --new-conf new.conf --home /home/mq",
            ),
            (
                "before going back, with the slave",
                "mqstore preflight STORE --from 4.3.2 --to 3.5.8 --old-conf broker.conf --pair slave.json.zst",
            ),
        ],
    ),
    (
        "fleet",
        &[
            ("what was fetched from all brokers, on one screen", "mqstore fleet fetched/"),
            (
                "for a script: nothing older than a day, every slave close",
                "mqstore fleet fetched/ --max-age 24h --max-lag-time 5s",
            ),
        ],
    ),
    (
        "releases",
        &[
            ("all releases, with their wire ordinals", "mqstore releases"),
            ("everything that is known about one", "mqstore releases 4.9.7"),
        ],
    ),
    (
        "completions",
        &[
            ("for bash", "mqstore completions bash > /etc/bash_completion.d/mqstore"),
            ("for zsh", "mqstore completions zsh > /usr/local/share/zsh/site-functions/_mqstore"),
        ],
    ),
    (
        "man",
        &[
            ("for this machine", "mqstore man /usr/local/share/man/man1"),
            ("to look at", "mqstore man /tmp/man && man /tmp/man/mqstore-verify.1"),
        ],
    ),
];

/// What people do first, for those who type nothing but the name.
pub(crate) const FIRST_STEPS: &[(&str, &str)] = &[
    ("what is this store", "mqstore inspect /path/to/store"),
    ("is it sound", "mqstore verify /path/to/store"),
    ("back it up before an upgrade", "mqstore backup create --verify /path/to/store -o /path/to/backups"),
    ("is the slave close enough", "mqstore diff MASTER SLAVE"),
    ("may I upgrade, and can I come back", "mqstore preflight /path/to/store --from 4.3.2 --to 4.9.7"),
];

/// Hangs the examples under the commands.
pub(crate) fn with_examples(command: Command) -> Command {
    below(command, "")
}

fn below(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = match EXAMPLES.iter().find(|(name, _)| *name == path) {
        Some((_, examples)) => {
            let mut text = "Examples:".to_owned();
            for (remark, line) in *examples {
                let _ = write!(text, "\n  # {remark}\n  $ {line}");
            }
            if let Some(after) = command.get_after_help() {
                text = format!("{after}\n\n{text}");
            }
            command.after_long_help(text)
        }
        None => command,
    };
    names.into_iter().fold(command, |command, name| {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command.mut_subcommand(name, |sub| below(sub, &path))
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_has_two_examples_and_no_example_is_of_a_command_that_is_gone() {
        fn paths(command: &Command, path: &str, all: &mut Vec<String>) {
            for sub in command.get_subcommands() {
                let path = format!("{path} {}", sub.get_name()).trim().to_owned();
                paths(sub, &path, all);
                all.push(path);
            }
        }
        let mut all = Vec::new();
        paths(&Cli::command(), "", &mut all);
        all.sort_unstable();
        let mut have: Vec<&str> = EXAMPLES.iter().map(|(path, _)| *path).collect();
        have.sort_unstable();
        assert_eq!(have, all);
        assert!(EXAMPLES.iter().all(|(_, examples)| examples.len() == 2));
    }

    /// Each example is a line that the program itself understands.
    #[test]
    fn the_examples_can_be_typed() {
        let lines = EXAMPLES.iter().flat_map(|(_, examples)| *examples).chain(FIRST_STEPS);
        for (_, line) in lines {
            let own = line.split(['|', '>', '&']).next().unwrap_or_default();
            if let Err(error) = Cli::command().try_get_matches_from(own.split_whitespace()) {
                panic!("{line}: {error}");
            }
        }
    }
}
