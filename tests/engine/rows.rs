//! Rows of a store in the oracle's terms, read with Arrow's accessors and not with the engine's.

use amida::{Predicate, Snapshot, SpanBatch};
use amida_tests::oracle::Row;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt32Type};

/// All rows of a snapshot.
pub fn of_snapshot(snapshot: &Snapshot) -> Vec<Row> {
    let scan = snapshot.scan(&Predicate::new()).expect("a scan starts");
    scan.flat_map(|batch| of_batch(&batch.expect("a scan reads every batch"))).collect()
}

/// All rows of a batch.
pub fn of_batch(batch: &SpanBatch) -> Vec<Row> {
    (0..batch.len()).map(|row| Cells { batch, row }.read()).collect()
}

struct Cells<'a> {
    batch: &'a SpanBatch,
    row: usize,
}

impl Cells<'_> {
    fn column(&self, name: &str) -> &ArrayRef {
        self.batch.record_batch().column_by_name(name).expect("a column of the span schema")
    }

    fn hex(&self, name: &str) -> String {
        let ids = self.column(name).as_fixed_size_binary();
        if ids.is_null(self.row) {
            return String::new();
        }
        ids.value(self.row).iter().map(|b| format!("{b:02x}")).collect()
    }

    fn text(&self, name: &str) -> String {
        let texts = self.column(name).as_string_view();
        if texts.is_null(self.row) {
            return String::new();
        }
        let text = texts.value(self.row);
        // Where the schema allows null, absent text is null and never empty.
        let nullable = self.batch.record_batch().schema().field_with_name(name).cloned();
        assert!(!text.is_empty() || !nullable.expect("a field").is_nullable(), "empty {name}");
        text.to_owned()
    }

    fn number(&self, name: &str) -> u32 {
        self.column(name).as_primitive::<UInt32Type>().value(self.row)
    }

    fn read(&self) -> Row {
        Row {
            trace_id: self.hex("trace_id"),
            span_id: self.hex("span_id"),
            parent_span_id: self.hex("parent_span_id"),
            name: self.text("name"),
            service_name: self.text("service_name"),
            kind: self.text("kind"),
            status_code: self.text("status_code"),
            status_message: self.text("status_message"),
            start_time: self
                .column("start_time")
                .as_primitive::<TimestampNanosecondType>()
                .value(self.row),
            duration_ns: self.column("duration_ns").as_primitive::<Int64Type>().value(self.row),
            attributes: self.text("attributes"),
            events: self.text("events"),
            links: self.text("links"),
            resource_attributes: self.text("resource_attributes"),
            resource_schema_url: self.text("resource_schema_url"),
            scope_name: self.text("scope_name"),
            scope_version: self.text("scope_version"),
            scope_attributes: self.text("scope_attributes"),
            scope_schema_url: self.text("scope_schema_url"),
            trace_state: self.text("trace_state"),
            flags: self.number("flags"),
            dropped_attributes_count: self.number("dropped_attributes_count"),
            dropped_events_count: self.number("dropped_events_count"),
            dropped_links_count: self.number("dropped_links_count"),
            marks: self.number("marks"),
        }
    }
}
