//! Reading one attribute out of the complete JSON text: the subscript `attributes['key']`, the
//! getters `attr_text`, `attr_int`, `attr_float` and `attr_bool` that name a type, and `attr_any`,
//! a subscript with several keys: the first that is there.
//!
//! A getter reads the values of its type; for values of other types it is null. `attr_float` reads
//! integers too; `attr_text` reads everything, numbers in the one spelling of `amida::json`.

use std::sync::Arc;

use amida::json::{self, Value};
use amida::{Scope, SqlType};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, StringViewArray,
    StringViewBuilder,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::repeats::repeats;
use crate::error::quoted;
use crate::role::Role;

/// Which values are read, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Read {
    /// Every value, as text.
    Text,
    /// Integers.
    Int,
    /// Integers and doubles.
    Float,
    /// Booleans.
    Bool,
}

impl Read {
    /// How the subscript reads a key of this type.
    pub(crate) fn of(sql_type: SqlType) -> Self {
        use json::ValueType;
        match sql_type {
            SqlType::One(ValueType::Int) => Read::Int,
            SqlType::One(ValueType::Double) => Read::Float,
            SqlType::One(ValueType::Bool) => Read::Bool,
            SqlType::One(ValueType::String | ValueType::Json)
            | SqlType::Unknown
            | SqlType::Mixed => Read::Text,
        }
    }

    /// The SQL name of the getter.
    pub(crate) fn getter(self) -> &'static str {
        match self {
            Read::Text => "attr_text",
            Read::Int => "attr_int",
            Read::Float => "attr_float",
            Read::Bool => "attr_bool",
        }
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Read::Text => DataType::Utf8View,
            Read::Int => DataType::Int64,
            Read::Float => DataType::Float64,
            Read::Bool => DataType::Boolean,
        }
    }
}

/// How the query wrote it: this decides the column's name, and whether the type may be chosen for
/// the place where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Style {
    /// `attributes['key']`, on a column of this scope
    Subscript(Scope),
    /// `attr_int(attributes, 'key')`
    Getter,
}

/// The function behind subscript and getters.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Attr {
    pub(crate) read: Read,
    pub(crate) style: Style,
    signature: Signature,
}

impl Attr {
    /// The function as DataFusion takes it.
    pub(crate) fn udf(read: Read, style: Style) -> Arc<ScalarUDF> {
        let signature = Signature::user_defined(Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { read, style, signature }))
    }

    /// The four getters.
    pub(crate) fn getters() -> [Arc<ScalarUDF>; 4] {
        [Read::Text, Read::Int, Read::Float, Read::Bool].map(|r| Self::udf(r, Style::Getter))
    }

    /// `attributes['key']` read as a type, or the first of several keys that is there.
    pub(crate) fn subscript(object: Expr, scope: Scope, keys: &[&str], read: Read) -> Expr {
        let literal =
            |key: &&str| Expr::Literal(ScalarValue::Utf8View(Some((*key).to_owned())), None);
        let args = std::iter::once(object).chain(keys.iter().map(literal)).collect();
        Self::udf(read, Style::Subscript(scope)).call(args)
    }
}

