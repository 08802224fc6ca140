//! What the benches measure with: a corpus of realistic traces. See the files beside this one.

pub mod corpus;
