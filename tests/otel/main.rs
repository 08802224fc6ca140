//! The exporter, through the SDK's public face and a store's.
//!
//! | file | what it holds true |
//! |---|---|
//! | kept | everything that a span, its resource and its scope have is stored |
//! | processors | batch and simple: when spans are stored, flush, shutdown, who may close what |
//! | pressure | busy, full, closed, broken: nothing is lost uncounted |
//! | load | four threads with 100,000 spans each: all there, or counted |
//! | own_work | one span in is one span stored: the exporter and the store trace nothing |
//! | through_tracing | spans and events of `tracing` arrive |
//! | docs | README's service is the one that is built; the versions are those in use |
#![allow(clippy::unwrap_used)] // in tests, a panic with its place is the answer

mod common;
mod docs;
mod kept;
mod load;
mod own_work;
mod pressure;
mod processors;
#[path = "../engine/rows.rs"]
mod rows;
mod through_tracing;
