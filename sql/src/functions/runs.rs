//! Runs of spans of one trace, as bytes: a third of what the spans themselves take.
//!
//! A run is, with all numbers as LEB128 varints (signed ones zigzag):
//!
//! | part | meaning |
//! |---|---|
//! | names | how many services, then of each the length of its name and the name |
//! | count | how many spans |
//! | of each span | a byte of flags and its service's place among the names, |
//! | | the place where that byte says that it follows, its id (8 bytes), |
//! | | where its parent is (one byte) or its parent's id (8 bytes) where the flags say so, |
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
/// Two bits say which its parent is: none, the one of the span before, one of the spans before, or
/// one that is named.
const NO_PARENT: u8 = 0;
const SAME_PARENT: u8 = 2;
const BEFORE: u8 = 4;
const NAMED: u8 = 6;
/// The other bits are the place of its service, or say that it follows.
const PLACE_SHIFT: u32 = 3;
const PLACE_FOLLOWS: u8 = 31;
/// A parent is looked for among so many spans before: one byte says which.
const BACK_MAX: usize = 127;

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
    let mut before = NOTHING;
    for (at, (span, place)) in spans.iter().zip(places).enumerate() {
        let earlier = &spans[at.saturating_sub(BACK_MAX)..at];
        let back = |parent| earlier.iter().rev().position(|span| span.id == parent);
        let (parent, back) = match span.parent {
            None => (NO_PARENT, None),
            same if same == before.parent => (SAME_PARENT, None),
            Some(parent) => back(parent).map_or((NAMED, None), |back| (BEFORE, Some(back))),
        };
        let short = u8::try_from(place).unwrap_or(PLACE_FOLLOWS).min(PLACE_FOLLOWS);
        out.push(short << PLACE_SHIFT | parent | u8::from(span.is_error));
        if short == PLACE_FOLLOWS {
            put(out, place as u64);
        }
        out.extend(span.id.to_le_bytes());
        match (back, span.parent) {
            (Some(back), _) => put(out, back as u64),
            (None, Some(id)) if parent == NAMED => out.extend(id.to_le_bytes()),
            _ => {}
        }
        put_signed(out, span.start_ns.wrapping_sub(before.start_ns));
        put_signed(out, span.duration_ns);
        before = *span;
    }
}

/// What is before the first span.
const NOTHING: Span =
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
        let first = spans.len();
        let mut before = NOTHING;
        for _ in 0..take(bytes)? {
            let (flags, rest) = bytes.split_first()?;
            *bytes = rest;
            let place = match flags >> PLACE_SHIFT {
                PLACE_FOLLOWS => usize::try_from(take(bytes)?).ok()?,
                place => usize::from(place),
            };
            let service = *services.get(place)?;
            let id = take_id(bytes)?;
            let parent = match flags & NAMED {
                NO_PARENT => None,
                SAME_PARENT => before.parent,
                BEFORE => {
                    let back = usize::try_from(take(bytes)?).ok()?;
                    Some(spans.get(first..)?.iter().nth_back(back)?.id)
                }
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

    #[test]
    fn parents_and_services_that_are_far_come_back_too() {
        let names: Vec<String> = (0..70).map(|number| format!("service {number}")).collect();
        // Every span's parent is one of another distance: 1 to 300 spans before it.
        let spans: Vec<Span> = (1..=300)
            .map(|id| Span {
                id,
                parent: Some((id * 7 % 300).min(id - 1)),
                start_ns: 0,
                duration_ns: 0,
                service: (id % 70) as u32,
                is_error: false,
            })
            .collect();
        let mut bytes = Vec::new();
        let run = &spans[..];
        [run, run].iter().for_each(|run| encode(&mut bytes, run, |n| &names[n as usize]));
        let mut read = Vec::new();
        let number = |name: &str| names.iter().position(|n| n == name).expect("a name") as u32;
        assert_eq!(decode(&bytes, &mut read, number), Some(()));
        assert_eq!(read, [run, run].concat());
    }
}
