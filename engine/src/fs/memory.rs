//! `MemoryFs`: a disk in memory that knows what was synced. It can show what power loss at this
//! moment may leave (`crash`), fail any call (`fail_after`) and be full (`limit_bytes`).
//!
//! What it promises is what POSIX does and no more: bytes of a file are safe after `sync_data`,
//! names after `sync_dir` of their directory; a synced file whose name was not synced may be gone,
//! and a synced name may lead to a file without its bytes. A rename never loses the file.
//!
//! A sync that fails is worse than none, as on Linux: what was to be synced is read as before, but
//! no later sync makes it safe, and after power loss any of it may be there. `forget_cache` shows
//! what the disk has of it: here, nothing. A directory whose sync fails stays as unsynced as it
//! was: a file system with a journal either keeps the change for the next sync, or fails for good.
//!
//! | file | holds |
//! |---|---|
//! | memory | the disk as `trait Fs` sees it |
//! | memory/fault | how a call fails |
//! | memory/disk | names, what was synced of them, the fault that is armed |
//! | memory/file | an open file, a lock |
//! | memory/inode | one file: its bytes, the synced bytes and what lies between |
//! | memory/crash | the disk after power loss |

mod crash;
mod disk;
mod fault;
mod file;
mod inode;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use self::crash::CrashModel;
use self::disk::{Call, Dir, Disk, Node, fail, locked, normal, split};
use self::fault::Armed;
pub use self::fault::Fault;
use self::file::{MemoryFile, MemoryLock};
use super::{File, Fs, Lock};
use crate::error::{Error, Result};
use crate::sync::{Arc, Mutex};

/// A disk in memory. Clones are handles of the same disk.
///
/// ```
/// use std::sync::Arc;
/// use amida::{CrashModel, MemoryFs, Store};
///
/// # fn main() -> amida::Result<()> {
/// let disk = MemoryFs::new();
/// let store = Store::options().fs(Arc::new(disk.clone())).open("/traces.amida")?;
/// // The power fails: a store on what is left of the disk has what was acknowledged.
/// let after = disk.crash(CrashModel::LoseUnsynced);
/// let again = Store::options().fs(Arc::new(after)).open("/traces.amida")?;
/// assert_eq!(again.snapshot().span_count(), store.snapshot().span_count());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryFs {
    disk: Arc<Mutex<Disk>>,
}

