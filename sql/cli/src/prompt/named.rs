//! The tables that a statement names, as far as they can be seen while it is being typed.

use super::names::{Names, Table};
use super::text::{Kind, Token, tokens};
use super::words::KEYWORDS;

/// A table as a statement names it.
pub struct Named<'a> {
    /// Its alias, else its name.
    pub alias: &'a str,
    /// `None` for what is no table of the store.
    pub table: Option<&'a Table>,
}

/// The tables behind FROM, JOIN and DESCRIBE in a part of a statement.
pub fn named<'a>(part: &'a str, names: &'a Names) -> Vec<Named<'a>> {
    let tokens: Vec<Token> =
        tokens(part).into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let word = |at: usize| {
        let token = tokens.get(at).filter(|token| matches!(token.kind, Kind::Word | Kind::Quoted));
        token.map(|token| part[token.at.clone()].trim_matches('"'))
    };
    let is = |at: usize, keyword: &str| word(at).is_some_and(|w| w.eq_ignore_ascii_case(keyword));
    let mut found = Vec::new();
    for start in 0..tokens.len() {
        if !["FROM", "JOIN", "DESCRIBE"].iter().any(|keyword| is(start, keyword)) {
            continue;
        }
        let mut at = start + 1;
        while let Some(name) = word(at) {
            let table = names.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name));
            at += 1 + usize::from(is(at + 1, "AS"));
            let alias = word(at).filter(|word| !KEYWORDS.contains(&word.to_uppercase().as_str()));
            found.push(Named { alias: alias.unwrap_or(name), table });
            at += usize::from(alias.is_some());
            if tokens.get(at).is_none_or(|token| token.kind != Kind::Sign(',')) {
                break;
            }
            at += 1;
        }
    }
    found
}

/// The names that WITH gives in a part of a statement.
pub fn with_names(part: &str) -> Vec<String> {
    let tokens = tokens(part);
    let mut found = Vec::new();
    for three in tokens.windows(3) {
        let [name, keyword, bracket] = three else { continue };
        if name.kind == Kind::Word
            && part[keyword.at.clone()].eq_ignore_ascii_case("as")
            && bracket.kind == Kind::Sign('(')
        {
            found.push(part[name.at.clone()].to_owned());
        }
    }
    found
}
