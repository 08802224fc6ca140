//! The text of a promoted column's values.

use std::sync::Arc;

use amida::json;
use datafusion::arrow::array::{AsArray, StringViewArray};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

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
