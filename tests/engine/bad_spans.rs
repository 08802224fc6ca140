//! Bad inputs, one test each: a span is rejected with a counted reason or stored with a mark, the
//! rest of its request is stored, and the next good request is taken.

use std::sync::Arc;
use std::time::Duration;

use amida::{Durability, ManualClock, Marks, MemoryFs, Receipt, Store};
use amida_tests::corpus::{self, START_NS, attribute, int, plain_span, text};
use amida_tests::oracle::Row;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};

use crate::common::{DIR, NOW_NS, one_span, open, options, scratch};
use crate::rows;

/// Stores a bad span between two good ones; the receipt and the bad span's row, if it has one.
/// The good ones must be there, and a further request must be taken.
fn store_bad(span: Span) -> (Receipt, Option<Row>) {
    let store = scratch();
    let answer = store_bad_in(&store, span);
    let next = store.append_otlp(one_span(77)).unwrap();
    assert_eq!(next.accepted(), 1);
    answer
}

fn store_bad_in(store: &Store, span: Span) -> (Receipt, Option<Row>) {
    let before = store.stats().accepted;
    let rejected_before: u64 = store.stats().rejected.iter().map(|(_, n)| n).sum();
    let spans = vec![plain_span(9, 1, "good"), span, plain_span(9, 2, "good")];
    let receipt = store.append_otlp(corpus::body("service", spans)).unwrap();
    assert_eq!(receipt.accepted() + receipt.rejected(), 3);
    let (good, bad): (Vec<Row>, Vec<Row>) =
        rows::of_snapshot(&store.snapshot()).into_iter().partition(|row| row.name == "good");
    assert!(good.iter().filter(|row| row.marks == 0).count() >= 2);
    let stats = store.stats();
    assert_eq!(stats.accepted - before, receipt.accepted());
    let rejected: u64 = stats.rejected.iter().map(|(_, n)| n).sum();
    assert_eq!(rejected - rejected_before, receipt.rejected());
    (receipt, bad.into_iter().next_back())
}

fn bad() -> Span {
    plain_span(9, 3, "bad")
}

fn marked(row: &Row, marks: Marks) {
    assert_eq!(row.marks, marks.0, "{row:?}");
}

#[test]
fn row_1_a_trace_id_of_a_wrong_length_or_of_zeros_rejects_the_span() {
    for trace_id in [vec![0; 16], vec![], vec![1; 15], vec![1; 17], vec![1; 32], vec![1; 8]] {
        let (receipt, row) = store_bad(Span { trace_id, ..bad() });
        assert_eq!(receipt.rejections(), [("bad_trace_id", 1)]);
        assert_eq!(row, None);
    }
}

#[test]
fn row_2_a_bad_span_id_rejects_the_span_and_a_bad_parent_makes_it_a_marked_root() {
    for span_id in [vec![0; 8], vec![], vec![1; 7], vec![1; 9], vec![1; 16]] {
        let (receipt, row) = store_bad(Span { span_id, ..bad() });
        assert_eq!((receipt.rejections(), row), (vec![("bad_span_id", 1)], None));
    }
    for parent_span_id in [vec![1; 7], vec![1; 9], vec![0; 3], vec![1; 16]] {
        let row = store_bad(Span { parent_span_id, ..bad() }).1.unwrap();
        assert_eq!(row.parent_span_id, "");
        marked(&row, Marks::BAD_PARENT);
    }
    for parent_span_id in [vec![], vec![0; 8]] {
        let row = store_bad(Span { parent_span_id, ..bad() }).1.unwrap();
        assert_eq!((row.parent_span_id.as_str(), row.marks), ("", 0));
    }
}

#[test]
fn row_4_an_end_before_the_start_is_kept_as_a_negative_duration_and_marked() {
    let span = Span { end_time_unix_nano: START_NS as u64 - 5, ..bad() };
    let row = store_bad(span).1.unwrap();
    assert_eq!(row.duration_ns, -8);
    marked(&row, Marks::NEGATIVE_DURATION);
    let most = Span { start_time_unix_nano: i64::MAX as u64, end_time_unix_nano: 0, ..bad() };
    let row = store_bad(most).1.unwrap();
    assert_eq!((row.start_time, row.duration_ns), (i64::MAX, -i64::MAX));
    marked(&row, Marks(Marks::NEGATIVE_DURATION.0 | Marks::STRANGE_TIME.0));
}

