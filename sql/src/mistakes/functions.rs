//! Functions that are not there.

use super::Known;
use super::near::{did_you_mean, near};
use super::tables::left_out;
use crate::functions::LEFT_OUT;

/// What other databases call it, or what is written here instead. The first word of the answer
/// must be a function here, where it is one.
const MEANT: [(&str, &str); 25] = [
    ("any_value", "first_value"),
    ("attr", "attr_text"),
    ("attribute", "attr_text"),
    ("char_len", "length"),
    ("countif", "count(*) FILTER (WHERE ..)"),
    ("count_if", "count(*) FILTER (WHERE ..)"),
    ("sumif", "sum(..) FILTER (WHERE ..)"),
    ("sum_if", "sum(..) FILTER (WHERE ..)"),
    ("date_format", "to_char"),
    ("strftime", "to_char"),
    ("group_concat", "string_agg"),
    ("listagg", "string_agg"),
    ("ifnull", "nvl"),
    ("isnull", ".. IS NULL"),
    ("if", "CASE WHEN .. THEN .. ELSE .. END"),
    ("iif", "CASE WHEN .. THEN .. ELSE .. END"),
    ("json_extract", "attributes['key']"),
    ("get_json_object", "attributes['key']"),
    ("len", "length"),
    ("arg_max", "max_by"),
    ("arg_min", "min_by"),
    ("argmax", "max_by"),
    ("argmin", "min_by"),
    ("quantile", "percentile(.., 0.95)"),
    ("uniq", "count(DISTINCT ..)"),
];

impl Known<'_> {
    /// Words for an unknown function, when that is what DataFusion's words say.
    pub(super) fn function(&self, words: &str) -> Option<String> {
        let name = words.lines().next()?.strip_prefix("Invalid function '")?;
        let name = name.strip_suffix("'.")?;
        if name == "attr_any" {
            let words = "attr_any takes keys and no clause: attr_any('key', 'other key')";
            return Some(words.to_owned());
        }
        if LEFT_OUT.contains(&name) {
            return Some(left_out(name));
        }
        if self.state.window_functions().contains_key(name) {
            return Some(format!(
                "'{name}' is a window function: write {name}(..) OVER (PARTITION BY .. ORDER BY ..)"
            ));
        }
        if let Some((_, write)) = MEANT.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Some(format!("no function is named '{name}'; write {write}"));
        }
        let known = self.state.scalar_functions().keys();
        let known = known
            .chain(self.state.higher_order_functions().keys())
            .chain(self.state.aggregate_functions().keys())
            .chain(self.state.window_functions().keys())
            .map(String::as_str)
            .chain(["attr_any"]);
        let hint = match near(name, known).as_slice() {
            [] => "; SHOW FUNCTIONS lists them".to_owned(),
            found => did_you_mean(found),
        };
        Some(format!("no function is named '{name}'{hint}"))
    }
}
