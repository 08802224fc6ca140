//! Tags in which OpenTelemetry's exporters put what the older formats have no place for. They stay
//! attributes too.
//!
//! | tag | becomes |
//! |---|---|
//! | `otel.status_code`, `otel.status_description` | status |
//! | `otel.scope.name`, `otel.scope.version`, else `otel.library.*` | scope |
//! | `w3c.tracestate` | trace state |

use amida::{AttributeValue, SpanBuilder};

use super::outbox::Scope;

/// What the tags of one span say.
#[derive(Debug, Default)]
pub struct OtelTags {
    scope: Scope,
    library: Scope,
    trace_state: String,
    status_code: String,
    description: String,
}

impl OtelTags {
    /// Looks at a tag.
    pub fn see(&mut self, key: &str, value: &AttributeValue) {
        let AttributeValue::String(text) = value else { return };
        let field = match key {
            "otel.scope.name" => &mut self.scope.name,
            "otel.scope.version" => &mut self.scope.version,
            "otel.library.name" => &mut self.library.name,
            "otel.library.version" => &mut self.library.version,
            "w3c.tracestate" => &mut self.trace_state,
            "otel.status_code" => &mut self.status_code,
            "otel.status_description" => &mut self.description,
            _ => return,
        };
        field.clone_from(text);
    }

    /// Adds what the tags said. `error` is what the format itself says of an error: its text.
    pub fn onto(self, span: SpanBuilder, error: Option<&str>) -> (SpanBuilder, Scope) {
        let mut span = span.trace_state(&self.trace_state);
        let is_error = error.is_some() || self.status_code.eq_ignore_ascii_case("ERROR");
        if is_error {
            let text = error.filter(|text| !text.is_empty());
            span = span.error(text.unwrap_or(&self.description));
        } else if self.status_code.eq_ignore_ascii_case("OK") {
            span = span.ok();
        }
        let scope = if self.scope == Scope::default() { self.library } else { self.scope };
        (span, scope)
    }
}
