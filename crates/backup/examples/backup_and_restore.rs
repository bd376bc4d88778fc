//! Backs up a store, verifies the archive and restores it elsewhere:
//!
//! ```text
//! cargo run -p mqstore-backup --example backup_and_restore -- /data/rocketmq/store /backups/a.tar.zst /data/restored
//! ```
//!
//! Without arguments it does so with a tiny store of its own in a temporary folder.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use mqstore_backup::{CreateOptions, PlanOptions, RestoreOptions, create_file, facts, plan, restore, verify_file};
use mqstore_check::Severity;
use mqstore_core::progress::NoProgress;
use mqstore_core::store::{LockState, Store, StoreOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if let [root, archive, to] = arguments.as_slice() {
        return backup_and_restore(root, archive, to);
    }
    let temp = tempfile::tempdir()?;
    let root = temp.path().join("store");
    std::fs::create_dir_all(root.join("config"))?;
    std::fs::create_dir_all(root.join("commitlog"))?;
    std::fs::write(root.join("config/delayOffset.json"), "{\"offsetTable\":{}}")?;
    backup_and_restore(&root, &temp.path().join("a.tar.zst"), &temp.path().join("restored"))
}

fn backup_and_restore(root: &Path, archive: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    let store = Store::open(root, StoreOptions::default())?;
    let lock_held = matches!(store.lock()?, LockState::Held { .. });
    let options = PlanOptions { lock_held, ..PlanOptions::default() };
    let plan = plan(root, &options, facts::gather(&store))?;
    println!("{} files, {} bytes", plan.files().count(), plan.total_bytes());

    let created = create_file(&plan, archive, &CreateOptions::default(), &NoProgress)?;
    println!("{}: {} bytes, {} gaps", created.manifest.backup_id, created.archive_length, created.manifest.gaps.len());

    let verified = verify_file(archive, &NoProgress)?;
    println!("verified: {:?}", verified.report.outcome(Severity::Error));

    let restored = restore(archive, &RestoreOptions { to: to.into(), ..RestoreOptions::default() }, &NoProgress)?;
    println!("restored {} files, {} bytes", restored.files, restored.bytes);
    Ok(())
}
