//! What Tab offers: a pure function of the text, the place in it, and the names that there are.

use amida::{Catalog, Scope};

use super::command::COMMANDS;
use super::named::{Named, named, with_names};
use super::names::{Names, Table};
use super::text::{Kind, Token, What, pieces, tokens};
use super::words::{KEYWORDS, PIPES, STARTERS};
use crate::output::{visible, zone};

/// Something that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What the list shows.
    pub shown: String,
    /// What takes the place of the half-typed word.
    pub text: String,
}

impl Candidate {
    fn plain(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { shown: text.clone(), text }
    }
}

/// What may stand at the cursor, and where the half-typed word begins that it completes.
pub fn complete(
    text: &str,
    cursor: usize,
    names: &Names,
    catalog: &Catalog,
) -> (usize, Vec<Candidate>) {
    let (before, after) = text.split_at(cursor);
    let last = pieces(before).pop().filter(|piece| {
        // A command ends with its line.
        piece.what == What::Unfinished
            || piece.what == What::Command && !before[piece.at.start..].contains('\n')
    });
    match last {
        Some(piece) if piece.what == What::Command => command(before, piece.at.start, names),
        Some(piece) => Place { before, after, start: piece.at.start, names, catalog }.complete(),
        None => Place { before, after, start: cursor, names, catalog }.complete(),
    }
}

fn command(before: &str, start: usize, names: &Names) -> (usize, Vec<Candidate>) {
    let line = &before[start..];
    let Some((name, _)) = line.split_once(char::is_whitespace) else {
        let names = COMMANDS.iter().map(|(name, ..)| *name);
        return (start, matching(line, names));
    };
    let word = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let half = &line[word..];
    let found = match super::command::name(&name.to_lowercase()) {
        Ok(".schema") => matching(half, names.tables.iter().map(|table| table.name.as_str())),
        Ok(".timing" | ".pager") => matching(half, ["on", "off"]),
        Ok(".format") => matching(half, ["table", "csv", "json", "ndjson"]),
        Ok(".tz") => matching(half, zone::names().chain(["local"])),
        _ => Vec::new(),
    };
    (start + word, found)
}

/// Those that begin with the half-typed word, in either case.
fn matching<'a>(half: &str, of: impl IntoIterator<Item = &'a str>) -> Vec<Candidate> {
    of.into_iter().filter(|name| begins(name, half)).map(Candidate::plain).collect()
}

fn begins(name: &str, half: &str) -> bool {
    name.get(..half.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(half))
}

/// The cursor in a statement.
struct Place<'a> {
    before: &'a str,
    after: &'a str,
    /// Where the statement begins.
    start: usize,
    names: &'a Names,
    catalog: &'a Catalog,
}

impl<'a> Place<'a> {
    fn complete(&self) -> (usize, Vec<Candidate>) {
        let mut tokens = self.tokens();
        let cursor = self.before.len();
        let Some(last) = tokens.last().cloned() else {
            return (cursor, self.words(&tokens, "", Case::Upper));
        };
        let touches = last.at.end == cursor;
        match last.kind {
            Kind::Literal if !last.closed => {
                tokens.pop();
                let half = &self.before[last.at.start + 1..];
                let plain = self.before[last.at.start..].starts_with('\'');
                (
                    last.at.start + 1,
                    if plain { self.keys(&tokens, half, Quote::Open) } else { vec![] },
                )
            }
            Kind::Quoted if !last.closed => {
                tokens.pop();
                (last.at.start + 1, self.quoted(&tokens, &self.before[last.at.start + 1..]))
            }
            Kind::Comment | Kind::Number | Kind::Literal | Kind::Quoted if touches => {
                (cursor, vec![])
            }
            Kind::Word if touches => {
                tokens.pop();
                let half = &self.before[last.at.clone()];
                (last.at.start, self.words(&tokens, half, Case::of(half)))
            }
            Kind::Sign('[') => {
                let keys = self.keys(&tokens, "", Quote::None);
                (cursor, if keys.is_empty() { self.words(&tokens, "", Case::Upper) } else { keys })
            }
            _ => (cursor, self.words(&tokens, "", Case::Upper)),
        }
    }

