//! Events and links to the JSON text of their columns (`model::json`).

use super::attributes::Attributes;
use super::keys::ScopeKeys;
use super::text::{limits, write_text};
use super::wire::Fields;
use crate::model::json;
use crate::model::schema::Marks;

/// Writes messages as a JSON array; nothing at all for none.
pub fn write_list(
    out: &mut Vec<u8>,
    messages: &[&[u8]],
    mut write: impl FnMut(&mut Vec<u8>, &[u8]),
) {
    for (index, message) in messages.iter().enumerate() {
        out.push(if index == 0 { b'[' } else { b',' });
        write(out, message);
    }
    if !messages.is_empty() {
        out.push(b']');
    }
}

/// Appends an Event message.
pub fn write_event(out: &mut Vec<u8>, message: &[u8], keys: &mut ScopeKeys, marks: &mut Marks) {
    let mut attributes = Attributes::begin(keys);
    let (mut time, mut name, mut dropped): (u64, &[u8], u32) = (0, &[], 0);
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        match field {
            1 => time = value.fixed64(),
            2 => name = value.bytes(),
            3 => attributes.push(value.bytes(), keys, marks),
            4 => dropped = value.varint() as u32,
            _ => {}
        }
    }
    // A time beyond i64 nanoseconds stands as the last one that fits.
    let time = i64::try_from(time).unwrap_or_else(|_| {
        marks.add(Marks::STRANGE_TIME);
        i64::MAX
    });
    out.extend_from_slice(b"{\"time\":");
    json::write_int(out, time);
    out.extend_from_slice(b",\"name\":");
    write_text(out, name, limits::VALUE_BYTES_MAX, marks);
    write_tail(out, &attributes, dropped, keys, marks);
}

/// Appends a Link message.
pub fn write_link(out: &mut Vec<u8>, message: &[u8], keys: &mut ScopeKeys, marks: &mut Marks) {
    let mut attributes = Attributes::begin(keys);
    let (mut trace_id, mut span_id, mut state): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let (mut dropped, mut flags) = (0_u32, 0_u32);
    let mut fields = Fields::new(message, 0);
    while let Ok(Some((field, value))) = fields.next() {
        match field {
            1 => trace_id = value.bytes(),
            2 => span_id = value.bytes(),
            3 => state = value.bytes(),
            4 => attributes.push(value.bytes(), keys, marks),
            5 => dropped = value.varint() as u32,
            6 => flags = value.fixed32(),
            _ => {}
        }
    }
    out.extend_from_slice(b"{\"trace_id\":\"");
    out.extend_from_slice(hex::encode(cut(trace_id)).as_bytes());
    out.extend_from_slice(b"\",\"span_id\":\"");
    out.extend_from_slice(hex::encode(cut(span_id)).as_bytes());
    out.push(b'"');
    if !state.is_empty() {
        out.extend_from_slice(b",\"trace_state\":");
        write_text(out, state, limits::VALUE_BYTES_MAX, marks);
    }
    if flags != 0 {
        out.extend_from_slice(b",\"flags\":");
        json::write_int(out, i64::from(flags));
    }
    write_tail(out, &attributes, dropped, keys, marks);
}

/// A link's ids are kept as they were sent, whatever their length, up to a bound.
fn cut(id: &[u8]) -> &[u8] {
    &id[..id.len().min(64)]
}

/// Attributes and dropped count, left out where there is nothing, and the closing brace.
fn write_tail(
    out: &mut Vec<u8>,
    attributes: &Attributes<'_>,
    dropped: u32,
    keys: &mut ScopeKeys,
    marks: &mut Marks,
) {
    if !attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        attributes.write_counted(out, keys, marks);
    }
    let dropped = dropped.saturating_add(attributes.dropped);
    if dropped != 0 {
        out.extend_from_slice(b",\"dropped\":");
        json::write_int(out, i64::from(dropped));
    }
    out.push(b'}');
}
