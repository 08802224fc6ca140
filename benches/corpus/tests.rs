use std::collections::{HashMap, HashSet};

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;

const SPANS: usize = 30_000;

fn requests(rate: f64) -> Vec<ExportTraceServiceRequest> {
    let bodies = Corpus::new(42, SPANS).rate(rate);
    bodies.map(|body| ExportTraceServiceRequest::decode(body).expect("OTLP")).collect()
}

fn spans(requests: &[ExportTraceServiceRequest]) -> Vec<&Span> {
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    resources.flat_map(|of| &of.scope_spans).flat_map(|of| &of.spans).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_gives_others() {
    let bodies: Vec<Bytes> = Corpus::new(42, 3_000).collect();
    assert_eq!(bodies, Corpus::new(42, 3_000).collect::<Vec<_>>());
    assert_ne!(bodies, Corpus::new(43, 3_000).collect::<Vec<_>>());
}

#[test]
fn spans_are_as_large_and_as_many_as_promised() {
    let bytes: usize = Corpus::new(42, SPANS).map(|body| body.len()).sum();
    assert!((450..550).contains(&(bytes / SPANS)), "{} bytes a span", bytes / SPANS);
    let requests = requests(RATE);
    let spans = spans(&requests);
    assert_eq!(spans.len(), SPANS);
    let attributes: usize = spans.iter().map(|span| span.attributes.len()).sum();
    assert!((10..=12).contains(&(attributes / SPANS)), "{attributes} attributes");
    let share = |count: usize| 1_000 * count / SPANS;
    let failed =
        share(spans.iter().filter(|s| s.status.as_ref().is_some_and(|s| s.code == 2)).count());
    assert!((20..36).contains(&failed), "{failed} of 1,000 spans failed");
    let with_events = share(spans.iter().filter(|span| !span.events.is_empty()).count());
    assert!((150..190).contains(&with_events), "{with_events} of 1,000 spans have events");
    let resources: usize = requests.iter().map(|request| request.resource_spans.len()).sum();
    let mean = resources / requests.len();
    assert!((9..=14).contains(&mean), "{mean} resources a request");
}

#[test]
fn traces_are_trees_of_3_to_200_spans_within_their_parents() {
    let requests = requests(RATE_HOT);
    let spans = spans(&requests);
    let mut sizes: HashMap<&[u8], usize> = HashMap::new();
    for span in &spans {
        *sizes.entry(&span.trace_id).or_default() += 1;
    }
    let mut sorted: Vec<usize> = sizes.values().copied().collect();
    sorted.sort_unstable();
    assert!(sorted[0] >= 3 && sorted[sorted.len() - 1] <= 200, "{sorted:?}");
    assert!((10..=14).contains(&sorted[sorted.len() / 2]), "{}", sorted[sorted.len() / 2]);
    let by_id: HashMap<&[u8], &Span> = spans.iter().map(|s| (&s.span_id[..], *s)).collect();
    assert_eq!(by_id.len(), SPANS);
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty()).count();
    assert_eq!(roots, sizes.len());
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let parent = by_id[&span.parent_span_id[..]];
        assert_eq!(parent.trace_id, span.trace_id);
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
        let within = parent.end_time_unix_nano >= span.end_time_unix_nano;
        assert!(within || span.kind == 5, "{span:?} ends after {parent:?}");
    }
}

#[test]
fn the_questions_of_the_comparison_have_answers() {
    let requests = requests(RATE);
    let spans = spans(&requests);
    let names: HashSet<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert!((120..200).contains(&names.len()), "{} names", names.len());
    let value = |span: &Span, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        found.value.as_ref()?.value.clone()
    };
    let text = |span: &Span, key: &str| match value(span, key) {
        Some(Value::StringValue(text)) => text,
        _ => String::new(),
    };
    let slow = spans.iter().filter(|span| {
        let failed =
            matches!(value(span, "http.response.status_code"), Some(Value::IntValue(500..)));
        failed && text(span, "url.path").starts_with("/api/")
    });
    assert!(slow.count() > 20);
    let users: HashSet<String> = spans.iter().map(|span| text(span, "user.id")).collect();
    assert!(users.len() > 1_000, "{} users", users.len());
}

#[test]
fn a_file_gives_back_what_was_written() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("corpus.otlp");
    let bodies: Vec<Bytes> = Corpus::new(1, 2_000).collect();
    let written = frames::write(&path, bodies.iter().cloned()).expect("a file");
    assert_eq!(written.requests as usize, bodies.len());
    let read: Vec<Bytes> =
        frames::Frames::open(&path).expect("the file").collect::<Result<_, _>>().expect("frames");
    assert_eq!(read, bodies);
}
