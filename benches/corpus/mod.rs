//! Traces as a system of twenty services sends them, as OTLP requests: seeded, streamed, without
//! end.
//!
//! Traces start at random; each span waits in its instance's batch, as in an SDK that exports every
//! five seconds, and a collector in front of the store makes requests of 512 spans of what arrives.
//! So the spans of a trace come in several requests, those of one request from many traces and
//! services, and a few come minutes late.

mod attributes;
pub mod frames;
mod random;
mod services;
mod trace;

use std::collections::VecDeque;

use bytes::Bytes;
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use services::{Protocol, SERVICES};
use trace::{INSTANCES, Node, Role, Trace};

/// When the first trace of every corpus starts: 2026-01-05T09:00:00Z in nanoseconds.
pub const START_NS: u64 = 1_767_603_600_000_000_000;

/// Spans of a request; the last one has fewer.
pub const REQUEST_SPANS: usize = 512;

/// Spans a second of a small production.
pub const RATE: f64 = 530.0;

/// Spans a second of a busy one.
pub const RATE_HOT: f64 = 50_000.0;

/// The SDKs export this often, or as soon as they have `REQUEST_SPANS` spans.
const EXPORT_NS: f64 = 5e9;

/// Spans in a thousand that are exported late, by a median of 20 seconds and at most five minutes.
const LATE_PERMILLE: u16 = 2;
const LATE_NS: f64 = 20e9;
const LATE_MAX_NS: f64 = 300e9;

const SCHEMA: &str = "https://opentelemetry.io/schemas/1.27.0";

/// A span that its instance has not exported yet, or that the collector has not sent yet.
#[derive(Debug)]
struct Waiting {
    /// When its instance may export it: when it ended, or later.
    ready_ns: u64,
    /// Which export it went out with.
    export: u64,
    scope: usize,
    span: Span,
}

/// The bodies of OTLP requests, one after the other.
#[derive(Debug)]
pub struct Corpus {
    random: Rng,
    rate: f64,
    /// Spans still to be made.
    left: usize,
    trace_ns: u64,
    /// Exports so far; instances take turns.
    exports: u64,
    /// By instance: what it has not exported.
    instances: Vec<Vec<Waiting>>,
    resources: Vec<Resource>,
    /// What the collector has not sent, with the instances.
    collected: VecDeque<(usize, Waiting)>,
}

impl Corpus {
    /// The corpus of this seed with that many spans, at `RATE`.
    pub fn new(seed: u64, spans: usize) -> Self {
        let mut random = Rng::with_seed(seed);
        let count = SERVICES.len() * INSTANCES;
        let resources = (0..count)
            .map(|at| attributes::resource(&mut random, at / INSTANCES, at % INSTANCES))
            .collect();
        Self {
            random,
            rate: RATE,
            left: spans,
            trace_ns: START_NS,
            exports: 0,
            instances: (0..count).map(|_| Vec::new()).collect(),
            resources,
            collected: VecDeque::new(),
        }
    }

    /// Another rate, in spans a second of the time that the spans tell.
    pub fn rate(mut self, spans_per_second: f64) -> Self {
        self.rate = spans_per_second.max(1.0);
        self
    }

    /// Makes the traces that start before the next export, and exports.
    fn step(&mut self) {
        let count = self.instances.len();
        let every_ns = EXPORT_NS.min(1e9 * (REQUEST_SPANS * count) as f64 / self.rate);
        self.exports += 1;
        let now_ns = START_NS + (every_ns * self.exports as f64 / count as f64) as u64;
        while self.left > 0 && self.trace_ns <= now_ns {
            let spans = trace::size(&mut self.random, self.left);
            self.left -= spans;
            let trace = trace::grow(&mut self.random, spans, self.trace_ns);
            let wait = -(1.0 - self.random.f64()).ln() * spans as f64 / self.rate;
            self.trace_ns += (wait * 1e9) as u64;
            self.begin(&trace);
        }
        let instance = self.exports as usize % count;
        let waiting = std::mem::take(&mut self.instances[instance]);
        let (mut ended, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|waiting| waiting.ready_ns <= now_ns);
        self.instances[instance] = waiting;
        ended.sort_by_key(|waiting| (waiting.scope, waiting.ready_ns));
        self.collected.extend(ended.into_iter().map(|waiting| {
            let export = self.exports;
            (instance, Waiting { export, ..waiting })
        }));
    }

