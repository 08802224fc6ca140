//! The file of what was typed: `$AMIDA_HISTORY`, else `amida/history` in `$XDG_STATE_HOME`, else in
//! `~/.local/state`. Readable by its owner only. Without it the prompt works as well.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustyline::history::{FileHistory, History as _};

use super::tell;
use crate::output::visible;

/// Most entries that are kept.
pub const ENTRIES_MAX: usize = 1_000;

/// Longest entry that is kept: the longest query there may be.
const ENTRY_BYTES_MAX: usize = 64 << 10;

/// Where entries go, as long as that works.
#[derive(Debug)]
pub struct HistoryFile {
    path: Option<PathBuf>,
}

impl HistoryFile {
    /// Opens the file and reads it.
    pub fn open(history: &mut FileHistory) -> Self {
        let mut file = Self { path: path(|name| std::env::var_os(name)) };
        file.attempt(|path| {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                make_folder(folder)?;
            }
            match std::fs::metadata(path) {
                Ok(found) if found.is_file() => Ok(history.load(path)?),
                // Its permissions would be changed.
                Ok(_) => Err("it is no plain file".into()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        file
    }

    /// Adds an entry to the history and to the file, where the history of other prompts is too.
    pub fn add(&mut self, history: &mut FileHistory, entry: &str) {
        if entry.len() > ENTRY_BYTES_MAX || !matches!(history.add(entry), Ok(true)) {
            return;
        }
        self.attempt(|path| Ok(history.append(path)?));
    }

    /// Does something with the file; when that fails it is said once, and the file left alone.
    fn attempt(&mut self, act: impl FnOnce(&Path) -> Result<(), Box<dyn std::error::Error>>) {
        let Some(path) = &self.path else { return };
        if let Err(error) = act(path) {
            let words = format!("history is not kept: {}: {error}", path.display());
            tell(&format!("warning: {}", visible(&words)));
            self.path = None;
        }
    }
}

/// The path of the file; `None` where the user wants none, or has no home.
fn path(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(own) = var("AMIDA_HISTORY") {
        return Some(PathBuf::from(own)).filter(|path| !path.as_os_str().is_empty());
    }
    let absolute = |path: PathBuf| Some(path).filter(|path| path.is_absolute());
    let state = var("XDG_STATE_HOME").and_then(|folder| absolute(folder.into()));
    let home = || Some(absolute(var("HOME")?.into())?.join(".local/state"));
    Some(state.or_else(home)?.join("amida/history"))
}

fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(vars: &[(&str, &str)]) -> Option<String> {
        let var = |name: &str| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        path(var).map(|path| path.display().to_string())
    }

    #[test]
    fn the_path_is_the_users_own_or_that_of_the_state_of_programs() {
        let home = ("HOME", "/h");
        assert_eq!(found(&[home]).as_deref(), Some("/h/.local/state/amida/history"));
        assert_eq!(found(&[home, ("XDG_STATE_HOME", "/s")]).as_deref(), Some("/s/amida/history"));
        let relative = found(&[home, ("XDG_STATE_HOME", "s")]);
        assert_eq!(relative.as_deref(), Some("/h/.local/state/amida/history"));
        assert_eq!(found(&[home, ("AMIDA_HISTORY", "own")]).as_deref(), Some("own"));
        assert_eq!(found(&[home, ("AMIDA_HISTORY", "")]), None);
        assert_eq!(found(&[]), None);
    }

    #[test]
    fn entries_of_many_lines_come_back_whole_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = HistoryFile { path: Some(dir.path().join("history")) };
        let config = rustyline::Config::builder().max_history_size(3).unwrap().build();
        let mut history = FileHistory::with_config(&config);
        for entry in ["a", "b", "SELECT\n  '\\n';", "c", &"x".repeat(ENTRY_BYTES_MAX + 1)] {
            file.add(&mut history, entry);
        }
        let mut again = FileHistory::with_config(&config);
        again.load(&dir.path().join("history")).unwrap();
        assert_eq!(again.iter().collect::<Vec<_>>(), ["b", "SELECT\n  '\\n';", "c"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_left_alone_after_one_warning() {
        let dir = tempfile::tempdir().unwrap();
        // A folder stands where the file should be.
        let mut file = HistoryFile { path: Some(dir.path().to_owned()) };
        let mut history = FileHistory::new();
        file.add(&mut history, "a");
        assert_eq!(file.path, None);
        file.add(&mut history, "b");
        assert_eq!(history.len(), 2);
    }
}
