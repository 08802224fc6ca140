//! SQL over an Amida trace store, by DataFusion.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = amida::Store::open("traces.amida")?;
//! let session = amida_sql::Session::new(&store);
//! let rows = session.query("SELECT service_name, count(*) FROM spans GROUP BY 1").await?;
//! println!("{}", rows.collect().await?);
//! # Ok(())
//! # }
//! ```
//!
//! The tables, the functions and what attributes, ids and words mean in a query are described in
//! `docs/sql.md`. [`Session`] is for statements from anybody: it reads only, within limits.
//! [`register()`] puts the same tables into a DataFusion context of your own.
//!
//! | file | holds |
//! |---|---|
//! | session | `Session`, `SessionOptions`: one statement from text to rows |
//! | guard, rewrite | which statements may be asked, and how large; how they are read |
//! | planner, analyzer/ | what subscripts, ids and words mean |
//! | views | the tables, as views over one base table |
//! | provider/ | the base table: pruning, hot rows beside segments, promoted columns |
//! | functions/ | the functions behind them |
//! | durations | durations as people write them, and as they are printed |
//! | mistakes/, place | unknown names and what was meant, and where in the text |
//! | notes, renames | what an answer may have missed: keys that no span has, renamed keys |
//! | early, share | the newest rows without reading all; one histogram for several percentiles |
//! | rows, deadline, watch, error | the answer, its time limit, what can go wrong |

mod analyzer;
mod clauses;
mod deadline;
mod durations;
mod early;
mod error;
mod functions;
mod guard;
mod join_keys;
mod mistakes;
mod notes;
mod place;
mod planner;
mod provider;
mod register;
mod renames;
mod rewrite;
mod role;
mod rows;
mod session;
mod share;
mod source;
mod views;
mod watch;

pub use datafusion;
pub use datafusion::common::ScalarValue;

pub use self::durations::readable;
pub use self::error::{Error, PlanError, Result};
pub use self::place::Place;
pub use self::register::register;
pub use self::rows::{Canceller, Rows, Table};
pub use self::session::{Session, SessionOptions};
pub use self::source::Source;
