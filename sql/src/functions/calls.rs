//! `calls`: the calls between services in a trace, as an aggregate over its spans. A call is a span
//! whose parent span is one of another service.
//!
//! A join of all spans with all spans answers the same; but spans of a trace are few, and stand
//! together, so looking for parents among them takes a fraction of its time and memory.

use std::collections::HashMap;
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

use super::grouped::{Chosen, Groups, Many, One};

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

/// A span. The order is that in which spans with one id are preferred as a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    id: u64,
    parent: Option<u64>,
    start_ns: i64,
    duration_ns: i64,
    /// Number of its service.
    service: u32,
    is_error: bool,
}

/// The spans of each group.
#[derive(Debug, Default)]
struct Traces {
    groups: Vec<Vec<Span>>,
    services: Vec<String>,
    numbers: HashMap<String, u32>,
    /// On the heap of the groups and the names.
    bytes: usize,
}

impl Traces {
    fn service(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        self.services.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        self.bytes += 2 * (name.len() + size_of::<String>());
        number
    }

    fn push(&mut self, group: usize, span: Span) {
        if let Some(spans) = self.groups.get_mut(group) {
            let before = spans.capacity();
            spans.push(span);
            self.bytes += (spans.capacity() - before) * size_of::<Span>();
        }
    }

    fn name(&self, service: u32) -> &str {
        self.services.get(service as usize).map_or("", String::as_str)
    }

    /// Spans by id, of each id the one that is its parent for others: the earliest.
    fn parents(&self, spans: &[Span]) -> Vec<Span> {
        let mut parents = spans.to_vec();
        parents.sort_unstable_by(|a, b| {
            let name = |span: &Span| self.name(span.service);
            (a.id, a.start_ns).cmp(&(b.id, b.start_ns)).then_with(|| name(a).cmp(name(b)))
        });
        parents.dedup_by_key(|span| span.id);
        parents
    }
}

impl Groups for Traces {
    fn fresh(&self) -> Self {
        Self::default()
    }

    fn len(&self) -> usize {
        self.groups.len()
    }

