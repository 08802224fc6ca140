//! Clauses that the parser takes and DataFusion leaves out without a word: refused by name, since
//! the answer would be another than the one asked for.
//!
//! What the syntax tree has is taken apart field by field: a field that a later parser adds does
//! not compile here before it is known what becomes of it.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Function, FunctionArgumentList, FunctionArguments, GroupByExpr, GroupByWithModifier,
    Join, OrderBy, PipeOperator, Query, Select, SelectItem, TableAlias, TableFactor,
    TableFunctionArgs, TableSampleKind, TableWithJoins, Visit, Visitor, WildcardAdditionalOptions,
    With,
};

use crate::error::{Error, Result};
use crate::place::Tokens;

/// Looks for such a clause.
///
/// # Errors
/// `Plan` with the clause's name, at its place, and what to write instead where there is that.
pub(crate) fn check(statement: &Statement, tokens: &Tokens, state: &SessionState) -> Result<()> {
    let inner = match statement {
        Statement::Explain(explain) => return check(&explain.statement, tokens, state),
        Statement::Statement(inner) => inner,
        _ => return Ok(()),
    };
    let ControlFlow::Break(LeftOut { clause, instead }) = inner.visit(&mut Clauses { state })
    else {
        return Ok(());
    };
    let hint = if instead.is_empty() { String::new() } else { format!("; {instead}") };
    let is_keyword = |word: &&str| word.chars().all(|c| c.is_ascii_uppercase());
    let place = clause.split(' ').filter(is_keyword).find_map(|word| tokens.only(word));
    Err(Error::plan_at(format!("{clause} is not supported{hint}"), place))
}

/// A clause that would be left out.
struct LeftOut {
    clause: String,
    instead: &'static str,
}

type Checked = std::result::Result<(), LeftOut>;

fn absent(is_absent: bool, clause: &str, instead: &'static str) -> Checked {
    if is_absent { Ok(()) } else { Err(LeftOut { clause: clause.to_owned(), instead }) }
}

/// As many words of a clause as name it.
fn named(clause: impl ToString, words: usize) -> String {
    clause.to_string().split_whitespace().take(words).collect::<Vec<_>>().join(" ")
}

struct Clauses<'a> {
    state: &'a SessionState,
}

