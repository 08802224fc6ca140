//! The prompt of `amida sql`, with keys pressed on a terminal.

use std::path::Path;

use crate::pty::{CTRL_C, Terminal, UP};
use crate::run::*;

/// A store with one trace of this many spans.
fn store(home: &Path, spans: u64) {
    write(home, "in", request(1, spans));
    assert_eq!(amida(home, &["import", "s", "in"]).code, 0);
}

/// Times differ from run to run.
fn steady(picture: &str) -> String {
    let time = |word: &str| word.parse::<f64>().is_ok() && word.contains('.');
    let lines = picture.lines().map(|line| {
        let words = line.split(' ').map(|word| if time(word) { "[t]" } else { word });
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_statement_over_many_lines_is_answered_when_its_semicolon_comes() {
    let home = home();
    store(home.path(), 3);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.press("SELECT 40 +\r");
    terminal.ask("2 AS answer; -- done", "1 row in ");
    terminal.ask("SELECT kind, count(*) AS spans FROM spans GROUP BY 1;", "1 row in ");
    terminal.ask("SELECT '\u{65e5}\u{672c}' AS \"\u{8a00}\u{8a9e}\";", "1 row in ");
    insta::assert_snapshot!(steady(&terminal.leave()));
}

#[test]
fn commands_tell_the_tables_and_the_settings() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.ask(".tables", "8 rows in ");
    terminal.ask(".schema Events", "8 rows in ");
    terminal.ask(".schema event", "did you mean events?");
    terminal.ask(".timing off", "\n");
    terminal.ask(".tz Asia/Tokyo", "\n");
    terminal.ask("SELECT start_time FROM spans;", "+09:00");
    terminal.ask(".format csv", "\n");
    terminal.ask("SELECT name, duration_ms FROM spans;", "GET /cart,1.5");
    terminal.ask(".tabels", "did you mean .tables?");
    terminal.ask("help", "Ctrl-D leaves");
    insta::assert_snapshot!(steady(&terminal.leave()));
}

#[test]
fn what_is_wrong_is_told_and_the_prompt_goes_on() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.ask("SELECT nme FROM spans;", "|        ^^^");
    terminal.ask("SELECT attributes['nope'] FROM spans;", "note: no span has attributes['nope']");
    terminal.ask("DELETE FROM spans;", "error: DELETE is not allowed");
    terminal.press("SELECT 'a\r");
    terminal.wait_for("\n");
    terminal.press(CTRL_C);
    terminal.wait_for("\u{1b}[?2004l");
    terminal.wait_for("amida> ");
    terminal.press(b"SELECT '\xff");
    terminal.wait_for("error: what was typed is not UTF-8");
    terminal.wait_for("amida> ");
    terminal.ask("SELECT 6 AS six;", "1 row in ");
    let picture = terminal.leave();
    assert!(!picture.contains("panicked"), "{picture}");
}

#[test]
fn the_history_is_there_in_the_next_run_and_only_for_its_owner() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.press("SELECT 7\r");
    terminal.ask("AS seven;", "1 row in ");
    terminal.leave();
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.ask(UP, "1 row in ");
    let picture = terminal.leave();
    assert!(picture.contains("amida> SELECT 7\nAS seven;"), "{picture}");
    let history = home.path().join("history");
    assert_eq!(std::fs::read_to_string(&history).unwrap(), "#V2\nSELECT 7\\nAS seven;\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&history).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_history_that_cannot_be_kept_is_a_warning() {
    let home = home();
    store(home.path(), 1);
    let vars = [("AMIDA_HISTORY", "/dev/null/history")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &vars) else { return };
    terminal.ask("SELECT 1 AS one;", "1 row in ");
    terminal.ask(UP, "1 row in ");
    let picture = terminal.leave();
    assert_eq!(picture.matches("warning: history is not kept").count(), 1, "{picture}");
}

#[test]
fn tab_completes_tables_columns_and_keys() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    // The names are there from here on.
    terminal.ask(".schema nothing", "error: there is no table nothing");
    terminal.press("SELECT attributes['http\t");
    terminal.wait_for(".response.status_code']");
    terminal.press(", duration_m\t");
    terminal.wait_for("duration_ms");
    terminal.press(" FROM spa\t");
    terminal.wait_for("ns");
    terminal.ask(";", "1 row in ");
    let picture = terminal.leave();
    let line = "SELECT attributes['http.response.status_code'], duration_ms FROM spans;";
    assert!(picture.contains(line), "{picture}");
}

