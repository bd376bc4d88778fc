//! The rehearsal: what mqstore says about stores, against real brokers that are started on them.
//!
//! Needs JDK 17 and Maven, takes minutes, and so runs only where it is asked for:
//!
//! ```text
//! MQSTORE_REHEARSAL=quick                 a choice that takes a few minutes
//! MQSTORE_REHEARSAL=all                   everything
//! MQSTORE_REHEARSAL=kill,upgrade@4.3.2    scenarios, or one case of a scenario
//! MQSTORE_REHEARSAL_ROUNDS=N              rounds of the scenarios that have rounds
//! MQSTORE_REHEARSAL_FAULT=NAME            only faults whose names begin so
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

use std::process::ExitCode;

fn main() -> ExitCode {
    plan::rehearse()
}
