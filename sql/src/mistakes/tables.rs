//! Tables that are not there.

use super::Known;
use super::near::{did_you_mean, list, near};
use crate::functions::LEFT_OUT;

/// What other stores call their tables.
const MEANT: [(&str, &str); 8] = [
    ("service", "services"),
    ("operation", "operations"),
    ("edges", "service_edges"),
    ("dependencies", "service_edges"),
    ("service_map", "service_edges"),
    ("attributes", "attribute_keys"),
    ("attribute", "attribute_keys"),
    ("keys", "attribute_keys"),
];

impl Known<'_> {
    /// Words for an unknown table, when that is what DataFusion's words say.
    pub(super) fn table(&self, words: &str) -> Option<String> {
        if let Some(name) = quoted(words, "table function '") {
            return Some(if LEFT_OUT.contains(&name) {
                left_out(name)
            } else {
                format!("no table function is named '{name}'")
            });
        }
        let name = quoted(words, "table '")?;
        // As it was written: DataFusion puts catalog and schema before it.
        let name = name.strip_prefix("amida.").unwrap_or(name);
        let name = name.strip_prefix("public.").unwrap_or(name);
        let tables = self.tables();
        let known = tables.iter().map(String::as_str).chain(self.own_tables.iter().map(|t| &**t));
        let last = name.rsplit('.').next().unwrap_or(name);
        let meant = MEANT.iter().find(|(other, _)| other.eq_ignore_ascii_case(last));
        let mut found = match meant {
            Some((_, table)) => vec![*table],
            None => near(last, known.clone()),
        };
        if found.is_empty() {
            found.extend(known.filter(|table| *table == last));
        }
        let hint = match found.as_slice() {
            [] => format!("; there are {}", list(&tables, "and")),
            found => did_you_mean(found),
        };
        Some(format!("no table is named '{name}'{hint}"))
    }

    /// The tables of the store.
    fn tables(&self) -> Vec<String> {
        let catalog = self.state.catalog_list().catalog("amida");
        let schema = catalog.and_then(|catalog| catalog.schema("public"));
        let mut tables = schema.map(|schema| schema.table_names()).unwrap_or_default();
        tables.sort_unstable();
        tables
    }
}

pub(super) fn left_out(name: &str) -> String {
    format!("{name} is left out: two numbers in it could keep a machine busy")
}

/// The name in `table 'name' not found`.
fn quoted<'a>(words: &'a str, before: &str) -> Option<&'a str> {
    words.lines().next()?.strip_prefix(before)?.strip_suffix("' not found")
}
