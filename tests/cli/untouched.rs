//! No command changes anything about a store.

use std::ffi::OsString;

use mqstore_testkit::{STORES, fingerprint};

use super::{mqstore, shared};

#[test]
fn every_command_leaves_every_store_as_it_was() {
    let archives = tempfile::tempdir().unwrap();
    for (i, (archive, root, _)) in STORES.iter().enumerate() {
        let golden = shared(archive);
        let root = golden.sub(root);
        let before = fingerprint(&root);
        let out = archives.path().join(format!("{i}.tar.zst"));
        for args in [
            "inspect STORE",
            "inspect STORE --format json --live",
            "inspect commitlog STORE",
            "inspect commitlog STORE --format ndjson --body text",
            "inspect queues STORE",
            "inspect queues STORE * 0",
            "inspect index STORE",
            "inspect index STORE --entries",
            "inspect index STORE --topic GoldOne --key one2",
            "inspect checkpoint STORE",
            "inspect config STORE",
            "inspect config STORE topics",
            "inspect offsets STORE",
            "inspect timer STORE",
            "inspect pending STORE --scan-log",
            "verify STORE",
            "verify STORE --level full",
            "snapshot STORE",
            "snapshot STORE --digest all --output OUT.json.zst",
            "diff STORE STORE",
            "diff STORE OUT.json.zst --merge-offsets OUT.merged",
            "boot STORE --release 4.3.2",
            "boot STORE --release 5.3.3 --exit abort --format json",
            "preflight STORE --from 4.3.2 --to 5.3.3 --name-server 4.3.2",
            "backup create STORE --dry-run",
            "backup create STORE --output OUT",
            "backup create STORE",
        ] {
            let args: Vec<OsString> = args
                .split(' ')
                .map(|arg| match arg {
                    "STORE" => root.clone().into(),
                    "OUT" => out.clone().into(),
                    other if other.starts_with("OUT.") => archives.path().join(format!("{i}{}", &other[3..])).into(),
                    other => other.into(),
                })
                .collect();
            // An archive on standard output is no text, so only what was left behind is looked at.
            let status = super::command().args(&args).output().unwrap().status;
            assert!(status.code().is_some(), "{archive}: {args:?} ended by a signal");
        }
        assert_eq!(fingerprint(&root), before, "{archive}: something was changed");
    }
}

#[test]
fn an_answer_is_never_written_into_the_store() {
    let golden = shared("4.3.2-clean");
    let root = golden.root();
    let before = fingerprint(&root);
    for args in ["inspect", "inspect queues", "inspect commitlog", "verify", "snapshot", "backup create"] {
        let mut args: Vec<OsString> = args.split(' ').map(OsString::from).collect();
        args.extend([root.clone().into(), "--output".into(), root.join("config/answer").into()]);
        assert_eq!(mqstore(&args).code, 4, "{args:?}");
    }
    assert_eq!(fingerprint(&root), before);
}
