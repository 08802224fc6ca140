//! The drawing, on traces made by hand.

use std::sync::Arc;

use unicode_width::UnicodeWidthStr;

use arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Int64Array, RecordBatch, StringViewBuilder,
    TimestampNanosecondArray, UInt32Array,
};

use super::Waterfall;
use super::axis::worthwhile;
use super::text::{clip, duration, grouped, palette, plain, width_of};
use crate::model::batch::SpanBatch;
use crate::model::ids::TraceId;
use crate::model::schema::{UTC, col, span_schema};
use crate::snapshot::trace::Trace;

/// A span of a test: what the drawing looks at.
#[derive(Clone, Default)]
pub struct Drawn {
    pub id: u64,
    pub parent: u64,
    pub service: &'static str,
    pub name: String,
    pub start: i64,
    pub took: i64,
    pub error: Option<&'static str>,
    pub events: Option<String>,
    pub kind: Option<&'static str>,
    pub attributes: Option<String>,
}

pub fn span(id: u64, parent: u64, name: &str, start: i64, took: i64) -> Drawn {
    Drawn { id, parent, service: "shop", name: name.into(), start, took, ..Drawn::default() }
}

pub const MS: i64 = 1_000_000;

pub fn trace(spans: &[Drawn]) -> Trace {
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
        col::KIND => texts(&|s| Some(s.kind.unwrap_or("INTERNAL").to_owned())),
        col::STATUS_CODE => {
            texts(&|s| Some(if s.error.is_some() { "ERROR" } else { "UNSET" }.to_owned()))
        }
        col::STATUS_MESSAGE => texts(&|s| s.error.map(str::to_owned)),
        col::START_TIME => {
            Arc::new(spans.iter().map(|s| Some(s.start)).collect::<TimestampNanosecondArray>())
        }
        col::DURATION_NS => Arc::new(Int64Array::from_iter_values(spans.iter().map(|s| s.took))),
        col::ATTRIBUTES => texts(&|s| Some(s.attributes.clone().unwrap_or("{}".to_owned()))),
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

pub fn draw(spans: &[Drawn]) -> String {
    trace(spans).to_string()
}

pub fn line_with<'a>(drawing: &'a str, words: &str) -> &'a str {
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
                  2023-11-14T22:13:20Z  100 ms  4 spans  1 service  1 error\n\
                  shop 4\n";
    assert!(drawing.starts_with(header), "{drawing}");
    let column = |line: &str| {
        line.chars().position(|c| matches!(c, '█' | '░' | '▏')).unwrap_or_else(|| panic!("{line}"))
    };
    let (press, post) = (line_with(&drawing, "press"), line_with(&drawing, "POST /calls"));
    assert!(press.starts_with("shop  press"));
    assert!(post.starts_with("├ shop  POST /calls"));
    assert!(line_with(&drawing, "send").starts_with("│ └ shop  send"));
    assert!(line_with(&drawing, "hangup").starts_with("└ shop  hangup"));
    assert!(line_with(&drawing, "send").contains("ERR"));
    assert!(!post.contains("ERR"));
    assert!(line_with(&drawing, "push timed out").starts_with("│     ERR push timed out"));
    assert!(line_with(&drawing, "hangup").contains("0 ns   "), "not on the critical path");
    assert!(line_with(&drawing, "send").contains("20 ms • "));
    assert!(drawing.ends_with("• critical path 100 ms:  shop 100 %\n"), "{drawing}");
    assert!(drawing.contains("· +20 ms push.timeout ms=5 via=fcm"));
    // The second half of the axis belongs to the second half of the time. What is solid is the
    // critical path: each moment in one line.
    let width = press.chars().count() - column(press);
    assert_eq!(column(post), column(press) + width / 2);
    let solid: usize = drawing.lines().map(|line| line.matches('█').count()).sum();
    assert!(solid.abs_diff(width) <= 2, "{solid} of {width}: {drawing}");
}