impl Visitor for Clauses<'_> {
    type Break = LeftOut;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<LeftOut> {
        flow(check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<LeftOut> {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<LeftOut> {
        flow(check_table(table))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<LeftOut> {
        flow(match expr {
            Expr::Function(function) => check_function(function, self.state),
            _ => Ok(()),
        })
    }
}

fn flow(checked: Checked) -> ControlFlow<LeftOut> {
    match checked {
        Ok(()) => ControlFlow::Continue(()),
        Err(left_out) => ControlFlow::Break(left_out),
    }
}

fn check_query(query: &Query) -> Checked {
    let Query {
        with,
        body: _,
        order_by,
        limit_clause: _,
        fetch: _,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    if let Some(With { with_token: _, recursive: _, cte_tables }) = with {
        for Cte { alias, query: _, from, materialized: _, closing_paren_token: _ } in cte_tables {
            check_alias(Some(alias))?;
            absent(from.is_none(), "FROM behind a table of WITH", "")?;
        }
    }
    // DataFusion refuses WITH FILL by itself.
    if let Some(OrderBy { kind: _, interpolate }) = order_by {
        absent(interpolate.is_none(), "INTERPOLATE", "")?;
    }
    if let Some(lock) = locks.first() {
        absent(false, &named(lock, 2), "a query only reads")?;
    }
    if let Some(clause) = for_clause {
        absent(false, &named(clause, 2), "")?;
    }
    absent(settings.is_none(), "SETTINGS", "")?;
    absent(format_clause.is_none(), "FORMAT", "")?;
    pipe_operators.iter().try_for_each(|pipe| match pipe {
        PipeOperator::Select { exprs } | PipeOperator::Extend { exprs } => {
            exprs.iter().try_for_each(check_item)
        }
        PipeOperator::Join(join) => check_joins(std::slice::from_ref(join)),
        _ => Ok(()),
    })
}

fn check_select(select: &Select) -> Checked {
    let Select {
        select_token: _,
        // Comments.
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top: _,
        top_before_distinct: _,
        projection,
        exclude,
        into: _,
        from,
        lateral_views: _,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by: _,
        distribute_by: _,
        sort_by: _,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor: _,
    } = select;
    if let Some(modifiers) = select_modifiers
        && modifiers.is_any_set()
    {
        absent(false, &named(modifiers, 1), "")?;
    }
    absent(exclude.is_none(), "EXCLUDE behind the columns", "write SELECT * EXCLUDE (..)")?;
    projection.iter().try_for_each(check_item)?;
    for TableWithJoins { relation: _, joins } in from {
        check_joins(joins)?;
    }
    absent(prewhere.is_none(), "PREWHERE", "write its condition in WHERE")?;
    absent(connect_by.is_empty(), "CONNECT BY", "")?;
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = group_by;
    if let Some(modifier) = modifiers.first() {
        let (clause, instead) = match modifier {
            GroupByWithModifier::Rollup => ("WITH ROLLUP", "write GROUP BY ROLLUP (..)"),
            GroupByWithModifier::Cube => ("WITH CUBE", "write GROUP BY CUBE (..)"),
            GroupByWithModifier::Totals => ("WITH TOTALS", "write GROUP BY ROLLUP (..)"),
            GroupByWithModifier::GroupingSets(_) => {
                ("GROUPING SETS behind columns", "write GROUP BY GROUPING SETS (..)")
            }
        };
        absent(false, clause, instead)?;
    }
    match value_table_mode {
        Some(mode) => absent(false, &mode.to_string(), ""),
        None => Ok(()),
    }
}

fn check_item(item: &SelectItem) -> Checked {
    let (SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options)) = item else {
        return Ok(());
    };
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude: _,
        opt_except: _,
        opt_replace: _,
        opt_rename: _,
        opt_alias: _,
    } = options;
    absent(opt_ilike.is_none(), "ILIKE behind *", "")
}

fn check_joins(joins: &[Join]) -> Checked {
    joins.iter().try_for_each(|Join { relation: _, global, join_operator: _ }| {
        absent(!global, "GLOBAL", "")
    })
}

fn check_table(table: &TableFactor) -> Checked {
    match table {
        TableFactor::Table {
            name: _,
            alias,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            check_alias(alias.as_ref())?;
            if let Some(TableFunctionArgs { args: _, settings }) = args {
                absent(settings.is_none(), "SETTINGS", "")?;
            }
            absent(with_hints.is_empty(), "a hint behind WITH", "")?;
            if let Some(version) = version {
                absent(false, &named(version, 2), "a query reads the newest data")?;
            }
            absent(!with_ordinality, "WITH ORDINALITY", "")?;
            absent(partitions.is_empty(), "PARTITION behind a table", "")?;
            absent(json_path.is_none(), "a path behind a table", "")?;
            check_sample(sample.as_ref())?;
            match index_hints.first() {
                Some(hint) => absent(false, &named(hint, 2), ""),
                None => Ok(()),
            }
        }
        TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
            check_alias(alias.as_ref())?;
            check_sample(sample.as_ref())
        }
        TableFactor::Function { lateral: _, name: _, args: _, with_ordinality, alias } => {
            check_alias(alias.as_ref())?;
            absent(!with_ordinality, "WITH ORDINALITY", "")
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            check_alias(alias.as_ref())?;
            check_joins(&table_with_joins.joins)
        }
        TableFactor::UNNEST { alias, .. } => check_alias(alias.as_ref()),
        // DataFusion refuses the others.
        _ => Ok(()),
    }
}

fn check_alias(alias: Option<&TableAlias>) -> Checked {
    let Some(TableAlias { explicit: _, name: _, columns, at }) = alias else { return Ok(()) };
    absent(at.is_none(), "AT behind an alias", "")?;
    let untyped = columns.iter().all(|column| column.data_type.is_none());
    absent(untyped, "a type in a table's alias", "write CAST(.. AS ..)")
}

fn check_sample(sample: Option<&TableSampleKind>) -> Checked {
    match sample {
        Some(
            TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample),
        ) => absent(false, &sample.modifier.to_string(), "write WHERE random() < 0.01"),
        None => Ok(()),
    }
}

fn check_function(function: &Function, state: &SessionState) -> Checked {
    let Function {
        name,
        uses_odbc_syntax: _,
        parameters,
        args,
        filter,
        null_treatment,
        over,
        within_group: _,
    } = function;
    let has_one_list = matches!(parameters, FunctionArguments::None);
    absent(has_one_list, "a second list of arguments", "")?;
    if !state.scalar_functions().contains_key(&name.to_string().to_lowercase()) {
        return Ok(());
    }
    let instead = "that is for aggregate and window functions";
    let clause = |words: &str| format!("{words} of the function {name}");
    absent(filter.is_none(), &clause("FILTER"), instead)?;
    absent(over.is_none(), &clause("OVER"), instead)?;
    absent(null_treatment.is_none(), &clause("IGNORE or RESPECT NULLS"), instead)?;
    let FunctionArguments::List(list) = args else { return Ok(()) };
    let FunctionArgumentList { duplicate_treatment, args: _, clauses } = list;
    absent(duplicate_treatment.is_none(), &clause("DISTINCT or ALL"), instead)?;
    match clauses.first() {
        Some(words) => absent(false, &clause(&named(words, 2)), instead),
        None => Ok(()),
    }
}
