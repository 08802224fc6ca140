//! Percentiles: within 0.4 % of the value with the nearest rank, whatever the values and in
//! whatever parts they come.

use std::sync::Arc;

use amida::MemoryFs;
use amida_sql::datafusion::arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch,
};
use amida_sql::datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use amida_sql::datafusion::datasource::MemTable;
use amida_sql::datafusion::prelude::{SessionConfig, SessionContext};
use amida_sql::{Session, SessionOptions};
use serde_json::json;

use crate::common::{Spec, apart, append, ask, ask_sorted, lines, refusal, span, store};

const NAMES: [(&str, u64); 6] =
    [("p50", 500), ("p75", 750), ("p90", 900), ("p95", 950), ("p99", 990), ("p999", 999)];

/// The bound that docs/sql.md states.
const ERROR_MAX: f64 = 0.004;

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        self.0 ^ (self.0 >> 29)
    }

    /// Above 0, below 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 12) as f64 / (1u64 << 52) as f64 + 1e-17
    }
}

/// Values of many shapes, 4,000 each but for the small ones (seed 11).
fn shapes() -> Vec<(&'static str, Vec<f64>)> {
    let mut dice = Dice(11);
    let mut many = |make: &mut dyn FnMut(&mut Dice) -> f64| -> Vec<f64> {
        (0..4_000).map(|_| make(&mut dice)).collect()
    };
    vec![
        ("uniform", many(&mut |d| d.part() * 1e9)),
        ("exponential", many(&mut |d| -d.part().ln() * 5e6)),
        ("heavy tail", many(&mut |d| 1e3 / d.part().powf(1.7))),
        (
            "bimodal",
            many(&mut |d| if d.part() < 0.6 { 1e3 + d.part() } else { 9e8 + d.part() * 1e6 }),
        ),
        ("constant", many(&mut |_| 42.0)),
        ("negative", many(&mut |d| -d.part() * 1e7)),
        ("around zero", many(&mut |d| (d.part() - 0.5) * 2e3)),
        ("many zeros", many(&mut |d| if d.part() < 0.7 { 0.0 } else { d.part() })),
        ("tiny", many(&mut |d| d.part() * 1e-310)),
        ("smallest", many(&mut |d| f64::from_bits(1 + d.next() % 300))),
        ("huge", many(&mut |d| d.part() * f64::MAX)),
        ("every size", many(&mut |d| f64::from_bits((d.next() % (2_046 << 52)).max(1)))),
        ("one", vec![7.25]),
        ("two", vec![8.0, 120.0]),
        ("a hundred", (1..=100).map(f64::from).collect()),
    ]
}

/// A table `v` of values `x` in groups `g` in these many partitions.
fn context(columns: &[(ArrayRef, ArrayRef)]) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(columns.len().max(2));
    let context = SessionContext::new_with_config(config);
    amida_sql::register(&context, &amida::Store::in_memory()).expect("registered");
    let data_type = columns.first().map_or(DataType::Float64, |(x, _)| x.data_type().clone());
    let schema = Arc::new(Schema::new(vec![
        Field::new("x", data_type, true),
        Field::new("g", DataType::Int64, true),
    ]));
    let partitions = columns
        .iter()
        .map(|(x, g)| {
            vec![RecordBatch::try_new(schema.clone(), vec![x.clone(), g.clone()]).expect("fits")]
        })
        .collect();
    let table = MemTable::try_new(schema, partitions).expect("a table");
    context.register_table("v", Arc::new(table)).expect("registered");
    context
}

fn groups(len: usize) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values((0..len as i64).map(|n| n % 5)))
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values.iter().copied()))
}

fn everything() -> String {
    let names: Vec<String> = NAMES.iter().map(|(name, _)| format!("{name}(x)")).collect();
    format!("{}, percentile(x, 0), percentile(x, 0.333), percentile(x, 1)", names.join(", "))
}

/// Nearest rank: the smallest value that so many thousandths are no more than.
fn exact<T: Copy>(sorted: &[T], thousandths: u64) -> T {
    let rank = (sorted.len() as u64 * thousandths).div_ceil(1_000).max(1);
    sorted[usize::try_from(rank - 1).expect("small")]
}