    fn grow(&mut self, groups: usize) {
        self.groups.resize_with(groups.max(self.groups.len()), Vec::new);
    }

    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let columns = Columns::of(values).ok_or_else(wrong)?;
        // Equal views are equal names.
        let mut seen: HashMap<u128, u32> = HashMap::new();
        for (row, group) in chosen.iter() {
            let view = columns.services.views().get(row).copied().unwrap_or_default();
            let service = match seen.get(&view) {
                Some(service) => *service,
                None => *seen.entry(view).or_insert(self.service(columns.services.value(row))),
            };
            let id = |ids: &FixedSizeBinaryArray| {
                ids.value(row).try_into().map(u64::from_be_bytes).map_err(|_| wrong())
            };
            let span = Span {
                id: id(columns.ids)?,
                parent: columns.parents.is_valid(row).then(|| id(columns.parents)).transpose()?,
                start_ns: columns.starts.value(row),
                duration_ns: columns.durations.value(row),
                service,
                is_error: columns.errors.is_valid(row) && columns.errors.value(row),
            };
            self.push(group, span);
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let states = states.first().and_then(|s| s.as_binary_opt::<i64>()).ok_or_else(wrong)?;
        for (row, group) in chosen.iter() {
            self.decode(states.value(row), group).ok_or_else(wrong)?;
        }
        Ok(())
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        let spans: usize = self.groups.iter().take(n).map(Vec::len).sum();
        let mut out = LargeBinaryBuilder::with_capacity(n, spans * SPAN_BYTES);
        let mut encoder = Encoder::of(self);
        for spans in self.groups.iter().take(n) {
            out.append_value(encoder.encode(spans));
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        let (mut callers, mut callees) = (names(), names());
        let (mut errors, mut durations) = (BooleanBuilder::new(), Int64Builder::new());
        let mut lengths = Vec::with_capacity(n);
        for spans in self.groups.iter().take(n) {
            let parents = self.parents(spans);
            let before = durations.values_slice().len();
            for span in spans {
                let Some(parent) = span.parent else { continue };
                let Ok(at) = parents.binary_search_by_key(&parent, |span| span.id) else {
                    continue;
                };
                let Some(caller) = parents.get(at).filter(|p| p.service != span.service) else {
                    continue;
                };
                callers.append_value(self.name(caller.service));
                callees.append_value(self.name(span.service));
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
        for spans in self.groups.drain(..n.min(self.groups.len())) {
            self.bytes -= spans.capacity() * size_of::<Span>();
        }
    }

    fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Vec<Span>>() + self.bytes
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

/// Of a span: four numbers, flags, and the place of its service's name.
const SPAN_BYTES: usize = 4 * 8 + 1 + 4;

/// Writes spans of a trace: how many services it has and their names, each with its length, then
/// the spans. All numbers are little-endian.
struct Encoder<'a> {
    traces: &'a Traces,
    /// For each service the last trace that it was met in, and its place among the names there.
    places: Vec<(u64, u32)>,
    trace: u64,
    names: Vec<u32>,
    bytes: Vec<u8>,
}

impl<'a> Encoder<'a> {
    fn of(traces: &'a Traces) -> Self {
        let places = vec![(0, 0); traces.services.len()];
        Self { traces, places, trace: 0, names: Vec::new(), bytes: Vec::new() }
    }

    fn encode(&mut self, spans: &[Span]) -> &[u8] {
        self.trace += 1;
        self.names.clear();
        for span in spans {
            let Some(place) = self.places.get_mut(span.service as usize) else { continue };
            if place.0 != self.trace {
                *place = (self.trace, self.names.len() as u32);
                self.names.push(span.service);
            }
        }
        self.bytes.clear();
        self.bytes.extend((self.names.len() as u32).to_le_bytes());
        for service in &self.names {
            let name = self.traces.name(*service);
            self.bytes.extend((name.len() as u64).to_le_bytes());
            self.bytes.extend(name.as_bytes());
        }
        for span in spans {
            let place = self.places.get(span.service as usize).map_or(0, |place| place.1);
            self.bytes.extend(span.id.to_le_bytes());
            self.bytes.extend(span.parent.unwrap_or_default().to_le_bytes());
            self.bytes.extend(span.start_ns.to_le_bytes());
            self.bytes.extend(span.duration_ns.to_le_bytes());
            self.bytes.push(u8::from(span.parent.is_some()) | u8::from(span.is_error) << 1);
            self.bytes.extend(place.to_le_bytes());
        }
        &self.bytes
    }
}

impl Traces {
    /// Adds what `Encoder` wrote to a group.
    fn decode(&mut self, bytes: &[u8], group: usize) -> Option<()> {
        let (count, mut bytes) = bytes.split_first_chunk()?;
        let mut services = Vec::new();
        for _ in 0..u32::from_le_bytes(*count) {
            let (len, rest) = bytes.split_first_chunk()?;
            let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
            let (name, rest) = rest.split_at_checked(len)?;
            services.push(self.service(std::str::from_utf8(name).ok()?));
            bytes = rest;
        }
        let (encoded, []) = bytes.as_chunks::<SPAN_BYTES>() else { return None };
        let spans = self.groups.get_mut(group)?;
        let before = spans.capacity();
        spans.reserve(encoded.len());
        self.bytes += (spans.capacity() - before) * size_of::<Span>();
        for span in encoded {
            let (numbers, rest) = span.as_chunks::<8>();
            let [id, parent, start, duration] = numbers else { return None };
            let (flags, place) = rest.split_first()?;
            let place = u32::from_le_bytes(place.try_into().ok()?);
            spans.push(Span {
                id: u64::from_le_bytes(*id),
                parent: (flags & 1 == 1).then_some(u64::from_le_bytes(*parent)),
                start_ns: i64::from_le_bytes(*start),
                duration_ns: i64::from_le_bytes(*duration),
                service: *services.get(place as usize)?,
                is_error: flags & 2 == 2,
            });
        }
        Some(())
    }
}
