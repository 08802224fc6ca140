//! What was asked of a store, what it answered, and so what must be there.
//!
//! Let a request be *stored* when its append was acknowledged, *refused* when the append failed and
//! the store could go on, and *unknown* when the append failed with `Poisoned`: a sync failed, or a
//! failed write could not be cut off. Then
//!
//! 1. what is stored is there: after any crash with `Durability::Sync`; with the others after a
//!    crash of the process, and after power loss when it was synced, flushed or closed since;
//! 2. what is refused never comes back;
//! 3. what is unknown is not seen by the store that refused it, and is there or not when the store
//!    is opened again; what was there then is stored, what was not is refused;
//! 4. requests are there whole, once, and in order: of those that are not refused a prefix, from
//!    which retention may have taken the oldest;
//! 5. what retention took never comes back; it takes nothing younger than the age it keeps, and
//!    never the newest request.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use amida::{Predicate, Result, Snapshot, TraceId};
use amida_tests::corpus;
use bytes::Bytes;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It must be there.
    Stored,
    /// It must not be there: it was refused, or retention took it.
    Absent,
    /// Nobody knows.
    Unknown,
}

#[derive(Debug, Clone)]
struct Request {
    first: u64,
    spans: u64,
    ingest_ns: i64,
    fate: Fate,
}

/// How the store that is looked at came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// It is the one that answered.
    Live,
    /// It was opened after the other ended.
    Reopened,
    /// It was opened after power loss.
    PowerLost,
}

/// All requests of a day.
#[derive(Debug, Clone)]
pub struct Ledger {
    requests: Vec<Request>,
    /// Whether an acknowledgement says that the request was synced.
    pub acknowledged_is_synced: bool,
    /// Requests before this one were synced, if they were acknowledged.
    synced: usize,
    /// What retention keeps in nanoseconds.
    pub age_max_ns: Option<i64>,
    pub drops_for_bytes: bool,
}

fn trace(request: usize) -> u64 {
    // Two requests have pieces of one trace.
    request as u64 / 2 + 1
}

impl Ledger {
    pub fn new(acknowledged_is_synced: bool) -> Self {
        let requests = Vec::new();
        Self {
            requests,
            acknowledged_is_synced,
            synced: 0,
            age_max_ns: None,
            drops_for_bytes: false,
        }
    }

    /// The next request, with this many spans and each with so many bytes to carry.
    pub fn submit(&mut self, spans: u64, bytes: usize, ingest_ns: i64) -> (usize, Bytes) {
        let request = self.requests.len();
        let first = self.requests.last().map_or(1, |last| last.first + last.spans);
        self.requests.push(Request { first, spans, ingest_ns, fate: Fate::Unknown });
        let span = |number: u64| {
            let mut span = corpus::plain_span(trace(request), number, &number.to_string());
            if bytes > 0 {
                span.attributes = vec![corpus::text("padding", "x".repeat(bytes))];
            }
            span
        };
        (request, corpus::body("numbers", (first..first + spans).map(span).collect()))
    }

    pub fn decide(&mut self, request: usize, fate: Fate) {
        self.requests[request].fate = fate;
    }

    /// Everything acknowledged so far is on stable storage.
    pub fn all_is_synced(&mut self) {
        self.synced = self.requests.len();
    }

