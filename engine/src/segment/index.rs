//! The trace-ID index of a segment: fingerprint of a trace id -> ranges of rows. It is a cache of
//! what the `trace_id` column says: when it is damaged it is built again.
//!
//! Encoded, little-endian, for n entries sorted by (fingerprint, first row):
//!
//! | field | bytes |
//! |---|---|
//! | fingerprints | u64 each |
//! | first rows | u32 each, counted from the start of the file |
//! | lengths | u32 each, in rows |
//!
//! A trace with rows in two row groups has two entries. Two traces may share a fingerprint, so what
//! a lookup finds are candidates.

use std::ops::Range;

use bytes::Bytes;

use crate::model::ids::TraceId;

/// Probes by interpolation before the search halves the rest instead: evenly spread fingerprints
/// need two or three, crafted ones must not cost more than a binary search.
const INTERPOLATION_PROBES: usize = 4;

const ENTRY_BYTES: usize = 16;

/// Where a trace id goes in the index.
///
/// With `a` and `b` the two halves of the id as little-endian u64 and `mix` the 64-bit finalizer of
/// MurmurHash3: `mix(mix(a + 0x9e3779b97f4a7c15) ^ b)`. For a fixed half it is a bijection of the
/// other, so that ids which differ only in one half never collide, and ids that count up or begin
/// with the time are spread evenly.
pub fn fingerprint(id: &[u8; 16]) -> u64 {
    let id = u128::from_le_bytes(*id);
    let (low, high) = (id & u128::from(u64::MAX), id >> 64);
    // Both fit: the masked half and the shifted half have 64 bits.
    let (a, b) = (low as u64, high as u64);
    mix(mix(a.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ b)
}

fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    fingerprint: u64,
    first: u32,
    rows: u32,
}

/// Builds an index while row groups are written, or read again.
#[derive(Debug, Default)]
pub struct IndexBuilder {
    entries: Vec<Entry>,
    /// The trace of the last entry while more of its rows may follow.
    last: Option<[u8; 16]>,
    rows: u32,
}

impl IndexBuilder {
    /// An index of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next row. Rows of one trace that follow one another share an entry.
    pub fn push(&mut self, id: &[u8; 16]) {
        match self.entries.last_mut().filter(|_| self.last.as_ref() == Some(id)) {
            Some(entry) => entry.rows = entry.rows.saturating_add(1),
            None => {
                self.entries.push(Entry {
                    fingerprint: fingerprint(id),
                    first: self.rows,
                    rows: 1,
                });
                self.last = Some(*id);
            }
        }
        self.rows = self.rows.saturating_add(1);
    }

    /// Ends the row group: a trace that goes on in the next has a new entry.
    pub fn end_row_group(&mut self) {
        self.last = None;
    }

    /// Takes all entries of another segment whose rows (`rows` of them) follow.
    pub fn append(&mut self, index: &TraceIndex, rows: u32) {
        self.last = None;
        let first = self.rows;
        self.entries.extend(index.entries().map(|mut entry| {
            entry.first = entry.first.saturating_add(first);
            entry
        }));
        self.rows = self.rows.saturating_add(rows);
    }

    /// The index as bytes.
    pub fn encode(mut self) -> Vec<u8> {
        self.entries.sort_unstable();
        let mut out = Vec::with_capacity(self.entries.len() * ENTRY_BYTES);
        out.extend(self.entries.iter().flat_map(|e| e.fingerprint.to_le_bytes()));
        out.extend(self.entries.iter().flat_map(|e| e.first.to_le_bytes()));
        out.extend(self.entries.iter().flat_map(|e| e.rows.to_le_bytes()));
        out
    }
}

/// An index that can be searched.
#[derive(Debug, Clone)]
pub struct TraceIndex {
    fingerprints: Bytes,
    firsts: Bytes,
    rows: Bytes,
    len: usize,
}

