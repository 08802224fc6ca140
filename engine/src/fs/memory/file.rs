//! An open file and a held lock of the disk in memory.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::disk::{Call, Disk, fail, locked};
use super::inode::Inode;
use super::{File, Lock};
use crate::error::Result;
use crate::sync::{Arc, Mutex, MutexGuard};

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
    /// Takes the disk for a call.
    fn enter(&self, call: Call) -> Result<MutexGuard<'_, Disk>> {
        let mut disk = locked(&self.disk);
        disk.enter(call, &self.path)?;
        Ok(disk)
    }

    /// Takes the disk for a call that changes the file.
    fn enter_to_change(&self, call: Call) -> Result<MutexGuard<'_, Disk>> {
        let disk = self.enter(call)?;
        self.check_writable().map(|()| disk)
    }

    fn check_writable(&self) -> Result<()> {
        if self.writable { Ok(()) } else { fail(&self.path, ErrorKind::PermissionDenied) }
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
        let mut disk = locked(&self.disk);
        let short = disk.armed.as_ref().map_or(0, |armed| armed.fault.short_write);
        if let Err(error) = disk.enter(Call::Write, &self.path) {
            if self.writable {
                locked(&self.inode).write(bytes.get(..short).unwrap_or(bytes), offset);
            }
            return Err(error);
        }
        self.check_writable()?;
        let more = (offset + bytes.len() as u64).saturating_sub(locked(&self.inode).len());
        let missing = more.saturating_sub(disk.free_bytes());
        // A full disk takes what still fits.
        let fits = bytes.len().saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
        locked(&self.inode).write(&bytes[..fits], offset);
        if fits < bytes.len() { fail(&self.path, ErrorKind::StorageFull) } else { Ok(()) }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let _disk = self.enter(Call::Read)?;
        Ok(locked(&self.inode).read(buffer, offset))
    }

    fn len(&self) -> Result<u64> {
        let _disk = self.enter(Call::Len)?;
        Ok(locked(&self.inode).len())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let disk = self.enter_to_change(Call::SetLen)?;
        self.extend(&disk, len)
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let disk = self.enter_to_change(Call::Allocate)?;
        if len > locked(&self.inode).len() { self.extend(&disk, len) } else { Ok(()) }
    }

    fn sync_data(&self) -> Result<()> {
        match self.enter(Call::Sync) {
            Ok(_disk) => {
                locked(&self.inode).sync();
                Ok(())
            }
            Err(error) => {
                locked(&self.inode).sync_failed();
                Err(error)
            }
        }
    }

    fn forget_cache(&self) -> Result<()> {
        let _disk = locked(&self.disk);
        locked(&self.inode).forget_cache();
        Ok(())
    }
}
