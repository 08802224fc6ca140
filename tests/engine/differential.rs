//! The engine against prost and the rules: the same requests refused, the same spans rejected for
//! the same reasons, the same rows. Documented differences from prost (text that is not UTF-8, deep
//! nesting) have tests of their own.

use std::collections::{BTreeMap, BTreeSet};

use amida::{Error, Marks, Scope, Store};
use amida_tests::compare::same_rows;
use amida_tests::corpus::{self, Corpus, text};
use amida_tests::mutate::{damage, nested_value, re_encode, spoil_text, wrap};
use amida_tests::oracle::{self, Judgement, Oracle};
use amida_tests::real;
use amida_tests::wild::Wild;
use bytes::Bytes;
use fastrand::Rng;
use prost::Message;

use crate::common::{NOW_NS, scratch};
use crate::rows;

const ORACLE: Oracle = Oracle { now_ns: NOW_NS, future_max_ns: None };

/// Compares one request: what the engine answers, and the rows where a store is given for one.
fn answer_agrees(store: &Store, body: &Bytes, seed: u64) -> Vec<oracle::Row> {
    match (store.append_otlp(body.clone()), ORACLE.judge(body)) {
        (Err(Error::Invalid { .. }), Judgement::Refuse(_)) => Vec::new(),
        (Ok(receipt), Judgement::Store { rows, rejected }) => {
            let found: BTreeMap<_, _> = receipt.rejections().into_iter().collect();
            assert_eq!(found, rejected, "seed {seed}");
            assert_eq!(receipt.accepted(), rows.len() as u64, "seed {seed}");
            rows
        }
        (engine, expected) => {
            panic!("seed {seed}: the engine says {engine:?}, expected {expected:?}\n{body:02x?}")
        }
    }
}

/// Compares requests with their seeds. They share a store; where rows differ, each is tried alone.
pub fn agrees(bodies: &[(u64, Bytes)]) {
    for chunk in bodies.chunks(500) {
        let store = scratch();
        let expected: Vec<_> =
            chunk.iter().flat_map(|(seed, body)| answer_agrees(&store, body, *seed)).collect();
        let Err(all) = same_rows(&expected, &rows::of_snapshot(&store.snapshot())) else {
            continue;
        };
        for (seed, body) in chunk {
            let store = scratch();
            let expected = answer_agrees(&store, body, *seed);
            if let Err(what) = same_rows(&expected, &rows::of_snapshot(&store.snapshot())) {
                panic!("seed {seed}: {what}\n{body:02x?}");
            }
        }
        panic!("only together: {all}");
    }
}

fn wild(seed: u64) -> Bytes {
    corpus::encode(&Wild::new(seed).request())
}

fn from_seeds(seeds: std::ops::Range<u64>, make: impl Fn(u64) -> Bytes) -> Vec<(u64, Bytes)> {
    seeds.map(|seed| (seed, make(seed))).collect()
}

#[test]
fn realistic_requests_agree() {
    let mut corpus = Corpus::new(7);
    agrees(&[(7, corpus.body(100)), (7, corpus.body(1_000)), (7, corpus.body(1))]);
}

#[test]
fn wild_requests_agree() {
    agrees(&from_seeds(0..1_500, wild));
}

#[test]
fn the_catalog_counts_the_keys_of_all_rows() {
    let store = scratch();
    let mut corpus = Corpus::new(5);
    for seed in 0..300 {
        // Of the wild ones some are refused.
        let _ = store.append_otlp(wild(seed));
        assert_eq!(store.append_otlp(corpus.body(20)).unwrap().accepted(), 20);
    }
    let snapshot = store.snapshot();
    let mut expected: BTreeMap<(Scope, String), u64> = BTreeMap::new();
    for row in rows::of_snapshot(&snapshot) {
        let texts = [
            (Scope::Span, row.attributes),
            (Scope::Resource, row.resource_attributes),
            (Scope::Scope, row.scope_attributes),
        ];
        for (scope, text) in texts {
            let object: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&text).unwrap();
            for (key, _) in object {
                *expected.entry((scope, key)).or_default() += 1;
            }
        }
    }
    let catalog = snapshot.catalog().unwrap();
    let scopes = [Scope::Span, Scope::Resource, Scope::Scope];
    let counted: BTreeMap<(Scope, String), u64> = scopes
        .into_iter()
        .flat_map(|scope| catalog.keys(scope).map(move |(key, counts)| (scope, key, counts)))
        .map(|(scope, key, counts)| ((scope, key.to_owned()), counts.total()))
        .collect();
    assert!(expected.len() > 50, "{}", expected.len());
    let all: BTreeSet<_> = counted.keys().chain(expected.keys()).collect();
    let differ = all.into_iter().filter(|key| counted.get(key) != expected.get(key));
    let differ: Vec<_> = differ.map(|k| (k, counted.get(k), expected.get(k))).collect();
    assert!(differ.is_empty(), "key, counted, expected: {differ:?}");
}

