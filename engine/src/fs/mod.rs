//! The disk: all file I/O of the store goes through `trait Fs`, so that a test can crash, fail or
//! fill the disk at any call.
//!
//! | file | holds |
//! |---|---|
//! | real | the operating system's files; the only place that names `std::fs` |
//! | memory | `MemoryFs`: a disk in memory that knows what was synced, with crashes and faults |
//! | names | every file name of a store |
//! | buffer | memory that many threads take and few give back |
//! | blob | `Blob`: checked reads of a sealed file |

mod blob;
mod buffer;
mod memory;
pub mod names;
mod real;

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

pub use self::blob::{BLOCK_BYTES, Blob, BlockTable};
pub use self::buffer::Buffer;
pub use self::memory::{CrashModel, Fault, MemoryFs};
pub use self::real::RealFs;
use crate::error::Result;

/// A file system. Paths are absolute or relative to the process, as the user gave them.
///
/// ```
/// use std::path::Path;
/// use amida::{Fs, MemoryFs};
///
/// # fn main() -> amida::Result<()> {
/// let disk = MemoryFs::new();
/// disk.create_dir_all(Path::new("/a"))?;
/// disk.create(Path::new("/a/b"))?.write_all_at(b"bytes", 0)?;
/// assert_eq!(disk.list(Path::new("/a"))?, ["b"]);
/// # Ok(())
/// # }
/// ```
pub trait Fs: Send + Sync + Debug {
    /// Makes a directory and those above it; the directories that were made and the one around them
    /// are synced. Private to the user (mode 0700).
    fn create_dir_all(&self, dir: &Path) -> Result<()>;
    /// Makes a new file (mode 0600) for writing and reading; fails with `AlreadyExists`.
    fn create(&self, path: &Path) -> Result<Box<dyn File>>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> Result<Box<dyn File>>;
    /// Opens an existing file for reading and writing.
    fn open_write(&self, path: &Path) -> Result<Box<dyn File>>;
    /// The whole content of a sealed file, which nobody will ever change; mapped where it can be.
    fn map(&self, path: &Path) -> Result<Bytes>;
    /// Renames a file within one directory tree, replacing what stands at `to`. Durable only after
    /// `sync_dir` of the directories.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Gives a file a second name on the same disk; fails with `AlreadyExists`.
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()>;
    /// Unlinks a file.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Makes creations, renames and removals in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Names of the files and folders in a directory, sorted.
    fn list(&self, dir: &Path) -> Result<Vec<String>>;
    /// Whether there is a file or directory.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// The path that these names stand for, as far as it exists: without symbolic links.
    fn resolve(&self, path: &Path) -> Result<std::path::PathBuf> {
        Ok(path.to_owned())
    }
    /// Free bytes for this user on the disk of a directory.
    fn free_bytes(&self, dir: &Path) -> Result<u64>;
    /// What kind of file system a directory is on when locks and syncs may not be kept there,
    /// because a network or another process stands between: `NFS`, `SMB`, `9p`, `FUSE`, ...;
    /// `None` for a local disk.
    fn network(&self, dir: &Path) -> Result<Option<&'static str>>;
    /// Takes the writer's lock: makes the file if needed, locks it and writes the process id into
    /// it. The lock is free again when the value is dropped or the process ends.
    ///
    /// # Errors
    /// `Locked` when another writer has it, in this or another process.
    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>>;
}

/// An open file. Reads and writes name their offset.
///
/// ```
/// use std::path::Path;
/// use amida::{File, Fs, MemoryFs};
///
/// # fn main() -> amida::Result<()> {
/// let file: Box<dyn File> = MemoryFs::new().create(Path::new("/a"))?;
/// file.write_all_at(b"bytes", 0)?;
/// file.sync_data()?;
/// assert_eq!(file.len()?, 5);
/// # Ok(())
/// # }
/// ```
#[allow(clippy::len_without_is_empty)] // a length that may fail is no container's
pub trait File: Send + Sync + Debug {
    /// Writes all bytes at an offset.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()>;
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
    /// Length in bytes.
    fn len(&self) -> Result<u64>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Extends the file with zeros to at least `len`, taking the disk space now; does nothing where
    /// the disk cannot.
    fn allocate(&self, len: u64) -> Result<()>;
    /// Returns once everything written so far is on stable storage. After an error nobody knows
    /// what is, and a later success says nothing about it.
    fn sync_data(&self) -> Result<()>;
    /// Asks the system to read the file from the disk again, where it can: after a failed sync it
    /// may hold bytes that are not there.
    fn forget_cache(&self) -> Result<()>;
}

/// The writer's lock; dropping it frees it.
///
/// ```
/// use std::path::Path;
/// use amida::{Error, Fs, Lock, MemoryFs};
///
/// # fn main() -> amida::Result<()> {
/// let disk = MemoryFs::new();
/// let held: Box<dyn Lock> = disk.lock(Path::new("/LOCK"))?;
/// assert!(matches!(disk.lock(Path::new("/LOCK")), Err(Error::Locked { .. })));
/// drop(held);
/// assert!(disk.lock(Path::new("/LOCK")).is_ok());
/// # Ok(())
/// # }
/// ```
pub trait Lock: Send + Sync + Debug {}

/// Reads a whole file by bounded reads; for small files.
///
/// # Errors
/// `Io`; `Invalid` when the file is larger than `bytes_max`.
pub fn read_all(fs: &dyn Fs, path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let file = fs.open(path)?;
    let len = file.len()?;
    if len > bytes_max {
        return Err(crate::error::Error::corrupt(
            path,
            bytes_max,
            format!("the file has {len} bytes, more than the {bytes_max} it may have"),
        ));
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Copies these bytes of a file, as far as it goes, to the beginning of a new one; where the last
/// byte that is not zero ends there. Reads piece by piece and does not write zeros: a damaged file
/// may claim any length. The caller sets the length of the copy and syncs it.
///
/// # Errors
/// `Io`.
pub fn copy_range(from: &dyn File, range: Range<u64>, to: &dyn File) -> Result<u64> {
    const PIECE_BYTES: u64 = 1 << 20;
    let mut buffer = Vec::new();
    let (mut at, mut used) = (range.start, 0);
    while at < range.end {
        let want = PIECE_BYTES.min(range.end - at);
        buffer.resize(usize::try_from(want).unwrap_or(0), 0);
        let read = from.read_at(&mut buffer, at)?;
        let piece = buffer.get(..read).unwrap_or_default();
        if let Some(last) = piece.iter().rposition(|byte| *byte != 0) {
            let offset = at - range.start;
            to.write_all_at(piece.get(..=last).unwrap_or_default(), offset)?;
            used = offset + last as u64 + 1;
        }
        at += read as u64;
        if (read as u64) < want {
            break;
        }
    }
    Ok(used)
}

/// Writes a new file so that it is there whole or not at all: write `<path>.tmp`, sync, rename,
/// sync the directory.
///
/// # Errors
/// `Io`. The temporary file may stay; opening a store removes it.
pub fn create_durably(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> Result<()> {
    let tmp = names::tmp(path);
    if fs.exists(&tmp)? {
        fs.remove(&tmp)?;
    }
    let file = fs.create(&tmp)?;
    file.write_all_at(bytes, 0)?;
    if !planted!("renamed_before_sync") {
        file.sync_data()?;
    }
    fs.rename(&tmp, path)?;
    if planted!("renamed_before_sync") {
        file.sync_data()?;
    }
    if planted!("names_not_synced") {
        return Ok(());
    }
    fs.sync_dir(names::around(path))
}
