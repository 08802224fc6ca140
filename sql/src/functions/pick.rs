//! `max_by(value, by)` and `min_by(value, by)`: the value of the row whose `by` is the largest or
//! the smallest.
//!
//! Rows whose `by` is null do not count. Of several rows with the same `by` the smallest value is
//! taken, null last: the answer depends on the rows alone, not on their order.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, UInt32Array, new_null_array};
use datafusion::arrow::compute::{SortOptions, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::{Chosen, Groups, Many, One};
use crate::role::Role;

/// Which row is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Smallest,
    Largest,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pick {
    end: End,
    signature: Signature,
}

impl Pick {
    /// Both as DataFusion takes them.
    pub(crate) fn udafs() -> [AggregateUDF; 2] {
        [End::Smallest, End::Largest].map(|end| {
            let signature = Signature::user_defined(Volatility::Immutable);
            AggregateUDF::from(Self { end, signature })
        })
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<Picks> {
        let [_, by] = args.expr_fields else {
            return plan_err!("{} takes two arguments", self.name());
        };
        Picks::new(self.end, args.return_field.data_type(), by.data_type())
    }
}

impl AggregateUDFImpl for Pick {
    fn name(&self) -> &str {
        match self.end {
            End::Smallest => "min_by",
            End::Largest => "max_by",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, by] = arg_types else {
            let name = self.name();
            return plan_err!("{name} takes two arguments, as in {name}(trace_id, duration)");
        };
        for data_type in [value, by] {
            if !RowConverter::supports_fields(&[SortField::new(data_type.clone())]) {
                return plan_err!("{} does not take {data_type}", self.name());
            }
        }
        let plain = |data_type: &DataType| match data_type {
            DataType::Dictionary(_, value) => value.as_ref().clone(),
            other => other.clone(),
        };
        Ok(vec![plain(value), plain(by)])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [value, _] => Ok(value.clone()),
            _ => plan_err!("{} takes two arguments", self.name()),
        }
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let [value, _] = arg_fields else {
            return plan_err!("{} takes two arguments", self.name());
        };
        let field = Field::new(self.name(), value.data_type().clone(), true);
        Ok(Arc::new(Role::keep(value, field)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let [_, by] = args.input_fields else {
            return plan_err!("{} takes two arguments", self.name());
        };
        let field = |part: &str, data_type: &DataType| {
            Arc::new(Field::new(format_state_name(args.name, part), data_type.clone(), true))
        };
        Ok(vec![field("value", args.return_field.data_type()), field("by", by.data_type())])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::new(self.groups(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Many(self.groups(&args)?)))
    }
}

/// The best row of a group, as bytes that compare like its values.
#[derive(Debug)]
struct Best {
    by: Box<[u8]>,
    value: Box<[u8]>,
}

#[derive(Debug)]
struct Picks {
    end: End,
    types: [DataType; 2],
    /// Of the value and of `by`; better rows are smaller bytes.
    converters: [RowConverter; 2],
    groups: Vec<Option<Best>>,
    /// On the heap of the rows.
    bytes: usize,
}

impl Picks {
    fn new(end: End, value: &DataType, by: &DataType) -> Result<Self> {
        let descending = end == End::Largest;
        let order = |descending| SortOptions { descending, nulls_first: false };
        let converter = |data_type: &DataType, descending| {
            let field = SortField::new_with_options(data_type.clone(), order(descending));
            RowConverter::new(vec![field])
        };
        Ok(Self {
            end,
            types: [value.clone(), by.clone()],
            converters: [converter(value, false)?, converter(by, descending)?],
            groups: Vec::new(),
            bytes: 0,
        })
    }

    /// One column of the best rows, null where there is none.
    fn column(&self, n: usize, which: usize, bytes: impl Fn(&Best) -> &[u8]) -> Result<ArrayRef> {
        let (Some(converter), Some(data_type)) =
            (self.converters.get(which), self.types.get(which))
        else {
            return exec_err!("a row has a value and what it is picked by");
        };
        let parser = converter.parser();
        let found = self.groups.iter().take(n).flatten();
        let rows: Vec<_> = found.map(|best| parser.parse(bytes(best))).collect();
        if rows.is_empty() {
            return Ok(new_null_array(data_type, n.min(self.groups.len())));
        }
        let columns = converter.convert_rows(rows)?;
        let Some(found) = columns.first() else { return exec_err!("a row has one column") };
        let mut next = 0u32;
        let places: UInt32Array = self
            .groups
            .iter()
            .take(n)
            .map(|best| {
                best.as_ref().map(|_| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        Ok(take(found, &places, None)?)
    }
}

impl Groups for Picks {
    fn fresh(&self) -> Self {
        let [value, by] = &self.types;
        // The same types made converters before.
        Self::new(self.end, value, by).expect("types that were taken once")
    }

    fn len(&self) -> usize {
        self.groups.len()
    }

    fn grow(&mut self, groups: usize) {
        self.groups.resize_with(groups.max(self.groups.len()), || None);
    }

    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let ([values, bys], [value_rows, by_rows]) = (values, &self.converters) else {
            return exec_err!("max_by and min_by take two columns");
        };
        let by_rows = by_rows.convert_columns(std::slice::from_ref(bys))?;
        // Only rows that are no worse than the best so far are looked at further.
        let candidates: Vec<(u32, usize)> = chosen
            .iter()
            .filter(|(row, group)| {
                let best = self.groups.get(*group).and_then(Option::as_ref);
                bys.is_valid(*row)
                    && best.is_none_or(|best| by_rows.row(*row).as_ref() <= best.by.as_ref())
            })
            .filter_map(|(row, group)| Some((u32::try_from(row).ok()?, group)))
            .collect();
        let places: UInt32Array = candidates.iter().map(|(row, _)| Some(*row)).collect();
        let value_rows = value_rows.convert_columns(&[take(values, &places, None)?])?;
        for (place, (row, group)) in candidates.into_iter().enumerate() {
            let by = by_rows.row(row as usize);
            let value = value_rows.row(place);
            let Some(held) = self.groups.get_mut(group) else { continue };
            let new = (by.as_ref(), value.as_ref());
            if held.as_ref().is_some_and(|best| (best.by.as_ref(), best.value.as_ref()) <= new) {
                continue;
            }
            let old = held.replace(Best { by: new.0.into(), value: new.1.into() });
            self.bytes += new.0.len() + new.1.len();
            self.bytes -= old.map_or(0, |best| best.by.len() + best.value.len());
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        self.update(states, chosen)
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.column(n, 0, |best| &best.value)?, self.column(n, 1, |best| &best.by)?])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        self.column(n, 0, |best| &best.value)
    }

    fn forget(&mut self, n: usize) {
        for best in self.groups.drain(..n.min(self.groups.len())).flatten() {
            self.bytes -= best.by.len() + best.value.len();
        }
    }

    fn bytes(&self) -> usize {
        let converters: usize = self.converters.iter().map(RowConverter::size).sum();
        self.groups.capacity() * size_of::<Option<Best>>() + self.bytes + converters
    }
}
