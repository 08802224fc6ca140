//! Ids, numbers, enums and base64 in all the spellings that senders use. `null` is the default.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Protobuf's JSON mapping takes both alphabets, with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Text that is no id is cut to this many bytes.
const WRONG_ID_BYTES_MAX: usize = 64;

fn base64(text: &str) -> Option<Vec<u8>> {
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    alphabet.decode(text).ok()
}

/// Implements `Deserialize` by a visitor that knows text, numbers and `null`.
macro_rules! from_any {
    ($name:ident, $expecting:literal, text: $text:expr, number: $number:expr
     $(, double: $double:expr)?) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
                struct Any;
                impl Visitor<'_> for Any {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_unit<E>(self) -> Result<$name, E> {
                        Ok($name::default())
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        let read: fn(&str) -> Option<$name> = $text;
                        read(text.trim()).ok_or_else(|| {
                            E::invalid_value(serde::de::Unexpected::Str(text), &self)
                        })
                    }
                    fn visit_i64<E: Error>(self, number: i64) -> Result<$name, E> {
                        let read: fn(i128) -> $name = $number;
                        Ok(read(i128::from(number)))
                    }
                    fn visit_u64<E: Error>(self, number: u64) -> Result<$name, E> {
                        let read: fn(i128) -> $name = $number;
                        Ok(read(i128::from(number)))
                    }
                    $(fn visit_f64<E: Error>(self, number: f64) -> Result<$name, E> {
                        let read: fn(f64) -> Option<$name> = $double;
                        read(number).ok_or_else(|| {
                            E::invalid_value(serde::de::Unexpected::Float(number), &self)
                        })
                    })?
                }
                de.deserialize_any(Any)
            }
        }
    };
}

/// A double with no fraction, as an integer: `1e3` is a legal spelling of 1000.
fn whole(number: f64) -> Option<i128> {
    (number.fract() == 0.0 && number.abs() < 1e30).then_some(number as i128)
}

/// Text of an integer, `1e3` and `5.0` included.
fn integer(text: &str) -> Option<i128> {
    text.parse().ok().or_else(|| whole(text.parse().ok()?))
}

/// A time in nanoseconds. What does not fit becomes a time that the store rejects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nanos(pub u64);

from_any!(Nanos, "nanoseconds as a number or as text",
    text: |text| integer(text).map(Nanos::from_wide),
    number: Nanos::from_wide,
    double: |number| whole(number).map(Nanos::from_wide));

impl Nanos {
    fn from_wide(number: i128) -> Self {
        Self(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

/// A count or flags: 32 bits; more is cut to the largest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Count(pub u32);

from_any!(Count, "a 32-bit number",
    text: |text| integer(text).map(Count::from_wide),
    number: Count::from_wide,
    double: |number| whole(number).map(Count::from_wide));

impl Count {
    fn from_wide(number: i128) -> Self {
        Self(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
    }
}

/// An attribute's 64-bit integer.
#[derive(Debug, Clone, Copy)]
pub struct Int(pub i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Int;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 64-bit integer as a number or as text")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Int, E> {
                let read = integer(text.trim()).and_then(|number| i64::try_from(number).ok());
                let unexpected = serde::de::Unexpected::Str(text);
                read.map(Int).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Int, E> {
                Ok(Int(number))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Int, E> {
                let unexpected = serde::de::Unexpected::Unsigned(number);
                let read = i64::try_from(number);
                read.map(Int).map_err(|_| E::invalid_value(unexpected, &self))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Int, E> {
                let read = whole(number).and_then(|number| i64::try_from(number).ok());
                let unexpected = serde::de::Unexpected::Float(number);
                read.map(Int).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }
        de.deserialize_any(Any)
    }
}

/// A double; `NaN` and the infinities are text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Double(pub f64);

from_any!(Double, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
    // Rust reads the three words of protobuf's JSON as well.
    text: |text| text.parse().ok().map(Double),
    number: |number| Double(number as f64),
    double: |number| Some(Double(number)));

/// A span kind by number or word; a word that nobody knows is unspecified.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kind(pub u64);

from_any!(Kind, "a span kind",
    text: |text| Some(Kind(word(text, "SPAN_KIND_", &crate::model::schema::KINDS))),
    number: |number| Kind(u64::try_from(number).unwrap_or(0)),
    double: |number| whole(number).map(|number| Kind(u64::try_from(number).unwrap_or(0))));

/// A status code by number or word; a word that nobody knows is unset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Code(pub u64);

from_any!(Code, "a status code",
    text: |text| Some(Code(word(text, "STATUS_CODE_", &crate::model::schema::STATUSES))),
    number: |number| Code(u64::try_from(number).unwrap_or(0)),
    double: |number| whole(number).map(|number| Code(u64::try_from(number).unwrap_or(0))));

fn word(text: &str, prefix: &str, words: &[&str]) -> u64 {
    let upper = text.to_ascii_uppercase();
    let bare = upper.strip_prefix(prefix).unwrap_or(&upper);
    let known = words.iter().position(|word| *word == bare);
    known.map_or_else(|| bare.parse().unwrap_or(0), |number| number as u64)
}

/// Bytes in base64.
#[derive(Debug, Clone, Default)]
pub struct Base64(pub Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(de)?;
        base64(&text.0).map(Self).ok_or_else(|| D::Error::custom("bytesValue is not base64"))
    }
}

/// An id of `N` bytes: hex, or base64 where the length says so. Anything else becomes bytes of
/// another length, so that it can never be taken for an id.
#[derive(Debug, Clone, Default)]
pub struct Id<const N: usize>(pub Vec<u8>);

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        Text::deserialize(de).map(|text| Self(id_bytes::<N>(&text.0)))
    }
}

fn id_bytes<const N: usize>(text: &str) -> Vec<u8> {
    let base64_len = N.div_ceil(3) * 4;
    if text.len() == base64_len
        && let Some(bytes) = base64(text).filter(|bytes| bytes.len() == N)
    {
        return bytes;
    }
    match hex::decode(text) {
        Ok(bytes) => bytes,
        Err(_) => {
            let mut bytes = text.as_bytes()[..text.len().min(WRONG_ID_BYTES_MAX)].to_vec();
            if bytes.len() == N {
                bytes.push(0);
            }
            bytes
        }
    }
}

/// Text, borrowed where it has no escapes.
#[derive(Debug, Clone, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_unit<E>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        de.deserialize_any(Any)
    }
}

/// A list; `null` is an empty one.
#[derive(Debug)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                // An element that is null says nothing.
                while let Some(item) = list.next_element::<Option<T>>()? {
                    items.extend(item);
                }
                Ok(List(items))
            }
        }
        de.deserialize_any(Any(std::marker::PhantomData))
    }
}
