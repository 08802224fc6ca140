//! `amida import`: formats, compression, bad files, exit codes.

use std::io::Write;

use serde_json::{Value, json};

use crate::run::*;

const GOOD: (&str, &str) = ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174");
const SHORT: (&str, &str) = ("5b8efff798038103", "eee19b7ec3c1b174");
const JAEGER: &str = r#"{"traceID":"a1","spans":[{"spanID":"1"}],"processes":{}}"#;
const ZIPKIN: &str = r#"{"traceId":"a1","id":"1","timestamp":5}"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// The file of this name in a report.
fn file<'a>(report: &'a Value, name: &str) -> &'a Value {
    let files = report["files"].as_array().unwrap();
    files.iter().find(|file| file["path"].as_str().unwrap().ends_with(name)).expect(name)
}

#[test]
fn every_format_is_found_by_content_and_compressed_or_not() {
    let home = home();
    let home = home.path();
    let json = document(&[GOOD]);
    let lines = format!("{json}\n{json}\n");
    let framed = [frame(&request(1, 3)), frame(&request(2, 4))].concat();
    for (name, bytes, format, spans) in [
        ("document", json.clone().into_bytes(), "otlp-json", 1),
        ("pretty", json.replace(',', ",\n  ").into_bytes(), "otlp-json", 1),
        ("wrapped", format!("{{\"result\":{json}}}").into_bytes(), "otlp-json", 1),
        ("lines", lines.into_bytes(), "otlp-json", 2),
        ("jaeger", format!(r#"{{"data":[{JAEGER},{JAEGER}]}}"#).into_bytes(), "jaeger-json", 2),
        ("jaeger-trace", JAEGER.into(), "jaeger-json", 1),
        ("zipkin", format!("[{ZIPKIN},{ZIPKIN}]").into_bytes(), "zipkin-json", 2),
        ("zipkin-traces", format!("[[{ZIPKIN}],[{ZIPKIN}]]").into_bytes(), "zipkin-json", 2),
        ("request", request(3, 5), "otlp-proto", 5),
        ("framed", framed, "otlp-proto-framed", 7),
    ] {
        for (ending, bytes) in [("", bytes.clone()), (".gz", gzip(&bytes)), (".zst", zstd(&bytes))]
        {
            // The name says nothing: content decides.
            let name = format!("{name}{}", ending.replace('.', "-"));
            write(home, &name, bytes);
            let ran = amida(home, &["import", &format!("store-{name}"), &name, "--json"]);
            assert_eq!(ran.code, 0, "{name}: {}", ran.err);
            let report = ran.json();
            assert_eq!(file(&report, &name)["format"], format, "{name}");
            assert_eq!(report["accepted"], spans, "{name}");
            assert_eq!(span_count(home, &format!("store-{name}")), spans, "{name}");
        }
    }
}

#[test]
fn compressed_files_that_were_put_together_are_read_to_their_end() {
    let home = home();
    let line = format!("{}\n", document(&[GOOD])).into_bytes();
    write(home.path(), "a", [gzip(&line), gzip(&line)].concat());
    write(home.path(), "b", [zstd(&line), zstd(&line)].concat());
    let ran = amida(home.path(), &["import", "s", "a", "b", "--json"]);
    assert_eq!((ran.code, &ran.json()["accepted"]), (0, &4.into()), "{}", ran.err);
}

#[test]
fn standard_input_is_a_file_like_others() {
    let home = home();
    let input = gzip(document(&[GOOD]).as_bytes());
    let ran = amida_with_input(home.path(), &["import", "s", "-"], &input);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.contains("1 span accepted into s"), "{}", ran.out);
    assert_eq!(span_count(home.path(), "s"), 1);
    let ran = amida_with_input(home.path(), &["import", "s", "-"], b"");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.err.contains("standard input: the file is empty"), "{}", ran.err);
}

