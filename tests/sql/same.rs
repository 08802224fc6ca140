//! The same answers wherever the rows stand: in memory, in segments with promoted columns, in
//! segments whose columns are incomplete, reopened, compacted, and all of it together.

use amida::{MemoryFs, PromotedType, Store};
use amida_sql::Session;
use serde_json::json;

use crate::common::{Spec, apart, append, ask_sorted, options, span, span_hex, trace_hex, try_ask};

/// Three requests. `route` is always text; `size` is first ints, then a double too; `code` gets
/// strings in the third, `flag` a number in the second; `rare` stands only in the third.
fn requests() -> [Vec<Spec>; 3] {
    let one = (1..=20)
        .map(|n| {
            span("shop", n / 4, n, if n % 4 == 0 { 0 } else { n / 4 * 4 })
                .with("route", json!(format!("/r{}", n % 5)))
                .with("size", json!(n * 10))
                .with("code", json!(if n % 6 == 0 { 500 } else { 200 }))
                .with("flag", json!(n % 2 == 0))
        })
        .collect();
    let two = (21..=40)
        .map(|n| {
            let spec = span("cart", n / 4, n, if n % 4 == 0 { 0 } else { n / 4 * 4 })
                .with("route", json!(format!("/r{}", n % 7)))
                .with("size", if n == 30 { json!(2.5) } else { json!(n * 10) })
                .with("code", json!(404))
                .with("flag", if n == 33 { json!(1) } else { json!(true) });
            if n % 3 == 0 { spec.error() } else { spec }
        })
        .collect();
    let three = (41..=50)
        .map(|n| {
            span("mail", n / 4, n, 0)
                .with("code", if n % 2 == 0 { json!("none") } else { json!(n) })
                .with("rare", json!("here"))
                .with("quote", json!("it's \"quoted\" \u{e9}"))
        })
        .collect();
    [one, two, three]
}

const PROMOTED: [(&str, PromotedType); 5] = [
    ("route", PromotedType::String),
    ("size", PromotedType::Int),
    ("code", PromotedType::Int),
    ("flag", PromotedType::Bool),
    ("rare", PromotedType::String),
];

/// The same spans in stores that hold them in different places.
fn stores() -> Vec<(&'static str, Store)> {
    let all = requests();
    let mut stores = Vec::new();

    let hot = Store::in_memory();
    all.iter().for_each(|specs| append(&hot, specs));
    stores.push(("hot", hot));

    let plain = Store::in_memory();
    all.iter().for_each(|specs| append(&plain, specs));
    plain.flush().expect("flushed");
    stores.push(("one segment", plain));

    for (name, promoted) in [("segments", &[][..]), ("promoted segments", &PROMOTED[..])] {
        let store = apart(&MemoryFs::new(), promoted).open("s").expect("opened");
        for specs in &all {
            append(&store, specs);
            store.flush().expect("flushed");
        }
        stores.push((name, store));
    }

    let half = apart(&MemoryFs::new(), &PROMOTED).open("s").expect("opened");
    append(&half, &all[0]);
    half.flush().expect("flushed");
    append(&half, &all[1]);
    append(&half, &all[2]);
    stores.push(("segment and hot rows", half));

    // Promoted only from the second segment on: the files differ in their columns.
    let fs = MemoryFs::new();
    let store = apart(&fs, &[]).open("s").expect("opened");
    append(&store, &all[0]);
    store.flush().expect("flushed");
    store.close().expect("closed");
    let store = apart(&fs, &PROMOTED).open("s").expect("reopened");
    append(&store, &all[1]);
    store.flush().expect("flushed");
    append(&store, &all[2]);
    store.close().expect("closed");
    stores.push(("reopened", apart(&fs, &PROMOTED).open("s").expect("reopened")));

    let store = options(&MemoryFs::new(), &PROMOTED).open("s").expect("opened");
    for specs in &all {
        append(&store, specs);
        store.flush().expect("flushed");
    }
    store.compact().expect("compacted");
    stores.push(("compacted", store));
    stores
}

