//! SQL over stores, through the public face of amida-sql.
//!
//! | file | what it holds true |
//! |---|---|
//! | attributes | types of attributes behind every construct of SQL, on pure and mixed keys |
//! | same | hot, flushed, promoted or not, reopened, compacted: the same answers |
//! | ids | ids and words in every context |
//! | tables | the tables and views |
//! | durations | literals with units beside durations, what prints, what the scan sees |
//! | units | numbers that are durations, and what is refused beside them |
//! | percentiles | `p50(x)` and its kin against exact nearest rank |
//! | aggregates | `ratio`, `max_by`, `min_by` |
//! | times | `time_bucket`, and literals of times |
//! | guard | what is refused, and that limits hold |
//! | session | parameters, snapshots, errors, a context of the user's own |
//! | pushdown | what is not read |
//! | calls | what functions say of arguments that they do not take |
//! | names | unknown names, and what is offered for them |
//! | places | where in the text of a query an error stands |
//! | notes | what is said of keys that no span has |
//! | keys | `attr_any` and the table `attribute_keys` |
//! | partial | damaged segments: errors, and answers from the rest |
//! | fuzzed | the body of a fuzz target, on seeds |
//! | docs | every example of docs/sql.md runs |
//! | slt, slt/ | the dialect as sqllogictest files, a topic each |
//! | real | real traces give the known answers |

mod aggregates;
mod attributes;
mod calls;
mod common;
mod docs;
mod durations;
mod fuzzed;
mod guard;
mod ids;
mod keys;
mod names;
mod newest;
mod notes;
mod partial;
mod percentiles;
mod places;
mod pushdown;
mod real;
mod same;
mod session;
mod slt;
mod tables;
mod times;
mod units;
