//! What the benches measure with: a corpus of realistic traces, and stores that hold it. See the
//! files beside this one.

pub mod corpus;
pub mod stores;
