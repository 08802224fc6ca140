//! What is folded, cut and told of a trace, seen in the drawing.

use super::Waterfall;
use super::tests::{Drawn, MS, draw, line_with, span, trace};

/// A root and this many equal children, one after the other.
fn fan(children: u64) -> Vec<Drawn> {
    let mut spans = vec![span(1, 0, "root", 0, 1000 * MS)];
    spans.extend((0..children).map(|n| span(n + 2, 1, "get", n as i64 * MS, MS)));
    spans
}

#[test]
fn a_long_run_of_equal_siblings_is_one_line_with_its_slowest_and_failed() {
    let mut spans = fan(20);
    spans[7].took = 30 * MS;
    spans[9].error = Some("timeout");
    spans.push(span(90, 1, "put", 500 * MS, MS));
    let drawing = draw(&spans);
    assert!(line_with(&drawing, "20 × shop  get").contains("ERR"), "{drawing}");
    assert!(line_with(&drawing, "20 × shop  get").contains("~1 ms"), "{drawing}");
    assert!(drawing.contains("│ │ 1 ms / 1 ms / 30 ms min / median / max, 1 error\n"), "{drawing}");
    assert!(line_with(&drawing, "   30 ms").starts_with("│ ├ shop  get"));
    assert!(drawing.contains("ERR timeout"));
    assert_eq!(drawing.matches("shop  get").count(), 3);
    assert!(line_with(&drawing, "put").starts_with("└ shop  put"));
    assert!(drawing.ends_with("18 spans are not drawn one by one\n"), "{drawing}");
    let trace = trace(&spans);
    let all = Waterfall::new(&trace).all(true);
    assert_eq!((all.hidden_spans(), Waterfall::new(&trace).hidden_spans()), (0, 18));
    assert_eq!(all.to_string().matches("shop  get").count(), 20);
}

#[test]
fn runs_are_of_equal_subtrees_and_worth_it() {
    let few = draw(&fan(5));
    assert_eq!(few.matches("shop  get").count(), 5);
    // Every call with the same call beneath it, but one.
    let mut spans = fan(14);
    spans.extend((2..16).map(|n| span(100 + n, n, if n == 8 { "b" } else { "a" }, 0, 5)));
    let drawing = draw(&spans);
    assert!(drawing.contains("6 × shop  get") && drawing.contains("7 × shop  get"), "{drawing}");
    assert_eq!(drawing.matches("shop  a").count(), 2, "under the slowest of each: {drawing}");
    // All failed: folded all the same.
    let mut spans = fan(50);
    spans[1..].iter_mut().for_each(|span| span.error = Some("no"));
    let drawing = draw(&spans);
    assert!(drawing.contains("50 errors") && drawing.lines().count() < 20, "{drawing}");
}

#[test]
fn clocks_that_differ_are_told_and_bars_stay_as_recorded() {
    let mut client = span(2, 1, "call", 100 * MS, 50 * MS);
    client.kind = Some("CLIENT");
    let mut server = span(3, 2, "serve", 88 * MS, 80 * MS);
    (server.kind, server.service) = (Some("SERVER"), "other");
    let mut late = span(4, 1, "late", 10 * MS, 900 * MS);
    late.kind = Some("CONSUMER");
    let spans = [span(1, 0, "root", 0, 200 * MS), client, server, late];
    let drawing = draw(&spans);
    assert!(drawing.contains("! starts 12 ms before its parent: clock skew?\n"), "{drawing}");
    assert!(drawing.contains("! ends 18 ms after its client: clock skew?\n"), "{drawing}");
    assert_eq!(drawing.matches('!').count(), 2, "going on after the parent is common: {drawing}");
    let start = |words: &str| {
        let line = line_with(&drawing, words);
        line.chars().position(|c| matches!(c, '\u{2588}' | '\u{2591}')).unwrap()
    };
    assert!(start("serve") <= start("call"));
}

