//! `p50`, `p75`, `p90`, `p95`, `p99`, `p999` and `percentile(x, 0.95)`.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, DurationNanosecondArray, Float64Array, Int64Array,
    PrimitiveArray, StructArray,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, DurationNanosecondType, Field, FieldRef, Fields, Float64Type,
    Int64Type,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use super::grouped::{Chosen, Groups, Many, One};
use super::histogram::{Domain, Histogram, double, ordered};
use crate::durations::DURATION;
use crate::role::Role;

/// Names, and which part of the values is at most the answer, in billionths.
const FIXED: [(&str, u32); 6] = [
    ("p50", 500_000_000),
    ("p75", 750_000_000),
    ("p90", 900_000_000),
    ("p95", 950_000_000),
    ("p99", 990_000_000),
    ("p999", 999_000_000),
];

const ANY: &str = "percentile";

/// Whether an aggregate function of this name is one of these.
pub(crate) fn is_percentile(name: &str) -> bool {
    name == ANY || FIXED.iter().any(|(fixed, _)| *fixed == name)
}

/// Refuses a call that would fail later, in words of its own.
///
/// # Errors
/// For DISTINCT, and for a rank that is no number from 0 to 1.
pub(crate) fn check(name: &str, args: &[Expr], distinct: bool) -> Result<()> {
    if distinct && (is_percentile(name) || name == "ratio") {
        return plan_err!("{name} does not take DISTINCT: SELECT DISTINCT in a subquery first");
    }
    match args {
        [_, Expr::Literal(rank, _)] if name == ANY => billionths(rank).map(|_| ()),
        _ => Ok(()),
    }
}

fn billionths(rank: &ScalarValue) -> Result<u32> {
    let number = rank.cast_to(&DataType::Float64);
    match number {
        Ok(ScalarValue::Float64(Some(rank))) if (0.0..=1.0).contains(&rank) => {
            Ok((rank * 1e9).round() as u32)
        }
        _ => plan_err!("percentile takes a number from 0 to 1, as in percentile(x, 0.95)"),
    }
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Percentile {
    name: &'static str,
    ranks: Ranks,
    signature: Signature,
}

/// Which part of the values is at most an answer, in billionths.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Ranks {
    One(u32),
    /// The second argument.
    Argument,
    /// The answer is a struct of one answer each, named by their places.
    Several(Vec<u32>),
}

impl Percentile {
    /// All of them as DataFusion takes them.
    pub(crate) fn udafs() -> impl Iterator<Item = AggregateUDF> {
        let fixed = FIXED.into_iter().map(|(name, part)| (name, Ranks::One(part)));
        fixed.chain([(ANY, Ranks::Argument)]).map(|(name, ranks)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            AggregateUDF::from(Self { name, ranks, signature })
        })
    }

    /// A function that gives the answers to several ranks, as a struct.
    pub(crate) fn several(ranks: Vec<u32>) -> AggregateUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::from(Self { name: "percentiles", ranks: Ranks::Several(ranks), signature })
    }

    /// The rank that a call with these arguments asks for, if it is one.
    pub(crate) fn rank(&self, args: &[Expr]) -> Option<u32> {
        match (&self.ranks, args) {
            (Ranks::One(rank), [_]) => Some(*rank),
            (Ranks::Argument, [_, Expr::Literal(rank, _)]) => billionths(rank).ok(),
            _ => None,
        }
    }

    fn groups(&self, args: &AccumulatorArgs) -> Result<Percentiles> {
        let ranks = match (&self.ranks, args.exprs) {
            (Ranks::One(rank), _) => vec![*rank],
            (Ranks::Several(ranks), _) => ranks.clone(),
            (Ranks::Argument, [_, rank]) => match literal(rank) {
                Some(rank) => vec![billionths(rank)?],
                None => {
                    return plan_err!("percentile takes a literal, as in percentile(x, 0.95)");
                }
            },
            (Ranks::Argument, _) => return plan_err!("percentile takes two arguments"),
        };
        let answer = args.return_field.data_type().clone();
        let values = match &answer {
            DataType::Struct(fields) => fields.first().map(|field| field.data_type().clone()),
            _ => None,
        };
        let values = values.unwrap_or_else(|| answer.clone());
        Ok(Percentiles { ranks, values, answer, groups: Vec::new(), bytes: 0 })
    }
}

