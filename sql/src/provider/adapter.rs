//! Per file: an attribute is read from its promoted column when the file has all its values there,
//! and ids are compared as bytes, so that statistics and page index can exclude what does not
//! match. What is not rewritten runs on the JSON text, with the same answer.

use std::sync::Arc;

use amida::{PromotedType, Scope, Segment};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, LikeExpr, Literal, cast, in_list,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};

use crate::error::engine_error;
use crate::functions::attr::{Attr, Read};
use crate::functions::hex_id::{HexId, parse_hex};
use crate::functions::value_text::value_text;

/// On a promoted column of a file: it holds every value of its key.
const COMPLETE_KEY: &str = "amida.complete";

/// The schema of a segment's file: what the table has, and the promoted columns, those marked that
/// are complete.
pub(crate) fn file_schema(segment: &Segment, table: &Schema) -> Result<SchemaRef> {
    let complete = segment.complete_columns().map_err(engine_error)?;
    let schema = segment.schema().map_err(engine_error)?;
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut metadata = match table.field_with_name(field.name()) {
            Ok(known) => known.metadata().clone(),
            Err(_) => std::collections::HashMap::new(),
        };
        if let Some(promoted) = complete.iter().find(|p| p.column_name() == *field.name()) {
            let word = type_word(promoted.value_type);
            metadata.insert(COMPLETE_KEY.to_owned(), word.to_owned());
        }
        fields.push(field.as_ref().clone().with_metadata(metadata));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn type_word(value_type: PromotedType) -> &'static str {
    value_type.value_type().word()
}

/// Makes the adapters of a scan.
#[derive(Debug)]
pub(crate) struct SegmentAdapterFactory;

impl PhysicalExprAdapterFactory for SegmentAdapterFactory {
    fn create(
        &self,
        logical: SchemaRef,
        physical: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let default = DefaultPhysicalExprAdapterFactory {}
            .create(Arc::clone(&logical), Arc::clone(&physical))?;
        Ok(Arc::new(SegmentAdapter { logical, physical, default }))
    }
}

#[derive(Debug)]
struct SegmentAdapter {
    logical: SchemaRef,
    physical: SchemaRef,
    default: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for SegmentAdapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewritten = expr.transform_down(|expr| {
            if let Some(promoted) = self.promoted(&expr)? {
                return Ok(Transformed::new(promoted, true, TreeNodeRecursion::Jump));
            }
            if let Some(bytes) = self.id_as_bytes(&expr)? {
                return Ok(Transformed::new(bytes, true, TreeNodeRecursion::Jump));
            }
            Ok(Transformed::no(expr))
        })?;
        self.default.rewrite(rewritten.data)
    }
}

