//! Events and links to the JSON text of their columns (`model::json`).

use super::attributes::Attributes;
use super::keys::ScopeKeys;
use super::text::{limits, text};
use super::wire::Fields;
use crate::model::json;
use crate::model::schema::Marks;

/// Writes messages as a JSON array; nothing at all for none.
pub fn write_list(out: &mut String, messages: &[&[u8]], mut write: impl FnMut(&mut String, &[u8])) {
    for (index, message) in messages.iter().enumerate() {
        out.push(if index == 0 { '[' } else { ',' });
        write(out, message);
    }
    if !messages.is_empty() {
        out.push(']');
    }
}

/// Appends an Event message.
pub fn write_event(out: &mut String, message: &[u8], keys: &mut ScopeKeys, marks: &mut Marks) {
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
    out.push_str("{\"time\":");
    json::write_int(out, time);
    out.push_str(",\"name\":");
    json::write_string(out, &text(name, limits::VALUE_BYTES_MAX, marks));
    write_tail(out, &attributes, dropped, keys, marks);
}

/// Appends a Link message.
pub fn write_link(out: &mut String, message: &[u8], keys: &mut ScopeKeys, marks: &mut Marks) {
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
    out.push_str("{\"trace_id\":\"");
    out.push_str(&hex::encode(cut(trace_id)));
    out.push_str("\",\"span_id\":\"");
    out.push_str(&hex::encode(cut(span_id)));
    out.push('"');
    if !state.is_empty() {
        out.push_str(",\"trace_state\":");
        json::write_string(out, &text(state, limits::VALUE_BYTES_MAX, marks));
    }
    if flags != 0 {
        out.push_str(",\"flags\":");
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
    out: &mut String,
    attributes: &Attributes<'_>,
    dropped: u32,
    keys: &mut ScopeKeys,
    marks: &mut Marks,
) {
    if !attributes.is_empty() {
        out.push_str(",\"attributes\":");
        attributes.write_counted(out, keys, marks);
    }
    let dropped = dropped.saturating_add(attributes.dropped);
    if dropped != 0 {
        out.push_str(",\"dropped\":");
        json::write_int(out, i64::from(dropped));
    }
    out.push('}');
}
