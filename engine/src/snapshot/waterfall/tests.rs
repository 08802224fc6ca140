//! The drawing, on traces made by hand.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringViewBuilder,
    TimestampNanosecondArray, UInt32Array,
};

use super::Waterfall;
use super::text::{clip, duration, plain, width_of};
use crate::model::batch::SpanBatch;
use crate::model::ids::TraceId;
use crate::model::schema::{UTC, col, span_schema};
use crate::snapshot::trace::Trace;

/// A span of a test: what the drawing looks at.
#[derive(Clone, Default)]
struct Drawn {
    id: u64,
    parent: u64,
    service: &'static str,
    name: String,
    start: i64,
    took: i64,
    error: Option<&'static str>,
    events: Option<String>,
}

fn span(id: u64, parent: u64, name: &str, start: i64, took: i64) -> Drawn {
    Drawn { id, parent, service: "shop", name: name.into(), start, took, ..Drawn::default() }
}

const MS: i64 = 1_000_000;

fn trace(spans: &[Drawn]) -> Trace {
    let id = TraceId::from_bytes(&[0xab; 16]).unwrap();
    let ids = |values: &mut dyn Iterator<Item = Option<Vec<u8>>>, len| {
        let mut ids = FixedSizeBinaryBuilder::new(len);
        for value in values {
            match value {
                Some(value) => ids.append_value(value).unwrap(),
                None => ids.append_null(),
            }
        }
        Arc::new(ids.finish()) as ArrayRef
    };
    let hex8 = |id: u64| (id != 0).then(|| id.to_be_bytes().to_vec());
    let texts = |text: &dyn Fn(&Drawn) -> Option<String>| {
        let mut column = StringViewBuilder::new();
        spans.iter().for_each(|s| column.append_option(text(s)));
        Arc::new(column.finish()) as ArrayRef
    };
    let columns = (0..span_schema().fields().len()).map(|at| match at {
        col::TRACE_ID => ids(&mut spans.iter().map(|_| Some(id.as_bytes().to_vec())), 16),
        col::SPAN_ID => ids(&mut spans.iter().map(|s| hex8(s.id)), 8),
        col::PARENT_SPAN_ID => ids(&mut spans.iter().map(|s| hex8(s.parent)), 8),
        col::NAME => texts(&|s| Some(s.name.clone())),
        col::SERVICE_NAME => texts(&|s| Some(s.service.to_owned())),
        col::KIND => texts(&|_| Some("SERVER".to_owned())),
        col::STATUS_CODE => {
            texts(&|s| Some(if s.error.is_some() { "ERROR" } else { "UNSET" }.to_owned()))
        }
        col::STATUS_MESSAGE => texts(&|s| s.error.map(str::to_owned)),
        col::START_TIME => {
            Arc::new(spans.iter().map(|s| Some(s.start)).collect::<TimestampNanosecondArray>())
        }
        col::DURATION_NS => Arc::new(Int64Array::from_iter_values(spans.iter().map(|s| s.took))),
        col::EVENTS => texts(&|s| s.events.clone()),
        col::FLAGS..=col::MARKS => Arc::new(UInt32Array::from(vec![0; spans.len()])),
        _ => texts(&|_| Some("{}".to_owned())),
    });
    let columns = columns
        .zip(span_schema().fields())
        .map(|(column, field)| match field.name().as_str() {
            "start_time" => {
                let times = column.as_any().downcast_ref::<TimestampNanosecondArray>().unwrap();
                Arc::new(times.clone().with_timezone(UTC)) as ArrayRef
            }
            _ => column,
        })
        .collect();
    let batch = RecordBatch::try_new(span_schema().clone(), columns).unwrap();
    Trace::new(id, &[SpanBatch::try_new(batch).unwrap()]).unwrap().unwrap()
}

fn draw(spans: &[Drawn]) -> String {
    trace(spans).to_string()
}

