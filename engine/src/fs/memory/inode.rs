//! One file: its bytes, the bytes that were synced, and the changes between the two.

use std::sync::Arc;

use bytes::Bytes;

use super::crash::{CrashModel, Random};

#[derive(Debug, Default)]
pub(super) struct Inode {
    content: Arc<Vec<u8>>,
    /// What `sync_data` made safe.
    durable: Arc<Vec<u8>>,
    /// What leads from `durable` to `content`.
    pending: Vec<Op>,
}

#[derive(Debug, Clone)]
enum Op {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// `Vec::resize` with zeros; without optimisation it goes byte by byte, and logs are allocated in
/// megabytes.
fn resize(bytes: &mut Vec<u8>, len: usize) {
    match len.checked_sub(bytes.len()) {
        Some(more) => bytes.extend_from_slice(&vec![0; more]),
        None => bytes.truncate(len),
    }
}

fn write(to: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if to.len() < end {
        resize(to, end);
    }
    to[offset..end].copy_from_slice(bytes);
}

impl Op {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Op::Write { offset, bytes } => write(to, bytes, *offset),
            Op::SetLen(len) => resize(to, *len),
        }
    }
}

/// The bytes of a file as an owner for `Bytes`.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Inode {
    pub(super) fn synced(bytes: Vec<u8>) -> Self {
        let content = Arc::new(bytes);
        Self { durable: Arc::clone(&content), content, pending: Vec::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.content.len() as u64
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
        self.pending.push(op);
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let from = self.content.get(size(offset)..).unwrap_or_default();
        let read = from.len().min(buffer.len());
        buffer[..read].copy_from_slice(&from[..read]);
        read
    }

    pub(super) fn sync(&mut self) {
        // Replaying the changes costs what was written since; copying the content would cost the
        // whole file for every sync of a log.
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        let durable = Arc::make_mut(&mut self.durable);
        for op in &pending {
            op.apply(durable);
        }
    }

    /// The bytes without copying. Sealed files are shared, so their synced copy is given up for it.
    pub(super) fn share(&mut self) -> Bytes {
        if self.pending.is_empty() {
            self.durable = Arc::clone(&self.content);
        }
        Bytes::from_owner(Shared(Arc::clone(&self.content)))
    }

    /// The bytes that may be there after power loss.
    pub(super) fn after(&self, model: CrashModel, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.durable.to_vec();
        match model {
            CrashModel::LoseUnsynced => {}
            CrashModel::KeepAll => bytes = self.content.to_vec(),
            CrashModel::Random { .. } => {
                for op in &self.pending {
                    match (random.below(4), op) {
                        (0 | 1, op) => op.apply(&mut bytes),
                        // The new length reached the disk, the bytes did not.
                        (2, Op::Write { offset, bytes: lost }) => {
                            let len = bytes.len().max(offset + lost.len());
                            resize(&mut bytes, len);
                        }
                        _ => {}
                    }
                }
            }
            CrashModel::Torn { sector, .. } => {
                for op in &self.pending {
                    tear(op, sector.max(1), random, &mut bytes);
                }
            }
        }
        bytes
    }
}

/// Applies those sectors of a change that happened to reach the disk.
fn tear(op: &Op, sector: usize, random: &mut Random, bytes: &mut Vec<u8>) {
    let Op::Write { offset, bytes: written } = op else {
        if random.below(2) == 0 {
            op.apply(bytes);
        }
        return;
    };
    let mut from = 0;
    while from < written.len() {
        let to_border = sector - (offset + from) % sector;
        let to = written.len().min(from + to_border);
        if random.below(2) == 0 {
            write(bytes, &written[from..to], offset + from);
        }
        from = to;
    }
}
