//! OTLP's messages as something to write, so that one walk writes protobuf and JSON alike.

/// A field of a message: its number in protobuf, its name in JSON.
#[derive(Debug, Clone, Copy)]
pub struct Field(pub u32, pub &'static str);

/// What an `AnyValue` or a key holds. It is written also when it is zero or empty.
#[derive(Debug, Clone, Copy)]
pub enum Scalar<'a> {
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
}

/// A message that is being written. Unless said otherwise a field that is zero or empty is left
/// out, as proto3 has it.
pub trait Message: Sized {
    /// A request is cut into several when it would be larger than this.
    const BYTES_MAX: usize;

    /// A whole message.
    fn document(fill: impl FnOnce(&mut Self)) -> Self;

    /// Bytes written so far.
    fn len(&self) -> usize;

    /// Text.
    fn text(&mut self, field: Field, text: &str);

    /// A trace or span id.
    fn id(&mut self, field: Field, id: &[u8]);

    /// A `uint32` or an enum.
    fn number(&mut self, field: Field, number: u32);

    /// A `fixed32`.
    fn fixed32(&mut self, field: Field, number: u32);

    /// A time as `fixed64`; also when it is zero.
    fn nanos(&mut self, field: Field, ns: u64);

    /// A value; also when it is zero or empty.
    fn scalar(&mut self, field: Field, value: Scalar<'_>);

    /// A message within; also when it is empty.
    fn part(&mut self, field: Field, fill: impl FnOnce(&mut Self));

    /// A message for each of these, in a repeated field.
    fn list<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        write: impl FnMut(&mut Self, T),
    );
}
