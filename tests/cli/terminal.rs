//! What is different on a terminal. Made by the system's `script`, where there is one.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::*;

/// What the command prints on a terminal of this many columns; `None` where none can be made.
fn on_terminal(home: &Path, columns: usize, no_colour: &str, command: &str) -> Option<String> {
    let amida = env!("CARGO_BIN_EXE_amida");
    let line = format!("stty rows 40 cols {columns}; '{amida}' {command}");
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(home)
        .env("NO_COLOR", no_colour)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no program `script` to make a terminal");
        return None;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    Some(text)
}

fn store(home: &Path) {
    write(home, "in", request(1, 3));
    assert_eq!(amida(home, &["import", "s", "in"]).code, 0);
}

/// A first version panicked here, and only here: it asked for a coloured log.
#[test]
fn every_reading_command_works_on_a_terminal() {
    let home = home();
    store(home.path());
    for command in ["info s", "files s --long", "compact s", "trace s 0000", "import s in"] {
        let Some(text) = on_terminal(home.path(), 80, "", command) else { return };
        assert!(!text.contains("panicked") && !text.is_empty(), "{command}: {text}");
    }
}

#[test]
fn wide_values_are_cut_to_the_terminal_and_rows_are_counted() {
    let home = home();
    store(home.path());
    for columns in [60, 100] {
        let query = "sql s 'SELECT name, attributes FROM spans'";
        let Some(text) = on_terminal(home.path(), columns, "1", query) else { return };
        assert!(text.contains('\u{2026}') && text.contains("3 rows in "), "{text}");
        let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert_eq!(widest, columns, "{text}");
    }
    let query = "sql s 'SELECT attributes FROM spans' --format csv";
    let Some(text) = on_terminal(home.path(), 60, "1", query) else { return };
    assert_eq!(text.matches(&"x".repeat(300)).count(), 3, "{text}");
}

#[test]
fn a_row_of_many_columns_is_one_line_and_its_ids_are_whole() {
    let home = home();
    store(home.path());
    for columns in [40, 80, 100, 160, 240] {
        let Some(text) = on_terminal(home.path(), columns, "1", "sql s 'FROM spans'") else {
            return;
        };
        let widest = text.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= columns, "{columns}: {text}");
        let id = trace_id(1);
        let rows = text.lines().filter(|line| line.starts_with(&id)).count();
        // The header, its rule, the columns that are left out, and the count.
        assert_eq!((rows, text.lines().count()), (3, 3 + 4), "{columns}: {text}");
        assert!(text.contains(" more columns"), "{columns}: {text}");
        let has_name = text.lines().next().unwrap().contains(" name ");
        assert!(has_name || columns < 80, "{columns}: {text}");
    }
    let query = "sql s 'SELECT trace_id, name FROM spans'";
    let Some(text) = on_terminal(home.path(), 80, "1", query) else { return };
    assert!(!text.contains("more column"), "{text}");
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    let home = home();
    store(home.path());
    let Some(plain) = on_terminal(home.path(), 80, "1", "trace s 0000") else { return };
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let Some(coloured) = on_terminal(home.path(), 80, "", "trace s 0000") else { return };
    assert!(coloured.contains('\u{1b}'), "{coloured}");
}

#[test]
fn parquet_is_not_written_to_a_terminal() {
    let home = home();
    store(home.path());
    let query = "sql s 'SELECT 1' --format parquet; test $? = 1";
    let Some(text) = on_terminal(home.path(), 80, "", query) else { return };
    assert!(text.contains("give --output FILE"), "{text}");
}
