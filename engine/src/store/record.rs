//! The payload of a request's log record: what was decided about it, then the request itself.
//!
//! time of ingest 8, number of rejected spans 4, then for each its position among the spans 4 and
//! the reason 1, then the body. Replay applies no policy and no clock: it is all here.

use bytes::Bytes;

use crate::codec::Decoder;
use crate::otlp::walk::{Reason, Rejection, Verdict, Walked, walk};

/// What stands before the body.
pub fn head(ingest_ns: i64, rejected: &[Rejection]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 + rejected.len() * 5);
    bytes.extend_from_slice(&ingest_ns.to_le_bytes());
    // A request of 16 MiB has fewer than 2^32 spans.
    bytes.extend_from_slice(&(rejected.len() as u32).to_le_bytes());
    for (ordinal, reason) in rejected {
        bytes.extend_from_slice(&ordinal.to_le_bytes());
        bytes.push(*reason as u8);
    }
    bytes
}

/// A request as it stood in the log.
#[derive(Debug)]
pub struct Replayed {
    /// When it was ingested, in nanoseconds since the epoch.
    pub ingest_ns: i64,
    /// Its spans, by the verdict of that time.
    pub walked: Walked,
}

/// Reads a payload; `None` when it is none, which a checked record never is.
pub fn read(payload: Vec<u8>) -> Option<Replayed> {
    let payload = Bytes::from(payload);
    let mut decoder = Decoder(&payload);
    let ingest_ns = decoder.i64()?;
    let count = decoder.u32()? as usize;
    // Five bytes stand for each: no more can be here than the payload has room for.
    if count > decoder.0.len() / 5 {
        return None;
    }
    let mut rejected = Vec::with_capacity(count);
    for _ in 0..count {
        let ordinal = decoder.u32()?;
        rejected.push((ordinal, Reason::from_number(decoder.u8()?)?));
    }
    let body = payload.slice(payload.len() - decoder.0.len()..);
    let walked = walk(body, ingest_ns, Verdict::Replay(&rejected)).ok()?;
    Some(Replayed { ingest_ns, walked })
}
