//! What the benches measure with: a corpus of realistic traces, stores that hold it, what a process
//! uses, and the questions of the comparison.

pub mod corpus;
pub mod process;
pub mod queries;
pub mod stores;