#[test]
fn pasted_statements_run_one_after_the_other() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    terminal.press("\u{1b}[200~SELECT 1 AS one;\n.timing\nSELECT\n2 AS two;\u{1b}[201~");
    terminal.ask("", "timing on");
    let picture = terminal.leave();
    let place =
        |text: &str| picture.find(&format!("\n{text}\n")).unwrap_or_else(|| panic!("{picture}"));
    assert!(place("one") < place("timing on") && place("timing on") < place("two"), "{picture}");
    let history = std::fs::read_to_string(home.path().join("history")).unwrap();
    assert_eq!(history, "#V2\nSELECT 1 AS one;\n.timing\nSELECT\\n2 AS two;\n");
}

/// A query that would take days.
const ENDLESS: &str = "SELECT count(*) FROM spans a, spans b, spans c, spans d, spans e \
    WHERE a.span_id || b.span_id || c.span_id || d.span_id || e.span_id = 'x';";

#[test]
fn ctrl_c_cancels_the_query_and_not_the_prompt() {
    let home = home();
    store(home.path(), 200);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    for behind in ["", "SELECT 1 AS one;"] {
        terminal.press(format!("\u{1b}[200~{ENDLESS}{behind}\u{1b}[201~\r"));
        // The editor gives the terminal back.
        terminal.wait_for("\u{1b}[?2004l");
        terminal.press(CTRL_C);
        terminal.wait_for("cancelled after ");
        terminal.wait_for("amida> ");
    }
    terminal.ask("SELECT count(*) AS spans FROM spans;", "1 row in ");
    let picture = terminal.leave();
    assert!(picture.contains("1 statement not run"), "{picture}");
    assert!(!picture.contains("\none\n"), "{picture}");
}

#[test]
fn a_statement_sees_what_was_appended_before_it() {
    let home = home();
    store(home.path(), 3);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[]) else { return };
    let count = "SELECT 'n=' || count(*) AS n FROM spans;";
    terminal.ask(count, "n=3");
    write(home.path(), "more", request(2, 4));
    assert_eq!(amida(home.path(), &["import", "s", "more"]).code, 0);
    terminal.ask(count, "n=7");
    terminal.leave();
}

#[test]
fn answers_longer_than_the_screen_go_to_the_pager_whole() {
    let home = home();
    store(home.path(), 60);
    let vars = [("AMIDA_PAGER", "cat > paged")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &vars) else { return };
    terminal.ask("SELECT span_id FROM spans;", "60 rows in ");
    let paged = std::fs::read_to_string(home.path().join("paged")).unwrap();
    assert_eq!(paged.lines().count(), 62, "{paged}");
    terminal.ask("SELECT span_id FROM spans LIMIT 3;", "3 rows in ");
    terminal.ask(".pager off", "\n");
    terminal.ask("SELECT parent_span_id FROM spans;", "60 rows in ");
    let picture = terminal.leave();
    assert_eq!(picture.matches("0000000000000").count(), 63 - 1, "{picture}");
}

/// `less` alone scrolls sideways; this one only bears its name.
#[cfg(unix)]
#[test]
fn tables_wider_than_the_screen_go_to_less_whole() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    store(home.path(), 3);
    let less = home.path().join("less");
    write(home.path(), "less", "#!/bin/sh\n{ cat; echo \"LESS=$LESS\"; } > paged\n");
    std::fs::set_permissions(&less, std::fs::Permissions::from_mode(0o755)).unwrap();
    let vars = [("AMIDA_PAGER", "./less")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &vars) else { return };
    terminal.ask("SELECT name, span_id FROM spans;", "3 rows in ");
    assert!(!home.path().join("paged").exists(), "it fits: {}", terminal.picture());
    terminal.ask("FROM spans;", "3 rows in ");
    let paged = std::fs::read_to_string(home.path().join("paged")).unwrap();
    assert!(paged.lines().next().unwrap().ends_with("  marks"), "{paged}");
    assert!(!paged.contains("more column"), "{paged}");
    assert!(paged.ends_with("LESS=FRSX -+F\n"), "{paged}");
    let picture = terminal.leave();
    assert!(!picture.contains("trace_id"), "{picture}");
}

