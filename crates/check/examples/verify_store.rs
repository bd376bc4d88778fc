//! Verifies a store in full and prints what was found: `cargo run --example verify_store -- testdata/demo/master/store`.

#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use mqstore_check::verify::{Level, VerifyOptions, verify};
use mqstore_check::{Outcome, Severity};
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{Store, StoreOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::args().nth(1).unwrap_or_else(|| "testdata/demo/master/store".into());
    let store = Store::open(root, StoreOptions::default())?;
    let mut options = VerifyOptions::default();
    options.level = Level::Full;
    let report = verify(&store, &options, &NoProgress, &mut |finding| println!("{}: {}", finding.id, finding.message))?;
    match report.outcome(Severity::Error) {
        Outcome::Clean => println!("sound: {} records read", report.coverage.records.unwrap_or(0)),
        Outcome::Found => println!("damaged: {} errors", report.counts().error),
        Outcome::NoVerdict => println!("not everything was looked at: {:?}", report.coverage.skipped),
    }
    Ok(())
}
