//! Query results as a table of the terminal and as JSON.

use arrow::array::RecordBatch;
use arrow::json::ArrayWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};

/// The rows as a table at most this wide.
///
/// # Errors
/// Words for the user: a value cannot be written as text.
pub fn table(batches: &[RecordBatch], width: u16) -> Result<String, String> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '─');
    table.set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let Some(first) = batches.first() else { return Ok("(no rows)".to_owned()) };
    let schema = first.schema();
    table.set_header(schema.fields().iter().map(|field| field.name().as_str()));
    let options = FormatOptions::new().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%SZ"));
    for batch in batches {
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).try_to_string());
            table.add_row(cells.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?);
        }
    }
    for (at, field) in schema.fields().iter().enumerate() {
        if let Some(column) = table.column_mut(at).filter(|_| field.data_type().is_numeric()) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(table.to_string())
}

/// The rows as JSON objects.
///
/// # Errors
/// Words for the user: a value cannot be written as JSON.
pub fn json(batches: &[RecordBatch]) -> Result<serde_json::Value, String> {
    let mut writer = ArrayWriter::new(Vec::new());
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    writer
        .write_batches(&batches)
        .and_then(|()| writer.finish())
        .map_err(|error| error.to_string())?;
    let bytes = writer.into_inner();
    if bytes.is_empty() {
        return Ok(serde_json::Value::Array(Vec::new()));
    }
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}
