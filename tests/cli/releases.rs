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
}

#[test]
fn a_neighbour_stands_for_a_release_that_is_not_in_the_table() {
    let run = mqstore(&["releases", "3.5.9"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, "note: 3.5.9 is not a known release, taken as 3.5.8\n"));
    assert_snapshot("releases-unknown", &mqstore(&["releases", "2.0.1"]).session(), &[]);
}
