//! OTLP: requests are walked at the door, and decoded when somebody needs their spans.
//!
//! `otlp/` does not know that disks exist. It promises: a request is taken whole or refused whole
//! (`walk`), the same bytes with the same verdict give the same rows for ever (`resolve` applies
//! constants of the format version only), and no input makes it recurse without bound, panic, or
//! allocate more than a small multiple of its size.
//!
//! | file | purpose |
//! |---|---|
//! | wire | protobuf fields and the tables of OTLP's messages |
//! | walk | step one: every byte checked, spans found, verdicts |
//! | text | text repaired and cut; limits of the format |
//! | keys | attribute keys, each read once and counted |
//! | attributes | KeyValue and AnyValue to attribute text |
//! | groups | resources and scopes, each read once |
//! | lists | events and links to text |
//! | resolve | step two: spans to columns |
//! | build | `RequestBuilder`: OTLP bytes for spans that were never OTLP |
//! | message | what can be written as protobuf and as JSON |
//! | encode | stored spans back to OTLP |
//! | json | OTLP/JSON to OTLP protobuf |

pub mod attributes;
pub mod build;
pub mod encode;
pub mod groups;
pub mod json;
pub mod keys;
pub mod lists;
pub mod message;
pub mod resolve;
pub mod text;
pub mod walk;
pub mod wire;