impl SegmentAdapter {
    /// The promoted column in place of reading an attribute from the JSON text.
    fn promoted(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(function) = ScalarFunctionExpr::try_downcast_func::<Attr>(expr.as_ref()) else {
            return Ok(None);
        };
        let inner: &dyn std::any::Any = function.fun().inner().as_ref();
        let Some(read) = inner.downcast_ref::<Attr>().map(|attr| attr.read) else {
            return Ok(None);
        };
        let [object, key] = function.args() else { return Ok(None) };
        let (Some(object), Some(key)) = (object.downcast_ref::<Column>(), text(key)) else {
            return Ok(None);
        };
        let scope = match object.name() {
            "attributes" => Scope::Span,
            "resource_attributes" => Scope::Resource,
            _ => return Ok(None),
        };
        let prefix = if scope == Scope::Resource { "resource" } else { "attr" };
        let Ok(index) = self.physical.index_of(&format!("{prefix}.{key}")) else {
            return Ok(None);
        };
        let field = self.physical.field(index);
        let Some(word) = field.metadata().get(COMPLETE_KEY) else { return Ok(None) };
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), index));
        self.read_column(column, word, read).map(Some)
    }

    /// A complete promoted column read as `read` asks: null for values of other types.
    fn read_column(
        &self,
        column: Arc<dyn PhysicalExpr>,
        word: &str,
        read: Read,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match (read, word) {
            (Read::Text, "string")
            | (Read::Int, "int")
            | (Read::Float, "double" | "int")
            | (Read::Bool, "bool") => {
                if column.data_type(&self.physical)? == read.data_type() {
                    Ok(column)
                } else {
                    cast(column, &self.physical, read.data_type())
                }
            }
            (Read::Text, _) => Ok(Arc::new(ScalarFunctionExpr::try_new(
                value_text(),
                vec![column],
                &self.physical,
                Arc::new(ConfigOptions::default()),
            )?)),
            _ => Ok(Arc::new(Literal::new(ScalarValue::try_from(&read.data_type())?))),
        }
    }

    /// A comparison of hex text as the same comparison of bytes.
    fn id_as_bytes(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let keeps_order = matches!(
                binary.op(),
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
            );
            let Some((id, size)) = self.id(binary.left()).filter(|_| keeps_order) else {
                return Ok(None);
            };
            let Some(bytes) = id_literal(binary.right(), size) else { return Ok(None) };
            return Ok(Some(Arc::new(BinaryExpr::new(id, *binary.op(), bytes))));
        }
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            let Some((id, size)) = self.id(list.expr()) else { return Ok(None) };
            let values: Option<Vec<_>> = list.list().iter().map(|v| id_literal(v, size)).collect();
            let Some(values) = values else { return Ok(None) };
            return in_list(id, values, &list.negated(), &self.logical).map(Some);
        }
        if let Some(like) = expr.downcast_ref::<LikeExpr>() {
            return Ok(self.id_like(like));
        }
        Ok(None)
    }

    /// `LIKE 'ab%'` as the range from `ab00..` to `abff..`.
    fn id_like(&self, like: &LikeExpr) -> Option<Arc<dyn PhysicalExpr>> {
        if like.negated() || like.case_insensitive() {
            return None;
        }
        let (id, size) = self.id(like.expr())?;
        let prefix = text(like.pattern())?.strip_suffix('%')?;
        let digits = size * 2;
        if prefix.len() > digits || !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let bound = |fill: char, op: Operator| -> Option<Arc<dyn PhysicalExpr>> {
            let padding = std::iter::repeat_n(fill, digits - prefix.len());
            let hex: String = prefix.chars().chain(padding).collect();
            Some(Arc::new(BinaryExpr::new(Arc::clone(&id), op, bytes_literal(&hex, size)?)))
        };
        let (low, high) = (bound('0', Operator::GtEq)?, bound('f', Operator::LtEq)?);
        Some(Arc::new(BinaryExpr::new(low, Operator::And, high)))
    }

    /// The id column under `hex_id`, and its size in bytes.
    fn id(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<(Arc<dyn PhysicalExpr>, usize)> {
        let function = ScalarFunctionExpr::try_downcast_func::<HexId>(expr.as_ref())?;
        let [id] = function.args() else { return None };
        let column = id.downcast_ref::<Column>()?;
        match self.logical.field_with_name(column.name()).ok()?.data_type() {
            DataType::FixedSizeBinary(size) => Some((Arc::clone(id), usize::try_from(*size).ok()?)),
            _ => None,
        }
    }
}

fn text(expr: &Arc<dyn PhysicalExpr>) -> Option<&str> {
    expr.downcast_ref::<Literal>()?.value().try_as_str().flatten()
}

fn id_literal(expr: &Arc<dyn PhysicalExpr>, size: usize) -> Option<Arc<dyn PhysicalExpr>> {
    bytes_literal(text(expr)?, size)
}

/// The bytes of lower-case hex; anything else is compared as text.
fn bytes_literal(hex: &str, size: usize) -> Option<Arc<dyn PhysicalExpr>> {
    if hex.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    let bytes = parse_hex(hex).filter(|bytes| bytes.len() == size)?;
    let size = i32::try_from(size).ok()?;
    Some(Arc::new(Literal::new(ScalarValue::FixedSizeBinary(size, Some(bytes)))))
}
