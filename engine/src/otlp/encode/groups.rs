//! Rows by resource and scope, in the order in which these come first.

use std::collections::HashMap;
use std::ops::Range;

use super::attributes::{self, Attributes};
use super::rows::{Span, write_attributes, wrong};
use crate::error::Result;
use crate::model::batch::{SpanBatch, SpanRef};
use crate::model::schema::{UNKNOWN_SERVICE, col};
use crate::otlp::build::AttributeValue;
use crate::otlp::message::{Field, Message};

/// The spans of one request.
#[derive(Default)]
pub struct Groups<'a> {
    resources: Vec<ResourceGroup<'a>>,
    /// Where the group of this resource stands, by attributes, schema URL and service.
    resource_at: HashMap<[&'a str; 3], usize>,
}

struct ResourceGroup<'a> {
    attributes: Attributes,
    schema_url: &'a str,
    scopes: Vec<ScopeGroup<'a>>,
    /// Where the group of this scope stands, by name, version, attributes and schema URL.
    scope_at: HashMap<[&'a str; 4], usize>,
}

struct ScopeGroup<'a> {
    name: &'a str,
    version: &'a str,
    attributes: Attributes,
    schema_url: &'a str,
    spans: Vec<Span<'a>>,
}

impl<'a> Groups<'a> {
    /// These rows.
    pub fn of(batch: &'a SpanBatch, rows: Range<usize>) -> Result<Self> {
        let mut groups = Self::default();
        for row in rows.filter_map(|row| batch.span(row)) {
            let span = Span::read(row)?;
            groups.resource(row)?.scope(row)?.spans.push(span);
        }
        Ok(groups)
    }

    fn resource(&mut self, row: SpanRef<'a>) -> Result<&mut ResourceGroup<'a>> {
        let (text, schema_url) = (row.resource_attributes(), row.resource_schema_url());
        let key = [text, schema_url, row.service_name()];
        let at = match self.resource_at.get(&key) {
            Some(at) => *at,
            None => {
                let attributes = attributes::read(text)
                    .map_err(|error| wrong(&row, col::RESOURCE_ATTRIBUTES, error))?;
                let attributes = with_service(attributes, row.service_name());
                let (scopes, scope_at) = (Vec::new(), HashMap::new());
                self.resources.push(ResourceGroup { attributes, schema_url, scopes, scope_at });
                self.resource_at.insert(key, self.resources.len() - 1);
                self.resources.len() - 1
            }
        };
        Ok(&mut self.resources[at])
    }

    /// Writes the fields of an ExportTraceServiceRequest, or of TracesData, which are the same.
    pub fn write<M: Message>(&self) -> M {
        M::document(|out| {
            out.list(Field(1, "resourceSpans"), &self.resources, |out, group| group.write(out));
        })
    }
}

/// A store names the service as the resource does. Rows that were made elsewhere may name it in
/// their column alone.
fn with_service(mut attributes: Attributes, service_name: &str) -> Attributes {
    let is_named = attributes.iter().any(|(key, value)| {
        key == "service.name" && matches!(value, AttributeValue::String(name) if !name.is_empty())
    });
    if !is_named && service_name != UNKNOWN_SERVICE {
        attributes.push(("service.name".to_owned(), service_name.into()));
    }
    attributes
}

impl<'a> ResourceGroup<'a> {
    fn scope(&mut self, row: SpanRef<'a>) -> Result<&mut ScopeGroup<'a>> {
        let (name, version) = (row.scope_name(), row.scope_version());
        let (text, schema_url) = (row.scope_attributes(), row.scope_schema_url());
        let key = [name, version, text, schema_url];
        let at = match self.scope_at.get(&key) {
            Some(at) => *at,
            None => {
                let attributes = attributes::read(text)
                    .map_err(|error| wrong(&row, col::SCOPE_ATTRIBUTES, error))?;
                let spans = Vec::new();
                self.scopes.push(ScopeGroup { name, version, attributes, schema_url, spans });
                self.scope_at.insert(key, self.scopes.len() - 1);
                self.scopes.len() - 1
            }
        };
        Ok(&mut self.scopes[at])
    }

    /// Writes the fields of a ResourceSpans.
    fn write<M: Message>(&self, out: &mut M) {
        out.part(Field(1, "resource"), |out| {
            write_attributes(out, Field(1, "attributes"), &self.attributes);
        });
        out.list(Field(2, "scopeSpans"), &self.scopes, |out, scope| scope.write(out));
        out.text(Field(3, "schemaUrl"), self.schema_url);
    }
}

impl ScopeGroup<'_> {
    /// Writes the fields of a ScopeSpans.
    fn write<M: Message>(&self, out: &mut M) {
        out.part(Field(1, "scope"), |out| {
            out.text(Field(1, "name"), self.name);
            out.text(Field(2, "version"), self.version);
            write_attributes(out, Field(3, "attributes"), &self.attributes);
        });
        out.list(Field(2, "spans"), &self.spans, |out, span| span.write(out));
        out.text(Field(3, "schemaUrl"), self.schema_url);
    }
}
