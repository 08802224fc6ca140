//! Texts that stand in a column again and again, as those of resources do: each is worth reading
//! once.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, StringViewArray, UInt32Array};

/// Rows from which it is told whether texts repeat.
const SAMPLE_ROWS: usize = 64;

/// The rows in which a text stands first, and for each row the number of its text among these;
/// `None` where texts do not repeat. Equal views are equal texts; what a dictionary gave has them.
pub(crate) fn repeats(texts: &StringViewArray) -> Option<(UInt32Array, UInt32Array)> {
    let rows = texts.len();
    if rows < SAMPLE_ROWS {
        return None;
    }
    let views = texts.views();
    let mut numbers: HashMap<Option<u128>, u32> = HashMap::new();
    let mut firsts: Vec<u32> = Vec::new();
    let mut of_rows: Vec<u32> = Vec::with_capacity(rows);
    for (row, view) in views.iter().enumerate() {
        if row == SAMPLE_ROWS && firsts.len() > SAMPLE_ROWS / 2 {
            return None;
        }
        let view = (!texts.is_null(row)).then_some(*view);
        let number = *numbers.entry(view).or_insert_with(|| {
            firsts.push(u32::try_from(row).unwrap_or(u32::MAX));
            u32::try_from(firsts.len() - 1).unwrap_or(u32::MAX)
        });
        of_rows.push(number);
    }
    Some((UInt32Array::from(firsts), UInt32Array::from(of_rows)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_named_once_and_nulls_are_none_of_them() {
        let texts = [Some("a long enough text to stand in a buffer"), None, Some(""), Some("b")];
        let built = StringViewArray::from_iter(texts);
        let rows = UInt32Array::from_iter_values((0..400).map(|row| row * 7 % 4));
        let column = datafusion::arrow::compute::take(&built, &rows, None).expect("rows");
        let column: &StringViewArray = datafusion::arrow::array::AsArray::as_string_view(&column);
        let (firsts, numbers) = repeats(column).expect("they repeat");
        assert_eq!(firsts.len(), 4);
        for row in 0..400 {
            let first = firsts.value(numbers.value(row) as usize) as usize;
            assert_eq!(column.is_null(first), column.is_null(row));
            assert_eq!(column.value(first), column.value(row));
        }
        let different = StringViewArray::from_iter_values((0..400).map(|row| row.to_string()));
        assert!(repeats(&different).is_none());
    }
}