#[test]
fn spans_far_away_are_named_and_the_axis_stays_useful() {
    const DAY: i64 = 86_400_000 * MS;
    let at = 19_000 * DAY;
    let mut spans = fan(4);
    spans.iter_mut().for_each(|span| span.start += at);
    spans.push(span(90, 1, "zero", 0, 0));
    spans.push(span(91, 1, "later", at + 3 * DAY, MS));
    let drawing = draw(&spans);
    assert!(drawing.contains("! far from the others and not on the axis: 2 spans"), "{drawing}");
    assert!(line_with(&drawing, "zero").ends_with("\u{2190} 19000 d before"), "{drawing}");
    assert!(line_with(&drawing, "later").ends_with("3.00 d after \u{2192}"), "{drawing}");
    assert!(drawing.contains("800 ms\n"), "{drawing}");
}

#[test]
fn repeats_and_negative_durations_are_told() {
    let twice = span(2, 1, "twice", 1, 2);
    let spans = [span(1, 0, "root", 0, 10), twice.clone(), twice, span(3, 1, "back", 5, -3)];
    let drawing = draw(&spans);
    assert_eq!(drawing.matches("shop  twice").count(), 1);
    assert!(drawing.contains("! stored twice\n") && drawing.contains("4 spans"), "{drawing}");
    assert!(drawing.contains("! ends before it starts\n"), "{drawing}");
}

#[test]
fn details_have_attributes_and_exceptions_are_told_anyway() {
    let mut busy = span(1, 0, "a", 0, 10 * MS);
    busy.attributes = Some(r#"{"http.route":"/x","n":1}"#.into());
    let exception = r#"{"exception.type":"IoError","exception.message":"disk full"}"#;
    busy.events = Some(format!(
        r#"[{{"time":5,"name":"tick"}},
            {{"time":{MS},"name":"exception","attributes":{exception}}}]"#
    ));
    let trace = trace(&[busy]);
    let brief = trace.to_string();
    assert!(brief.contains("\u{b7} +1 ms exception IoError: disk full\n"), "{brief}");
    assert!(!brief.contains("tick") && !brief.contains("http.route"), "{brief}");
    let details = Waterfall::new(&trace).details(true).to_string();
    assert!(details.contains("  http.route = /x\n  n = 1\n"), "{details}");
    assert!(details.contains("+5 ns tick"), "{details}");
}

#[test]
fn huge_traces_are_drawn_in_few_lines_or_whole() {
    let deep: Vec<Drawn> =
        (1..=10_000).map(|n| span(n, n - 1, "d", n as i64, 20_000 - n as i64)).collect();
    let deep = trace(&deep);
    let whole = Waterfall::new(&deep).all(true).to_string();
    assert!(line_with(&whole, "9999: ").contains("9999: shop  d"));
    let brief = deep.to_string();
    assert!(brief.contains("\u{2026} 9,500 spans more\n"), "{brief}");
    assert!(brief.lines().count() < 520);
    // Wide, and no two alike in a row.
    let mut wide = vec![span(1, 0, "root", 0, 200_000)];
    wide.extend((2..=100_000).map(|n| span(n, 1, ["a", "b"][n as usize % 2], n as i64, 5)));
    wide[99_999].error = Some("no");
    let wide = trace(&wide);
    let brief = wide.to_string();
    assert!(brief.contains("\u{2026} 99,500 spans more, 1 error\n"), "{brief}");
    assert_eq!(Waterfall::new(&wide).all(true).to_string().matches("shop  ").count(), 100_000);
    // Every span an orphan of a parent of its own: a line each for the parent and what it hides.
    let lost: Vec<Drawn> = (1..=50_000).map(|n| span(n, n + 100_000, "l", n as i64, 5)).collect();
    assert!(draw(&lost).lines().count() < 1020);
}

#[test]
fn a_fan_of_a_million_is_a_run() {
    let wide = trace(&fan(1_000_000));
    let drawing = wide.to_string();
    assert!(drawing.contains("1,000,000 × shop  get"), "{drawing}");
    assert!(drawing.contains("999,999 spans are not drawn one by one"), "{drawing}");
}
