//! The operating system's files. Calls that a signal can interrupt are tried again: std does so for
//! opening, writing, syncing and lengths, this file for the rest.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // the one room that may

use std::fs::{DirBuilder, File as StdFile, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::io::retry_on_intr;

use super::names::around;
use super::{File, Fs, Lock};
use crate::error::{Error, Result};

/// The operating system's files.
///
/// ```
/// use std::sync::Arc;
/// use amida::{Options, RealFs};
///
/// let options = Options::default().fs(Arc::new(RealFs)); // the default
/// ```
#[derive(Debug, Default)]
pub struct RealFs;

fn at<T>(path: &Path, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|e| Error::io(path, &e))
}

impl Fs for RealFs {
    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        if dir.is_dir() {
            return Ok(());
        }
        let parent = around(dir);
        if parent != dir && !parent.exists() {
            self.create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            made => at(dir, made).and_then(|()| self.sync_dir(parent)),
        }
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        Ok(Box::new(RealFile { file: at(path, options.open(path))?, path: path.to_owned() }))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn File>> {
        let file = at(path, StdFile::open(path))?;
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }

    fn open_write(&self, path: &Path) -> Result<Box<dyn File>> {
        let file = at(path, OpenOptions::new().read(true).write(true).open(path))?;
        Ok(Box::new(RealFile { file, path: path.to_owned() }))
    }

    #[allow(unsafe_code)]
    fn map(&self, path: &Path) -> Result<Bytes> {
        let file = at(path, StdFile::open(path))?;
        if at(path, file.metadata())?.len() == 0 {
            return Ok(Bytes::new());
        }
        // SAFETY: only sealed files are mapped. The store never changes or cuts such a file; it
        // replaces by rename and removes by unlink, and both leave an existing map as it is.
        let map = at(path, unsafe { memmap2::Mmap::map(&file) })?;
        Ok(Bytes::from_owner(map))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        at(from, std::fs::rename(from, to))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        std::fs::hard_link(from, to).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists => Error::io(to, &e),
            _ => Error::io(from, &e),
        })
    }

    fn remove(&self, path: &Path) -> Result<()> {
        at(path, std::fs::remove_file(path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        at(dir, StdFile::open(dir).and_then(|d| d.sync_all()))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in at(dir, std::fs::read_dir(dir))? {
            // A name that is not UTF-8 is none of ours.
            names.extend(at(dir, entry)?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        at(path, path.try_exists())
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf> {
        match path.canonicalize() {
            Err(e) if e.kind() == ErrorKind::NotFound && around(path) != path => {
                let name = path.file_name().unwrap_or_default();
                Ok(self.resolve(around(path))?.join(name))
            }
            resolved => at(path, resolved),
        }
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let stat = at(dir, retry_on_intr(|| rustix::fs::statvfs(dir)).map_err(Into::into))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn network(&self, dir: &Path) -> Result<Option<&'static str>> {
        let stat = at(dir, retry_on_intr(|| rustix::fs::statfs(dir)).map_err(Into::into))?;
        // The field's type differs between machines; the numbers have 32 bits.
        Ok(network_kind(stat.f_type as u32))
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = at(path, options.open(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if planted!("lock_ignored") => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and(text.trim().parse().ok());
                return Err(Error::Locked { path: around(path).to_owned(), pid });
            }
            Err(TryLockError::Error(e)) => return Err(Error::io(path, &e)),
        }
        // The process id is only for the message above; the kernel's lock is what counts, and a
        // full disk may refuse even that much.
        let told = file.set_len(0).and_then(|()| file.rewind());
        if let Err(error) = told.and_then(|()| writeln!(file, "{}", std::process::id())) {
            tracing::warn!(target: "amida::store", %error, "LOCK does not say who holds it");
        }
        Ok(Box::new(RealLock { file }))
    }
}

/// Linux's numbers of file systems that are not a local disk (`man 2 statfs`).
fn network_kind(number: u32) -> Option<&'static str> {
    match number {
        0x6969 => Some("NFS"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("SMB"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("FUSE"),
        0x5346_414f | 0x6b41_4653 => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x7375_7245 => Some("Coda"),
        0x786f_4256 => Some("vboxsf"),
        _ => None,
    }
}

/// Dropping it frees the kernel's lock. Closing the file is not enough: a process that this one
/// is starting has a copy of it for a while, which keeps the lock.
#[derive(Debug)]
struct RealLock {
    file: StdFile,
}

impl Lock for RealLock {}

impl Drop for RealLock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(target: "amida::store", %error, "the lock is freed when the file is");
        }
    }
}

#[derive(Debug)]
struct RealFile {
    file: StdFile,
    path: PathBuf,
}

impl File for RealFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        at(&self.path, self.file.write_all_at(bytes, offset))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::io(&self.path, &e)),
            }
        }
        Ok(done)
    }

    fn len(&self) -> Result<u64> {
        at(&self.path, self.file.metadata()).map(|m| m.len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        at(&self.path, self.file.set_len(len))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        use rustix::io::Errno;
        let flags = rustix::fs::FallocateFlags::empty();
        match retry_on_intr(|| rustix::fs::fallocate(&self.file, flags, 0, len)) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(e) => Err(Error::io(&self.path, &e.into())),
        }
    }

    fn sync_data(&self) -> Result<()> {
        at(&self.path, self.file.sync_data())
    }

    fn forget_cache(&self) -> Result<()> {
        // A file system without a cache, or without this call, has nothing to forget.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
        Ok(())
    }
}
