//! `MemoryFs`: a disk in memory that knows what was synced. It can show what power loss at this
//! moment may leave (`crash`), fail any call (`fail_after`) and be full (`limit_bytes`).
//!
//! What it promises is what POSIX does and no more: bytes of a file are safe after `sync_data`, names
//! after `sync_dir` of their directory; a synced file whose name was not synced may be gone, and a
//! synced name may lead to a file without its bytes. A rename never loses the file.
//!
//! | file | holds |
//! |---|---|
//! | memory | the disk as `trait Fs` sees it, faults |
//! | memory/inode | one file: its bytes, the synced bytes and what lies between |
//! | memory/crash | the disk after power loss |

mod crash;
mod inode;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

pub use self::crash::CrashModel;
use self::inode::Inode;
use super::{File, Fs, Lock};
use crate::error::{Error, Result};

/// Free bytes of a disk without a limit.
const UNLIMITED_BYTES: u64 = 1 << 50;

/// A disk in memory. Clones are handles of the same disk.
#[derive(Debug, Clone)]
pub struct MemoryFs {
    disk: Arc<Mutex<Disk>>,
}

/// How a call fails; see `MemoryFs::fail_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    kind: ErrorKind,
    once: bool,
    short_write: usize,
    syncs_only: bool,
}

impl Fault {
    /// Every call fails with an error of this kind and changes nothing.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, once: false, short_write: 0, syncs_only: false }
    }

    /// Only one call fails.
    pub fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// A write that fails has written this many of its bytes.
    pub fn short_write(mut self, bytes: usize) -> Self {
        self.short_write = bytes;
        self
    }

    /// Only `sync_data` fails, and only those calls are counted. What was to be synced stays as
    /// unsafe as it was.
    pub fn syncs_only(mut self) -> Self {
        self.syncs_only = true;
        self
    }
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    calls_left: u64,
}

/// A call that changes the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    MakeDir,
    Create,
    Write,
    SetLen,
    Allocate,
    Sync,
    Rename,
    Remove,
    SyncDir,
    Lock,
}

#[derive(Debug, Default)]
struct Disk {
    dirs: BTreeMap<PathBuf, Dir>,
    locks: HashSet<PathBuf>,
    limit_bytes: Option<u64>,
    calls: u64,
    armed: Option<Armed>,
    last_fault: Option<String>,
    next_op: u64,
    /// Renames between directories of which one directory was synced.
    half_synced: HashSet<u64>,
}

/// What a name leads to.
#[derive(Debug, Clone)]
enum Node {
    File(Arc<Mutex<Inode>>),
    Dir,
}

#[derive(Debug, Default)]
struct Dir {
    current: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    pending: Vec<DirOp>,
}

/// A change of a directory that was not synced: names that change together.
#[derive(Debug)]
struct DirOp {
    /// The same number in both directories of a rename between them.
    id: u64,
    sets: Vec<(String, Option<Node>)>,
}

impl Dir {
    fn change(&mut self, id: u64, sets: Vec<(String, Option<Node>)>) {
        set_all(&mut self.current, &sets);
        self.pending.push(DirOp { id, sets });
    }
}

fn set_all(names: &mut BTreeMap<String, Node>, sets: &[(String, Option<Node>)]) {
    for (name, node) in sets {
        match node {
            Some(node) => names.insert(name.clone(), node.clone()),
            None => names.remove(name),
        };
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fail<T>(path: &Path, kind: ErrorKind) -> Result<T> {
    Err(Error::io(path, &kind.into()))
}

/// The path from the root; the directory of the process counts as the root.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// The directory of a path and the name in it.
fn split(path: &Path) -> Result<(PathBuf, String)> {
    let full = normal(path);
    let name = full.file_name().and_then(OsStr::to_str).map(str::to_owned);
    match (full.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name)),
        _ => fail(path, ErrorKind::InvalidInput),
    }
}

impl Disk {
    /// Counts a call that changes the disk; the error it shall fail with, if it shall.
    fn enter(&mut self, call: Call, path: &Path) -> Result<()> {
        self.calls += 1;
        let Some(armed) = &mut self.armed else { return Ok(()) };
        if armed.fault.syncs_only && call != Call::Sync {
            return Ok(());
        }
        if armed.calls_left > 0 {
            armed.calls_left -= 1;
            return Ok(());
        }
        let kind = armed.fault.kind;
        let what = format!("injected fault at call {}: {call:?}", self.calls);
        if self.last_fault.is_none() {
            self.last_fault = Some(format!("{what} {}", path.display()));
        }
        if armed.fault.once {
            self.armed = None;
        }
        Err(Error::io(path, &std::io::Error::new(kind, what)))
    }

    fn dir(&mut self, dir: &Path, path: &Path) -> Result<&mut Dir> {
        match self.dirs.get_mut(dir) {
            Some(dir) => Ok(dir),
            None => fail(path, ErrorKind::NotFound),
        }
    }

    fn node(&self, path: &Path) -> Option<Node> {
        let (dir, name) = split(path).ok()?;
        self.dirs.get(&dir)?.current.get(&name).cloned()
    }

