//! The state of the disk: names, what was synced of them, locks, the calls that were made.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::fault::Armed;
use super::inode::Inode;
use crate::error::{Error, Result};
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Free bytes of a disk without a limit.
const UNLIMITED_BYTES: u64 = 1 << 50;

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    MakeDir,
    Create,
    Write,
    SetLen,
    Allocate,
    Sync,
    Rename,
    Link,
    Remove,
    SyncDir,
    Lock,
    Open,
    Map,
    Read,
    Len,
    List,
    Exists,
    FreeBytes,
    Network,
}

impl Call {
    pub(super) fn only_reads(self) -> bool {
        use Call::{Exists, FreeBytes, Len, List, Map, Network, Open, Read};
        matches!(self, Open | Map | Read | Len | List | Exists | FreeBytes | Network)
    }
}

#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) dirs: BTreeMap<PathBuf, Dir>,
    pub(super) locks: HashSet<PathBuf>,
    pub(super) limit_bytes: Option<u64>,
    pub(super) calls: u64,
    pub(super) calls_of_any_kind: u64,
    pub(super) network: Option<&'static str>,
    pub(super) armed: Option<Armed>,
    pub(super) last_fault: Option<String>,
    pub(super) next_op: u64,
    /// Renames between directories of which one directory was synced.
    pub(super) half_synced: HashSet<u64>,
}

/// What a name leads to.
#[derive(Debug, Clone)]
pub(super) enum Node {
    File(Arc<Mutex<Inode>>),
    Dir,
}

#[derive(Debug, Default)]
pub(super) struct Dir {
    pub(super) current: BTreeMap<String, Node>,
    pub(super) durable: BTreeMap<String, Node>,
    pub(super) pending: Vec<DirOp>,
}

/// A change of a directory that was not synced: names that change together.
#[derive(Debug)]
pub(super) struct DirOp {
    /// The same number in both directories of a rename between them.
    pub(super) id: u64,
    pub(super) sets: Vec<(String, Option<Node>)>,
}

impl Dir {
    pub(super) fn change(&mut self, id: u64, sets: Vec<(String, Option<Node>)>) {
        set_all(&mut self.current, &sets);
        self.pending.push(DirOp { id, sets });
    }
}

pub(super) fn set_all(names: &mut BTreeMap<String, Node>, sets: &[(String, Option<Node>)]) {
    for (name, node) in sets {
        match node {
            Some(node) => names.insert(name.clone(), node.clone()),
            None => names.remove(name),
        };
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn fail<T>(path: &Path, kind: ErrorKind) -> Result<T> {
    Err(Error::io(path, &kind.into()))
}

/// The path from the root; the directory of the process counts as the root.
pub(super) fn normal(path: &Path) -> PathBuf {
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
pub(super) fn split(path: &Path) -> Result<(PathBuf, String)> {
    let full = normal(path);
    let name = full.file_name().and_then(OsStr::to_str).map(str::to_owned);
    match (full.parent(), name) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name)),
        _ => fail(path, ErrorKind::InvalidInput),
    }
}

impl Disk {
    /// Counts a call; the error it shall fail with, if it shall.
    pub(super) fn enter(&mut self, call: Call, path: &Path) -> Result<()> {
        self.calls_of_any_kind += 1;
        self.calls += u64::from(!call.only_reads());
        let Some(armed) = self.armed.as_mut().filter(|armed| armed.fault.concerns(call)) else {
            return Ok(());
        };
        if armed.calls_left > 0 {
            armed.calls_left -= 1;
            return Ok(());
        }
        let fault = armed.fault;
        let what = format!("injected fault at call {}: {call:?}", self.calls_of_any_kind);
        if self.last_fault.is_none() {
            self.last_fault = Some(format!("{what} {}", path.display()));
        }
        if fault.once {
            self.armed = None;
        }
        Err(Error::io(path, &fault.error(&what)))
    }

    pub(super) fn dir(&mut self, dir: &Path, path: &Path) -> Result<&mut Dir> {
        match self.dirs.get_mut(dir) {
            Some(dir) => Ok(dir),
            None => fail(path, ErrorKind::NotFound),
        }
    }

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        let (dir, name) = split(path).ok()?;
        self.dirs.get(&dir)?.current.get(&name).cloned()
    }

    pub(super) fn file(&self, path: &Path) -> Result<Arc<Mutex<Inode>>> {
        match self.node(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => fail(path, ErrorKind::IsADirectory),
            None => fail(path, ErrorKind::NotFound),
        }
    }

    pub(super) fn op(&mut self) -> u64 {
        self.next_op += 1;
        self.next_op
    }

    pub(super) fn set(&mut self, path: &Path, node: Option<Node>) -> Result<()> {
        let (dir, name) = split(path)?;
        let id = self.op();
        self.dir(&dir, path)?.change(id, vec![(name, node)]);
        Ok(())
    }

    pub(super) fn used_bytes(&self) -> u64 {
        // A file with two names takes its bytes once.
        let mut seen = HashSet::new();
        let nodes = self.dirs.values().flat_map(|dir| dir.current.values());
        nodes
            .map(|node| match node {
                Node::File(inode) if seen.insert(Arc::as_ptr(inode)) => locked(inode).len(),
                Node::File(_) | Node::Dir => 0,
            })
            .sum()
    }

    pub(super) fn free_bytes(&self) -> u64 {
        self.limit_bytes.map_or(UNLIMITED_BYTES, |limit| limit.saturating_sub(self.used_bytes()))
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> Result<()> {
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
