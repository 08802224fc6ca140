//! `calls`: the calls between services in a trace, as an aggregate over its spans. A call is a span
//! whose parent span is one of another service.
//!
//! A join of all spans with all spans answers the same; but spans of a trace are few, and stand
//! together, so looking for parents among them takes a fraction of its time and memory.

use std::collections::HashMap;
use std::io::Write;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, FixedSizeBinaryArray, Int64Builder,
    LargeBinaryBuilder, LargeListArray, StringViewBuilder, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{
    DataType, Field, FieldRef, Fields, Int64Type, TimestampNanosecondType,
};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use foldhash::fast::RandomState;

use super::grouped::{Chosen, Groups, Many, One};
use super::runs::{Span, decode, encode};

/// The function: `calls(span_id, parent_span_id, start_time, service_name, is_error, duration_ns)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Calls {
    signature: Signature,
}

impl Calls {
    /// The function as DataFusion takes it.
    pub(crate) fn udaf() -> AggregateUDF {
        AggregateUDF::from(Self { signature: Signature::any(6, Volatility::Immutable) })
    }
}

/// What is said of a call.
fn fields() -> Fields {
    let field = |name: &str, data_type| Field::new(name, data_type, false);
    Fields::from(vec![
        field("caller", DataType::Utf8View),
        field("callee", DataType::Utf8View),
        field("is_error", DataType::Boolean),
        field("duration_ns", DataType::Int64),
    ])
}

fn item() -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(fields()), false))
}

impl AggregateUDFImpl for Calls {
    fn name(&self) -> &'static str {
        "calls"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeList(item()))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "spans");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::new(Traces::default())))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Many(Traces::default())))
    }
}

/// The spans of each group, as runs of bytes.
#[derive(Debug, Default)]
struct Traces {
    groups: usize,
    bytes: Vec<u8>,
    /// In the order in which they came; a group has one, or a few.
    blobs: Vec<Blob>,
    services: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Bytes of the names.
    names: usize,
}

/// Runs of a group.
#[derive(Debug, Clone, Copy)]
struct Blob {
    group: usize,
    from: usize,
    to: usize,
}

impl Traces {
    fn service(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        self.services.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        self.names += 2 * (name.len() + size_of::<String>());
        number
    }

    /// Adds spans of a group that followed one another, and empties the list.
    fn push(&mut self, group: usize, run: &mut Vec<Span>) {
        if run.is_empty() {
            return;
        }
        let from = self.bytes.len();
        let name = |number: u32| self.services.get(number as usize).map_or("", String::as_str);
        encode(&mut self.bytes, run, name);
        self.blobs.push(Blob { group, from, to: self.bytes.len() });
        run.clear();
    }

    /// The blobs in order of their groups, those of a group in the order in which they came.
    fn by_group(&self) -> Vec<Blob> {
        let mut blobs = self.blobs.clone();
        // Mostly they are in order already.
        blobs.sort_by_key(|blob| blob.group);
        blobs
    }

    fn runs(&self, blob: &Blob) -> &[u8] {
        self.bytes.get(blob.from..blob.to).unwrap_or_default()
    }
}

/// Takes the blobs of a group, which is the first that has any, or has none.
fn take_group<'b>(rest: &mut &'b [Blob], group: usize) -> &'b [Blob] {
    let count = rest.iter().take_while(|blob| blob.group == group).count();
    let (own, others) = rest.split_at(count);
    *rest = others;
    own
}

/// Spans by id, of each id the one that is its parent for others: the earliest.
fn parents(spans: &[Span], names: &[&str]) -> Vec<Span> {
    let name = |span: &Span| names.get(span.service as usize);
    let mut parents = spans.to_vec();
    parents.sort_unstable_by(|a, b| {
        (a.id, a.start_ns).cmp(&(b.id, b.start_ns)).then_with(|| name(a).cmp(&name(b)))
    });
    parents.dedup_by_key(|span| span.id);
    parents
}

impl Groups for Traces {
    fn fresh(&self) -> Self {
        Self::default()
    }

    fn len(&self) -> usize {
        self.groups
    }

    fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let columns = Columns::of(values).ok_or_else(wrong)?;
        // Equal views are equal names.
        let mut seen: HashMap<u128, u32, RandomState> = HashMap::default();
        let (mut run, mut of) = (Vec::new(), 0);
        for (row, group) in chosen.iter() {
            if group != of {
                self.push(of, &mut run);
                of = group;
            }
            let view = columns.services.views().get(row).copied().unwrap_or_default();
            let service = match seen.get(&view) {
                Some(service) => *service,
                None => *seen.entry(view).or_insert(self.service(columns.services.value(row))),
            };
            let id = |ids: &FixedSizeBinaryArray| {
                ids.value(row).try_into().map(u64::from_be_bytes).map_err(|_| wrong())
            };
            run.push(Span {
                id: id(columns.ids)?,
                parent: columns.parents.is_valid(row).then(|| id(columns.parents)).transpose()?,
                start_ns: columns.starts.value(row),
                duration_ns: columns.durations.value(row),
                service,
                is_error: columns.errors.is_valid(row) && columns.errors.value(row),
            });
        }
        self.push(of, &mut run);
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let states = states.first().and_then(|s| s.as_binary_opt::<i64>()).ok_or_else(wrong)?;
        for (row, group) in chosen.iter() {
            let from = self.bytes.len();
            self.bytes.extend(states.value(row));
            self.blobs.push(Blob { group, from, to: self.bytes.len() });
        }
        Ok(())
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        let mut out = LargeBinaryBuilder::with_capacity(n, self.bytes.len());
        let blobs = self.by_group();
        let mut rest = blobs.as_slice();
        for group in 0..n {
            for blob in take_group(&mut rest, group) {
                out.write_all(self.runs(blob))?;
            }
            out.append_value([]);
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        let (mut callers, mut callees) = (names(), names());
        let (mut errors, mut durations) = (BooleanBuilder::new(), Int64Builder::new());
        let mut lengths = Vec::with_capacity(n);
        let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
        let (mut services, mut spans) = (Vec::new(), Vec::new());
        let blobs = self.by_group();
        let mut rest = blobs.as_slice();
        for group in 0..n {
            spans.clear();
            for blob in take_group(&mut rest, group) {
                let number = |name| {
                    *numbers.entry(name).or_insert_with(|| {
                        services.push(name);
                        services.len() as u32 - 1
                    })
                };
                decode(self.runs(blob), &mut spans, number).ok_or_else(wrong)?;
            }
            let parents = parents(&spans, &services);
            let name = |span: &Span| services.get(span.service as usize).copied().unwrap_or("");
            let before = durations.values_slice().len();
            for span in &spans {
                let Some(parent) = span.parent else { continue };
                let Ok(at) = parents.binary_search_by_key(&parent, |span| span.id) else {
                    continue;
                };
                let Some(caller) = parents.get(at).filter(|p| p.service != span.service) else {
                    continue;
                };
                callers.append_value(name(caller));
                callees.append_value(name(span));
                errors.append_value(span.is_error);
                durations.append_value(span.duration_ns);
            }
            lengths.push(durations.values_slice().len() - before);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(callers.finish()),
            Arc::new(callees.finish()),
            Arc::new(errors.finish()),
            Arc::new(durations.finish()),
        ];
        let calls = StructArray::try_new(fields(), columns, None)?;
        let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
        Ok(Arc::new(LargeListArray::try_new(item(), offsets, Arc::new(calls), None)?))
    }

    fn forget(&mut self, n: usize) {
        let bytes = std::mem::take(&mut self.bytes);
        for blob in std::mem::take(&mut self.blobs) {
            let Some(group) = blob.group.checked_sub(n) else { continue };
            let from = self.bytes.len();
            self.bytes.extend(bytes.get(blob.from..blob.to).unwrap_or_default());
            self.blobs.push(Blob { group, from, to: self.bytes.len() });
        }
        self.groups = self.groups.saturating_sub(n);
    }

    fn bytes(&self) -> usize {
        self.bytes.capacity() + self.blobs.capacity() * size_of::<Blob>() + self.names
    }
}

fn wrong() -> datafusion::error::DataFusionError {
    exec_datafusion_err!("calls takes ids, a time, a service, a boolean and a duration")
}

/// Names repeat: each stands once.
fn names() -> StringViewBuilder {
    StringViewBuilder::new().with_deduplicate_strings()
}

/// The arguments.
struct Columns<'a> {
    ids: &'a FixedSizeBinaryArray,
    parents: &'a FixedSizeBinaryArray,
    starts: &'a datafusion::arrow::array::TimestampNanosecondArray,
    services: &'a datafusion::arrow::array::StringViewArray,
    errors: &'a datafusion::arrow::array::BooleanArray,
    durations: &'a datafusion::arrow::array::Int64Array,
}

impl<'a> Columns<'a> {
    fn of(values: &'a [ArrayRef]) -> Option<Self> {
        let [ids, parents, starts, services, errors, durations] = values else { return None };
        Some(Self {
            ids: ids.as_fixed_size_binary_opt()?,
            parents: parents.as_fixed_size_binary_opt()?,
            starts: starts.as_primitive_opt::<TimestampNanosecondType>()?,
            services: services.as_string_view_opt()?,
            errors: errors.as_boolean_opt()?,
            durations: durations.as_primitive_opt::<Int64Type>()?,
        })
    }
}
