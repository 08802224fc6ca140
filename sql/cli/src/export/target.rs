//! Where an export goes: a file that gets its name when it is complete, or standard output.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use flate2::write::GzEncoder;

use super::format::Compression;
use crate::commands::Failure;

const BUFFER_BYTES: usize = 256 << 10;

/// The file or standard output. Until `complete`, the file has another name; it is removed when
/// that never comes.
#[derive(Debug)]
pub struct Target {
    path: Option<PathBuf>,
    unfinished: Option<PathBuf>,
    counts: Arc<Counts>,
}

/// What went through, and whether the other side hung up: the writers of the formats turn an I/O
/// error into words.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    hung_up: AtomicBool,
}

impl Target {
    /// This file, or standard output.
    pub fn new(path: Option<&Path>) -> Self {
        Self { path: path.map(Path::to_owned), unfinished: None, counts: Arc::default() }
    }

    /// Whether this is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.path.is_none() && io::stdout().is_terminal()
    }

    /// Bytes that were written, compressed.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes.load(Ordering::Relaxed)
    }

    /// Opens it for writing.
    pub fn open(&mut self, compression: Compression) -> Result<Pipe, Failure> {
        let inner: Box<dyn Write + Send> = match &self.path {
            None => Box::new(io::stdout()),
            Some(path) => {
                // A link to a file stays one, and a device or pipe is written to as it is.
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                let about = std::fs::metadata(&path);
                let mut write_to = path.clone();
                if about.is_ok_and(|about| !about.is_file()) {
                    self.unfinished = None;
                } else {
                    let mut name = path.file_name().unwrap_or_default().to_owned();
                    name.push(".unfinished");
                    write_to = path.with_file_name(name);
                    self.unfinished = Some(write_to.clone());
                }
                self.path = Some(path);
                Box::new(File::create(&write_to).map_err(|error| self.failure(&error))?)
            }
        };
        let counted = Counted {
            inner: BufWriter::with_capacity(BUFFER_BYTES, inner),
            counts: self.counts.clone(),
        };
        Ok(match compression {
            Compression::None => Pipe::Plain(counted),
            Compression::Gzip => {
                Pipe::Gzip(GzEncoder::new(counted, flate2::Compression::default()))
            }
            Compression::Zstd => {
                Pipe::Zstd(zstd::Encoder::new(counted, 3).map_err(|error| self.failure(&error))?)
            }
        })
    }

    /// Gives the file its name.
    pub fn complete(&mut self) -> Result<(), Failure> {
        if let (Some(unfinished), Some(path)) = (&self.unfinished, &self.path) {
            let synced = File::open(unfinished).and_then(|file| file.sync_all());
            let renamed = synced.and_then(|()| std::fs::rename(unfinished, path));
            renamed.map_err(|error| self.failure(&error))?;
            self.unfinished = None;
        }
        Ok(())
    }

    /// Why writing failed.
    pub fn failure(&self, error: &dyn std::fmt::Display) -> Failure {
        if self.counts.hung_up.load(Ordering::Relaxed) {
            return Failure::NobodyReads;
        }
        match &self.path {
            Some(path) => Failure::Because(format!("{}: {error}", path.display())),
            None => Failure::Because(error.to_string()),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(unfinished) = &self.unfinished {
            drop(std::fs::remove_file(unfinished));
        }
    }
}

/// An open target, with its compression.
pub enum Pipe {
    Plain(Counted),
    Gzip(GzEncoder<Counted>),
    Zstd(zstd::Encoder<'static, Counted>),
}

impl Pipe {
    /// Writes what is still held back.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(counted) => counted,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        }
        .flush()
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(counted) => counted.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(counted) => counted.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}

/// Counts the bytes, and notices when nobody reads any more.
pub struct Counted {
    inner: BufWriter<Box<dyn Write + Send>>,
    counts: Arc<Counts>,
}

impl Counted {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.counts.hung_up.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        let written = self.note(written)?;
        self.counts.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.note(flushed)
    }
}
