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
    Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, FixedSizeBinaryArray, Int64Array,
    LargeBinaryBuilder, LargeListArray, StringViewArray, StructArray, TimestampNanosecondArray,
    UInt32Array,
};
use datafusion::arrow::buffer::{Buffer, OffsetBuffer};
use datafusion::arrow::compute::take;
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
    /// In the order in which they came; a group has one, or a few.
    blobs: Vec<Blob>,
    /// Bytes of their runs.
    bytes: usize,
    services: Vec<String>,
    numbers: HashMap<String, u32>,
    /// Bytes of the names.
    names: usize,
}

/// Runs of a group: a part of what one batch was encoded to, or of the states that came with one.
/// None of it is copied until the states or the answer are made.
#[derive(Debug)]
struct Blob {
    group: usize,
    runs: Buffer,
}

/// The runs of one batch, while they are encoded.
#[derive(Debug, Default)]
struct Encoded {
    bytes: Vec<u8>,
    /// Groups, and where their runs end.
    ends: Vec<(usize, usize)>,
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

    /// Encodes spans of a group that followed one another, and empties the list.
    fn encode(&self, group: usize, run: &mut Vec<Span>, out: &mut Encoded) {
        if run.is_empty() {
            return;
        }
        let name = |number: u32| self.services.get(number as usize).map_or("", String::as_str);
        encode(&mut out.bytes, run, name);
        out.ends.push((group, out.bytes.len()));
        run.clear();
    }

    fn push(&mut self, group: usize, runs: Buffer) {
        self.bytes += runs.len();
        self.blobs.push(Blob { group, runs });
    }

    /// The blobs in order of their groups, those of a group in the order in which they came.
    fn by_group(&self) -> Vec<&Blob> {
        let mut blobs: Vec<&Blob> = self.blobs.iter().collect();
        // Mostly they are in order already.
        blobs.sort_by_key(|blob| blob.group);
        blobs
    }
}

/// Takes the blobs of a group, which is the first that has any, or has none.
fn take_group<'a, 'b>(rest: &mut &'a [&'b Blob], group: usize) -> &'a [&'b Blob] {
    let count = rest.iter().take_while(|blob| blob.group == group).count();
    let (own, others) = rest.split_at(count);
    *rest = others;
    own
}

/// Ids of spans and their places, by id; of each id that of the span which is its parent for
/// others: the earliest.
fn places(spans: &[Span], names: &[&str], places: &mut Vec<(u64, usize)>) {
    let earlier = |at: usize, other: usize| {
        let key = |span: &Span| (span.start_ns, names.get(span.service as usize).copied());
        spans.get(at).map(key) < spans.get(other).map(key)
    };
    places.clear();
    places.extend(spans.iter().enumerate().map(|(at, span)| (span.id, at)));
    places.sort_unstable();
    places.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same && earlier(next.1, kept.1) {
            *kept = *next;
        }
        same
    });
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
        let (mut run, mut of, mut encoded) = (Vec::new(), 0, Encoded::default());
        for (row, group) in chosen.iter() {
            if group != of {
                self.encode(of, &mut run, &mut encoded);
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
        self.encode(of, &mut run, &mut encoded);
        encoded.bytes.shrink_to_fit();
        let bytes = Buffer::from_vec(encoded.bytes);
        let mut from = 0;
        for (group, end) in encoded.ends {
            self.push(group, bytes.slice_with_length(from, end - from));
            from = end;
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let states = states.first().and_then(|s| s.as_binary_opt::<i64>()).ok_or_else(wrong)?;
        for (row, group) in chosen.iter() {
            let from = usize::try_from(states.value_offsets()[row]).map_err(|_| wrong())?;
            self.push(group, states.values().slice_with_length(from, states.value(row).len()));
        }
        Ok(())
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        let mut out = LargeBinaryBuilder::with_capacity(n, self.bytes);
        let blobs = self.by_group();
        let mut rest = blobs.as_slice();
        for group in 0..n {
            for blob in take_group(&mut rest, group) {
                out.write_all(&blob.runs)?;
            }
            out.append_value([]);
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        let (mut callers, mut callees) = (Vec::new(), Vec::new());
        let (mut errors, mut durations) = (BooleanBufferBuilder::new(0), Vec::new());
        let mut lengths = Vec::with_capacity(n);
        let mut numbers: HashMap<&str, u32, RandomState> = HashMap::default();
        let mut services: Vec<&str> = Vec::new();
        let (mut spans, mut by_id) = (Vec::new(), Vec::new());
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
                decode(&blob.runs, &mut spans, number).ok_or_else(wrong)?;
            }
            places(&spans, &services, &mut by_id);
            let before = durations.len();
            for span in &spans {
                let Some(parent) = span.parent else { continue };
                let found = by_id.binary_search_by_key(&parent, |(id, _)| *id).ok();
                let caller = found.and_then(|at| spans.get(by_id.get(at)?.1));
                let Some(caller) = caller.filter(|caller| caller.service != span.service) else {
                    continue;
                };
                callers.push(caller.service);
                callees.push(span.service);
                errors.append(span.is_error);
                durations.push(span.duration_ns);
            }
            lengths.push(durations.len() - before);
        }
        let names = StringViewArray::from_iter_values(services);
        let named = |numbers: Vec<u32>| take(&names, &UInt32Array::from(numbers), None);
        let columns: Vec<ArrayRef> = vec![
            named(callers)?,
            named(callees)?,
            Arc::new(BooleanArray::new(errors.finish(), None)),
            Arc::new(Int64Array::from(durations)),
        ];
        let calls = StructArray::try_new(fields(), columns, None)?;
        let offsets = OffsetBuffer::<i64>::from_lengths(lengths);
        Ok(Arc::new(LargeListArray::try_new(item(), offsets, Arc::new(calls), None)?))
    }

    fn forget(&mut self, n: usize) {
        self.blobs.retain_mut(|blob| {
            let later = blob.group.checked_sub(n);
            match later {
                Some(group) => blob.group = group,
                None => self.bytes -= blob.runs.len(),
            }
            later.is_some()
        });
        self.groups = self.groups.saturating_sub(n);
    }

    fn bytes(&self) -> usize {
        // A part of a batch keeps all of it; mostly all parts of one are here.
        self.bytes + self.blobs.capacity() * size_of::<Blob>() + self.names
    }
}

fn wrong() -> datafusion::error::DataFusionError {
    exec_datafusion_err!("calls takes ids, a time, a service, a boolean and a duration")
}

/// The arguments.
struct Columns<'a> {
    ids: &'a FixedSizeBinaryArray,
    parents: &'a FixedSizeBinaryArray,
    starts: &'a TimestampNanosecondArray,
    services: &'a StringViewArray,
    errors: &'a BooleanArray,
    durations: &'a Int64Array,
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
