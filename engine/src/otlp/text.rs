//! What becomes of text that was sent: repaired where it is no UTF-8, cut where it is too long.

use std::borrow::Cow;

use crate::model::json;
use crate::model::schema::Marks;

/// Limits of format version 1 on what one span may hold. They belong to the format because a
/// request is read again from the log: it must give the same rows then.
pub mod limits {
    /// Attributes per span, event, link, resource or scope; more are dropped and counted.
    pub const ATTRIBUTES_MAX: usize = 256;
    /// Events per span; more are dropped and counted.
    pub const EVENTS_MAX: usize = 256;
    /// Links per span; more are dropped and counted.
    pub const LINKS_MAX: usize = 256;
    /// Bytes of a text or bytes value, a name or a status message; longer ones are cut.
    pub const VALUE_BYTES_MAX: usize = 64 << 10;
    /// Bytes of an attribute key; longer ones are cut.
    pub const KEY_BYTES_MAX: usize = 1 << 10;
}

/// Text that may not be UTF-8 and may be too long: repaired and cut, with the marks for it.
pub fn text<'a>(bytes: &'a [u8], bytes_max: usize, marks: &mut Marks) -> Cow<'a, str> {
    let mut text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            marks.add(Marks::REPAIRED_TEXT);
            String::from_utf8_lossy(bytes)
        }
    };
    if text.len() > bytes_max {
        marks.add(Marks::TRUNCATED);
        let cut = text.floor_char_boundary(bytes_max);
        match &mut text {
            Cow::Borrowed(borrowed) => *borrowed = &borrowed[..cut],
            Cow::Owned(owned) => owned.truncate(cut),
        }
    }
    text
}

/// Appends text as a JSON string, repaired and cut as `text` does it.
pub fn write_text(out: &mut Vec<u8>, bytes: &[u8], bytes_max: usize, marks: &mut Marks) {
    if bytes.len() <= bytes_max && json::is_plain_ascii(bytes) {
        out.push(b'"');
        out.extend_from_slice(bytes);
        out.push(b'"');
    } else {
        json::write_string(out, &text(bytes, bytes_max, marks));
    }
}