    /// Hands the spans of a new trace to their instances.
    fn begin(&mut self, trace: &Trace) {
        for node in &trace.nodes {
            let span = span(&mut self.random, trace, node);
            let late = self.random.u16(0..1_000) < LATE_PERMILLE;
            let late_ns = match late {
                true => random::log_normal(&mut self.random, LATE_NS, 1.0).min(LATE_MAX_NS),
                false => 0.0,
            };
            let ready_ns = span.end_time_unix_nano + late_ns as u64;
            let instance = node.service * INSTANCES + node.instance;
            let waiting = Waiting { ready_ns, export: 0, scope: scope(node), span };
            self.instances[instance].push(waiting);
        }
    }

    /// A request of what was collected first.
    fn send(&mut self) -> Bytes {
        let mut request = ExportTraceServiceRequest::default();
        let mut last = (0, 0);
        let count = self.collected.len().min(REQUEST_SPANS);
        for (instance, Waiting { export, scope, span, .. }) in self.collected.drain(..count) {
            if request.resource_spans.is_empty() || last.0 != export {
                request.resource_spans.push(ResourceSpans {
                    resource: Some(self.resources[instance].clone()),
                    scope_spans: Vec::new(),
                    schema_url: SCHEMA.to_owned(),
                });
            }
            let Some(of) = request.resource_spans.last_mut() else { continue };
            if of.scope_spans.is_empty() || last != (export, scope) {
                let scope = Some(instrumentation(instance / INSTANCES, scope));
                of.scope_spans.push(ScopeSpans { scope, ..ScopeSpans::default() });
            }
            last = (export, scope);
            if let Some(of) = of.scope_spans.last_mut() {
                of.spans.push(span);
            }
        }
        Bytes::from(request.encode_to_vec())
    }
}

impl Iterator for Corpus {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        while self.collected.len() < REQUEST_SPANS {
            if self.left == 0 && self.instances.iter().all(Vec::is_empty) {
                return (!self.collected.is_empty()).then(|| self.send());
            }
            self.step();
        }
        Some(self.send())
    }
}

const SCOPES: [&str; 5] = ["http", "grpc", "database", "app", "kafka"];

/// The library that made a span, as a place in `SCOPES`.
fn scope(node: &Node) -> usize {
    match (node.role, node.protocol()) {
        (Role::Server | Role::Client, Protocol::Http) => 0,
        (Role::Server | Role::Client, _) => 1,
        (Role::Database, _) => 2,
        (Role::Internal, _) => 3,
        (Role::Producer | Role::Consumer, _) => 4,
    }
}

fn instrumentation(service: usize, scope: usize) -> InstrumentationScope {
    let name = format!("opentelemetry.{}.{}", SERVICES[service].language, SCOPES[scope]);
    let version = format!("2.{}.1", 7 + scope);
    InstrumentationScope { name, version, ..InstrumentationScope::default() }
}

fn span(random: &mut Rng, trace: &Trace, node: &Node) -> Span {
    let (message, events) = attributes::events(random, node);
    let parent = node.parent.map(|parent| trace.nodes[parent].id);
    let remote = matches!(node.role, Role::Server | Role::Consumer) && parent.is_some();
    let linked = node.role == Role::Consumer && random.u8(0..8) == 0;
    let links = parent.filter(|_| linked).map(|id| Link {
        trace_id: trace.id.to_vec(),
        span_id: id.to_vec(),
        ..Link::default()
    });
    Span {
        trace_id: trace.id.to_vec(),
        span_id: node.id.to_vec(),
        parent_span_id: parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: if remote { 0x301 } else { 0x101 },
        name: attributes::name(node),
        kind: match node.role {
            Role::Internal => 1,
            Role::Server => 2,
            Role::Client | Role::Database => 3,
            Role::Producer => 4,
            Role::Consumer => 5,
        },
        start_time_unix_nano: node.start_ns,
        end_time_unix_nano: node.start_ns + node.duration_ns,
        attributes: attributes::attributes(random, trace, node),
        events,
        links: links.into_iter().collect(),
        status: Some(Status { code: if node.failed { 2 } else { 0 }, message }),
        ..Span::default()
    }
}

#[cfg(test)]
mod tests;
