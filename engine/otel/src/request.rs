//! From the SDK's spans to OTLP requests that the store takes.

use amida::REQUEST_BYTES_MAX;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use prost::bytes::Bytes;

/// An OTLP request and how many spans it holds.
#[derive(Debug)]
pub struct Request {
    pub body: Bytes,
    pub spans: u64,
}

/// These spans as few requests, each small enough for the store unless a span alone is not.
pub fn requests(batch: Vec<SpanData>, resource: &ResourceAttributesWithSchema) -> Vec<Request> {
    let mut requests = Vec::new();
    for group in group_spans_by_resource_and_scope(batch, resource) {
        encode(group, &mut requests);
    }
    requests
}

fn encode(group: ResourceSpans, out: &mut Vec<Request>) {
    let spans: usize = group.scope_spans.iter().map(|scope| scope.spans.len()).sum();
    let message = ExportTraceServiceRequest { resource_spans: vec![group] };
    if spans > 1 && message.encoded_len() > REQUEST_BYTES_MAX {
        for group in message.resource_spans {
            let (first, second) = halve(group);
            encode(first, out);
            encode(second, out);
        }
    } else if spans > 0 {
        out.push(Request { body: message.encode_to_vec().into(), spans: spans as u64 });
    }
}

/// Two groups of the same resource with half of the scopes each, or half of the only scope's spans.
fn halve(mut group: ResourceSpans) -> (ResourceSpans, ResourceSpans) {
    let scope_spans = match group.scope_spans.as_mut_slice() {
        [only] => vec![ScopeSpans {
            scope: only.scope.clone(),
            spans: only.spans.split_off(only.spans.len() / 2),
            schema_url: only.schema_url.clone(),
        }],
        _ => group.scope_spans.split_off(group.scope_spans.len() / 2),
    };
    let second = ResourceSpans {
        resource: group.resource.clone(),
        scope_spans,
        schema_url: group.schema_url.clone(),
    };
    (group, second)
}
