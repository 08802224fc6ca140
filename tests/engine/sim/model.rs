//! Random operations against a plain map and a naive filter, opening the store again anywhere.

use std::collections::BTreeMap;

use amida::{CrashModel, MemoryFs, Predicate, Snapshot, Store, TraceId};
use amida_tests::corpus::{self, START_NS};
use opentelemetry_proto::tonic::trace::v1::Status;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::{rounds, spread};
use crate::common::{DIR, options};

const SERVICES: [&str; 3] = ["cart", "checkout", "frontend"];

/// Sequences of one thread in a round.
const SEQUENCES: u32 = 500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spec {
    trace: u64,
    service: usize,
    /// Seconds after the first.
    start: i64,
    error: bool,
}

#[derive(Debug, Clone)]
enum Op {
    Append(Vec<Spec>),
    /// Requests that are submitted together.
    Group(Vec<Vec<Spec>>),
    Flush,
    Compact,
    Reopen,
    /// The power fails, then the store is opened again.
    Crash,
    /// One filter is tried: which, and with what.
    Query(Filter),
}

#[derive(Debug, Clone, Default)]
struct Filter {
    service: Option<usize>,
    from: Option<i64>,
    before: Option<i64>,
    errors_only: bool,
    trace: Option<u64>,
}

impl Filter {
    fn predicate(&self) -> Predicate {
        let at = |seconds: i64| START_NS + seconds * 1_000_000_000;
        let mut predicate = Predicate::new();
        if let Some(service) = self.service {
            predicate = predicate.service(SERVICES[service]);
        }
        if let Some(from) = self.from {
            predicate = predicate.start_from(at(from));
        }
        if let Some(before) = self.before {
            predicate = predicate.start_before(at(before));
        }
        if let Some(trace) = self.trace {
            predicate = predicate.trace(id(trace));
        }
        if self.errors_only { predicate.errors_only() } else { predicate }
    }

    fn matches(&self, spec: &Spec) -> bool {
        self.service.is_none_or(|service| spec.service == service)
            && self.from.is_none_or(|from| spec.start >= from)
            && self.before.is_none_or(|before| spec.start < before)
            && self.trace.is_none_or(|trace| spec.trace == trace)
            && (!self.errors_only || spec.error)
    }
}

fn id(trace: u64) -> TraceId {
    TraceId::from_bytes(&corpus::trace_id(trace)).unwrap()
}

fn specs() -> impl Strategy<Value = Vec<Spec>> {
    let spec = (0..6_u64, 0..SERVICES.len(), 0..20_i64, prop::bool::weighted(0.2));
    let spec =
        spec.prop_map(|(trace, service, start, error)| Spec { trace, service, start, error });
    prop::collection::vec(spec, 1..5)
}

fn filter() -> impl Strategy<Value = Filter> {
    use prop::option::weighted;
    let service = weighted(0.4, 0..SERVICES.len());
    let times = (weighted(0.4, 0..20_i64), weighted(0.4, 0..22_i64));
    let rest = (prop::bool::weighted(0.3), weighted(0.3, 0..7_u64));
    (service, times, rest).prop_map(|(service, (from, before), (errors_only, trace))| Filter {
        service,
        from,
        before,
        errors_only,
        trace,
    })
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => specs().prop_map(Op::Append),
        2 => prop::collection::vec(specs(), 2..4).prop_map(Op::Group),
        2 => Just(Op::Flush),
        1 => Just(Op::Compact),
        2 => Just(Op::Reopen),
        1 => Just(Op::Crash),
        4 => filter().prop_map(Op::Query),
    ];
    prop::collection::vec(op, 1..=60)
}

/// The store and the plain map.
struct Model {
    fs: MemoryFs,
    store: Option<Store>,
    spans: BTreeMap<u64, Spec>,
    next: u64,
}

impl Model {
    fn new() -> Self {
        let fs = MemoryFs::new();
        let mut model = Self { fs, store: None, spans: BTreeMap::new(), next: 1 };
        model.open();
        model
    }

    fn open(&mut self) {
        // Small enough that memtables are sealed and segments merged on the way.
        let options = options(&self.fs).single_threaded().seal_bytes(6_000);
        let store = options.open(DIR).unwrap();
        assert!(store.stats().damage.is_empty());
        self.store = Some(store);
    }

