//! What an incremental archive does not store: files that an earlier one holds with the same bytes.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;

use super::{Read, Run};
use crate::chain::Base;
use crate::digest::{FileDigest, hex, is_mostly_hole};
use crate::error::BackupError;
use crate::manifest::{EarlierArchive, Extent, FileEntry, Since, Source};
use crate::plan::PlanItem;

/// The earlier archive, and what was found to be in it.
pub(super) struct Unchanged<'a> {
    base: &'a Base,
    files: HashMap<&'a str, (&'a FileEntry, &'a str)>,
    /// Files and stored bytes by the archive that holds them.
    used: BTreeMap<String, (u64, u64)>,
}

impl<'a> Unchanged<'a> {
    pub(super) fn new(base: &'a Base) -> Self {
        Self { base, files: base.files(), used: BTreeMap::new() }
    }

    /// What the manifest says: the archives that are needed, the one compared with first, then in its own order.
    pub(super) fn since(&self) -> Since {
        let base = self.base.manifest();
        let name = |id: &str| {
            let name = self.base.path_of(id).and_then(|path| path.file_name()).unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        let earlier = base.since.iter().flat_map(|since| &since.needs).map(|earlier| earlier.backup_id.as_str());
        let needs = std::iter::once(base.backup_id.as_str()).chain(earlier).filter_map(|id| {
            let (files, stored_length) = *self.used.get(id)?;
            Some(EarlierArchive { backup_id: id.to_owned(), archive: name(id), files, stored_length })
        });
        Since {
            note: "this archive alone is not the whole: files with the key \"in\" are in the archive of that id"
                .to_owned(),
            backup_id: base.backup_id.clone(),
            archive: name(&base.backup_id),
            needs: needs.collect(),
        }
    }
}

impl<W: Write> Run<'_, W> {
    /// The entry of a file that an earlier archive holds with the same bytes; `None` for one that is to be stored, also if it
    /// cannot be read.
    pub(super) fn unchanged(
        &mut self,
        item: &PlanItem,
        file: &File,
        read: &Read,
        extents: &[Extent],
    ) -> Result<Option<FileEntry>, BackupError> {
        let Some(unchanged) = &self.unchanged else { return Ok(None) };
        let Some((earlier, holder)) = unchanged.files.get(item.name.as_str()).copied() else { return Ok(None) };
        let Read { length, mtime_ns, mode } = *read;
        if earlier.length != length || earlier.extents != extents {
            return Ok(None);
        }
        let stored_length: u64 = extents.iter().map(|extent| extent.length).sum();
        let wants_plain = self.all_sums || !is_mostly_hole(length, stored_length);
        let mut digest = FileDigest::new(length, extents, wants_plain);
        let mut whole = true;
        self.read_data(item, file, (length, extents), |_, at, chunk, read| {
            if read.is_err() {
                whole = false;
                return Ok(ControlFlow::Break(()));
            }
            digest.update(at, chunk);
            Ok(ControlFlow::Continue(()))
        })?;
        if !whole {
            return Ok(None);
        }
        let digests = digest.finish();
        let sha256 = hex(&digests.stored);
        if sha256 != earlier.sha256 {
            return Ok(None);
        }
        match digests.plain {
            Some(plain) => self.sums.elsewhere(holder, &hex(&plain), &item.name),
            None => self.sums.left_out(&item.name),
        }
        let (path, extents, held_in) = (item.name.clone(), extents.to_vec(), Some(holder.to_owned()));
        if let Some(unchanged) = &mut self.unchanged {
            let (files, bytes) = unchanged.used.entry(holder.to_owned()).or_default();
            *files += 1;
            *bytes += stored_length;
        }
        let (source, class) = (Source::File, item.class);
        Ok(Some(FileEntry { path, length, stored_length, mtime_ns, mode, sha256, extents, source, class, held_in }))
    }
}
