//! Ids as text: `hex_id(FixedSizeBinary)` stands between the base table and every view, so that an
//! id is lower-case hex wherever a query touches it.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::role::Role;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct HexId {
    signature: Signature,
}

impl HexId {
    /// The function as DataFusion takes it.
    pub(crate) fn udf() -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::from(Self { signature }))
    }
}

impl ScalarUDFImpl for HexId {
    fn name(&self) -> &str {
        "hex_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::FixedSizeBinary(_)] => Ok(DataType::Utf8View),
            _ => plan_err!("hex_id takes an id"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [id] = args.arg_fields else { return plan_err!("hex_id takes one id") };
        let text = Field::new(self.name(), DataType::Utf8View, id.is_nullable());
        Ok(Arc::new(match id.data_type() {
            DataType::FixedSizeBinary(16) => Role::TraceId.mark(text),
            DataType::FixedSizeBinary(8) => Role::SpanId.mark(text),
            _ => return plan_err!("hex_id takes an id"),
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.into_iter().next() {
            Some(ColumnarValue::Array(ids)) => Ok(ColumnarValue::Array(hex_rows(&ids)?)),
            Some(ColumnarValue::Scalar(id)) => {
                let text = hex_rows(&id.to_array_of_size(1)?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&text, 0)?))
            }
            None => exec_err!("hex_id takes one id"),
        }
    }
}

fn hex_rows(ids: &ArrayRef) -> Result<ArrayRef> {
    let Some(ids) = ids.as_fixed_size_binary_opt() else {
        return exec_err!("hex_id takes an id, not {}", ids.data_type());
    };
    let mut out = StringViewBuilder::with_capacity(ids.len());
    let mut text = String::with_capacity(32);
    for id in ids {
        match id {
            Some(id) => {
                text.clear();
                push_hex(&mut text, id);
                out.append_value(&text);
            }
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

/// Appends lower-case hex.
pub(crate) fn push_hex(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The bytes of hex text; `None` for anything else.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let digit = |at: usize| pair.get(at).and_then(|c| char::from(*c).to_digit(16));
            u8::try_from(digit(0)? * 16 + digit(1)?).ok()
        })
        .collect()
}