    /// How many requests have this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.requests.iter().filter(|request| request.fate == fate).count()
    }

    /// Which requests are there.
    ///
    /// # Panics
    /// When one is there in parts or twice, or there is anything else.
    pub fn look(&self, snapshot: &Snapshot, about: &str) -> Result<Vec<bool>> {
        let end = self.requests.last().map_or(1, |last| last.first + last.spans);
        let mut times = vec![0_u8; end as usize];
        let mut rows = 0;
        for batch in snapshot.scan(&Predicate::new())? {
            for span in batch?.spans() {
                let number = u64::from_be_bytes(*span.span_id().as_bytes());
                assert_eq!(span.name().parse(), Ok(number), "{about}: another name");
                assert!(number > 0 && number < end, "{about}: span {number} was never sent");
                times[number as usize] += 1;
                rows += 1;
            }
        }
        assert_eq!(snapshot.span_count(), rows, "{about}: the count is not the rows");
        let mut present = Vec::with_capacity(self.requests.len());
        for (index, request) in self.requests.iter().enumerate() {
            let spans = &times[request.first as usize..(request.first + request.spans) as usize];
            assert!(spans.iter().all(|n| *n <= 1), "{about}: request {index} is there twice");
            let there = spans.iter().filter(|n| **n == 1).count();
            let whole = there == spans.len();
            assert!(whole || there == 0, "{about}: request {index} is there in parts");
            present.push(whole);
        }
        self.look_for_a_trace(snapshot, &present, about)?;
        Ok(present)
    }

    /// Looks one trace up by its id, chosen by the case: looking up all of them would take half of
    /// the time, and in thousands of cases each has its turn.
    fn look_for_a_trace(&self, snapshot: &Snapshot, present: &[bool], about: &str) -> Result<()> {
        let pairs = self.requests.len().div_ceil(2);
        if pairs == 0 {
            return Ok(());
        }
        let case = BuildHasherDefault::<DefaultHasher>::default().hash_one(about);
        let index = (case % pairs as u64) as usize;
        let both = index * 2..self.requests.len().min(index * 2 + 2);
        let there = both.clone().filter(|request| present[*request]);
        let spans: u64 = there.map(|request| self.requests[request].spans).sum();
        let id = TraceId::from_bytes(&corpus::trace_id(trace(both.start))).unwrap();
        let found = snapshot.trace(id)?.map_or(0, |trace| trace.spans().len() as u64);
        assert_eq!(found, spans, "{about}: spans of trace {index}");
        Ok(())
    }

    fn must_be_there(&self, index: usize, view: View) -> bool {
        let synced = self.acknowledged_is_synced || index < self.synced;
        self.requests[index].fate == Fate::Stored && (synced || view != View::PowerLost)
    }

    fn may_be_dropped(&self, index: usize, now_ns: i64) -> bool {
        let request = &self.requests[index];
        let old = self.age_max_ns.is_some_and(|age| request.ingest_ns < now_ns - age);
        let newest = self.requests.iter().rposition(|r| r.fate == Fate::Stored);
        old || self.drops_for_bytes && Some(index) < newest
    }

    /// Holds what is there against what must be.
    pub fn judge(&self, present: &[bool], view: View, now_ns: i64, about: &str) {
        let fate = |index: usize| self.requests[index].fate;
        let absent = (0..present.len()).filter(|index| fate(*index) == Fate::Absent);
        for index in absent {
            assert!(!present[index], "{about}: request {index} came back");
        }
        let kept: Vec<usize> = (0..present.len()).filter(|i| fate(*i) != Fate::Absent).collect();
        let first = kept.iter().position(|index| present[*index]);
        let last = kept.iter().rposition(|index| present[*index]);
        for (at, index) in kept.iter().copied().enumerate() {
            if present[index] {
                let seen = view != View::Live || fate(index) == Fate::Stored;
                assert!(seen, "{about}: request {index} is seen, but was not acknowledged");
                continue;
            }
            let dropped = self.may_be_dropped(index, now_ns);
            let lost = self.must_be_there(index, view);
            // Nothing at all is left: then each for itself.
            let (before, behind) = (first.is_none_or(|f| at < f), last.is_none_or(|l| at > l));
            assert!(!lost || (before && dropped), "{about}: request {index} is lost");
            let hole = !(behind || before && dropped || view == View::Live);
            assert!(!hole, "{about}: request {index} is missing before a later one");
        }
    }

    /// What was seen is how it stays.
    pub fn resolve(&mut self, present: &[bool], view: View) {
        for (request, present) in self.requests.iter_mut().zip(present) {
            request.fate = match (request.fate, present) {
                (Fate::Unknown, _) if view == View::Live => Fate::Unknown,
                (_, true) => Fate::Stored,
                (_, false) => Fate::Absent,
            };
        }
        if view != View::Live {
            // Opening makes durable what it shows.
            self.all_is_synced();
        }
    }
}