/// Conditions on spans.
fn conditions() -> Vec<String> {
    let trace = trace_hex(3);
    vec![
        "true".to_owned(),
        "attributes['route'] = '/r3'".to_owned(),
        "attributes['route'] <> '/r3'".to_owned(),
        "attributes['route'] IS NULL".to_owned(),
        "attributes['route'] IN ('/r1', '/r6', '/none')".to_owned(),
        "attributes['route'] LIKE '/r%'".to_owned(),
        "attributes['size'] > 150".to_owned(),
        "attributes['size'] = 2.5".to_owned(),
        "attributes['size'] BETWEEN 2 AND 120".to_owned(),
        "attributes['code'] >= 404".to_owned(),
        "attributes['code'] = 'none'".to_owned(),
        "attributes['code'] = '404'".to_owned(),
        "attributes['code'] NOT IN (200, 404)".to_owned(),
        "attributes['flag'] = true".to_owned(),
        "attributes['flag'] = 1".to_owned(),
        "NOT attributes['flag']".to_owned(),
        "attr_bool(attributes, 'flag') IS NOT TRUE".to_owned(),
        "attributes['rare'] = 'here'".to_owned(),
        "attributes['quote'] LIKE '%\"quoted\"%'".to_owned(),
        "attributes['none'] = 'x'".to_owned(),
        "attributes['code'] = 404 AND attributes['route'] = '/r3' AND is_error".to_owned(),
        "attributes['code'] = 500 OR attributes['route'] = '/r6'".to_owned(),
        "coalesce(attributes['size'], 0) < 50".to_owned(),
        "resource_attributes['host.cores'] = 8".to_owned(),
        format!("trace_id = '{trace}'"),
        format!("trace_id IN ('{trace}', '{}', '{}')", trace_hex(11), trace_hex(99)),
        format!("trace_id LIKE '{}%'", &trace[..31]),
        format!("trace_id = '{trace}' AND attributes['route'] = '/r3'"),
        format!("trace_id = '{trace}' OR span_id = '{}'", span_hex(44)),
        format!("parent_span_id = '{}'", span_hex(12)),
        "start_time >= '2026-01-01T00:00:00.045Z'".to_owned(),
        "start_time BETWEEN '2026-01-01T00:00:00.019Z' AND '2026-01-01T00:00:00.022Z'".to_owned(),
        "start_time < '2025-01-01'".to_owned(),
        "duration > '500us' AND duration_ns <= '1ms'".to_owned(),
        "duration_ms BETWEEN '1ms' AND interval '2 ms'".to_owned(),
        "time_bucket('10ms', start_time) = '2026-01-01T00:00:00.020Z'".to_owned(),
        "service_name = 'cart' AND kind = 'server'".to_owned(),
    ]
}

const MORE: &[&str] = &[
    "SELECT * FROM spans",
    "SELECT attributes['route'], count(*) FROM spans GROUP BY 1",
    "SELECT attributes['code'], count(*) FROM spans GROUP BY attributes['code']",
    "SELECT attributes['flag'], attributes['size'], attr_text(attributes, 'size') FROM spans",
    "SELECT attr_int(attributes, 'size'), attr_float(attributes, 'code') FROM spans",
    "SELECT attr_text(attributes, 'flag'), attr_int(attributes, 'flag') FROM spans",
    "SELECT min(start_time), max(start_time), count(*) FROM spans",
    "SELECT max(attributes['size']) FROM spans WHERE attributes['code'] = 404",
    "SELECT name, start_time FROM spans ORDER BY start_time DESC LIMIT 7",
    "SELECT trace_id, count(*) FROM spans GROUP BY trace_id",
    "SELECT c.name, p.name, p.attributes['route'] FROM spans c JOIN spans p \
     ON c.parent_span_id = p.span_id WHERE c.attributes['code'] = 500",
    "SELECT name FROM spans WHERE attributes['size'] = \
     (SELECT max(attributes['size']) FROM spans)",
    "FROM spans |> WHERE attributes['size'] > 20 |> AGGREGATE count(*) AS n \
     GROUP BY attributes['route'] AS route |> ORDER BY route",
    "WITH x AS (SELECT attributes AS a, trace_id AS t FROM spans) \
     SELECT t, a['route'] FROM x WHERE a['code'] = 404",
    "SELECT attributes['route'] FROM spans WHERE attributes['size'] > 100 \
     UNION SELECT attributes['rare'] FROM spans",
    "SELECT CASE WHEN attributes['code'] = 404 THEN attributes['route'] ELSE 'x' END \
     FROM spans",
    "SELECT service_name, p50(attributes['size']), p95(attributes['code']), \
     ratio(attributes['flag']), max_by(trace_id, attributes['size']), min_by(name, start_time) \
     FROM spans GROUP BY 1",
    "SELECT time_bucket('10ms', start_time), max(duration), p99(duration) FROM spans GROUP BY 1",
    "SELECT * FROM traces",
    "SELECT * FROM services",
    "SELECT * FROM operations",
    "SELECT * FROM service_edges",
];

