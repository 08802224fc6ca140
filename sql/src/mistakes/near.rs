//! Names that are nearly the same.

/// Most names that one message offers.
const OFFERED_MAX: usize = 3;

/// A name with more letters takes long to compare, and is near to nothing.
const LETTERS_MAX: usize = 64;

/// The candidates that a mistyped name may have meant, nearest first: those that differ in the
/// fewest letters, if these are few for its length. Case and `_`, `.`, `-` do not count.
pub(crate) fn near<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let Some((letters, length)) = letters(name) else { return Vec::new() };
    let most = match length {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    let mut found: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .filter_map(|candidate| {
            let (other, other_length) = self::letters(candidate)?;
            // Each letter that one has more is a difference.
            if length.abs_diff(other_length) > most {
                return None;
            }
            Some((strsim::osa_distance(&letters, &other), candidate))
        })
        .filter(|(distance, _)| *distance <= most)
        .collect();
    found.sort_unstable();
    found.dedup();
    let least = found.first().map(|(distance, _)| *distance);
    found.retain(|(distance, _)| Some(*distance) == least);
    found.truncate(OFFERED_MAX);
    found.into_iter().map(|(_, candidate)| candidate).collect()
}

/// What is compared of a name, and how many letters that is; `None` where they are too many.
fn letters(name: &str) -> Option<(String, usize)> {
    if name.chars().nth(2 * LETTERS_MAX).is_some() {
        return None;
    }
    let counts = |c: &char| !matches!(c, '_' | '.' | '-');
    let letters: String = name.chars().filter(counts).flat_map(char::to_lowercase).collect();
    let length = letters.chars().count();
    (length <= LETTERS_MAX).then_some((letters, length))
}

/// `; did you mean 'a' or 'b'?`, empty without names.
pub(crate) fn did_you_mean<T: AsRef<str>>(names: &[T]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{}'", name.as_ref())).collect();
    match list(&quoted, "or") {
        names if names.is_empty() => names,
        names => format!("; did you mean {names}?"),
    }
}

/// `a, b and c`
pub(crate) fn list<T: AsRef<str>>(names: &[T], word: &str) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} {word} {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::near;

    const COLUMNS: [&str; 6] = ["name", "service_name", "span_id", "trace_id", "kind", "p50_ms"];

    #[test]
    fn typing_errors_are_near_and_other_words_are_not() {
        for (typed, meant) in [
            ("nmae", vec!["name"]),
            ("servicename", vec!["service_name"]),
            ("SERVICE_NAME", vec!["service_name"]),
            ("servce_nam", vec!["service_name"]),
            ("spanid", vec!["span_id"]),
            ("p51_ms", vec!["p50_ms"]),
            ("id", vec![]),
            ("user", vec![]),
            ("http", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(near(typed, COLUMNS), meant, "{typed}");
        }
    }

    #[test]
    fn a_long_name_is_near_to_nothing() {
        let most = "k".repeat(64);
        let near_most = format!("{}l", "k".repeat(63));
        assert_eq!(near(&most, [near_most.as_str()]), [near_most.as_str()]);
        for more in ["k".repeat(65), "k.".repeat(65), "k".repeat(70_000)] {
            let near_more = format!("{more}_");
            assert_eq!(near(&more, [near_more.as_str()]), [""; 0]);
            assert_eq!(near(&most, [more.as_str()]), [""; 0]);
        }
    }

    #[test]
    fn equally_near_names_are_all_offered() {
        assert_eq!(near("p9_ms", ["p95_ms", "p99_ms", "p50_ms"]), ["p95_ms", "p99_ms"]);
    }
}
