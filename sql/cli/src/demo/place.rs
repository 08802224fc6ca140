//! The demo's directory. A file in it says that the demo made it; only such a directory is emptied
//! when the demo is run again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use amida::{Error, Store};

/// Says that the demo made this directory.
const MARKER: &str = "DEMO";
const MARKER_TEXT: &str = "`amida demo` made this directory and empties it when it is run again.\n\
    Remove this file to keep what is in it.\n";

/// Makes the directory ready for a new store: makes it, or empties what an earlier demo left. It is
/// marked (`mark`) once the store is made, which wants an empty directory.
///
/// # Errors
/// Words for the user: the directory is somebody else's, in use, or cannot be written.
pub fn prepare(dir: &Path) -> Result<(), String> {
    let words = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(|error| words(dir, error))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(dir).map_err(|error| words(dir, error))?;
            Vec::new()
        }
        Err(error) => return Err(words(dir, error)),
    };
    let marker = dir.join(MARKER);
    if !entries.is_empty() {
        if !marker.is_file() {
            return Err(format!(
                "{} is not empty, and the demo did not make it (there is no file {MARKER} in it); \
                 name another directory with --dir, or remove it yourself",
                dir.display()
            ));
        }
        not_in_use(dir)?;
        // The marker goes last, so that what is interrupted here can be done again.
        let others = entries.iter().map(|entry| entry.path()).filter(|path| *path != marker);
        for path in others.chain([marker.clone()]) {
            remove(&path).map_err(|error| words(&path, error))?;
        }
    }
    Ok(())
}

/// Says in the directory that the demo made it.
///
/// # Errors
/// Words for the user: the file cannot be written.
pub fn mark(dir: &Path) -> Result<(), String> {
    let marker = dir.join(MARKER);
    fs::write(&marker, MARKER_TEXT).map_err(|error| format!("{}: {error}", marker.display()))
}

/// Whether the marker stands in the directory.
#[cfg(test)]
fn is_demo(dir: &Path) -> bool {
    dir.join(MARKER).is_file()
}

fn remove(path: &PathBuf) -> std::io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// Refuses a directory that a writer has open. What else may be wrong with it does not matter: it
/// is going to be removed.
fn not_in_use(dir: &Path) -> Result<(), String> {
    if !dir.join("LOCK").exists() {
        return Ok(());
    }
    match Store::options().must_exist().open(dir) {
        Err(error @ Error::Locked { .. }) => {
            Err(format!("{error}; end it, or name another directory with --dir"))
        }
        Ok(store) => store.close().map_err(|error| error.to_string()),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_directory_is_made() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        prepare(&dir).unwrap();
        mark(&dir).unwrap();
        assert!(is_demo(&dir));
    }

    #[test]
    fn what_an_earlier_demo_left_is_removed() {
        let home = tempfile::tempdir().unwrap();
        mark(home.path()).unwrap();
        fs::create_dir(home.path().join("wal")).unwrap();
        fs::write(home.path().join("wal/1"), "old").unwrap();
        prepare(home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_directory_of_somebody_else_is_refused_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.txt"), "years of work").unwrap();
        let error = prepare(home.path()).unwrap_err();
        assert!(error.contains("the demo did not make it"), "{error}");
        assert!(home.path().join("thesis.txt").exists());
        assert!(!is_demo(home.path()));
    }
}
