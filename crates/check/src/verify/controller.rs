//! What controller mode keeps beside the store: `epochFileCheckpoint` and `brokerIdentity`.
//!
//! Both are text of a few lines, written whole with the copy before as `.bak`.

use std::io::ErrorKind;

use super::commitlog::LogFacts;
use super::{Context, finding};
use crate::finding::Location;

/// Larger files are none of a broker's.
const MOST_BYTES: u64 = 16 << 20;

/// Looks at both files, if there are any.
pub(super) fn pass(cx: &mut Context<'_>, log: &LogFacts) {
    if let Some(text) = read(cx, "epochFileCheckpoint") {
        let problem = match epochs(&text) {
            Ok(epochs) => ahead(&epochs, log),
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            let bak = read(cx, "epochFileCheckpoint.bak").is_some_and(|bak| epochs(&bak).is_ok());
            let copy = if bak { "" } else { ", and there is no good .bak" };
            let message = format!("epochFileCheckpoint: {problem}{copy}");
            cx.push(finding("store.epoch-file", Location::path("epochFileCheckpoint"), message));
        }
    }
    for name in ["brokerIdentity", "brokerIdentity-temp"] {
        let Some(text) = read(cx, name) else { continue };
        let text = String::from_utf8_lossy(&text).into_owned();
        let parts: Vec<&str> = text.trim_end().split('#').collect();
        let expected = if name == "brokerIdentity" { 3 } else { 4 };
        let id = parts.get(2).and_then(|id| id.parse::<i64>().ok());
        if parts.len() != expected || parts.iter().any(|part| part.is_empty()) || id.is_none_or(|id| id < 0) {
            let message = format!("{name} holds {} parts and the id {id:?}", parts.len()).to_lowercase();
            let found = finding("store.broker-identity", Location::path(name), message);
            cx.push(found.values("cluster, name and id with # between them", text.trim_end()));
        }
    }
}

fn read(cx: &mut Context<'_>, name: &str) -> Option<Vec<u8>> {
    let path = cx.store.root().join(name);
    let length = std::fs::metadata(&path).map(|metadata| metadata.len());
    let bytes = length.and_then(|length| if length > MOST_BYTES { Ok(Vec::new()) } else { std::fs::read(&path) });
    match bytes {
        Ok(bytes) => {
            cx.report.coverage.files.total += 1;
            cx.report.coverage.files.seen += 1;
            Some(bytes)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            cx.report.skip(name, format!("cannot read it: {error}"));
            None
        }
    }
}

/// Epochs with their first physical offsets: number of lines, CRC of what follows or 0, then `epoch-offset` a line.
fn epochs(bytes: &[u8]) -> Result<Vec<(i64, i64)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is no text".to_owned())?;
    let mut lines = text.splitn(3, '\n');
    let mut number = |what: &str| {
        let line = lines.next().unwrap_or_default().trim_end();
        line.parse::<i64>().map_err(|_| format!("{what} is {line:?}"))
    };
    let (count, crc) = (number("the number of epochs")?, number("the CRC")?);
    let body = lines.next().unwrap_or_default();
    let computed = i64::from(crc32fast::hash(body.as_bytes()) & 0x7FFF_FFFF);
    if crc != 0 && crc != computed {
        return Err(format!("the CRC is {crc}, the lines have {computed}"));
    }
    let mut epochs: Vec<(i64, i64)> = Vec::new();
    for line in body.lines().filter(|line| !line.is_empty()) {
        let epoch = line.split_once('-').and_then(|(epoch, offset)| Some((epoch.parse().ok()?, offset.parse().ok()?)));
        let Some((epoch, offset)) = epoch else { return Err(format!("the line {line:?} is no epoch and offset")) };
        if epochs.last().is_some_and(|(last, start)| epoch <= *last || offset < *start) {
            return Err(format!("epoch {epoch} from {offset} on does not come behind the one before it"));
        }
        epochs.push((epoch, offset));
    }
    if usize::try_from(count) != Ok(epochs.len()) {
        return Err(format!("it counts {count} epochs and has {}", epochs.len()));
    }
    Ok(epochs)
}

/// An epoch that begins behind the end of the log.
fn ahead(epochs: &[(i64, i64)], log: &LogFacts) -> Option<String> {
    let (epoch, start) = epochs.last()?;
    let beyond = log.records > 0 && log.reached_end && *start > i64::try_from(log.end).unwrap_or(i64::MAX);
    beyond.then(|| format!("epoch {epoch} begins at {start}, the log ends at {}", log.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_read_with_and_without_their_crc() {
        // zlib.crc32(b"1-0\n3-1048\n") & 0x7fffffff
        assert_eq!(epochs(b"2\n499820883\n1-0\n3-1048\n"), Ok(vec![(1, 0), (3, 1048)]));
        assert_eq!(epochs(b"1\n0\n7-5\n"), Ok(vec![(7, 5)]));
        assert_eq!(epochs(b"0\n0\n"), Ok(vec![]));
        for bad in [
            &b"2\n1\n1-0\n3-1048\n"[..],
            b"3\n0\n1-0\n3-1048\n",
            b"2\n0\n3-0\n1-1048\n",
            b"1\n0\n1:0\n",
            b"",
            b"\xFF\n0\n",
        ] {
            assert!(epochs(bad).is_err(), "{bad:?}");
        }
    }
}
