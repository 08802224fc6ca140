//! The protobuf wire format, read in place: fields one after the other, checked against tables of
//! the messages that OTLP traces consist of.
//!
//! Source: the encoding page of the Protocol Buffers documentation, and opentelemetry-proto's
//! trace, resource and common definitions, v1. Strictness is prost's: a known field of a wrong wire
//! type, field number 0, an unfinished varint or message make the request invalid; unknown fields
//! are skipped.

use std::fmt;

/// Why bytes are no protobuf message of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Offset in the request, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not an OTLP trace request: {} at byte {}", self.what, self.at)
    }
}

/// One field's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// int32, int64, uint32, bool, enum.
    Varint(u64),
    /// fixed64, double.
    Fixed64(u64),
    /// string, bytes, message; with its offset in the request.
    Len(&'a [u8], usize),
    /// fixed32.
    Fixed32(u32),
    /// A group, which no OTLP message has; skipped.
    Group,
}

impl<'a> Value<'a> {
    /// The number of a varint field; 0 for another wire type, which `check` refused.
    pub fn varint(self) -> u64 {
        if let Value::Varint(v) = self { v } else { 0 }
    }

    /// The number of a fixed64 field.
    pub fn fixed64(self) -> u64 {
        if let Value::Fixed64(v) = self { v } else { 0 }
    }

    /// The number of a fixed32 field.
    pub fn fixed32(self) -> u32 {
        if let Value::Fixed32(v) = self { v } else { 0 }
    }

    /// The bytes of a string, bytes or message field.
    pub fn bytes(self) -> &'a [u8] {
        if let Value::Len(b, _) = self { b } else { &[] }
    }
}

/// Groups may be nested this deep; prost's limit for messages and groups together.
const GROUP_DEPTH_MAX: usize = 100;

/// Reads the fields of one message.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the request.
    at: usize,
}

impl<'a> Fields<'a> {
    /// The fields of a message that stands at this offset of the request.
    pub fn new(message: &'a [u8], at: usize) -> Self {
        Self { rest: message, at }
    }

    /// The next field's number and value; `None` at the end of the message.
    #[inline(always)]
    pub fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (field, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = self.varint()?;
                let at = self.at;
                let len = usize::try_from(len).unwrap_or(usize::MAX);
                Value::Len(self.take(len)?, at.max(self.at - len))
            }
            3 => {
                self.skip_group(field)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(self.wrong("an unknown wire type")),
        };
        Ok(Some((field, value)))
    }

    fn wrong(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    #[inline(always)]
    fn tag(&mut self) -> Result<(u32, u32), Malformed> {
        let key = self.varint()?;
        let key = u32::try_from(key).map_err(|_| self.wrong("a field number out of range"))?;
        if key >> 3 == 0 {
            return Err(self.wrong("field number 0"));
        }
        Ok((key >> 3, key & 7))
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64, Malformed> {
        // Most keys, lengths and small numbers are one byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == 9 && byte > 1 {
                    return Err(self.wrong("a varint of more than 64 bits"));
                }
                self.rest = &self.rest[index + 1..];
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(self.wrong("an unfinished varint"))
    }

    #[inline(always)]
    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.wrong("a length beyond the end of its message"));
        };
        self.rest = rest;
        self.at += len;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| self.wrong("an unfinished number"))
    }

    /// Skips to the end tag of a group whose start tag was read; nested groups by a stack of field
    /// numbers, never by recursion.
    fn skip_group(&mut self, field: u32) -> Result<(), Malformed> {
        let mut open = vec![field];
        while let Some(&innermost) = open.last() {
            if self.rest.is_empty() {
                return Err(self.wrong("an unfinished group"));
            }
            let (field, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.take(8)?),
                2 => {
                    let len = self.varint()?;
                    self.take(usize::try_from(len).unwrap_or(usize::MAX))?;
                }
                3 if open.len() < GROUP_DEPTH_MAX => open.push(field),
                3 => return Err(self.wrong("groups nested too deeply")),
                4 if field == innermost => drop(open.pop()),
                5 => drop(self.take(4)?),
                _ => return Err(self.wrong("an end of group that does not match")),
            }
        }
        Ok(())
    }
}

