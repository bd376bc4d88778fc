//! `SHA256SUMS`, as `sha256sum -c` reads it.
//!
//! One line a file: 64 hexadecimal digits, two spaces, the name. A backslash in a name is doubled and the line then
//! starts with one, as GNU has it. Lines that start with `#` are comments: such a line names each file that is left out, and
//! of an incremental archive each file that an earlier one holds, with what would be its line. So what was put together from
//! several archives can be checked, too: `sed -n 's/^# not stored here but in [^:]*: //p' SHA256SUMS | sha256sum -c`.

use std::collections::BTreeMap;

/// Starts the comment that names a file left out.
const LEFT_OUT: &str = "# not listed, more than nine tenths of it is hole: ";

/// The first line of an incremental archive.
const NOT_THE_WHOLE: &str = "# this archive alone is not the whole: see \"since\" in manifest.json\n";

/// Writes the lines.
#[derive(Debug, Default)]
pub(crate) struct SumsWriter {
    text: String,
}

impl SumsWriter {
    /// For an archive that refers to earlier ones.
    pub(crate) fn incremental() -> Self {
        Self { text: NOT_THE_WHOLE.to_owned() }
    }

    /// A file that the earlier archive with this id holds.
    pub(crate) fn elsewhere(&mut self, backup_id: &str, digest: &str, name: &str) {
        self.text.push_str("# not stored here but in ");
        self.text.push_str(backup_id);
        self.text.push_str(": ");
        self.line(digest, name);
    }

    pub(crate) fn line(&mut self, digest: &str, name: &str) {
        if name.contains('\\') {
            self.text.push('\\');
        }
        self.text.push_str(digest);
        self.text.push_str("  ");
        self.text.push_str(&name.replace('\\', "\\\\"));
        self.text.push('\n');
    }

    pub(crate) fn left_out(&mut self, name: &str) {
        self.text.push_str(LEFT_OUT);
        self.text.push_str(name);
        self.text.push('\n');
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// Reads the lines: digest by name, or the number of the line that is wrong and why.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, (usize, &'static str)> {
    let mut sums = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        let wrong = |why| (number + 1, why);
        let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |line| (true, line));
        let (digest, name) = line.split_once("  ").ok_or_else(|| wrong("is no digest and name"))?;
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)) {
            return Err(wrong("has no SHA-256"));
        }
        let name = if escaped { name.replace("\\\\", "\\") } else { name.to_owned() };
        if sums.insert(name, digest.to_owned()).is_some() {
            return Err(wrong("names a file again"));
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_as_written_and_comments_do_not() {
        let mut writer = SumsWriter::default();
        let digest = "0123456789abcdef".repeat(4);
        writer.line(&digest, "store/a  b");
        writer.line(&digest, "store/back\\slash");
        writer.left_out("store/timerwheel");
        let sums = parse(&writer.finish()).unwrap();
        assert_eq!(sums.keys().collect::<Vec<_>>(), ["store/a  b", "store/back\\slash"]);
        assert!(parse("zz  x").is_err());
        assert!(parse(&format!("{digest}  x\n{digest}  x\n")).is_err());
    }
}
