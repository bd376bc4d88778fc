//! A side of a comparison: a store, a snapshot or an archive, told apart by content.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_backup::{BackupError, Manifest};
use mqstore_check::diff::Side;
use mqstore_check::snapshot::{Identity, Snapshot, SnapshotOptions, take};
use mqstore_core::progress::Progress;
use mqstore_core::store::Store;

use super::super::snapshot::identity;
use super::super::{Context, Target, Unpacked};
use crate::args::{DiffArgs, PlaceArgs, StoreArgs};
use crate::exit::{NoVerdict, hinted};
use crate::output::json::TargetJson;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// What a side turned out to be.
#[derive(Debug)]
pub(super) enum Opened {
    Store {
        store: Store,
        identity: Identity,
        /// `enableLmq` of its broker, if the configuration is known.
        enable_lmq: Option<bool>,
    },
    Snapshot(Box<Snapshot>),
    Archive {
        store: Store,
        unpacked: Box<Unpacked>,
    },
}

impl Opened {
    pub(super) fn side(&self) -> Side<'_> {
        match self {
            Self::Store { store, identity, .. } => Side::Store { store, identity: identity.clone() },
            Self::Snapshot(snapshot) => Side::Snapshot(snapshot),
            Self::Archive { store, unpacked } => Side::Store { store, identity: of_manifest(&unpacked.manifest) },
        }
    }

    pub(super) fn archive(&self) -> Option<&Manifest> {
        match self {
            Self::Archive { unpacked, .. } => Some(&unpacked.manifest),
            _ => None,
        }
    }

    /// `enableLmq` of its broker, if that is known.
    pub(super) fn enable_lmq(&self) -> Option<bool> {
        match self {
            Self::Store { enable_lmq, .. } => *enable_lmq,
            _ => None,
        }
    }

    /// The root of the store it is or was taken of, as a word of a command; `None` of what has no log.
    pub(super) fn root(&self, path: &Path) -> Option<String> {
        match self {
            Self::Store { .. } => Some(path.display().to_string()),
            Self::Snapshot(snapshot) => Some(snapshot.target.store.clone().unwrap_or_else(|| "STORE".to_owned())),
            Self::Archive { .. } => None,
        }
    }

    /// `store`, `snapshot` or `archive`.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Store { .. } => "store",
            Self::Snapshot(_) => "snapshot",
            Self::Archive { .. } => "archive",
        }
    }

    pub(super) fn target(&self, path: &Path) -> TargetJson {
        match self {
            Self::Store { .. } => TargetJson::store(path),
            Self::Snapshot(_) => TargetJson::snapshot(path),
            Self::Archive { .. } => TargetJson::archive(path),
        }
    }

    /// Its positions, taken now unless it is a snapshot.
    pub(super) fn positions(&self, progress: &dyn Progress) -> anyhow::Result<Snapshot> {
        match self {
            Self::Snapshot(snapshot) => Ok((**snapshot).clone()),
            Self::Store { store, .. } | Self::Archive { store, .. } => {
                Ok(take(store, &SnapshotOptions::positions(), progress)?)
            }
        }
    }
}

fn of_manifest(manifest: &Manifest) -> Identity {
    let broker = &manifest.broker;
    Identity { cluster: broker.cluster.clone(), broker: broker.name.clone(), broker_id: broker.id }
}

/// Where the parts of a side lie, by the flags for it.
pub(super) fn place(args: &DiffArgs, is_a: bool) -> PlaceArgs {
    let places = &args.places;
    let (broker_conf, home) =
        if is_a { (&places.broker_conf_a, &places.home_a) } else { (&places.broker_conf_b, &places.home_b) };
    PlaceArgs {
        commitlog: if is_a { &places.commitlog_a } else { &places.commitlog_b }.clone(),
        broker_conf: broker_conf.clone(),
        release: args.merge.release.clone(),
        home: home.clone(),
        live: false,
        stopped: false,
    }
}

/// `chain`: where the earlier archives of an incremental one lie, if not beside it.
pub(super) fn open(context: &Context, path: &Path, place: &PlaceArgs, chain: &[PathBuf]) -> anyhow::Result<Opened> {
    if !path.is_file() {
        let args = StoreArgs { store: Some(path.to_path_buf()), place: place.clone() };
        let target = Target::open_quietly(context, &args)?;
        let identity = target.conf.as_ref().map(identity).unwrap_or_default();
        let enable_lmq = target.conf.as_ref().map(|conf| conf.enable_lmq.value);
        return Ok(Opened::Store { store: target.store, identity, enable_lmq });
    }
    let (packed, is_json) = looks(path)?;
    if is_json {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let snapshot = Snapshot::from_reader(file).with_context(|| path.display().to_string())?;
        return Ok(Opened::Snapshot(snapshot.into()));
    }
    if !packed {
        return Err(hinted(
            format!("{} is no store, no snapshot and no backup archive", path.display()),
            "mqstore snapshot and mqstore backup create make the latter two",
        ));
    }
    let unpacked = Unpacked::new(context, path, chain).map_err(|error| match error.downcast_ref() {
        Some(BackupError::MissingArchives { .. }) => {
            error.context(NoVerdict(format!("{} cannot be compared", path.display())))
        }
        _ => error,
    })?;
    let store = unpacked.store()?;
    Ok(Opened::Archive { store, unpacked: unpacked.into() })
}

/// Whether a file is packed by zstd, and whether it is, unpacked, a JSON text: nothing else that is compared begins with
/// a brace.
fn looks(path: &Path) -> anyhow::Result<(bool, bool)> {
    let cannot = || format!("cannot read {}", path.display());
    let open = || File::open(path).with_context(cannot);
    let begins = |input: &mut dyn Read| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        input.take(64).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let mut bytes = begins(&mut open()?).with_context(cannot)?;
    let packed = bytes.starts_with(&ZSTD_MAGIC);
    if packed {
        // What does not unpack is left to the archive's reader to name.
        bytes = begins(&mut zstd::Decoder::new(open()?)?).unwrap_or_default();
    }
    Ok((packed, bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')))
}
