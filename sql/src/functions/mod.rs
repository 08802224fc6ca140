//! The SQL functions of this crate.
//!
//! | file | holds |
//! |---|---|
//! | attr | the subscript `attributes['k']`, `attr_any`, and the getters `attr_text`, .. |
//! | repeats | texts that stand in a column again and again |
//! | value_text | the text of a promoted number or boolean |
//! | hex_id | the text of an id, and the bytes of a text |
//! | id_part | an id as numbers, for joins and groups |
//! | measure | nanoseconds as `duration`, `duration_ns` and `duration_ms` |
//! | time_bucket | `time_bucket('1 minute', t)` |
//! | lists | the events and links of a span as lists |
//! | calls, runs | the calls between services in a trace, as an aggregate |
//! | trace_root | the root of a trace, as an aggregate |
//! | percentile, histogram, counts | `p50(x)` .. `percentile(x, 0.95)` |
//! | ratio | `ratio(condition)` |
//! | pick | `max_by(value, by)` and `min_by` |
//! | grouped | an aggregate of ours over one group or many |
//! | keeps | aggregates of DataFusion's that keep what a column means |
//! | capped | functions that make long values, with a cap |

pub(crate) mod attr;
pub(crate) mod calls;
pub(crate) mod capped;
mod counts;
mod grouped;
pub(crate) mod hex_id;
mod histogram;
mod id_part;
pub(crate) mod keeps;
pub(crate) mod lists;
pub(crate) mod measure;
pub(crate) mod percentile;
mod pick;
mod ratio;
mod repeats;
mod runs;
mod time_bucket;
pub(crate) mod trace_root;
pub(crate) mod value_text;

use std::sync::Arc;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

/// DataFusion's functions that `Session` leaves out: they make many rows or elements from two
/// numbers.
pub(crate) const LEFT_OUT: [&str; 2] = ["generate_series", "range"];

/// The scalar functions that a query may name.
pub(crate) fn scalars() -> impl Iterator<Item = Arc<ScalarUDF>> {
    attr::Attr::getters().into_iter().chain([time_bucket::TimeBucket::udf()])
}

/// The scalar functions that only the views name.
pub(crate) fn of_views() -> impl Iterator<Item = Arc<ScalarUDF>> {
    let lists = [lists::Kind::Events, lists::Kind::Links].map(lists::ReadList::udf);
    measure::Measure::all()
        .into_iter()
        .chain(lists)
        .chain([hex_id::HexId::udf(), id_part::IdPart::udf()])
}

/// The aggregate functions that a query may name.
pub(crate) fn aggregates() -> impl Iterator<Item = Arc<AggregateUDF>> {
    let all = percentile::Percentile::udafs().chain(pick::Pick::udafs());
    all.chain([ratio::Ratio::udaf()]).map(Arc::new)
}
