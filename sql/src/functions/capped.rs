//! Functions that make values as long as an argument says, with a cap: `repeat`, `lpad`, `rpad`,
//! `array_repeat`, `array_resize`. DataFusion's memory limit does not see what a function makes.

use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Most elements, characters or repetitions of one value.
const LENGTH_MAX: i64 = 65_536;
/// Most bytes that one call makes for a batch of rows.
const BATCH_BYTES_MAX: i64 = 32 << 20;

const CAPPED: [&str; 5] = ["repeat", "lpad", "rpad", "array_repeat", "array_resize"];

/// The same functions, those that make long values with a cap.
pub(crate) fn cap(functions: Vec<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let wrap = |function: Arc<ScalarUDF>| {
        if CAPPED.contains(&function.name()) {
            Arc::new(ScalarUDF::from(Capped { inner: function }))
        } else {
            function
        }
    };
    functions.into_iter().map(wrap).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
}

impl Capped {
    /// Refuses lengths over the caps; the length is the second argument of all these functions.
    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let [value, length, ..] = args.args.as_slice() else { return Ok(()) };
        let rows = i64::try_from(args.number_rows).unwrap_or(i64::MAX);
        let (most, total) = match length {
            ColumnarValue::Scalar(length) => {
                let length = cast(&length.to_array_of_size(1)?, &DataType::Int64)?;
                let length = length.as_primitive::<Int64Type>();
                let length = if length.is_null(0) { 0 } else { length.value(0).max(0) };
                (length, length.saturating_mul(rows))
            }
            ColumnarValue::Array(lengths) => {
                let lengths = cast(lengths, &DataType::Int64)?;
                let lengths = lengths.as_primitive::<Int64Type>();
                let lengths = || lengths.iter().flatten().map(|length| length.max(0));
                let total = lengths().fold(0i64, i64::saturating_add);
                (lengths().max().unwrap_or(0), total)
            }
        };
        let unit = match self.name() {
            "lpad" | "rpad" => 1,
            _ => longest(value),
        };
        if most > LENGTH_MAX || total.saturating_mul(unit) > BATCH_BYTES_MAX {
            return exec_err!(
                "{} would make values that are too long: at most {LENGTH_MAX} repetitions and {} \
                 MiB at a time",
                self.name(),
                BATCH_BYTES_MAX >> 20
            );
        }
        Ok(())
    }
}

/// Bytes of the longest value.
fn longest(value: &ColumnarValue) -> i64 {
    let bytes = match value {
        ColumnarValue::Scalar(value) => value.size(),
        ColumnarValue::Array(values) => match values.data_type() {
            DataType::Utf8View => {
                values.as_string_view().iter().flatten().map(str::len).max().unwrap_or(0)
            }
            DataType::Utf8 => {
                values.as_string::<i32>().iter().flatten().map(str::len).max().unwrap_or(0)
            }
            _ => values.get_array_memory_size() / values.len().max(1),
        },
    };
    i64::try_from(bytes.max(1)).unwrap_or(i64::MAX)
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner.invoke_with_args(args)
    }
}
