//! The program that shows what is longer than the screen.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::visible;

/// What `less` is told where the user's `LESS` says nothing: show what fits on one screen and end,
/// let colours through, leave the text on the screen, cut lines and scroll sideways.
const LESS: &str = "FRSX";

/// A command that shows text, as the shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager(String);

impl Pager {
    /// `AMIDA_PAGER`, else `PAGER`, else `less`; `None` where that is empty, or where there is no
    /// `less`.
    ///
    /// # Errors
    /// Words for the user when the program that a variable names is not there.
    pub fn find() -> Result<Option<Self>, String> {
        let var = |name| std::env::var(name).ok();
        let path = std::env::var_os("PATH").unwrap_or_default();
        choose(var("AMIDA_PAGER"), var("PAGER"), |program| is_in(&path, program))
    }

    /// This command, for tests.
    #[cfg(test)]
    pub fn test(command: &str) -> Self {
        Self(command.to_owned())
    }

    /// Whether it shows wide lines cut, and scrolls sideways.
    pub fn scrolls_sideways(&self) -> bool {
        Path::new(program(&self.0)).file_name() == Some(OsStr::new("less"))
    }

    /// Starts it. Where lines are wider than the screen `less` does not end by itself: how far they
    /// go can only be seen in it.
    ///
    /// # Errors
    /// When the system cannot start a shell.
    pub fn start(&self, is_wide: bool) -> io::Result<Paging> {
        let modes = terminal_modes();
        let mut less = match std::env::var("LESS") {
            Ok(own) if !own.is_empty() => format!("-S {own}"),
            _ => LESS.to_owned(),
        };
        if is_wide {
            less.push_str(" -+F");
        }
        let child = Command::new("sh")
            .args(["-c", &self.0])
            .env("LESS", less)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Paging { child, modes })
    }
}

fn choose(
    own: Option<String>,
    general: Option<String>,
    is_there: impl Fn(&str) -> bool,
) -> Result<Option<Pager>, String> {
    for (name, command) in [("AMIDA_PAGER", own), ("PAGER", general)] {
        let Some(command) = command else { continue };
        let first = program(&command);
        if first.is_empty() {
            return Ok(None);
        }
        // What is more than a name is the shell's business.
        let plain = first.chars().all(|c| c.is_alphanumeric() || "_-./+".contains(c));
        if plain && !is_there(first) {
            return Err(format!("{name}: there is no program {}", visible(first)));
        }
        return Ok(Some(Pager(command)));
    }
    Ok(is_there("less").then(|| Pager("less".to_owned())))
}

fn program(command: &str) -> &str {
    command.split_whitespace().next().unwrap_or("")
}

fn is_in(path: &OsStr, program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    std::env::split_paths(path).any(|folder| folder.join(program).is_file())
}

/// A pager that runs.
#[derive(Debug)]
pub struct Paging {
    child: Child,
    modes: Option<String>,
}

impl Paging {
    /// Hands it text.
    ///
    /// # Errors
    /// `BrokenPipe` when it was left.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(text.as_bytes()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether it was left already.
    pub fn is_over(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Waits until it is left.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(mut self) -> io::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if was_killed(status)
            && let Some(modes) = &self.modes
        {
            // A pager that is killed leaves the terminal as it liked it.
            Command::new("stty").arg(modes).status()?;
        }
        Ok(())
    }
}

/// Whether it did not end by itself; the shell says so by 128 and the signal.
fn was_killed(status: ExitStatus) -> bool {
    status.code().is_none_or(|code| code > 128)
}

/// How the terminal is set, for `stty`.
fn terminal_modes() -> Option<String> {
    let output = Command::new("stty").arg("-g").stdin(Stdio::inherit()).output().ok()?;
    let modes = String::from_utf8(output.stdout).ok()?;
    let modes = modes.trim();
    (output.status.success() && !modes.is_empty()).then(|| modes.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(own: Option<&str>, general: Option<&str>) -> Result<Option<String>, String> {
        let there = |program: &str| ["less", "more"].contains(&program);
        let pager = choose(own.map(str::to_owned), general.map(str::to_owned), there);
        pager.map(|pager| pager.map(|pager| pager.0))
    }

    #[test]
    fn the_own_variable_goes_before_the_general_one_and_both_before_less() {
        let is = |command: &str| Ok(Some(command.to_owned()));
        assert_eq!(chosen(None, None), is("less"));
        assert_eq!(chosen(None, Some("more -x")), is("more -x"));
        assert_eq!(chosen(Some("less -N"), Some("more")), is("less -N"));
        assert_eq!(chosen(Some(""), Some("more")), Ok(None));
        assert_eq!(chosen(Some("$OWN --x"), None), is("$OWN --x"));
    }

    #[test]
    fn a_pager_that_is_not_there_is_named() {
        assert_eq!(chosen(None, Some("mroe -x")).unwrap_err(), "PAGER: there is no program mroe");
        assert_eq!(choose(None, None, |_| false), Ok(None));
    }

    #[test]
    fn only_less_scrolls_sideways() {
        assert!(Pager("/usr/bin/less -R".to_owned()).scrolls_sideways());
        assert!(!Pager("more".to_owned()).scrolls_sideways());
    }
}