impl ScalarUDFImpl for Attr {
    fn name(&self) -> &str {
        self.read.getter()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let name = |arg: &Expr| match arg {
            Expr::Literal(ScalarValue::Utf8View(Some(key)) | ScalarValue::Utf8(Some(key)), _) => {
                quoted(key)
            }
            other => other.schema_name().to_string(),
        };
        Ok(match (self.style, args) {
            (Style::Subscript(_), [object, key]) => {
                let object = match object {
                    Expr::Column(column) => column.name.clone(),
                    other => name(other),
                };
                format!("{object}[{}]", name(key))
            }
            (Style::Subscript(_), [object, keys @ ..]) => {
                let object = match object {
                    Expr::Column(column) if column.name == "attributes" => None,
                    Expr::Column(column) => Some(column.name.clone()),
                    other => Some(name(other)),
                };
                let args: Vec<String> = object.into_iter().chain(keys.iter().map(name)).collect();
                format!("attr_any({})", args.join(","))
            }
            _ => {
                let args: Vec<String> = args.iter().map(name).collect();
                format!("{}({})", self.name(), args.join(","))
            }
        })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |t: &DataType| {
            matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null)
        };
        let several = matches!(self.style, Style::Subscript(_));
        match arg_types {
            [_, _, rest @ ..] if arg_types.iter().all(is_text) && (several || rest.is_empty()) => {
                Ok(vec![DataType::Utf8View; arg_types.len()])
            }
            _ => {
                let name = self.name();
                plan_err!("{name} takes an attribute column and a key: {name}(attributes, 'key')")
            }
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.read.data_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.name(), self.read.data_type(), true);
        let keys = args.scalar_arguments.iter().skip(1);
        let keys = keys.map(|key| key.and_then(|key| key.try_as_str().flatten()));
        let keys: Option<Vec<String>> = keys.map(|key| key.map(str::to_owned)).collect();
        Ok(Arc::new(match (self.style, self.read, keys) {
            (Style::Subscript(scope), Read::Text, Some(keys)) => {
                Role::Value(scope, keys).mark(field)
            }
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut args = args.args.into_iter();
        let Some(object) = args.next() else {
            return plan_err!("{} takes an attribute column", self.name());
        };
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let constant = is_scalar(&object) && args.as_slice().iter().all(is_scalar);
        let keys = args.map(|key| match key {
            ColumnarValue::Scalar(key) => key.to_array_of_size(1),
            ColumnarValue::Array(keys) => Ok(keys),
        });
        let keys = keys.collect::<Result<Vec<ArrayRef>>>()?;
        let keys: Vec<Key<'_>> = keys.iter().map(Key::of).collect();
        if let (ColumnarValue::Scalar(object), true) = (&object, constant) {
            let object = object.to_array_of_size(1)?;
            let value = read_rows(self.read, object.as_string_view(), &keys, 1);
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
        }
        let object = object.into_array(rows)?;
        let objects = object.as_string_view();
        if keys.iter().all(|key| matches!(key, Key::One(_)))
            && let Some((firsts, numbers)) = repeats(objects)
        {
            let texts = take(objects, &firsts, None)?;
            let values = read_rows(self.read, texts.as_string_view(), &keys, firsts.len());
            return Ok(ColumnarValue::Array(take(&values, &numbers, None)?));
        }
        Ok(ColumnarValue::Array(read_rows(self.read, objects, &keys, rows)))
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        // Near the scan the whole JSON text can be exchanged for one promoted column.
        match args {
            [ExpressionPlacement::Column, keys @ ..]
                if keys.iter().all(|key| matches!(key, ExpressionPlacement::Literal)) =>
            {
                ExpressionPlacement::MoveTowardsLeafNodes
            }
            _ => ExpressionPlacement::KeepInPlace,
        }
    }
}

/// One key for all rows, or a key a row.
enum Key<'a> {
    One(Option<&'a str>),
    Each(&'a StringViewArray),
}

impl<'a> Key<'a> {
    fn of(keys: &'a ArrayRef) -> Self {
        let keys = keys.as_string_view();
        if keys.len() == 1 {
            Key::One((!keys.is_null(0)).then(|| keys.value(0)))
        } else {
            Key::Each(keys)
        }
    }

    fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Key::One(key) => *key,
            Key::Each(keys) => (!keys.is_null(row)).then(|| keys.value(row)),
        }
    }
}

fn read_rows(read: Read, objects: &StringViewArray, keys: &[Key<'_>], rows: usize) -> ArrayRef {
    let value_at = |row: usize| {
        if objects.is_null(row) {
            return None;
        }
        let object = objects.value(row);
        let mut values = keys.iter().filter_map(|key| json::get(object, key.at(row)?));
        // An attribute without a value is no value.
        values.find(|value| !matches!(value, Value::Json(text) if text == "null"))
    };
    match read {
        Read::Text => {
            let mut out = StringViewBuilder::with_capacity(rows);
            for row in 0..rows {
                match value_at(row) {
                    Some(Value::String(text)) => out.append_value(text),
                    None => out.append_null(),
                    Some(other) => out.append_value(other.to_string()),
                }
            }
            Arc::new(out.finish())
        }
        Read::Int => {
            let mut out = Int64Builder::with_capacity(rows);
            for row in 0..rows {
                out.append_option(match value_at(row) {
                    Some(Value::Int(value)) => Some(value),
                    _ => None,
                });
            }
            Arc::new(out.finish())
        }
        Read::Float => {
            let mut out = Float64Builder::with_capacity(rows);
            for row in 0..rows {
                out.append_option(match value_at(row) {
                    Some(Value::Int(value)) => Some(value as f64),
                    Some(Value::Double(value)) => Some(value),
                    _ => None,
                });
            }
            Arc::new(out.finish())
        }
        Read::Bool => {
            let mut out = BooleanBuilder::with_capacity(rows);
            for row in 0..rows {
                out.append_option(match value_at(row) {
                    Some(Value::Bool(value)) => Some(value),
                    _ => None,
                });
            }
            Arc::new(out.finish())
        }
    }
}

/// A subscript with literal keys, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Subscript<'a> {
    pub(crate) object: &'a Expr,
    pub(crate) scope: Scope,
    /// One, or those of `attr_any`.
    pub(crate) keys: Vec<&'a str>,
    pub(crate) read: Read,
}

impl<'a> Subscript<'a> {
    /// `None` for anything that is not a subscript with literal keys.
    pub(crate) fn of(expr: &'a Expr) -> Option<Self> {
        let (attr, args) = call(expr)?;
        match (attr.style, args) {
            (Style::Subscript(scope), [object, keys @ ..]) => {
                let keys = keys.iter().map(literal).collect::<Option<_>>()?;
                Some(Self { object, scope, keys, read: attr.read })
            }
            _ => None,
        }
    }

    /// The same subscript that reads other values.
    pub(crate) fn reading(&self, read: Read) -> Expr {
        Attr::subscript(self.object.clone(), self.scope, &self.keys, read)
    }

    /// The same subscript of each key alone.
    pub(crate) fn each(&self) -> Vec<Expr> {
        let alone = |key: &&str| {
            Attr::subscript(self.object.clone(), self.scope, std::slice::from_ref(key), self.read)
        };
        self.keys.iter().map(alone).collect()
    }
}

/// Column and key of a getter such as `attr_int(attributes, 'key')`, where the key is a literal.
pub(crate) fn getter(expr: &Expr) -> Option<(&Expr, &str)> {
    match call(expr)? {
        (Attr { style: Style::Getter, .. }, [object, key]) => Some((object, literal(key)?)),
        _ => None,
    }
}

fn call(expr: &Expr) -> Option<(&Attr, &[Expr])> {
    let Expr::ScalarFunction(function) = expr else { return None };
    let inner: &dyn std::any::Any = function.func.inner().as_ref();
    Some((inner.downcast_ref::<Attr>()?, &function.args))
}

fn literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(key, _) => key.try_as_str().flatten(),
        _ => None,
    }
}

/// The words for a scope's column in messages: `attributes`, `resource_attributes`, ...
pub(crate) fn column_of(scope: Scope) -> &'static str {
    match scope {
        Scope::Span | Scope::Event | Scope::Link => "attributes",
        Scope::Resource => "resource_attributes",
        Scope::Scope => "scope_attributes",
    }
}
