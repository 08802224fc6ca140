//! Starts for rows that have none: the parent's, else the first of the trace.

use std::collections::HashMap;

use amida::{SpanId, TraceId};

use super::span::Row;
use crate::import::stream::HELD_BYTES_MIN;

/// Most rows whose starts are remembered.
const SEEN_MAX: usize = 1 << 19;

/// Most bytes that rows which wait may take: those of their text, or `HELD_BYTES_MIN` each.
const HELD_BYTES_MAX: u64 = 64 << 20;

/// What is known of the times of rows, and the rows that wait for one.
#[derive(Debug, Default)]
pub struct Times {
    starts: HashMap<(TraceId, SpanId), i64>,
    firsts: HashMap<TraceId, i64>,
    /// Each with the bytes of its text.
    held: Vec<(Row, u64)>,
    held_bytes: u64,
}

impl Times {
    /// Remembers when the row started, if it says so.
    pub fn see(&mut self, row: &Row) {
        let Some(start) = row.start else { return };
        let at = self.starts.entry((row.trace_id, row.span_id)).or_insert(start);
        *at = start.min(*at);
        let first = self.firsts.entry(row.trace_id).or_insert(start);
        *first = start.min(*first);
    }

    /// Keeps a row without a start.
    pub fn hold(&mut self, row: Row, bytes: u64) {
        self.held.push((row, bytes));
        self.held_bytes += bytes.max(HELD_BYTES_MIN);
    }

    /// Whether it is time to settle what waits.
    pub fn is_full(&self) -> bool {
        self.starts.len() >= SEEN_MAX || self.held_bytes >= HELD_BYTES_MAX
    }

    /// Gives the rows that waited, each with a start and a word on where it is from, and forgets
    /// everything.
    pub fn settle(&mut self) -> Vec<(Row, u64)> {
        let Self { starts, firsts, held, .. } = std::mem::take(self);
        let parents = parents(&held, &starts);
        let settled = held.into_iter().zip(parents).map(|((row, bytes), parent)| {
            let first = firsts.get(&row.trace_id).copied();
            let row = match (parent, first) {
                (Some(start), _) => row.started(start, "parent"),
                (None, Some(start)) => row.started(start, "trace"),
                (None, None) => row.started(0, "none"),
            };
            (row, bytes)
        });
        settled.collect()
    }
}

/// For each row the start of the nearest row above it that has one. The work is linear: every row
/// is walked over once, however deep or circular the parents are.
fn parents(held: &[(Row, u64)], starts: &HashMap<(TraceId, SpanId), i64>) -> Vec<Option<i64>> {
    let mut by_id: HashMap<(TraceId, SpanId), usize> = HashMap::with_capacity(held.len());
    for (index, (row, _)) in held.iter().enumerate() {
        by_id.entry((row.trace_id, row.span_id)).or_insert(index);
    }
    let mut found: Vec<Option<i64>> = vec![None; held.len()];
    let mut is_done = vec![false; held.len()];
    for from in 0..held.len() {
        let (mut path, mut at, mut start) = (Vec::new(), Some(from), None);
        while let Some(index) = at {
            if is_done[index] {
                start = found[index];
                break;
            }
            is_done[index] = true;
            path.push(index);
            let row = &held[index].0;
            // The server's half of a shared span hangs under the client's, which has its id.
            let half = row.is_shared.then_some(row.span_id);
            let above = half.into_iter().chain(row.parent).map(|id| (row.trace_id, id));
            start = above.clone().find_map(|key| starts.get(&key).copied());
            if start.is_some() {
                break;
            }
            at = above.filter_map(|key| by_id.get(&key).copied()).find(|next| *next != index);
        }
        for index in path {
            found[index] = start;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::zipkin::span;

    #[test]
    fn many_short_rows_are_settled_before_their_text_is_long() {
        let row = serde_json::json!({"traceId": "1", "id": "1"});
        let (mut times, mut rows) = (Times::default(), 0);
        while !times.is_full() {
            times.hold(span::translate(row.as_object().unwrap()).unwrap(), 25);
            rows += 1;
        }
        assert_eq!(rows, HELD_BYTES_MAX / HELD_BYTES_MIN);
        assert_eq!(times.settle().len() as u64, rows);
        assert!(!times.is_full());
    }
}
