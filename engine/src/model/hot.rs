//! `HotBatch`: what one commit group stored, ready to be seen before anybody decoded it, and
//! `Resolved`, what becomes of it.

use std::ops::Range;

use bytes::Bytes;

use super::batch::SpanBatch;
use super::catalog::Catalog;
use super::schema::Marks;

/// One accepted span after the first step of decoding: what the store needs at once, and where the
/// rest stands.
#[derive(Debug, Clone, PartialEq)]
pub struct HotSpan {
    /// Never all zero.
    pub trace_id: [u8; 16],
    /// Never all zero.
    pub span_id: [u8; 8],
    /// `None` for a root.
    pub parent_span_id: Option<[u8; 8]>,
    /// Nanoseconds since the epoch.
    pub start_ns: i64,
    /// End minus start; may be negative.
    pub duration_ns: i64,
    /// OTLP's number.
    pub kind: i32,
    /// OTLP's number.
    pub status: i32,
    /// What the first step noticed.
    pub marks: Marks,
    /// The whole Span message, in the bytes of the request.
    pub message: Range<u32>,
    /// Position in `HotRequest::resources`.
    pub resource: u32,
    /// Position in `HotRequest::scopes`.
    pub scope: u32,
}

/// A Resource or InstrumentationScope message: protobuf may send it in pieces, which merge when
/// they are read one after the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pieces {
    /// The pieces of the message.
    pub message: Vec<Range<u32>>,
    /// The text of its `schema_url`, from the message around it.
    pub schema_url: Range<u32>,
}

/// The accepted spans of one request, and the bytes that they stand in.
#[derive(Debug, Clone)]
pub struct HotRequest {
    /// The ExportTraceServiceRequest as it came.
    pub body: Bytes,
    /// Accepted spans in the order of the request.
    pub spans: Vec<HotSpan>,
    /// Their resources.
    pub resources: Vec<Pieces>,
    /// Their scopes.
    pub scopes: Vec<Pieces>,
}

/// Spans in columns with what was learned about their attributes: the second step of decoding.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// One row per span.
    pub batch: SpanBatch,
    /// The attribute keys in it.
    pub catalog: Catalog,
}

/// What a span counts in memory at least, in bytes: its `HotSpan`, and its row once it is resolved,
/// which takes this much even when all its texts are short.
const SPAN_BYTES_MIN: usize = 400;

/// The accepted spans of one commit group.
#[derive(Debug)]
pub struct HotBatch {
    /// The requests of the group.
    pub requests: Vec<HotRequest>,
    /// Number of spans.
    pub rows: usize,
    /// What the batch counts in memory: the bytes of the bodies, and 400 for each span at least.
    pub bytes: usize,
    /// Earliest and latest start time; `None` without spans.
    pub times: Option<(i64, i64)>,
}

impl HotBatch {
    /// A batch of these requests.
    pub fn new(requests: Vec<HotRequest>) -> Self {
        let starts = || requests.iter().flat_map(|r| &r.spans).map(|s| s.start_ns);
        let times = starts().min().zip(starts().max());
        let rows = requests.iter().map(|r| r.spans.len()).sum();
        let bytes = requests.iter().map(|r| r.body.len().max(r.spans.len() * SPAN_BYTES_MIN)).sum();
        Self { requests, rows, bytes, times }
    }
}
