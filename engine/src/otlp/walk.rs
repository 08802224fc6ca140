//! Step one, at the door: one walk over a request checks every byte and notes where each span
//! stands. Nothing is decoded that nobody asked for yet.

use std::ops::Range;

use bytes::Bytes;

use super::wire::{Fields, Malformed, REQUEST, RESOURCE, RESOURCE_SPANS, SCOPE, SCOPE_SPANS, SPAN};
use crate::model::hot::{HotRequest, HotSpan, Pieces};
use crate::model::schema::Marks;

/// Why a span was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// The trace id is not 16 bytes, or all zero.
    BadTraceId = 1,
    /// The span id is not 8 bytes, or all zero.
    BadSpanId = 2,
    /// A time does not fit signed 64-bit nanoseconds (it lies after the year 2262).
    TimeOutOfRange = 3,
    /// The start lies further ahead than `Options::future_max` allows.
    TooFarInFuture = 4,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 4] =
        [Self::BadTraceId, Self::BadSpanId, Self::TimeOutOfRange, Self::TooFarInFuture];

    /// The word that counts and messages use.
    pub fn word(self) -> &'static str {
        match self {
            Self::BadTraceId => "bad_trace_id",
            Self::BadSpanId => "bad_span_id",
            Self::TimeOutOfRange => "time_out_of_range",
            Self::TooFarInFuture => "too_far_in_future",
        }
    }

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == number)
    }
}

/// A rejected span: its position among all spans of the request, and why.
pub type Rejection = (u32, Reason);

/// Who decides which spans are accepted.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'a> {
    /// The rules, now.
    Judge {
        /// Spans that start later are rejected.
        start_max_ns: Option<i64>,
    },
    /// What was decided when the request was stored: these spans were rejected.
    Replay(&'a [Rejection]),
}

/// What the walk found.
#[derive(Debug)]
pub struct Walked {
    /// The accepted spans.
    pub request: HotRequest,
    /// The rejected ones.
    pub rejected: Vec<Rejection>,
}

/// A start further ahead of the time of ingest than this is marked as strange: a day.
const STRANGE_AHEAD_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Walks a request that was ingested at this time.
///
/// # Errors
/// `Malformed` when the bytes are no request; then no span of it is stored.
pub fn walk(body: Bytes, ingest_ns: i64, verdict: Verdict<'_>) -> Result<Walked, Malformed> {
    let mut walker = Walker {
        body: &body,
        strange_after_ns: ingest_ns.saturating_add(STRANGE_AHEAD_NS),
        verdict,
        ordinal: 0,
        spans: Vec::with_capacity(body.len() / 256),
        resources: Vec::new(),
        scopes: Vec::new(),
        rejected: Vec::new(),
    };
    let mut fields = Fields::new(&body, 0);
    while let Some((field, value)) = fields.next()? {
        REQUEST.check(field, value, 0)?;
        if field == 1 {
            walker.resource_spans(value.bytes())?;
        }
    }
    let Walker { spans, resources, scopes, rejected, .. } = walker;
    Ok(Walked { request: HotRequest { body, spans, resources, scopes }, rejected })
}

struct Walker<'a> {
    body: &'a Bytes,
    strange_after_ns: i64,
    verdict: Verdict<'a>,
    ordinal: u32,
    spans: Vec<HotSpan>,
    resources: Vec<Pieces>,
    scopes: Vec<Pieces>,
    rejected: Vec<Rejection>,
}

