//! The edits of a manifest, and the files they leave.

use std::collections::BTreeMap;

use super::coding::Cursor;
use super::log::{LogRecords, RecordsEnd};
use crate::error::{FormatError, FormatErrorKind};

/// Tags at and above this one come with a length and may be passed over.
const SAFE_IGNORE: u64 = 1 << 13;
/// Fields of a file with this bit may not be passed over.
const CUSTOM_NOT_SAFE_TO_IGNORE: u64 = 1 << 6;

/// An SST file that belongs to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveFile {
    /// Its number, of which its name is made.
    pub number: u64,
    /// Level of the tree, 0 for files that were just flushed.
    pub level: u32,
    /// Length in bytes.
    pub size: u64,
    /// The lowest key, with sequence number and type behind it.
    pub smallest: Vec<u8>,
    /// The highest key, as `smallest`.
    pub largest: Vec<u8>,
    /// When it was made, seconds since the epoch; 0 unknown.
    pub creation_time: u64,
}

/// A column family: a database of its own that shares log and sequence with the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnFamily {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Name of the order of its keys.
    pub comparator: String,
    /// The oldest write-ahead log with writes that its files do not hold.
    pub log_number: u64,
    /// Its files, by number.
    pub files: BTreeMap<u64, LiveFile>,
}

/// What a manifest says at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The column families, by number; dropped ones are left out.
    pub column_families: BTreeMap<u32, ColumnFamily>,
    /// The number that the next file gets.
    pub next_file_number: u64,
    /// Sequence number of the last write in the files.
    pub last_sequence: u64,
    /// The oldest write-ahead log that is still needed, if one was named.
    pub min_log_number_to_keep: u64,
    /// Edits that count.
    pub edits: u64,
    /// How it ended.
    pub end: RecordsEnd,
}

/// An SST file that the manifest names and that is not there as it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingSst {
    /// Its number.
    pub number: u64,
    /// Its length in bytes, as the manifest says.
    pub expected: u64,
    /// The length found; `None` if there is no such file.
    pub found: Option<u64>,
}

/// One edit.
#[derive(Debug, Default)]
struct Edit {
    family: u32,
    comparator: Option<String>,
    log_number: Option<u64>,
    next_file_number: Option<u64>,
    last_sequence: Option<u64>,
    min_log_number_to_keep: Option<u64>,
    add: Option<String>,
    drop: bool,
    deleted: Vec<u64>,
    new: Vec<LiveFile>,
    remaining_in_group: Option<u32>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// A record whose CRC is wrong, an edit that cannot be read or has a tag that may not be passed over, and an edit of
    /// a family that is not there. The offset is that of the record.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut manifest = Self {
            column_families: BTreeMap::from([(0, ColumnFamily { name: "default".to_owned(), ..Default::default() })]),
            next_file_number: 0,
            last_sequence: 0,
            min_log_number_to_keep: 0,
            edits: 0,
            end: RecordsEnd::Clean,
        };
        let mut group = Vec::new();
        let mut records = LogRecords::new(bytes);
        for record in records.by_ref() {
            let (position, payload) = record?;
            // An offset inside a record of several pieces would be wrong, so errors name its start.
            let edit = Edit::parse(&payload).map_err(|error| FormatError::new(position, error.kind))?;
            let complete = edit.remaining_in_group.is_none_or(|remaining| remaining == 0);
            group.push((position, edit));
            if complete {
                for (position, edit) in group.drain(..) {
                    manifest.apply(position, edit)?;
                }
            }
        }
        let torn = records.end() == Some(RecordsEnd::Torn) || !group.is_empty();
        manifest.end = if torn { RecordsEnd::Torn } else { RecordsEnd::Clean };
        Ok(manifest)
    }

    fn apply(&mut self, position: u64, edit: Edit) -> Result<(), FormatError> {
        self.edits += 1;
        self.next_file_number = edit.next_file_number.unwrap_or(self.next_file_number);
        self.last_sequence = edit.last_sequence.unwrap_or(self.last_sequence);
        self.min_log_number_to_keep = edit.min_log_number_to_keep.unwrap_or(self.min_log_number_to_keep);
        if let Some(name) = edit.add {
            self.column_families.insert(edit.family, ColumnFamily { id: edit.family, name, ..Default::default() });
        }
        if edit.drop {
            self.column_families.remove(&edit.family);
            return Ok(());
        }
        let Some(family) = self.column_families.get_mut(&edit.family) else {
            let (field, found, expected) = ("column family", i64::from(edit.family), "one that was added");
            return Err(FormatError::new(position, FormatErrorKind::BadValue { field, found, expected }));
        };
        family.comparator = edit.comparator.unwrap_or_else(|| std::mem::take(&mut family.comparator));
        family.log_number = edit.log_number.unwrap_or(family.log_number);
        for number in edit.deleted {
            family.files.remove(&number);
        }
        family.files.extend(edit.new.into_iter().map(|file| (file.number, file)));
        Ok(())
    }

    /// The files of all families.
    pub fn live_files(&self) -> impl Iterator<Item = (&ColumnFamily, &LiveFile)> {
        self.column_families.values().flat_map(|family| family.files.values().map(move |file| (family, file)))
    }

    /// SST files that are not there as the manifest says, by number. `lengths` are those that there are: length in bytes by
    /// number.
    pub fn missing(&self, lengths: &BTreeMap<u64, u64>) -> Vec<MissingSst> {
        let live = self.live_files().map(|(_, file)| MissingSst {
            number: file.number,
            expected: file.size,
            found: lengths.get(&file.number).copied(),
        });
        let mut missing: Vec<_> = live.filter(|file| file.found != Some(file.expected)).collect();
        missing.sort_by_key(|file| file.number);
        missing
    }

    /// The column family of this name.
    pub fn column_family(&self, name: &str) -> Option<&ColumnFamily> {
        self.column_families.values().find(|family| family.name == name)
    }

    /// Number of the oldest write-ahead log whose writes the files may lack.
    pub fn oldest_log_needed(&self) -> u64 {
        let oldest = self.column_families.values().map(|family| family.log_number).min().unwrap_or(0);
        oldest.max(self.min_log_number_to_keep)
    }
}

