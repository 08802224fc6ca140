//! `trace_root`: the service and operation of a trace's root, as an aggregate over its spans.
//!
//! The root is the earliest span without a parent; where there is none, the earliest span whose
//! parent is not among the spans. Spans are only remembered while no span without a parent was met.

use std::collections::HashSet;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeBinaryArray, StringViewArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimestampNanosecondType};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};

/// The function: `trace_root(span_id, parent_span_id, start_time, service_name, name)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TraceRoot {
    signature: Signature,
}

impl TraceRoot {
    /// The function as DataFusion takes it.
    pub(crate) fn udaf() -> AggregateUDF {
        AggregateUDF::from(Self { signature: Signature::any(5, Volatility::Immutable) })
    }
}

fn fields() -> Fields {
    let text = |name: &str| Field::new(name, DataType::Utf8View, true);
    Fields::from(vec![text("service"), text("operation")])
}

impl AggregateUDFImpl for TraceRoot {
    fn name(&self) -> &str {
        "trace_root"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[spans]", args.name), DataType::Binary, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::<Candidates>::default())
    }
}

/// What is remembered of a span.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    start_ns: i64,
    span_id: [u8; 8],
    parent: Option<[u8; 8]>,
    service: String,
    operation: String,
}

/// The spans of one trace that may be its root.
#[derive(Debug, Default)]
struct Candidates {
    /// The earliest span without a parent.
    root: Option<Candidate>,
    /// All spans, while there is no root.
    others: Vec<Candidate>,
    text_bytes: usize,
}

impl Candidates {
    fn add(&mut self, span: Candidate) {
        if span.parent.is_none() {
            if self.root.as_ref().is_none_or(|root| span < *root) {
                self.root = Some(span);
            }
            self.others = Vec::new();
            self.text_bytes = 0;
        } else if self.root.is_none() {
            self.text_bytes += span.service.len() + span.operation.len();
            self.others.push(span);
        }
    }

    fn best(&self) -> Option<&Candidate> {
        if self.root.is_some() {
            return self.root.as_ref();
        }
        let ids: HashSet<[u8; 8]> = self.others.iter().map(|span| span.span_id).collect();
        let is_orphan = |span: &&Candidate| span.parent.is_none_or(|id| !ids.contains(&id));
        // In a circle of parents there is no orphan.
        self.others.iter().filter(is_orphan).min().or_else(|| self.others.iter().min())
    }
}

impl Accumulator for Candidates {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [span_ids, parents, starts, services, operations] = values else {
            return exec_err!("trace_root takes five columns");
        };
        let (span_ids, parents) = (ids(span_ids)?, ids(parents)?);
        let starts = starts.as_primitive_opt::<TimestampNanosecondType>();
        let starts = starts.ok_or_else(|| exec_datafusion_err!("trace_root takes a time"))?;
        let (services, operations) = (texts(services)?, texts(operations)?);
        for row in 0..span_ids.len() {
            let parent = if parents.is_null(row) { None } else { id(parents.value(row)) };
            if parent.is_some() && self.root.is_some() {
                continue;
            }
            self.add(Candidate {
                start_ns: starts.value(row),
                span_id: id(span_ids.value(row)).unwrap_or_default(),
                parent,
                service: services.value(row).to_owned(),
                operation: operations.value(row).to_owned(),
            });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let best = self.best();
        let service = StringViewArray::from(vec![best.map(|span| span.service.as_str())]);
        let operation = StringViewArray::from(vec![best.map(|span| span.operation.as_str())]);
        let columns: Vec<ArrayRef> = vec![Arc::new(service), Arc::new(operation)];
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(fields(), columns, None)?)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.others.capacity() * size_of::<Candidate>() + self.text_bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let mut bytes = Vec::new();
        for span in self.root.iter().chain(&self.others) {
            encode(&mut bytes, span);
        }
        Ok(vec![ScalarValue::Binary(Some(bytes))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first().and_then(|s| s.as_binary_opt::<i32>()) else {
            return exec_err!("trace_root merges what it made");
        };
        for mut bytes in states.iter().flatten() {
            while !bytes.is_empty() {
                let span = decode(&mut bytes)
                    .ok_or_else(|| exec_datafusion_err!("trace_root merges what it made"))?;
                self.add(span);
            }
        }
        Ok(())
    }
}

fn ids(array: &ArrayRef) -> Result<&FixedSizeBinaryArray> {
    array.as_fixed_size_binary_opt().ok_or_else(|| exec_datafusion_err!("trace_root takes ids"))
}

fn texts(array: &ArrayRef) -> Result<&StringViewArray> {
    array.as_string_view_opt().ok_or_else(|| exec_datafusion_err!("trace_root takes text"))
}

fn id(bytes: &[u8]) -> Option<[u8; 8]> {
    bytes.try_into().ok()
}

/// Start, span id, whether there is a parent, parent, and both texts with their lengths.
fn encode(out: &mut Vec<u8>, span: &Candidate) {
    out.extend(span.start_ns.to_le_bytes());
    out.extend(span.span_id);
    out.push(u8::from(span.parent.is_some()));
    out.extend(span.parent.unwrap_or_default());
    for text in [&span.service, &span.operation] {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }
}

fn decode(bytes: &mut &[u8]) -> Option<Candidate> {
    fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
        let (head, tail) = bytes.split_at_checked(len)?;
        *bytes = tail;
        Some(head)
    }
    fn text(bytes: &mut &[u8]) -> Option<String> {
        let len = u64::from_le_bytes(take(bytes, 8)?.try_into().ok()?);
        let text = take(bytes, usize::try_from(len).ok()?)?;
        String::from_utf8(text.to_vec()).ok()
    }
    let start_ns = i64::from_le_bytes(take(bytes, 8)?.try_into().ok()?);
    let span_id = id(take(bytes, 8)?)?;
    let has_parent = take(bytes, 1)? == [1];
    let parent = id(take(bytes, 8)?).filter(|_| has_parent);
    Some(Candidate { start_ns, span_id, parent, service: text(bytes)?, operation: text(bytes)? })
}
