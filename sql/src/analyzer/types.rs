//! Attributes of several types.
//!
//! Such a key is text, complete. Where it stands directly beside a number or a boolean, the values
//! of that type are read instead; where that cannot be seen, text beside a number is refused, for
//! it would compare letter by letter.

use amida::json::ValueType;
use amida::{Catalog, Scope, SqlType, TypeCounts};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, ExprSchemable, TryCast};

use crate::error::{about, at, plan_error, quoted};
use crate::functions::attr::{Read, Subscript, column_of};
use crate::role::Role;

/// What kind of value an expression has, as far as comparing is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Class {
    /// Text that stands in rows, not in the query.
    Text,
    /// A text literal: DataFusion turns it into the other side's type.
    TextLiteral,
    /// An integer.
    Int,
    /// A number that may have a fraction.
    Float,
    /// A boolean.
    Bool,
    /// Anything else, or not known yet.
    Other,
}

impl Class {
    /// The class of a type.
    pub(crate) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Class::Text,
            DataType::Boolean => Class::Bool,
            DataType::Dictionary(_, value) => Class::of_type(value),
            t if t.is_integer() => Class::Int,
            t if t.is_numeric() => Class::Float,
            _ => Class::Other,
        }
    }

    /// The class of an expression; `Other` where its type cannot be told.
    pub(crate) fn of(expr: &Expr, schema: &DFSchema) -> Self {
        match (bare(expr), expr.get_type(schema)) {
            (Expr::Placeholder(p), _) if p.field.is_none() => Class::Other,
            (Expr::Literal(..), Ok(t)) if Class::of_type(&t) == Class::Text => Class::TextLiteral,
            (_, Ok(data_type)) => Class::of_type(&data_type),
            (_, Err(_)) => Class::Other,
        }
    }

    /// Whether this is a number or a boolean.
    pub(crate) fn is_typed(&self) -> bool {
        matches!(self, Class::Int | Class::Float | Class::Bool)
    }

    fn word(&self) -> &'static str {
        match self {
            Class::Bool => "a boolean",
            Class::Text | Class::TextLiteral => "text",
            _ => "a number",
        }
    }
}

/// The expression under its aliases.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

/// The type of the values of these keys together, and which they are.
pub(crate) fn seen_as<K: AsRef<str>>(
    catalog: &Catalog,
    scope: Scope,
    keys: &[K],
) -> (SqlType, TypeCounts) {
    let mut counts = TypeCounts::default();
    let mut mixed = false;
    for key in keys {
        counts.merge(&catalog.counts(scope, key.as_ref()));
        mixed |= catalog.sql_type(scope, key.as_ref()) == SqlType::Mixed;
    }
    (if mixed { SqlType::Mixed } else { counts.sql_type() }, counts)
}

/// A subscript whose type may be chosen for its place: its keys have values of several types, or
/// none yet.
fn open_subscript<'a>(catalog: &Catalog, expr: &'a Expr) -> Option<(Subscript<'a>, TypeCounts)> {
    let subscript = Subscript::of(bare(expr)).filter(|s| s.read == Read::Text)?;
    match seen_as(catalog, subscript.scope, &subscript.keys) {
        (SqlType::Mixed | SqlType::Unknown, counts) => Some((subscript, counts)),
        (SqlType::One(_), _) => None,
    }
}

/// A subscript with several keys as the first of several subscripts, where that is the same: where
/// no key has values that would not be read, which the first key that is there hides.
pub(crate) fn apart(catalog: &Catalog, expr: Expr) -> Transformed<Expr> {
    let Some(subscript) = Subscript::of(&expr).filter(|s| s.keys.len() > 1) else {
        return Transformed::no(expr);
    };
    let complete = |key: &&str| match (subscript.read, catalog.sql_type(subscript.scope, key)) {
        (Read::Text, _) | (_, SqlType::Unknown) => true,
        (_, SqlType::Mixed) => false,
        (Read::Float, SqlType::One(seen)) => matches!(seen, ValueType::Int | ValueType::Double),
        (Read::Int, SqlType::One(seen)) => seen == ValueType::Int,
        (Read::Bool, SqlType::One(seen)) => seen == ValueType::Bool,
    };
    if subscript.keys.iter().all(complete) {
        Transformed::yes(coalesce(subscript.each()))
    } else {
        Transformed::no(expr)
    }
}

/// How the values of a key are read beside something of this class.
fn read_beside(counts: TypeCounts, other: &Class) -> Option<Read> {
    let has = |wanted: ValueType| counts.seen().iter().any(|(seen, _)| *seen == wanted);
    match other {
        Class::Bool => Some(Read::Bool),
        Class::Float => Some(Read::Float),
        // Integers are compared as integers unless the key has doubles too.
        Class::Int if has(ValueType::Int) && !has(ValueType::Double) => Some(Read::Int),
        Class::Int => Some(Read::Float),
        Class::Text | Class::TextLiteral | Class::Other => None,
    }
}

