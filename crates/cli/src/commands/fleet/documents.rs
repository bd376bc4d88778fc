//! The documents of a folder: which broker each is about, and what it says in the end.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_check::snapshot::Snapshot;
use serde::Serialize;
use serde_json::Value;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// What a document may unpack to; a snapshot of ten thousand queues and a million offsets has 30 MB.
const LONGEST: u64 = 1 << 30;
const SNAPSHOT: &str = "mqstore.snapshot";

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// The broker that it is about: the folder that it lies in, or the beginning of its name.
    pub(super) broker: String,
    /// Path below the folder of the fleet.
    pub(super) file: String,
    pub(super) path: PathBuf,
    /// `verify`, `backup.create`, `snapshot`, …
    pub(super) kind: String,
    pub(super) generated_at: Option<jiff::Timestamp>,
    pub(super) exit: Option<(u8, String)>,
    /// The document itself; of a snapshot nothing but its head is kept.
    pub(super) content: Value,
}

/// A file that gives nothing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Unread {
    pub(super) file: String,
    pub(super) why: String,
}

/// All documents below `dir`, in order of their names, and the files that are none.
pub(super) fn read(dir: &Path) -> anyhow::Result<(Vec<Document>, Vec<Unread>)> {
    let mut files = Vec::new();
    list(dir, 0, &mut files)?;
    files.sort_unstable();
    let (mut documents, mut unread) = (Vec::new(), Vec::new());
    for path in files {
        let below = path.strip_prefix(dir).unwrap_or(&path).to_path_buf();
        match document(&path, &below) {
            Ok(document) => documents.push(document),
            Err(error) => {
                unread.push(Unread { file: below.display().to_string(), why: crate::exit::chain(error.as_ref()) });
            }
        }
    }
    Ok((documents, unread))
}

/// Documents lie in the folder or in one for each broker; what lies deeper is somebody else's.
fn list(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", dir.display()))?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if kind.is_dir() && depth == 0 {
            list(&path, depth + 1, files)?;
        } else if kind.is_file() && (name.ends_with(".json") || name.ends_with(".json.zst")) {
            files.push(path);
        }
    }
    Ok(())
}

fn document(path: &Path, below: &Path) -> anyhow::Result<Document> {
    let mut content: Value =
        serde_json::from_reader(std::io::BufReader::new(open(path)?)).context("is no JSON document")?;
    let schema = content.get("schema").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind =
        schema.strip_prefix("mqstore.").with_context(|| format!("its schema is {schema:?}, expected mqstore.…"))?;
    let exit = content.pointer("/exit/code").and_then(Value::as_u64).and_then(|code| u8::try_from(code).ok());
    let reason = content.pointer("/exit/reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    let generated_at = content.get("generated_at").and_then(Value::as_str).and_then(|text| text.parse().ok());
    if schema == SNAPSHOT {
        content = Value::Null;
    }
    Ok(Document {
        broker: broker(below, kind),
        file: below.display().to_string(),
        path: path.to_path_buf(),
        kind: kind.to_owned(),
        generated_at,
        exit: exit.map(|code| (code, reason)),
        content,
    })
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read>> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    let file = File::open(path)?;
    if magic == ZSTD_MAGIC {
        return Ok(Box::new(zstd::Decoder::new(file)?.take(LONGEST)));
    }
    Ok(Box::new(file.take(LONGEST)))
}

/// `broker-a/verify.json` and `broker-a.verify.json` are about broker-a.
fn broker(below: &Path, kind: &str) -> String {
    let folder = below.parent().and_then(Path::file_name);
    if let Some(folder) = folder {
        return folder.to_string_lossy().into_owned();
    }
    let name = below.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.trim_end_matches(".zst").trim_end_matches(".json");
    let kinds = [kind.to_owned(), kind.replace('.', "-"), kind.split('.').next().unwrap_or(kind).to_owned()];
    let own = kinds.iter().find_map(|kind| name.strip_suffix(kind.as_str()));
    own.map_or(name, |own| own.trim_end_matches(['.', '-', '_'])).to_owned()
}

impl Document {
    pub(super) fn is_snapshot(&self) -> bool {
        self.kind == "snapshot"
    }

    pub(super) fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let file = File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))?;
        Snapshot::from_reader(file).with_context(|| self.file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_named_by_the_folder_or_by_the_beginning_of_the_file() {
        let broker = |path: &str, kind: &str| broker(Path::new(path), kind);
        assert_eq!(broker("broker-a/verify.json", "verify"), "broker-a");
        assert_eq!(broker("broker-a.verify.json", "verify"), "broker-a");
        assert_eq!(broker("broker-a-1-backup-create.json.zst", "backup.create"), "broker-a-1");
        assert_eq!(broker("broker-a_backup.json", "backup.create"), "broker-a");
        assert_eq!(broker("broker-a.json", "snapshot"), "broker-a");
    }
}
