//! The SQL functions of this crate.
//!
//! | file | holds |
//! |---|---|
//! | attr | `attr_text`, `attr_int`, `attr_float`, `attr_bool`, and the subscript `attributes['k']` |
//! | hex_id | the text of an id, and the bytes of a text |
//! | lists | the events and links of a span as lists |
//! | capped | functions that make long values, with a cap |

pub(crate) mod attr;
pub(crate) mod capped;
pub(crate) mod hex_id;
pub(crate) mod lists;