/// `expr` as a value of the class that its place asks for: rewritten when it is a subscript of a
/// key with several types; `None` when nothing is to do.
///
/// # Errors
/// When it is any other text, which has to be read with a getter.
pub(crate) fn adapt(
    catalog: &Catalog,
    expr: &Expr,
    place: &Class,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    if !place.is_typed() || Class::of(expr, schema) != Class::Text {
        return Ok(None);
    }
    if let Some((subscript, counts)) = open_subscript(catalog, expr) {
        return Ok(read_beside(counts, place).map(|read| subscript.reading(read)));
    }
    match role_of(expr, schema) {
        // No span has the key, so every value is null: null of the type asked for.
        Some(Role::Value(scope, keys)) if seen_as(catalog, scope, &keys).0 == SqlType::Unknown => {
            let data_type = match place {
                Class::Bool => DataType::Boolean,
                _ => DataType::Float64,
            };
            Ok(Some(Expr::TryCast(TryCast::new(Box::new(expr.clone()), data_type))))
        }
        role => Err(refusal(catalog, expr, place, role)),
    }
}

/// `expr` among the arguments of a function that makes them one type, such as `coalesce`: there a
/// key with several types has to be read with a getter.
///
/// # Errors
/// When it is text that is not null in every row.
pub(crate) fn unify(
    catalog: &Catalog,
    expr: &Expr,
    place: &Class,
    schema: &DFSchema,
) -> Result<Option<Expr>> {
    match open_subscript(catalog, expr) {
        Some((_, counts)) if place.is_typed() && counts.total() > 0 => {
            Err(refusal(catalog, expr, place, role_of(expr, schema)))
        }
        _ => adapt(catalog, expr, place, schema),
    }
}