async fn rows(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    let frame = context.sql(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    frame.collect().await.unwrap_or_else(|e| panic!("{sql}: {e}"))
}

#[tokio::test]
async fn doubles_are_within_the_stated_error_of_the_nearest_rank() {
    for (shape, values) in shapes() {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let context = context(&[(doubles(&values), groups(values.len()))]);
        let found = rows(&context, &format!("SELECT {} FROM v", everything())).await;
        let thousandths = NAMES.iter().map(|(_, t)| *t).chain([0, 333, 1_000]);
        for (column, part) in thousandths.enumerate() {
            let found = found[0].column(column).as_primitive::<Float64Type>().value(0);
            let expected = exact(&sorted, part);
            let error = ((found - expected) / expected).abs();
            let exactly = found == expected;
            assert!(exactly || error <= ERROR_MAX, "{shape} {part}: {found} and {expected}");
            assert!(exactly || values.len() > 128, "{shape}: few values are exact");
            assert!(exactly || !matches!(part, 0 | 1_000), "{shape}: the ends are exact");
        }
    }
}

#[tokio::test]
async fn integers_of_the_whole_range_are_within_the_stated_error() {
    let mut dice = Dice(5);
    let sets: [(&str, Vec<i64>); 5] = [
        ("any", (0..5_000).map(|_| dice.next().cast_signed()).collect()),
        ("small", (0..5_000).map(|_| (dice.next() % 256).cast_signed()).collect()),
        ("sizes", (0..5_000).map(|n| dice.next().cast_signed() >> (n % 63)).collect()),
        ("ends", (0..1_000).map(|n| if n % 2 == 0 { i64::MIN } else { i64::MAX }).collect()),
        ("durations", (0..5_000).map(|_| (dice.next() % 9_000_000_000).cast_signed()).collect()),
    ];
    for (name, values) in sets {
        let mut sorted = values.clone();
        sorted.sort_unstable();
        let x: ArrayRef = Arc::new(Int64Array::from(values.clone()));
        let context = context(&[(x, groups(values.len()))]);
        let found = rows(&context, &format!("SELECT {} FROM v", everything())).await;
        for (column, (_, part)) in NAMES.iter().enumerate() {
            let found = found[0].column(column).as_primitive::<Int64Type>().value(0);
            let expected = exact(&sorted, *part);
            let error = (found as f64 - expected as f64).abs() / (expected as f64).abs();
            assert!(found == expected || error <= ERROR_MAX, "{name}: {found} and {expected}");
            assert!(found == expected || name != "small", "below 256 every integer is exact");
        }
    }
}

#[tokio::test]
async fn the_parts_in_which_values_come_do_not_matter() {
    for (shape, values) in shapes() {
        let mut answers = Vec::new();
        for parts in [1, 2, 3, 16] {
            let mut columns = Vec::new();
            for part in 0..parts {
                // Every part has other values, and they come in another order each time.
                let mine = || values.iter().enumerate().filter(|(n, _)| n % parts == part);
                let x: Vec<f64> = mine().rev().map(|(_, x)| *x).collect();
                let g = Int64Array::from_iter_values(mine().rev().map(|(n, _)| n as i64 % 5));
                columns.push((doubles(&x), Arc::new(g) as ArrayRef));
            }
            let context = context(&columns);
            let sql = format!("SELECT g, {} FROM v GROUP BY g ORDER BY g", everything());
            let all = format!("SELECT {} FROM v", everything());
            answers.push((lines(&rows(&context, &sql).await), lines(&rows(&context, &all).await)));
        }
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{shape}: {answers:?}");
    }
}

#[tokio::test]
async fn what_is_no_number_is_above_all_numbers_and_null_does_not_count() {
    let x: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(f64::NAN),
        None,
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(-0.0),
    ]));
    let context = context(&[(x, groups(5))]);
    let sql = "SELECT percentile(x, 0), p50(x), p75(x), percentile(x, 1) FROM v";
    assert_eq!(lines(&rows(&context, sql).await), ["-inf|0.0|inf|NaN"]);
    let many = "SELECT percentile(x, 0), p50(x), p75(x), percentile(x, 1) \
                FROM v CROSS JOIN generate_series(1, 100)";
    assert_eq!(lines(&rows(&context, many).await), ["-inf|0.0|inf|NaN"]);
    for sql in ["SELECT p50(x) FROM v WHERE x = 5", "SELECT p50(x) FROM v WHERE x IS NULL"] {
        assert_eq!(lines(&rows(&context, sql).await), ["-"], "{sql}");
    }
    let sql = "SELECT p50(x) FILTER (WHERE x > 1e9) FROM v";
    assert_eq!(lines(&rows(&context, sql).await), ["inf"]);
}

