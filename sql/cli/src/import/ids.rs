//! Ids of systems whose ids are not those of W3C: 16 bytes for a trace, 8 for a span.
//!
//! | what stands there | id |
//! |---|---|
//! | hex of either case, as long as an id or shorter | that number: zeros are put before it |
//! | a UUID, for a trace | its 32 digits; the text is kept |
//! | any other text, or an integer | the first bytes of a SHA-256; the text is kept |
//! | nothing, `null`, `""`, only zeros | no id |
//!
//! The hash is over `amida trace id:` or `amida span id:` and the text in UTF-8, without white
//! space around it. So one text is one id, in whichever file, format and version it is met.

use amida::{SpanId, TraceId};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What stands before the text that is hashed.
const TRACE_DOMAIN: &str = "amida trace id:";
const SPAN_DOMAIN: &str = "amida span id:";

/// An id, with the text it was made from where its digits do not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped<T> {
    pub id: T,
    pub original: Option<String>,
}

/// What stands where an id is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read<T> {
    /// Nothing, or zeros, which mean nothing.
    Absent,
    Is(Mapped<T>),
    /// A value that no id can be made of.
    Unreadable,
}

impl<T> Read<T> {
    /// The id; `None` for anything else.
    pub fn id(self) -> Option<Mapped<T>> {
        match self {
            Self::Is(mapped) => Some(mapped),
            Self::Absent | Self::Unreadable => None,
        }
    }
}

/// Reads the id of a trace.
pub fn trace_id(value: Option<&Value>) -> Read<TraceId> {
    read::<16, _>(value, TRACE_DOMAIN, TraceId::from_bytes)
}

/// Reads the id of a span.
pub fn span_id(value: Option<&Value>) -> Read<SpanId> {
    read::<8, _>(value, SPAN_DOMAIN, SpanId::from_bytes)
}

fn read<const N: usize, T>(
    value: Option<&Value>,
    domain: &str,
    make: fn(&[u8]) -> Option<T>,
) -> Read<T> {
    let is = |bytes: [u8; N], original: Option<&str>| {
        let original = original.map(str::to_owned);
        make(&bytes).map_or(Read::Absent, |id| Read::Is(Mapped { id, original }))
    };
    match value {
        None | Some(Value::Null) => Read::Absent,
        Some(Value::String(text)) => {
            let text = text.trim();
            if text.is_empty() {
                Read::Absent
            } else if let Some(bytes) = number(text) {
                is(bytes, None)
            } else if let Some(bytes) = uuid(text).and_then(|digits| number(&digits)) {
                is(bytes, Some(text))
            } else {
                is(hash(domain, text), Some(text))
            }
        }
        Some(Value::Number(number)) => match number.as_u64() {
            Some(0) => Read::Absent,
            // A decimal number is not the hex text of the same digits.
            Some(number) => is(hash(domain, &number.to_string()), Some(&number.to_string())),
            None => Read::Unreadable,
        },
        Some(_) => Read::Unreadable,
    }
}

/// The number that this hex text is, if it fits.
fn number<const N: usize>(text: &str) -> Option<[u8; N]> {
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.len() > N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(format!("{digits:0>width$}", width = N * 2), &mut bytes).ok()?;
    Some(bytes)
}

/// The digits of a UUID.
fn uuid(text: &str) -> Option<String> {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]).then(|| text.replace('-', ""))
}

fn hash<const N: usize>(domain: &str, text: &str) -> [u8; N] {
    let digest = Sha256::new().chain_update(domain).chain_update(text).finalize();
    let mut bytes = [0; N];
    bytes.copy_from_slice(&digest[..N]);
    if bytes == [0; N] {
        // Nobody knows such a text, but zeros are no id.
        bytes[N - 1] = 1;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn trace(value: Value) -> Option<(String, Option<String>)> {
        trace_id(Some(&value)).id().map(|mapped| (mapped.id.to_string(), mapped.original))
    }

    fn span(value: Value) -> Option<(String, Option<String>)> {
        span_id(Some(&value)).id().map(|mapped| (mapped.id.to_string(), mapped.original))
    }

    #[test]
    fn hex_is_its_number_whatever_its_case_and_length() {
        for text in ["a", "A", "0a", " A ", "000000000000000000000000000000000000000a"] {
            let expected = ("0000000000000000000000000000000a".to_owned(), None);
            assert_eq!(trace(json!(text)), Some(expected), "{text}");
            assert_eq!(span(json!(text)), Some(("000000000000000a".to_owned(), None)), "{text}");
        }
        let full = "4BF92F3577B34DA6A3CE929D0E0E4736";
        assert_eq!(trace(json!(full)), Some((full.to_lowercase(), None)));
    }

    #[test]
    fn nothing_and_zeros_are_no_id() {
        for value in
            [json!(null), json!(""), json!(" "), json!("0"), json!("0".repeat(32)), json!(0)]
        {
            assert_eq!(trace_id(Some(&value)), Read::Absent, "{value}");
            assert_eq!(span_id(Some(&value)), Read::Absent, "{value}");
        }
        assert_eq!(span_id(None), Read::Absent);
        let zeros = json!("00000000-0000-0000-0000-000000000000");
        assert_eq!(trace_id(Some(&zeros)), Read::Absent);
        for value in [json!(true), json!([1]), json!({}), json!(-1), json!(1.5)] {
            assert_eq!(trace_id(Some(&value)), Read::Unreadable, "{value}");
        }
    }

    #[test]
    fn a_uuid_is_the_id_of_a_trace_and_its_text_is_kept() {
        let text = "4BF92F35-77b3-4da6-a3ce-929d0e0e4736";
        let expected = ("4bf92f3577b34da6a3ce929d0e0e4736".to_owned(), Some(text.to_owned()));
        assert_eq!(trace(json!(text)), Some(expected));
    }

    /// The examples of docs/importing.md, made with `printf 'amida trace id:req-42' | sha256sum`.
    #[test]
    fn other_text_is_mapped_by_the_documented_hash_and_kept() {
        let kept = Some("req-42".to_owned());
        let expected = ("d9af7ba3f26c190f252871ee60cf66e5".to_owned(), kept.clone());
        assert_eq!(trace(json!("req-42")), Some(expected));
        assert_eq!(span(json!("req-42")), Some(("2fc43008ca756604".to_owned(), kept)));
        // Too many digits for a span, a decimal number, an id that only looks like a UUID.
        for value in [json!("1".repeat(17)), json!(42), json!("g-4-4-4-12")] {
            let (_, original) = span(value.clone()).unwrap();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(original, Some(text));
        }
        assert_ne!(span(json!(42)).unwrap().0, span(json!("42")).unwrap().0);
    }
}