#[test]
fn row_5_a_time_that_does_not_fit_rejects_the_span_and_a_zero_time_marks_it() {
    for time in [i64::MAX as u64 + 1, u64::MAX] {
        let starts = Span { start_time_unix_nano: time, ..bad() };
        let ends = Span { end_time_unix_nano: time, ..bad() };
        for span in [starts, ends] {
            let (receipt, row) = store_bad(span);
            assert_eq!((receipt.rejections(), row), (vec![("time_out_of_range", 1)], None));
        }
    }
    let row = store_bad(Span { start_time_unix_nano: 0, ..bad() }).1.unwrap();
    assert_eq!(row.start_time, 0);
    marked(&row, Marks::STRANGE_TIME);
}

#[test]
fn row_6_a_start_in_the_future_is_marked_or_rejected_where_that_was_asked_for() {
    let years = |years: u64| NOW_NS as u64 + years * 365 * 86_400_000_000_000;
    let ahead = |from_now: u64| {
        let start = NOW_NS as u64 + from_now;
        Span { start_time_unix_nano: start, end_time_unix_nano: start + 1, ..bad() }
    };
    let row = store_bad(ahead(years(10) - NOW_NS as u64)).1.unwrap();
    marked(&row, Marks::STRANGE_TIME);
    assert_eq!(store_bad(ahead(60_000_000_000)).1.unwrap().marks, 0);

    let strict = options(&MemoryFs::new()).future_max(Duration::from_secs(3600));
    let store = strict.open(DIR).unwrap();
    let (receipt, row) = store_bad_in(&store, ahead(3_600_000_000_001));
    assert_eq!((receipt.rejections(), row), (vec![("too_far_in_future", 1)], None));
    let (receipt, row) = store_bad_in(&store, ahead(3_600_000_000_000));
    assert_eq!((receipt.rejected(), row.is_some()), (0, true));
}

/// Retention must not be led by what spans say of their time.
#[test]
fn row_6_a_start_in_the_future_or_the_past_drops_nothing() {
    let fs = MemoryFs::new();
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let retention = amida::Retention::max_age(Duration::from_secs(3600));
    let store = options(&fs).clock(clock).retention(retention).open(DIR).unwrap();
    for start in [1, START_NS as u64, START_NS as u64 * 2] {
        let span = Span { start_time_unix_nano: start, end_time_unix_nano: start, ..bad() };
        let _ = store.append_otlp(corpus::body("a", vec![span])).unwrap();
        store.flush().unwrap();
    }
    store.compact().unwrap();
    assert_eq!((store.snapshot().span_count(), store.stats().dropped), (3, 0));
}

/// A clock that a test can set back.
#[derive(Debug)]
struct Settable(std::sync::atomic::AtomicI64);

