//! Maintenance: memtables to segments, small segments to large ones, and which are too old.
//!
//! Deciding and doing are apart: `plan` looks at a version and limits and does no I/O; `flush` and
//! `compact` write one new segment each and change nothing else. It promises that a new segment is
//! durable when a function returns it, and that inputs are never touched: the store commits a
//! version, then lets go of what it replaced.
//!
//! | file | purpose |
//! |---|---|
//! | plan | what to merge, what to drop, which keys to promote |
//! | flush | memtable to segment |
//! | compact | neighbouring segments to one |

pub mod compact;
pub mod flush;
pub mod plan;
#[cfg(test)]
mod tests;
