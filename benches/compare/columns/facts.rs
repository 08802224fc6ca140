//! What the comparison asks for, and what every system must find: computed from the corpus alone.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use amida_benches::process::Result;
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

use super::table::service_name;

/// Traces that are looked up, and their sizes.
const TRACES: usize = 200;
const SIZES: std::ops::RangeInclusive<u32> = 20..=40;

/// The service whose last spans are asked for; neither the busiest nor the quietest.
const SERVICE: &str = "orders";

/// A percentile is right when it is no further from the nearest rank than this many ranks, and then
/// this share.
const RANKS: usize = 2;
const SHARE: f64 = 0.005;

fn user(span: &Span) -> Option<&str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == "user.id")?;
    match found.value.as_ref()?.value.as_ref()? {
        AnyValue::StringValue(user) => Some(user),
        _ => None,
    }
}

fn hex(id: &[u8]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Traces drawn by their spans, so that a span's chance is what counts: the id, and how many spans.
fn draw(sizes: &HashMap<Vec<u8>, u32>) -> Vec<(String, u32)> {
    let mut fit: Vec<(&Vec<u8>, u32)> = sizes
        .iter()
        .filter(|(_, spans)| SIZES.contains(spans))
        .map(|(id, spans)| (id, *spans))
        .collect();
    fit.sort_unstable();
    let mut random = Rng::with_seed(7);
    let mut drawn = BTreeMap::new();
    while drawn.len() < TRACES.min(fit.len()) {
        let (id, spans) = fit[random.usize(0..fit.len())];
        if random.u32(0..*SIZES.end()) < spans {
            drawn.insert(hex(id), spans);
        }
    }
    let mut drawn: Vec<_> = drawn.into_iter().collect();
    random.shuffle(&mut drawn);
    drawn
}

/// How many spans a service has, and between what each percentile of their durations must lie.
fn percentiles(mut durations: Vec<u64>) -> Value {
    durations.sort_unstable();
    let spans = durations.len();
    let bounds = [0.5, 0.95, 0.99].map(|share| {
        let rank = (share * spans as f64).ceil() as usize;
        let at = |rank: usize| durations[rank.clamp(1, spans) - 1] as f64;
        let least = at(rank.saturating_sub(RANKS)) * (1.0 - SHARE);
        [least.floor(), (at(rank + RANKS) * (1.0 + SHARE)).ceil()]
    });
    json!({ "spans": spans, "bounds": bounds })
}

/// Looks at a whole corpus.
pub fn gather(requests: impl Iterator<Item = Result<ExportTraceServiceRequest>>) -> Result<Value> {
    let mut sizes: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut durations: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut users: HashMap<String, u32> = HashMap::new();
    for request in requests {
        for of in request?.resource_spans {
            let resource = of.resource.unwrap_or_default();
            let service = durations.entry(service_name(&resource.attributes).to_owned());
            let service = service.or_default();
            for span in of.scope_spans.iter().flat_map(|of| &of.spans) {
                service.push(span.end_time_unix_nano - span.start_time_unix_nano);
                if let Some(user) = user(span) {
                    *users.entry(user.to_owned()).or_default() += 1;
                }
                *sizes.entry(span.trace_id.clone()).or_default() += 1;
            }
        }
    }
    // A user of whom a normal number of spans speaks: half of the users have fewer.
    let mut by_spans: Vec<(u32, String)> = users.into_iter().map(|(user, n)| (n, user)).collect();
    by_spans.sort_unstable();
    let user = by_spans.get(by_spans.len() / 2).map(|(_, user)| user.clone());
    let services: BTreeMap<String, Value> =
        durations.into_iter().map(|(name, durations)| (name, percentiles(durations))).collect();
    Ok(json!({
        "traces_in_all": sizes.len(),
        "users": by_spans.len(),
        "user": user,
        "service": SERVICE,
        "traces": draw(&sizes),
        "services": services,
    }))
}
