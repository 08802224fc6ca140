//! `Tap`: a disk that tells of every call before it is made, and may refuse it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use amida::{File, Fs, Lock, Result};
use bytes::Bytes;

type Told = Arc<dyn Fn(&'static str, &Path) -> Result<()> + Send + Sync>;

/// A disk behind which stands another.
#[derive(Clone)]
pub struct Tap {
    fs: Arc<dyn Fs>,
    told: Told,
}

impl Tap {
    /// `told` hears the name of each call and its path; where it fails, the call is not made.
    pub fn new(
        fs: Arc<dyn Fs>,
        told: impl Fn(&'static str, &Path) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { fs, told: Arc::new(told) }
    }

    fn file(&self, path: &Path, file: Result<Box<dyn File>>) -> Result<Box<dyn File>> {
        let (path, told) = (path.to_owned(), self.told.clone());
        Ok(Box::new(TappedFile { file: file?, path, told }))
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tap").field(&self.fs).finish()
    }
}

impl Fs for Tap {
    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        (self.told)("create_dir_all", dir)?;
        self.fs.create_dir_all(dir)
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        (self.told)("create", path)?;
        self.file(path, self.fs.create(path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn File>> {
        (self.told)("open", path)?;
        self.file(path, self.fs.open(path))
    }

    fn open_write(&self, path: &Path) -> Result<Box<dyn File>> {
        (self.told)("open_write", path)?;
        self.file(path, self.fs.open_write(path))
    }

    fn map(&self, path: &Path) -> Result<Bytes> {
        (self.told)("map", path)?;
        self.fs.map(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        (self.told)("rename", from)?;
        self.fs.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        (self.told)("hard_link", from)?;
        self.fs.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        (self.told)("remove", path)?;
        self.fs.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        (self.told)("sync_dir", dir)?;
        self.fs.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        (self.told)("list", dir)?;
        self.fs.list(dir)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        (self.told)("exists", path)?;
        self.fs.exists(path)
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        (self.told)("free_bytes", dir)?;
        self.fs.free_bytes(dir)
    }

    fn network(&self, dir: &Path) -> Result<Option<&'static str>> {
        (self.told)("network", dir)?;
        self.fs.network(dir)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        (self.told)("lock", path)?;
        self.fs.lock(path)
    }
}

struct TappedFile {
    file: Box<dyn File>,
    path: PathBuf,
    told: Told,
}

impl fmt::Debug for TappedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TappedFile").field(&self.path).finish()
    }
}

impl File for TappedFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        (self.told)("write_all_at", &self.path)?;
        self.file.write_all_at(bytes, offset)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        (self.told)("read_at", &self.path)?;
        self.file.read_at(buffer, offset)
    }

    fn len(&self) -> Result<u64> {
        (self.told)("len", &self.path)?;
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        (self.told)("set_len", &self.path)?;
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        (self.told)("allocate", &self.path)?;
        self.file.allocate(len)
    }

    fn sync_data(&self) -> Result<()> {
        (self.told)("sync_data", &self.path)?;
        self.file.sync_data()
    }

    fn forget_cache(&self) -> Result<()> {
        (self.told)("forget_cache", &self.path)?;
        self.file.forget_cache()
    }
}
