//! How a call fails.

use std::io::{Error as IoError, ErrorKind};

use super::disk::Call;

/// How a call fails; see `MemoryFs::fail_after`.
///
/// ```
/// use std::io::ErrorKind;
/// use std::path::Path;
/// use amida::{Fault, Fs, MemoryFs};
///
/// let disk = MemoryFs::new();
/// disk.fail_after(1, Fault::new(ErrorKind::StorageFull).once());
/// assert!(disk.create(Path::new("/a")).is_ok());
/// assert!(disk.create(Path::new("/b")).is_err());
/// assert!(disk.create(Path::new("/b")).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    kind: ErrorKind,
    raw: Option<i32>,
    pub(super) once: bool,
    pub(super) short_write: usize,
    calls: Calls,
}

/// Which calls are counted, and fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    Changing,
    Syncs,
    Any,
}

impl Fault {
    /// Every call that changes the disk fails with an error of this kind and changes nothing.
    pub fn new(kind: ErrorKind) -> Self {
        Self { kind, raw: None, once: false, short_write: 0, calls: Calls::Changing }
    }

    /// As `new`, with the operating system's number of the error: 5 is Linux's EIO, 28 ENOSPC, 122
    /// EDQUOT, 24 EMFILE, 4 EINTR. The real disk tries an interrupted call again wherever one can
    /// be interrupted; here EINTR is handed on as any other error.
    pub fn os(raw: i32) -> Self {
        let kind = IoError::from_raw_os_error(raw).kind();
        Self { raw: Some(raw), ..Self::new(kind) }
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

    /// Only `sync_data` fails, and only those calls are counted.
    pub fn syncs_only(mut self) -> Self {
        self.calls = Calls::Syncs;
        self
    }

    /// Calls that only read are counted and fail too: opening, mapping, reading, lengths, lists,
    /// questions.
    pub fn any_call(mut self) -> Self {
        self.calls = Calls::Any;
        self
    }

    pub(super) fn concerns(&self, call: Call) -> bool {
        match self.calls {
            Calls::Changing => !call.only_reads(),
            Calls::Syncs => call == Call::Sync,
            Calls::Any => true,
        }
    }

    pub(super) fn error(&self, what: &str) -> IoError {
        match self.raw {
            Some(raw) => {
                let cause = IoError::from_raw_os_error(raw);
                IoError::new(self.kind, format!("{cause}, {what}"))
            }
            None => IoError::new(self.kind, what),
        }
    }
}

/// A fault that waits for its call.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) fault: Fault,
    pub(super) calls_left: u64,
}
