//! Which format a JSON document is of, by the keys with which it begins.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::stream::visit_scalars;
use crate::args::InputFormat;

/// Most keys that are remembered.
const KEYS_MAX: usize = 256;

/// The format of JSON text that begins so. What is none of the others is OTLP's: its reader says
/// what it is instead.
pub fn json(head: &[u8]) -> InputFormat {
    let mut keys = Keys::default();
    let mut json = serde_json::Deserializer::from_slice(head);
    // The head of a document ends in an error; the keys before it were seen.
    drop(Look { keys: &mut keys, inside: false }.deserialize(&mut json));
    if keys.has(&["resourceSpans", "resource_spans", "result"]) {
        return InputFormat::OtlpJson;
    }
    let around = ["total", "limit", "offset", "errors"];
    let is_answer = keys.has(&["data"])
        && (keys.has(&around) || keys.has_inside(&["traceID", "spans", "processes"]));
    let is_empty = keys.outer == ["data"] && keys.inner.is_empty() && keys.data_is_list;
    let is_trace = keys.has(&["spans"]) && keys.has(&["processes"]);
    if is_answer || is_empty || is_trace || keys.has(&["traceID"]) {
        return InputFormat::JaegerJson;
    }
    // Other formats that have one of these have the other key too.
    let is_row = (keys.has(&["traceId"]) && !keys.has(&["spanId"]))
        || keys.has(&["localEndpoint", "remoteEndpoint"])
        || (keys.has(&["annotations"]) && !keys.has(&["trace_id"]));
    let no_rows = head.iter().all(|byte| byte.is_ascii_whitespace() || b"[],".contains(byte));
    if is_row || no_rows { InputFormat::ZipkinJson } else { InputFormat::OtlpJson }
}

/// Most rows of a list that are looked at: one that lacks a key says nothing about the others.
const ROWS_MAX: usize = 16;

/// Keys of the first objects, and of the first one in their `data`.
#[derive(Debug, Default)]
struct Keys {
    outer: Vec<String>,
    inner: Vec<String>,
    data_is_list: bool,
}

impl Keys {
    fn has(&self, any: &[&str]) -> bool {
        self.outer.iter().any(|key| any.contains(&key.as_str()))
    }

    fn has_inside(&self, any: &[&str]) -> bool {
        self.inner.iter().any(|key| any.contains(&key.as_str()))
    }
}

struct Look<'k> {
    keys: &'k mut Keys,
    /// Whether this is below `data`.
    inside: bool,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { keys, inside } = self;
        while let Some(key) = map.next_key::<String>()? {
            let is_data = !inside && key == "data";
            let seen = if inside { &mut keys.inner } else { &mut keys.outer };
            if seen.len() < KEYS_MAX {
                seen.push(key);
            }
            if is_data {
                map.next_value_seed(Look { keys: &mut *keys, inside: true })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    /// Looks into the first elements that have keys.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { keys, inside } = self;
        keys.data_is_list |= inside;
        let mut rows = 0;
        while rows < ROWS_MAX {
            if list.next_element_seed(Look { keys: &mut *keys, inside })?.is_none() {
                return Ok(());
            }
            rows += usize::from(!(if inside { &keys.inner } else { &keys.outer }).is_empty());
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    visit_scalars!(self, {});
}

#[cfg(test)]
mod tests {
    use super::*;
    use InputFormat::{JaegerJson, OtlpJson, ZipkinJson};

    #[test]
    fn json_formats_are_told_apart_by_their_keys() {
        for (text, is) in [
            (r#"{"resourceSpans":[]}"#, OtlpJson),
            (r#"{"result":{"resourceSpans":[]}}"#, OtlpJson),
            (r#"{ "data" : [ { "traceID":"1", "spans":[]}]}"#, JaegerJson),
            (r#"{"data":[{"spans":[{"traceID":"1"}"#, JaegerJson),
            (r#"{"_comment":"x","data":[{"processes":{}"#, JaegerJson),
            (r#"{"data":null,"total":0,"errors":[{"code":404}]}"#, JaegerJson),
            (r#"{"data":[]}"#, JaegerJson),
            (r#"{"data":{"traceID":"1"}}"#, JaegerJson),
            (r#"{"traceID":"1","spans":[]}"#, JaegerJson),
            (r#"{"spans":[{"a":1}],"traceID":"1"}"#, JaegerJson),
            (r#"[{"traceID":"1","spans":[]}]"#, JaegerJson),
            (r#"[{"data":[{"traceID":"1","spans":[]}]}]"#, JaegerJson),
            (r#"[{"traceId":"1","id":"2","tags":{"data":"#, ZipkinJson),
            (r#"[{"id":"2","annotations":[{"timestamp":1}],"traceId":"1"}]"#, ZipkinJson),
            (r#"[[],[{"id":"2","traceId":"1"}]]"#, ZipkinJson),
            ("{\"traceId\":\"1\",\"id\":\"2\"}\n{", ZipkinJson),
            (r#"[{"traceId":"1","name":"x"},{"traceId":"1","id":"2"}]"#, ZipkinJson),
            (r#"[{"id":"2"},{"traceId":"1","id":"2"}]"#, ZipkinJson),
            (r#"[{"annotations":[{"timestamp":1,"value":"a"#, ZipkinJson),
            (r#"[{"processes":{},"spans":[{"spanID":"1","traceID":"2"}]}]"#, JaegerJson),
            (r#"{"processes":{},"spans":[{"logs":["#, JaegerJson),
            (" [ ] ", ZipkinJson),
            ("[[],[]]", ZipkinJson),
            (r#"[{"SpanContext":{}}]"#, OtlpJson),
            (r#"{"data":{"a":1}}"#, OtlpJson),
            (r#"{"batches":[]}"#, OtlpJson),
            (r#"{"traceId":"1","spanId":"2","id":"3"}"#, OtlpJson),
            (r#"{"trace_id":"1-2-3","id":"2","annotations":{}}"#, OtlpJson),
            ("{}", OtlpJson),
        ] {
            assert_eq!(json(text.as_bytes()), is, "{text}");
        }
    }
}
