//! `amida demo`: its data, its answers, and the directory that it may remove.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const END: &str = "2026-01-02T03:04:05Z";

/// Runs the demo with seed 1, 6,000 spans and a fixed end.
fn demo(dir: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_amida"))
        .args(["demo", "--spans", "6000", "--seed", "1", "--end", END, "--dir"])
        .arg(dir)
        .args(more)
        .output()
        .unwrap()
}

fn report(dir: &Path) -> Value {
    let output = demo(dir, &["--json"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rows(report: &Value, number: usize) -> &Vec<Value> {
    report["answers"][number]["rows"].as_array().unwrap()
}

#[test]
fn every_question_has_an_answer_and_both_stories_come_out() {
    let home = tempfile::tempdir().unwrap();
    let report = report(&home.path().join("demo"));
    assert!(report["sent"]["spans"].as_u64().unwrap() >= 6000);
    let bytes = report["bytes_per_span"].as_f64().unwrap();
    assert!((400.0..650.0).contains(&bytes), "{bytes} bytes a span");
    for number in 0..6 {
        assert!(!rows(&report, number).is_empty(), "{}", report["answers"][number]);
    }
    // Services: all but those that only call.
    assert!(rows(&report, 0).len() >= 20);
    // Calls that never rang: the push service said why.
    assert!(rows(&report, 3).iter().all(|row| row["push_timeouts"].as_i64().unwrap() > 0));
    // Latin letters have two planted causes.
    let latin = rows(&report, 4);
    let app: Vec<&Value> =
        latin.iter().filter(|row| row["cause"].as_str().unwrap().contains("app sent")).collect();
    assert!(!app.is_empty());
    for row in latin {
        if app.contains(&row) {
            assert_eq!((&row["app_version"], &row["os"]), (&"3.2.0".into(), &"Android".into()));
        } else {
            assert_eq!(row["api_version"], "2.8.1");
        }
    }
    assert_eq!(report["trace_id"].as_str().unwrap().len(), 32);
}

#[test]
fn running_it_again_replaces_its_own_data_with_the_same() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("demo");
    let (first, second) = (report(&dir), report(&dir));
    assert_eq!(first["sent"]["spans"], second["sent"]["spans"]);
    for number in 2..6 {
        assert_eq!(rows(&first, number), rows(&second, number));
    }
    // Percentiles are approximate and depend on which thread was first; counts do not.
    let counts = |report: &Value| -> Vec<(Value, Value)> {
        rows(report, 0).iter().map(|row| (row["service"].clone(), row["errors"].clone())).collect()
    };
    assert_eq!(counts(&first), counts(&second));
}

#[test]
fn answers_stand_under_their_sql_and_a_call_is_drawn() {
    let home = tempfile::tempdir().unwrap();
    let output = demo(&home.path().join("demo"), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let order = [
        "SELECT service_name AS service",
        "frontend-web",
        "FROM service_edges",
        "NOT IN (SELECT trace_id FROM spans WHERE name = 'call.ring')",
        "regexp_like(",
        "the mobile app sent them",
        "trace ",
        "mobile-app  call.press",
        "push.timeout",
        "Try next",
    ];
    let mut rest = text.as_str();
    for words in order {
        let at = rest.find(words).unwrap_or_else(|| panic!("{words} is missing in:\n{text}"));
        rest = &rest[at + words.len()..];
    }
    for command in [" trace ", " sql ", " info "] {
        assert!(rest.contains(command), "{rest}");
    }
}

#[test]
fn the_directory_of_somebody_else_is_refused_and_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("thesis.txt"), "years of work").unwrap();
    let output = demo(home.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("the demo did not make it"), "{errors}");
    assert!(home.path().join("thesis.txt").exists());
}
