//! Which row a span id means, where several rows have it: repeats, and the two halves of a call.

use std::collections::HashMap;

use crate::model::batch::{SpanBatch, SpanRef};
use crate::model::ids::SpanId;
use crate::model::schema::col;

/// The rows of each span id.
pub struct Ids<'a> {
    /// The earliest row of each id.
    first: HashMap<SpanId, usize>,
    /// Of the ids that several different spans have.
    shared: HashMap<SpanId, Shared<'a>>,
}

/// The halves of the calls that share one id: the earliest row of each sort.
#[derive(Default)]
struct Shared<'a> {
    /// Clients and producers by the parent that they name.
    clients: HashMap<Option<SpanId>, usize>,
    clients_by_service: HashMap<&'a str, usize>,
    /// The earliest client of all.
    client: Option<usize>,
    /// Servers and consumers that hang beneath one of the clients.
    servers_by_service: HashMap<&'a str, usize>,
    /// The earliest of these.
    server: Option<usize>,
}

impl<'a> Ids<'a> {
    /// The ids of these rows, which are in order of their start, and how often each row's span is
    /// stored: 0 for repeats.
    pub fn of(spans: &'a SpanBatch, by_start: &[usize]) -> (Self, Vec<usize>) {
        let mut first = HashMap::with_capacity(by_start.len());
        let mut copies = vec![1; spans.len()];
        let mut repeated: HashMap<SpanId, Vec<SpanRef<'a>>> = HashMap::new();
        for span in by_start.iter().filter_map(|&row| spans.span(row)) {
            let earlier = *first.entry(span.span_id()).or_insert(span.row());
            if earlier != span.row() {
                let rows = repeated.entry(span.span_id());
                let rows = rows.or_insert_with(|| spans.span(earlier).into_iter().collect());
                rows.push(span);
            }
        }
        let mut shared = HashMap::new();
        for (id, mut rows) in repeated {
            drop_repeats(spans, &mut rows, &mut copies);
            if rows.len() > 1 {
                shared.insert(id, Shared::of(&rows));
            }
        }
        (Self { first, shared }, copies)
    }

    /// The row that a span hangs beneath; itself where it names itself; `None` for roots and where
    /// the parent is not there.
    pub fn above(&self, span: SpanRef<'_>) -> Option<usize> {
        if let Some(client) = self.shared.get(&span.span_id()).and_then(|s| s.client_of(span)) {
            return Some(client);
        }
        let parent = span.parent_span_id()?;
        if parent == span.span_id() {
            return Some(span.row());
        }
        let half = self.shared.get(&parent).and_then(|s| s.half_for(span.service_name()));
        half.or_else(|| self.first.get(&parent).copied())
    }
}

impl<'a> Shared<'a> {
    /// Of rows with one id, in order of their start.
    fn of(rows: &[SpanRef<'a>]) -> Self {
        let mut shared = Self::default();
        for span in rows.iter().filter(|span| matches!(span.kind(), "CLIENT" | "PRODUCER")) {
            shared.client.get_or_insert(span.row());
            shared.clients.entry(span.parent_span_id()).or_insert(span.row());
            shared.clients_by_service.entry(span.service_name()).or_insert(span.row());
        }
        let servers: Vec<_> = rows.iter().filter(|s| shared.client_of(**s).is_some()).collect();
        for span in servers {
            shared.server.get_or_insert(span.row());
            shared.servers_by_service.entry(span.service_name()).or_insert(span.row());
        }
        shared
    }

    /// The client half that this server half belongs to.
    fn client_of(&self, span: SpanRef<'_>) -> Option<usize> {
        if !matches!(span.kind(), "SERVER" | "CONSUMER") {
            return None;
        }
        let parent = span.parent_span_id();
        let any = self.client.filter(|_| parent.is_none() || parent == Some(span.span_id()));
        self.clients.get(&parent).copied().or(any)
    }

    /// The half beneath which a child of this service hangs; `None` where these are no halves.
    fn half_for(&self, service: &str) -> Option<usize> {
        self.server?;
        let server = self.servers_by_service.get(service);
        server.or_else(|| self.clients_by_service.get(service)).copied().or(self.server)
    }
}

/// Keeps the first of rows that are equal in everything and counts the others there.
fn drop_repeats<'a>(spans: &'a SpanBatch, rows: &mut Vec<SpanRef<'a>>, copies: &mut [usize]) {
    let text = |row: usize, column: usize| {
        let column = spans.text(column);
        let there = arrow::array::Array::is_valid(column, row);
        there.then(|| column.value(row))
    };
    let dropped = |row: usize| {
        use col::{DROPPED_ATTRIBUTES_COUNT, DROPPED_EVENTS_COUNT, DROPPED_LINKS_COUNT};
        [DROPPED_ATTRIBUTES_COUNT, DROPPED_EVENTS_COUNT, DROPPED_LINKS_COUNT]
            .map(|column| spans.counts(column).value(row))
    };
    let mut known = HashMap::new();
    rows.retain(|span| {
        let row = span.row();
        let content = (
            span.parent_span_id(),
            (span.start_time_ns(), span.duration_ns()),
            (span.name(), span.service_name(), span.kind()),
            (span.status_code(), span.status_message()),
            (text(row, col::ATTRIBUTES), text(row, col::RESOURCE_ATTRIBUTES)),
            (text(row, col::EVENTS), text(row, col::LINKS)),
            (span.scope_name(), span.scope_attributes(), text(row, col::SCOPE_VERSION)),
            (text(row, col::RESOURCE_SCHEMA_URL), text(row, col::SCOPE_SCHEMA_URL)),
            (span.trace_state(), span.flags(), dropped(row)),
        );
        let kept: usize = *known.entry(content).or_insert(row);
        if kept != row {
            copies[kept] += 1;
            copies[row] = 0;
        }
        kept == row
    });
}
