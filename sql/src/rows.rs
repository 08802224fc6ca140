//! The answer of a query: a stream of record batches, or all of them as a table.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use amida::Missing;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use datafusion::execution::SendableRecordBatchStream;
use futures::{Stream, StreamExt, TryStreamExt};

use crate::deadline::Deadline;
use crate::durations::readable;
use crate::error::{Error, Result};
use crate::notes::left_out;
use crate::role::ROLE_KEY;

/// The rows of a query, as they come. Dropping it ends the query.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = amida::Store::in_memory();
/// use futures::StreamExt;
///
/// let session = amida_sql::Session::new(&store);
/// let mut batches = session.query("FROM spans").await?.stream();
/// while let Some(batch) = batches.next().await {
///     println!("{} rows", batch?.num_rows());
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "a query runs while its rows are read"]
pub struct Rows {
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
    deadline: Deadline,
    notes: Vec<String>,
    missing: Vec<Missing>,
}

impl Rows {
    pub(crate) fn new(
        stream: SendableRecordBatchStream,
        deadline: Deadline,
        mut notes: Vec<String>,
        missing: Vec<Missing>,
    ) -> Self {
        notes.extend(left_out(&missing));
        let schema = without_roles(&stream.schema());
        Self { schema, stream, deadline, notes, missing }
    }

    /// What this answer may have missed, a line each: attribute keys that no span has, with where
    /// they or similar ones are, keys that other spans have under the name before or after
    /// OpenTelemetry renamed them, and what `missing` has. Known before the first row; no part of
    /// the rows.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Damaged rows that this answer leaves out, as `SessionOptions::allow_partial` has it; over a
    /// partial snapshot, all that it left out until now. Known before the first row.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The columns of the answer.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Ends the query from elsewhere, while its rows are waited for.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.deadline.clone())
    }

    /// The batches, as they come. It must be polled within a tokio runtime.
    ///
    /// # Errors
    /// Each item may be `Execution`, `Limit` (time, memory) or `Engine`; it is then the last.
    pub fn stream(self) -> impl Stream<Item = Result<RecordBatch>> + Send + Unpin {
        Batches { rows: self, done: false }
    }

    /// All rows.
    ///
    /// # Errors
    /// The first of `stream`.
    pub async fn collect(self) -> Result<Table> {
        let schema = self.schema();
        let batches = self.stream().try_collect().await?;
        Ok(Table { schema, batches })
    }
}

/// What works on a query in other threads may be far from its next batch: it is told.
impl Drop for Rows {
    fn drop(&mut self) {
        self.deadline.cancel();
    }
}

/// Ends a query, wherever its rows are waited for.
///
/// ```no_run
/// # async fn example(session: amida_sql::Session) -> amida_sql::Result<()> {
/// let rows = session.query("SELECT count(*) FROM spans a, spans b").await?;
/// let canceller = rows.canceller();
/// std::thread::spawn(move || canceller.cancel());
/// rows.collect().await?; // Limit, if it was not done before
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Canceller(Deadline);

impl Canceller {
    /// Ends the query: its rows end with `Limit`, unless they are all there.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("schema", &self.schema).finish_non_exhaustive()
    }
}

struct Batches {
    rows: Rows,
    done: bool,
}

impl Stream for Batches {
    type Item = Result<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        if let Err(late) = this.rows.deadline.check(context) {
            this.done = true;
            return Poll::Ready(Some(Err(late)));
        }
        let Poll::Ready(next) = this.rows.stream.poll_next_unpin(context) else {
            return Poll::Pending;
        };
        let next = next.map(|batch| {
            batch
                .and_then(|batch| {
                    let columns = batch.columns().to_vec();
                    let options = datafusion::arrow::array::RecordBatchOptions::new()
                        .with_row_count(Some(batch.num_rows()));
                    let schema = this.rows.schema.clone();
                    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
                })
                .map_err(|error| Error::execution(&error))
        });
        this.done = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// What columns mean is for planning only.
fn without_roles(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let mut metadata = field.metadata().clone();
        metadata.remove(ROLE_KEY);
        field.as_ref().clone().with_metadata(metadata)
    });
    Arc::new(Schema::new(fields.collect::<Vec<Field>>()))
}

/// All rows of an answer; `Display` draws a table.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = amida::Store::in_memory();
/// let session = amida_sql::Session::new(&store);
/// let table = session.query("SELECT 1 AS one, 'a' AS a").await?.collect().await?;
/// assert_eq!(table.num_rows(), 1);
/// println!("{table}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The rows, in batches.
    pub fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }

    /// The rows, in batches, owned.
    pub fn into_batches(self) -> Vec<RecordBatch> {
        self.batches
    }

    /// How many rows there are.
    pub fn num_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readable =
            self.batches.iter().map(readable).collect::<std::result::Result<Vec<_>, _>>();
        let table = readable
            .and_then(|batches| pretty_format_batches_with_schema(self.schema.clone(), &batches));
        match table {
            Ok(table) => write!(f, "{table}"),
            Err(error) => write!(f, "{error}"),
        }
    }
}
