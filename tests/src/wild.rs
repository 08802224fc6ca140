//! Requests with every field random: all value types nested, repeated keys, empty and long text,
//! ids of wrong lengths, times at the borders, NaN. The same seed gives the same bytes.

use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

const TEXTS: [&str; 16] = [
    "",
    "a",
    "service.name",
    "\0",
    "\u{1b}[31mred\u{7}",
    "line\nline\r\n\ttab",
    "quote \" backslash \\ slash /",
    "\u{8}\u{c}\u{1f}\u{7f}\u{80}",
    "Grüße, あみだ, 🪜",
    "\u{202e}right to left",
    "$bytes",
    "$double",
    "$map",
    "null",
    "a\u{2028}b\u{2029}c\u{fffd}",
    "http.response.status_code",
];
const KEYS: [&str; 10] =
    ["service.name", "k", "", "$bytes", "$double", "$map", "a.b", "あ", "q\"\\\n", "code"];
const INTS: [i64; 8] = [0, 1, -1, i64::MIN, i64::MAX, 200, 9_007_199_254_740_993, -42];
const DOUBLES: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    1e300,
    -1e-300,
    5e-324,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MAX,
    1e16,
    9_007_199_254_740_993.0,
    123_456_789.125,
];
const TIMES: [u64; 7] =
    [0, 1, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX, i64::MAX as u64 - 1, 1 << 62];

/// Values nest this deep.
const DEPTH_MAX: usize = 8;

/// Makes random requests.
#[derive(Debug)]
pub struct Wild {
    random: Rng,
}

impl Wild {
    /// The requests of this seed.
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.random.usize(0..from.len())]
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.random.u32(0..n) == 0
    }

    fn list<T>(&mut self, max: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.random.usize(0..=max);
        (0..count).map(|_| make(self)).collect()
    }

    fn text(&mut self) -> String {
        match self.random.u32(0..8) {
            0..6 => (*self.pick(&TEXTS)).to_owned(),
            6 => self.list(30, |w| w.random.char(..)).into_iter().collect(),
            _ => format!("{:x}", self.random.u64(..)),
        }
    }

    fn id(&mut self, len: usize) -> Vec<u8> {
        let len = if self.one_in(12) { *self.pick(&[0, 1, 7, 8, 9, 15, 16, 17, 32]) } else { len };
        let zero = self.one_in(16);
        (0..len).map(|_| if zero { 0 } else { self.random.u8(..) }).collect()
    }

    fn time(&mut self) -> u64 {
        match self.random.u32(0..6) {
            0 => *self.pick(&TIMES),
            1 => self.random.u64(..),
            _ => super::corpus::START_NS as u64 + self.random.u64(0..1_000_000_000),
        }
    }

    fn number(&mut self) -> u32 {
        if self.one_in(4) { self.random.u32(..) } else { self.random.u32(0..3) }
    }

    fn value(&mut self, depth: usize) -> Option<AnyValue> {
        if self.one_in(20) {
            return None;
        }
        let kinds = if depth < DEPTH_MAX { 9 } else { 7 };
        let value = match self.random.u32(0..kinds) {
            0 => None,
            1 => Some(Value::StringValue(self.text())),
            2 => Some(Value::BoolValue(self.random.bool())),
            3 => Some(Value::IntValue(*self.pick(&INTS))),
            4 => Some(Value::DoubleValue(*self.pick(&DOUBLES))),
            5 => Some(Value::DoubleValue(f64::from_bits(self.random.u64(..)))),
            6 => Some(Value::BytesValue(self.list(9, |w| w.random.u8(..)))),
            7 => {
                let values = self.list(3, |w| w.value(depth + 1).unwrap_or_default());
                Some(Value::ArrayValue(ArrayValue { values }))
            }
            _ => {
                let values = self.list(3, |w| w.key_value(depth + 1));
                Some(Value::KvlistValue(KeyValueList { values }))
            }
        };
        Some(AnyValue { value })
    }

    fn key_value(&mut self, depth: usize) -> KeyValue {
        let key = if self.one_in(5) { self.text() } else { (*self.pick(&KEYS)).to_owned() };
        KeyValue { key, value: self.value(depth), ..KeyValue::default() }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.list(8, |w| w.key_value(1))
    }

    fn event(&mut self) -> Event {
        Event {
            time_unix_nano: self.time(),
            name: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.number(),
        }
    }

    fn link(&mut self) -> Link {
        Link {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            attributes: self.attributes(),
            dropped_attributes_count: self.number(),
            flags: self.number(),
        }
    }

    fn span(&mut self) -> Span {
        let status = |w: &mut Self| Status { message: w.text(), code: w.random.i32(-1..5) };
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: if self.one_in(3) { Vec::new() } else { self.id(8) },
            flags: self.number(),
            name: self.text(),
            kind: if self.one_in(9) { self.random.i32(..) } else { self.random.i32(0..7) },
            start_time_unix_nano: self.time(),
            end_time_unix_nano: self.time(),
            attributes: self.attributes(),
            dropped_attributes_count: self.number(),
            events: self.list(2, Self::event),
            dropped_events_count: self.number(),
            links: self.list(2, Self::link),
            dropped_links_count: self.number(),
            status: if self.one_in(2) { Some(status(self)) } else { None },
        }
    }

    fn scope_spans(&mut self) -> ScopeSpans {
        let scope = |w: &mut Self| InstrumentationScope {
            name: w.text(),
            version: w.text(),
            attributes: w.attributes(),
            dropped_attributes_count: w.number(),
        };
        ScopeSpans {
            scope: if self.one_in(4) { None } else { Some(scope(self)) },
            spans: self.list(5, Self::span),
            schema_url: self.text(),
        }
    }

    fn resource_spans(&mut self) -> ResourceSpans {
        let entity = |w: &mut Self| EntityRef {
            schema_url: w.text(),
            r#type: w.text(),
            id_keys: w.list(2, Self::text),
            description_keys: w.list(2, Self::text),
        };
        let resource = |w: &mut Self| Resource {
            attributes: w.attributes(),
            dropped_attributes_count: w.number(),
            entity_refs: w.list(1, entity),
        };
        ResourceSpans {
            resource: if self.one_in(6) { None } else { Some(resource(self)) },
            scope_spans: self.list(3, Self::scope_spans),
            schema_url: self.text(),
        }
    }

    /// The next request.
    pub fn request(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest { resource_spans: self.list(3, Self::resource_spans) }
    }
}
