//! Attributes, events and links as text, after the table of the engine's `model::json` and the
//! limits of docs/format.md.

use super::marks;
use super::messages::{AnyValue, Event, KeyValue, Link, Value};
use crate::wire::ANY_VALUE_DEPTH_MAX;

const ATTRIBUTES_MAX: usize = 256;
const EVENTS_MAX: usize = 256;
const LINKS_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 << 10;
const KEY_BYTES_MAX: usize = 1 << 10;

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Base64 with the standard alphabet and padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let six = bits >> (18 - 6 * place) & 63;
            let wanted = place <= chunk.len() as u32;
            out.push(if wanted { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    out
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out + "\""
}

fn double(value: f64) -> String {
    let special = |word: &str| format!("{{\"$double\":\"{word}\"}}");
    if value.is_nan() {
        special("NaN")
    } else if value.is_infinite() {
        special(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        format!("{value:?}")
    }
}

/// Writes text and collects marks.
#[derive(Default)]
pub struct Writer {
    pub marks: u32,
}

/// A key with its value, after repeated keys were merged.
type Entry<'a> = (String, Option<&'a AnyValue>);

impl Writer {
    pub fn mark_if(&mut self, condition: bool, mark: u32) {
        if condition {
            self.marks |= mark;
        }
    }

    fn cut_text(&mut self, bytes: &[u8], bytes_max: usize) -> String {
        let mut text = match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) => {
                self.marks |= marks::REPAIRED_TEXT;
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        self.mark_if(text.len() > bytes_max, marks::TRUNCATED);
        while text.len() > bytes_max {
            text.pop();
        }
        text
    }

    pub fn text(&mut self, bytes: &[u8]) -> String {
        self.cut_text(bytes, VALUE_BYTES_MAX)
    }

    /// The entries that are kept, in order, and the number of those dropped.
    fn entries<'a>(&mut self, pairs: &'a [KeyValue]) -> (Vec<Entry<'a>>, u32) {
        let mut entries: Vec<Entry<'a>> = Vec::new();
        let mut dropped = 0;
        for pair in pairs {
            let key = self.cut_text(&pair.key, KEY_BYTES_MAX);
            let value = pair.value.as_ref();
            if let Some(same) = entries.iter_mut().find(|(other, _)| *other == key) {
                same.1 = value;
                self.marks |= marks::DUPLICATE_KEYS;
            } else if entries.len() == ATTRIBUTES_MAX {
                dropped += 1;
                self.marks |= marks::TRUNCATED;
            } else {
                entries.push((key, value));
            }
        }
        (entries, dropped)
    }

    fn written(&mut self, entries: &[Entry<'_>], depth: usize) -> String {
        let members: Vec<String> = entries
            .iter()
            .map(|(key, value)| format!("{}:{}", quoted(key), self.value(*value, depth)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// An attribute list as a JSON object, and how many attributes were dropped.
    pub fn object(&mut self, pairs: &[KeyValue]) -> (String, u32) {
        let (entries, dropped) = self.entries(pairs);
        (self.written(&entries, 1), dropped)
    }

    fn value(&mut self, value: Option<&AnyValue>, depth: usize) -> String {
        if depth > ANY_VALUE_DEPTH_MAX {
            self.marks |= marks::TOO_DEEP;
            return "null".to_owned();
        }
        match value.and_then(|v| v.value.as_ref()) {
            None | Some(Value::TextIndex(_)) => "null".to_owned(),
            Some(Value::Text(bytes)) => quoted(&self.text(bytes)),
            Some(Value::Bool(value)) => value.to_string(),
            Some(Value::Int(value)) => value.to_string(),
            Some(Value::Double(value)) => double(*value),
            Some(Value::Bytes(bytes)) => {
                self.mark_if(bytes.len() > VALUE_BYTES_MAX, marks::TRUNCATED);
                let kept = &bytes[..bytes.len().min(VALUE_BYTES_MAX)];
                format!("{{\"$bytes\":\"{}\"}}", base64(kept))
            }
            Some(Value::Array(array)) => {
                let values: Vec<String> =
                    array.values.iter().map(|v| self.value(Some(v), depth + 1)).collect();
                format!("[{}]", values.join(","))
            }
            Some(Value::Map(map)) => {
                let (entries, _) = self.entries(&map.values);
                let object = self.written(&entries, depth + 1);
                match entries.as_slice() {
                    [(key, _)] if key.starts_with('$') => format!("{{\"$map\":{object}}}"),
                    _ => object,
                }
            }
        }
    }

    /// `service.name`, if it is text and not empty.
    pub fn service_name(&mut self, pairs: &[KeyValue]) -> Option<String> {
        let (entries, _) = Writer::default().entries(pairs);
        let (_, value) = entries.into_iter().find(|(key, _)| key == "service.name")?;
        match value?.value.as_ref()? {
            Value::Text(bytes) if !bytes.is_empty() => Some(self.text(bytes)),
            _ => None,
        }
    }

    pub fn events(&mut self, events: &[Event]) -> (String, u32) {
        let kept = events.len().min(EVENTS_MAX);
        let texts: Vec<String> = events[..kept].iter().map(|e| self.event(e)).collect();
        self.list(texts, events.len() - kept)
    }

    pub fn links(&mut self, links: &[Link]) -> (String, u32) {
        let kept = links.len().min(LINKS_MAX);
        let texts: Vec<String> = links[..kept].iter().map(|l| self.link(l)).collect();
        self.list(texts, links.len() - kept)
    }

    fn list(&mut self, texts: Vec<String>, over: usize) -> (String, u32) {
        self.mark_if(over > 0, marks::TRUNCATED);
        let text = if texts.is_empty() { String::new() } else { format!("[{}]", texts.join(",")) };
        (text, over as u32)
    }

    fn event(&mut self, event: &Event) -> String {
        self.mark_if(event.time > i64::MAX as u64, marks::STRANGE_TIME);
        let time = event.time.min(i64::MAX as u64);
        let name = quoted(&self.text(&event.name));
        let head = format!("{{\"time\":{time},\"name\":{name}");
        head + &self.tail(&event.attributes, event.dropped)
    }

    fn link(&mut self, link: &Link) -> String {
        let id = |bytes: &[u8]| hex(&bytes[..bytes.len().min(64)]);
        let (trace, span) = (id(&link.trace_id), id(&link.span_id));
        let mut out = format!("{{\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"");
        if !link.trace_state.is_empty() {
            out += &format!(",\"trace_state\":{}", quoted(&self.text(&link.trace_state)));
        }
        if link.flags != 0 {
            out += &format!(",\"flags\":{}", link.flags);
        }
        out + &self.tail(&link.attributes, link.dropped)
    }

    fn tail(&mut self, pairs: &[KeyValue], dropped: u32) -> String {
        let (object, more) = self.object(pairs);
        let mut out = String::new();
        if object != "{}" {
            out += &format!(",\"attributes\":{object}");
        }
        if dropped.saturating_add(more) != 0 {
            out += &format!(",\"dropped\":{}", dropped.saturating_add(more));
        }
        out + "}"
    }
}
