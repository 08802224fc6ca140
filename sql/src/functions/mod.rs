//! The SQL functions of this crate.
//!
//! | file | holds |
//! |---|---|
//! | attr | the subscript `attributes['k']`, and the getters `attr_text`, `attr_int`, .. |
//! | hex_id | the text of an id, and the bytes of a text |
//! | lists | the events and links of a span as lists |
//! | trace_root | the root of a trace, as an aggregate |
//! | capped | functions that make long values, with a cap |

pub(crate) mod attr;
pub(crate) mod capped;
pub(crate) mod hex_id;
pub(crate) mod lists;
pub(crate) mod trace_root;
