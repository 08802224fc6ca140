//! Where an answer goes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::screen::Screen;
use crate::commands::Failure;

/// Where an answer goes. It remembers whether the other side hung up, because the writers of the
/// formats turn an I/O error into words.
#[derive(Debug, Clone)]
pub struct Sink {
    target: Target,
    hung_up: Arc<AtomicBool>,
}

#[derive(Debug, Clone)]
enum Target {
    Stdout,
    File(PathBuf),
    Screen(Screen),
}

impl Sink {
    /// This file, or standard output.
    pub fn new(path: Option<&Path>) -> Self {
        Self::to(path.map_or(Target::Stdout, |path| Target::File(path.to_owned())))
    }

    /// The terminal, by a pager where the answer is long.
    pub fn screen(screen: &Screen) -> Self {
        Self::to(Target::Screen(screen.clone()))
    }

    fn to(target: Target) -> Self {
        Self { target, hung_up: Arc::default() }
    }

    /// Whether this is a terminal.
    pub fn is_terminal(&self) -> bool {
        match &self.target {
            Target::Stdout => io::stdout().is_terminal(),
            Target::File(_) => false,
            Target::Screen(_) => true,
        }
    }

    /// The columns to which this many lines are to be cut; `None` where they are not cut.
    pub fn width(&self, lines: usize) -> Option<usize> {
        match &self.target {
            Target::Stdout => super::width(),
            Target::File(_) => None,
            Target::Screen(screen) => Some(screen.width(lines)),
        }
    }

    /// Opens it.
    pub fn open(&self) -> Result<Pipe, Failure> {
        let inner: Box<dyn Write + Send> = match &self.target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(
                File::create(path).map_err(|error| format!("{}: {error}", path.display()))?,
            ),
            Target::Screen(screen) => Box::new(screen.clone()),
        };
        Ok(Pipe { inner: io::BufWriter::with_capacity(64 << 10, inner), sink: self.clone() })
    }

    /// Takes away a file whose answer was not finished.
    pub fn discard(&self) {
        if let Target::File(path) = &self.target {
            drop(std::fs::remove_file(path));
        }
    }

    /// What failed while it was written to.
    pub fn failure(&self, error: &impl std::fmt::Display) -> Failure {
        if self.hung_up.load(Ordering::Relaxed) {
            return Failure::NobodyReads;
        }
        match &self.target {
            Target::File(path) => Failure::Because(format!("{}: {error}", path.display())),
            Target::Stdout | Target::Screen(_) => Failure::Because(error.to_string()),
        }
    }
}

/// An open sink.
pub struct Pipe {
    inner: io::BufWriter<Box<dyn Write + Send>>,
    sink: Sink,
}

impl Pipe {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.sink.hung_up.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.note(flushed)
    }
}
