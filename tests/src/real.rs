//! Real traces that nobody here wrote, and what an independent reader found in them.
//!
//! They are not part of the project: the folder is named by AMIDA_REAL_TRACES, else it is
//! ../shared/data beside the project.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests read real files

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The folder of real traces; `None` where there is none, and then says so.
pub fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = std::env::var_os("AMIDA_REAL_TRACES").map_or(beside, PathBuf::from);
    if folder.join("expected.shared.json").is_file() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no real traces at {} (set AMIDA_REAL_TRACES)", folder.display());
    None
}

/// Files that belong together, and what is known of them.
#[derive(Debug)]
pub struct DataSet {
    /// The name in expected.shared.json.
    pub name: String,
    /// The files, sorted.
    pub files: Vec<PathBuf>,
    /// What an independent reader found.
    pub expected: Value,
}

impl DataSet {
    /// A number of the expectation.
    pub fn number(&self, key: &str) -> u64 {
        self.expected.get(key).and_then(Value::as_u64).unwrap_or_else(|| panic!("no {key}"))
    }

    /// A text of the expectation.
    pub fn text(&self, key: &str) -> &str {
        self.expected.get(key).and_then(Value::as_str).unwrap_or_else(|| panic!("no {key}"))
    }

    /// Names with counts of the expectation.
    pub fn counts(&self, key: &str) -> BTreeMap<String, u64> {
        let object = self.expected.get(key).and_then(Value::as_object);
        let object = object.unwrap_or_else(|| panic!("no {key}"));
        object.iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap_or(0))).collect()
    }
}

/// All data sets of one format (`otlp_json`, `jaeger_json`, ..), by name.
pub fn data_sets(folder: &Path, format: &str) -> Vec<DataSet> {
    let text = std::fs::read(folder.join("expected.shared.json")).expect("readable expectations");
    let all: Value = serde_json::from_slice(&text).expect("JSON");
    let mut sets = Vec::new();
    for (name, expected) in all["datasets"].as_object().expect("an object of data sets") {
        if expected["format"] == format {
            let pattern = expected["path"].as_str().expect("a path");
            let files = files_of(folder, pattern.trim_start_matches("shared/"));
            sets.push(DataSet { name: name.clone(), files, expected: expected.clone() });
        }
    }
    sets
}

/// The files of a path whose last part may start with `*`.
fn files_of(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let path = folder.join(pattern);
    let last = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let Some(ending) = last.strip_prefix('*') else { return vec![path] };
    let around = path.parent().expect("a folder");
    let mut files: Vec<PathBuf> = std::fs::read_dir(around)
        .expect("a readable folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.is_file() && p.to_string_lossy().ends_with(ending))
        .collect();
    files.sort();
    files
}

/// What a digest needs of a span; ids in lower-case hex, no parent is empty.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the columns of the span schema, by their names
pub struct SpanLine {
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: String,
    pub start_ns: i64,
    pub end_ns: i64,
    pub name: String,
}

/// `sha256_spans`: sorted lines "trace span parent start end name".
pub fn spans_digest(spans: &[SpanLine]) -> String {
    let lines = spans.iter().map(|s| {
        let (trace, span, parent) = (&s.trace_id, &s.span_id, &s.parent_span_id);
        format!("{trace} {span} {parent} {} {} {}\n", s.start_ns, s.end_ns, s.name)
    });
    digest(lines.collect())
}

/// `sha256_trace_counts`: sorted lines "trace count".
pub fn trace_counts_digest(spans: &[SpanLine]) -> String {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for span in spans {
        *counts.entry(&span.trace_id).or_default() += 1;
    }
    digest(counts.iter().map(|(trace, count)| format!("{trace} {count}\n")).collect())
}

fn digest(mut lines: Vec<String>) -> String {
    lines.sort();
    let hash = Sha256::digest(lines.concat());
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The one span of opentelemetry-proto's examples/trace.json, with its digests computed by
    /// another program.
    #[test]
    fn digests_are_those_of_the_independent_reader() {
        let spans = [SpanLine {
            trace_id: "5b8efff798038103d269b633813fc60c".to_owned(),
            span_id: "eee19b7ec3c1b174".to_owned(),
            parent_span_id: "eee19b7ec3c1b173".to_owned(),
            start_ns: 1_544_712_660_000_000_000,
            end_ns: 1_544_712_661_000_000_000,
            name: "I'm a server span".to_owned(),
        }];
        let expected = "022f04f91e70e6dd0da2ce710cf861999dde0755c909209cde2520481868649c";
        assert_eq!(spans_digest(&spans), expected);
        let expected = "8fd258495849590ea0dce209b33b0f783e78f8a96f6469e16634da6338f7fc5a";
        assert_eq!(trace_counts_digest(&spans), expected);
    }
}
