//! Columns that are not there, and attribute keys written as if they were columns.

use amida::Scope;
use datafusion::common::Column;

use super::Known;
use super::near::{did_you_mean, list, near};
use crate::error::quoted;
use crate::functions::attr::column_of;
use crate::place::Place;
use crate::renames;

/// What other trace stores, and OpenTelemetry's own formats, call our columns; case and `_` aside.
const MEANT: [(&str, &[&str]); 39] = [
    ("duration", &["duration_ms", "duration_ns"]),
    ("durationnano", &["duration_ns"]),
    ("elapsed", &["duration_ms"]),
    ("end", &["end_time"]),
    ("endtimeunixnano", &["end_time"]),
    ("error", &["is_error", "errors", "error_count"]),
    ("haserror", &["is_error"]),
    ("latency", &["duration_ms", "p95_ms"]),
    ("message", &["status_message"]),
    ("operation", &["name", "span_name", "root_operation"]),
    ("operationname", &["name", "span_name", "root_operation"]),
    ("parent", &["parent_span_id"]),
    ("parentid", &["parent_span_id"]),
    ("resource", &["resource_attributes"]),
    ("resources", &["resource_attributes"]),
    ("rootname", &["root_operation"]),
    ("rootservicename", &["root_service"]),
    ("scope", &["scope_name"]),
    ("service", &["service_name", "root_service", "services"]),
    ("servicename", &["service_name", "root_service", "services"]),
    ("span", &["span_id"]),
    ("spanattributes", &["attributes"]),
    ("spankind", &["kind"]),
    ("spanname", &["name"]),
    ("spans", &["span_count"]),
    ("start", &["start_time", "time"]),
    ("starttimeunixnano", &["start_time"]),
    ("status", &["status_code"]),
    ("statuscode", &["status_code"]),
    ("tags", &["attributes"]),
    ("time", &["start_time", "first_seen"]),
    ("timestamp", &["start_time", "time", "first_seen"]),
    ("timeunixnano", &["time"]),
    ("trace", &["trace_id"]),
    ("ts", &["start_time", "time", "first_seen"]),
    ("name", &["span_name", "root_operation"]),
    ("type", &["kind"]),
    ("count", &["spans", "span_count", "calls"]),
    ("starttime", &["start_time", "time", "first_seen"]),
];

/// As many columns are listed where nothing is near.
const LISTED_MAX: usize = 12;

