//! One implementation of an aggregate for both ways in which DataFusion asks: many groups at once,
//! or one.

use std::fmt::Debug;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray};
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

/// What is known of each group, groups numbered from 0.
pub(crate) trait Groups: Debug + Send + Sync + 'static {
    /// Whether rows can be taken back, for frames that slide.
    const RETRACTS: bool = false;

    /// The same function over no groups.
    fn fresh(&self) -> Self
    where
        Self: Sized;
    /// How many groups there are.
    fn len(&self) -> usize;
    /// Adds empty groups up to this many.
    fn grow(&mut self, groups: usize);
    /// Adds the rows that are chosen.
    fn update(&mut self, values: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()>;
    /// Adds states that `states` gave, a row each.
    fn merge(&mut self, states: &[ArrayRef], chosen: &Chosen<'_>) -> Result<()>;
    /// Takes rows back from the one group.
    fn retract(&mut self, _values: &[ArrayRef]) -> Result<()> {
        not_impl_err!("rows cannot be taken back")
    }
    /// The states of the first `n` groups.
    fn states(&self, n: usize) -> Result<Vec<ArrayRef>>;
    /// The answers of the first `n` groups.
    fn answers(&self, n: usize) -> Result<ArrayRef>;
    /// Forgets the first `n` groups; the next one is number 0 then.
    fn forget(&mut self, n: usize);
    /// Bytes on the heap.
    fn bytes(&self) -> usize;
}

/// Which rows count, and in which group.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    rows: usize,
    /// `None`: all in group 0.
    groups: Option<&'a [usize]>,
    filter: Option<&'a BooleanArray>,
}

impl Chosen<'_> {
    /// The group of each row, where there are several groups and all rows are chosen.
    pub(crate) fn each_in(&self) -> Option<&[usize]> {
        self.groups.filter(|_| self.filter.is_none())
    }

    /// Row and group, in the order of rows.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.rows).filter_map(|row| {
            let counts = self.filter.is_none_or(|f| f.is_valid(row) && f.value(row));
            let group = match self.groups {
                Some(groups) => groups.get(row).copied()?,
                None => 0,
            };
            counts.then_some((row, group))
        })
    }
}

fn rows(values: &[ArrayRef]) -> usize {
    values.first().map_or(0, |column| column.len())
}

/// Many groups.
pub(crate) struct Many<G>(pub(crate) G);

impl<G: Groups> Many<G> {
    fn emitted<T>(&mut self, emit: EmitTo, give: impl Fn(&G, usize) -> Result<T>) -> Result<T> {
        let n = match emit {
            EmitTo::All => self.0.len(),
            EmitTo::First(n) => n,
        };
        let given = give(&self.0, n)?;
        self.0.forget(n);
        Ok(given)
    }
}

impl<G: Groups> GroupsAccumulator for Many<G> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.grow(total_num_groups);
        let groups = Some(group_indices);
        self.0.update(values, &Chosen { rows: rows(values), groups, filter: opt_filter })
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.emitted(emit_to, G::answers)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.emitted(emit_to, G::states)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.grow(total_num_groups);
        let groups = Some(group_indices);
        self.0.merge(values, &Chosen { rows: rows(values), groups, filter: None })
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = rows(values);
        let each: Vec<usize> = (0..rows).collect();
        let mut apart = self.0.fresh();
        apart.grow(rows);
        apart.update(values, &Chosen { rows, groups: Some(&each), filter: opt_filter })?;
        apart.states(rows)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.bytes()
    }
}

/// One group.
#[derive(Debug)]
pub(crate) struct One<G>(G);

impl<G: Groups> One<G> {
    pub(crate) fn new(mut groups: G) -> Self {
        groups.grow(1);
        Self(groups)
    }
}

fn all(values: &[ArrayRef]) -> Chosen<'static> {
    Chosen { rows: rows(values), groups: None, filter: None }
}

impl<G: Groups> Accumulator for One<G> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.update(values, &all(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.0.answers(1)?, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.0.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let states = self.0.states(1)?;
        states.iter().map(|state| ScalarValue::try_from_array(state, 0)).collect()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge(states, &all(states))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.retract(values)
    }

    fn supports_retract_batch(&self) -> bool {
        G::RETRACTS
    }
}