#[test]
fn a_pager_that_is_left_early_ends_the_query() {
    let home = home();
    store(home.path(), 300);
    let vars = [("AMIDA_PAGER", "head -1")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s --format ndjson", &vars) else {
        return;
    };
    terminal.ask("SELECT a.name FROM spans a, spans b, spans c, spans d;", "the pager was left");
    terminal.ask("SELECT 8 AS eight;", "{\"eight\":8}");
    terminal.leave();
}

#[test]
fn ctrl_c_in_the_pager_ends_neither_the_prompt_nor_what_was_typed_ahead() {
    let home = home();
    store(home.path(), 60);
    let vars = [("AMIDA_PAGER", "cat > /dev/null; echo pager is up; read line < /dev/tty")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &vars) else { return };
    let long = "SELECT span_id FROM spans;\r";
    terminal.press(long);
    terminal.wait_for("pager is up");
    terminal.press(CTRL_C);
    terminal.wait_for("60 rows in ");
    terminal.wait_for("amida> ");
    terminal.press(long);
    terminal.wait_for("pager is up");
    terminal.press("for the pager\nSELECT 1 AS one;\nSELECT 2\nAS two;\n");
    terminal.wait_for("60 rows in ");
    terminal.wait_for("1 row in ");
    terminal.wait_for("1 row in ");
    terminal.wait_for("amida> ");
    let picture = terminal.leave();
    assert!(picture.contains("\none\n") && picture.contains("\ntwo\n"), "{picture}");
}

#[test]
fn a_pager_that_is_not_there_is_a_warning() {
    let home = home();
    store(home.path(), 60);
    let vars = [("AMIDA_PAGER", "no-such-pager")];
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &vars) else { return };
    terminal.ask("SELECT span_id FROM spans;", "60 rows in ");
    let picture = terminal.leave();
    assert!(picture.contains("there is no program no-such-pager"), "{picture}");
    assert_eq!(picture.matches("0000000000000").count(), 60, "{picture}");
}

#[test]
fn a_simple_terminal_gets_plain_lines() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[("TERM", "dumb")]) else {
        return;
    };
    terminal.press("SELECT 4 AS\n");
    terminal.wait_for("  ...> ");
    terminal.press("four;\n");
    terminal.wait_for("1 row in ");
    terminal.wait_for("amida> ");
    let written = terminal.written();
    assert!(!written.contains('\u{1b}') && written.contains("four"), "{written:?}");
    terminal.leave();
}

#[test]
fn ctrl_c_on_a_simple_terminal_drops_what_was_typed_before_and_nothing_behind() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::prompt(home.path(), "sql s", &[("TERM", "dumb")]) else {
        return;
    };
    terminal.press("SELECT 'dropped',\n");
    terminal.wait_for("  ...> ");
    terminal.press(CTRL_C);
    terminal.wait_for("\namida> ");
    terminal.press("SELECT 6 * 7\n");
    terminal.wait_for("  ...> ");
    terminal.press("AS answer;\n");
    terminal.wait_for("    42");
    terminal.wait_for("amida> ");
    terminal.press(CTRL_C);
    terminal.wait_for("\namida> ");
    let picture = terminal.leave();
    assert!(!picture.contains("error"), "{picture}");
}

#[test]
fn parquet_is_no_format_for_a_prompt() {
    let home = home();
    store(home.path(), 1);
    let Some(mut terminal) = Terminal::open(home.path(), "sql s --format parquet", &[]) else {
        return;
    };
    terminal.wait_for("give --output FILE");
}

#[test]
fn times_are_shown_in_the_zone_that_is_asked_for() {
    let home = home();
    store(home.path(), 1);
    let ask = |zone: &str| {
        amida(home.path(), &["sql", "s", "SELECT start_time FROM spans", "--tz", zone])
    };
    assert!(ask("UTC").out.contains("2023-11-14T22:13:20.001Z"), "{:?}", ask("UTC"));
    assert!(ask("asia/tokyo").out.contains("2023-11-15T07:13:20.001+09:00"));
    assert!(ask("-03:30").out.contains("2023-11-14T18:43:20.001-03:30"));
    assert_eq!(ask("local").code, 0);
    let wrong = ask("Asia/Tokio");
    assert!(wrong.code == 1 && wrong.err.contains("did you mean Asia/Tokyo?"), "{wrong:?}");
}
