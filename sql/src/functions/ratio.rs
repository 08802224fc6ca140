//! `ratio(condition)`: the share of rows for which a condition is true, among those for which it is
//! true or false.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, UInt64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};

use super::grouped::{Chosen, Groups, Many, One};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ratio {
    signature: Signature,
}

impl Ratio {
    /// The function as DataFusion takes it.
    pub(crate) fn udaf() -> AggregateUDF {
        AggregateUDF::from(Self { signature: Signature::user_defined(Volatility::Immutable) })
    }
}

impl AggregateUDFImpl for Ratio {
    fn name(&self) -> &str {
        "ratio"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [DataType::Boolean | DataType::Null] => Ok(vec![DataType::Boolean]),
            _ => plan_err!("ratio takes one condition, as in ratio(is_error) or ratio(x > 5)"),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |part: &str| {
            Arc::new(Field::new(format_state_name(args.name, part), DataType::UInt64, true))
        };
        Ok(vec![field("true"), field("all")])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::new(Ratios::default())))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Many(Ratios::default())))
    }
}

/// How many rows were true, and how many were true or false, a group.
#[derive(Debug, Default)]
struct Ratios(Vec<(u64, u64)>);

fn conditions(values: &[ArrayRef]) -> Result<&BooleanArray> {
    match values.first().and_then(|values| values.as_boolean_opt()) {
        Some(conditions) => Ok(conditions),
        None => exec_err!("ratio takes a condition"),
    }
}

impl Groups for Ratios {
    const RETRACTS: bool = true;

    fn fresh(&self) -> Self {
        Self::default()
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn grow(&mut self, groups: usize) {
        self.0.resize(groups.max(self.0.len()), (0, 0));
    }

    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let conditions = conditions(values)?;
        for (row, group) in chosen.iter().filter(|(row, _)| conditions.is_valid(*row)) {
            if let Some((hits, all)) = self.0.get_mut(group) {
                *hits += u64::from(conditions.value(row));
                *all += 1;
            }
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let counts = |at: usize| states.get(at)?.as_primitive_opt::<UInt64Type>();
        let (Some(trues), Some(alls)) = (counts(0), counts(1)) else {
            return exec_err!("ratio merges what it made");
        };
        for (row, group) in chosen.iter() {
            if let Some((hits, all)) = self.0.get_mut(group) {
                *hits += trues.value(row);
                *all += alls.value(row);
            }
        }
        Ok(())
    }

    fn retract(&mut self, values: &[ArrayRef]) -> Result<()> {
        let conditions = conditions(values)?;
        if let Some((hits, all)) = self.0.first_mut() {
            *hits -= conditions.true_count() as u64;
            *all -= (conditions.len() - conditions.null_count()) as u64;
        }
        Ok(())
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        let counted = || self.0.iter().take(n);
        Ok(vec![
            Arc::new(counted().map(|(hits, _)| *hits).collect::<UInt64Array>()),
            Arc::new(counted().map(|(_, all)| *all).collect::<UInt64Array>()),
        ])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        let shares = self.0.iter().take(n).map(|(hits, all)| {
            let share = *hits as f64 / *all as f64;
            (*all > 0).then_some(share)
        });
        Ok(Arc::new(shares.collect::<Float64Array>()))
    }

    fn forget(&mut self, n: usize) {
        self.0.drain(..n.min(self.0.len()));
    }

    fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u64, u64)>()
    }
}
