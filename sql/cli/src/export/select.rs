//! Which spans are exported: by trace, time and service, through the engine's own scan.

use amida::{Predicate, Snapshot, SpanBatch, TraceId};

use super::args::ExportArgs;
use super::query;
use crate::commands::{Failure, trace, unreadable};

/// Spans, batch by batch.
pub type Spans = Box<dyn Iterator<Item = Result<SpanBatch, Failure>>>;

/// The selected spans; `None` once it was said which trace has none.
pub fn spans(snapshot: &Snapshot, args: &ExportArgs) -> Result<Option<Spans>, Failure> {
    if let Some(query) = &args.query {
        return query::spans(snapshot, query).map(Some);
    }
    let selection = predicate(args)?;
    if args.trace.is_empty() {
        let scan = snapshot.scan(&selection).map_err(unreadable)?;
        return Ok(Some(Box::new(scan.map(|batch| batch.map_err(unreadable)))));
    }
    let Some(ids) = traces(snapshot, args, &selection)? else { return Ok(None) };
    let mut scans = Vec::with_capacity(ids.len());
    for id in ids {
        scans.push(snapshot.scan(&selection.clone().trace(id)).map_err(unreadable)?);
    }
    let batches = scans.into_iter().flatten();
    Ok(Some(Box::new(batches.map(|batch| batch.map_err(unreadable)))))
}

fn predicate(args: &ExportArgs) -> Result<Predicate, Failure> {
    let mut selection = Predicate::new();
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(Failure::Because("--from must lie before --to".to_owned()));
    }
    if let Some(from) = args.from {
        selection = selection.start_from(from);
    }
    if let Some(to) = args.to {
        selection = selection.start_before(to);
    }
    if let Some(service) = &args.service {
        selection = selection.service(service);
    }
    Ok(selection)
}

/// The traces that were named, each once. All of them must have selected spans: nothing is written
/// otherwise.
fn traces(
    snapshot: &Snapshot,
    args: &ExportArgs,
    selection: &Predicate,
) -> Result<Option<Vec<TraceId>>, Failure> {
    let mut ids: Vec<TraceId> = Vec::new();
    let mut all = true;
    for text in &args.trace {
        let Some(id) = trace::find_id(snapshot, text.trim())? else {
            all = false;
            continue;
        };
        if ids.contains(&id) {
            continue;
        }
        ids.push(id);
        match snapshot.scan(&selection.clone().trace(id)).map_err(unreadable)?.next() {
            Some(first) => drop(first.map_err(unreadable)?),
            None if *selection == Predicate::new() => {
                eprintln!("amida: there is no trace {id}");
                all = false;
            }
            None => {
                eprintln!("amida: no span of trace {id} is of that time and service");
                all = false;
            }
        }
    }
    Ok(all.then_some(ids))
}

/// A selection leaves few rows of many batches; they are put together until they are a batch again.
pub struct Joined {
    spans: Spans,
    held: Vec<SpanBatch>,
    rows: usize,
}

/// Rows of a batch.
const ROWS: usize = 1024;
/// Most batches that are held: each holds on to all the text that it was cut from.
const HELD_MAX: usize = 32;

impl Joined {
    pub fn new(spans: Spans) -> Self {
        Self { spans, held: Vec::new(), rows: 0 }
    }

    fn take(&mut self) -> Result<SpanBatch, Failure> {
        self.rows = 0;
        let mut held = std::mem::take(&mut self.held);
        match held.len() {
            1 => Ok(held.remove(0)),
            _ => Ok(SpanBatch::concat(&held)?),
        }
    }
}

impl Iterator for Joined {
    type Item = Result<SpanBatch, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let batch = match self.spans.next() {
                Some(Ok(batch)) => batch,
                None if self.held.is_empty() => return None,
                None => return Some(self.take()),
                error => return error,
            };
            let is_full = self.rows + batch.len() > ROWS || self.held.len() >= HELD_MAX;
            let full = (is_full && !self.held.is_empty()).then(|| self.take());
            self.rows += batch.len();
            self.held.push(batch);
            if full.is_some() {
                return full;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amida::{RequestBuilder, Resource, SpanBuilder, Store};

    #[test]
    fn small_batches_are_joined_in_order_and_errors_are_passed_on() {
        let store = Store::in_memory();
        let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        let span = |n: u32| SpanBuilder::new(id, format!("{n:016x}").parse().unwrap(), "n");
        let body = RequestBuilder::new(Resource::new("a")).spans((1..=3000).map(span)).finish();
        assert_eq!(store.append_otlp(body).unwrap().accepted(), 3000);
        let whole = SpanBatch::concat(&store.snapshot().hot_batches().unwrap()).unwrap();
        // Single rows, then some of a few hundred, then one that is larger than a batch.
        let lengths = [vec![1; 100], vec![300; 5], vec![1400]].concat();
        let mut start = 0;
        let mut parts: Vec<Result<SpanBatch, Failure>> = Vec::new();
        for length in lengths {
            parts.push(Ok(whole.slice(start, length)));
            start += length;
        }
        assert_eq!(start, 3000);
        parts.push(Err(Failure::NobodyReads));
        let joined: Vec<_> = Joined::new(Box::new(parts.into_iter())).collect();
        let lengths: Vec<usize> = joined.iter().flatten().map(SpanBatch::len).collect();
        assert_eq!(lengths, [32, 32, 32, 904, 600, 1400]);
        assert!(matches!(joined.get(5), Some(Err(Failure::NobodyReads))), "{}", joined.len());
        let batches: Vec<SpanBatch> = joined.into_iter().flatten().collect();
        let joined = SpanBatch::concat(&batches).unwrap();
        assert_eq!(joined.record_batch(), whole.record_batch());
    }
}
