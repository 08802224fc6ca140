//! Where an answer or an export goes: standard output, the screen, or a file that is whole or as it
//! was before.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::screen::Screen;
use crate::commands::Failure;

const BUFFER_BYTES: usize = 64 << 10;

/// Where an answer goes. Clones are the same sink.
///
/// Until `complete`, a file is written beside its place under another name; it is removed when that
/// never comes. A device or a pipe is written to as it is.
#[derive(Debug, Clone)]
pub struct Sink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: Target,
    unfinished: Mutex<Option<Unfinished>>,
    bytes: AtomicU64,
    /// The other side does not read any more. It is remembered, because the writers of the formats
    /// turn an I/O error into words.
    hung_up: AtomicBool,
}

#[derive(Debug)]
enum Target {
    Stdout,
    File(PathBuf),
    Screen(Screen),
}

/// A file that does not have its name yet.
#[derive(Debug)]
struct Unfinished {
    written: PathBuf,
    named: PathBuf,
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
        Self(Arc::new(Inner {
            target,
            unfinished: Mutex::default(),
            bytes: AtomicU64::new(0),
            hung_up: AtomicBool::new(false),
        }))
    }

    /// Whether this is a terminal.
    pub fn is_terminal(&self) -> bool {
        match &self.0.target {
            Target::Stdout => io::stdout().is_terminal(),
            Target::File(_) => false,
            Target::Screen(_) => true,
        }
    }

    /// The columns to which this many lines are to be cut; `None` where they are not cut.
    pub fn width(&self, lines: usize) -> Option<usize> {
        match &self.0.target {
            Target::Stdout => super::width(),
            Target::File(_) => None,
            Target::Screen(screen) => Some(screen.width(lines)),
        }
    }

    /// Bytes that were written.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Opens it.
    pub fn open(&self) -> Result<Pipe, Failure> {
        let inner: Box<dyn Write + Send> = match &self.0.target {
            Target::Stdout => Box::new(io::stdout()),
            Target::File(path) => Box::new(self.file(path).map_err(|error| self.failure(&error))?),
            Target::Screen(screen) => Box::new(screen.clone()),
        };
        Ok(Pipe { inner: BufWriter::with_capacity(BUFFER_BYTES, inner), sink: self.clone() })
    }

    fn file(&self, path: &Path) -> io::Result<File> {
        // A link to a file stays one.
        let named = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let permissions = match OpenOptions::new().write(true).open(&named) {
            Ok(there) => {
                let about = there.metadata()?;
                if !about.is_file() {
                    return Ok(there);
                }
                Some(about.permissions())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let (written, file) = create_beside(&named)?;
        *self.0.unfinished() = Some(Unfinished { written, named });
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        Ok(file)
    }

    /// Gives the file its name; everything must have been flushed.
    pub fn complete(&self) -> Result<(), Failure> {
        let mut unfinished = self.0.unfinished();
        if let Some(Unfinished { written, named }) = &*unfinished {
            let synced = File::open(written).and_then(|file| file.sync_all());
            let renamed = synced.and_then(|()| fs::rename(written, named));
            renamed.map_err(|error| self.failure(&error))?;
            *unfinished = None;
        }
        Ok(())
    }

    /// What failed while it was written to.
    pub fn failure(&self, error: &dyn std::fmt::Display) -> Failure {
        if self.0.hung_up.load(Ordering::Relaxed) {
            return Failure::NobodyReads;
        }
        match &self.0.target {
            Target::File(path) => Failure::Because(format!("{}: {error}", path.display())),
            Target::Stdout | Target::Screen(_) => Failure::Because(error.to_string()),
        }
    }
}

impl Inner {
    fn unfinished(&self) -> MutexGuard<'_, Option<Unfinished>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(Unfinished { written, .. }) = &*self.unfinished() {
            drop(fs::remove_file(written));
        }
    }
}

/// A new file in the same folder. Its name has the number of the process, and one more where that
/// is taken: what stands there belongs to somebody else.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let mut name = OsString::from(path.file_name().unwrap_or_default());
        name.push(format!(".{}-{number}.unfinished", std::process::id()));
        let path = path.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// An open sink. Counts the bytes, and notices when nobody reads any more.
pub struct Pipe {
    inner: BufWriter<Box<dyn Write + Send>>,
    sink: Sink,
}

impl Pipe {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            self.sink.0.hung_up.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        let written = self.note(written)?;
        self.sink.0.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.inner.flush();
        self.note(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sinks_of_one_file_do_not_mix_and_the_name_is_given_at_the_end() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a");
        let sinks = [(); 3].map(|()| Sink::new(Some(&path)));
        for (sink, text) in sinks.iter().zip(["first", "second", "third"]) {
            let mut pipe = sink.open().unwrap();
            pipe.write_all(text.as_bytes()).unwrap();
            pipe.flush().unwrap();
            assert!(!path.exists());
        }
        let [first, second, third] = sinks;
        second.complete().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        first.complete().unwrap();
        assert_eq!((fs::read(&path).unwrap(), first.bytes()), (b"first".to_vec(), 5));
        drop((first, second, third));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