impl Walker<'_> {
    /// Where a part of the body stands in it.
    fn range(&self, part: &[u8]) -> Range<u32> {
        // Requests have at most 16 MiB, so offsets fit; `part` is a slice of the body.
        let start = part.as_ptr() as usize - self.body.as_ptr() as usize;
        start as u32..(start + part.len()) as u32
    }

    fn offset(&self, part: &[u8]) -> usize {
        self.range(part).start as usize
    }

    fn resource_spans(&mut self, message: &[u8]) -> Result<(), Malformed> {
        let resource = self.resources.len();
        self.resources.push(Pieces::default());
        let mut fields = Fields::new(message, self.offset(message));
        while let Some((field, value)) = fields.next()? {
            RESOURCE_SPANS.check(field, value, 0)?;
            let part = value.bytes();
            match field {
                1 => {
                    RESOURCE.check_all(part, self.offset(part), 0)?;
                    let range = self.range(part);
                    self.resources[resource].message.push(range);
                }
                2 => self.scope_spans(part, resource as u32)?,
                3 => self.resources[resource].schema_url = self.range(part),
                _ => {}
            }
        }
        Ok(())
    }

    fn scope_spans(&mut self, message: &[u8], resource: u32) -> Result<(), Malformed> {
        let scope = self.scopes.len();
        self.scopes.push(Pieces::default());
        let mut fields = Fields::new(message, self.offset(message));
        while let Some((field, value)) = fields.next()? {
            SCOPE_SPANS.check(field, value, 0)?;
            let part = value.bytes();
            match field {
                1 => {
                    SCOPE.check_all(part, self.offset(part), 0)?;
                    let range = self.range(part);
                    self.scopes[scope].message.push(range);
                }
                2 => self.span(part, resource, scope as u32)?,
                3 => self.scopes[scope].schema_url = self.range(part),
                _ => {}
            }
        }
        Ok(())
    }

    fn span(&mut self, message: &[u8], resource: u32, scope: u32) -> Result<(), Malformed> {
        let mut seen = Seen::default();
        let mut fields = Fields::new(message, self.offset(message));
        while let Some((field, value)) = fields.next()? {
            SPAN.check(field, value, 0)?;
            match field {
                1 => seen.trace_id = value.bytes(),
                2 => seen.span_id = value.bytes(),
                4 => seen.parent = value.bytes(),
                6 => seen.kind = value.varint() as i32,
                7 => seen.start = value.fixed64(),
                8 => seen.end = value.fixed64(),
                15 => {
                    if let Some(code) = status_code(value.bytes()) {
                        seen.status = code;
                    }
                }
                _ => {}
            }
        }
        let ordinal = self.ordinal;
        self.ordinal += 1;
        match self.judge(ordinal, &seen) {
            Ok((trace_id, span_id, start_ns, end_ns)) => {
                let (parent_span_id, mut marks) = parent(seen.parent);
                if end_ns < start_ns {
                    marks.add(Marks::NEGATIVE_DURATION);
                }
                if start_ns == 0 || end_ns == 0 || start_ns > self.strange_after_ns {
                    marks.add(Marks::STRANGE_TIME);
                }
                self.spans.push(HotSpan {
                    trace_id,
                    span_id,
                    parent_span_id,
                    start_ns,
                    // Both lie in 0..=i64::MAX, so the difference fits.
                    duration_ns: end_ns - start_ns,
                    kind: seen.kind,
                    status: seen.status,
                    marks,
                    message: self.range(message),
                    resource,
                    scope,
                });
            }
            Err(reason) => self.rejected.push((ordinal, reason)),
        }
        Ok(())
    }

    #[allow(clippy::type_complexity)] // the four facts that a span cannot do without
    fn judge(
        &self,
        ordinal: u32,
        seen: &Seen<'_>,
    ) -> Result<([u8; 16], [u8; 8], i64, i64), Reason> {
        if let Verdict::Replay(rejected) = self.verdict
            && let Ok(found) = rejected.binary_search_by_key(&ordinal, |(at, _)| *at)
        {
            return Err(rejected[found].1);
        }
        let trace_id = id(seen.trace_id).ok_or(Reason::BadTraceId)?;
        let span_id = id(seen.span_id).ok_or(Reason::BadSpanId)?;
        let start = i64::try_from(seen.start).map_err(|_| Reason::TimeOutOfRange)?;
        let end = i64::try_from(seen.end).map_err(|_| Reason::TimeOutOfRange)?;
        match self.verdict {
            Verdict::Judge { start_max_ns: Some(max) } if start > max => {
                Err(Reason::TooFarInFuture)
            }
            _ => Ok((trace_id, span_id, start, end)),
        }
    }
}

/// The fields of a Span message that step one reads; the last of a repeated field counts.
#[derive(Default)]
struct Seen<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent: &'a [u8],
    kind: i32,
    start: u64,
    end: u64,
    status: i32,
}

/// An id of the right length that is not all zero.
fn id<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok().filter(|id| *id != [0; N])
}

/// No bytes or zeros: a root. A wrong length: a root too, but marked.
fn parent(bytes: &[u8]) -> (Option<[u8; 8]>, Marks) {
    match bytes.len() {
        0 => (None, Marks::default()),
        8 => (id(bytes), Marks::default()),
        _ => (None, Marks::BAD_PARENT),
    }
}

/// The code in a Status message that was checked before.
fn status_code(message: &[u8]) -> Option<i32> {
    let mut fields = Fields::new(message, 0);
    let mut code = None;
    while let Ok(Some((field, value))) = fields.next() {
        if field == 3 {
            code = Some(value.varint() as i32);
        }
    }
    code
}