    fn file(&self, path: &Path) -> Result<Arc<Mutex<Inode>>> {
        match self.node(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => fail(path, ErrorKind::IsADirectory),
            None => fail(path, ErrorKind::NotFound),
        }
    }

    fn op(&mut self) -> u64 {
        self.next_op += 1;
        self.next_op
    }

    fn set(&mut self, path: &Path, node: Option<Node>) -> Result<()> {
        let (dir, name) = split(path)?;
        let id = self.op();
        self.dir(&dir, path)?.change(id, vec![(name, node)]);
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        let nodes = self.dirs.values().flat_map(|dir| dir.current.values());
        nodes
            .map(|node| match node {
                Node::File(inode) => locked(inode).len(),
                Node::Dir => 0,
            })
            .sum()
    }

    fn free_bytes(&self) -> u64 {
        self.limit_bytes.map_or(UNLIMITED_BYTES, |limit| limit.saturating_sub(self.used_bytes()))
    }

    fn sync_dir(&mut self, path: &Path) -> Result<()> {
        let full = normal(path);
        let dir = self.dir(&full, path)?;
        let synced = std::mem::take(&mut dir.pending);
        for op in &synced {
            set_all(&mut dir.durable, &op.sets);
        }
        // Only renames between directories use a number twice; the others are harmless here.
        self.half_synced.extend(synced.iter().map(|op| op.id));
        let waiting: HashSet<u64> =
            self.dirs.values().flat_map(|d| d.pending.iter().map(|op| op.id)).collect();
        self.half_synced.retain(|id| waiting.contains(id));
        Ok(())
    }
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

    /// The disk as it may be after power loss now. Nobody holds a lock there, no fault is armed; the
    /// limit is the same.
    pub fn crash(&self, model: CrashModel) -> Self {
        let disk = crash::after(&locked(&self.disk), model);
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// Calls that changed the disk, or tried to, since it was made.
    pub fn calls(&self) -> u64 {
        locked(&self.disk).calls
    }

    /// Lets this many calls that change the disk through, then fails the next one, or all further
    /// ones. As a failed call changes nothing, a fault for good keeps the disk as it is: with
    /// `crash`, a test sees the disk of a process that died at any call.
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
        self.handle(path, false)
    }

    fn open_write(&self, path: &Path) -> Result<Box<dyn File>> {
        self.handle(path, true)
    }

    fn map(&self, path: &Path) -> Result<Bytes> {
        let inode = locked(&self.disk).file(path)?;
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
        Ok(disk.dir(&normal(dir), dir)?.current.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        let disk = locked(&self.disk);
        Ok(disk.dirs.contains_key(&normal(path)) || disk.node(path).is_some())
    }

    fn free_bytes(&self, dir: &Path) -> Result<u64> {
        let mut disk = locked(&self.disk);
        disk.dir(&normal(dir), dir)?;
        Ok(disk.free_bytes())
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

#[derive(Debug)]
struct MemoryLock {
    disk: Arc<Mutex<Disk>>,
    path: PathBuf,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        locked(&self.disk).locks.remove(&self.path);
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    inode: Arc<Mutex<Inode>>,
    path: PathBuf,
    writable: bool,
}

impl MemoryFile {
    /// Takes the disk for a call that changes the file.
    fn enter(&self, call: Call) -> Result<MutexGuard<'_, Disk>> {
        let mut disk = locked(&self.disk);
        disk.enter(call, &self.path)?;
        if !self.writable && call != Call::Sync {
            return fail(&self.path, ErrorKind::PermissionDenied);
        }
        Ok(disk)
    }

    fn extend(&self, disk: &Disk, len: u64) -> Result<()> {
        let more = len.saturating_sub(locked(&self.inode).len());
        if more > disk.free_bytes() {
            return fail(&self.path, ErrorKind::StorageFull);
        }
        locked(&self.inode).set_len(len);
        Ok(())
    }
}

impl File for MemoryFile {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let short = locked(&self.disk).armed.as_ref().map_or(0, |armed| armed.fault.short_write);
        let disk = match self.enter(Call::Write) {
            Ok(disk) => disk,
            Err(e) => {
                let _disk = locked(&self.disk);
                locked(&self.inode).write(bytes.get(..short).unwrap_or(bytes), offset);
                return Err(e);
            }
        };
        let more = (offset + bytes.len() as u64).saturating_sub(locked(&self.inode).len());
        let missing = more.saturating_sub(disk.free_bytes());
        // A full disk takes what still fits.
        let fits = bytes.len().saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
        locked(&self.inode).write(&bytes[..fits], offset);
        if fits < bytes.len() { fail(&self.path, ErrorKind::StorageFull) } else { Ok(()) }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        Ok(locked(&self.inode).read(buffer, offset))
    }

    fn len(&self) -> Result<u64> {
        Ok(locked(&self.inode).len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let disk = self.enter(Call::SetLen)?;
        self.extend(&disk, len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let disk = self.enter(Call::Allocate)?;
        if len > locked(&self.inode).len() { self.extend(&disk, len) } else { Ok(()) }
    }

    fn sync_data(&self) -> Result<()> {
        let _disk = self.enter(Call::Sync)?;
        locked(&self.inode).sync();
        Ok(())
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