    fn body(&mut self, specs: &[Spec]) -> bytes::Bytes {
        let mut spans: [Vec<_>; 3] = Default::default();
        for spec in specs {
            let mut span = corpus::plain_span(spec.trace, self.next, &self.next.to_string());
            span.start_time_unix_nano = (START_NS + spec.start * 1_000_000_000) as u64;
            span.end_time_unix_nano = span.start_time_unix_nano + 1_000;
            if spec.error {
                span.status = Some(Status { code: 2, ..Status::default() });
            }
            spans[spec.service].push(span);
            self.spans.insert(self.next, *spec);
            self.next += 1;
        }
        let mut request = corpus::request(SERVICES[0], Vec::new());
        request.resource_spans.clear();
        for (service, spans) in SERVICES.iter().zip(spans) {
            if !spans.is_empty() {
                request.resource_spans.extend(corpus::request(service, spans).resource_spans);
            }
        }
        corpus::encode(&request)
    }

    fn act(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Append(specs) => self.submit(std::slice::from_ref(specs)),
            Op::Group(requests) => self.submit(requests),
            Op::Flush => self.store.as_ref().unwrap().flush().unwrap(),
            Op::Compact => self.store.as_ref().unwrap().compact().unwrap(),
            Op::Reopen => {
                self.store.take().unwrap().close().unwrap();
                self.open();
            }
            Op::Crash => {
                let after = self.fs.crash(CrashModel::LoseUnsynced);
                self.store = None;
                self.fs = after;
                self.open();
            }
            Op::Query(filter) => return self.query(filter),
        }
        Ok(())
    }

    fn submit(&mut self, requests: &[Vec<Spec>]) {
        let bodies: Vec<_> = requests.iter().map(|specs| self.body(specs)).collect();
        let store = self.store.as_ref().unwrap();
        let pending: Vec<_> = bodies.into_iter().map(|body| store.submit_otlp(body)).collect();
        for (pending, specs) in pending.into_iter().zip(requests) {
            assert_eq!(pending.wait().unwrap().accepted(), specs.len() as u64);
        }
    }

    fn query(&self, filter: &Filter) -> Result<(), TestCaseError> {
        let snapshot = self.store.as_ref().unwrap().snapshot();
        let expected: Vec<u64> = self
            .spans
            .iter()
            .filter(|(_, spec)| filter.matches(spec))
            .map(|(number, _)| *number)
            .collect();
        prop_assert_eq!(found(&snapshot, &filter.predicate(), &self.spans), expected);
        if let Some(trace) = filter.trace {
            let there = self.spans.values().filter(|spec| spec.trace == trace).count();
            let spans = snapshot.trace(id(trace)).unwrap().map_or(0, |trace| trace.spans().len());
            prop_assert_eq!(spans, there);
        }
        Ok(())
    }
}

/// The numbers of the spans that a scan gives, in order; every column must be what was sent.
fn found(snapshot: &Snapshot, predicate: &Predicate, sent: &BTreeMap<u64, Spec>) -> Vec<u64> {
    let mut numbers = Vec::new();
    for batch in snapshot.scan(predicate).unwrap() {
        for span in batch.unwrap().spans() {
            let number = u64::from_be_bytes(*span.span_id().as_bytes());
            let spec = sent.get(&number).expect("a span that was sent");
            assert_eq!(span.name(), number.to_string());
            assert_eq!(span.service_name(), SERVICES[spec.service]);
            assert_eq!(span.start_time_ns(), START_NS + spec.start * 1_000_000_000);
            assert_eq!((span.trace_id(), span.is_error()), (id(spec.trace), spec.error));
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    numbers
}

fn lives_as_the_map(ops: &[Op]) -> Result<(), TestCaseError> {
    let mut model = Model::new();
    for op in ops {
        model.act(op)?;
    }
    model.query(&Filter::default())?;
    model.act(&Op::Reopen)?;
    model.query(&Filter::default())
}

/// Tries sequences from this seed on; a failing one is made as short as it can be.
fn sequences(seed: u64) -> u64 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases: SEQUENCES,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    match runner.run(&ops(), |ops| lives_as_the_map(&ops)) {
        Ok(()) => u64::from(SEQUENCES),
        Err(TestError::Fail(why, ops)) => panic!("seed {seed}: {why}\noperations: {ops:#?}"),
        Err(TestError::Abort(why)) => panic!("seed {seed}: {why}"),
    }
}

#[test]
fn the_store_answers_as_a_plain_map_and_a_naive_filter_do() {
    rounds("sequences of operations", 2_000, |seed| {
        let seeds: Vec<u64> = (0..4).map(|part| seed * 4 + part).collect();
        spread(&seeds, |seed| sequences(*seed))
    });
}
