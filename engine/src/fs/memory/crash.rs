//! The disk after power loss.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::disk::{Dir, Disk, Node, locked, set_all};
use super::inode::Inode;
use crate::sync::{Arc, Mutex};

/// Which of the changes that were not synced reach the disk when the power fails.
///
/// ```
/// use std::path::Path;
/// use amida::{CrashModel, Fs, MemoryFs};
///
/// # fn main() -> amida::Result<()> {
/// let disk = MemoryFs::new();
/// disk.create(Path::new("/a"))?; // its directory was not synced
/// assert!(!disk.crash(CrashModel::LoseUnsynced).exists(Path::new("/a"))?);
/// assert!(disk.crash(CrashModel::KeepAll).exists(Path::new("/a"))?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashModel {
    /// None of them.
    LoseUnsynced,
    /// All of them: what is left when only the process dies.
    KeepAll,
    /// Any of them, in any order: writes, new lengths without the bytes, names without their files.
    Random {
        /// The same seed loses the same changes.
        seed: u64,
    },
    /// As `Random`, and of a write any of its sectors.
    Torn {
        /// The same seed loses the same sectors.
        seed: u64,
        /// Bytes that the disk writes whole: 512 or 4096.
        sector: usize,
    },
    /// Files have their new lengths, but what was to stand there is zeros; names as in `Random`.
    LengthsFirst {
        /// The same seed loses the same names.
        seed: u64,
    },
    /// All changes of names, and none of bytes: a new name may lead to an empty file.
    NamesFirst,
}

impl CrashModel {
    fn seed(self) -> u64 {
        match self {
            Self::LoseUnsynced | Self::KeepAll | Self::NamesFirst => 0,
            Self::Random { seed } | Self::Torn { seed, .. } | Self::LengthsFirst { seed } => seed,
        }
    }
}

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A copy of the disk as this model leaves it.
pub(super) fn after(disk: &Disk, model: CrashModel) -> Disk {
    let mut crash = Crash {
        disk,
        model,
        random: Random(model.seed()),
        chosen: HashMap::new(),
        copies: HashMap::new(),
        out: Disk::default(),
    };
    crash.dir(Path::new("/"));
    crash.out.limit_bytes = disk.limit_bytes;
    crash.out.network = disk.network;
    crash.out
}

struct Crash<'a> {
    disk: &'a Disk,
    model: CrashModel,
    random: Random,
    /// What was decided on a rename between two directories holds for both.
    chosen: HashMap<u64, bool>,
    /// Two names of one file are two names of one file afterwards.
    copies: HashMap<*const Mutex<Inode>, Node>,
    out: Disk,
}

impl Crash<'_> {
    fn dir(&mut self, path: &Path) {
        let mut survivor = Dir::default();
        let mut below: Vec<PathBuf> = Vec::new();
        if let Some(dir) = self.disk.dirs.get(path) {
            let mut names = dir.durable.clone();
            for op in &dir.pending {
                // A rename whose removal is safe has not lost the file: its new name is safe too.
                let adds = op.sets.iter().all(|(_, node)| node.is_some());
                let must = adds && self.disk.half_synced.contains(&op.id);
                if must || self.survives(op.id) {
                    set_all(&mut names, &op.sets);
                }
            }
            for (name, node) in names {
                let copy = match node {
                    Node::Dir => {
                        below.push(path.join(&name));
                        Node::Dir
                    }
                    Node::File(inode) => self.file(&inode),
                };
                survivor.durable.insert(name, copy);
            }
        }
        survivor.current = survivor.durable.clone();
        self.out.dirs.insert(path.to_owned(), survivor);
        for path in below {
            self.dir(&path);
        }
    }

    fn file(&mut self, inode: &Arc<Mutex<Inode>>) -> Node {
        let copy = || {
            let after = locked(inode).after(self.model, &mut self.random);
            Node::File(Arc::new(Mutex::new(after)))
        };
        self.copies.entry(Arc::as_ptr(inode)).or_insert_with(copy).clone()
    }

    fn survives(&mut self, op: u64) -> bool {
        match self.model {
            CrashModel::LoseUnsynced => false,
            CrashModel::KeepAll | CrashModel::NamesFirst => true,
            CrashModel::Random { .. }
            | CrashModel::Torn { .. }
            | CrashModel::LengthsFirst { .. } => {
                let random = &mut self.random;
                *self.chosen.entry(op).or_insert_with(|| random.below(2) == 0)
            }
        }
    }
}
