//! The commands that read: `sql`, `trace`, `info`, `files`, and `compact`.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use amida::Store;
use serde_json::json;

use crate::run::*;

/// A store with three traces of 3, 4 and 5 spans.
fn store(home: &Path) {
    write(
        home,
        "in",
        [frame(&request(1, 3)), frame(&request(0xa2, 4)), frame(&request(0xa3, 5))].concat(),
    );
    let ran = amida(home, &["import", "s", "in"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn info_has_the_numbers_of_the_store() {
    let home = home();
    store(home.path());
    let info = amida(home.path(), &["info", "s", "--json"]).json();
    for (key, value) in [
        ("spans", json!(12)),
        ("traces", json!(3)),
        ("accepted", json!(12)),
        ("dropped", json!(0)),
        ("rejected", json!({})),
        ("segments", json!(1)),
        ("segment_spans", json!(12)),
        ("unflushed_spans", json!(0)),
        ("services", json!([{"name": "shop", "spans": 12}])),
        ("start_time_min", json!("2023-11-14T22:13:20.001Z")),
        ("start_time_max", json!("2023-11-14T22:13:20.163Z")),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    let bytes = |key: &str| info[key].as_f64().unwrap();
    assert_eq!(bytes("bytes_per_span"), bytes("segment_bytes") / 12.0);
    assert!(bytes("disk_bytes") >= bytes("segment_bytes") + bytes("wal_bytes"));
    let words = amida(home.path(), &["info", "s"]).out;
    for word in ["spans            12", "traces           3", "2023-11-14T22:13:20.001Z", "KiB"] {
        assert!(words.contains(word), "{word}: {words}");
    }
}

#[test]
fn a_file_is_said_to_be_no_store() {
    let home = home();
    write(home.path(), "spans.json", "{}");
    for args in [vec!["sql", "spans.json", "FROM spans"], vec!["info", "spans.json"]] {
        let ran = amida(home.path(), &args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""));
        assert_eq!(ran.err, "amida: spans.json: this is no store: a store is a directory\n");
    }
}

#[test]
fn a_trace_is_found_by_its_id_in_every_spelling() {
    let home = home();
    store(home.path());
    let (first, second) = (trace_id(1), trace_id(0xa2));
    let cut = "000000a2\u{2026}";
    for id in [first.as_str(), &first.to_uppercase(), "00000001", &second[..8], "000000A2", cut] {
        let ran = amida(home.path(), &["trace", "s", id]);
        assert_eq!(ran.code, 0, "{id}: {}", ran.err);
        assert!(ran.out.contains("GET /cart"), "{}", ran.out);
        let ran = amida(home.path(), &["trace", "s", id, "--json"]);
        let trace = ran.json();
        assert!(trace["trace_id"].as_str().unwrap().starts_with(&id[..8].to_lowercase()));
        assert_eq!(trace["root_span_id"], "00000000000000aa");
    }
}

#[test]
fn a_span_is_found_by_an_id_that_was_cut() {
    let home = home();
    store(home.path());
    for id in ["00000000000000aa", "00000000000000a\u{2026}", "00000000000000a..."] {
        let ran = amida(home.path(), &["trace", "s", &trace_id(1), "--span", id]);
        assert_eq!(ran.code, 0, "{id}: {}", ran.err);
        assert!(ran.out.contains("00000000000000aa"), "{}", ran.out);
    }
}

#[test]
fn a_64_bit_id_means_the_one_with_zeros_before_it() {
    let home = home();
    let id = ("0000000000000000d269b633813fc60c", "eee19b7ec3c1b174");
    write(home.path(), "a.json", document(&[id]));
    amida(home.path(), &["import", "s", "a.json"]);
    let ran = amida(home.path(), &["trace", "s", "D269B633813FC60C", "--json"]);
    assert_eq!(ran.json()["trace_id"], id.0, "{}", ran.err);
}

#[test]
fn a_prefix_of_several_traces_lists_them_and_an_unknown_id_says_so() {
    let home = home();
    store(home.path());
    let ran = amida(home.path(), &["trace", "s", "000000a"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    let several =
        format!("2 traces begin with 000000a:\n  {}\n  {}", trace_id(0xa2), trace_id(0xa3));
    assert!(ran.err.contains(&several), "{}", ran.err);
    for (id, words) in [
        ("ffff", "no trace begins with ffff"),
        ("FFFFFFFF4da6a3ce929d0e0e47360000", "there is no trace ffffffff4da6a3ce929d0e0e47360000"),
        ("nonsense", "is no trace id"),
        ("\u{2026}", "is no trace id"),
        ("", "is no trace id"),
        ("000000014da6a3ce929d0e0e473600000", "is no trace id"),
        ("00000000000000000000000000000000", "all zeros"),
        ("0000000000000000", "all zeros"),
    ] {
        let ran = amida(home.path(), &["trace", "s", id]);
        assert_eq!(ran.code, 1, "{id}");
        assert!(ran.err.contains(words), "{id}: {}", ran.err);
    }
}

#[test]
fn the_trace_as_json_has_its_tree() {
    let home = home();
    store(home.path());
    let trace = amida(home.path(), &["trace", "s", &trace_id(1), "--json"]).json();
    assert_eq!((&trace["span_count"], &trace["duration_ns"]), (&json!(3), &json!(1_500_000)));
    let root = &trace["spans"][0];
    assert_eq!((&root["depth"], &root["parent_span_id"]), (&json!(0), &json!(null)));
    assert_eq!(root["children"], json!(["0000000000000001", "0000000000000002"]));
    assert_eq!(root["start_time"], "2023-11-14T22:13:20.001Z");
    assert_eq!(root["start_time_unix_nano"], json!(1_700_000_000_001_000_000_i64));
    assert_eq!(root["attributes"]["http.response.status_code"], json!(200));
    assert_eq!(root["resource_attributes"]["host.name"], "h1");
    assert_eq!(trace["spans"][2]["depth"], json!(1));
}

#[test]
fn answers_are_never_cut_outside_of_a_terminal() {
    let home = home();
    store(home.path());
    let query = "SELECT trace_id, attributes['long'] AS long, start_time FROM spans";
    for format in ["table", "csv", "json", "ndjson"] {
        let ran = amida(home.path(), &["sql", "s", query, "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
        assert_eq!(ran.out.matches(&"x".repeat(300)).count(), 12, "{format}");
        assert_eq!(ran.out.matches(&trace_id(1)).count(), 3, "{format}");
        assert_eq!(ran.out.matches("2023-11-14T22:13:20.001Z").count(), 3, "{format}");
        assert_eq!(ran.err, "", "{format}");
    }
}

#[test]
fn an_answer_is_written_to_a_file_as_parquet() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let home = home();
    store(home.path());
    let args =
        ["sql", "s", "SELECT * FROM spans", "--format", "parquet", "--output", "out.parquet"];
    let ran = amida(home.path(), &args);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    let file = std::fs::File::open(home.path().join("out.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    assert_eq!(reader.metadata().file_metadata().num_rows(), 12);
}

#[test]
fn a_query_comes_from_the_command_line_a_file_or_standard_input() {
    let home = home();
    store(home.path());
    let query = "SELECT count(*) AS n FROM spans";
    write(home.path(), "q.sql", query);
    for (args, input) in [
        (vec!["sql", "s", query, "--format", "csv"], ""),
        (vec!["sql", "s", "-f", "q.sql", "--format", "csv"], ""),
        (vec!["sql", "s", "-", "--format", "csv"], query),
        (vec!["sql", "s", "--format", "csv"], query),
    ] {
        let ran = amida_with_input(home.path(), &args, input.as_bytes());
        assert_eq!((ran.code, ran.out.as_str()), (0, "n\n12\n"), "{args:?}: {}", ran.err);
    }
    assert_eq!(amida(home.path(), &["sql", "s", query, "--json"]).json(), json!([{"n": 12}]));
}

#[test]
fn a_wrong_query_is_one_readable_line_and_its_place() {
    let home = home();
    store(home.path());
    for (query, lines, words) in [
        ("SELECT nope FROM spans", 4, "\n1 | SELECT nope FROM spans\n  |        ^^^^\n"),
        ("SELEC 1", 4, "\n1 | SELEC 1\n  | ^^^^^\n"),
        ("DROP TABLE spans", 4, "^^^^"),
        ("SELECT 1; SELECT 2", 1, "one statement at a time"),
        ("  ", 1, "the query is empty"),
    ] {
        let ran = amida(home.path(), &["sql", "s", query]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{query}");
        assert!(ran.err.starts_with("amida: ") && ran.err.contains(words), "{}", ran.err);
        assert_eq!(ran.err.lines().count(), lines, "{}", ran.err);
    }
    let ran = amida(home.path(), &["sql", "s", "SELECT nope", "--format", "csv", "-o", "out"]);
    assert_eq!(ran.code, 1);
    assert!(!home.path().join("out").exists(), "no half an answer stays");
}

#[test]
fn notes_stand_on_standard_error_whatever_the_format() {
    let home = home();
    store(home.path());
    let query = "SELECT count(attributes['host.name']) AS n FROM spans";
    let note = "note: no span has attributes['host.name']; resource_attributes['host.name'] has 12 \
                values\n";
    for (format, out) in [("csv", "n\n0\n"), ("ndjson", "{\"n\":0}\n"), ("table", "n\n")] {
        let ran = amida(home.path(), &["sql", "s", query, "--format", format]);
        assert_eq!((ran.code, ran.err.as_str()), (0, note), "{format}");
        assert!(ran.out.starts_with(out), "{format}: {}", ran.out);
    }
    let ran = amida(home.path(), &["sql", "s", "SELECT attributes['\u{1b}[31m'] FROM spans"]);
    assert!(ran.err.contains("E'\\u001b[31m'") && !ran.err.contains('\u{1b}'), "{}", ran.err);
}

#[test]
fn whoever_stops_reading_hears_no_complaint() {
    let home = home();
    write(home.path(), "in", request(1, 20_000));
    assert_eq!(amida(home.path(), &["import", "s", "in"]).code, 0);
    for format in ["table", "csv", "json", "ndjson", "parquet"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_amida"))
            .args(["sql", "s", "SELECT * FROM spans", "--format", format])
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 64];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn files_lists_what_other_readers_can_open() {
    let home = home();
    store(home.path());
    let ran = amida(home.path(), &["files", "s"]);
    let paths: Vec<&str> = ran.out.lines().collect();
    assert_eq!(paths.len(), 1);
    assert!(home.path().join(paths[0]).is_file());
    let report = amida(home.path(), &["files", "s", "--json"]).json();
    assert_eq!((&report["files"][0]["spans"], &report["unflushed_spans"]), (&json!(12), &json!(0)));
    assert!(amida(home.path(), &["files", "s", "--long"]).out.contains("KiB"));
}

#[test]
fn compact_merges_what_several_imports_left() {
    let home = home();
    for _ in 0..3 {
        store(home.path());
    }
    let report = amida(home.path(), &["compact", "s", "--json"]).json();
    assert_eq!((&report["spans"], &report["after"]["segments"]), (&json!(36), &json!(1)));
    assert_eq!(span_count(home.path(), "s"), 36);
    let ran = amida(home.path(), &["compact", "s"]);
    assert!(ran.out.starts_with("36 spans: 1 segment of "), "{}", ran.out);
}

#[test]
fn beside_an_open_writer_reading_works_and_writing_says_who_has_it() {
    let home = home();
    let writer = Store::open(home.path().join("s")).unwrap();
    assert_eq!(writer.append_otlp(request(1, 3)).unwrap().accepted(), 3);
    // What was acknowledged is visible to other processes, though it is in no segment yet.
    assert_eq!(span_count(home.path(), "s"), 3);
    assert_eq!(amida(home.path(), &["trace", "s", "0000"]).code, 0);
    let info = amida(home.path(), &["info", "s", "--json"]).json();
    assert_eq!((&info["spans"], &info["unflushed_spans"]), (&json!(3), &json!(3)));
    assert_eq!(amida(home.path(), &["files", "s"]).out, "");
    write(home.path(), "in", request(2, 1));
    for args in [&["compact", "s"][..], &["import", "s", "in"]] {
        let ran = amida(home.path(), args);
        assert_eq!(ran.code, 1, "{args:?}");
        let who = format!("open for writing by process {}", std::process::id());
        assert!(ran.err.contains(&who), "{}", ran.err);
    }
    assert_eq!(writer.append_otlp(request(2, 4)).unwrap().accepted(), 4);
    assert_eq!(span_count(home.path(), "s"), 7);
    writer.close().unwrap();
    assert_eq!(amida(home.path(), &["compact", "s"]).code, 0);
}

#[test]
fn only_import_makes_a_directory() {
    let home = home();
    std::fs::create_dir(home.path().join("empty")).unwrap();
    for dir in ["missing", "empty"] {
        for args in [
            &["sql", dir, "SELECT 1"][..],
            &["trace", dir, "abc"],
            &["info", dir],
            &["files", dir],
            &["compact", dir],
        ] {
            let ran = amida(home.path(), args);
            assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
            assert!(ran.err.starts_with(&format!("amida: {dir}")), "{args:?}: {}", ran.err);
        }
    }
    assert!(!home.path().join("missing").exists());
    assert_eq!(std::fs::read_dir(home.path().join("empty")).unwrap().count(), 0);
}

#[test]
fn a_wrong_command_line_fails_and_help_has_examples() {
    let home = home();
    for args in
        [&[][..], &["bogus"], &["sql"], &["import", "s"], &["sql", "s", "x", "--format", "xml"]]
    {
        let ran = amida(home.path(), args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
        assert!(ran.err.contains("--help"), "{args:?}: {}", ran.err);
    }
    assert!(amida(home.path(), &["imprt"]).err.contains("'import'"));
    for command in ["demo", "import", "sql", "trace", "info", "files", "compact"] {
        let ran = amida(home.path(), &[command, "--help"]);
        assert_eq!(ran.code, 0, "{command}");
        assert!(ran.out.contains("Examples:"), "{command}: {}", ran.out);
    }
    let ran = amida(home.path(), &["--help"]);
    assert!(ran.out.contains("Exit codes:") && ran.out.contains("NO_COLOR"), "{}", ran.out);
}