fn line_with<'a>(drawing: &'a str, words: &str) -> &'a str {
    drawing.lines().find(|l| l.contains(words)).unwrap_or_else(|| panic!("{words}:\n{drawing}"))
}

#[test]
fn tree_bars_errors_and_events_stand_where_they_belong() {
    let at = 1_700_000_000_000_000_000;
    let mut failed = span(3, 2, "send", at + 60 * MS, 20 * MS);
    failed.error = Some("push timed out");
    failed.events = Some(format!(
        r#"[{{"time":{},"name":"push.timeout","attributes":{{"ms":5,"via":"fcm"}}}}]"#,
        at + 80 * MS
    ));
    let drawing = draw(&[
        span(1, 0, "press", at, 100 * MS),
        span(2, 1, "POST /calls", at + 50 * MS, 50 * MS),
        failed,
        span(4, 1, "hangup", at + 100 * MS, 0),
    ]);
    let header = "trace abababababababababababababababab\n\
                  2023-11-14T22:13:20Z  100 ms  4 spans  1 service  1 error\n";
    assert!(drawing.starts_with(header), "{drawing}");
    let column = |line: &str| {
        line.chars().position(|c| c == '█' || c == '▏').unwrap_or_else(|| panic!("{line}"))
    };
    let (press, post) = (line_with(&drawing, "press"), line_with(&drawing, "POST /calls"));
    assert!(press.starts_with("shop  press"));
    assert!(post.starts_with("├ shop  POST /calls"));
    assert!(line_with(&drawing, "send").starts_with("│ └ shop  send"));
    assert!(line_with(&drawing, "hangup").starts_with("└ shop  hangup"));
    assert!(line_with(&drawing, "send").contains("ERR"));
    assert!(!post.contains("ERR"));
    assert!(line_with(&drawing, "push timed out").starts_with("│     ERR push timed out"));
    assert!(drawing.contains("· +80 ms push.timeout ms=5 via=fcm"));
    // The second half of the axis belongs to the second half of the time.
    let width = press.chars().count() - column(press);
    assert_eq!(column(post), column(press) + width / 2);
}

