//! The names that completion knows, asked of the session itself.

use amida_sql::Session;
use amida_sql::datafusion::arrow::array::AsArray;
use amida_sql::datafusion::arrow::compute::cast;
use amida_sql::datafusion::arrow::datatypes::DataType;

/// The columns of all tables.
const COLUMNS: &str = "SELECT table_name, column_name FROM information_schema.columns \
    WHERE table_schema = 'public' ORDER BY table_name, ordinal_position";

/// The functions; operators have names there too.
const FUNCTIONS: &str = "SELECT DISTINCT routine_name FROM information_schema.routines \
    WHERE regexp_like(routine_name, '^[a-z_][a-z0-9_]*$') ORDER BY routine_name";

/// A table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
}

/// Tables and functions, in order of name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub tables: Vec<Table>,
    pub functions: Vec<String>,
}

impl Names {
    /// What this session knows.
    ///
    /// # Errors
    /// The session's.
    pub async fn of(session: &Session) -> amida_sql::Result<Self> {
        let mut names = Self::default();
        for [table, column] in texts(session, COLUMNS).await? {
            match names.tables.last_mut() {
                Some(last) if last.name == table => last.columns.push(column),
                _ => names.tables.push(Table { name: table, columns: vec![column] }),
            }
        }
        let functions = texts(session, FUNCTIONS).await?;
        names.functions = functions.into_iter().map(|[name]| name).collect();
        Ok(names)
    }
}

/// The rows of an answer of text columns.
async fn texts<const N: usize>(
    session: &Session,
    sql: &str,
) -> amida_sql::Result<Vec<[String; N]>> {
    let mut rows = Vec::new();
    for batch in session.query(sql).await?.collect().await?.batches() {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        // A column that is no text has nothing to offer.
        let Ok(columns) = columns.collect::<Result<Vec<_>, _>>() else { continue };
        for row in 0..batch.num_rows() {
            let texts =
                columns.iter().map(|column| column.as_string::<i32>().value(row).to_owned());
            rows.extend(<[String; N]>::try_from(texts.collect::<Vec<_>>()));
        }
    }
    Ok(rows)
}
