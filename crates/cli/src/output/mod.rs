//! Where an answer goes, and its two forms.

pub(crate) mod also;
mod fold;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod record;
mod textfile;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use fold::Folding;
pub(crate) use fold::{columns, fold};

const BUFFER: usize = 256 << 10;

/// Standard output, locked and buffered; or a file that gets its name when it is complete.
#[derive(Debug)]
pub(crate) struct Output(BufWriter<Target>);

#[derive(Debug)]
enum Target {
    Stdout(StdoutLock<'static>),
    Terminal(Folding),
    File(PartialFile),
}

impl Output {
    /// `None` and `-` are standard output; on a terminal, lines of text for people are folded to its width.
    pub(crate) fn open(path: Option<&Path>, is_text: bool) -> anyhow::Result<Self> {
        let target = if let Some(path) = path.filter(|path| *path != Path::new("-")) {
            Target::File(PartialFile::create(path)?)
        } else {
            let stdout = io::stdout().lock();
            let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
            match width.filter(|width| is_text && *width > 0 && stdout.is_terminal()) {
                Some(width) => Target::Terminal(Folding::new(stdout, width)),
                None => Target::Stdout(stdout),
            }
        };
        Ok(Self(BufWriter::with_capacity(BUFFER, target)))
    }

    /// Standard output keeps what was written to it; a file is removed.
    pub(crate) fn abandon(self) -> anyhow::Result<()> {
        match self.0.into_inner().map_err(io::IntoInnerError::into_error)? {
            Target::Stdout(mut stdout) => Ok(stdout.flush()?),
            Target::Terminal(mut folding) => Ok(folding.flush()?),
            Target::File(_) => Ok(()),
        }
    }

    /// Writes out what is buffered; a file gets its name.
    pub(crate) fn commit(self) -> anyhow::Result<()> {
        match self.0.into_inner().map_err(io::IntoInnerError::into_error)? {
            Target::Stdout(mut stdout) => Ok(stdout.flush()?),
            Target::Terminal(mut folding) => Ok(folding.flush()?),
            Target::File(file) => file.commit(),
        }
    }
}

impl Write for Output {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Terminal(folding) => folding.write(bytes),
            Self::File(file) => file.file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::Terminal(folding) => folding.flush(),
            Self::File(file) => file.file.flush(),
        }
    }
}

/// A file under the name `NAME.partial` until it is complete; removed if it never is.
#[derive(Debug)]
struct PartialFile {
    file: File,
    partial: PathBuf,
    path: PathBuf,
    committed: bool,
}

impl PartialFile {
    fn create(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_name().with_context(|| format!("{} is no file name", path.display()))?;
        let mut partial = name.to_os_string();
        partial.push(".partial");
        let partial = path.with_file_name(partial);
        // A partial file that is there already belongs to another run, or to one that was killed: not ours to replace.
        let file = File::options().write(true).create_new(true).open(&partial);
        let file = file.with_context(|| format!("cannot create {}", partial.display()))?;
        Ok(Self { file, partial, path: path.to_path_buf(), committed: false })
    }

    fn commit(mut self) -> anyhow::Result<()> {
        self.file.sync_all().with_context(|| format!("cannot sync {}", self.partial.display()))?;
        std::fs::rename(&self.partial, &self.path)
            .with_context(|| format!("cannot rename {} to {}", self.partial.display(), self.path.display()))?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nobody is left to tell; the name says what the file is.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}
