//! Runs of spans of one trace, as bytes: a third of what the spans themselves take.
//!
//! A run is, with all numbers as LEB128 varints (signed ones zigzag):
//!
//! | part | meaning |
//! |---|---|
//! | names | how many services, then of each the length of its name and the name |
//! | count | how many spans |
//! | of each span | flags, its service's place among the names, its id (8 bytes), |
//! | | its parent's id (8 bytes) where the flags say so, |
//! | | its start less the start before it, its duration |

/// A span; its service by a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) id: u64,
    pub(super) parent: Option<u64>,
    pub(super) start_ns: i64,
    pub(super) duration_ns: i64,
    pub(super) service: u32,
    pub(super) is_error: bool,
}

/// Bit of the flags: the span failed.
const ERROR: u8 = 1;
/// The other bits say which its parent is: none, the one of the span before, or one that is named.
const NO_PARENT: u8 = 0;
const SAME_PARENT: u8 = 2;
const SPAN_BEFORE: u8 = 4;
const NAMED: u8 = 6;

/// Appends a run of these spans; `name` gives the name of a service.
pub(super) fn encode<'n>(out: &mut Vec<u8>, spans: &[Span], name: impl Fn(u32) -> &'n str) {
    // Few services take part in a trace.
    let mut services: Vec<u32> = Vec::new();
    let mut places = Vec::with_capacity(spans.len());
    for span in spans {
        let place = services.iter().position(|service| *service == span.service);
        places.push(place.unwrap_or_else(|| {
            services.push(span.service);
            services.len() - 1
        }));
    }
    put(out, services.len() as u64);
    for service in services {
        let name = name(service);
        put(out, name.len() as u64);
        out.extend(name.as_bytes());
    }
    put(out, spans.len() as u64);
    let mut before = BEFORE;
    for (span, place) in spans.iter().zip(places) {
        let parent = match span.parent {
            None => NO_PARENT,
            same if same == before.parent => SAME_PARENT,
            Some(parent) if parent == before.id => SPAN_BEFORE,
            Some(_) => NAMED,
        };
        out.push(parent | if span.is_error { ERROR } else { 0 });
        put(out, place as u64);
        out.extend(span.id.to_le_bytes());
        if parent == NAMED {
            out.extend(span.parent.unwrap_or_default().to_le_bytes());
        }
        put_signed(out, span.start_ns.wrapping_sub(before.start_ns));
        put_signed(out, span.duration_ns);
        before = *span;
    }
}

/// What is before the first span.
const BEFORE: Span =
    Span { id: 0, parent: None, start_ns: 0, duration_ns: 0, service: 0, is_error: false };

/// Adds the spans of all runs in these bytes; `number` gives the number of a service's name. `None`
/// when the bytes are no runs.
pub(super) fn decode<'b>(
    mut bytes: &'b [u8],
    spans: &mut Vec<Span>,
    mut number: impl FnMut(&'b str) -> u32,
) -> Option<()> {
    let bytes = &mut bytes;
    let mut services = Vec::new();
    while !bytes.is_empty() {
        services.clear();
        for _ in 0..take(bytes)? {
            let len = usize::try_from(take(bytes)?).ok()?;
            let (name, rest) = bytes.split_at_checked(len)?;
            services.push(number(std::str::from_utf8(name).ok()?));
            *bytes = rest;
        }
        let mut before = BEFORE;
        for _ in 0..take(bytes)? {
            let (flags, rest) = bytes.split_first()?;
            *bytes = rest;
            let service = *services.get(usize::try_from(take(bytes)?).ok()?)?;
            let id = take_id(bytes)?;
            let parent = match flags & NAMED {
                NO_PARENT => None,
                SAME_PARENT => before.parent,
                SPAN_BEFORE => Some(before.id),
                _ => Some(take_id(bytes)?),
            };
            let start_ns = before.start_ns.wrapping_add(take_signed(bytes)?);
            let duration_ns = take_signed(bytes)?;
            let is_error = flags & ERROR != 0;
            before = Span { id, parent, start_ns, duration_ns, service, is_error };
            spans.push(before);
        }
    }
    Some(())
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take_signed(bytes: &mut &[u8]) -> Option<i64> {
    let value = take(bytes)?;
    Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
}

fn take_id(bytes: &mut &[u8]) -> Option<u64> {
    let (id, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*id))
}

#[cfg(test)]
mod tests {
    use super::{Span, decode, encode};

    #[test]
    fn runs_come_back_as_they_were() {
        let names = ["a", "", "くじ"];
        let span = |id, parent, start_ns, duration_ns, service, is_error| Span {
            id,
            parent,
            start_ns,
            duration_ns,
            service,
            is_error,
        };
        let spans = [
            span(7, None, 1_700_000_000_000_000_000, 5, 2, false),
            span(8, Some(7), 1_700_000_000_000_000_001, -1, 0, true),
            span(9, Some(7), 1_600_000_000_000_000_000, i64::MAX, 2, false),
            span(9, Some(0), i64::MIN, i64::MIN, 1, true),
            span(u64::MAX, Some(8), i64::MAX, 0, 1, false),
            span(1, None, 0, 0, 0, true),
        ];
        let mut bytes = Vec::new();
        let runs = [&spans[..], &spans[2..], &[]];
        runs.iter().for_each(|run| encode(&mut bytes, run, |number| names[number as usize]));
        let mut read = Vec::new();
        let number = |name: &str| names.iter().position(|n| *n == name).expect("a name") as u32;
        assert_eq!(decode(&bytes, &mut read, number), Some(()));
        assert_eq!(read, runs.concat());
        let mut whole = 0;
        for end in 0..bytes.len() {
            let read = decode(&bytes[..end], &mut Vec::new(), |_| 0);
            whole += usize::from(read.is_some());
        }
        // Cut bytes are runs only where one ends.
        assert_eq!(whole, runs.len());
    }
}