impl Known<'_> {
    /// Words for an unknown column.
    pub(super) fn column(&self, field: &Column, valid: &[Column], place: Option<Place>) -> String {
        let Some(relation) = &field.relation else {
            return self.bare(&field.name, &names(valid, None), place);
        };
        let written = format!("{relation}.{}", field.name);
        let tables = tables(valid);
        let first = written.split('.').next().unwrap_or("");
        let own = names(valid, Some(relation.table()));
        if !own.is_empty() {
            let hint = self.hint(&field.name, &own).unwrap_or_else(|| listed(&own));
            return format!("'{}' has no column '{}'{hint}", relation.table(), field.name);
        }
        // A key of several words, behind the name of a table or not.
        let all = names(valid, None);
        let key = written.strip_prefix(&format!("{first}.")).filter(|_| tables.contains(&first));
        if let Some(hint) = self.attribute(key.unwrap_or(&written), &all) {
            return format!("no column is named '{written}'{hint}");
        }
        if !tables.contains(&first) {
            let meant = near(first, tables.iter().copied());
            if !meant.is_empty() || all.contains(&field.name.as_str()) {
                let there = did_you_mean(&if meant.is_empty() { tables } else { meant });
                return format!("no table here is named '{first}'{there}");
            }
        }
        if all.contains(&"attributes") {
            return format!(
                "no column is named '{written}'; an attribute is read by its key, as in \
                 attributes['http.route']: the table attribute_keys has those that are stored"
            );
        }
        format!("no column is named '{written}'{}", listed(&all))
    }

    /// Words for a key of five words and more, which DataFusion does not take for a column.
    pub(super) fn long(&self, words: &str) -> Option<String> {
        let parts = words.lines().next()?.strip_prefix("compound identifier: ")?;
        let written = serde_json::from_str::<Vec<String>>(parts).ok()?.join(".");
        // What is in scope is not known here; mostly these two are.
        let hint = self.attribute(&written, &["attributes", "resource_attributes"]);
        Some(format!("no column is named '{written}'{}", hint.unwrap_or_default()))
    }

    fn bare(&self, name: &str, valid: &[&str], place: Option<Place>) -> String {
        let is_quoted = place
            .and_then(|place| self.tokens.word_at(place))
            .is_some_and(|word| word.quote_style == Some('"'));
        if is_quoted {
            let near = near(name, valid.iter().copied());
            let near = || (!near.is_empty()).then(|| did_you_mean(&near));
            let hint = self.stored(name, valid).or_else(near).unwrap_or_else(|| {
                let text = quoted(name);
                format!("; double quotes are for names, text stands in single quotes: {text}")
            });
            return format!("no column is named \"{name}\"{hint}");
        }
        let alias = || {
            self.tokens.names(name).then(|| {
                "; the alias of that name is not known here: repeat its expression, or name it in \
                 a subquery or behind |> EXTEND"
                    .to_owned()
            })
        };
        let hint = alias().or_else(|| self.hint(name, valid)).unwrap_or_else(|| listed(valid));
        format!("no column is named '{name}'{hint}")
    }

    /// What may have been meant by one word.
    fn hint(&self, name: &str, valid: &[&str]) -> Option<String> {
        meant(name, valid).or_else(|| self.attribute(name, valid))
    }

    /// The attribute that is named so, in a column that is there.
    fn attribute(&self, written: &str, valid: &[&str]) -> Option<String> {
        if let Some(columns) = called_here(&written.replace('.', "_"), valid) {
            return Some(did_you_mean(&columns));
        }
        self.stored(written, valid)
    }

    /// How the key is read that is stored under that name.
    fn stored(&self, written: &str, valid: &[&str]) -> Option<String> {
        let scoped = [("resource.", Scope::Resource), ("span.", Scope::Span)];
        let scoped = scoped.iter().find_map(|(prefix, scope)| {
            Some((written.strip_prefix(prefix)?, std::slice::from_ref(scope)))
        });
        for (key, scopes) in scoped.into_iter().chain([(written, &Scope::ALL[..])]) {
            for scope in scopes.iter().filter(|scope| valid.contains(&column_of(**scope))) {
                let known = |key: &str| {
                    let mut keys = self.catalog.keys(*scope).map(|(known, _)| known);
                    keys.find(|known| known.eq_ignore_ascii_case(key)).map(str::to_owned)
                };
                let other = || renames::others(key).find_map(known);
                if let Some(key) = known(key).or_else(other) {
                    return Some(format!(
                        "; an attribute is read as {}[{}]",
                        column_of(*scope),
                        quoted(&key)
                    ));
                }
            }
        }
        None
    }
}

/// What a name of other stores is called here.
fn called_here<'a>(name: &str, valid: &[&'a str]) -> Option<Vec<&'a str>> {
    let letters: String = name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
    let (_, columns) = MEANT.iter().find(|(other, _)| *other == letters)?;
    let there = |column: &&str| valid.iter().find(|known| *known == column).copied();
    let mut found: Vec<&str> = columns.iter().filter_map(there).collect();
    if letters != "duration" {
        found.truncate(1);
    }
    (!found.is_empty()).then_some(found)
}

/// That, or names that are spelled nearly so.
fn meant(name: &str, valid: &[&str]) -> Option<String> {
    let found = called_here(name, valid).unwrap_or_else(|| near(name, valid.iter().copied()));
    (!found.is_empty()).then(|| did_you_mean(&found))
}

/// The columns that there are, where they are few.
fn listed(valid: &[&str]) -> String {
    match valid.len() {
        0 => String::new(),
        1 => format!("; there is {}", list(valid, "and")),
        2..=LISTED_MAX => format!("; there are {}", list(valid, "and")),
        _ => "; DESCRIBE lists the columns of a table".to_owned(),
    }
}

/// The names of columns, of one table or of all, each once.
fn names<'a>(valid: &'a [Column], table: Option<&str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for column in valid {
        let own = column.relation.as_ref().map(|relation| relation.table());
        if (table.is_none() || own == table) && !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    names
}

/// The names of tables, each once.
fn tables(valid: &[Column]) -> Vec<&str> {
    let mut tables: Vec<&str> = Vec::new();
    for table in valid.iter().filter_map(|column| column.relation.as_ref()) {
        if !tables.contains(&table.table()) {
            tables.push(table.table());
        }
    }
    tables
}
