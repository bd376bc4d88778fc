//! The documents of a folder: which broker each is about, and what it says in the end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mqstore_check::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// What a document may unpack to; a snapshot of ten thousand queues and a million offsets has 30 MB.
const LONGEST: u64 = 1 << 30;

/// One document.
#[derive(Debug)]
pub(super) struct Document {
    /// The broker that it is about: the folder that it lies in, or the beginning of its name.
    pub(super) broker: String,
    /// Path below the folder of the fleet.
    pub(super) file: String,
    /// `verify`, `backup.create`, `snapshot`, …
    pub(super) kind: String,
    pub(super) generated_at: Option<jiff::Timestamp>,
    pub(super) exit: Option<(u8, String)>,
    pub(super) content: Content,
}

/// What else is asked of a document, by its kind.
#[derive(Debug)]
pub(super) enum Content {
    Snapshot(anyhow::Result<Box<Snapshot>>),
    Diff(Value),
    Other,
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

/// What every document begins with; members of another form than ours are as good as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head {
    schema: Value,
    generated_at: Value,
    exit: Value,
}

fn document(path: &Path, below: &Path) -> anyhow::Result<Document> {
    let text = text(path)?;
    let head: Head = serde_json::from_slice(&text).context("is no JSON document")?;
    let schema = head.schema.as_str().unwrap_or_default();
    let kind =
        schema.strip_prefix("mqstore.").with_context(|| format!("its schema is {schema:?}, expected mqstore.…"))?;
    let code = head.exit.get("code").and_then(Value::as_u64).and_then(|code| u8::try_from(code).ok());
    let reason = head.exit.get("reason").and_then(Value::as_str).unwrap_or_default();
    let file = below.display().to_string();
    let content = match kind {
        "snapshot" => {
            Content::Snapshot(Snapshot::from_reader(text.as_slice()).map(Box::new).with_context(|| file.clone()))
        }
        "diff" => Content::Diff(serde_json::from_slice(&text)?),
        _ => Content::Other,
    };
    Ok(Document {
        broker: broker(below, kind),
        file,
        kind: kind.to_owned(),
        generated_at: head.generated_at.as_str().and_then(|text| text.parse().ok()),
        exit: code.map(|code| (code, reason.to_owned())),
        content,
    })
}

/// The text of a document, unpacked.
fn text(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut input = BufReader::new(File::open(path)?);
    let mut text = Vec::new();
    if input.fill_buf()?.starts_with(&ZSTD_MAGIC) {
        zstd::Decoder::with_buffer(input)?.take(LONGEST).read_to_end(&mut text)?;
    } else {
        input.take(LONGEST).read_to_end(&mut text)?;
    }
    Ok(text)
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
