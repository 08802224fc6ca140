//! What the first bytes of a file say about it.

use super::kind;
use super::stream::BOM;
use crate::args::InputFormat;

/// As many bytes are looked at.
pub const SNIFF_BYTES: usize = 64 << 10;

pub const GZIP: &[u8] = &[0x1f, 0x8b];
pub const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// How a file that begins so is compressed.
pub fn compression(head: &[u8]) -> Compression {
    if head.starts_with(GZIP) {
        Compression::Gzip
    } else if head.starts_with(ZSTD) {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// The format of a file that begins so, after decompression.
///
/// # Errors
/// What the file looks like instead.
pub fn format(head: &[u8]) -> Result<InputFormat, String> {
    if head.is_empty() {
        return Err("the file is empty".to_owned());
    }
    if head.starts_with(b"PAR1") {
        return Ok(InputFormat::Parquet);
    }
    // The file format, or a stream, whose messages begin with this mark.
    if head.starts_with(b"ARROW1\0\0") || head.starts_with(&[0xff; 4]) {
        return Ok(InputFormat::Arrow);
    }
    if is_json(head) {
        return Ok(kind::json(head.strip_prefix(BOM).unwrap_or(head)));
    }
    if is_framed(head) {
        return Ok(InputFormat::OtlpProtoFramed);
    }
    // The one field of a request: resource_spans, a message.
    if head.first() == Some(&0x0a) && !is_text(head) {
        return Ok(InputFormat::OtlpProto);
    }
    Err(format!("not recognised as spans: {}", looks_like(head)))
}

/// JSON begins with a bracket. A line feed before it is also the first byte of a protobuf request,
/// whose next byte may well be a bracket: but protobuf has bytes that no text has.
fn is_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(BOM).unwrap_or(head);
    let bracket = text.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_bracket = matches!(bracket, Some(b'{' | b'['));
    is_bracket && (head.first() != Some(&0x0a) || is_text(head))
}

/// Lengths of messages are below 2^27, so the first of their four bytes is small; behind them
/// stands a request, as it is, as JSON, or compressed by zstd.
fn is_framed(head: &[u8]) -> bool {
    let Some((length, message)) = head.split_at_checked(4) else { return false };
    length[0] < 8
        && (length == [0; 4]
            || message.first() == Some(&0x0a)
            || message.starts_with(ZSTD)
            || message.first() == Some(&b'{'))
}

fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| *byte >= 0x20 || byte.is_ascii_whitespace())
}

fn looks_like(head: &[u8]) -> String {
    let known: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "this is a zip archive; unpack it first"),
        (b"BZh", "this is compressed by bzip2; gzip and zstd are read"),
        (b"\xfd7zXZ", "this is compressed by xz; gzip and zstd are read"),
        (b"SQLite format 3", "this is an SQLite database"),
        (b"\x7fELF", "this is a program"),
    ];
    if let Some((_, words)) = known.iter().find(|(magic, _)| head.starts_with(magic)) {
        return (*words).to_owned();
    }
    if head.len() > 262 && &head[257..262] == b"ustar" {
        return "this is a tar archive; unpack it first".to_owned();
    }
    if is_text(head) {
        let line = head.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let start: String = line.trim().chars().take(40).collect();
        return format!("this is text that begins with {start:?}");
    }
    let bytes: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("it begins with the bytes {}", bytes.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart_by_their_first_bytes() {
        use InputFormat::{Arrow, JaegerJson, Parquet, ZipkinJson};
        use InputFormat::{OtlpJson, OtlpProto, OtlpProtoFramed};
        for (head, is) in [
            (&b"{\"resourceSpans\""[..], OtlpJson),
            (b"\xef\xbb\xbf \n{}", OtlpJson),
            (b"\n{\n  \"resourceSpans\": []", OtlpJson),
            (b"[{}]", OtlpJson), // refused later, with a word on what it is
            (b"\xef\xbb\xbf{\"traceID\":\"1\",\"spans\":[]}", JaegerJson),
            (b"\n[{\"traceId\":\"1\",\"id\":\"2\"}]", ZipkinJson),
            (b"\x0a\x7b\x0a\x10\x0a\x0e\x01", OtlpProto),
            (b"\x0a\x05\x12\x03abc", OtlpProto),
            (b"\x00\x00\x01\x02\x0a\x10", OtlpProtoFramed),
            (b"\x00\x00\x00\x00", OtlpProtoFramed),
            (b"\x04\x66\x19\x4a\x0a\xc5", OtlpProtoFramed),
            (b"\x00\x00\x01\x02\x28\xb5\x2f\xfd", OtlpProtoFramed),
            (b"PAR1\x15\x04", Parquet),
            (b"ARROW1\0\0\xff\xff\xff\xff", Arrow),
            (b"\xff\xff\xff\xff\x20\x03", Arrow),
        ] {
            assert_eq!(format(head), Ok(is), "{head:?}");
        }
    }

    #[test]
    fn what_holds_no_spans_is_named() {
        for (head, words) in [
            (&b""[..], "empty"),
            (b"PK\x03\x04..", "zip"),
            (b"# Manifest\n", "text that begins with \"# Manifest\""),
            (b"\n\nhello", "text that begins with \"hello\""),
            (b"\xff\xfe\x00", "ff fe 00"),
        ] {
            let error = format(head).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }
}