/// 20 services of 300 spans each, in four segments.
fn many() -> amida::Store {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    for part in 0..4u64 {
        let specs: Vec<Spec> = (1..=1_500)
            .map(|n| {
                let id = part * 1_500 + n;
                let ns = i64::try_from(id * id % 1_000_003 * 1_000).expect("small");
                span(&format!("s{}", id % 20), id, id, 0).lasting(ns)
            })
            .collect();
        append(&store, &specs);
        store.flush().expect("flushed");
    }
    store
}

/// Whether a node of a plan spilled.
fn spills(node: &str) -> bool {
    node.contains("spill_count=") && !node.contains("spill_count=0,")
}

#[tokio::test]
async fn many_groups_spill_and_merge_without_another_answer() {
    let store = many();
    let roomy = Session::new(&store);
    let tight = SessionOptions::default().memory_bytes_max(2 << 20).target_partitions(2);
    let tight = Session::with_options(&store, tight);
    let sql = "SELECT service_name, span_id, p95(duration_ns), count(*) FROM spans \
               GROUP BY 1, 2 ORDER BY 2 LIMIT 5";
    assert_eq!(ask(&tight, sql).await, ask(&roomy, sql).await);
    let plan = ask(&tight, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    let spilled = plan.lines().any(|l| l.contains("Aggregate") && spills(l));
    assert!(spilled, "nothing was spilled\n{plan}");
    let sql = "SELECT service_name, p50(duration_ns), p95(duration), p99(duration_ms) FROM spans \
               GROUP BY 1";
    assert_eq!(ask_sorted(&tight, sql).await, ask_sorted(&roomy, sql).await);
}

#[tokio::test]
async fn percentiles_keep_the_type_take_filters_and_open_windows() {
    let s = Session::new(&many());
    let sql = "SELECT arrow_typeof(p95(duration)), arrow_typeof(p95(duration_ns)), \
               arrow_typeof(p95(duration_ms)), arrow_typeof(p95(flags)) FROM spans";
    assert_eq!(ask(&s, sql).await, ["Duration(ns)|Int64|Float64|Int64"]);
    let sql = "SELECT p50(duration_ns) FILTER (WHERE service_name = 's3') = \
               (SELECT p50(duration_ns) FROM spans WHERE service_name = 's3') FROM spans";
    assert_eq!(ask(&s, sql).await, ["true"]);
    let sql = "SELECT count(DISTINCT p) FROM (SELECT p50(duration_ns) OVER \
               (PARTITION BY service_name) AS p FROM spans)";
    assert!(ask(&s, sql).await[0].parse::<u64>().expect("a number") > 10);
    let running = "SELECT p FROM (
                     SELECT span_id, p50(duration_ns) OVER (ORDER BY span_id) AS p FROM spans
                     WHERE trace_id < 'ab000000000000000000000000000004') ORDER BY span_id";
    assert_eq!(ask(&s, running).await, ["1000", "1000", "4000"]);
}

#[tokio::test]
async fn what_a_percentile_cannot_do_is_refused() {
    let s = Session::new(&store(&[span("shop", 1, 1, 0).with("code", json!("x"))]));
    for (expr, part) in [
        ("p95(DISTINCT duration_ns)", "DISTINCT"),
        ("p95(name)", "numbers or durations"),
        ("p95(start_time)", "numbers or durations"),
        ("p95(duration, 0.5)", "one argument"),
        ("percentile(duration)", "percentile(duration, 0.95)"),
        ("percentile(duration, 95)", "from 0 to 1"),
        ("percentile(duration, -0.1)", "from 0 to 1"),
        ("percentile(duration, NULL)", "from 0 to 1"),
        ("percentile(duration, duration_ms)", "literal"),
        (
            "p95(duration_ns) OVER (ORDER BY span_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
            "p95",
        ),
    ] {
        let sql = format!("SELECT {expr} FROM spans");
        let error = crate::common::try_ask(&s, &sql).await.expect_err(expr).to_string();
        assert!(error.contains(part) && !error.contains('\n'), "{expr}\n{error}");
    }
    let words = refusal(&s, "SELECT p95(attributes['code']) FROM spans").await;
    assert!(words.contains("attr_float"), "{words}");
}