fn literal(expr: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    expr.downcast_ref::<Literal>().map(Literal::value)
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name;
        let (value, rank) = match (arg_types, &self.ranks) {
            ([value, _], Ranks::Argument) => (value, Some(DataType::Float64)),
            (_, Ranks::Argument) => {
                return plan_err!("percentile takes two, as in percentile(duration, 0.95)");
            }
            ([value], _) => (value, None),
            _ => return plan_err!("{name} takes one argument, as in {name}(duration)"),
        };
        let value = match value {
            DataType::UInt64 => DataType::Float64,
            t if t.is_integer() => DataType::Int64,
            t if t.is_numeric() || t.is_null() => DataType::Float64,
            DataType::Duration(_) => DURATION,
            text if text.is_string() => {
                return plan_err!(
                    "{name} takes numbers or durations, not text; write CAST(.. AS DOUBLE) where \
                     every text is a number, and attr_float(attributes, 'key') where an attribute \
                     has several types"
                );
            }
            other => return plan_err!("{name} takes numbers or durations, not {other}"),
        };
        Ok([value].into_iter().chain(rank).collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        arg_types.first().cloned().ok_or_else(|| exec_datafusion_err!("{} of nothing", self.name))
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let Some(value) = arg_fields.first() else { return exec_err!("{} of nothing", self.name) };
        let answer =
            |name: &str| Role::keep(value, Field::new(name, value.data_type().clone(), true));
        Ok(Arc::new(match &self.ranks {
            Ranks::Several(ranks) => {
                let answers: Fields = (0..ranks.len()).map(|at| answer(&at.to_string())).collect();
                Field::new(self.name, DataType::Struct(answers), false)
            }
            _ => answer(self.name),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "histogram");
        Ok(vec![Arc::new(Field::new(name, DataType::Binary, true))])
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

/// A histogram a group.
#[derive(Debug)]
struct Percentiles {
    ranks: Vec<u32>,
    /// The type of the values: BIGINT, DOUBLE or duration.
    values: DataType,
    /// The same, or a struct of as many as there are ranks.
    answer: DataType,
    groups: Vec<Histogram>,
    /// On the heap of the histograms.
    bytes: usize,
}

impl Percentiles {
    fn domain(&self) -> Domain {
        if self.values == DataType::Float64 { Domain::Float } else { Domain::Int }
    }

    /// Changes one group, and counts what that takes.
    fn with<T>(&mut self, group: usize, change: impl FnOnce(&mut Histogram) -> T) -> Option<T> {
        let histogram = self.groups.get_mut(group)?;
        let before = histogram.bytes();
        let changed = change(histogram);
        self.bytes = self.bytes - before + histogram.bytes();
        Some(changed)
    }

    /// Adds what `hold` makes of the values.
    #[inline(always)]
    fn add_all<T: ArrowPrimitiveType>(
        &mut self,
        domain: Domain,
        values: &PrimitiveArray<T>,
        chosen: &Chosen<'_>,
        hold: impl Fn(T::Native) -> i64,
    ) {
        let mut grown = 0;
        let mut add = |group: usize, value| {
            if let Some(histogram) = self.groups.get_mut(group) {
                grown += histogram.add(domain, hold(value));
            }
        };
        match (chosen.each_in(), values.nulls()) {
            (Some(groups), None) => {
                groups.iter().zip(values.values()).for_each(|(group, value)| add(*group, *value));
            }
            _ => chosen
                .iter()
                .filter(|(row, _)| values.is_valid(*row))
                .for_each(|(row, group)| add(group, values.value(row))),
        }
        self.bytes = self.bytes.wrapping_add_signed(grown);
    }
}

impl Percentiles {
    /// The answers of the first `n` groups to one rank.
    fn at(&self, rank: u32, n: usize) -> ArrayRef {
        let domain = self.domain();
        let held = self.groups.iter().take(n).map(|group| group.quantile(domain, rank));
        match &self.values {
            DataType::Float64 => {
                Arc::new(held.map(|held| held.map(double)).collect::<Float64Array>())
            }
            DataType::Int64 => Arc::new(held.collect::<Int64Array>()),
            _ => Arc::new(held.collect::<DurationNanosecondArray>()),
        }
    }
}

impl Groups for Percentiles {
    fn fresh(&self) -> Self {
        let (ranks, values, answer) =
            (self.ranks.clone(), self.values.clone(), self.answer.clone());
        Self { ranks, values, answer, groups: Vec::new(), bytes: 0 }
    }

    fn len(&self) -> usize {
        self.groups.len()
    }

    fn grow(&mut self, groups: usize) {
        self.groups.resize_with(groups.max(self.groups.len()), Histogram::default);
    }

    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let Some(values) = values.first() else { return exec_err!("a percentile of nothing") };
        if let Some(ints) = values.as_primitive_opt::<Int64Type>() {
            self.add_all(Domain::Int, ints, chosen, |value| value);
        } else if let Some(doubles) = values.as_primitive_opt::<Float64Type>() {
            self.add_all(Domain::Float, doubles, chosen, ordered);
        } else if let Some(durations) = values.as_primitive_opt::<DurationNanosecondType>() {
            self.add_all(Domain::Int, durations, chosen, |value| value);
        } else {
            return exec_err!("a percentile of {}", values.data_type());
        }
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()> {
        let Some(states) = states.first().and_then(|s| s.as_binary_opt::<i32>()) else {
            return exec_err!("a percentile merges what it made");
        };
        let domain = self.domain();
        for (row, group) in chosen.iter().filter(|(row, _)| states.is_valid(*row)) {
            let merged = self.with(group, |histogram| histogram.merge(domain, states.value(row)));
            merged.transpose()?;
        }
        Ok(())
    }

    fn states(&self, n: usize) -> Result<Vec<ArrayRef>> {
        let mut out = BinaryBuilder::new();
        let mut bytes = Vec::new();
        for histogram in self.groups.iter().take(n) {
            bytes.clear();
            histogram.encode(&mut bytes);
            out.append_value(&bytes);
        }
        Ok(vec![Arc::new(out.finish())])
    }

    fn answers(&self, n: usize) -> Result<ArrayRef> {
        let mut answers: Vec<ArrayRef> = self.ranks.iter().map(|rank| self.at(*rank, n)).collect();
        match &self.answer {
            DataType::Struct(fields) => {
                Ok(Arc::new(StructArray::try_new(fields.clone(), answers, None)?))
            }
            _ => answers.pop().ok_or_else(|| exec_datafusion_err!("a percentile of no rank")),
        }
    }

    fn forget(&mut self, n: usize) {
        for histogram in self.groups.drain(..n.min(self.groups.len())) {
            self.bytes -= histogram.bytes();
        }
    }

    fn bytes(&self) -> usize {
        self.groups.capacity() * size_of::<Histogram>() + self.bytes
    }
}
