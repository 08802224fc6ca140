//! Real files through the command: what the store then holds is what an independent reader found.

use amida::Reader;
use amida_tests::known;
use amida_tests::real;

use crate::run::*;

#[test]
fn real_files_import_whole_and_are_what_an_independent_reader_found() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    for (format, word) in
        [("otlp_json", "otlp-json"), ("jaeger_json", "jaeger-json"), ("zipkin_json", "zipkin-json")]
    {
        let sets = real::data_sets(&folder, format);
        assert!(sets.len() >= 6, "{} data sets of {format}", sets.len());
        for set in sets {
            let store = home.path().join(set.name.replace(['/', '*', ' '], "_"));
            let mut args = vec!["import", store.to_str().unwrap()];
            args.extend(set.files.iter().map(|file| file.to_str().unwrap()));
            args.push("--json");
            let ran = amida(home.path(), &args);
            assert_eq!(ran.code, 0, "{}: {}", set.name, ran.err);
            let report = ran.json();
            assert_eq!(report["accepted"], set.number("spans"), "{}", set.name);
            for file in report["files"].as_array().unwrap() {
                assert_eq!(file["format"], word, "{file}");
            }
            let snapshot = Reader::open(&store).unwrap().snapshot();
            known::check(&set, &snapshot, "after import");
        }
    }
}

/// Files beyond those with expectations: the list of real files says how many spans each has.
#[test]
fn every_jaeger_and_zipkin_file_has_as_many_spans_as_its_list_says() {
    let Some(folder) = real::folder() else { return };
    let list = std::fs::read_to_string(folder.join("MANIFEST.md")).unwrap();
    let home = home();
    let (mut section, mut files) = (String::new(), 0);
    for line in list.lines() {
        if let Some(title) = line.strip_prefix("### shared/") {
            section = title.split('/').next().unwrap().to_owned();
        }
        let (Some(name), Some(content)) = (line.split('`').nth(1), line.split('|').nth(5)) else {
            continue;
        };
        let spans = content.trim().split(" spans").next().unwrap().parse::<u64>();
        let is_ours = ["crisp", "jaeger-ui", "zipkin"].contains(&section.as_str());
        let (true, Ok(spans)) = (is_ours && line.starts_with("| `"), spans) else { continue };
        let path = folder.join(&section).join(name);
        let ran = amida(home.path(), &["import", "s", path.to_str().unwrap(), "--json"]);
        assert_eq!((ran.code, &ran.json()["accepted"]), (0, &spans.into()), "{name}: {}", ran.err);
        files += 1;
    }
    assert_eq!(files, 33 + 2 + 8);
}

/// Jaeger's own conversion of a file, against the file.
#[test]
fn a_trace_is_the_same_as_otlp_and_as_jaeger_json() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    let query = "SELECT trace_id, span_id, parent_span_id, name, kind, service_name, scope_name, \
                 scope_version, CAST(start_time AS BIGINT) / 1000 AS us, \
                 duration_ns / 1000 AS took, resource_attributes['telemetry.sdk.version'] AS sdk \
                 FROM spans ORDER BY span_id";
    let [otlp, jaeger] = ["otlp/jaeger-ui-multi-in.jsonl", "jaeger-ui/otlp2jaeger-multi-out.json"]
        .map(|file| {
            let store = file.split('/').next().unwrap();
            let path = folder.join(file);
            let ran = amida(home.path(), &["import", store, path.to_str().unwrap()]);
            assert_eq!(ran.code, 0, "{file}: {}", ran.err);
            ask(home.path(), store, query)
        });
    assert_eq!(otlp.as_array().unwrap().len(), 4);
    assert_eq!(otlp, jaeger);
}

#[test]
fn what_is_no_trace_format_is_refused_whatever_its_name() {
    let Some(folder) = real::folder() else { return };
    let home = home();
    for (file, words) in [
        ("buildx/otlp.json", "stdouttrace"),
        ("buildx/bktraces.json", "stdouttrace"),
        ("MANIFEST.md", "text that begins with"),
    ] {
        let path = folder.join(file);
        if !path.is_file() {
            eprintln!("SKIPPED: {file} is not there");
            continue;
        }
        let ran = amida(home.path(), &["import", "s", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{file}");
        assert!(ran.err.contains(words), "{file}: {}", ran.err);
    }
}
