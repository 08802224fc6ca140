//! Protobuf messages as lists of fields, to take apart, change and put together again; and the
//! shape of OTLP trace requests, so that a walk knows which fields are messages.

/// One field as it stands in a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The field number.
    pub number: u32,
    /// Its content.
    pub content: Content,
}

/// The content of a field, by wire type.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64([u8; 8]),
    /// Wire type 2.
    Len(Vec<u8>),
    /// Wire types 3 and 4: a group with its fields.
    Group(Vec<Field>),
    /// Wire type 5.
    Fixed32([u8; 4]),
}

/// Which message a piece of bytes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// ExportTraceServiceRequest.
    Request,
    /// ResourceSpans.
    ResourceSpans,
    /// ScopeSpans.
    ScopeSpans,
    /// Resource.
    Resource,
    /// InstrumentationScope.
    Scope,
    /// Span.
    Span,
    /// Event or link.
    Event,
    /// Link.
    Link,
    /// Status.
    Status,
    /// KeyValue.
    KeyValue,
    /// AnyValue.
    AnyValue,
    /// ArrayValue.
    Array,
    /// KeyValueList.
    KeyValueList,
}

impl Shape {
    /// The shape of a field of this message; `None` when it is no message.
    pub fn of(self, field: u32) -> Option<Shape> {
        use Shape as S;
        Some(match (self, field) {
            (S::Request, 1) => S::ResourceSpans,
            (S::ResourceSpans, 1) => S::Resource,
            (S::ResourceSpans, 2) => S::ScopeSpans,
            (S::ScopeSpans, 1) => S::Scope,
            (S::ScopeSpans, 2) => S::Span,
            (S::Resource, 1) | (S::Scope | S::Event, 3) | (S::Link, 4) | (S::Span, 9) => {
                S::KeyValue
            }
            (S::Span, 11) => S::Event,
            (S::Span, 13) => S::Link,
            (S::Span, 15) => S::Status,
            (S::KeyValue, 2) | (S::Array, 1) => S::AnyValue,
            (S::AnyValue, 5) => S::Array,
            (S::AnyValue, 6) => S::KeyValueList,
            (S::KeyValueList, 1) => S::KeyValue,
            _ => return None,
        })
    }

    /// Whether a message of this shape may come in pieces: a field that holds one such message,
    /// so that a reader merges what comes again.
    pub fn is_singular(self) -> bool {
        matches!(self, Shape::Resource | Shape::Scope | Shape::Status)
    }
}

/// Reads a varint; its value and length.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * at as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            // The tenth byte holds one bit.
            return (at < 9 || *byte < 2).then_some((value, at + 1));
        }
    }
    None
}

/// Appends a varint.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The fields of a message; `None` when the bytes are none.
pub fn parse(mut bytes: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        fields.push(parse_field(&mut bytes, 0)?.ok()?);
    }
    Some(fields)
}

/// A field, or the number of the group that ends here.
fn parse_field(bytes: &mut &[u8], depth: usize) -> Option<Result<Field, u32>> {
    let key = u32::try_from(take_varint(bytes)?).ok()?;
    let number = key >> 3;
    if number == 0 {
        return None;
    }
    let content = match key & 7 {
        0 => Content::Varint(take_varint(bytes)?),
        1 => Content::Fixed64(take(bytes, 8)?.try_into().ok()?),
        2 => {
            let len = usize::try_from(take_varint(bytes)?).ok()?;
            Content::Len(take(bytes, len)?.to_vec())
        }
        3 if depth < 60 => {
            let mut inner = Vec::new();
            loop {
                match parse_field(bytes, depth + 1)? {
                    Ok(field) => inner.push(field),
                    Err(end) if end == number => break,
                    Err(_) => return None,
                }
            }
            Content::Group(inner)
        }
        4 => return Some(Err(number)),
        5 => Content::Fixed32(take(bytes, 4)?.try_into().ok()?),
        _ => return None,
    };
    Some(Ok(Field { number, content }))
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (value, len) = varint(bytes)?;
    take(bytes, len)?;
    Some(value)
}

/// The bytes of these fields.
pub fn put(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        put_field(&mut out, field);
    }
    out
}

fn put_field(out: &mut Vec<u8>, field: &Field) {
    let key = |wire_type| u64::from(field.number << 3 | wire_type);
    match &field.content {
        Content::Varint(value) => {
            put_varint(out, key(0));
            put_varint(out, *value);
        }
        Content::Fixed64(bytes) => {
            put_varint(out, key(1));
            out.extend_from_slice(bytes);
        }
        Content::Len(bytes) => {
            put_varint(out, key(2));
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Content::Group(fields) => {
            put_varint(out, key(3));
            for field in fields {
                put_field(out, field);
            }
            put_varint(out, key(4));
        }
        Content::Fixed32(bytes) => {
            put_varint(out, key(5));
            out.extend_from_slice(bytes);
        }
    }
}

/// Depth of AnyValues that a store reads; what lies deeper is not looked at.
pub const ANY_VALUE_DEPTH_MAX: usize = 16;

/// The request with every AnyValue below the depth limit emptied. Where bytes are no message they
/// stay as they are. Recursion ends at the depth limit.
pub fn prune(bytes: &[u8]) -> Vec<u8> {
    prune_message(bytes, Shape::Request, 0)
}

fn prune_message(bytes: &[u8], shape: Shape, depth: usize) -> Vec<u8> {
    let Some(mut fields) = parse(bytes) else { return bytes.to_vec() };
    for field in &mut fields {
        let (Some(inner), Content::Len(content)) = (shape.of(field.number), &mut field.content)
        else {
            continue;
        };
        if inner == Shape::AnyValue && depth == ANY_VALUE_DEPTH_MAX {
            content.clear();
        } else {
            let deeper = depth + usize::from(inner == Shape::AnyValue);
            *content = prune_message(content, inner, deeper);
        }
    }
    put(&fields)
}
