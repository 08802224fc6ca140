//! Reading one attribute out of the complete JSON text: the subscript `attributes['key']`, and the
//! getters `attr_text`, `attr_int`, `attr_float` and `attr_bool` that name a type.
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
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

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

    /// `attributes['key']` read as a type.
    pub(crate) fn subscript(object: Expr, scope: Scope, key: &str, read: Read) -> Expr {
        let key = Expr::Literal(ScalarValue::Utf8View(Some(key.to_owned())), None);
        Self::udf(read, Style::Subscript(scope)).call(vec![object, key])
    }
}

impl ScalarUDFImpl for Attr {
    fn name(&self) -> &str {
        self.read.getter()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let name = |arg: &Expr| match arg {
            Expr::Literal(ScalarValue::Utf8View(Some(key)) | ScalarValue::Utf8(Some(key)), _) => {
                format!("'{key}'")
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
        match arg_types {
            [object, key] if is_text(object) && is_text(key) => Ok(vec![DataType::Utf8View; 2]),
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
        let key = args.scalar_arguments.get(1).copied().flatten();
        let key = key.and_then(|key| key.try_as_str().flatten());
        Ok(Arc::new(match (self.style, self.read, key) {
            (Style::Subscript(scope), Read::Text, Some(key)) => {
                Role::Value(scope, key.to_owned()).mark(field)
            }
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [object, key] = <[ColumnarValue; 2]>::try_from(args.args)
            .or_else(|_| plan_err!("{} takes two arguments", self.name()))?;
        if let (ColumnarValue::Scalar(object), ColumnarValue::Scalar(key)) = (&object, &key) {
            let object = object.to_array_of_size(1)?;
            let key = key.to_array_of_size(1)?;
            let value = read_rows(self.read, object.as_string_view(), &Key::of(&key), 1);
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
        }
        let key = match key {
            ColumnarValue::Scalar(key) => key.to_array_of_size(1)?,
            ColumnarValue::Array(keys) => keys,
        };
        let object = object.into_array(rows)?;
        let keys = Key::of(&key);
        Ok(ColumnarValue::Array(read_rows(self.read, object.as_string_view(), &keys, rows)))
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        // Near the scan the whole JSON text can be exchanged for one promoted column.
        match args {
            [ExpressionPlacement::Column, ExpressionPlacement::Literal] => {
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

fn read_rows(read: Read, objects: &StringViewArray, keys: &Key<'_>, rows: usize) -> ArrayRef {
    let value_at = |row: usize| {
        let key = keys.at(row)?;
        if objects.is_null(row) { None } else { json::get(objects.value(row), key) }
    };
    match read {
        Read::Text => {
            let mut out = StringViewBuilder::with_capacity(rows);
            for row in 0..rows {
                match value_at(row) {
                    Some(Value::String(text)) => out.append_value(text),
                    // An attribute without a value is no value.
                    None => out.append_null(),
                    Some(Value::Json(text)) if text == "null" => out.append_null(),
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

/// A subscript with a literal key, taken apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subscript<'a> {
    pub(crate) object: &'a Expr,
    pub(crate) scope: Scope,
    pub(crate) key: &'a str,
    pub(crate) read: Read,
}

impl<'a> Subscript<'a> {
    /// `None` for anything that is not a subscript with a literal key.
    pub(crate) fn of(expr: &'a Expr) -> Option<Self> {
        let Expr::ScalarFunction(function) = expr else { return None };
        let inner: &dyn std::any::Any = function.func.inner().as_ref();
        let attr = inner.downcast_ref::<Attr>()?;
        match (attr.style, function.args.as_slice()) {
            (Style::Subscript(scope), [object, Expr::Literal(key, _)]) => {
                Some(Self { object, scope, key: key.try_as_str().flatten()?, read: attr.read })
            }
            _ => None,
        }
    }

    /// The same subscript that reads other values.
    pub(crate) fn reading(self, read: Read) -> Expr {
        Attr::subscript(self.object.clone(), self.scope, self.key, read)
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

/// The text of a promoted number or boolean, spelled as `attr_text` spells it from JSON.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ValueText {
    signature: Signature,
}

/// The function as DataFusion takes it.
pub(crate) fn value_text() -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::from(ValueText { signature }))
}

impl ScalarUDFImpl for ValueText {
    fn name(&self) -> &str {
        "value_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(values) = args.args.into_iter().next() else {
            return plan_err!("value_text takes one argument");
        };
        let values = values.into_array(args.number_rows)?;
        let text: StringViewArray = match values.data_type() {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>().iter();
                values.map(|value| value.map(|v| v.to_string())).collect()
            }
            DataType::Float64 => {
                let values = values.as_primitive::<Float64Type>().iter();
                values.map(|value| value.map(json::double_text)).collect()
            }
            DataType::Boolean => {
                values.as_boolean().iter().map(|value| value.map(|v| v.to_string())).collect()
            }
            other => return plan_err!("value_text does not take {other}"),
        };
        Ok(ColumnarValue::Array(Arc::new(text)))
    }
}
