//! Traces as real services send them: about 500 bytes a span, typed attributes, a few services,
//! some events and errors. The same seed gives the same bytes.

use bytes::Bytes;
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// When the first span of every corpus starts: 2026-01-02T03:04:05Z in nanoseconds.
pub const START_NS: i64 = 1_767_323_045_000_000_000;

/// Mean time between two spans in nanoseconds.
const STEP_NS: u64 = 40_000;

/// An attribute.
pub fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A text attribute.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

/// An integer attribute.
pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

/// A span with ids, name and times and nothing else.
pub fn plain_span(trace: u64, span: u64, name: &str) -> Span {
    Span {
        trace_id: trace_id(trace),
        span_id: span.to_be_bytes().to_vec(),
        name: name.to_owned(),
        kind: 2,
        start_time_unix_nano: START_NS as u64 + span,
        end_time_unix_nano: START_NS as u64 + span + 1_000,
        ..Span::default()
    }
}

/// The trace id that ends in this number.
pub fn trace_id(number: u64) -> Vec<u8> {
    let mut id = vec![0xab; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    id
}

/// A request with these spans of one service.
pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource =
        Resource { attributes: vec![text("service.name", service)], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

/// The bytes of a request.
pub fn encode(request: &ExportTraceServiceRequest) -> Bytes {
    Bytes::from(request.encode_to_vec())
}

/// The bytes of a request with these spans of one service.
pub fn body(service: &str, spans: Vec<Span>) -> Bytes {
    encode(&request(service, spans))
}

const SERVICES: [&str; 6] = ["frontend", "checkout", "cart", "payment", "catalogue", "shipping"];
const ROUTES: [&str; 8] = [
    "/api/v1/products",
    "/api/v1/products/{id}",
    "/api/v1/cart",
    "/api/v1/cart/items",
    "/api/v1/checkout",
    "/api/v1/orders/{id}",
    "/api/v1/shipping/quote",
    "/healthz",
];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];

/// Makes requests one after the other; ids never repeat within one corpus.
#[derive(Debug)]
pub struct Corpus {
    random: Rng,
    now_ns: u64,
    trace: [u8; 16],
    parents: Vec<Vec<u8>>,
}

impl Corpus {
    /// The corpus of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            now_ns: START_NS as u64,
            trace: [0; 16],
            parents: Vec::new(),
        }
    }

    /// The next request, with this many spans.
    pub fn request(&mut self, spans: usize) -> ExportTraceServiceRequest {
        let mut resource_spans = Vec::new();
        let mut left = spans;
        while left > 0 {
            // An exporter sends what one process made: some tens of spans in a row.
            let take = left.min(self.random.usize(20..=60).max(spans / 4));
            left -= take;
            let service = self.random.usize(0..SERVICES.len());
            resource_spans.push(self.resource_spans(SERVICES[service], take));
        }
        ExportTraceServiceRequest { resource_spans }
    }

    /// The bytes of the next request.
    pub fn body(&mut self, spans: usize) -> Bytes {
        encode(&self.request(spans))
    }

    fn resource_spans(&mut self, service: &str, count: usize) -> ResourceSpans {
        let host = self.random.u32(0..8);
        let resource = Resource {
            attributes: vec![
                text("service.name", service),
                text("service.version", "1.14.2"),
                text("deployment.environment.name", "production"),
                text("host.name", format!("node-{host:02}.example.org")),
                int("process.pid", i64::from(1000 + host)),
                text("telemetry.sdk.language", "rust"),
            ],
            ..Resource::default()
        };
        let scope = InstrumentationScope {
            name: "http-server".to_owned(),
            version: "0.9.1".to_owned(),
            ..InstrumentationScope::default()
        };
        let spans = (0..count).map(|_| self.span(service)).collect();
        ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
            schema_url: "https://opentelemetry.io/schemas/1.27.0".to_owned(),
        }
    }

    fn span(&mut self, service: &str) -> Span {
        if self.parents.is_empty() || self.parents.len() > self.random.usize(4..24) {
            self.random.fill(&mut self.trace);
            self.trace[0] |= 1;
            self.parents.clear();
        }
        let span_id = self.random.u64(1..).to_be_bytes().to_vec();
        let parent = match self.parents.len() {
            0 => Vec::new(),
            n => self.parents[self.random.usize(0..n)].clone(),
        };
        self.parents.push(span_id.clone());
        self.now_ns += self.random.u64(0..2 * STEP_NS);
        let duration = 1u64 << self.random.u32(14..30);
        let duration = duration + self.random.u64(0..duration);
        let route = ROUTES[self.random.usize(0..ROUTES.len())];
        let method = METHODS[self.random.usize(0..METHODS.len())];
        let failed = self.random.u32(0..50) == 0;
        let status = if failed { 503 } else { 200 };
        Span {
            trace_id: self.trace.to_vec(),
            span_id,
            parent_span_id: parent,
            name: format!("{method} {route}"),
            kind: self.random.i32(1..=3),
            start_time_unix_nano: self.now_ns,
            end_time_unix_nano: self.now_ns + duration,
            attributes: self.attributes(service, method, route, status),
            events: self.events(duration, failed),
            status: Some(Status {
                code: if failed { 2 } else { 0 },
                message: if failed { "upstream timed out".to_owned() } else { String::new() },
            }),
            flags: 1,
            ..Span::default()
        }
    }

    fn attributes(
        &mut self,
        service: &str,
        method: &str,
        route: &str,
        status: i64,
    ) -> Vec<KeyValue> {
        let user = self.random.u32(0..5_000);
        vec![
            text("http.request.method", method),
            text("http.route", route),
            int("http.response.status_code", status),
            text("url.path", route.replace("{id}", &user.to_string())),
            text("server.address", format!("{service}.svc.cluster.local")),
            int("server.port", 8080),
            int("http.response.body.size", self.random.i64(100..20_000)),
            attribute("sampling.ratio", Value::DoubleValue(0.25)),
            attribute("cache.hit", Value::BoolValue(self.random.bool())),
            attribute("queue.wait_ms", Value::DoubleValue(self.random.f64() * 12.0)),
            text("enduser.id", format!("u-{user:06}")),
            text("thread.name", format!("worker-{}", self.random.u32(0..16))),
        ]
    }

    fn events(&mut self, duration: u64, failed: bool) -> Vec<Event> {
        let at = self.now_ns + duration / 2;
        if failed {
            let attributes = vec![
                text("exception.type", "TimeoutError"),
                text("exception.message", "no answer from upstream within 500 ms"),
            ];
            let name = "exception".to_owned();
            return vec![Event { time_unix_nano: at, name, attributes, ..Event::default() }];
        }
        if self.random.u32(0..10) == 0 {
            let name = "cache.miss".to_owned();
            return vec![Event { time_unix_nano: at, name, ..Event::default() }];
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_about_500_bytes_and_a_seed_gives_the_same_bytes() {
        let body = Corpus::new(1).body(1_000);
        let mean = body.len() / 1_000;
        assert!((450..550).contains(&mean), "{mean} bytes a span");
        assert_eq!(body, Corpus::new(1).body(1_000));
        assert_ne!(body, Corpus::new(2).body(1_000));
    }
}