#[test]
fn no_line_is_wider_than_asked() {
    let mut wide = span(2, 1, &"very long name ".repeat(20), 5, 5);
    wide.error = Some("words words words words words words words words words words words words");
    wide.events = Some(format!(
        r#"[{{"time":7,"name":"exception","attributes":{{"stack":"{}"}}}}]"#,
        "at line ".repeat(200)
    ));
    let trace = trace(&[span(1, 0, "root", 0, 20), wide, span(9, 8, "lost", 3, 4)]);
    for width in [50, 80, 100, 200] {
        let drawing = Waterfall::new(&trace).width(width).to_string();
        for line in drawing.lines() {
            assert!(width_of(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn bars_of_wide_letters_line_up_with_the_others() {
    let drawing = draw(&[span(1, 0, "注文を確定する", 0, 10), span(2, 1, "plain", 0, 10)]);
    let before_bar = |words| {
        let line = line_with(&drawing, words);
        width_of(&line[..line.find('█').unwrap()])
    };
    assert_eq!(before_bar("注文"), before_bar("plain"));
}

#[test]
fn commands_to_the_terminal_are_escaped() {
    let mut evil = span(1, 0, "a\x1b[2Jb\nc", 0, 10);
    evil.error = Some("bell\x07");
    evil.events = Some(r#"[{"time":1,"name":"e\u001b","attributes":{"k":"\u202ev\n"}}]"#.into());
    let drawing = draw(&[evil]);
    assert!(!drawing.contains(['\x1b', '\x07', '\u{202e}']), "{drawing}");
    assert!(drawing.contains(r"a\u{1b}[2Jb\nc"));
    assert!(drawing.contains(r"k=\u{202e}v\n"));
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let mut failed = span(1, 0, "a", 0, 10);
    failed.error = Some("no");
    let trace = trace(&[failed]);
    assert!(!trace.to_string().contains('\x1b'));
    let colour = Waterfall::new(&trace).colour(true).to_string();
    assert!(colour.contains("\x1b[31;1mERR"));
}

#[test]
fn orphans_and_circles_say_so() {
    let drawing = draw(&[
        span(1, 0, "root", 0, 10),
        span(2, 77, "lost", 1, 2),
        span(3, 4, "circle", 2, 2),
        span(4, 3, "round", 3, 2),
        span(5, 5, "self", 4, 2),
        span(6, 3, "hangs on the circle", 0, 1),
    ]);
    assert!(line_with(&drawing, "lost").contains("(parent missing)"));
    assert!(line_with(&drawing, "circle").contains("(its own ancestor)"));
    assert!(line_with(&drawing, "self").contains("(its own ancestor)"));
    assert!(line_with(&drawing, "round").starts_with("└ "));
    assert!(line_with(&drawing, "hangs on").starts_with("├ "));
    assert_eq!(drawing.lines().count(), 4 + 6);
}

#[test]
fn events_beyond_the_limit_are_counted() {
    let events: Vec<String> =
        (0..9).map(|n| format!(r#"{{"time":{n},"name":"event {n}"}}"#)).collect();
    let mut busy = span(1, 0, "a", 0, 10);
    busy.events = Some(format!("[{}]", events.join(",")));
    let drawing = draw(&[busy]);
    assert!(drawing.contains("event 5") && !drawing.contains("event 6"));
    assert!(drawing.contains("3 more events"));
}

#[test]
fn strange_times_are_drawn() {
    for spans in [
        vec![span(1, 0, "zero", 0, 0)],
        vec![span(1, 0, "negative", 100, -50), span(2, 1, "child", 10, 20)],
        vec![span(1, 0, "whole range", 0, i64::MAX), span(2, 1, "late", i64::MAX, i64::MAX)],
        vec![span(1, 0, "before", i64::MIN, 5), span(2, 1, "after", i64::MAX, i64::MIN)],
    ] {
        let drawing = draw(&spans);
        assert!(drawing.lines().count() >= 4 + spans.len() - 1, "{drawing}");
    }
}

#[test]
fn deep_and_broad_traces_are_drawn_whole() {
    let deep: Vec<Drawn> =
        (1..=10_000).map(|n| span(n, n - 1, "d", n as i64, 20_000 - n as i64)).collect();
    let drawing = draw(&deep);
    assert_eq!(drawing.lines().count(), 4 + deep.len());
    let last = drawing.lines().last().unwrap_or_default();
    assert!(last.contains("9999: shop  d"), "{last}");
    let broad: Vec<Drawn> = (1..=10_000).map(|n| span(n, 99_999, "b", n as i64, 5)).collect();
    assert_eq!(draw(&broad).lines().count(), 4 + broad.len());
}

#[test]
fn durations_have_three_digits_and_a_unit() {
    for (ns, text) in [
        (0, "0 ns"),
        (999, "999 ns"),
        (1_000, "1 us"),
        (1_234, "1.23 us"),
        (999_499, "999 us"),
        (999_600, "1.00 ms"),
        (12_345_678, "12.3 ms"),
        (-1_500_000, "-1.50 ms"),
        (59_900_000_000, "59.9 s"),
        (59_990_000_000, "1m00s"),
        (150_000_000_000, "2m30s"),
        (7_260_000_000_000, "2h01m"),
        (i64::MAX, "106752 d"),
    ] {
        assert_eq!(duration(ns), text, "{ns}");
    }
}

#[test]
fn clipping_counts_columns_not_bytes() {
    assert_eq!(clip("abc", 3), "abc");
    assert_eq!(clip("abcd", 3), "ab…");
    assert_eq!(clip("ヤマダ", 6), "ヤマダ");
    assert_eq!(clip("ヤマダ", 5), "ヤマ…");
    assert_eq!(clip("ヤマダ", 4), "ヤ…");
    assert_eq!(clip("abc", 0), "");
    assert_eq!(plain("ヤマダ"), "ヤマダ");
}
