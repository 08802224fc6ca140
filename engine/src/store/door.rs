//! Who may open a directory for writing: one writer at a time, and no store where other things are.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::fs::{Fs, Lock, names};

/// Takes the writer's lock, waiting for another writer at most this long.
pub fn take_lock(fs: &dyn Fs, path: &Path, wait: Duration) -> Result<Box<dyn Lock>> {
    // The kernel tells nobody when a lock is free: it must be asked again.
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let since = Instant::now();
    loop {
        match fs.lock(&names::lock(path)) {
            Err(Error::Locked { .. }) if since.elapsed() < wait => {
                std::thread::park_timeout(LOOK_EVERY)
            }
            other => return other,
        }
    }
}

/// A directory that holds other things is not turned into a store.
pub fn refuse_other_content(fs: &dyn Fs, path: &Path, known: bool) -> Result<()> {
    if known {
        return Ok(());
    }
    let other = fs.list(path)?.into_iter().find(|name| !names::TOP.contains(&name.as_str()));
    match other {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "{} holds no Amida store but other things ({name}): give a new or empty directory",
            path.display()
        ))),
    }
}