    /// The tokens before the cursor, without comments that ended.
    fn tokens(&self) -> Vec<Token> {
        let shift = |mut token: Token| {
            token.at = token.at.start + self.start..token.at.end + self.start;
            token
        };
        let cursor = self.before.len();
        let mut tokens: Vec<Token> =
            tokens(&self.before[self.start..]).into_iter().map(shift).collect();
        tokens.retain(|token| token.kind != Kind::Comment || token.at.end == cursor);
        tokens
    }

    /// Keys of attributes, where the tokens end with `attributes[`.
    fn keys(&self, tokens: &[Token], half: &str, quote: Quote) -> Vec<Candidate> {
        let [.., word, bracket] = tokens else { return Vec::new() };
        if bracket.kind != Kind::Sign('[') || word.kind != Kind::Word {
            return Vec::new();
        }
        let end = self.end_of_key(quote);
        let mut found = Vec::new();
        for scope in self.scopes(tokens, &self.before[word.at.clone()].to_lowercase()) {
            for (key, _) in self.catalog.keys(scope) {
                // A key that could steer the terminal is not typed for the user.
                if begins(key, half) && visible(key) == key {
                    let open = if quote == Quote::None { "'" } else { "" };
                    let text = format!("{open}{}{end}", key.replace('\'', "''"));
                    found.push(Candidate { shown: key.to_owned(), text });
                }
            }
        }
        found.sort_by(|a, b| a.text.cmp(&b.text));
        found.dedup();
        found
    }