#[test]
fn damaged_requests_agree() {
    agrees(&from_seeds(0..12_000, |seed| {
        let mut random = Rng::with_seed(seed);
        let other = wild(random.u64(0..200));
        Bytes::from(damage(&wild(seed % 500), &other, &mut random))
    }));
}

#[test]
fn requests_cut_at_every_length_agree() {
    let body = Corpus::new(3).body(3);
    let cuts = (0..=body.len() as u64).map(|len| (len, body.slice(..len as usize)));
    agrees(&cuts.collect::<Vec<_>>());
}

#[test]
fn requests_with_every_byte_changed_agree() {
    let body = Corpus::new(4).body(2);
    agrees(&from_seeds(0..body.len() as u64, |at| {
        let mut changed = body.to_vec();
        changed[at as usize] ^= 1 << Rng::with_seed(at).u32(0..8);
        Bytes::from(changed)
    }));
}

#[test]
fn requests_in_other_legal_bytes_mean_the_same() {
    let make = |seed| Bytes::from(re_encode(&wild(seed), &mut Rng::with_seed(seed)));
    for seed in 0..1_500 {
        let (plain, disguised) = (ORACLE.judge(&wild(seed)), ORACLE.judge(&make(seed)));
        if !wild(seed).is_empty() {
            assert_eq!(plain, disguised, "seed {seed}: the disguise changed the meaning");
        }
    }
    agrees(&from_seeds(0..1_500, make));
}

#[test]
fn requests_in_other_legal_bytes_and_then_damaged_agree() {
    agrees(&from_seeds(0..6_000, |seed| {
        let mut random = Rng::with_seed(seed);
        let disguised = re_encode(&wild(seed % 700), &mut random);
        Bytes::from(damage(&disguised, &wild(1), &mut random))
    }));
}

#[test]
fn real_requests_agree_whole_damaged_and_in_other_bytes() {
    let Some(folder) = real::folder() else { return };
    let mut bodies = Vec::new();
    for set in real::data_sets(&folder, "otlp_json") {
        for (seed, body) in crate::real::requests(&set).into_iter().enumerate() {
            let seed = seed as u64;
            let mut random = Rng::with_seed(seed);
            for _ in 0..3 {
                bodies.push((seed, Bytes::from(damage(&body, &body, &mut random))));
            }
            bodies.push((seed, Bytes::from(re_encode(&body, &mut random))));
            bodies.push((seed, body));
        }
    }
    assert!(bodies.len() > 50);
    agrees(&bodies);
}

/// The oracle reads with messages of its own; here they meet those of opentelemetry-proto.
#[test]
fn the_oracle_reads_what_opentelemetry_proto_reads() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    let mut accepted = 0;
    for seed in 0..3_000 {
        let mut random = Rng::with_seed(seed);
        let body = match seed % 3 {
            0 => re_encode(&wild(seed), &mut random),
            1 => damage(&wild(seed), &[], &mut random),
            _ => wild(seed).to_vec(),
        };
        if let (Ok(read), false) = (ExportTraceServiceRequest::decode(&*body), body.is_empty()) {
            accepted += 1;
            // A request without anything has no bytes, which is another rule.
            let again = [read.encode_to_vec(), vec![0xa2, 6, 0]].concat();
            assert_eq!(ORACLE.judge(&body), ORACLE.judge(&again), "seed {seed}");
        }
    }
    assert!(accepted > 1_500, "{accepted}");
}

