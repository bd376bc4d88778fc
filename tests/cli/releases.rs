//! `releases`.

use super::{assert_snapshot, mqstore};

#[test]
fn the_table_and_one_release() {
    assert_snapshot("releases", &mqstore(&["releases"]).session(), &[]);
    let json = mqstore(&["releases", "--format=json"]).json();
    assert_eq!(json["schema"], "mqstore.releases");
    assert_eq!(json["releases"][0]["release"], "3.2.6");
    let one = mqstore(&["releases", "4.3.2", "--format=json"]).json();
    assert_eq!((&one["release"], &one["ordinal"]), (&"4.3.2".into(), &277.into()));
    let rule = one["properties"].as_array().unwrap().iter().find(|row| row["property"] == "wrong_length").unwrap();
    assert_eq!((&rule["value"], &rule["evidence"]), (&"HidesLater".into(), &"seen on 3.5.8, 4.3.2, 4.4.0".into()));
    assert_eq!(one["oldest_name_server"], "4.1.0");
    let unknown = one["unknown_features"].as_array().unwrap();
    let ipv6 = unknown.iter().find(|feature| feature["feature"] == "ipv6_hosts").unwrap();
    assert_eq!(
        (&ipv6["since"], &ipv6["effect"], &ipv6["evidence"]),
        (&"4.6.0".into(), &"loses_data".into(), &"seen on 4.5.2".into())
    );
    let text = mqstore(&["releases", "4.6.0"]).stdout;
    assert!(
        text.contains("what came with it, for older releases") && text.contains("clients: consumers before 4.6.0"),
        "{text}"
    );
}

#[test]
fn a_neighbour_stands_for_a_release_that_is_not_in_the_table() {
    let run = mqstore(&["releases", "3.5.9"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "note: 3.5.9 is not a known release, taken as 3.5.8\n"));
    assert_snapshot("releases-unknown", &mqstore(&["releases", "2.0.1"]).session(), &[]);
}
