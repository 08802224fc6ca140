//! Requests that are larger than the store takes are cut into smaller ones: between the spans of
//! one scope, the scopes of one resource, the resources of one request. Only lengths are looked at;
//! the store checks the rest.

use std::io::{self, Read};

/// The field of an `ExportTraceServiceRequest` that holds resource spans, of resource spans that
/// holds scope spans, and of scope spans that holds spans.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SPANS: u32 = 2;

/// Longest single message that is held in memory to be cut.
const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// Cuts a request of any length that is read piece by piece. Each part is a request of about
/// `bytes_max` bytes at most, unless a single span is larger.
#[derive(Debug)]
pub struct Split<R> {
    from: R,
    bytes_max: usize,
    at: u64,
    /// Parts that are ready, last first.
    ready: Vec<Vec<u8>>,
    /// Resource spans that still fit the next part.
    open: Vec<u8>,
    /// What ended it too early; said after the parts before it.
    error: Option<String>,
    ended: bool,
}

impl<R: Read> Split<R> {
    pub fn new(from: R, bytes_max: usize) -> Self {
        let (ready, open) = (Vec::new(), Vec::new());
        Self { from, bytes_max, at: 0, ready, open, error: None, ended: false }
    }

    /// Reads the next field of the request; `false` at its end.
    fn step(&mut self) -> Result<bool, String> {
        let Some(key) = self.varint()? else { return Ok(false) };
        let what =
            |words: &str, at: u64| format!("not an OTLP trace request: {words} at byte {at}");
        let field = u32::try_from(key >> 3).map_err(|_| what("a bad field number", self.at))?;
        let length = match key & 7 {
            0 => {
                self.varint()?.ok_or_else(|| what("an unfinished number", self.at))?;
                return Ok(true);
            }
            1 => 8,
            2 => self.varint()?.ok_or_else(|| what("an unfinished length", self.at))?,
            5 => 4,
            _ => return Err(what("an unknown wire type", self.at)),
        };
        if length > MESSAGE_BYTES_MAX {
            return Err(what(&format!("a message of {length} bytes"), self.at));
        }
        let mut message = Vec::new();
        let read = self.from.by_ref().take(length).read_to_end(&mut message);
        if read.map_err(words)? as u64 != length {
            return Err(what("a length beyond the end", self.at));
        }
        self.at += length;
        if (field, key & 7) == (RESOURCE_SPANS, 2) {
            self.take(message)?;
        }
        Ok(true)
    }

    /// Puts resource spans into the open part, or into parts of their own.
    fn take(&mut self, message: Vec<u8>) -> Result<(), String> {
        if self.open.len() + message.len() > self.bytes_max {
            self.close();
        }
        if message.len() <= self.bytes_max {
            write_field(&mut self.open, RESOURCE_SPANS, &message);
            return Ok(());
        }
        let parts = cut(&message, SCOPE_SPANS, self.bytes_max, &|scope_spans| {
            cut(scope_spans, SPANS, self.bytes_max, &|span| Some(vec![span.to_vec()]))
        });
        let parts = parts.ok_or_else(|| {
            format!("not an OTLP trace request: a broken message before byte {}", self.at)
        })?;
        for part in parts {
            let mut request = Vec::new();
            write_field(&mut request, RESOURCE_SPANS, &part);
            self.ready.insert(0, request);
        }
        Ok(())
    }

    fn close(&mut self) {
        if !self.open.is_empty() {
            self.ready.insert(0, std::mem::take(&mut self.open));
        }
    }

    /// A varint; `None` when the input ends before it.
    fn varint(&mut self) -> Result<Option<u64>, String> {
        let mut value = 0;
        for index in 0..10 {
            let mut byte = [0];
            match self.from.read_exact(&mut byte) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && index == 0 => {
                    return Ok(None);
                }
                Err(error) => return Err(words(error)),
            }
            self.at += 1;
            value |= u64::from(byte[0] & 0x7f) << (7 * index);
            if byte[0] < 0x80 {
                return Ok(Some(value));
            }
        }
        Err(format!("not an OTLP trace request: a bad number before byte {}", self.at))
    }
}

fn words(error: io::Error) -> String {
    format!("cannot read further: {error}")
}

impl<R: Read> Iterator for Split<R> {
    type Item = Result<Vec<u8>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(part) = self.ready.pop() {
                return Some(Ok(part));
            }
            if self.ended {
                return self.error.take().map(Err);
            }
            match self.step() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => self.error = Some(error),
            }
            self.ended = true;
            self.close();
        }
    }
}