fn queries() -> Vec<String> {
    let mut queries: Vec<String> = Vec::new();
    for condition in conditions() {
        queries.push(format!("SELECT name FROM spans WHERE {condition}"));
        queries.push(format!(
            "SELECT count(*), sum(attributes['size']), sum(attributes['code']) FROM spans \
             WHERE {condition}"
        ));
    }
    queries.extend(MORE.iter().map(|sql| (*sql).to_owned()));
    queries
}

#[tokio::test]
async fn every_query_has_the_same_answer_wherever_the_rows_stand() {
    let stores = stores();
    let (first, rest) = stores.split_first().expect("stores");
    let expected_session = Session::new(&first.1);
    let sessions: Vec<_> = rest.iter().map(|(name, store)| (name, Session::new(store))).collect();
    let mut empty = 0;
    for sql in queries() {
        let expected = ask_sorted(&expected_session, &sql).await;
        empty += usize::from(expected.is_empty());
        for (name, session) in &sessions {
            assert_eq!(ask_sorted(session, &sql).await, expected, "{name}: {sql}");
        }
    }
    assert!(empty <= 8, "{empty} queries find nothing");
}

#[tokio::test]
async fn refusals_are_the_same_wherever_the_rows_stand() {
    for (name, store) in &stores() {
        let session = Session::new(store);
        let sql = "SELECT a FROM (SELECT attributes['code'] AS a FROM spans) WHERE a > 5";
        let words = try_ask(&session, sql).await.expect_err("refused").to_string();
        assert!(words.contains("attr_int(attributes, 'code')"), "{name}: {words}");
    }
}

/// Random conditions out of those above, joined by AND, OR and NOT (seed 7): the spans that match,
/// that do not, and of which it cannot be told are all spans, and the same in every store.
#[tokio::test]
async fn random_conditions_divide_the_spans_in_three_the_same_way_everywhere() {
    let sessions: Vec<_> =
        stores().into_iter().map(|(name, store)| (name, Session::new(&store))).collect();
    let atoms = conditions();
    let mut state = 7u64;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(state >> 33).expect("31 bits") % n
    };
    for _ in 0..60 {
        let mut condition = format!("({})", atoms[below(atoms.len())]);
        for _ in 0..below(4) {
            let other = &atoms[below(atoms.len())];
            condition = match below(4) {
                0 => format!("({condition} AND ({other}))"),
                1 => format!("({condition} OR ({other}))"),
                2 => format!("NOT ({condition} OR ({other}))"),
                _ => format!("({condition} AND NOT ({other}))"),
            };
        }
        let mut first: Option<Vec<Vec<String>>> = None;
        for (name, session) in &sessions {
            let mut parts = Vec::new();
            for part in ["", "NOT ", "IS NULL"] {
                let whole = match part {
                    "IS NULL" => format!("({condition}) IS NULL"),
                    _ => format!("{part}({condition})"),
                };
                let sql = format!("SELECT name FROM spans WHERE {whole}");
                parts.push(ask_sorted(session, &sql).await);
            }
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 50, "{name}: {condition}");
            match &first {
                Some(first) => assert_eq!(*first, parts, "{name}: {condition}"),
                None => first = Some(parts),
            }
        }
    }
}

#[tokio::test]
async fn what_a_filter_fails_on_is_said_in_the_same_words() {
    for promoted in [&[("wide", PromotedType::String)][..], &[]] {
        let store = apart(&MemoryFs::new(), promoted).open("s").expect("opened");
        append(
            &store,
            &[
                span("shop", 1, 1, 0).with("wide", json!("12")),
                span("shop", 1, 2, 0).with("wide", json!("a \"b\" \\ c")),
            ],
        );
        let s = Session::new(&store);
        let sqls = [
            "SELECT name FROM spans WHERE CAST(attributes['wide'] AS BIGINT) < 20",
            "SELECT name FROM spans WHERE 5 / (duration_ns - duration_ns) < 20",
        ];
        let mut said = Vec::new();
        for flushed in [false, true] {
            if flushed {
                store.flush().expect("flushed");
            }
            for sql in sqls {
                let error = try_ask(&s, sql).await.expect_err("no number");
                assert!(matches!(error, amida_sql::Error::Execution(_)), "{error:?}");
                said.push(error.to_string());
            }
        }
        let words = "Cannot cast string 'a \"b\" \\ c' to value of Int64 type; use TRY_CAST";
        assert!(said[0].starts_with(words), "{said:?}");
        assert_eq!(said[1], "Divide by zero error");
        assert_eq!(said[..2], said[2..]);
    }
}
