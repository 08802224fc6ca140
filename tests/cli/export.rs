//! Export, and import of what was exported.

use std::path::Path;

use amida_tests::corpus::{self, Corpus};
use amida_tests::real;
use amida_tests::wild::Wild;
use serde_json::Value;

use crate::run::*;

/// A file for every format, and for each compression.
const FILES: [&str; 7] =
    ["x.jsonl", "x.pb", "x.parquet", "x.arrow", "x.proto", "x.json.gz", "x.otlp.zst"];

/// Marks that the exported span still shows the reason for: a negative duration, no service.
const SHOWN: &str = "(marks & 129) AS marks";

fn export(home: &Path, dir: &str, file: &str, more: &[&str]) -> Value {
    let mut args = vec!["export", dir, "--output", file, "--json"];
    if file.ends_with(".proto") {
        args.extend(["--format", "otlp-proto"]);
    }
    args.extend(more);
    let ran = amida(home, &args);
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    let size = std::fs::metadata(home.join(file)).unwrap().len();
    assert_eq!(ran.json()["bytes"], size, "{file}");
    ran.json()
}

/// All rows of a store, in an order of their own, but the marks that cannot come back.
fn rows(home: &Path, dir: &str) -> String {
    let query = format!(
        "SELECT * EXCEPT (marks), {SHOWN} FROM spans
         ORDER BY trace_id, span_id, start_time, duration_ns, name, attributes"
    );
    let ran = amida(home, &["sql", dir, &query, "--format", "ndjson"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.out
}

/// Exports to each of these, imports it, and compares; exports that, imports it, and exports it
/// once more: the same bytes.
fn check(home: &Path, dir: &str, files: &[&str]) {
    let expected = rows(home, dir);
    let spans = expected.lines().count() as u64;
    for (n, file) in files.iter().enumerate() {
        assert_eq!(export(home, dir, file, &[])["spans"], spans, "{file}");
        let mut written = Vec::new();
        let mut from = (*file).to_owned();
        for round in 0..2 {
            let copy = format!("{dir}-{n}-{round}");
            let ran = amida(home, &["import", &copy, &from]);
            assert_eq!(ran.code, 0, "{file}: {}", ran.out);
            if round == 0 {
                assert!(rows(home, &copy) == expected, "{file}: the rows differ");
            }
            from = format!("{round}-{file}");
            export(home, &copy, &from, &[]);
            written.push(std::fs::read(home.join(&from)).unwrap());
        }
        assert!(written[0] == written[1], "{file}: the second export differs");
    }
}

fn import(home: &Path, dir: &str, bodies: &[bytes::Bytes]) {
    let framed: Vec<u8> = bodies.iter().flat_map(|body| frame(body)).collect();
    write(home, "in.pb", framed);
    let ran = amida(home, &["import", dir, "in.pb", "--json"]);
    assert!(ran.json()["accepted"].as_u64().unwrap() > 0, "{ran:?}");
}

#[test]
fn generated_traces_come_back_from_every_format_and_the_second_export_is_the_first() {
    let home = home();
    let mut corpus = Corpus::new(3);
    let bodies: Vec<_> = (0..6).map(|_| corpus.body(100)).collect();
    import(home.path(), "s", &bodies);
    check(home.path(), "s", &FILES);
}

#[test]
fn spans_with_every_field_random_come_back_from_every_format() {
    let home = home();
    let seed = fastrand::u64(..1 << 40);
    println!("seed {seed}");
    let bodies: Vec<_> =
        (seed..seed + 40).map(|seed| corpus::encode(&Wild::new(seed).request())).collect();
    let bodies: Vec<_> = bodies.into_iter().filter(|body| !body.is_empty()).collect();
    import(home.path(), "s", &bodies);
    check(home.path(), "s", &FILES[..4]);
}

#[test]
fn real_traces_come_back_from_every_format() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    let mut args = vec!["import".to_owned(), "s".to_owned()];
    for set in real::data_sets(&folder, "otlp_json") {
        args.extend(set.files.iter().map(|file| file.to_str().unwrap().to_owned()));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    assert_eq!(amida(home.path(), &args).code, 0);
    check(home.path(), "s", &FILES[..4]);
}

/// A store with traces 1 to 5; trace n has n spans.
fn traces(home: &Path) {
    import(home, "s", &(1..=5).map(|n| request(n, n).into()).collect::<Vec<_>>());
}

#[test]
fn selections_give_the_spans_that_they_say() {
    let home = home();
    let home = home.path();
    traces(home);
    let spans = |more: &[&str]| export(home, "s", "x.jsonl", more)["spans"].as_u64().unwrap();
    let (one, three, five) = (trace_id(1), trace_id(3), trace_id(5));
    assert_eq!(spans(&[]), 15);
    assert_eq!(spans(&["--trace", &three]), 3);
    assert_eq!(spans(&["--trace", &five[..8], "--trace", &one, "--trace", &one]), 6);
    // Trace n starts n milliseconds after this second.
    let (from, to) = ("2023-11-14T22:13:20.002Z", "2023-11-14T22:13:20.004Z");
    assert_eq!(spans(&["--from", from, "--to", to]), 2 + 3);
    assert_eq!(spans(&["--from", "2023-11-14", "--to", "2023-11-15"]), 15);
    assert_eq!(spans(&["--to", "2023-11-14"]), 0);
    assert_eq!(spans(&["--from", "1h"]), 0);
    assert_eq!(spans(&["--service", "shop", "--from", from]), 14);
    assert_eq!(spans(&["--service", "other"]), 0);
    let query = |query: &str| spans(&["--query", query]);
    assert_eq!(query("FROM spans |> WHERE parent_span_id IS NULL"), 5);
    assert_eq!(query("SELECT * FROM spans LIMIT 4"), 4);
    assert_eq!(query("FROM traces |> WHERE span_count > 3;"), 9);
    assert_eq!(query("SELECT trace_id, name FROM spans WHERE parent_span_id IS NULL -- all"), 15);
    assert_eq!(query("SELECT trace_id, span_id FROM spans WHERE parent_span_id IS NOT NULL"), 10);
    assert_eq!(
        query(&format!("SELECT DISTINCT trace_id FROM spans WHERE trace_id = '{three}'")),
        3
    );
}

#[test]
fn what_selects_nothing_or_no_spans_is_said_and_leaves_no_file() {
    let home = home();
    let home = home.path();
    traces(home);
    write(home, "x.jsonl", "earlier");
    let (known, unknown) = (trace_id(1), trace_id(9));
    for (args, words) in [
        (vec!["--trace", &unknown], "there is no trace 00000009"),
        (vec!["--trace", &known, "--trace", "ffff"], "no trace begins with ffff"),
        (vec!["--trace", "0000"], "5 traces begin with 0000"),
        (vec!["--trace", "xyz"], "no trace id"),
        (vec!["--trace", &known, "--service", "other"], "is of that time and service"),
        (vec!["--from", "2026-01-02", "--to", "2026-01-01"], "--from must lie before --to"),
        (vec!["--from", "soon"], "expected a time like"),
        (vec!["--query", "SELECT name FROM spans"], "the query selects no spans"),
        (vec!["--query", "SELECT nothing FROM spans"], "nothing"),
        (vec!["--query", "DELETE FROM spans"], ""),
        (vec!["--query", "FROM spans", "--trace", &known], "cannot be used with"),
    ] {
        let mut all = vec!["export", "s", "-o", "x.jsonl"];
        all.extend(&args);
        let ran = amida(home, &all);
        assert_eq!(ran.code, 1, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        assert_eq!(std::fs::read(home.join("x.jsonl")).unwrap(), b"earlier", "{args:?}");
    }
    for (file, words) in [
        ("x.csv", "does not say the format"),
        ("x.parquet.gz", "not compressed as a whole"),
        ("missing/x.pb", "missing/x.pb: No such file"),
        (".", "does not say the format"),
    ] {
        let ran = amida(home, &["export", "s", "-o", file]);
        assert_eq!(ran.code, 1, "{file}");
        assert!(ran.err.contains(words), "{file}: {}", ran.err);
    }
    let left: Vec<_> = std::fs::read_dir(home).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{left:?}");
}

#[test]
fn an_export_of_nothing_is_an_empty_file_of_its_format() {
    let home = home();
    let home = home.path();
    traces(home);
    for file in FILES.iter().filter(|file| **file != "x.proto") {
        assert_eq!(export(home, "s", file, &["--service", "none"])["spans"], 0, "{file}");
        let ran = amida(home, &["import", "t", file, "--json"]);
        assert_eq!((ran.code, &ran.json()["accepted"]), (0, &0.into()), "{file}: {}", ran.out);
    }
}

#[test]
fn standard_output_is_lines_of_json_that_import_reads_from_standard_input() {
    let home = home();
    let home = home.path();
    traces(home);
    let ran = amida(home, &["export", "s", "--trace", &trace_id(2)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("2 spans") && ran.err.contains("as otlp-json"), "{}", ran.err);
    let line: Value = serde_json::from_str(ran.out.trim()).unwrap();
    let span = &line["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!(span["traceId"], trace_id(2));
    assert_eq!(span["startTimeUnixNano"], "1700000000002000000");
    let back = amida_with_input(home, &["import", "t", "-", "--json"], ran.out.as_bytes());
    assert_eq!(back.json()["accepted"], 2, "{}", back.err);
    // Columns too, though a Parquet file is read from its end.
    for file in ["x.parquet", "x.arrow"] {
        export(home, "s", file, &[]);
        let bytes = std::fs::read(home.join(file)).unwrap();
        let back = amida_with_input(home, &["import", "u", "-", "--json"], &bytes);
        assert_eq!(back.json()["accepted"], 15, "{file}: {}", back.err);
    }
}

#[test]
fn segment_files_and_answers_of_sql_are_imported() {
    let home = home();
    let home = home.path();
    traces(home);
    let expected = rows(home, "s");
    let files = amida(home, &["files", "s"]).out;
    let mut args = vec!["import", "t"];
    args.extend(files.lines());
    assert!(args.len() > 2);
    assert_eq!(amida(home, &args).code, 0);
    assert_eq!(rows(home, "t"), expected);
    let ran = amida(home, &["sql", "s", "FROM spans", "--format", "parquet", "-o", "a.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(amida(home, &["import", "u", "a.parquet"]).code, 0);
    assert_eq!(rows(home, "u"), expected);
}

#[test]
fn columns_that_are_no_spans_and_damaged_files_are_refused() {
    let home = home();
    let home = home.path();
    traces(home);
    let query = "SELECT trace_id, span_id, 7 AS name FROM spans";
    let ran = amida(home, &["sql", "s", query, "--format", "parquet", "-o", "a.parquet"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = amida(home, &["import", "t", "a.parquet"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("column name is Int64, expected text"), "{}", ran.err);
    for file in ["x.parquet", "x.arrow"] {
        export(home, "s", file, &[]);
        let whole = std::fs::read(home.join(file)).unwrap();
        for cut in [12, whole.len() / 3, whole.len() * 2 / 3] {
            write(home, file, &whole[..cut]);
            let ran = amida(home, &["import", "t", file]);
            assert_ne!(ran.code, 0, "{file} cut at {cut}");
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..6 {
            let mut bytes = whole.clone();
            for _ in 0..20 {
                let at = random.usize(8..bytes.len());
                bytes[at] = random.u8(..);
            }
            write(home, file, bytes);
            // Whatever it says, it ends with a code of its own and not by a signal.
            let ran = amida(home, &["import", "t", file]);
            assert!((0..=2).contains(&ran.code), "{file}: {ran:?}");
        }
    }
}

/// Where the messages of an Arrow file begin, and the bytes of each: its description, its body.
fn messages(file: &[u8]) -> Vec<(usize, usize, usize)> {
    let mut at = file.windows(4).position(|four| four == [0xff; 4]).unwrap();
    let mut found = Vec::new();
    loop {
        let length = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap()) as usize;
        if length == 0 {
            return found;
        }
        let message = arrow::ipc::root_as_message(&file[at + 8..at + 8 + length]).unwrap();
        let body = usize::try_from(message.bodyLength()).unwrap();
        found.push((at, length, body));
        at += 8 + length + body;
    }
}

#[test]
fn an_arrow_message_that_says_it_is_huge_is_refused_and_a_file_without_its_end_too() {
    let home = home();
    let home = home.path();
    traces(home);
    export(home, "s", "x.arrow", &[]);
    let whole = std::fs::read(home.join("x.arrow")).unwrap();
    let (at, length, body) = messages(&whole)[1];
    let says = i64::try_from(body).unwrap().to_le_bytes();
    let place = whole[at + 8..at + 8 + length].windows(8).position(|eight| eight == says).unwrap();
    let patched = |at: usize, by: &[u8]| {
        let mut bytes = whole.clone();
        bytes[at..at + by.len()].copy_from_slice(by);
        bytes
    };
    let body_at = at + 8 + place;
    for (bytes, words) in [
        (patched(body_at, &(1_i64 << 40).to_le_bytes()), "a message of more than 256 MiB"),
        (patched(body_at, &(-1_i64).to_le_bytes()), "damaged"),
        (patched(body_at, &(200_i64 << 20).to_le_bytes()), "cut short"),
        (patched(at + 4, &i32::MAX.to_le_bytes()), "a message of more than 256 MiB"),
        (patched(at + 4, &(-5_i32).to_le_bytes()), "damaged"),
        // Between two messages.
        (whole[..at + 8 + length + body].to_vec(), "cut short"),
    ] {
        write(home, "y.arrow", bytes);
        let ran = amida(home, &["import", "t", "y.arrow"]);
        assert_ne!(ran.code, 0, "{words}: {}", ran.out);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
}

#[test]
fn batches_without_rows_between_others_are_passed_over() {
    use arrow::ipc::{reader::FileReader, writer::StreamWriter};
    let home = home();
    let home = home.path();
    traces(home);
    export(home, "s", "x.arrow", &[]);
    let file = std::fs::File::open(home.join("x.arrow")).unwrap();
    let batch = FileReader::try_new(file, None).unwrap().next().unwrap().unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for batch in [&batch.slice(0, 0), &batch, &batch.slice(0, 0), &batch, &batch.slice(0, 0)] {
        writer.write(batch).unwrap();
    }
    let stream = writer.into_inner().unwrap();
    // A stream may end with a mark or without one.
    for stream in [&stream[..], &stream[..stream.len() - 8]] {
        write(home, "y.arrow", stream);
        let ran = amida(home, &["import", "t", "y.arrow", "--json"]);
        assert_eq!((ran.code, &ran.json()["accepted"]), (0, &30.into()), "{}", ran.err);
    }
}
