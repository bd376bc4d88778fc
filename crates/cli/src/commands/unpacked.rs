//! The files of an archive in a temporary folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_backup::{Manifest, RestoreOptions};
use mqstore_core::StoreError;
use mqstore_core::store::{Store, StoreOptions};

use super::Context;

/// An archive that was verified and unpacked: its store, and the home folder's files of 3.5.x. Both go away with it.
#[derive(Debug)]
pub(crate) struct Unpacked {
    root: PathBuf,
    home: PathBuf,
    pub(crate) manifest: Manifest,
    _folder: tempfile::TempDir,
}

impl Unpacked {
    /// Of an incremental archive the earlier ones are looked for in its folder and in `chain`.
    pub(crate) fn new(context: &Context, archive: &Path, chain: &[PathBuf]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("cannot create a temporary folder to unpack the archive in")?;
        let (root, home) = (folder.path().join("store"), folder.path().join("home"));
        let mut restore = RestoreOptions { to: root.clone(), home: Some(home.clone()), ..RestoreOptions::default() };
        restore.chain = chain.to_vec();
        let bar = context.bar("unpacking");
        let restored = mqstore_backup::restore(archive, &restore, &bar)?;
        drop(bar);
        Ok(Self { root, home, manifest: restored.manifest, _folder: folder })
    }

    /// The folder of the store.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The store, with the home folder's files if the archive has any.
    pub(crate) fn store(&self) -> Result<Store, StoreError> {
        let mut options = StoreOptions::default();
        options.home = Some(self.home.clone()).filter(|home| home.is_dir());
        Store::open(&self.root, options)
    }
}
