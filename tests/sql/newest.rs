//! The newest spans: what is read for them, and that they are the right ones.

use amida::{MemoryFs, Store};
use amida_sql::{Session, SessionOptions};
use fastrand::Rng;

use crate::common::{Spec, apart, append, ask, span};

const SERVICES: [&str; 3] = ["shop", "cart", "rare"];

/// Segments of five and, the newest, twelve pages, whose times overlap; some of the newest spans
/// are not flushed.
fn jumbled(random: &mut Rng) -> Store {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    for part in 0..4u64 {
        let (spans, flushed) = [(9_000, true), (9_000, true), (24_000, true), (500, false)]
            [usize::try_from(part).expect("small")];
        let specs: Vec<Spec> = (0..spans)
            .map(|n| {
                let service = SERVICES[if n % 97 == 0 { 2 } else { random.usize(0..2) }];
                let start = part * 6_000 + random.u64(1..9_000);
                span(service, part * 5_000 + n / 5, start * 4 + part, 0)
            })
            .collect();
        append(&store, &specs);
        if flushed {
            store.flush().expect("flushed");
        }
    }
    store
}

#[tokio::test]
async fn they_are_the_same_as_in_a_sort_of_all() {
    let mut random = Rng::with_seed(29);
    let store = jumbled(&mut random);
    for partitions in [1, 2, 3] {
        let options = SessionOptions::new().target_partitions(partitions);
        let s = Session::with_options(&store, options);
        for filter in [
            "true",
            "service_name = 'shop'",
            "service_name = 'rare'",
            "service_name = 'none'",
            "start_time < '2026-01-01T00:00:45Z'",
            "start_time > '2026-01-01T00:00:30Z' AND service_name <> 'cart'",
        ] {
            let (limit, offset) = (random.usize(1..300), random.usize(0..50));
            let all = format!(
                "SELECT span_id FROM (SELECT span_id, row_number() OVER \
                 (ORDER BY start_time DESC, span_id, name) AS place FROM spans WHERE {filter}) \
                 WHERE place > {offset} AND place <= {offset} + {limit} ORDER BY place"
            );
            let newest = format!(
                "SELECT span_id FROM spans WHERE {filter} \
                 ORDER BY start_time DESC, span_id, name LIMIT {limit} OFFSET {offset}"
            );
            let expected = ask(&s, &all).await;
            assert!(!expected.is_empty() || filter.contains("none"));
            assert_eq!(ask(&s, &newest).await, expected, "{newest}, {partitions} partitions");
        }
    }
}

#[tokio::test]
async fn they_are_read_from_the_last_page_of_a_row_group() {
    let store = apart(&MemoryFs::new(), &[]).open("s").expect("opened");
    let specs: Vec<Spec> =
        (1..=20_000).map(|n| span(SERVICES[usize::from(n % 20 == 0)], n / 5, n, 0)).collect();
    append(&store, &specs);
    store.flush().expect("flushed");
    let s = Session::with_options(&store, SessionOptions::new().target_partitions(1));
    let sql = "SELECT name, start_time FROM spans WHERE service_name = 'cart' \
               ORDER BY start_time DESC LIMIT 3";
    let plan = ask(&s, &format!("EXPLAIN ANALYZE {sql}")).await.join("\n");
    let read = plan.lines().find(|line| line.contains("DataSourceExec")).expect("a scan");
    // 20,000 less nine pages of 2,048.
    assert!(read.contains("output_rows=1.57 K"), "{plan}");
    let found = ask(&s, sql).await;
    let names: Vec<_> = found.iter().map(|row| row.split('|').next().unwrap_or("")).collect();
    assert_eq!(names, ["op20000", "op19980", "op19960"]);
    // Oldest first, nothing is known of what the sort keeps when the scan begins.
    let sql = "SELECT name FROM spans ORDER BY start_time LIMIT 1";
    assert_eq!(ask(&s, sql).await, ["op1"]);
}
