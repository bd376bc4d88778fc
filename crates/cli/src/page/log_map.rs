//! What the map of the log shows beyond a document: its files, and when they begin.

use mqstore_core::PhysicalOffset;
use mqstore_core::store::Store;
use serde_json::Value;

/// The files of a log, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogMap {
    pub(crate) files: Vec<LogFile>,
    /// Where the log ends, in bytes of the whole log.
    pub(crate) end: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) name: String,
    /// Physical offset of its first byte.
    pub(crate) from: u64,
    pub(crate) length: u64,
    /// Store time of its first record, in milliseconds since the epoch.
    pub(crate) begins: Option<i64>,
}

impl LogMap {
    /// Reads the first record of each file. What cannot be read is left out of the picture: the findings tell.
    pub(crate) fn of(store: &Store) -> Self {
        let log = store.commitlog();
        let files = log.files().iter().map(|file| LogFile {
            name: file.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            from: file.file_from_offset,
            length: file.length,
            begins: log
                .with_record(PhysicalOffset(file.file_from_offset), |record| record.store_timestamp)
                .ok()
                .flatten(),
        });
        Self { files: files.collect(), end: log.end().map_or(0, |end| end.offset.get()) }
    }
}

/// Where findings lie in the log: physical offset and severity.
pub(super) fn marks(document: &Value, map: &LogMap) -> Vec<(u64, String)> {
    let mut marks = Vec::new();
    for finding in document.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let Some(path) = finding.pointer("/location/path").and_then(Value::as_str) else { continue };
        let offset = finding.pointer("/location/offset").and_then(Value::as_u64).unwrap_or(0);
        let severity = finding.get("severity").and_then(Value::as_str).unwrap_or("info");
        let file = path.rsplit('/').next().unwrap_or(path);
        if let Some(file) = map.files.iter().find(|known| known.name == file && path.contains("commitlog")) {
            marks.push((file.from + offset.min(file.length), severity.to_owned()));
        }
    }
    marks
}
