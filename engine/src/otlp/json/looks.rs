//! What a document is that is not an OTLP trace document: a person who gives the wrong file should
//! read which file it is.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// As much of a document is looked at.
pub const LOOK_BYTES: usize = 64 << 10;

/// Most keys that are remembered.
const KEYS_MAX: usize = 64;

/// Why this document is refused.
pub fn refusal(text: &[u8]) -> String {
    let text = &text[..text.len().min(LOOK_BYTES)];
    let mut keys = Vec::new();
    // A document that is cut ends in an error; the keys before it were seen.
    let mut json = serde_json::Deserializer::from_slice(text);
    drop(json.deserialize_any(Keys { seen: &mut keys, depth: 0 }));
    let is_list = text.first() == Some(&b'[');
    format!("this is {}; expected OTLP/JSON: an object with resourceSpans", what(&keys, is_list))
}

fn what(keys: &[String], is_list: bool) -> String {
    let has = |key: &str| keys.iter().any(|k| k == key);
    let known = [
        (has("SpanContext"), "the output of OpenTelemetry-Go's stdouttrace exporter"),
        (has("traceID") && (has("spans") || has("spanID")), "Jaeger JSON"),
        (has("data") && (has("errors") || has("total") || has("limit")), "Jaeger JSON"),
        (has("traceId") && has("id"), "Zipkin JSON"),
        (has("resourceLogs") || has("resource_logs"), "OTLP logs, not traces"),
        (has("resourceMetrics") || has("resource_metrics"), "OTLP metrics, not traces"),
        (has("resourceProfiles"), "OTLP profiles, not traces"),
        (has("batches") || has("trace"), "an answer of Tempo"),
        (has("metadata") || has("transaction"), "Elastic APM's intake format"),
        (has("segment_id") || has("subsegments"), "an X-Ray segment document"),
        (has("error") || has("message"), "an error message of a server"),
        (keys.is_empty() && is_list, "an empty list"),
        (keys.is_empty(), "an empty object"),
    ];
    if let Some((_, name)) = known.into_iter().find(|(matches, _)| *matches) {
        return name.to_owned();
    }
    let first: Vec<String> = keys.iter().take(4).map(|key| short(key)).collect();
    let kind = if is_list { "a JSON list of objects" } else { "a JSON object" };
    format!("{kind} with {}", first.join(", "))
}

/// A key as a person may see it on a terminal.
fn short(key: &str) -> String {
    let cut: String = key.chars().take(40).collect();
    format!("{:?}", cut)
}

/// Collects the keys of an object and of the first objects in its lists.
struct Keys<'k> {
    seen: &'k mut Vec<String>,
    depth: usize,
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            // `data` of Jaeger holds traces; elsewhere one level is enough.
            let inside = key == "data" && self.depth == 0;
            if self.seen.len() < KEYS_MAX {
                self.seen.push(key);
            }
            if inside {
                map.next_value_seed(Keys { seen: self.seen, depth: self.depth + 1 })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if self.depth < 3 {
            list.next_element_seed(Keys { seen: self.seen, depth: self.depth + 1 })?;
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> serde::de::DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, de: D) -> Result<(), D::Error> {
        de.deserialize_any(self)
    }
}