/// Cuts one item of a field; `None` when it is broken.
type Cut<'a> = dyn Fn(&[u8]) -> Option<Vec<Vec<u8>>> + 'a;

/// Cuts one field that repeats over several copies of a message; all other fields stand in each
/// copy. `None` when the message is broken.
fn cut(
    message: &[u8],
    repeated: u32,
    bytes_max: usize,
    cut_item: &Cut<'_>,
) -> Option<Vec<Vec<u8>>> {
    let mut common = Vec::new();
    let mut items = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let (field, raw, payload) = next_field(&mut rest)?;
        match payload {
            Some(payload) if field == repeated && payload.len() > bytes_max => {
                items.extend(cut_item(payload)?);
            }
            Some(payload) if field == repeated => items.push(payload.to_vec()),
            _ => common.extend_from_slice(raw),
        }
    }
    let mut parts = Vec::new();
    let mut part = common.clone();
    for item in items {
        if part.len() > common.len() && part.len() + item.len() > bytes_max {
            parts.push(std::mem::replace(&mut part, common.clone()));
        }
        write_field(&mut part, repeated, &item);
    }
    parts.push(part);
    Some(parts)
}

/// A field's number, all its bytes, and its payload if it has a length.
type Field<'a> = (u32, &'a [u8], Option<&'a [u8]>);

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let all = *rest;
    let key = varint(rest)?;
    let mut payload = None;
    let skip = match key & 7 {
        0 => {
            varint(rest)?;
            0
        }
        1 => 8,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            payload = Some(rest.get(..length)?);
            length
        }
        5 => 4,
        _ => return None,
    };
    *rest = rest.get(skip..)?;
    Some((u32::try_from(key >> 3).ok()?, &all[..all.len() - rest.len()], payload))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for index in 0..10 {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write_field(out: &mut Vec<u8>, field: u32, payload: &[u8]) {
    write_varint(out, u64::from(field << 3 | 2));
    write_varint(out, payload.len() as u64);
    out.extend_from_slice(payload);
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use amida::{InstrumentationScope, RequestBuilder, Resource, SpanBuilder, Store};

    use super::*;

    fn request(spans: u64) -> Vec<u8> {
        let trace = "5b8efff798038103d269b633813fc60c".parse().unwrap();
        let mut request = RequestBuilder::new(Resource::default());
        for n in 1..=spans {
            if n % 50 == 1 {
                request = request.resource(Resource::new(&format!("service {}", n / 50)));
            }
            if n % 10 == 1 {
                request = request.scope(InstrumentationScope::new("s"));
            }
            let id = format!("{n:016x}").parse().unwrap();
            let span = SpanBuilder::new(trace, id, "a name of some length").start_ns(1);
            request = request.span(span.attribute("k", "v".repeat(n as usize % 40)));
        }
        request.finish().to_vec()
    }

    fn stored(parts: &[Vec<u8>]) -> Vec<(String, String, String)> {
        let store = Store::in_memory();
        for part in parts {
            assert_eq!(store.append_otlp(part.clone()).unwrap().rejected(), 0);
        }
        let mut spans = Vec::new();
        for batch in store.snapshot().scan(&amida::Predicate::new()).unwrap() {
            let row = |s: amida::SpanRef<'_>| {
                (s.span_id().to_string(), s.service_name().into(), s.scope_name().into())
            };
            spans.extend(batch.unwrap().spans().map(row));
        }
        spans.sort();
        spans
    }

    #[test]
    fn the_parts_hold_the_same_spans_under_the_same_resource_and_scope() {
        let whole = request(300);
        let expected = stored(std::slice::from_ref(&whole));
        for bytes_max in [200, 500, 2_000, 10_000, 1 << 20] {
            let parts: Result<Vec<_>, _> = Split::new(&whole[..], bytes_max).collect();
            let parts = parts.unwrap();
            // A part may be larger by what stands around its spans.
            assert!(parts.iter().all(|part| part.len() < bytes_max + 200), "{bytes_max}");
            assert_eq!(stored(&parts), expected, "{bytes_max}");
        }
    }

    #[test]
    fn a_cut_request_gives_what_is_complete_and_then_an_error() {
        let whole = request(300);
        let mut parts: Vec<_> = Split::new(&whole[..whole.len() - 10], 500).collect();
        let last = parts.pop().unwrap();
        assert!(last.unwrap_err().contains("beyond the end"));
        assert!(parts.len() > 10 && parts.iter().all(|part| part.is_ok()));
    }
}
