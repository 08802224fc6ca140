//! Literals that stand beside an id, a span kind or a status code.

use amida::schema::{KINDS, STATUSES};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, Like};

use crate::error::{about, plan_error, quoted_start};
use crate::role::Role;

/// Functions that give one of their arguments.
pub(super) const GIVES_ONE: [&str; 4] = ["coalesce", "greatest", "least", "nvl"];

/// An id, a kind or a status code, and the text that may stand in its place.
#[derive(Debug)]
pub(crate) struct Meaning {
    role: Role,
    /// Literals of the query, as in `coalesce(parent_span_id, 'root')`.
    besides: Vec<String>,
}

impl Meaning {
    /// What an expression means; looks through what gives one of its parts. Fields are asked for
    /// at the leaves only: each asks for those below it.
    pub(crate) fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        match expr {
            Expr::Alias(alias) => Self::of(&alias.expr, schema),
            Expr::Cast(cast) if cast.field.data_type().is_string() => Self::of(&cast.expr, schema),
            Expr::TryCast(cast) if cast.field.data_type().is_string() => {
                Self::of(&cast.expr, schema)
            }
            Expr::Case(case) => {
                let thens = case.when_then_expr.iter().map(|(_, then)| then);
                Self::of_one(thens.chain(&case.else_expr).map(|branch| branch.as_ref()), schema)
            }
            Expr::ScalarFunction(function) => match function.func.name() {
                "nullif" => Self::of(function.args.first()?, schema),
                "nvl2" => Self::of_one(function.args.get(1..)?, schema),
                name if GIVES_ONE.contains(&name) => Self::of_one(&function.args, schema),
                _ => Self::of_leaf(expr, schema),
            },
            _ => Self::of_leaf(expr, schema),
        }
    }

    /// What all of these mean but literals; `None` where they do not mean the same.
    pub(crate) fn of_one<'a>(
        exprs: impl IntoIterator<Item = &'a Expr>,
        schema: &DFSchema,
    ) -> Option<Self> {
        let (mut role, mut besides) = (None, Vec::new());
        for expr in exprs {
            if let Expr::Literal(value, _) = expr {
                besides.extend(value.try_as_str().flatten().map(str::to_owned));
                continue;
            }
            let meaning = Self::of(expr, schema)?;
            if role.as_ref().is_some_and(|role| *role != meaning.role) {
                return None;
            }
            role = Some(meaning.role);
            besides.extend(meaning.besides);
        }
        Some(Self { role: role?, besides })
    }

    fn of_leaf(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        let role = Role::of(&expr.to_field(schema).ok()?.1)?;
        let is_word = matches!(role, Role::TraceId | Role::SpanId | Role::Kind | Role::StatusCode);
        is_word.then(|| Self { role, besides: Vec::new() })
    }
}

/// What an id or a word is compared with, when it is a text literal: the literal in the one
/// spelling that is stored.
///
/// # Errors
/// A planning error that names the literal, when no value can be equal to it.
pub(crate) fn normalise(meaning: &Meaning, other: &mut Expr) -> Result<bool> {
    let Some(text) = literal_mut(other) else { return Ok(false) };
    let normal = match meaning.role {
        Role::TraceId => hex(text, "trace id", 32),
        Role::SpanId => hex(text, "span id", 16),
        Role::Kind => word(text, "span kind", "SPAN_KIND_", &KINDS),
        Role::StatusCode => word(text, "status code", "STATUS_CODE_", &STATUSES),
        Role::Attributes(_) | Role::Value(..) | Role::Duration(_) => return Ok(false),
    };
    let normal = match normal {
        Err(_) if meaning.besides.contains(text) => return Ok(false),
        normal => normal?,
    };
    let changed = *text != normal;
    *text = normal;
    Ok(changed)
}

/// The pattern that an id or a word is compared with by LIKE or ILIKE: of an id lower-case, and hex
/// up to its first wildcard; of a word upper-case.
pub(crate) fn normalise_like(meaning: &Meaning, like: &mut Like) -> Result<bool> {
    if !meaning.besides.is_empty() {
        return Ok(false);
    }
    let (what, digits) = match meaning.role {
        Role::TraceId => ("trace id", 32),
        Role::SpanId => ("span id", 16),
        Role::Kind | Role::StatusCode => {
            let Some(pattern) = literal_mut(&mut like.pattern) else { return Ok(false) };
            let upper = pattern.to_ascii_uppercase();
            let changed = *pattern != upper;
            *pattern = upper;
            return Ok(changed);
        }
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