impl TraceIndex {
    /// The index in these bytes, whose checksum the caller has checked; `None` when they are none.
    pub fn decode(mut bytes: Bytes) -> Option<Self> {
        if !bytes.len().is_multiple_of(ENTRY_BYTES) {
            return None;
        }
        let len = bytes.len() / ENTRY_BYTES;
        let fingerprints = bytes.split_to(len * 8);
        let firsts = bytes.split_to(len * 4);
        Some(Self { fingerprints, firsts, rows: bytes, len })
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row ranges that may hold the trace, in order.
    pub fn candidates(&self, id: TraceId) -> Vec<Range<u64>> {
        let wanted = fingerprint(id.as_bytes());
        // Most segments do not have the trace: of these nothing but fingerprints is touched.
        (self.lower_bound(wanted)..self.len)
            .take_while(|at| self.fingerprint_at(*at) == wanted)
            .map(|at| self.entry(at))
            .map(|e| u64::from(e.first)..u64::from(e.first) + u64::from(e.rows))
            .collect()
    }

    /// The first entry whose fingerprint is at least this.
    fn lower_bound(&self, wanted: u64) -> usize {
        let mut search = Search::of(self);
        while search.is_open() {
            search.probe(self, wanted);
            search.narrow(wanted);
        }
        search.low
    }

    fn fingerprint_at(&self, at: usize) -> u64 {
        let bytes = self.fingerprints.get(at * 8..).and_then(|b| b.first_chunk());
        bytes.map_or(u64::MAX, |b| u64::from_le_bytes(*b))
    }

    fn entry(&self, at: usize) -> Entry {
        let u32_at = |bytes: &Bytes| {
            bytes.get(at * 4..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
        };
        Entry {
            fingerprint: self.fingerprint_at(at),
            first: u32_at(&self.firsts),
            rows: u32_at(&self.rows),
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.len).map(|at| self.entry(at))
    }
}

/// Which of these indexes have entries for the trace, or for one with its fingerprint.
///
/// They are searched side by side. A probe waits for memory that no cache has; as no decision lies
/// between the probes of a round, the processor waits for many of them at once.
pub fn which_have(indexes: &[&TraceIndex], id: TraceId) -> Vec<bool> {
    let wanted = fingerprint(id.as_bytes());
    let searches = indexes.iter().map(|index| (*index, Search::of(index)));
    let mut searches: Vec<(&TraceIndex, Search)> = searches.collect();
    let mut open: Vec<usize> = (0..indexes.len()).collect();
    open.retain(|at| searches[*at].1.is_open());
    while !open.is_empty() {
        for at in &open {
            let (index, search) = &mut searches[*at];
            search.probe(index, wanted);
        }
        open.retain(|at| {
            let (_, search) = &mut searches[*at];
            search.narrow(wanted);
            search.is_open()
        });
    }
    searches.iter().map(|(index, search)| index.fingerprint_at(search.low) == wanted).collect()
}

/// The search for the first entry whose fingerprint is at least the wanted one.
///
/// Invariant: all entries before `low` are smaller, all from `high` on are not; `below` and `above`
/// are the fingerprints beside these bounds.
struct Search {
    low: usize,
    high: usize,
    below: u64,
    above: u64,
    probes: usize,
    /// The entry that was probed last, between the bounds, and its fingerprint.
    probed: (usize, u64),
}

impl Search {
    fn of(index: &TraceIndex) -> Self {
        Self { low: 0, high: index.len, below: 0, above: u64::MAX, probes: 0, probed: (0, 0) }
    }

    /// Whether the bounds still differ.
    fn is_open(&self) -> bool {
        self.low < self.high
    }

    /// Reads the fingerprint of one entry between the bounds, which differ.
    fn probe(&mut self, index: &TraceIndex, wanted: u64) {
        let span = self.high - self.low;
        let step = if self.probes < INTERPOLATION_PROBES {
            // The upper halves are exact enough, and their product with a number of rows fits.
            let along = wanted.saturating_sub(self.below) >> 32;
            let of = (self.above - self.below) >> 32;
            let step = along.saturating_mul(span as u64) / (of + 1);
            usize::try_from(step).unwrap_or(usize::MAX).min(span - 1)
        } else {
            span / 2
        };
        self.probes += 1;
        self.probed = (self.low + step, index.fingerprint_at(self.low + step));
    }

    /// Moves one of the bounds to the entry that was probed.
    fn narrow(&mut self, wanted: u64) {
        let (at, found) = self.probed;
        if found < wanted {
            (self.low, self.below) = (at + 1, found);
        } else {
            (self.high, self.above) = (at, found);
        }
    }
}