#[tokio::test]
async fn attributes_of_several_types_are_read_as_numbers() {
    let specs: Vec<Spec> = (1..=10)
        .map(|n| {
            let code = if n == 10 { json!("timeout") } else { json!(n * 100) };
            span("shop", 1, n, 0).with("code", code).with("size", json!(n))
        })
        .collect();
    let s = Session::new(&store(&specs));
    let sql = "SELECT p50(attributes['code']), percentile(attributes['code'], 0.9), \
               p90(attributes['size']), p50(attributes['none']) FROM spans";
    assert_eq!(ask(&s, sql).await, ["500|900|9|-"]);
    let rows = s.query_with("SELECT percentile(attributes['size'], $1) FROM spans", [0.2]).await;
    let table = rows.expect("planned").collect().await.expect("rows");
    assert_eq!(lines(table.batches()), ["2"]);
}

#[tokio::test]
async fn percentiles_of_the_same_values_share_a_histogram_and_answer_as_each_alone() {
    let mut dice = Dice(12);
    let specs: Vec<Spec> = (1..=3_000)
        .map(|n| {
            let ns = 1_000 + i64::try_from(dice.next() % 90_000_000).expect("small");
            let span = span(["web", "shop", "db"][(n % 3) as usize], n / 4, n, 0).lasting(ns);
            let span = span.with("size", json!(dice.next() % 5_000));
            if n % 7 == 0 { span.error() } else { span }
        })
        .collect();
    let store = store(&specs);
    let s = Session::new(&store);
    let calls = [
        "p50(duration)",
        "p95(duration) FILTER (WHERE is_error)",
        "count(*)",
        "p99(duration)",
        "percentile(duration, 0.123)",
        "p50(attributes['size'])",
        "p50(duration) FILTER (WHERE is_error)",
        "max(duration)",
        "p999(attributes['size'])",
        "p75(duration_ms)",
    ];
    for (grouped, by) in [("service_name", "GROUP BY service_name"), ("'all'", "")] {
        let together = format!("SELECT {grouped}, {} FROM spans {by}", calls.join(", "));
        let plan = ask(&s, &format!("EXPLAIN {together}")).await.join("\n");
        let calls_made = plan.lines().find(|line| line.contains("Aggregate:")).expect("one");
        // Three histograms for seven calls; one call stays alone.
        assert_eq!(calls_made.matches("percentiles(").count(), 3, "{plan}");
        let mut alone = Vec::new();
        for call in calls {
            alone.push(ask_sorted(&s, &format!("SELECT {grouped}, {call} FROM spans {by}")).await);
        }
        let rows = ask_sorted(&s, &together).await;
        assert_eq!(rows.len(), if by.is_empty() { 1 } else { 3 });
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<&str> = row.split('|').collect();
            for (call, alone) in cells[1..].iter().zip(&alone) {
                assert_eq!(format!("{}|{call}", cells[0]), alone[at]);
            }
        }
    }
    // Names and units are those of the calls.
    let sql = "SELECT p50(duration), p99(duration) AS slow FROM spans HAVING p95(duration) > '1ms'";
    let shown = s.query(sql).await.expect("planned").collect().await.expect("read").to_string();
    assert!(shown.contains("p50(") && shown.contains("slow") && shown.contains("ms"), "{shown}");
    let none = "SELECT p50(duration), p99(duration) FROM spans WHERE name = 'no such'";
    let of_one = "SELECT p50(duration) FROM spans WHERE name = 'no such'";
    let alone = ask(&s, of_one).await.join("");
    assert_eq!(ask(&s, none).await, [format!("{alone}|{alone}")]);
    let random = "EXPLAIN SELECT p50(random()), p99(random()) FROM spans";
    let plan = ask(&s, random).await.join("\n");
    assert!(!plan.contains("percentiles("), "what is random is drawn for each call: {plan}");
    let sets = "SELECT service_name, p50(duration), p99(duration) FROM spans
                GROUP BY GROUPING SETS ((service_name), ())";
    assert_eq!(ask(&s, sets).await.len(), 4);
}
