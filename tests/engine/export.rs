//! What is exported is the same spans again: as protobuf, as JSON, and for another reader.

use amida::{
    Marks, Predicate, SpanBatch, Store, json_to_requests, spans_to_json, spans_to_requests,
};
use amida_tests::compare::same_rows;
use amida_tests::corpus::{self, Corpus};
use amida_tests::oracle::Row;
use amida_tests::wild::Wild;
use amida_tests::{otlp_json, real};
use bytes::Bytes;
use fastrand::Rng;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::common::scratch;
use crate::{real as real_sets, rows};

/// Marks that the exported span still shows the reason for.
const SHOWN: u32 = Marks::NEGATIVE_DURATION.0 | Marks::NO_SERVICE.0;

fn store(requests: &[Bytes]) -> Store {
    let store = scratch();
    for request in requests {
        // Bad spans are rejected: only those that are stored can come back.
        let _ = store.append_otlp(request.clone()).unwrap();
    }
    store
}

fn batches(store: &Store) -> Vec<SpanBatch> {
    let scan = store.snapshot().scan(&Predicate::new()).unwrap();
    scan.map(Result::unwrap).collect()
}

fn stored_rows(store: &Store) -> Vec<Row> {
    let mut rows = rows::of_snapshot(&store.snapshot());
    rows.iter_mut().for_each(|row| row.marks &= SHOWN);
    rows
}

fn as_requests(store: &Store) -> Vec<Bytes> {
    batches(store).iter().flat_map(|batch| spans_to_requests(batch).unwrap()).collect()
}

fn as_lines(store: &Store) -> Vec<String> {
    batches(store).iter().flat_map(|batch| spans_to_json(batch).unwrap()).collect()
}

/// Exports, imports, compares; what was exported is then exported the same way for ever.
fn check(from: &Store, about: &str) {
    let expected = stored_rows(from);
    let requests = as_requests(from);
    for request in &requests {
        let alone = store(std::slice::from_ref(request));
        assert_eq!(as_requests(&alone), std::slice::from_ref(request), "{about}");
    }
    let again = stored_rows(&store(&requests));
    same_rows(&expected, &again).unwrap_or_else(|e| panic!("{about}, protobuf: {e}"));
    let lines = as_lines(from);
    let mut from_lines = Vec::new();
    for line in &lines {
        assert!(!line.contains('\n'), "{about}");
        let requests = json_to_requests(line.as_bytes()).unwrap();
        assert_eq!(as_lines(&store(&requests)), std::slice::from_ref(line), "{about}");
        from_lines.extend(requests);
    }
    let again = stored_rows(&store(&from_lines));
    same_rows(&expected, &again).unwrap_or_else(|e| panic!("{about}, JSON: {e}"));
    for_another_reader(from, about);
}

/// The JSON says what the protobuf says, to readers that share no code with the engine.
fn for_another_reader(from: &Store, about: &str) {
    let merge = |requests: Vec<ExportTraceServiceRequest>| {
        // Compared as bytes: NaN equals nothing.
        let spans = requests.into_iter().flat_map(|request| request.resource_spans);
        spans.map(|spans| spans.encode_to_vec()).collect::<Vec<_>>()
    };
    for batch in batches(from) {
        // So few rows that they are one document and one request.
        for start in (0..batch.len()).step_by(50) {
            let part = batch.slice(start, (batch.len() - start).min(50));
            let lines = spans_to_json(&part).unwrap();
            let theirs = lines.iter().flat_map(|line| otlp_json::requests(line.as_bytes()));
            let requests = spans_to_requests(&part).unwrap();
            let ours = requests.iter().map(|body| Message::decode(body.as_ref()).unwrap());
            assert_eq!(lines.len(), 1, "{about}");
            assert_eq!(merge(theirs.collect()), merge(ours.collect()), "{about}");
        }
    }
}

#[test]
fn generated_traces_come_back() {
    let mut corpus = Corpus::new(7);
    let bodies: Vec<Bytes> = (0..20).map(|_| corpus.body(100)).collect();
    let from = store(&bodies);
    check(&from, "hot");
    from.flush().unwrap();
    check(&from, "flushed");
}

#[test]
fn requests_with_every_field_random_come_back() {
    let start = Rng::new().u64(..1 << 40);
    let mut spans = 0;
    for seed in (0..300).chain(start..start + 100) {
        let from = store(&[corpus::encode(&Wild::new(seed).request())]);
        spans += from.snapshot().span_count();
        check(&from, &format!("seed {seed}"));
    }
    assert!(spans > 1_000, "{spans}");
}

#[test]
fn real_traces_come_back() {
    let Some(folder) = real::folder() else { return };
    for set in real::data_sets(&folder, "otlp_json") {
        let from = store(&real_sets::requests(&set));
        assert_eq!(from.snapshot().span_count(), set.number("spans"));
        from.flush().unwrap();
        check(&from, &set.name);
    }
}
