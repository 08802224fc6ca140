//! Literals that stand beside an id, a span kind or a status code.

use amida::schema::{KINDS, STATUSES};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, Like};

use crate::error::{about, plan_error, quoted_start};
use crate::role::Role;

/// What a column with such a role is compared with, when it is a text literal: the literal in the
/// one spelling that is stored.
///
/// # Errors
/// A planning error that names the literal, when no stored value can be equal to it.
pub(crate) fn normalise(role: &Role, other: &mut Expr) -> Result<bool> {
    let Some(text) = literal_mut(other) else { return Ok(false) };
    let normal = match role {
        Role::TraceId => hex(text, "trace id", 32)?,
        Role::SpanId => hex(text, "span id", 16)?,
        Role::Kind => word(text, "span kind", "SPAN_KIND_", &KINDS)?,
        Role::StatusCode => word(text, "status code", "STATUS_CODE_", &STATUSES)?,
        Role::Attributes(_) | Role::Value(..) | Role::Duration(_) => return Ok(false),
    };
    let changed = *text != normal;
    *text = normal;
    Ok(changed)
}

/// The pattern that an id is compared with by LIKE or ILIKE: lower-case, and hex up to its first
/// wildcard.
pub(crate) fn normalise_like(role: &Role, like: &mut Like) -> Result<bool> {
    let (what, digits) = match role {
        Role::TraceId => ("trace id", 32),
        Role::SpanId => ("span id", 16),
        _ => return Ok(false),
    };
    let Some(pattern) = literal_mut(&mut like.pattern) else { return Ok(false) };
    let prefix = pattern.split(['%', '_']).next().unwrap_or("");
    if prefix.len() > digits || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        let shown = quoted_start(pattern);
        let words = format!("{shown} matches no {what}: a {what} is {digits} hex digits");
        return Err(about(plan_error(words), format!("'{pattern}'")));
    }
    *pattern = pattern.to_ascii_lowercase();
    let changed = like.case_insensitive;
    like.case_insensitive = false;
    Ok(changed)
}

/// The text of a literal, under its aliases.
pub(super) fn literal_mut(expr: &mut Expr) -> Option<&mut String> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text))
            | ScalarValue::Utf8View(Some(text))
            | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text),
        Expr::Alias(alias) => literal_mut(&mut alias.expr),
        _ => None,
    }
}

fn hex(text: &str, what: &str, digits: usize) -> Result<String> {
    if text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    let shown = quoted_start(text);
    let words = format!("{shown} is not a {what}: expected {digits} hex digits");
    Err(about(plan_error(words), format!("'{text}'")))
}

fn word(text: &str, what: &str, prefix: &str, words: &[&str]) -> Result<String> {
    let upper = text.trim().to_uppercase();
    let bare = upper.strip_prefix(prefix).unwrap_or(&upper);
    if words.contains(&bare) {
        return Ok(bare.to_owned());
    }
    let near = words
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(a, bare).total_cmp(&strsim::jaro_winkler(b, bare)));
    let hint = match near {
        Some(near) if strsim::jaro_winkler(near, bare) > 0.7 => {
            format!("; did you mean '{near}'?")
        }
        _ => String::new(),
    };
    let shown = quoted_start(text);
    let words = format!("{shown} is not a {what}: expected one of {}{hint}", words.join(", "));
    Err(about(plan_error(words), format!("'{text}'")))
}