/// Both operands of a comparison or of arithmetic; `None` when nothing is to do.
pub(crate) fn adapt_pair(
    catalog: &Catalog,
    left: &Expr,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<(Expr, Expr)>> {
    let (left_class, right_class) = (Class::of(left, schema), Class::of(right, schema));
    if let Some(adapted) = adapt(catalog, left, &right_class, schema)? {
        return Ok(Some((adapted, right.clone())));
    }
    if let Some(adapted) = adapt(catalog, right, &left_class, schema)? {
        return Ok(Some((left.clone(), adapted)));
    }
    Ok(None)
}

/// A subscript of a key with several types as a number, where only a number makes sense: beside an
/// arithmetic sign, or in `sum`.
pub(crate) fn as_number(catalog: &Catalog, expr: &Expr) -> Option<Expr> {
    let (subscript, counts) = open_subscript(catalog, expr)?;
    read_beside(counts, &Class::Int).map(|read| subscript.reading(read))
}

/// A subscript of a key with several types as a boolean.
pub(crate) fn as_bool(catalog: &Catalog, expr: &Expr) -> Option<Expr> {
    Some(open_subscript(catalog, expr)?.0.reading(Read::Bool))
}

/// A subscript of a key with several types inside CAST: the values that the type asked for can
/// come from; null, not an error, for what does not fit.
pub(crate) fn as_cast(catalog: &Catalog, expr: &Expr, to: &DataType) -> Option<Expr> {
    let (subscript, counts) = open_subscript(catalog, expr)?;
    let has = |wanted: ValueType| counts.seen().iter().any(|(seen, _)| *seen == wanted);
    let cast = |expr: Expr| Expr::TryCast(TryCast::new(Box::new(expr), to.clone()));
    Some(match Class::of_type(to) {
        // Integers exactly, and doubles where there are some.
        Class::Int if has(ValueType::Int) && has(ValueType::Double) => {
            coalesce(vec![cast(subscript.reading(Read::Int)), cast(subscript.reading(Read::Float))])
        }
        Class::Text | Class::TextLiteral => return None,
        Class::Other => cast(expr.clone()),
        class => cast(subscript.reading(read_beside(counts, &class)?)),
    })
}

/// Refuses the smallest or largest value of a key with several types: as text it would be an
/// answer that nobody asked for.
pub(crate) fn refuse_extreme(
    catalog: &Catalog,
    function: &str,
    arg: &Expr,
    schema: &DFSchema,
) -> Result<()> {
    match role_of(arg, schema) {
        Some(Role::Value(scope, keys)) => match seen_as(catalog, scope, &keys) {
            (SqlType::Mixed, counts) => Err(placed(
                plan_error(format!(
                    "{function} of text: {} {}; read {} instead",
                    shown(scope, &keys),
                    seen(&counts),
                    getters(scope, &keys, &counts, &Class::Other),
                )),
                arg,
            )),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What the text of this expression means; looks through expressions that pass values on.
fn role_of(expr: &Expr, schema: &DFSchema) -> Option<Role> {
    let field = expr.to_field(schema).ok()?.1;
    if let Some(role) = Role::of(&field) {
        return Some(role);
    }
    match bare(expr) {
        Expr::Case(case) => case
            .when_then_expr
            .iter()
            .map(|(_, then)| then.as_ref())
            .chain(case.else_expr.as_deref())
            .find_map(|branch| role_of(branch, schema)),
        Expr::ScalarFunction(function) if function.func.name() == "coalesce" => {
            function.args.iter().find_map(|arg| role_of(arg, schema))
        }
        Expr::Cast(cast) => role_of(&cast.expr, schema),
        _ => None,
    }
}

fn refusal(catalog: &Catalog, expr: &Expr, place: &Class, role: Option<Role>) -> DataFusionError {
    let name = expr.schema_name().to_string();
    let beside = place.word();
    let words = match role {
        Some(Role::Value(scope, keys)) => match seen_as(catalog, scope, &keys) {
            (SqlType::One(ValueType::String), counts) => format!(
                "{name} is text and stands beside {beside}: all {} values of {} are strings; \
                 compare with text such as '200', or write CAST(.. AS BIGINT)",
                counts.total(),
                shown(scope, &keys),
            ),
            (_, counts) => format!(
                "{name} is text and stands beside {beside}: {} {}; read {} instead",
                shown(scope, &keys),
                seen(&counts),
                getters(scope, &keys, &counts, place),
            ),
        },
        Some(Role::Kind) => format!("{name} is a word; compare it with text such as 'SERVER'"),
        Some(Role::StatusCode) => format!("{name} is a word; compare it with text such as 'ERROR'"),
        Some(Role::TraceId | Role::SpanId) => {
            format!("{name} is hex text and stands beside {beside}")
        }
        _ => format!(
            "{name} is text and stands beside {beside}: compare with text, write CAST(.. AS \
             BIGINT), or read an attribute with {}",
            getters(Scope::Span, &["key".to_owned()], &TypeCounts::default(), place),
        ),
    };
    placed(plan_error(words), expr)
}

/// The error at what the query wrote: a column, or the one key of a subscript.
fn placed(error: DataFusionError, expr: &Expr) -> DataFusionError {
    let bare = bare(expr);
    match (bare.spans().and_then(|spans| spans.first()), Subscript::of(bare)) {
        (Some(span), _) => at(error, Some(span)),
        (None, Some(subscript)) => match subscript.keys.as_slice() {
            [key] => about(error, format!("'{key}'")),
            _ => about(error, "attr_any"),
        },
        (None, None) => error,
    }
}

fn shown(scope: Scope, keys: &[String]) -> String {
    let column = column_of(scope);
    let keys: Vec<String> = keys.iter().map(|key| quoted(key)).collect();
    match keys.as_slice() {
        [key] => format!("{column}[{key}]"),
        keys => format!("attr_any({column}, {})", keys.join(", ")),
    }
}

/// `has 12 int and 3 string values`
fn seen(counts: &TypeCounts) -> String {
    let parts: Vec<String> =
        counts.seen().iter().map(|(t, n)| format!("{n} {}", t.word())).collect();
    match parts.as_slice() {
        [] => "has values of types that were not counted".to_owned(),
        [one] => format!("has {one} values"),
        [most @ .., last] => format!("has {} and {last} values", most.join(", ")),
    }
}

/// The getter that reads these keys beside such a place; all that find values when any would do.
fn getters(scope: Scope, keys: &[String], counts: &TypeCounts, place: &Class) -> String {
    let has = |wanted: ValueType| counts.seen().iter().any(|(seen, _)| *seen == wanted);
    let number = if has(ValueType::Double) { Read::Float } else { Read::Int };
    let reads = match place {
        Class::Bool => vec![Read::Bool],
        Class::Int | Class::Float if counts.total() > 0 => vec![number],
        Class::Int | Class::Float => vec![Read::Int, Read::Float],
        _ => {
            let numbers = has(ValueType::Int) || has(ValueType::Double);
            let numbers = numbers.then_some(number);
            let bools = has(ValueType::Bool).then_some(Read::Bool);
            numbers.into_iter().chain(bools).chain([Read::Text]).collect()
        }
    };
    let one = |read: &Read| {
        let call =
            |key: &String| format!("{}({}, {})", read.getter(), column_of(scope), quoted(key));
        let calls: Vec<String> = keys.iter().map(call).collect();
        match calls.as_slice() {
            [call] => call.clone(),
            calls => format!("coalesce({})", calls.join(", ")),
        }
    };
    reads.iter().map(one).collect::<Vec<_>>().join(" or ")
}
