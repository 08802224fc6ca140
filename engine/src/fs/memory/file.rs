//! An open file and a held lock of the disk in memory.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Call, Disk, fail, locked};
use super::inode::Inode;
use super::{File, Lock};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct MemoryLock {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) path: PathBuf,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        locked(&self.disk).locks.remove(&self.path);
    }
}

#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) disk: Arc<Mutex<Disk>>,
    pub(super) inode: Arc<Mutex<Inode>>,
    pub(super) path: PathBuf,
    pub(super) writable: bool,
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
