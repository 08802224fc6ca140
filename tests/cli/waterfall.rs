//! The waterfall as people see it: snapshots of what `amida trace` prints, in tests/cli/snapshots.
//!
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p amida-cli --test cli`, and read
//! the diff.

use std::path::Path;
use std::process::Command;

use amida::{EventBuilder, RequestBuilder, Resource, SpanBuilder, SpanKind};
use serde_json::{Value, json};

use crate::run::*;

const MS: i64 = 1_000_000;
/// 2023-11-14T22:13:20Z.
const START: i64 = 1_700_000_000_000 * MS;

/// The spans of a test as requests, one a span.
struct Story {
    trace: String,
    frames: Vec<u8>,
}

impl Story {
    fn new(number: u64) -> Self {
        Self { trace: trace_id(number), frames: Vec::new() }
    }

    /// A span from and to so many milliseconds; `more` adds to it.
    fn span(
        &mut self,
        (id, parent): (u64, u64),
        (service, name): (&str, &str),
        (start, end): (i64, i64),
        more: impl Fn(SpanBuilder) -> SpanBuilder,
    ) {
        let hex = |id: u64| format!("{id:016x}").parse().unwrap();
        let span = SpanBuilder::new(self.trace.parse().unwrap(), hex(id), name)
            .parent((parent != 0).then(|| hex(parent)))
            .start_ns(START + start * MS)
            .end_ns(START + end * MS);
        let request = RequestBuilder::new(Resource::new(service)).span(more(span));
        self.frames.extend(frame(&request.finish()));
    }
}

fn kind(kind: SpanKind) -> impl Fn(SpanBuilder) -> SpanBuilder {
    move |span| span.kind(kind)
}

fn plain(span: SpanBuilder) -> SpanBuilder {
    span
}

/// An order in a shop: a run of cache reads of which one fails, work side by side, Japanese names.
fn order() -> Story {
    let mut story = Story::new(1);
    story.span((1, 0), ("frontend-web", "注文を確定する"), (0, 400), kind(SpanKind::Client));
    story.span((2, 1), ("checkout", "POST /orders"), (10, 390), kind(SpanKind::Server));
    for n in 0..12 {
        let (start, end) = (20 + n * 8, 26 + n * 8 + n % 3);
        story.span((10 + n as u64, 2), ("redis", "HGET 商品"), (start, end), |span| {
            let span = span.kind(SpanKind::Client);
            if n != 7 {
                return span;
            }
            let exception = EventBuilder::new("exception", START + (end - 1) * MS)
                .attribute("exception.type", "RedisTimeout")
                .attribute("exception.message", "no answer within 5 ms")
                .attribute("exception.stacktrace", "at a\nat b");
            span.error("read failed").event(exception)
        });
    }
    story.span((30, 2), ("payment-service", "カード決済 \u{1f4b3}"), (130, 350), |span| {
        span.error("3-D Secure を拒否\u{1b}[2J").attribute("payment.amount", 1980)
    });
    story.span((31, 30), ("bank-gateway", "authorize"), (140, 340), plain);
    story.span((32, 2), ("mail", "send receipt"), (200, 240), kind(SpanKind::Producer));
    story.span((33, 32), ("mailer", "smtp"), (230, 600), kind(SpanKind::Consumer));
    story
}

/// All that may be wrong with a trace.
fn strange() -> Story {
    let mut story = Story::new(2);
    story.span((1, 0), ("gateway", "GET /"), (0, 100), kind(SpanKind::Server));
    // The halves of a call with one id; the server's clock is 12 ms behind.
    story.span((2, 1), ("gateway", "get profile"), (20, 60), kind(SpanKind::Client));
    story.span((2, 1), ("profile", "get profile"), (8, 46), kind(SpanKind::Server));
    story.span((3, 2), ("profile", "SELECT users"), (10, 40), plain);
    // A client that did not wait.
    story.span((4, 1), ("gateway", "get adverts"), (60, 90), kind(SpanKind::Client));
    story.span((5, 4), ("adverts", "get adverts"), (61, 140), kind(SpanKind::Server));
    // Sent twice.
    for _ in 0..2 {
        story.span((6, 1), ("gateway", "render"), (90, 98), plain);
    }
    // Parents that never arrived, and a circle.
    story.span((7, 0xf00), ("audit", "write"), (30, 35), plain);
    story.span((8, 0xf00), ("audit", "sync"), (35, 45), plain);
    story.span((9, 0xbad), ("audit", "rotate"), (50, 55), plain);
    story.span((10, 11), ("loop", "ping"), (70, 72), plain);
    story.span((11, 10), ("loop", "pong"), (71, 73), plain);
    // Another root, a span that ends before it starts, and one of another day.
    story.span((12, 0), ("cron", "cleanup"), (80, 85), plain);
    story.span((13, 12), ("cron", "unlink"), (84, 82), plain);
    story.span((14, 1), ("gateway", "replayed"), (259_200_000, 259_200_005), plain);
    story
}

/// A thousand spans of which no two neighbours are alike.
fn crowd() -> Story {
    let mut story = Story::new(3);
    story.span((1, 0), ("batch", "nightly"), (0, 3000), plain);
    for n in 0..1000_i64 {
        let name = ["read", "write"][(n % 2) as usize];
        story.span((n as u64 + 2, 1), ("batch", name), (n * 3, n * 3 + 2), plain);
    }
    story
}

fn stored(home: &Path, story: &Story) {
    write(home, "in", &story.frames);
    let ran = amida(home, &["import", "s", "in"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

fn drawn(home: &Path, story: &Story, more: &[&str]) -> String {
    let ran = amida(home, &[&["trace", "s", &story.trace], more].concat());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{more:?}");
    ran.out
}

#[test]
fn an_order_at_three_widths() {
    let (home, story) = (home(), order());
    stored(home.path(), &story);
    for width in ["60", "100", "160"] {
        let drawing = drawn(home.path(), &story, &["--width", width]);
        insta::assert_snapshot!(format!("order_{width}"), drawing);
    }
    insta::assert_snapshot!("order_all", drawn(home.path(), &story, &["--all"]));
    insta::assert_snapshot!("order_details", drawn(home.path(), &story, &["--details"]));
}

#[test]
fn colours_as_escapes() {
    let (home, story) = (home(), order());
    stored(home.path(), &story);
    let coloured = drawn(home.path(), &story, &["--color", "always", "--width", "100"]);
    insta::assert_snapshot!("order_colour", coloured.replace('\u{1b}', "\\e"));
    // Colour is never the only carrier: without it the same text stands there.
    let mut bare = coloured;
    while let Some(at) = bare.find('\u{1b}') {
        let end = at + bare[at..].find('m').unwrap();
        bare.replace_range(at..=end, "");
    }
    let plain = drawn(home.path(), &story, &["--width", "100"]);
    assert_eq!(bare, plain);
    assert_eq!(drawn(home.path(), &story, &["--color", "never", "--width", "100"]), plain);
}

#[test]
fn what_is_strange_is_said() {
    let (home, story) = (home(), strange());
    stored(home.path(), &story);
    for width in ["60", "100"] {
        let drawing = drawn(home.path(), &story, &["--width", width]);
        insta::assert_snapshot!(format!("strange_{width}"), drawing);
    }
    let shared = drawn(home.path(), &story, &["--span", "0000000000000002"]);
    insta::assert_snapshot!("strange_span", shared);
}

#[test]
fn a_crowd_is_cut_and_says_how_to_see_all() {
    let (home, story) = (home(), crowd());
    stored(home.path(), &story);
    let drawing = drawn(home.path(), &story, &[]);
    assert!(drawing.contains("└ … 501 spans more\n"), "{drawing}");
    assert!(drawing.contains("501 spans are not drawn one by one\n--all draws every span"));
    let all = drawn(home.path(), &story, &["--all"]);
    assert_eq!(all.matches("batch  ").count(), 1001);
    assert!(!all.contains("--all"));
}

#[test]
fn the_environment_decides_about_colours_where_the_command_line_does_not() {
    let (home, story) = (home(), order());
    stored(home.path(), &story);
    let coloured = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_amida"));
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
        command.args(["trace", "s", &story.trace]).current_dir(home.path());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        assert!(output.status.success());
        output.stdout.contains(&0x1b)
    };
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn the_facts_of_the_drawing_are_in_the_json() {
    let (home, story) = (home(), strange());
    stored(home.path(), &story);
    let trace = amida(home.path(), &["trace", "s", &story.trace, "--json"]).json();
    assert_eq!((&trace["span_count"], &trace["root_count"]), (&json!(16), &json!(2)));
    assert_eq!(trace["orphan_count"], 3);
    let spans = trace["spans"].as_array().unwrap();
    assert_eq!(spans.len(), 15, "the repeat is counted, not listed");
    let find = |service: &str, name: &str| -> &Value {
        let is = |span: &&Value| span["service_name"] == service && span["name"] == name;
        spans.iter().find(is).unwrap()
    };
    let profile = find("profile", "get profile");
    assert_eq!((&profile["depth"], &profile["kind"]), (&json!(2), &json!("SERVER")));
    assert_eq!(profile["starts_before_parent_ns"], 12 * MS);
    assert_eq!(find("profile", "SELECT users")["depth"], 3);
    assert_eq!(find("adverts", "get adverts")["ends_after_parent_ns"], 50 * MS);
    assert_eq!(find("gateway", "render")["copies"], 2);
    assert_eq!(find("audit", "write")["is_orphan"], true);
    assert_eq!(find("loop", "ping")["is_own_ancestor"], true);
    // The parts of the critical path add up to the root's duration.
    let own = |span: &Value| span["critical_ns"].as_i64().unwrap();
    assert_eq!(spans.iter().map(own).sum::<i64>(), 100 * MS);
    assert_eq!(trace["critical_path"]["total_ns"], 100 * MS);
    let services = trace["critical_path"]["services"].as_array().unwrap();
    assert_eq!(services.iter().map(own).sum::<i64>(), 100 * MS);
    assert!(spans.iter().all(|span| own(span) == 0 || span["on_critical_path"] == true));

    let of_one = ["trace", "s", &story.trace, "--span", "0000000000000002", "--json"];
    let halves = amida(home.path(), &of_one).json();
    assert_eq!(halves["spans"].as_array().unwrap().len(), 2);
}

#[test]
fn a_span_is_found_by_its_first_digits_or_told_missing() {
    let (home, story) = (home(), order());
    stored(home.path(), &story);
    let ask = |span: &str| amida(home.path(), &["trace", "s", &story.trace, "--span", span]);
    insta::assert_snapshot!("order_span", ask("000000000000001E").out);
    for (span, words) in [
        ("ffff", "no span of trace"),
        ("00000000000000", "spans begin with 00000000000000:"),
        ("xyz", "is no span id"),
        ("00000000000000001", "is no span id"),
    ] {
        let ran = ask(span);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{span}");
        assert!(ran.err.contains(words), "{span}: {}", ran.err);
    }
}
