//! A damaged store on the command line: which file it is, what to do, and answers from the rest.

use std::path::{Path, PathBuf};

use crate::run::*;

/// A store with two segments: the first, which is damaged, has a trace of 3 spans, the other one
/// of 4.
fn damaged(home: &Path) -> PathBuf {
    for (trace, spans) in [(1, 3), (0xa2, 4)] {
        write(home, "in", frame(&request(trace, spans)));
        assert_eq!(amida(home, &["import", "s", "in"]).code, 0);
    }
    let files = amida(home, &["files", "s"]).out;
    assert_eq!(files.lines().count(), 2, "{files}");
    let first = PathBuf::from(files.lines().next().unwrap());
    let mut bytes = std::fs::read(home.join(&first)).unwrap();
    bytes[30] ^= 1;
    std::fs::write(home.join(&first), bytes).unwrap();
    first
}

const HINT: &str = "; --allow-partial answers from what can be read\n";

fn note(file: &Path) -> String {
    format!(
        "note: left out rows 0..3 of {}, spans that start from 2023-11-14T22:13:20.001Z to ",
        file.display()
    )
}

#[test]
fn a_query_fails_and_names_the_file_unless_a_partial_answer_is_allowed() {
    let home = home();
    let file = damaged(home.path());
    let query = ["sql", "s", "SELECT count(*) AS n FROM spans", "--json"];
    let ran = amida(home.path(), &query);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    let begin = format!("amida: {} is damaged at byte ", file.display());
    assert!(ran.err.starts_with(&begin) && ran.err.ends_with(HINT), "{}", ran.err);
    let ran = amida(home.path(), &[&query[..], &["--allow-partial"]].concat());
    assert_eq!((ran.code, &ran.json()[0]["n"]), (2, &4.into()), "{}", ran.err);
    assert!(ran.err.starts_with(&note(&file)), "{}", ran.err);
    // Spans of other times are not missed.
    let other = "SELECT count(*) AS n FROM spans WHERE start_time > '2023-11-14T22:13:20.1Z'";
    let ran = amida(home.path(), &["sql", "s", other, "--json"]);
    assert_eq!((ran.code, &ran.json()[0]["n"], ran.err.as_str()), (0, &4.into(), ""));
}

#[test]
fn a_trace_is_drawn_from_the_rest() {
    let home = home();
    let file = damaged(home.path());
    for id in [&trace_id(0xa2)[..], "000000a2"] {
        let ran = amida(home.path(), &["trace", "s", id]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(file.to_str().unwrap()) && ran.err.ends_with(HINT), "{}", ran.err);
        let ran = amida(home.path(), &["trace", "s", id, "--allow-partial"]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.out.contains("GET /cart") && ran.err.starts_with(&note(&file)), "{ran:?}");
    }
    let ran = amida(home.path(), &["trace", "s", &trace_id(1), "--allow-partial"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(ran.err.contains(&note(&file)) && ran.err.contains("there is no trace"), "{}", ran.err);
}

#[test]
fn an_export_has_the_rest() {
    let home = home();
    let file = damaged(home.path());
    let everything = vec!["export", "s", "-o", "out.jsonl"];
    let query = vec!["export", "s", "-o", "out.jsonl", "--query", "FROM spans"];
    for args in [everything, query] {
        let ran = amida(home.path(), &args);
        assert_eq!(ran.code, 1, "{}", ran.err);
        assert!(ran.err.contains(file.to_str().unwrap()) && ran.err.ends_with(HINT), "{}", ran.err);
        assert!(!home.path().join("out.jsonl").exists());
        let ran = amida(home.path(), &[&args[..], &["--allow-partial"]].concat());
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(&note(&file)), "{}", ran.err);
        assert_eq!(amida(home.path(), &["import", "other", "out.jsonl"]).code, 0);
        std::fs::remove_file(home.path().join("out.jsonl")).unwrap();
    }
    assert_eq!(span_count(home.path(), "other"), 8);
}

#[test]
fn info_and_files_say_what_is_damaged() {
    let home = home();
    let file = damaged(home.path());
    let ran = amida(home.path(), &["info", "s"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for words in ["DAMAGE", file.to_str().unwrap(), "3 spans of ", "amida verify s"] {
        assert!(ran.out.contains(words), "{words}: {}", ran.out);
    }
    let info = amida(home.path(), &["info", "s", "--json"]).json();
    assert_eq!((&info["spans"], &info["traces"]), (&7.into(), &1.into()), "{info}");
    assert_eq!(info["missing"][0]["spans"], 3, "{info}");
    assert_eq!(info["damage"].as_array().unwrap().len(), 1, "{info}");
    let ran = amida(home.path(), &["files", "s"]);
    assert_eq!((ran.code, ran.out.lines().count()), (2, 1));
    assert!(ran.err.starts_with("note: not listed: ") && ran.err.contains(file.to_str().unwrap()));
}
