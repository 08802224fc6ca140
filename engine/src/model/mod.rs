//! What travels through the store: ids, time, the span schema and its batches, attribute text and
//! the catalog of attribute keys, predicates. No I/O, no policy.
//!
//! | file | holds |
//! |---|---|
//! | ids | `TraceId`, `SpanId` |
//! | time | `Clock` |
//! | schema | the columns of a span, marks |
//! | batch | `SpanBatch`, `SpanRef` |
//! | hot | `HotBatch`: accepted, visible, not yet decoded |
//! | json | attributes, events and links as text |
//! | catalog | attribute keys, their types, promoted keys |
//! | counted | the catalog of rows that are columns already |
//! | examples | a value of each type of a key |
//! | predicate | which spans a scan returns |

pub mod batch;
pub mod catalog;
mod counted;
pub mod examples;
pub mod hot;
pub mod ids;
pub mod json;
pub mod predicate;
pub mod schema;
pub mod time;
