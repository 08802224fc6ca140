//! Runs the command, and makes what it reads.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use amida::{RequestBuilder, Resource, SpanBuilder};
use serde_json::Value;

/// What a run gave.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs `amida` in this directory.
pub fn amida(home: &Path, args: &[&str]) -> Ran {
    amida_with_input(home, args, b"")
}

/// Runs `amida` in this directory with this on its standard input.
pub fn amida_with_input(home: &Path, args: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_amida"))
        .args(args)
        .current_dir(home)
        .env_remove("AMIDA_LOG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that reads no input closes it: that is not the test's business.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A directory for one test.
pub fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Writes a file of a test.
pub fn write(home: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = home.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// The id of the trace with this number.
pub fn trace_id(number: u64) -> String {
    format!("{number:08x}4da6a3ce929d0e0e47360000")
}

/// A request with one trace of this many spans: the first is the parent of the others.
pub fn request(trace: u64, spans: u64) -> Vec<u8> {
    let root = "00000000000000aa".parse().unwrap();
    let start = 1_700_000_000_000_000_000 + i64::try_from(trace).unwrap() * 1_000_000;
    let mut request = RequestBuilder::new(Resource::new("shop").attribute("host.name", "h1"));
    for n in 0..spans {
        let id = if n == 0 { root } else { format!("{n:016x}").parse().unwrap() };
        let span = SpanBuilder::new(trace_id(trace).parse().unwrap(), id, "GET /cart")
            .parent((n > 0).then_some(root))
            .start_ns(start)
            .end_ns(start + 1_500_000)
            .attribute("http.response.status_code", 200)
            .attribute("long", "x".repeat(300));
        request = request.span(span);
    }
    request.finish().to_vec()
}

/// An OTLP/JSON document on one line, with one span for each pair of ids.
pub fn document(ids: &[(&str, &str)]) -> String {
    let spans: Vec<String> = ids
        .iter()
        .map(|(trace, span)| {
            format!(
                r#"{{"traceId":"{trace}","spanId":"{span}","name":"n","startTimeUnixNano":"5"}}"#
            )
        })
        .collect();
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

/// A message behind its length, as the Collector's file exporter writes it.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// The answer of a query, as JSON.
pub fn ask(home: &Path, dir: &str, query: &str) -> Value {
    let ran = amida(home, &["sql", dir, query, "--format", "json"]);
    assert_eq!(ran.code, 0, "{query}: {}", ran.err);
    ran.json()
}

/// The number of spans in a store.
pub fn span_count(home: &Path, dir: &str) -> u64 {
    ask(home, dir, "SELECT count(*) AS n FROM spans")[0]["n"].as_u64().unwrap()
}
