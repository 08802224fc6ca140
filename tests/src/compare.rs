//! Expected rows against found ones, with differences that a reader can act on.

use crate::oracle::Row;

/// Most rows that a difference shows.
const SHOWN_MAX: usize = 3;

/// `Ok` when both hold the same rows as often, in whatever order; else what differs.
///
/// # Errors
/// The differences, in words.
pub fn same_rows(expected: &[Row], found: &[Row]) -> Result<(), String> {
    let (mut expected, mut found) = (expected.to_vec(), found.to_vec());
    expected.sort();
    found.sort();
    if expected == found {
        return Ok(());
    }
    let mut out = format!("expected {} rows, found {}", expected.len(), found.len());
    let (missing, surplus) = (without(&expected, &found), without(&found, &expected));
    for row in missing.iter().take(SHOWN_MAX) {
        let same_span =
            surplus.iter().find(|r| (&r.trace_id, &r.span_id) == (&row.trace_id, &row.span_id));
        match same_span {
            Some(other) => out += &format!("\nspan {}:{}", row.span_id, fields(row, other)),
            None => out += &format!("\nmissing: {row:?}"),
        }
    }
    for row in surplus.iter().take(SHOWN_MAX) {
        if !missing.iter().any(|r| (&r.trace_id, &r.span_id) == (&row.trace_id, &row.span_id)) {
            out += &format!("\nnot expected: {row:?}");
        }
    }
    Err(out)
}

/// Rows of one sorted list that the other does not have.
fn without(rows: &[Row], others: &[Row]) -> Vec<Row> {
    let mut others = others.iter().peekable();
    let mut left = Vec::new();
    for row in rows {
        while others.next_if(|other| *other < row).is_some() {}
        if others.next_if(|other| *other == row).is_none() {
            left.push(row.clone());
        }
    }
    left
}

/// The fields that differ, one a line.
fn fields(expected: &Row, found: &Row) -> String {
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    let pairs = expected.lines().zip(found.lines());
    pairs
        .filter(|(e, f)| e != f)
        .map(|(e, f)| format!("\n  expected {}\n  found    {}", e.trim(), f.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(span: &str, name: &str) -> Row {
        Row { span_id: span.to_owned(), name: name.to_owned(), ..Row::default() }
    }

    #[test]
    fn rows_are_compared_as_a_multiset_and_differences_name_the_field() {
        let (a, b) = (row("1", "a"), row("2", "b"));
        let twice = [a.clone(), b.clone(), a.clone()];
        same_rows(&twice, &[b.clone(), a.clone(), a.clone()]).unwrap();
        let text = same_rows(&twice, &[a.clone(), b.clone()]).unwrap_err();
        assert!(text.contains("expected 3 rows, found 2\nmissing: Row"), "{text}");
        let text = same_rows(std::slice::from_ref(&a), &[row("1", "other")]).unwrap_err();
        assert!(text.contains("expected name: \"a\",\n  found    name: \"other\","), "{text}");
        let text = same_rows(&[], &[a]).unwrap_err();
        assert!(text.contains("not expected: Row"), "{text}");
    }
}
