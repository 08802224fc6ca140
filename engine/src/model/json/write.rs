//! Values to JSON text.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::double_text;

/// Appends a double in its JSON spelling.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    // Writing to a vector does not fail.
    let _ = if value.is_finite() {
        write!(out, "{value:?}")
    } else {
        write!(out, "{{\"$double\":\"{}\"}}", double_text(value))
    };
}

/// Appends an integer.
pub fn write_int(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends bytes in their JSON spelling.
pub fn write_bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.extend_from_slice(b"{\"$bytes\":\"");
    out.extend_from_slice(STANDARD.encode(value).as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Whether a byte stands in a JSON string as it is.
pub(super) fn is_plain(byte: u8) -> bool {
    (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
}

/// Whether these bytes are ASCII that stands in a JSON string as it is, as nearly all text does.
pub(crate) fn is_plain_ascii(text: &[u8]) -> bool {
    // Eight bytes at once. The highest bit of each byte tells: it is set in what is not ASCII, and
    // becomes so by subtracting more than the byte holds. What a byte borrows from the next one
    // can only make that one look wrong, too, and then this one is.
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let wrong = |eight: u64| {
        let below =
            |bytes: u64, limit: u8| bytes.wrapping_sub(u64::from_ne_bytes([limit; 8])) & !bytes;
        let is = |byte: u8| below(eight ^ u64::from_ne_bytes([byte; 8]), 1);
        (eight | below(eight, 0x20) | is(b'"') | is(b'\\')) & HIGH
    };
    let Some(last) = text.last_chunk() else {
        return text.iter().all(|byte| byte.is_ascii() && is_plain(*byte));
    };
    let (eights, _) = text.as_chunks();
    let found = eights.iter().fold(0, |found, eight| found | wrong(u64::from_ne_bytes(*eight)));
    found | wrong(u64::from_ne_bytes(*last)) == 0
}

/// Appends text as a JSON string: `"` and `\` escaped, control characters as `\n`, `\t`, `\r` or
/// `\u00XX`, everything else as it is.
pub fn write_string(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    let value = value.as_bytes();
    // Looking at all of it without a way out is done many bytes at once.
    if value.iter().fold(true, |all, byte| all & is_plain(*byte)) {
        out.extend_from_slice(value);
        out.push(b'"');
        return;
    }
    let mut plain_from = 0;
    for (at, byte) in value.iter().enumerate() {
        if is_plain(*byte) {
            continue;
        }
        out.extend_from_slice(&value[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(&value[plain_from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::{is_plain, is_plain_ascii, write_string};

    #[test]
    fn eight_bytes_at_once_are_plain_where_each_of_them_is() {
        for len in 0..=25 {
            for at in 0..len {
                for byte in 0..=u8::MAX {
                    // Neighbours of which each is next to one that is not plain, and above others.
                    for (before, after) in [(b' ', b' '), (b'#', b'['), (0x7f, b'!')] {
                        let mut text = vec![before; len];
                        text[at..].fill(after);
                        text[at] = byte;
                        let plain = byte.is_ascii() && is_plain(byte);
                        assert_eq!(is_plain_ascii(&text), plain, "{text:x?}");
                    }
                }
            }
        }
        assert!(is_plain_ascii(b""));
    }

    #[test]
    fn what_is_plain_is_written_as_it_is() {
        for byte in 0..0x80 {
            let text = [b'a', byte, b'z', byte];
            let text = str::from_utf8(&text).expect("ASCII");
            let mut out = Vec::new();
            write_string(&mut out, text);
            let read: String = serde_json::from_slice(&out).expect("a JSON string");
            assert_eq!(read, text);
            assert_eq!(out.len() == text.len() + 2, is_plain_ascii(text.as_bytes()), "{text:?}");
        }
    }
}