#[test]
fn no_line_is_wider_than_asked_and_bars_line_up() {
    let seed = any_seed();
    println!("seed {seed}");
    let mut random = Random(seed);
    const BITS: [&str; 10] = [
        "a",
        " ",
        "日本",
        "e\u{301}\u{300}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{1f44d}\u{1f3fd}",
        "\u{2764}\u{fe0f}",
        "\u{1f1ef}\u{1f1f5}",
        "\u{202e}",
        "\u{1b}[2J",
    ];
    for _ in 0..200 {
        let mut text = || -> String {
            (0..random.below(60)).map(|_| BITS[random.below(BITS.len())]).collect()
        };
        let names: Vec<String> = (0..12).map(|_| text()).collect();
        let mut spans = vec![span(1, 0, &names[0], 0, 1000)];
        for (at, name) in (2..).zip(&names[1..]) {
            let parent = 1 + random.below(at as usize - 1) as u64;
            let mut next =
                span(at, parent, name, random.below(900) as i64, random.below(500) as i64);
            next.error = (random.below(3) == 0)
                .then_some("w\u{200d}\u{7}日日日日日日日日日日日日日日日日日日日日日日日");
            next.events = Some(format!(r#"[{{"time":7,"name":"e {}"}}]"#, "x ".repeat(99)));
            spans.push(next);
        }
        let trace = trace(&spans);
        for width in [50, 51, 80, 100, 400] {
            let drawing = Waterfall::new(&trace).width(width).details(width == 80).to_string();
            for line in drawing.lines() {
                assert!(UnicodeWidthStr::width(line) <= width, "{width}: {line}");
                assert_eq!(plain(line), line, "{width}");
            }
            // The bar of the root begins under the corner of the axis.
            let column =
                |line: &str, c: &[char]| line.find(c).map(|at| UnicodeWidthStr::width(&line[..at]));
            let axis = drawing.lines().find_map(|line| column(line, &['├'])).unwrap();
            let root = drawing.lines().find_map(|line| column(line, &['█', '░'])).unwrap();
            assert_eq!(axis, root, "{drawing}");
        }
    }
}

/// A small generator, as the engine has no dependency on one.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

fn any_seed() -> u64 {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).unwrap();
    u64::from_le_bytes(seed)
}

#[test]
fn bars_of_wide_letters_line_up_with_the_others() {
    let drawing = draw(&[span(1, 0, "注文を確定する", 0, 10), span(2, 1, "plain", 0, 10)]);
    let before_bar = |words| {
        let line = line_with(&drawing, words);
        width_of(&line[..line.find(['█', '░']).unwrap()])
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
        span(7, 77, "lost too", 6, 2),
        span(3, 4, "circle", 2, 2),
        span(4, 3, "round", 3, 2),
        span(5, 5, "self", 4, 2),
        span(6, 3, "hangs on the circle", 0, 1),
    ]);
    assert!(drawing.contains("0 errors  2 orphans"), "{drawing}");
    let lines: Vec<&str> = drawing.lines().collect();
    let after = |words: &str| lines[lines.iter().position(|l| l.contains(words)).unwrap() + 1];
    assert_eq!(line_with(&drawing, "! parent"), "! parent 000000000000004d is not stored: 2 spans");
    assert!(after("! parent").starts_with("├ shop  lost"), "{drawing}");
    assert!(after("shop  lost").starts_with("└ shop  lost too"), "{drawing}");
    assert_eq!(
        after("shop  circle").trim_start_matches("│ "),
        "! its own ancestor: the circle is cut open here"
    );
    assert_eq!(after("shop  self").trim(), "! its own ancestor: the circle is cut open here");
    assert!(line_with(&drawing, "round").starts_with("└ "));
    assert!(line_with(&drawing, "hangs on").starts_with("├ "));
}

#[test]
fn events_beyond_the_limit_are_counted() {
    let events: Vec<String> =
        (0..9).map(|n| format!(r#"{{"time":{n},"name":"event {n}"}}"#)).collect();
    let mut busy = span(1, 0, "a", 0, 10);
    busy.events = Some(format!("[{}]", events.join(",")));
    let drawing = draw(&[busy.clone()]);
    assert!(!drawing.contains("event 0"), "spans that did not fail keep theirs: {drawing}");
    busy.error = Some("no");
    let failed = trace(&[busy]);
    let drawing = failed.to_string();
    assert!(drawing.contains("event 2") && !drawing.contains("event 3"));
    assert!(drawing.contains("… 6 events"));
    let details = Waterfall::new(&failed).details(true).to_string();
    assert!(details.contains("event 8") && !details.contains("… "));
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

#[test]
fn what_terminals_draw_differently_is_made_plain() {
    // A family joins to its members, a heart stays a letter, piles of marks are cut.
    assert_eq!(plain("\u{1f468}\u{200d}\u{1f467}!"), "\u{1f468}\u{1f467}!");
    assert_eq!(plain("\u{1f44d}\u{1f3fd}"), "\u{1f44d}");
    assert_eq!(plain("\u{2764}\u{fe0f}"), "\u{2764}");
    assert_eq!(plain("a\u{200b}\u{feff}b"), "a\\u{200b}\\u{feff}b");
    assert_eq!(plain(&format!("e{}", "\u{301}".repeat(99))).chars().count(), 5);
    // Scripts that need a joiner keep it.
    assert_eq!(plain("\u{915}\u{94d}\u{200d}"), "\u{915}\u{94d}\u{200d}");
}

#[test]
fn services_of_one_trace_have_colours_of_their_own() {
    let names: Vec<String> = (0..12).map(|n| format!("service-{n}")).collect();
    let colours = palette(names.iter().map(String::as_str));
    let mut different: Vec<_> = colours.values().collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 12);
    assert!(!different.iter().any(|colour| colour.starts_with("31")));
    // Alone or among others, as long as nothing is in the way.
    let alone = palette(["service-0"])["service-0"];
    assert_eq!(palette(["service-0", "zzz"])["service-0"], alone);
    assert_eq!((grouped(999).as_str(), grouped(1_234_567).as_str()), ("999", "1,234,567"));
}

#[test]
fn the_axis_leaves_out_what_lies_far_from_the_rest() {
    const DAY: i64 = 86_400_000_000_000;
    assert_eq!(
        worthwhile(vec![(0, 0), (5 * DAY, 5 * DAY + 9), (5 * DAY + 3, 5 * DAY + 5)]).0,
        5 * DAY
    );
    assert_eq!(worthwhile(vec![(0, DAY), (2 * DAY, 2 * DAY + 5)]), (0, 2 * DAY + 5));
    assert_eq!(worthwhile(vec![(0, 9), (5, 7), (9 * DAY, 9 * DAY)]), (0, 9));
    assert_eq!(worthwhile(vec![(i64::MIN, i64::MIN), (i64::MAX, i64::MAX)]).0, i64::MIN);
    assert_eq!(worthwhile(Vec::new()), (0, 0));
}
