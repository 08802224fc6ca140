//! What an answer may have missed: attribute keys that no span has, and keys that other spans have
//! under another name. A query with such a key is right as it stands, and may not be what was
//! meant.

use std::collections::BTreeSet;

use amida::{Catalog, Missing, Scope};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use crate::error::quoted;
use crate::functions::attr::{Subscript, column_of, getter};
use crate::mistakes::near::{list, near};
use crate::renames;
use crate::role::Role;

/// Most notes on one query.
const NOTES_MAX: usize = 20;

/// For so many keys of one query near ones are looked for.
const COMPARED_MAX: usize = 20;

/// Keys that a query reads as one value: one, or those of `attr_any`.
type Read = (Scope, Vec<String>);

/// The notes on a plan, each once, in the order of its keys; at most `NOTES_MAX`.
pub(crate) fn notes(plan: &LogicalPlan, catalog: &Catalog) -> Vec<String> {
    let reads = match reads(plan) {
        Ok(reads) => reads,
        // Only what has a schema was planned.
        Err(error) => {
            tracing::debug!(%error, "no notes on a query");
            return Vec::new();
        }
    };
    let all: BTreeSet<(Scope, &str)> = reads
        .iter()
        .flat_map(|(scope, keys)| keys.iter().map(|key| (*scope, key.as_str())))
        .collect();
    let mut compared = 0;
    let mut notes = Vec::new();
    for (scope, keys) in reads.iter() {
        if keys.iter().any(|key| is_known(catalog, *scope, key)) {
            notes.extend(keys.iter().filter_map(|key| half(catalog, *scope, key, &all)));
        } else {
            notes.push(missing(catalog, *scope, keys, &mut compared));
        }
        if notes.len() >= NOTES_MAX {
            break;
        }
    }
    notes.truncate(NOTES_MAX);
    notes
}

/// The notes on what an answer leaves out: the first `NOTES_MAX`, and how many more there are.
pub(crate) fn left_out(missing: &[Missing]) -> Vec<String> {
    let mut notes: Vec<String> = missing.iter().take(NOTES_MAX).map(Missing::to_string).collect();
    if let Some(more) = missing.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        notes.push(format!("left out rows of {} more", things(more as u64, "damaged part")));
    }
    notes
}

/// The keys that a plan reads.
fn reads(plan: &LogicalPlan) -> Result<BTreeSet<Read>> {
    let mut reads = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        for expr in node.expressions() {
            expr.apply(|expr| {
                if let Some(subscript) = Subscript::of(expr) {
                    let keys = subscript.keys.iter().map(|key| (*key).to_owned()).collect();
                    reads.insert((subscript.scope, keys));
                } else if let Some((object, key)) = getter(expr)
                    && let Some(scope) = scope(object, &schema)
                {
                    reads.insert((scope, vec![key.to_owned()]));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(reads)
}

fn scope(object: &Expr, schema: &datafusion::common::DFSchema) -> Option<Scope> {
    match Role::of(&object.to_field(schema).ok()?.1)? {
        Role::Attributes(scope) => Some(scope),
        _ => None,
    }
}

/// Whether some value has this key, or may have: a full scope does not list every key.
fn is_known(catalog: &Catalog, scope: Scope, key: &str) -> bool {
    catalog.counts(scope, key).total() > 0 || catalog.overflow(scope) > 0
}

/// No span has these keys: where they are instead, or similar ones.
fn missing(catalog: &Catalog, scope: Scope, keys: &[String], compared: &mut usize) -> String {
    let shown: Vec<String> = keys.iter().map(|key| self::shown(scope, key)).collect();
    let nothing = format!("no {} has {}", owner(scope), list(&shown, "or"));
    let values = |key: &str| catalog.counts(scope, key).total();
    let renamed = keys.iter().find_map(|key| {
        let other = renames::others(key).find(|other| values(other) > 0)?;
        Some(format!(
            "; {}, {}, has {}: {} reads both",
            self::shown(scope, other),
            if renames::is_newer(other, key) { "its new name" } else { "its old name" },
            things(values(other), "value"),
            attr_any(scope, key, other)
        ))
    });
    let elsewhere = || {
        keys.iter().find_map(|key| {
            let mut others = Scope::ALL.into_iter().filter(|other| *other != scope);
            let other = others.find(|other| catalog.counts(*other, key).total() > 0)?;
            let place = match other {
                Scope::Event | Scope::Link => format!(" of {}s", other.word()),
                Scope::Span if column_of(scope) == column_of(other) => " of spans".to_owned(),
                _ => String::new(),
            };
            let count = things(catalog.counts(other, key).total(), "value");
            Some(format!("; {}{place} has {count}", self::shown(other, key)))
        })
    };
    let alike = || {
        let known: Vec<&str> = catalog.keys(scope).map(|(key, _)| key).collect();
        let left = COMPARED_MAX.saturating_sub(*compared);
        keys.iter().take(left).find_map(|key| {
            *compared += 1;
            let near = near(key, known.iter().copied());
            let near: Vec<String> = near.iter().map(|key| self::shown(scope, key)).collect();
            (!near.is_empty()).then(|| format!("; did you mean {}?", list(&near, "or")))
        })
    };
    nothing + &renamed.or_else(elsewhere).or_else(alike).unwrap_or_default()
}

/// A key has values, and more stand under its other name, which the query does not read.
fn half(
    catalog: &Catalog,
    scope: Scope,
    key: &str,
    reads: &BTreeSet<(Scope, &str)>,
) -> Option<String> {
    let own = catalog.counts(scope, key).total();
    let values = |other: &str| catalog.counts(scope, other).total();
    let mut others = renames::others(key).filter(|other| !reads.contains(&(scope, other)));
    let other = others.find(|other| own > 0 && values(other) > 0)?;
    Some(format!(
        "{} has {}, and {}, {}, has {} more: {} reads both",
        shown(scope, key),
        things(own, "value"),
        shown(scope, other),
        if renames::is_newer(other, key) { "its new name" } else { "its old name" },
        grouped(values(other)),
        attr_any(scope, key, other)
    ))
}

/// What has attributes of this scope.
fn owner(scope: Scope) -> &'static str {
    match scope {
        Scope::Event => "event",
        Scope::Link => "link",
        Scope::Span | Scope::Resource | Scope::Scope => "span",
    }
}

fn shown(scope: Scope, key: &str) -> String {
    format!("{}[{}]", column_of(scope), quoted(key))
}

/// What reads a key under both names, the newer first.
fn attr_any(scope: Scope, key: &str, other: &str) -> String {
    let (first, second) = if renames::is_newer(other, key) { (other, key) } else { (key, other) };
    let column = match column_of(scope) {
        "attributes" => String::new(),
        column => format!("{column}, "),
    };
    format!("attr_any({column}{}, {})", quoted(first), quoted(second))
}

/// `1 value`, `1,234 values`
fn things(count: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `1,234,567`
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{grouped, things};

    #[test]
    fn counts_are_grouped_by_thousands() {
        let all = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((things(1, "value"), things(2, "value")), ("1 value".into(), "2 values".into()));
    }
}
