//! Writes protobuf: just the wire types that OTLP has.

use crate::otlp::message::{Field, Message, Scalar};

/// Bytes of a protobuf message that is being written.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What was written.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// What was written, owned.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets what was written, keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// An `int32`, `int64`, `uint32`, enum or bool; also when it is zero.
    pub fn varint(&mut self, field: u32, value: u64) {
        self.tag(field, VARINT);
        self.raw_varint(value);
    }

    /// A varint field that is left out when it is zero, as proto3 does.
    pub fn varint_nonzero(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(field, value);
        }
    }

    /// A `fixed64` or `double`.
    pub fn fixed64(&mut self, field: u32, value: u64) {
        self.tag(field, FIXED64);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A `fixed32` that is left out when it is zero.
    pub fn fixed32_nonzero(&mut self, field: u32, value: u32) {
        if value != 0 {
            self.tag(field, FIXED32);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A string, bytes or whole message; also when it is empty.
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, LENGTH);
        self.raw_varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// A string or bytes field that is left out when it is empty.
    pub fn bytes_nonempty(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.bytes(field, value);
        }
    }

    /// Fields that were written elsewhere.
    pub fn append(&mut self, fields: &Self) {
        self.bytes.extend_from_slice(&fields.bytes);
    }

    /// A message, written by `fill`.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) {
        self.tag(field, LENGTH);
        // Most messages are shorter than 128 bytes: room for one byte of length, more when needed.
        let length_at = self.bytes.len();
        self.bytes.push(0);
        fill(self);
        let length = (self.bytes.len() - length_at - 1) as u64;
        let (varint, used) = encode_varint(length);
        self.bytes.splice(length_at..=length_at, varint.into_iter().take(used));
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        self.raw_varint(u64::from(field << 3 | wire_type));
    }

    fn raw_varint(&mut self, value: u64) {
        let (varint, used) = encode_varint(value);
        self.bytes.extend(varint.into_iter().take(used));
    }
}

/// The varint and how many of its bytes count.
fn encode_varint(mut value: u64) -> ([u8; 10], usize) {
    let mut varint = [0u8; 10];
    for (at, byte) in varint.iter_mut().enumerate() {
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return (varint, at + 1);
        }
        *byte |= 0x80;
    }
    (varint, 10)
}

impl Message for Writer {
    const BYTES_MAX: usize = 4 << 20;

    fn document(fill: impl FnOnce(&mut Self)) -> Self {
        let mut out = Self::default();
        fill(&mut out);
        out
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn text(&mut self, field: Field, text: &str) {
        self.bytes_nonempty(field.0, text.as_bytes());
    }

    fn id(&mut self, field: Field, id: &[u8]) {
        self.bytes_nonempty(field.0, id);
    }

    fn number(&mut self, field: Field, number: u32) {
        self.varint_nonzero(field.0, u64::from(number));
    }

    fn fixed32(&mut self, field: Field, number: u32) {
        self.fixed32_nonzero(field.0, number);
    }

    fn nanos(&mut self, field: Field, ns: u64) {
        self.fixed64(field.0, ns);
    }

    fn scalar(&mut self, field: Field, value: Scalar<'_>) {
        match value {
            Scalar::Text(text) => self.bytes(field.0, text.as_bytes()),
            Scalar::Bool(value) => self.varint(field.0, u64::from(value)),
            // Two's complement, as protobuf's int64 is.
            Scalar::Int(value) => self.varint(field.0, value as u64),
            Scalar::Double(value) => self.fixed64(field.0, value.to_bits()),
            Scalar::Bytes(bytes) => self.bytes(field.0, bytes),
        }
    }

    fn part(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        self.message(field.0, fill);
    }

    fn list<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for item in items {
            self.message(field.0, |out| write(out, item));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_take_as_many_bytes_as_they_need() {
        for (value, bytes) in [
            (0, vec![0u8]),
            (127, vec![0x7f]),
            (128, vec![0x80, 1]),
            (u64::MAX, vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Writer::default();
            out.varint(1, value);
            assert_eq!(out.as_slice()[0], 8);
            assert_eq!(&out.as_slice()[1..], bytes, "{value}");
        }
    }

    #[test]
    fn lengths_of_nested_messages_are_right_on_both_sides_of_a_byte() {
        for inner in [0usize, 1, 125, 126, 127, 128, 20_000] {
            let mut out = Writer::default();
            out.message(1, |out| out.message(2, |out| out.bytes_nonempty(3, &vec![7; inner])));
            let mut by_hand = Writer::default();
            by_hand.bytes_nonempty(3, &vec![7; inner]);
            for field in [2, 1] {
                let body = std::mem::take(&mut by_hand).into_bytes();
                by_hand.bytes(field, &body);
            }
            assert_eq!(out.as_slice(), by_hand.as_slice(), "{inner}");
        }
    }
}