/// Key and value of a KeyValue message as everybody writes it: both, each once, in this order. Of a
/// message that is written otherwise nothing is said. Without this an append takes half as much
/// time again.
#[inline(always)]
pub fn usual_key_value(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let (key, rest) = short_bytes(0x0a, message)?;
    let (value, rest) = short_bytes(0x12, rest)?;
    rest.is_empty().then_some((key, value))
}

/// The only field of an AnyValue message as everybody writes it: a text, a bool, a small number or
/// a double.
#[inline(always)]
pub fn usual_scalar(message: &[u8]) -> Option<(u32, Value<'_>)> {
    let small = |low: u8, high: u8| u64::from(low & 0x7f) | u64::from(high) << 7;
    match message {
        [0x0a, ..] => {
            let (text, rest) = short_bytes(0x0a, message)?;
            rest.is_empty().then_some((1, Value::Len(text, 0)))
        }
        [0x10, value @ 0..0x80] => Some((2, Value::Varint(small(*value, 0)))),
        [0x18, value @ 0..0x80] => Some((3, Value::Varint(small(*value, 0)))),
        [0x18, low @ 0x80..=0xff, high @ 0..0x80] => Some((3, Value::Varint(small(*low, *high)))),
        [0x21, bits @ ..] => Some((4, Value::Fixed64(u64::from_le_bytes(bits.try_into().ok()?)))),
        _ => None,
    }
}

/// A string, bytes or message field with this tag, whose length takes a byte or two; and what
/// follows it.
#[inline(always)]
fn short_bytes(tag: u8, message: &[u8]) -> Option<(&[u8], &[u8])> {
    match message {
        [first, len @ 0..0x80, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*len))
        }
        [first, low @ 0x80..=0xff, high @ 0..0x80, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*low & 0x7f) | usize::from(*high) << 7)
        }
        _ => None,
    }
}

/// What a field must be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Varint,
    Fixed64,
    Fixed32,
    /// string or bytes; text is repaired when it is read, never refused.
    Bytes,
    Message(&'static Table),
    /// A KeyValue, which most messages are.
    KeyValue,
    /// An AnyValue, whose nesting is counted.
    AnyValue,
}