#[test]
fn a_bad_file_does_not_stop_the_others_and_is_named_with_its_reason() {
    let home = home();
    let home = home.path();
    write(home, "in/a.json", document(&[GOOD]));
    write(home, "in/deep/b.bin", request(1, 2));
    write(home, "in/deep/notes.txt", "# what this is\n");
    write(home, "in/empty", "");
    write(home, "in/jaeger.json", r#"{"data":null,"errors":[{"code":404,"msg":"not found"}]}"#);
    write(home, "in/parquet", "PAR1....");
    write(home, "in/half.gz", &gzip(&request(2, 100))[..40]);
    write(home, "in/broken", b"\x0a\x05\xff\xff\xff\xff\xff");
    let ran = amida(home, &["import", "s", "in", "missing.json", "--json"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let report = ran.json();
    assert_eq!((&report["accepted"], &report["failed_files"]), (&3.into(), &7.into()));
    assert_eq!(report["files"].as_array().unwrap().len(), 9);
    for (name, words) in [
        ("notes.txt", "text that begins with \"# what this is\""),
        ("empty", "the file is empty"),
        ("jaeger.json", "a Jaeger server that reports an error: not found (code 404)"),
        ("parquet", "damaged, or cut short"),
        ("half.gz", "cannot be read: incomplete deflate stream"),
        ("broken", "not an OTLP trace request"),
        ("missing.json", "No such file"),
    ] {
        let error = file(&report, name)["error"].as_str().expect(name);
        assert!(error.contains(words), "{name}: {error}");
        assert!(ran.err.contains(name) && ran.err.contains(words), "{}", ran.err);
    }
    assert_eq!(span_count(home, "s"), 3);
}

#[test]
fn nothing_but_bad_files_is_a_failure() {
    let home = home();
    write(home.path(), "a.txt", "hello");
    assert_eq!(amida(home.path(), &["import", "s", "a.txt"]).code, 1);
    std::fs::create_dir(home.path().join("folder")).unwrap();
    let ran = amida(home.path(), &["import", "s", "folder"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("no files"), "{}", ran.err);
}

#[test]
fn rejected_spans_are_counted_by_reason_and_the_rest_is_stored() {
    let home = home();
    write(home.path(), "a.json", document(&[GOOD, SHORT, SHORT]));
    let ran = amida(home.path(), &["import", "s", "a.json"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.out.contains("2 bad_trace_id"), "{}", ran.out);
    let info = amida(home.path(), &["info", "s", "--json"]).json();
    assert_eq!((&info["spans"], &info["rejected"]["bad_trace_id"]), (&1.into(), &2.into()));
}

#[test]
fn rows_that_never_became_spans_are_counted_with_those_that_the_store_rejects() {
    let home = home();
    let far = ZIPKIN.replace(":5", ":9999999999999999");
    write(home.path(), "a.json", format!(r#"[{ZIPKIN},7,{{"traceId":"1","id":"0"}},{far}]"#));
    let ran = amida(home.path(), &["import", "s", "a.json", "--json"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let report = ran.json();
    assert_eq!((&report["accepted"], &report["rejected"]), (&1.into(), &3.into()));
    let reasons = json!({"bad_span_id": 1, "not_an_object": 1, "time_out_of_range": 1});
    assert_eq!(report["reasons"], reasons);
    let ran = amida(home.path(), &["import", "s", "a.json"]);
    assert!(ran.out.contains("1 not_an_object"), "{}", ran.out);
}

#[test]
fn ids_that_are_not_hex_are_hashed_and_found_by_their_text() {
    let home = home();
    let row = r#"[{"traceId":"req-42","id":"call-1","timestamp":5,"name":"n"}]"#;
    write(home.path(), "a.json", row);
    assert_eq!(amida(home.path(), &["import", "s", "a.json"]).code, 0);
    let query = "SELECT trace_id FROM spans WHERE attributes['amida.source.trace_id'] = 'req-42'";
    let expected = json!([{"trace_id": "d9af7ba3f26c190f252871ee60cf66e5"}]);
    assert_eq!(ask(home.path(), "s", query), expected);
}

#[test]
fn a_file_that_fails_in_part_says_how_much_of_it_is_stored() {
    let home = home();
    let line = document(&[GOOD]);
    write(home.path(), "a.jsonl", format!("{line}\n{line}\n{{\"resourceSpans\": oh}}\n{line}\n"));
    let ran = amida(home.path(), &["import", "s", "a.jsonl", "--json"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let report = ran.json();
    let error = file(&report, "a.jsonl")["error"].as_str().unwrap();
    assert!(error.starts_with("line 3 column 19"), "{error}");
    assert!(error.ends_with("; stored all the same: 3 spans"), "{error}");
    assert_eq!(span_count(home.path(), "s"), 3);
}

#[test]
fn rows_that_repeat_are_kept() {
    let home = home();
    write(home.path(), "a.json", document(&[GOOD]));
    for spans in 1..=3 {
        assert_eq!(amida(home.path(), &["import", "s", "a.json"]).code, 0);
        assert_eq!(span_count(home.path(), "s"), spans);
    }
}

#[test]
fn the_store_inside_a_folder_is_not_imported_into_itself() {
    let home = home();
    write(home.path(), "a.json", document(&[GOOD]));
    for spans in 1..=2 {
        let ran = amida(home.path(), &["import", "s", ".", "--json"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(span_count(home.path(), "s"), spans);
    }
}

#[test]
fn a_format_that_was_said_is_used() {
    let home = home();
    write(home.path(), "a", document(&[GOOD]));
    let ran = amida(home.path(), &["import", "s", "a", "--format", "otlp-proto"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("not an OTLP trace request"), "{}", ran.err);
    assert_eq!(amida(home.path(), &["import", "s", "a", "--format", "otlp-json"]).code, 0);
}

#[test]
fn requests_beyond_the_limit_of_the_store_are_cut() {
    let home = home();
    let large = request(1, 50_000);
    assert!(large.len() > 16 << 20);
    write(home.path(), "request", &large);
    write(home.path(), "framed", [frame(&large), frame(&request(2, 1))].concat());
    let ran = amida(home.path(), &["import", "s", "request", "framed", "--json"]);
    assert_eq!((ran.code, &ran.json()["accepted"]), (0, &100_001.into()), "{}", ran.err);
    let rows = ask(home.path(), "s", "SELECT service_name, count(*) AS n FROM spans GROUP BY 1");
    assert_eq!(rows, serde_json::json!([{"service_name": "shop", "n": 100_001}]));
}

#[test]
fn names_of_files_cannot_steer_the_terminal() {
    let home = home();
    write(home.path(), "in/\u{1b}[31m.json", "hello");
    let ran = amida(home.path(), &["import", "s", "in"]);
    assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    assert!(ran.err.contains("\\u{1b}[31m.json"), "{}", ran.err);
}

#[test]
fn a_pipe_in_a_folder_is_named_and_not_waited_for() {
    let home = home();
    write(home.path(), "in/a", request(1, 2));
    let pipe = home.path().join("in/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ran = amida(home.path(), &["import", "s", "in"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("pipe") && ran.err.contains("not a regular file"), "{}", ran.err);
    assert_eq!(span_count(home.path(), "s"), 2);
}
