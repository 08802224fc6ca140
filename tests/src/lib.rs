//! What the tests of all crates share. It knows nothing of SQL.
//!
//! | file | holds |
//! |---|---|
//! | corpus | seeded traces as real services send them |
//! | wild | seeded requests with every field random |
//! | wire | protobuf messages as trees of fields, to take apart and put together |
//! | damaged | a store with a damaged segment |
//! | mutate | damaged and re-encoded requests |
//! | input | the bytes of a fuzzer as choices |
//! | oracle | which spans of a request a store must hold, and as which rows |
//! | compare | expected rows against those of a store |
//! | otlp_json | a reader of OTLP/JSON to hold the engine's against |
//! | known | a store against what is known of real traces |
//! | real | real traces and what is known of them |
//! | named | tests that documents name |
//! | tidy | the rules of the house as functions over source text |

pub use futures_executor::block_on;

pub mod compare;
pub mod corpus;
pub mod damaged;
pub mod input;
pub mod known;
pub mod mutate;
pub mod named;
pub mod oracle;
pub mod otlp_json;
pub mod real;
pub mod tidy;
pub mod wild;
pub mod wire;