    /// What closes a key, as far as it does not stand behind the cursor already.
    fn end_of_key(&self, quote: Quote) -> &'static str {
        let rest = self.after;
        if quote == Quote::None {
            return if rest.trim_start().starts_with(']') { "'" } else { "']" };
        }
        let line = rest.lines().next().unwrap_or("");
        match line.split_once('\'') {
            // `attributes['ht|tp.route']`: the quote is the end of this key.
            Some((_, behind)) if behind.trim_start().starts_with(']') => "",
            Some(("", _)) => "",
            _ if rest.starts_with(']') => "'",
            _ => "']",
        }
    }

    /// The scopes that a column of attributes may have in this statement.
    fn scopes(&self, tokens: &[Token], column: &str) -> Vec<Scope> {
        match column {
            "resource_attributes" => return vec![Scope::Resource],
            "scope_attributes" => return vec![Scope::Scope],
            "attributes" => {}
            _ => return Vec::new(),
        }
        let named = self.named();
        let qualifier = match tokens {
            [.., name, dot, _, _] if dot.kind == Kind::Sign('.') => {
                Some(&self.before[name.at.clone()])
            }
            _ => None,
        };
        let of = |table: &str| match table {
            "events" => Some(Scope::Event),
            "links" => Some(Scope::Link),
            "spans" => Some(Scope::Span),
            _ => None,
        };
        let wanted = |name: &&Named<'_>| {
            qualifier.is_none_or(|qualifier| name.alias.eq_ignore_ascii_case(qualifier))
        };
        let mut scopes: Vec<Scope> = named
            .iter()
            .filter(wanted)
            .filter_map(|named| named.table.and_then(|table| of(&table.name)))
            .collect();
        if scopes.is_empty() {
            scopes.push(Scope::Span);
        }
        scopes
    }

    /// Names in double quotes.
    fn quoted(&self, tokens: &[Token], half: &str) -> Vec<Candidate> {
        let end = if self.after.starts_with('"') { "" } else { "\"" };
        let names = self.columns(tokens).chain(self.names.tables.iter().map(|t| t.name.as_str()));
        let mut found: Vec<Candidate> = names
            .filter(|name| begins(name, half))
            .map(|name| Candidate { shown: name.to_owned(), text: format!("{name}{end}") })
            .collect();
        sort(&mut found);
        found
    }

    /// What a word may be: `tokens` stand before it.
    fn words(&self, tokens: &[Token], half: &str, case: Case) -> Vec<Candidate> {
        let [.., last] = tokens else {
            return STARTERS.iter().filter(|w| begins(w, half)).map(|w| case.keyword(w)).collect();
        };
        if let [.., bar, more] = tokens
            && (bar.kind, more.kind) == (Kind::Sign('|'), Kind::Sign('>'))
        {
            return PIPES.iter().filter(|w| begins(w, half)).map(|w| case.keyword(w)).collect();
        }
        if last.kind == Kind::Sign('.') {
            let mut found = matching(half, self.columns(tokens));
            sort(&mut found);
            return found;
        }
        if self.is_table_place(tokens) {
            let tables = self.names.tables.iter().map(|table| table.name.clone());
            let mut found: Vec<Candidate> = tables
                .chain(self.parts().into_iter().flat_map(with_names))
                .filter(|n| begins(n, half))
                .map(Candidate::plain)
                .collect();
            sort(&mut found);
            return found;
        }
        let mut found = matching(half, self.columns(tokens));
        if self.named().is_empty() {
            found.extend(matching(half, self.names.tables.iter().map(|table| table.name.as_str())));
        }
        sort(&mut found);
        if half.is_empty() && !found.is_empty() {
            return found;
        }
        let call = if self.after.starts_with('(') { "" } else { "(" };
        found.extend(
            self.names
                .functions
                .iter()
                .filter(|name| begins(name, half))
                .map(|name| Candidate::plain(format!("{name}{call}"))),
        );
        found.extend(KEYWORDS.iter().filter(|w| begins(w, half)).map(|w| case.keyword(w)));
        found
    }

    /// Whether a table is expected: behind FROM, JOIN or DESCRIBE, and behind a comma of FROM.
    fn is_table_place(&self, tokens: &[Token]) -> bool {
        let word = |token: &Token| self.before[token.at.clone()].to_uppercase();
        let takes = |word: &str| ["FROM", "JOIN", "DESCRIBE", "DESC"].contains(&word);
        let Some(last) = tokens.last() else { return false };
        match last.kind {
            Kind::Word if word(last) == "DESC" => tokens.len() == 1,
            Kind::Word => takes(&word(last)),
            Kind::Sign(',') => {
                let clause = tokens.iter().rev().filter(|token| token.kind == Kind::Word).map(word);
                let mut clause = clause.skip_while(|word| !KEYWORDS.contains(&word.as_str()));
                clause.next().is_some_and(|word| word == "FROM")
                    && !tokens.iter().rev().any(|t| t.kind == Kind::Sign('('))
            }
            _ => false,
        }
    }

    /// The columns that may be named: of the table before the dot, of the tables of the statement,
    /// of all.
    fn columns(&self, tokens: &[Token]) -> impl Iterator<Item = &'a str> {
        let mut named = self.named();
        if let [.., name, dot] = tokens
            && dot.kind == Kind::Sign('.')
        {
            let qualifier = &self.before[name.at.clone()];
            named.retain(|named| named.alias.eq_ignore_ascii_case(qualifier));
        }
        let mut tables: Vec<&'a Table> = named.iter().filter_map(|named| named.table).collect();
        if named.is_empty() {
            tables = self.names.tables.iter().collect();
        }
        tables.into_iter().flat_map(|table| table.columns.iter().map(String::as_str))
    }

    /// The parts of the statement before and behind what is being typed.
    fn parts(&self) -> [&'a str; 2] {
        let before = &self.before[self.start..];
        let open = tokens(before).pop().filter(|token| !token.closed);
        let behind = match &open {
            // Up to the quote that closes this literal, if it does.
            Some(token) if token.kind == Kind::Literal => match self.after.split_once('\'') {
                Some((_, behind)) if self.end_of_key(Quote::Open).is_empty() => behind,
                _ => self.after,
            },
            _ => self.after,
        };
        let end = tokens(behind).into_iter().find(|token| token.kind == Kind::Sign(';'));
        let behind = end.map_or(behind, |token| &behind[..token.at.start]);
        [open.map_or(before, |token| &before[..token.at.start]), behind]
    }

    /// The tables that the statement names.
    fn named(&self) -> Vec<Named<'a>> {
        self.parts().into_iter().flat_map(|part| named(part, self.names)).collect()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    None,
    Open,
}

/// How key words are written: as the user does.
#[derive(Debug, Clone, Copy)]
enum Case {
    Upper,
    Lower,
}

impl Case {
    fn of(half: &str) -> Self {
        if half.chars().any(char::is_uppercase) { Case::Upper } else { Case::Lower }
    }

    fn keyword(self, word: &str) -> Candidate {
        Candidate::plain(match self {
            Case::Upper => word.to_owned(),
            Case::Lower => word.to_lowercase(),
        })
    }
}

fn sort(found: &mut Vec<Candidate>) {
    found.sort_by(|a, b| a.text.cmp(&b.text));
    found.dedup();
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
