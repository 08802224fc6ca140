//! OTLP/JSON, being written: ids in hex, 64-bit integers as text, bytes in base64, enums as
//! numbers, NaN and the infinities as words.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};
use crate::model::json;
use crate::otlp::message::{Field, Message, Scalar};

/// A JSON object that is being written.
#[derive(Debug)]
pub struct JsonText(Vec<u8>);

impl JsonText {
    /// What was written.
    pub fn into_string(self) -> Result<String> {
        String::from_utf8(self.0)
            .map_err(|e| Error::invalid(format!("spans that are no text: {e}")))
    }

    fn name(&mut self, field: Field) {
        // Whatever stands before a name but the opening brace is another field.
        if !self.0.ends_with(b"{") {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(field.1.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        fill(self);
        self.0.push(b'}');
    }

    /// Text that needs no escapes.
    fn quoted(&mut self, text: &str) {
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }
}

impl Message for JsonText {
    /// The Collector's otlpjsonfile receiver reads lines of up to 1 MiB unless told otherwise.
    const BYTES_MAX: usize = 1 << 20;

    fn document(fill: impl FnOnce(&mut Self)) -> Self {
        let mut out = Self(Vec::new());
        out.object(fill);
        out
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn text(&mut self, field: Field, text: &str) {
        if !text.is_empty() {
            self.name(field);
            json::write_string(&mut self.0, text);
        }
    }

    fn id(&mut self, field: Field, id: &[u8]) {
        if !id.is_empty() {
            self.name(field);
            self.quoted(&hex::encode(id));
        }
    }

    fn number(&mut self, field: Field, number: u32) {
        if number != 0 {
            self.name(field);
            self.0.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
    }

    fn fixed32(&mut self, field: Field, number: u32) {
        self.number(field, number);
    }

    fn nanos(&mut self, field: Field, ns: u64) {
        self.name(field);
        self.quoted(itoa::Buffer::new().format(ns));
    }

    fn scalar(&mut self, field: Field, value: Scalar<'_>) {
        self.name(field);
        match value {
            Scalar::Text(text) => json::write_string(&mut self.0, text),
            Scalar::Bool(value) => {
                self.0.extend_from_slice(if value { &b"true"[..] } else { b"false" })
            }
            Scalar::Int(value) => self.quoted(itoa::Buffer::new().format(value)),
            Scalar::Double(value) if value.is_finite() => {
                self.0.extend_from_slice(json::double_text(value).as_bytes());
            }
            Scalar::Double(value) => self.quoted(&json::double_text(value)),
            Scalar::Bytes(bytes) => self.quoted(&STANDARD.encode(bytes)),
        }
    }

    fn part(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        self.name(field);
        self.object(fill);
    }

    fn list<T>(
        &mut self,
        field: Field,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let mut any = false;
        for item in items {
            if any {
                self.0.push(b',');
            } else {
                self.name(field);
                self.0.push(b'[');
                any = true;
            }
            self.object(|out| write(out, item));
        }
        if any {
            self.0.push(b']');
        }
    }
}
