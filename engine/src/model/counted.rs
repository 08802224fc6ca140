//! The catalog of rows that are columns already: what resolving their requests counted, counted
//! again from their attribute text.

use super::batch::SpanBatch;
use super::catalog::{Catalog, Scope, TypeCounts};
use super::examples::Examples;
use super::json;

impl Catalog {
    /// Counts the attributes of these rows.
    pub(crate) fn add_rows(&mut self, rows: &SpanBatch) {
        let mut resource = Repeated::new(Scope::Resource);
        let mut scope = Repeated::new(Scope::Scope);
        for span in rows.spans() {
            self.add_object(Scope::Span, span.attributes(), 1);
            resource.next(self, span.resource_attributes());
            scope.next(self, span.scope_attributes());
            for event in span.events() {
                self.add_object(Scope::Event, &event.attributes, 1);
            }
            for link in span.links() {
                self.add_object(Scope::Link, &link.attributes, 1);
            }
        }
        resource.end(self);
        scope.end(self);
    }

    fn add_object(&mut self, scope: Scope, object: &str, count: u64) {
        for (key, raw) in json::entries(object) {
            let value_type = json::raw_type(raw);
            let mut counts = TypeCounts::default();
            counts.add(value_type, count);
            self.add(scope, &key, &counts);
            if self.example(scope, &key, value_type).is_none()
                && let Some(value) = json::read_raw(raw)
            {
                let mut examples = Examples::default();
                examples.add(value_type, &value.to_string());
                self.add_examples(scope, &key, &examples);
            }
        }
    }
}

/// A text that stands in many rows in a row is read once.
struct Repeated<'a> {
    scope: Scope,
    text: &'a str,
    count: u64,
}

impl<'a> Repeated<'a> {
    fn new(scope: Scope) -> Self {
        Self { scope, text: "", count: 0 }
    }

    fn next(&mut self, catalog: &mut Catalog, text: &'a str) {
        if text != self.text {
            self.end(catalog);
            self.text = text;
        }
        self.count += 1;
    }

    fn end(&mut self, catalog: &mut Catalog) {
        let count = std::mem::take(&mut self.count);
        if count > 0 {
            catalog.add_object(self.scope, self.text, count);
        }
    }
}