impl Default for MemoryFs {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryFs {
    /// An empty disk without a limit.
    pub fn new() -> Self {
        let mut disk = Disk::default();
        disk.dirs.insert(PathBuf::from("/"), Dir::default());
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// The disk as it may be after power loss now. Nobody holds a lock there, no fault is armed;
    /// the limit is the same.
    pub fn crash(&self, model: CrashModel) -> Self {
        let disk = crash::after(&locked(&self.disk), model);
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Calls that changed the disk, or tried to, since it was made.
    pub fn calls(&self) -> u64 {
        locked(&self.disk).calls
    }

    /// Calls since it was made, those that only read among them.
    pub fn calls_of_any_kind(&self) -> u64 {
        locked(&self.disk).calls_of_any_kind
    }

    /// Lets this many of the calls that the fault is about through, then fails the next one, or all
    /// further ones. As a failed call changes nothing, a fault for good keeps the disk as it is:
    /// with `crash`, a test sees the disk of a process that died at any call.
    pub fn fail_after(&self, calls: u64, fault: Fault) {
        let mut disk = locked(&self.disk);
        disk.armed = Some(Armed { fault, calls_left: calls });
        disk.last_fault = None;
    }

    /// Takes the fault away.
    pub fn heal(&self) {
        locked(&self.disk).armed = None;
    }

    /// The first call that failed by a fault since `fail_after`, for messages of tests.
    pub fn last_fault(&self) -> Option<String> {
        locked(&self.disk).last_fault.clone()
    }

    /// The disk holds this many bytes of files; more fails with `StorageFull`. `None`: any number.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        locked(&self.disk).limit_bytes = limit;
    }

    /// Bytes of all files.
    pub fn used_bytes(&self) -> u64 {
        locked(&self.disk).used_bytes()
    }

    /// The disk calls itself a network file system of this kind, or a local one.
    pub fn pretend_network(&self, kind: Option<&'static str>) {
        locked(&self.disk).network = kind;
    }

    fn handle(&self, path: &Path, writable: bool) -> Result<Box<dyn File>> {
        let inode = locked(&self.disk).file(path)?;
        let disk = Arc::clone(&self.disk);
        Ok(Box::new(MemoryFile { disk, inode, path: path.to_owned(), writable }))
    }
}

impl Fs for MemoryFs {
    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        let full = normal(dir);
        let mut parts: Vec<&Path> = full.ancestors().collect();
        parts.reverse();
        for (around, part) in parts.iter().zip(parts.iter().skip(1)) {
            let mut disk = locked(&self.disk);
            match disk.node(part) {
                Some(Node::Dir) => continue,
                Some(Node::File(_)) => return fail(dir, ErrorKind::AlreadyExists),
                None => {}
            }
            disk.enter(Call::MakeDir, dir)?;
            disk.set(part, Some(Node::Dir))?;
            disk.dirs.insert(part.to_path_buf(), Dir::default());
            drop(disk);
            self.sync_dir(around)?;
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> Result<Box<dyn File>> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Create, path)?;
        if disk.node(path).is_some() {
            return fail(path, ErrorKind::AlreadyExists);
        }
        disk.set(path, Some(Node::File(Arc::default())))?;
        drop(disk);
        self.handle(path, true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn File>> {
        locked(&self.disk).enter(Call::Open, path)?;
        self.handle(path, false)
    }

    fn open_write(&self, path: &Path) -> Result<Box<dyn File>> {
        locked(&self.disk).enter(Call::Open, path)?;
        self.handle(path, true)
    }

    fn map(&self, path: &Path) -> Result<Bytes> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Map, path)?;
        let inode = disk.file(path)?;
        let bytes = locked(&inode).share();
        Ok(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Rename, from)?;
        let node = Node::File(disk.file(from)?);
        let ((from_dir, from_name), (to_dir, to_name)) = (split(from)?, split(to)?);
        disk.dir(&to_dir, from)?;
        if matches!(disk.node(to), Some(Node::Dir)) {
            return fail(from, ErrorKind::IsADirectory);
        }
        let id = disk.op();
        if from_dir == to_dir {
            let sets = vec![(from_name, None), (to_name, Some(node))];
            disk.dir(&from_dir, from)?.change(id, sets);
        } else {
            disk.dir(&to_dir, from)?.change(id, vec![(to_name, Some(node))]);
            disk.dir(&from_dir, from)?.change(id, vec![(from_name, None)]);
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Link, from)?;
        let node = Node::File(disk.file(from)?);
        if disk.node(to).is_some() {
            return fail(to, ErrorKind::AlreadyExists);
        }
        disk.set(to, Some(node))
    }

    fn remove(&self, path: &Path) -> Result<()> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Remove, path)?;
        disk.file(path)?;
        disk.set(path, None)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::SyncDir, dir)?;
        disk.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::List, dir)?;
        Ok(disk.dir(&normal(dir), dir)?.current.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Exists, path)?;
        Ok(disk.dirs.contains_key(&normal(path)) || disk.node(path).is_some())
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::FreeBytes, dir)?;
        disk.dir(&normal(dir), dir)?;
        Ok(disk.free_bytes())
    }

    fn network(&self, dir: &Path) -> Result<Option<&'static str>> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Network, dir)?;
        disk.dir(&normal(dir), dir)?;
        Ok(disk.network)
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn Lock>> {
        let mut disk = locked(&self.disk);
        disk.enter(Call::Lock, path)?;
        if disk.node(path).is_none() {
            disk.set(path, Some(Node::File(Arc::default())))?;
        }
        let pid = std::process::id();
        if !disk.locks.insert(normal(path)) {
            let around = path.parent().unwrap_or(Path::new(".")).to_owned();
            return Err(Error::Locked { path: around, pid: Some(pid) });
        }
        let inode = disk.file(path)?;
        locked(&inode).set_len(0);
        locked(&inode).write(format!("{pid}\n").as_bytes(), 0);
        let path = normal(path);
        Ok(Box::new(MemoryLock { disk: Arc::clone(&self.disk), path }))
    }
}

#[cfg(test)]
mod tests;
