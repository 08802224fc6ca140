//! One file: its bytes, the bytes that were synced, and the changes between the two.

use std::sync::Arc;

use bytes::Bytes;

use super::crash::{CrashModel, Random};

/// The bytes of a file. Zeros at its end take no memory: logs are allocated in megabytes.
#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    /// Never less than `bytes.len()`; what lies between is zeros.
    len: usize,
}

#[derive(Debug, Default)]
pub(super) struct Inode {
    content: Arc<Content>,
    /// What is on the disk for certain.
    durable: Arc<Content>,
    /// What leads from `durable` to `content`, in order.
    changes: Vec<(Op, Fate)>,
}

#[derive(Debug, Clone)]
enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The next sync makes it durable.
    Dirty,
    /// A sync failed on it. The system takes it for written: it is read, but no later sync writes
    /// it. Whether it is on the disk nobody knows.
    WrittenOff,
    /// It is durable, but comes after one that was written off.
    Synced,
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// Without optimisation `Vec::resize` goes byte by byte.
fn extend(bytes: &mut Vec<u8>, len: usize) {
    bytes.extend_from_slice(&vec![0; len.saturating_sub(bytes.len())]);
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        extend(&mut self.bytes, end);
        self.bytes[offset..end].copy_from_slice(bytes);
        self.grow(end);
    }

    fn set_len(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.len = len;
    }

    fn grow(&mut self, len: usize) {
        self.len = self.len.max(len);
    }

    fn read(&self, buffer: &mut [u8], offset: usize) -> usize {
        let read = self.len.saturating_sub(offset).min(buffer.len());
        let there = self.bytes.get(offset..).unwrap_or_default();
        let there = &there[..there.len().min(read)];
        buffer[..there.len()].copy_from_slice(there);
        buffer[there.len()..read].fill(0);
        read
    }
}

impl Op {
    fn apply(&self, to: &mut Content) {
        match self {
            Op::Write { offset, bytes } => to.write(bytes, *offset),
            Op::SetLen(len) => to.set_len(*len),
        }
    }

    /// The length it makes, without its bytes.
    fn apply_length(&self, to: &mut Content) {
        match self {
            Op::Write { offset, bytes } => to.grow(offset + bytes.len()),
            Op::SetLen(len) => to.set_len(*len),
        }
    }
}

/// The bytes of a file as an owner for `Bytes`.
struct Shared(Arc<Content>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl Inode {
    pub(super) fn len(&self) -> u64 {
        self.content.len as u64
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.take(Op::Write { offset: size(offset), bytes: bytes.to_vec() });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.take(Op::SetLen(size(len)));
    }

    fn take(&mut self, op: Op) {
        op.apply(Arc::make_mut(&mut self.content));
        self.changes.push((op, Fate::Dirty));
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        self.content.read(buffer, size(offset))
    }

    pub(super) fn sync(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Dirty {
                *fate = Fate::Synced;
            }
        }
        self.settle();
    }

    /// Gives `durable` what is known to be on the disk. Replaying the changes costs what was
    /// written since; copying the content would cost the whole file for every sync of a log. Behind
    /// one that was written off all have to wait.
    fn settle(&mut self) {
        let known = self.changes.iter().take_while(|(_, fate)| *fate == Fate::Synced).count();
        let durable = Arc::make_mut(&mut self.durable);
        for (op, _) in self.changes.drain(..known) {
            op.apply(durable);
        }
    }

    pub(super) fn sync_failed(&mut self) {
        for (_, fate) in &mut self.changes {
            if *fate == Fate::Dirty {
                *fate = Fate::WrittenOff;
            }
        }
    }

    /// The content is read from the disk again: what was written off is not there.
    pub(super) fn forget_cache(&mut self) {
        if self.changes.iter().all(|(_, fate)| *fate != Fate::WrittenOff) {
            return;
        }
        self.changes.retain(|(_, fate)| *fate != Fate::WrittenOff);
        self.settle();
        self.content = Arc::clone(&self.durable);
        for (op, _) in &self.changes {
            op.apply(Arc::make_mut(&mut self.content));
        }
    }

    /// The bytes without copying. Sealed files are shared, so their synced copy is given up for it.
    pub(super) fn share(&mut self) -> Bytes {
        if self.content.bytes.len() < self.content.len {
            let content = Arc::make_mut(&mut self.content);
            extend(&mut content.bytes, content.len);
        }
        if self.changes.is_empty() {
            self.durable = Arc::clone(&self.content);
        }
        Bytes::from_owner(Shared(Arc::clone(&self.content)))
    }

    /// The file as it may be after power loss.
    pub(super) fn after(&self, model: CrashModel, random: &mut Random) -> Self {
        let kept = match model {
            CrashModel::KeepAll => Arc::clone(&self.content),
            _ if self.changes.is_empty() => Arc::clone(&self.durable),
            _ => {
                let mut kept = Content::clone(&self.durable);
                for (op, fate) in &self.changes {
                    if *fate == Fate::Synced {
                        op.apply(&mut kept);
                    } else {
                        maybe_apply(op, model, random, &mut kept);
                    }
                }
                Arc::new(kept)
            }
        };
        Self { durable: Arc::clone(&kept), content: kept, changes: Vec::new() }
    }
}

/// Applies what this model lets reach the disk of a change that was not synced.
fn maybe_apply(op: &Op, model: CrashModel, random: &mut Random, to: &mut Content) {
    match model {
        CrashModel::LoseUnsynced | CrashModel::NamesFirst => {}
        CrashModel::KeepAll => op.apply(to),
        CrashModel::LengthsFirst { .. } => op.apply_length(to),
        CrashModel::Random { .. } => match random.below(4) {
            0 | 1 => op.apply(to),
            2 if matches!(op, Op::Write { .. }) => op.apply_length(to),
            _ => {}
        },
        CrashModel::Torn { sector, .. } => tear(op, sector.max(1), random, to),
    }
}

/// Applies those sectors of a change that happened to reach the disk.
fn tear(op: &Op, sector: usize, random: &mut Random, to: &mut Content) {
    let Op::Write { offset, bytes: written } = op else {
        if random.below(2) == 0 {
            op.apply(to);
        }
        return;
    };
    let mut from = 0;
    while from < written.len() {
        let to_border = sector - (offset + from) % sector;
        let end = written.len().min(from + to_border);
        if random.below(2) == 0 {
            to.write(&written[from..end], offset + from);
        }
        from = end;
    }
}