impl Edit {
    fn parse(payload: &[u8]) -> Result<Self, FormatError> {
        let mut cursor = Cursor::new(payload, 0);
        let mut edit = Self::default();
        while !cursor.rest().is_empty() {
            let at = cursor.offset();
            match cursor.varint("edit tag")? {
                1 => edit.comparator = Some(text(cursor.text("comparator")?)),
                2 => edit.log_number = Some(cursor.varint("log number")?),
                3 => edit.next_file_number = Some(cursor.varint("next file number")?),
                4 => edit.last_sequence = Some(cursor.varint("last sequence")?),
                5 => {
                    cursor.varint("compaction cursor level")?;
                    cursor.text("compaction cursor")?;
                }
                6 => {
                    cursor.varint("deleted file level")?;
                    edit.deleted.push(cursor.varint("deleted file number")?);
                }
                tag @ (7 | 100 | 102 | 103) => edit.new.push(read_file(&mut cursor, tag)?),
                9 => {
                    cursor.varint("previous log number")?;
                }
                10 => edit.min_log_number_to_keep = Some(cursor.varint("log number to keep")?),
                200 => edit.family = cursor.varint_u32("column family")?,
                201 => edit.add = Some(text(cursor.text("column family name")?)),
                202 => edit.drop = true,
                203 => {
                    cursor.varint("highest column family")?;
                }
                300 => edit.remaining_in_group = Some(cursor.varint_u32("edits of the group")?),
                tag if tag >= SAFE_IGNORE => {
                    cursor.text("value of an edit")?;
                }
                tag => return Err(unknown(at, "edit tag", tag)),
            }
        }
        Ok(edit)
    }
}

fn read_file(cursor: &mut Cursor<'_>, tag: u64) -> Result<LiveFile, FormatError> {
    let level = cursor.varint_u32("level of a file")?;
    let number = cursor.varint("number of a file")?;
    if tag == 102 {
        cursor.varint("path of a file")?;
    }
    let size = cursor.varint("size of a file")?;
    let smallest = cursor.text("smallest key of a file")?.to_vec();
    let largest = cursor.text("largest key of a file")?.to_vec();
    if tag != 7 {
        cursor.varint("smallest sequence of a file")?;
        cursor.varint("largest sequence of a file")?;
    }
    let mut file = LiveFile { number, level, size, smallest, largest, creation_time: 0 };
    if tag != 103 {
        return Ok(file);
    }
    loop {
        let at = cursor.offset();
        match cursor.varint("field of a file")? {
            1 => return Ok(file),
            6 => {
                file.creation_time =
                    Cursor::new(cursor.text("creation time of a file")?, at).varint("creation time")?;
            }
            // Which of the database's folders holds it; brokers name one only.
            65 => {
                cursor.text("path of a file")?;
            }
            field if field & CUSTOM_NOT_SAFE_TO_IGNORE != 0 => return Err(unknown(at, "field of a file", field)),
            _ => {
                cursor.text("value of a field of a file")?;
            }
        }
    }
}

fn unknown(at: u64, field: &'static str, found: u64) -> FormatError {
    let found = i64::try_from(found).unwrap_or(i64::MAX);
    FormatError::new(at, FormatErrorKind::BadValue { field, found, expected: "one that is known" })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The name of the manifest that the file `CURRENT` holds: `MANIFEST-`, digits and a line feed. `None` for anything else.
pub fn current_manifest(current: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(current.strip_suffix(b"\n")?).ok()?;
    let digits = name.strip_prefix("MANIFEST-")?;
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_names_a_manifest_and_nothing_else() {
        assert_eq!(current_manifest(b"MANIFEST-000019\n"), Some("MANIFEST-000019"));
        for wrong in [&b"MANIFEST-000019"[..], b"MANIFEST-\n", b"MANIFEST-../x\n", b"", b"\n", b"MANIFEST-1\n\n"] {
            assert_eq!(current_manifest(wrong), None);
        }
    }

    #[test]
    fn an_edit_with_a_file_is_read_and_one_with_an_unknown_tag_refused() {
        let edit = Edit::parse(&[2, 5, 4, 9, 103, 0, 11, 0xA3, 0x49, 1, b'a', 1, b'b', 1, 9, 6, 1, 77, 1, 200, 1, 1]);
        let edit = edit.unwrap();
        assert_eq!((edit.family, edit.log_number, edit.last_sequence), (1, Some(5), Some(9)));
        assert_eq!((edit.new[0].number, edit.new[0].size, edit.new[0].creation_time), (11, 9379, 77));
        assert!(Edit::parse(&[8, 1]).is_err());
        assert!(Edit::parse(&[103, 0, 11, 1, 0, 0, 1, 9, 66, 0, 1]).is_err());
        assert!(Edit::parse(&[0x88, 0x40, 1, 5]).is_ok());
    }
}
