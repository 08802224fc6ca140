//! docs/cli.md says what the command can do, and nothing that it cannot.

use std::collections::BTreeSet;

use crate::run::{amida, home};

const PAGE: &str = include_str!("../../docs/cli.md");

/// What a help says.
fn help(args: &[&str]) -> String {
    let ran = amida(home().path(), &[args, &["--help"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.out
}

/// The commands that the help lists.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let list = help.split_once("Commands:").expect("a list of commands").1;
    let lines = list.lines().skip(1).take_while(|line| !line.trim().is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The long options that stand in a text.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let options = words.filter(|word| word.starts_with("--") && word.len() > 3);
    options.map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_section_and_every_option_a_word() {
    let commands = commands();
    assert!(commands.len() >= 7, "{commands:?}");
    let mut missing = Vec::new();
    for command in &commands {
        let Some((_, section)) = PAGE.split_once(&format!("\n## `amida {command}`\n")) else {
            missing.push(format!("a section on amida {command}"));
            continue;
        };
        let (common, _) = PAGE.split_once("\n## `amida ").expect("sections");
        let section = section.split("\n## ").next().unwrap_or_default();
        let known = options(&format!("{common}\n{section}"));
        for option in options(&help(&[command])) {
            if !known.contains(&option) && !["--help", "--dir"].contains(&option.as_str()) {
                missing.push(format!("{option} of amida {command}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/cli.md lacks:\n{}", missing.join("\n"));
}

#[test]
fn the_examples_use_options_that_exist() {
    let mut wrong = Vec::new();
    let mut examples = 0;
    for part in PAGE.split("amida ").skip(1) {
        let line = part.split(['\n', '|', '#', '>', '`']).next().unwrap_or_default();
        let command = line.split_whitespace().next().unwrap_or_default();
        if !commands().iter().any(|name| name == command) {
            continue;
        }
        examples += 1;
        let known = options(&help(&[command]));
        for option in options(line).difference(&known) {
            wrong.push(format!("amida {line}: {option}"));
        }
    }
    assert!(examples > 15, "{examples} examples");
    assert!(wrong.is_empty(), "docs/cli.md uses what is not there:\n{}", wrong.join("\n"));
}
