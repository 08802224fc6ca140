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
//! | entries | the entries of an attribute object, read where they stand |
//! | examples | a value of each type of a key |
//! | interner | numbers for strings that come again and again |
//! | ordered | rows of several batches in another order |
//! | predicate | which spans a scan returns |

pub mod batch;
pub mod catalog;
mod counted;
pub mod entries;
pub mod examples;
pub mod hot;
pub mod ids;
pub mod interner;
pub mod json;
pub mod ordered;
pub mod predicate;
pub mod schema;
pub mod time;
