//! The entries of an attribute object, read where they stand. The text is one that
//! `model::json` wrote, so nothing but finding where keys and values end is needed; of any other
//! text it gives what looks like entries, and `is_whole` says whether that was all.

use memchr::memchr2;

use super::interner::same;

/// Reads `{"key":value,..}` entry by entry: each key as it stands between its quotes, with its
/// escapes, and the raw text of its value.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a str,
    whole: bool,
}

impl<'a> Entries<'a> {
    /// The entries of this object.
    pub fn of(object: &'a str) -> Self {
        match object.strip_prefix('{') {
            Some("}") => Self { rest: "", whole: true },
            Some(rest) => Self { rest, whole: false },
            None => Self { rest: "", whole: false },
        }
    }

    /// Whether all entries were given, up to the object's end.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The next entry where this is its key, as it stands between its quotes: only its value. A key
    /// that was guessed is compared and not searched for its end.
    pub fn next_if(&mut self, key: &[u8]) -> Option<&'a str> {
        let rest = self.rest.strip_prefix('"')?;
        let (begin, behind) = rest.as_bytes().split_at_checked(key.len())?;
        if !same(begin, key) || !behind.starts_with(b"\":") {
            return None;
        }
        self.value(rest.get(key.len() + 2..)?)
    }

    fn entry(&mut self) -> Option<(&'a str, &'a str)> {
        let rest = self.rest;
        let key_end = string_end(rest.as_bytes())?;
        let key = rest.get(1..key_end - 1)?;
        let value = self.value(rest.get(key_end..)?.strip_prefix(':')?)?;
        Some((key, value))
    }

    /// The value that begins here, and passes over it.
    fn value(&mut self, begins: &'a str) -> Option<&'a str> {
        let (value, rest) = begins.split_at_checked(value_end(begins.as_bytes())?)?;
        match rest.as_bytes() {
            [b',', ..] => self.rest = rest.get(1..)?,
            b"}" => (self.rest, self.whole) = ("", true),
            _ => return None,
        }
        Some(value)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entry();
        if entry.is_none() {
            self.rest = "";
        }
        entry
    }
}

/// Where the string at the start ends, behind its closing quote.
fn string_end(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Where the value at the start ends: before the comma or the brace that follows.
fn value_end(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_end(bytes),
        b'{' | b'[' => {
            let (mut at, mut depth) = (0, 0_usize);
            loop {
                match bytes.get(at)? {
                    b'"' => at += string_end(&bytes[at..])? - 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return Some(at);
                }
            }
        }
        _ => bytes.iter().position(|byte| matches!(byte, b',' | b'}')).filter(|end| *end > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::Entries;
    use crate::model::json;

    /// Seed of the objects that are cut and changed.
    const SEED: u64 = 7;

    #[test]
    fn entries_are_those_that_serde_json_reads() {
        let deep = format!("{{\"deep\":{}1{}}}", "[{\"a\":[".repeat(50), "]}]".repeat(50));
        for object in [
            "{}",
            r#"{"a":1}"#,
            r#"{"":"","a.b":"x,y}","c":[1,{"d":"]\"}"},"e"],"f":{"$map":{"$x":null}},"g":-1.5e30}"#,
            r#"{"quo\"te\\":"back\\","tab\t":"\u0001","n":null,"t":true,"nan":{"$double":"NaN"}}"#,
            r#"{"あみだ":"くじ","k":"\\\""}"#,
            deep.as_str(),
        ] {
            let mut entries = Entries::of(object);
            let read: Vec<(&str, &str)> = entries.by_ref().collect();
            assert!(entries.is_whole(), "{object}");
            let mut guessed = Entries::of(object);
            for (key, value) in &read {
                assert_eq!(guessed.next_if(b"another"), None, "{object}");
                assert_eq!(guessed.next_if(&[key.as_bytes(), b"x"].concat()), None, "{object}");
                assert_eq!(guessed.next_if(key.as_bytes()), Some(*value), "{object}");
            }
            assert!(guessed.is_whole(), "{object}");
            let unescaped = read.iter().map(|(key, value)| {
                (serde_json::from_str(&format!("\"{key}\"")).expect("a key"), *value)
            });
            let read: Vec<(String, &str)> = unescaped.collect();
            assert_eq!(read, json::entries(object), "{object}");
        }
    }

    #[test]
    fn any_other_text_ends_the_reading() {
        for text in [
            "",
            "{",
            "}",
            "[]",
            "null",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":"x}"#,
            r#"{"a":[1}"#,
            r#"{a:1}"#,
            r#"{"a":1}}"#,
            r#"{"a":1} "#,
            r#"{"a":1,}"#,
            r#"{"a\"#,
            "{\"é",
        ] {
            let mut entries = Entries::of(text);
            entries.by_ref().for_each(drop);
            assert!(!entries.is_whole(), "{text}");
        }
        // A change anywhere does no harm.
        let object = r#"{"a":"x\"","b":[{"c":"é"},2],"d":1.5}"#;
        let mut random = SEED;
        for at in 0..object.len() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut bytes = object.as_bytes().to_vec();
            bytes[at] = br#"{}[]":,\ x"#[(random >> 60) as usize % 10];
            if let Ok(text) = std::str::from_utf8(&bytes) {
                assert!(Entries::of(text).count() <= 8, "{text}");
            }
        }
    }
}
