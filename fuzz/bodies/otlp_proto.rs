//! An OTLP request: the engine must take it, refuse it and reject its spans exactly as prost and
//! the rules say, and give the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use amida::{Durability, Error, ManualClock, MemoryFs, Predicate, Store};
use amida_tests::oracle::{Judgement, Oracle};

const NOW_NS: i64 = 1_767_323_105_000_000_000;

/// A store that takes requests one after the other.
pub struct Target {
    store: std::cell::RefCell<(Store, u64)>,
}

fn empty_store() -> Store {
    Store::options()
        .fs(Arc::new(MemoryFs::new()))
        .clock(Arc::new(ManualClock::at(NOW_NS)))
        .disk_floor_bytes(0)
        .durability(Durability::Os)
        .open("/fuzz")
        .expect("an empty store in memory opens")
}

impl Target {
    /// A target with an empty store.
    pub fn new() -> Self {
        Self { store: std::cell::RefCell::new((empty_store(), 0)) }
    }

    /// Panics when the engine does not do what the oracle expects.
    pub fn check(&self, body: &[u8]) {
        let expected = Oracle { now_ns: NOW_NS, future_max_ns: None }.judge(body);
        let (store, rows_before) = &mut *self.store.borrow_mut();
        match (store.append_otlp(body.to_vec()), expected) {
            (Err(Error::Invalid { .. }), Judgement::Refuse(_)) => {}
            (Ok(receipt), Judgement::Store { rows, rejected }) => {
                let found: BTreeMap<_, _> = receipt.rejections().into_iter().collect();
                assert_eq!(found, rejected);
                assert_eq!(receipt.accepted(), rows.len() as u64);
                if rows.is_empty() {
                    return;
                }
                let mut expected: Vec<_> =
                    rows.into_iter().map(|r| (r.span_id, r.attributes, r.marks)).collect();
                let mut stored = rows_of(store).split_off(*rows_before as usize);
                expected.sort();
                stored.sort();
                assert_eq!(stored, expected);
                *rows_before += receipt.accepted();
            }
            (engine, expected) => panic!("the engine says {engine:?}, expected {expected:?}"),
        }
        // Rows are read from the start each time: begin anew before that is slow.
        if *rows_before > 200 {
            (*store, *rows_before) = (empty_store(), 0);
        }
    }
}

/// Hot rows come in the order of arrival.
fn rows_of(store: &Store) -> Vec<(String, String, u32)> {
    let mut rows = Vec::new();
    for batch in store.snapshot().scan(&Predicate::new()).expect("a scan starts") {
        for span in batch.expect("hot rows are read").spans() {
            let id = span.span_id().to_string();
            rows.push((id, span.attributes().to_owned(), span.marks().0));
        }
    }
    rows
}
