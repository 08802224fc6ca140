//! Spans into a store in memory, and SQL out of it.
//!
//! `cargo run --example query`

use std::error::Error;

use amida::{RequestBuilder, Resource, SpanBuilder, SpanId, SpanKind, Store, TraceId};
use amida_sql::Session;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Store::in_memory(); // Store::open("traces.amida")? for a directory
    for number in 1..=20u8 {
        let receipt = store.append_otlp(checkout(number)?)?;
        assert_eq!(receipt.rejected(), 0);
    }

    let session = Session::new(&store);
    let rows = session
        .query(
            "SELECT service_name, name, count(*) AS spans, max(duration_ms) AS slowest_ms
             FROM spans GROUP BY service_name, name ORDER BY slowest_ms DESC",
        )
        .await?;
    println!("{}", rows.collect().await?);

    // Attributes have the type that they were sent with; values are bound, never pasted.
    let rows = session
        .query_with(
            "FROM spans
             |> WHERE attributes['http.response.status_code'] >= $1
             |> SELECT trace_id, attributes['http.route'] AS route, duration_ms
             |> ORDER BY duration_ms DESC |> LIMIT 3",
            [500i64],
        )
        .await?;
    println!("{}", rows.collect().await?);

    let rows = session.query("SELECT caller, callee, calls, errors FROM service_edges").await?;
    println!("{}", rows.collect().await?);
    store.close()?;
    Ok(())
}

/// One request of a shop, in which every fifth charge fails, as OTLP bytes.
fn checkout(number: u8) -> Result<Vec<u8>, Box<dyn Error>> {
    const START_NS: i64 = 1_767_225_600_000_000_000;
    let failed = number.is_multiple_of(5);
    let millis = |n: i64| START_NS + (i64::from(number) * 1_000 + n) * 1_000_000;
    let trace = TraceId::from_bytes(&[number; 16]).ok_or("a trace id")?;
    let request = SpanId::from_bytes(&[number; 8]).ok_or("a span id")?;
    let charge = SpanId::from_bytes(&[number + 100; 8]).ok_or("a span id")?;
    let root = SpanBuilder::new(trace, request, "POST /checkout")
        .kind(SpanKind::Server)
        .start_ns(millis(0))
        .end_ns(millis(40 + i64::from(number)))
        .attribute("http.route", "/checkout")
        .attribute("http.response.status_code", if failed { 502 } else { 200 });
    let mut child = SpanBuilder::new(trace, charge, "charge card")
        .parent(request)
        .kind(SpanKind::Server)
        .start_ns(millis(5))
        .end_ns(millis(35));
    if failed {
        child = child.error("the bank did not answer");
    }
    let body = RequestBuilder::new(Resource::new("shop"))
        .span(root)
        .resource(Resource::new("payment"))
        .span(child)
        .finish();
    Ok(body.to_vec())
}