#[test]
fn difference_text_that_is_not_utf8_is_repaired_and_marked() {
    let mut span = corpus::plain_span(1, 1, "name");
    span.attributes = vec![text("key", "value"), text("other", "fine")];
    let other = corpus::plain_span(1, 2, "untouched");
    let mut body = corpus::body("service", vec![span, other]).to_vec();
    for spoiled in [b"name".as_slice(), b"value", b"key"] {
        let at = body.windows(spoiled.len()).position(|w| w == spoiled && w != b"nameX").unwrap();
        // The first "name" is part of "service.name": take the last.
        let at = if spoiled == b"name" {
            body.windows(4).rposition(|w| w == b"name").unwrap()
        } else {
            at
        };
        body[at + 1] = 0xff;
    }
    assert!(!oracle::prost_accepts(&body));
    let store = scratch();
    assert_eq!(store.append_otlp(body.clone()).unwrap().accepted(), 2);
    let rows = rows::of_snapshot(&store.snapshot());
    let repaired = rows.iter().find(|r| r.span_id.ends_with('1')).unwrap();
    assert_eq!(repaired.name, "n\u{fffd}me");
    assert_eq!(repaired.attributes, "{\"k\u{fffd}y\":\"v\u{fffd}lue\",\"other\":\"fine\"}");
    assert_eq!(repaired.marks, Marks::REPAIRED_TEXT.0);
    let untouched = rows.iter().find(|r| r.span_id.ends_with('2')).unwrap();
    assert_eq!((untouched.name.as_str(), untouched.marks), ("untouched", 0));
    agrees(&[(0, Bytes::from(body))]);
}

#[test]
fn difference_text_that_is_not_utf8_agrees_with_the_oracle_everywhere() {
    let make = |seed| Bytes::from(spoil_text(&wild(seed), &mut Rng::with_seed(seed)));
    let bodies = from_seeds(0..2_000, make);
    let refused = bodies.iter().filter(|(_, body)| !oracle::prost_accepts(body)).count();
    assert!(refused > 500, "{refused}");
    agrees(&bodies);
}

#[test]
fn difference_values_deeper_than_16_are_replaced_and_marked() {
    for depth in 1..40 {
        let body = nested_value(depth);
        let store = scratch();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
        let row = rows::of_snapshot(&store.snapshot()).pop().unwrap();
        let deep = depth > 16;
        let marked = row.marks & Marks::TOO_DEEP.0 != 0;
        assert_eq!(marked, deep, "depth {depth}");
        let arrays = depth.min(17) - 1;
        let inner = if deep { "null" } else { "\"x\"" };
        let expected = format!("{}{inner}{}", "[".repeat(arrays), "]".repeat(arrays));
        assert_eq!(row.attributes, format!("{{\"k\":{expected}}}"));
        agrees(&[(depth as u64, Bytes::from(nested_value(depth)))]);
    }
}

/// prost refuses at a depth of 100; the engine must neither refuse nor use the stack for it.
#[test]
fn difference_a_value_nested_100_000_deep_is_stored_with_a_placeholder() {
    let body = nested_value(100_000);
    assert!(!oracle::prost_accepts(&body));
    agrees(&[(0, Bytes::from(body.clone()))]);
    let store = scratch();
    assert_eq!(store.append_otlp(body).unwrap().accepted(), 1);
    let row = rows::of_snapshot(&store.snapshot()).pop().unwrap();
    assert!(row.marks & Marks::TOO_DEEP.0 != 0);
}

#[test]
fn difference_malformed_bytes_below_depth_16_are_not_looked_at() {
    for depth in [16, 17, 18, 30] {
        // The innermost value is a field number 0.
        let mut value = vec![0x00, 0x00];
        for _ in 1..depth {
            value = wrap(5, &wrap(1, &value));
        }
        let key_value = [vec![0x0a, 1, b'k'], wrap(2, &value)].concat();
        let span = [wrap(1, &[1; 16]), wrap(2, &[2; 8]), wrap(9, &key_value)].concat();
        let body = wrap(1, &wrap(2, &wrap(2, &span)));
        assert!(!oracle::prost_accepts(&body));
        let answer = scratch().append_otlp(body.clone());
        assert_eq!(answer.is_ok(), depth > 16, "depth {depth}: {answer:?}");
        agrees(&[(depth, Bytes::from(body))]);
    }
}
