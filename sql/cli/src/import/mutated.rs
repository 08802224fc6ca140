//! Damaged files: no importer panics, and every row is accepted or counted as rejected.

use amida::{Predicate, Store};
use amida_tests::{mutate, real};
use fastrand::Rng;
use serde_json::{Value, json};

use super::jaeger;
use super::testing::{Importer, feed};
use super::zipkin;

const SEED: u64 = 0x7ace_5eed;

/// Documents of a format: real ones where they are, and one that is always there.
fn documents(format: &str) -> Vec<Value> {
    let jaeger = json!({"data": [{"traceID": "a1", "spans": [
        {"traceID": "a1", "spanID": "S1", "operationName": "n", "startTime": 5, "duration": 6,
         "references": [{"refType": "CHILD_OF", "traceID": "a1", "spanID": "b"}], "flags": 1,
         "tags": [{"key": "k", "type": "int64", "value": "7"}], "processID": "p1",
         "logs": [{"timestamp": 6, "fields": [{"key": "event", "value": "e"}]}],
         "warnings": ["w"]}, {"spanID": "2", "processID": "p2"}],
        "processes": {"p1": {"serviceName": "s", "tags": [{"key": "a", "value": 1}]}}}]});
    let zipkin = json!([[{"traceId": "a1", "id": "b1", "parentId": "c", "name": "n",
        "kind": "CLIENT", "timestamp": 5, "duration": 6, "shared": true, "debug": false,
        "localEndpoint": {"serviceName": "s", "ipv4": "10.0.0.1", "port": 1},
        "annotations": [{"timestamp": 6, "value": "v"}], "tags": {"error": ""}}],
        [{"traceId": "a1", "id": "c"}]]);
    let mut documents = vec![if format == "jaeger_json" { jaeger } else { zipkin }];
    let sets = real::folder().map(|folder| real::data_sets(&folder, format));
    for path in sets.into_iter().flatten().flat_map(|set| set.files.into_iter().take(2)) {
        let bytes = std::fs::read(path).unwrap();
        if bytes.len() < 100_000 {
            documents.push(serde_json::from_slice(&bytes).unwrap());
        }
    }
    documents
}

/// Puts something else in some place.
fn spoil(value: &mut Value, random: &mut Rng) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(list) if random.u32(0..8) > 0 => list.iter_mut().collect(),
        Value::Object(entries) if random.u32(0..8) > 0 => entries.values_mut().collect(),
        _ => Vec::new(),
    };
    if !inner.is_empty() {
        let at = random.usize(0..inner.len());
        if let Some(inner) = inner.into_iter().nth(at) {
            spoil(inner, random);
        }
        return;
    }
    let junk = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1.5),
        json!(-1e300),
        json!(""),
        json!("0"),
        json!("zz"),
        json!("9".repeat(40)),
        json!("\u{1b}[31m"),
        json!([]),
        json!({}),
        json!([[[1]]]),
        json!({"key": {"key": "key"}}),
        json!([null, 1, {}]),
    ];
    *value = junk[random.usize(0..junk.len())].clone();
}

/// Rows of a Jaeger document, counted by another way.
fn jaeger_rows(value: &Value, in_list: bool) -> u64 {
    match value {
        Value::Array(list) => list.iter().map(|value| jaeger_rows(value, true)).sum(),
        Value::Null if !in_list => 0,
        Value::Object(object) => {
            let data = object.get("data").map_or(0, |data| jaeger_rows(data, false));
            let spans = match object.get("spans") {
                None | Some(Value::Null) => 0,
                Some(Value::Array(spans)) => spans.len() as u64,
                Some(_) => 1,
            };
            let is_known = ["data", "spans", "errors"].iter().any(|key| object.contains_key(*key));
            data + spans + u64::from(!is_known)
        }
        _ => 1,
    }
}

fn zipkin_rows(value: &Value, in_list: bool) -> u64 {
    match value {
        Value::Array(list) => list.iter().map(|value| zipkin_rows(value, true)).sum(),
        Value::Null if !in_list => 0,
        _ => 1,
    }
}

fn check(format: &str, read: Importer, rows: fn(&Value, bool) -> u64) {
    println!("seed {SEED:#x}");
    let mut random = Rng::with_seed(SEED);
    let documents = documents(format);
    let store = Store::in_memory();
    let mut stored = 0;
    for round in 0..400 {
        let mut document = documents[round % documents.len()].clone();
        for _ in 0..random.usize(1..20) {
            spoil(&mut document, &mut random);
        }
        let text = document.to_string();
        let (door, _) = feed(&store, read, text.as_bytes());
        assert_eq!(door.rows().1, rows(&document, false), "round {round}: {text}");
        stored += door.rows().0;

        let other = documents[random.usize(0..documents.len())].to_string();
        let damaged = mutate::damage(text.as_bytes(), other.as_bytes(), &mut random);
        let (door, ended) = feed(&store, read, &damaged);
        if let (Ok(document), Ok(())) = (serde_json::from_slice(&damaged), ended) {
            // Of two keys with one name the parser of the test sees the last one only.
            assert!(door.rows().1 >= rows(&document, false), "round {round}");
        }
        stored += door.rows().0;
    }
    assert!(stored > 400, "{stored}");
    let batches = store.snapshot().scan(&Predicate::new()).unwrap();
    assert_eq!(batches.map(|batch| batch.unwrap().len() as u64).sum::<u64>(), stored);
}

#[test]
fn every_row_of_spoiled_jaeger_files_is_accounted_for() {
    check("jaeger_json", jaeger::read, jaeger_rows);
}

#[test]
fn every_row_of_spoiled_zipkin_files_is_accounted_for() {
    check("zipkin_json", zipkin::read, zipkin_rows);
}