impl amida::Clock for Settable {
    fn now_ns(&self) -> i64 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[test]
fn row_7_ingest_goes_on_when_the_clock_steps_back_or_forward() {
    let fs = MemoryFs::new();
    let clock = Arc::new(Settable(NOW_NS.into()));
    let store = options(&fs).clock(clock.clone()).open(DIR).unwrap();
    let hour = 3_600_000_000_000;
    let mut sequences = Vec::new();
    for (number, step) in [0, -6 * hour, 8_760 * hour, 0].into_iter().enumerate() {
        clock.0.store(NOW_NS + step, std::sync::atomic::Ordering::SeqCst);
        let receipt = store.append_otlp(one_span(number as u64 + 1)).unwrap();
        sequences.push(receipt.sequence().unwrap());
        store.flush().unwrap();
    }
    assert!(sequences.is_sorted());
    drop(store);
    assert_eq!(open(&fs).snapshot().span_count(), 4);
}

#[test]
fn row_8_a_value_of_10_mb_is_cut_to_64_kib_and_marked() {
    let long = "ä".repeat(5_000_000);
    let row = store_bad(Span { attributes: vec![text("k", &*long)], ..bad() }).1.unwrap();
    assert_eq!(row.attributes, format!("{{\"k\":\"{}\"}}", "ä".repeat(32_768)));
    marked(&row, Marks::TRUNCATED);

    // A cut within a character moves to its start.
    let odd = format!("x{long}");
    let row = store_bad(Span { attributes: vec![text("k", odd)], ..bad() }).1.unwrap();
    assert_eq!(row.attributes.len(), "{\"k\":\"\"}".len() + 65_535);

    let bytes = attribute("k", Value::BytesValue(vec![0; 70_000]));
    let row = store_bad(Span { attributes: vec![bytes], ..bad() }).1.unwrap();
    assert_eq!(
        row.attributes.len(),
        "{\"k\":{\"$bytes\":\"\"}}".len() + 65_536_usize.div_ceil(3) * 4
    );
    marked(&row, Marks::TRUNCATED);
}

#[test]
fn row_9_of_100_000_attributes_256_are_kept_and_the_others_counted() {
    let attributes = (0..100_000).map(|n| int(&format!("k{n}"), n)).collect();
    let span = Span { attributes, dropped_attributes_count: 5, ..bad() };
    let row = store_bad(span).1.unwrap();
    assert_eq!(row.dropped_attributes_count, 100_000 - 256 + 5);
    assert!(row.attributes.ends_with("\"k255\":255}"), "{}", row.attributes);
    marked(&row, Marks::TRUNCATED);

    let events = (0..300).map(|n| Event { time_unix_nano: n, ..Event::default() }).collect();
    let links = (0..300).map(|_| Link::default()).collect();
    let span = Span { events, links, dropped_links_count: u32::MAX, ..bad() };
    let row = store_bad(span).1.unwrap();
    assert_eq!((row.dropped_events_count, row.dropped_links_count), (44, u32::MAX));
    assert!(row.events.contains("\"time\":255,") && !row.events.contains("\"time\":256,"));
    marked(&row, Marks::TRUNCATED);

    let row = store_bad(Span { attributes: vec![int(&"k".repeat(2_000), 1)], ..bad() }).1.unwrap();
    assert_eq!(row.attributes, format!("{{\"{}\":1}}", "k".repeat(1_024)));
    marked(&row, Marks::TRUNCATED);
}

#[test]
fn row_9_columns_stay_few_however_many_keys_there_are() {
    let fs = MemoryFs::new();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    for request in 0..20_u64 {
        let spans = (0..100_u64).map(|n| {
            let number = request * 100 + n + 1;
            let keys = (0..10).map(|k| int(&format!("key.{number}.{k}"), 1));
            Span { attributes: keys.collect(), ..plain_span(1, number, "s") }
        });
        let _ = store.append_otlp(corpus::body("a", spans.collect())).unwrap();
    }
    store.flush().unwrap();
    let snapshot = store.snapshot();
    let columns = |segment: &Arc<amida::Segment>| {
        segment.metadata().unwrap().file_metadata().schema_descr().num_columns()
    };
    for segment in snapshot.segments() {
        assert!(columns(segment) <= amida::span_schema().fields().len() + 32);
    }
    assert_eq!(snapshot.span_count(), 2_000);
    let last = amida_tests::corpus::trace_id(1);
    let id = amida::TraceId::from_bytes(&last).unwrap();
    assert_eq!(snapshot.trace(id).unwrap().unwrap().spans().len(), 2_000);
}

#[test]
fn row_10_a_trace_of_very_many_spans_is_stored_and_found() {
    let store = scratch();
    let total = 30_000;
    for request in 0..total / 1_000_u64 {
        let _ =
            store.append_otlp(crate::common::spans(request * 1_000 + 1..request * 1_000 + 1_001));
    }
    store.flush().unwrap();
    let id = amida::TraceId::from_bytes(&corpus::trace_id(1)).unwrap();
    let trace = store.snapshot().trace(id).unwrap().unwrap();
    assert_eq!(trace.spans().len() as u64, total);
}

#[test]
fn row_12_of_a_key_that_stands_twice_the_last_value_counts() {
    let attributes = vec![text("a", "first"), int("b", 1), int("a", 2)];
    let row = store_bad(Span { attributes, ..bad() }).1.unwrap();
    assert_eq!(row.attributes, "{\"a\":2,\"b\":1}");
    marked(&row, Marks::DUPLICATE_KEYS);
}

#[test]
fn row_12_one_key_with_values_of_every_type_keeps_them_apart() {
    let store = scratch();
    let values = [
        (Value::StringValue("1".into()), "\"1\""),
        (Value::IntValue(1), "1"),
        (Value::DoubleValue(1.0), "1.0"),
        (Value::BoolValue(true), "true"),
        (Value::BytesValue(vec![1]), "{\"$bytes\":\"AQ==\"}"),
        (Value::DoubleValue(f64::NAN), "{\"$double\":\"NaN\"}"),
        (Value::IntValue(i64::MIN), "-9223372036854775808"),
        (Value::DoubleValue(-0.0), "-0.0"),
    ];
    for round in 0..2 {
        for (number, (value, _)) in values.iter().enumerate() {
            let span = plain_span(1, round * 100 + number as u64 + 1, "s");
            let span = Span { attributes: vec![attribute("k", value.clone())], ..span };
            let _ = store.append_otlp(corpus::body("a", vec![span])).unwrap();
        }
        store.flush().unwrap();
    }
    for _ in 0..2 {
        let rows = rows::of_snapshot(&store.snapshot());
        for (_, spelled) in &values {
            let object = format!("{{\"k\":{spelled}}}");
            assert_eq!(rows.iter().filter(|r| r.attributes == object).count(), 2, "{object}");
        }
        store.compact().unwrap();
    }
}

#[test]
fn row_14_control_characters_are_stored_exactly_and_escaped_where_they_are_drawn() {
    let strange = ["\0", "\u{1b}[2J\u{1b}[31m", "\u{202e}gnp.exe", "a\u{7}\u{9b}b"];
    for name in strange {
        let attributes = vec![text("k", name)];
        let span = Span { name: name.to_owned(), attributes, ..bad() };
        let store = scratch();
        let _ = store.append_otlp(corpus::body("service", vec![span])).unwrap();
        let row = rows::of_snapshot(&store.snapshot()).pop().unwrap();
        assert_eq!((row.name.as_str(), row.marks), (name, 0));
        store.flush().unwrap();
        let batch =
            store.snapshot().scan(&amida::Predicate::new()).unwrap().next().unwrap().unwrap();
        let span = batch.span(0).unwrap();
        assert_eq!(span.attribute("k"), Some(amida::json::Value::String(name.to_owned())));
        let id = amida::TraceId::from_bytes(&corpus::trace_id(9)).unwrap();
        let drawn = store.snapshot().trace(id).unwrap().unwrap().to_string();
        let raw = drawn.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(raw, None, "{drawn:?}");
    }
    let lines = "\n".repeat(1_000_000);
    let row = store_bad(Span { name: lines, ..bad() }).1.unwrap();
    assert_eq!(row.name, "\n".repeat(65_536));
    marked(&row, Marks::TRUNCATED);
}

#[test]
fn a_resource_without_a_service_name_is_unknown_service_and_marked() {
    let service = |attributes| {
        let mut request = corpus::request("a", vec![plain_span(1, 1, "s")]);
        request.resource_spans[0].resource.as_mut().unwrap().attributes = attributes;
        let store = scratch();
        let _ = store.append_otlp(corpus::encode(&request)).unwrap();
        let row = rows::of_snapshot(&store.snapshot()).pop().unwrap();
        (row.service_name, row.marks)
    };
    let unknown = ("unknown_service".to_owned(), Marks::NO_SERVICE.0);
    assert_eq!(service(vec![]), unknown);
    assert_eq!(service(vec![text("service.name", "")]), unknown);
    assert_eq!(service(vec![int("service.name", 5)]), unknown);
    let mut without_value = text("service.name", "x");
    without_value.value = Some(AnyValue::default());
    assert_eq!(service(vec![without_value]), unknown);
    assert_eq!(service(vec![text("service.name", "unknown_service")]), (unknown.0, 0));
}
