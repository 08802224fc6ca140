//! What may be asked: one statement that reads, of bounded size.
//!
//! The text is checked before it is parsed, the statement before it is planned, and the plan by
//! DataFusion's `SQLOptions` before it is optimised. Nothing here touches a file or a network.

use datafusion::common::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::durations;
use crate::error::{Error, Result};
use crate::mistakes::syntax_error;
use crate::place::{Place, Tokens};
use crate::rewrite::rewrite;

/// Most bytes of a query's text.
pub(crate) const TEXT_BYTES_MAX: usize = 64 << 10;
/// Most tokens of a query, white space apart.
const TOKENS_MAX: usize = 10_000;
/// Most operators, joins and set operations: each may deepen an expression or a plan by one.
const OPERATORS_MAX: usize = 500;
/// Deepest nesting of parentheses and queries.
const NESTING_MAX: usize = 50;

/// A statement that may be planned.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) statement: Statement,
    /// How many parameters it has.
    pub(crate) params: usize,
    /// The text, to find places in it.
    pub(crate) tokens: Tokens,
    /// The tables that it defines for itself, behind WITH.
    pub(crate) own_tables: Vec<String>,
}

/// Parses a query.
///
/// # Errors
/// `Plan` when it is too large, is not SQL, is more than one statement, or does anything but read.
pub(crate) fn parse(sql: &str) -> Result<Allowed> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(Error::plan(format!(
            "the query is too long: {} bytes, at most {TEXT_BYTES_MAX}",
            sql.len()
        )));
    }
    let tokens = Tokens::of(sql).map_err(|error| {
        Error::plan_at(format!("cannot read the SQL: {error}"), Place::of_error(&error))
    })?;
    let params = check_tokens(&tokens)?;
    check_durations(&tokens)?;
    let dialect = GenericDialect {};
    let mut statements = DFParserBuilder::new(sql)
        .with_dialect(&dialect)
        .with_recursion_limit(NESTING_MAX)
        .build()
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| reading_error(&error, &tokens))?;
    let mut statement = match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => statement,
        (None, _) => return Err(Error::plan("the query is empty")),
        (Some(_), more) => {
            return Err(Error::plan(format!("one statement at a time: there are {}", more + 1)));
        }
    };
    check_statement(&statement, &tokens)?;
    let own_tables = rewrite(&mut statement);
    Ok(Allowed { statement, params, tokens, own_tables })
}

fn reading_error(error: &DataFusionError, tokens: &Tokens) -> Error {
    match error.find_root() {
        DataFusionError::SQL(inner, _) if inner.to_string().contains("recursion limit") => {
            Error::plan(format!("the query is nested too deeply: at most {NESTING_MAX} levels"))
        }
        _ => syntax_error(error, tokens),
    }
}

/// A duration without quotes would be a number and an alias.
fn check_durations(tokens: &Tokens) -> Result<()> {
    match tokens.measured().find(|(text, _)| durations::parse(text).is_ok()) {
        Some((text, place)) => {
            let words = format!("a duration stands in single quotes: write '{text}'");
            Err(Error::plan_at(words, place))
        }
        None => Ok(()),
    }
}

/// Counts what makes a query large; the highest `$n` is the number of its parameters.
fn check_tokens(tokens: &Tokens) -> Result<usize> {
    let (mut count, mut operators, mut params) = (0usize, 0usize, 0usize);
    for token in tokens.iter() {
        if let Token::Placeholder(name) = token {
            let number = name.strip_prefix('$').and_then(|n| n.parse().ok());
            params = params.max(number.unwrap_or(0));
        }
        count += 1;
        operators += usize::from(deepens(token));
    }
    if count > TOKENS_MAX {
        return Err(Error::plan(format!(
            "the query is too large: {count} words and signs, at most {TOKENS_MAX}"
        )));
    }
    if operators > OPERATORS_MAX {
        return Err(Error::plan(format!(
            "the query is too large: {operators} operators and joins, at most {OPERATORS_MAX}; \
             write a long OR as IN (..)"
        )));
    }
    Ok(params)
}

/// Whether a token may add a level to a tree.
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::BETWEEN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::FROM
                | Keyword::AT
                | Keyword::COLLATE
                | Keyword::DIV
                | Keyword::XOR
                | Keyword::WITH
                | Keyword::AS
        ),
        Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::SemiColon
        | Token::Number(..)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::Placeholder(_)
        | Token::EOF => false,
        // Every sign is an operator or may be one; `[` is a subscript.
        _ => true,
    }
}

fn check_statement(statement: &Statement, tokens: &Tokens) -> Result<()> {
    let refused = |what: &str| {
        let words = format!("{what} is not allowed: a query may SELECT, EXPLAIN, SHOW or DESCRIBE");
        Err(Error::plan_at(words, tokens.only(what)))
    };
    match statement {
        Statement::Explain(explain) => check_statement(&explain.statement, tokens),
        Statement::Statement(inner) => match inner.as_ref() {
            ast::Statement::Query(_)
            | ast::Statement::ExplainTable { .. }
            | ast::Statement::ShowTables { .. }
            | ast::Statement::ShowColumns { .. }
            | ast::Statement::ShowFunctions { .. }
            | ast::Statement::ShowVariable { .. } => Ok(()),
            ast::Statement::Explain { statement, .. } => {
                check_statement(&Statement::Statement(statement.clone()), tokens)
            }
            other => refused(&first_word(&other.to_string())),
        },
        other => refused(&first_word(&other.to_string())),
    }
}

fn first_word(statement: &str) -> String {
    statement.split_whitespace().next().unwrap_or("this statement").to_uppercase()
}

/// Refuses a plan that does anything but read.
///
/// # Errors
/// `Plan` for DDL, DML and statements that change the session.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<()> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|error| Error::planning(&error))
}
