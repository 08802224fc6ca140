//! An answer's rows as the rows of a table, and the plans of an `EXPLAIN` as lines.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::sink::Pipe;
use super::{Align, Table, visible};

/// The columns of a table, from the types before they are text.
pub fn columns(schema: &Schema) -> Vec<(String, Align)> {
    let align = |field: &Field| match field.data_type() {
        number if number.is_numeric() => Align::Right,
        DataType::Duration(_) => Align::Right,
        time if time.is_temporal() => Align::Whole,
        _ => Align::Left,
    };
    schema.fields().iter().map(|field| (field.name().clone(), align(field))).collect()
}

/// Adds at most this many rows to a table.
pub fn fill(table: &mut Table, batch: &RecordBatch, rows_max: usize) -> Result<(), ArrowError> {
    let options = FormatOptions::new().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows().min(rows_max) {
        let cells = columns.iter().map(|column| column.value(row).try_to_string());
        table.row(cells.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(())
}

/// Whether these are the columns of an `EXPLAIN`.
pub fn is_plan(schema: &Schema) -> bool {
    schema.fields().iter().map(|field| field.name().as_str()).eq(["plan_type", "plan"])
}

/// Writes plans, each under its name, line by line and uncut.
pub fn write_plans(pipe: &mut Pipe, batch: &RecordBatch) -> Result<(), ArrowError> {
    let options = FormatOptions::new().with_null("NULL");
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        for (at, column) in columns.iter().enumerate() {
            let indent = if at == 0 { "" } else { "  " };
            for line in column.value(row).try_to_string()?.lines() {
                writeln!(pipe, "{indent}{}", visible(line))?;
            }
        }
    }
    Ok(())
}
