//! The rehearsal: what mqstore says about stores, against real brokers that are started on them.
//!
//! Needs JDK 17 and Maven, takes minutes, and so runs only where it is asked for:
//!
//! ```text
//! MQSTORE_REHEARSAL=quick                 a choice that takes a few minutes
//! MQSTORE_REHEARSAL=all                   everything
//! MQSTORE_REHEARSAL=kill,upgrade@4.3.2    scenarios, or one case of a scenario
//! MQSTORE_REHEARSAL_ROUNDS=N              rounds of the scenarios that have rounds
//! MQSTORE_REHEARSAL_CACHE=DIR             where jars are kept [default: the user's cache folder]
//! MQSTORE_REHEARSAL_PAGE=FILE             where the page of results goes [default: target/rehearsal/rehearsal.md]
//! ```
//!
//! Each scenario takes a [`site::Site`] with real processes, lets real clients write down what was acknowledged, asks
//! `mqstore` what an operator would ask, lets the broker act, and holds the one against the other in a [`ledger::Ledger`].
//! What does not run on a machine is *not run* in the page, never right.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod ask;
mod chain;
mod client;
mod faults;
mod jars;
mod kill;
mod lag;
mod ledger;
mod live;
mod merge;
mod operator;
mod plan;
mod predict;
mod rollback;
mod site;
mod upgrade;

use plan::rehearse;

#[test]
fn a_killed_broker_starts_as_boot_says() {
    rehearse("kill", kill::run);
}

#[test]
fn what_3_2_6_damages_at_its_start_verify_sees() {
    rehearse("race", kill::run_racing);
}

#[test]
fn a_rolling_upgrade_loses_nothing() {
    rehearse("upgrade", upgrade::of_one);
}

#[test]
fn a_rolling_upgrade_of_a_cluster_loses_nothing() {
    rehearse("upgrade-of-three", upgrade::of_three);
}

#[test]
fn a_rollback_by_restore_hides_nothing() {
    rehearse("rollback", rollback::by_restore);
}

#[test]
fn a_backup_made_under_load_gives_everything_back() {
    rehearse("live", live::run);
}

#[test]
fn the_lag_of_a_slave_is_what_brokers_report() {
    rehearse("lag", lag::run);
}

#[test]
fn merged_offsets_are_those_a_broker_goes_on_with() {
    rehearse("merge", merge::run);
}

#[test]
fn the_loss_of_a_rollback_by_hand_is_named() {
    rehearse("rollback-by-hand", rollback::by_hand);
}

#[test]
fn a_store_goes_through_releases_and_back() {
    rehearse("chain", chain::run);
}

#[test]
fn damaged_stores_start_as_boot_says() {
    rehearse("faults", faults::run);
}
