//! How the program behaves towards who types: typos are answered, colors only repeat what words say.

use super::{command, mqstore, run, shared};

#[test]
fn a_mistyped_word_is_answered_with_what_may_be_meant() {
    let golden = shared("4.3.2-clean");
    let store = golden.root().to_str().unwrap().to_owned();
    for (args, answer) in [
        (vec!["verfy", &store], "'verify'"),
        (vec!["backup", "crate", &store], "'create'"),
        (vec!["verify", "--levle", "full", &store], "'--level'"),
        (vec!["verify", &store, "--format", "jsn"], "'json'"),
        (vec!["boot", &store, "--release", "4.9.77"], "the nearest is 4.9.8"),
        (vec!["verify", &store, "--only", "commitlog.body-cr"], "--list-checks"),
    ] {
        let run = mqstore(&args);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{args:?}");
        assert!(run.stderr.contains(answer), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn with_and_without_colors_the_text_is_the_same() {
    let pair = shared("5.3.3-pair");
    let (master, slave) = (pair.sub("master/store"), pair.sub("slave/store"));
    let conf = pair.sub("master/broker.conf");
    let [master, slave, conf] = [&master, &slave, &conf].map(|path| path.to_str().unwrap());
    for args in [
        vec!["inspect", "queues", master],
        vec!["verify", slave],
        vec!["diff", master, slave],
        vec!["boot", master, "--release", "4.9.7", "-c", conf],
        vec!["releases"],
    ] {
        let plain = mqstore(&args);
        let colored = run(command().args(&args).args(["--color", "always"]));
        assert!(colored.stdout.contains('\u{1b}'), "{args:?}: no color in {}", colored.stdout);
        let stripped = anstream::adapter::strip_str(&colored.stdout).to_string();
        assert_eq!(stripped, plain.stdout, "{args:?}");
        let refused = run(command().args(&args).env("NO_COLOR", "1"));
        assert_eq!(refused.session(), plain.session(), "{args:?}");
    }
}
