//! The commands of the prompt: a line that begins with a dot.

use clap::ValueEnum;

use crate::args::AnswerFormat;
use crate::output::zone::Zone;
use crate::output::{distance, visible};

/// What a command asks for. Settings without a value ask what is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Tables,
    Schema(Option<String>),
    Timing(Option<bool>),
    Pager(Option<bool>),
    Format(Option<AnswerFormat>),
    Tz(Option<Zone>),
    Help,
    Quit,
}

/// Name, value and purpose of each command.
pub const COMMANDS: [(&str, &str, &str); 9] = [
    (".tables", "", "the tables and views"),
    (".schema", "[TABLE]", "the columns of a table, or of all, with their types"),
    (".timing", "[on|off]", "rows and seconds behind each answer"),
    (".pager", "[on|off]", "a pager for answers larger than the screen"),
    (".format", "[table|csv|json|ndjson]", "how answers are written"),
    (".tz", "[ZONE]", "the zone of times: Asia/Tokyo, +09:00, UTC, local"),
    (".help", "", "this help"),
    (".quit", "", "leave, as Ctrl-D does"),
    (".exit", "", "the same"),
];

/// The help of the prompt.
pub fn help() -> String {
    let commands: Vec<String> = COMMANDS
        .iter()
        .map(|(name, value, purpose)| format!("  {:<32} {purpose}", format!("{name} {value}")))
        .collect();
    format!(
        "A statement ends with ; and may have many lines. SELECT, FROM, EXPLAIN, SHOW, DESCRIBE.\n\
         \n\
         {}\n\
         \n\
         Tab completes tables, columns, functions, and keys in attributes['.. Up and down:\n\
         history; Ctrl-R searches it. Ctrl-C clears the text, or cancels the query that runs;\n\
         Ctrl-D leaves.",
        commands.join("\n")
    )
}

/// Reads a command. The first letters of a name do as long as no other name begins with them.
///
/// # Errors
/// Words for the user.
pub fn parse(line: &str) -> Result<Command, String> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (word, value) = (word.to_lowercase(), value.trim());
    let dotted = if word.starts_with('.') { word } else { format!(".{word}") };
    let name = name(&dotted)?;
    let given = Some(value).filter(|value| !value.is_empty());
    match (name, given) {
        (".tables", None) => Ok(Command::Tables),
        (".help", None) => Ok(Command::Help),
        (".quit" | ".exit", None) => Ok(Command::Quit),
        (".schema", _) => Ok(Command::Schema(given.map(str::to_owned))),
        (".timing", _) => Ok(Command::Timing(given.map(on_or_off).transpose()?)),
        (".pager", _) => Ok(Command::Pager(given.map(on_or_off).transpose()?)),
        (".format", _) => Ok(Command::Format(given.map(format_of).transpose()?)),
        (".tz", _) => Ok(Command::Tz(given.map(Zone::parse).transpose()?)),
        (other, _) => Err(format!("{other} takes no value")),
    }
}

/// The command of this name, or of these first letters.
///
/// # Errors
/// Words for the user.
pub fn name(word: &str) -> Result<&'static str, String> {
    let names = || COMMANDS.iter().map(|(name, ..)| *name);
    if let Some(name) = names().find(|name| *name == word) {
        return Ok(name);
    }
    let begun: Vec<&str> = names().filter(|name| name.starts_with(word)).collect();
    match begun.as_slice() {
        [one] => return Ok(one),
        [_, ..] if word.len() > 1 => {
            return Err(format!("{} may be {}", visible(word), begun.join(" or ")));
        }
        _ => {}
    }
    let shown: String = visible(word).chars().take(40).collect();
    let near =
        near(&shown, names()).map_or_else(String::new, |near| format!("did you mean {near}? "));
    Err(format!("there is no command {shown}; {near}.help lists them"))
}

/// The nearest of these, when it is near.
pub fn near<'a>(word: &str, of: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    of.filter_map(|other| distance(word, other).map(|far| (far, other))).min().map(|(_, near)| near)
}

fn on_or_off(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("'{}' is neither on nor off", visible(value))),
    }
}

fn format_of(value: &str) -> Result<AnswerFormat, String> {
    match AnswerFormat::from_str(value, true) {
        Ok(AnswerFormat::Parquet) => {
            Err("Parquet is no text: amida sql DIR QUERY --format parquet --output FILE".to_owned())
        }
        Ok(format) => Ok(format),
        Err(_) => Err(format!(
            "there is no format '{}'; expected table, csv, json or ndjson",
            visible(value)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_with_their_values() {
        assert_eq!(parse(".tables"), Ok(Command::Tables));
        assert_eq!(parse(".schema spans ;"), Ok(Command::Schema(Some("spans".to_owned()))));
        assert_eq!(parse(".TIMING On"), Ok(Command::Timing(Some(true))));
        assert_eq!(parse(".pager off"), Ok(Command::Pager(Some(false))));
        assert_eq!(parse(".format"), Ok(Command::Format(None)));
        assert_eq!(parse(".format CSV"), Ok(Command::Format(Some(AnswerFormat::Csv))));
        assert_eq!(parse(".tz utc"), Ok(Command::Tz(Some(Zone::utc()))));
        for (line, command) in [("exit", Command::Quit), ("help;", Command::Help)] {
            assert_eq!(parse(line), Ok(command));
        }
    }

    #[test]
    fn first_letters_do_as_long_as_they_say_which() {
        assert_eq!(parse(".s"), Ok(Command::Schema(None)));
        assert_eq!(parse(".q"), Ok(Command::Quit));
        assert_eq!(parse(".ti off"), Ok(Command::Timing(Some(false))));
        assert_eq!(parse(".t").unwrap_err(), ".t may be .tables or .timing or .tz");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let words = |line| parse(line).unwrap_err();
        assert!(words(".tabels").contains("did you mean .tables?"), "{}", words(".tabels"));
        for far in [".", ".x", ".tx", ".abc"] {
            let words = words(far);
            assert!(words.contains("; .help lists them"), "{words}");
        }
        assert!(words("\\d").contains("there is no command"), "{}", words("\\d"));
        assert!(words(".timing maybe").contains("neither on nor off"));
        assert!(words(".format xml").contains("table, csv, json or ndjson"));
        assert!(words(".format parquet").contains("--output FILE"));
        assert!(words(".tz Tokio").contains("Asia/Tokyo"));
        assert_eq!(words(".tables x"), ".tables takes no value");
        assert!(words(".\u{1b}[m").contains("\\u{1b}"));
    }
}