/// A message's known fields: number, kind.
#[derive(Debug)]
pub struct Table(pub &'static [(u32, Kind)]);

/// AnyValues are read to this depth; a value below is replaced by `null` and marked. A constant of
/// format version 1.
pub const ANY_VALUE_DEPTH_MAX: usize = 16;

static ANY_VALUE: Table = Table(&[
    (1, Kind::Bytes),
    (2, Kind::Varint),
    (3, Kind::Varint),
    (4, Kind::Fixed64),
    (5, Kind::Message(&ARRAY_VALUE)),
    (6, Kind::Message(&KEY_VALUE_LIST)),
    (7, Kind::Bytes),
    (8, Kind::Varint),
]);
static ARRAY_VALUE: Table = Table(&[(1, Kind::AnyValue)]);
static KEY_VALUE_LIST: Table = Table(&[(1, Kind::KeyValue)]);
static KEY_VALUE: Table = Table(&[(1, Kind::Bytes), (2, Kind::AnyValue), (3, Kind::Varint)]);
static ENTITY_REF: Table =
    Table(&[(1, Kind::Bytes), (2, Kind::Bytes), (3, Kind::Bytes), (4, Kind::Bytes)]);
static EVENT: Table =
    Table(&[(1, Kind::Fixed64), (2, Kind::Bytes), (3, Kind::KeyValue), (4, Kind::Varint)]);
static LINK: Table = Table(&[
    (1, Kind::Bytes),
    (2, Kind::Bytes),
    (3, Kind::Bytes),
    (4, Kind::KeyValue),
    (5, Kind::Varint),
    (6, Kind::Fixed32),
]);
static STATUS: Table = Table(&[(2, Kind::Bytes), (3, Kind::Varint)]);
/// Resource.
pub static RESOURCE: Table =
    Table(&[(1, Kind::KeyValue), (2, Kind::Varint), (3, Kind::Message(&ENTITY_REF))]);
/// InstrumentationScope.
pub static SCOPE: Table =
    Table(&[(1, Kind::Bytes), (2, Kind::Bytes), (3, Kind::KeyValue), (4, Kind::Varint)]);
/// Span.
pub static SPAN: Table = Table(&[
    (1, Kind::Bytes),
    (2, Kind::Bytes),
    (3, Kind::Bytes),
    (4, Kind::Bytes),
    (5, Kind::Bytes),
    (6, Kind::Varint),
    (7, Kind::Fixed64),
    (8, Kind::Fixed64),
    (9, Kind::KeyValue),
    (10, Kind::Varint),
    (11, Kind::Message(&EVENT)),
    (12, Kind::Varint),
    (13, Kind::Message(&LINK)),
    (14, Kind::Varint),
    (15, Kind::Message(&STATUS)),
    (16, Kind::Fixed32),
]);
/// ScopeSpans; what it holds is checked by whoever reads it.
pub static SCOPE_SPANS: Table = Table(&[(1, Kind::Bytes), (2, Kind::Bytes), (3, Kind::Bytes)]);
/// ResourceSpans; what it holds is checked by whoever reads it.
pub static RESOURCE_SPANS: Table = Table(&[(1, Kind::Bytes), (2, Kind::Bytes), (3, Kind::Bytes)]);
/// ExportTraceServiceRequest.
pub static REQUEST: Table = Table(&[(1, Kind::Bytes)]);

impl Table {
    #[inline(always)]
    fn kind(&self, field: u32) -> Option<Kind> {
        // Fields are listed by number, mostly without gaps.
        let guess = usize::try_from(field).unwrap_or(usize::MAX).wrapping_sub(1);
        match self.0.get(guess) {
            Some((number, kind)) if *number == field => Some(*kind),
            _ => self.0.iter().find(|(number, _)| *number == field).map(|(_, kind)| *kind),
        }
    }

    /// Checks one field of this message and everything inside it. `depth` counts the AnyValues
    /// around it.
    #[inline(always)]
    pub fn check(&self, field: u32, value: Value<'_>, depth: usize) -> Result<(), Malformed> {
        let Some(kind) = self.kind(field) else { return Ok(()) };
        match (kind, value) {
            (Kind::Varint, Value::Varint(_))
            | (Kind::Fixed64, Value::Fixed64(_))
            | (Kind::Fixed32, Value::Fixed32(_))
            | (Kind::Bytes, Value::Len(..)) => Ok(()),
            (Kind::Message(table), Value::Len(message, at)) => table.check_all(message, at, depth),
            (Kind::KeyValue, Value::Len(message, at)) => {
                let usual = usual_key_value(message).and_then(|(_, value)| usual_scalar(value));
                if usual.is_some() { Ok(()) } else { KEY_VALUE.check_all(message, at, depth) }
            }
            (Kind::AnyValue, Value::Len(..)) if depth == ANY_VALUE_DEPTH_MAX => Ok(()),
            (Kind::AnyValue, Value::Len(message, at)) => {
                ANY_VALUE.check_all(message, at, depth + 1)
            }
            (_, Value::Len(_, at)) => Err(Malformed { at, what: WRONG_TYPE }),
            _ => Err(Malformed { at: 0, what: WRONG_TYPE }),
        }
    }

    /// Checks all fields of a message. Recurses at most twice per level of AnyValue.
    pub fn check_all(&self, message: &[u8], at: usize, depth: usize) -> Result<(), Malformed> {
        let mut fields = Fields::new(message, at);
        while let Some((field, value)) = fields.next()? {
            self.check(field, value, depth).map_err(|mut malformed| {
                if malformed.at == 0 {
                    malformed.at = fields.at;
                }
                malformed
            })?;
        }
        Ok(())
    }
}

const WRONG_TYPE: &str = "a field of a wrong wire type";

#[cfg(test)]
mod tests;
