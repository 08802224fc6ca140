//! Where in the text of a query something stands.

use datafusion::common::Location;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{
    Location as TextLocation, Token, TokenWithSpan, Tokenizer, TokenizerError, Word,
};

/// A place in the text of a query.
///
/// ```
/// # fn example(error: &amida_sql::Error) {
/// if let Some(place) = error.place() {
///     println!("line {}, column {}: {error}", place.line, place.column);
/// }
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The first character in that line, from 1. One behind the last character of the line where
    /// the text ends too early.
    pub column: usize,
    /// How many characters of that line; at least 1.
    pub length: usize,
}

impl Place {
    fn new(line: u64, column: u64, length: u64) -> Option<Self> {
        // The parser says 0 where it does not know.
        let known = |n: u64| usize::try_from(n).ok().filter(|n| *n > 0);
        Some(Self { line: known(line)?, column: known(column)?, length: known(length.max(1))? })
    }

    /// From a place to another; on the first line only.
    fn between(start: TextLocation, end: TextLocation) -> Option<Self> {
        let length =
            if start.line == end.line { end.column.saturating_sub(start.column) } else { 1 };
        Self::new(start.line, start.column, length)
    }

    /// Where a text cannot be taken apart.
    pub(crate) fn of_error(error: &TokenizerError) -> Option<Self> {
        Self::new(error.location.line, error.location.column, 1)
    }
}

/// The words and signs of a query, white space and comments left out.
#[derive(Debug)]
pub(crate) struct Tokens(Vec<TokenWithSpan>);

impl Tokens {
    /// Takes a text apart.
    ///
    /// # Errors
    /// When a quote or a comment does not end.
    pub(crate) fn of(sql: &str) -> Result<Self, TokenizerError> {
        let mut tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location()?;
        tokens.retain(|token| !matches!(token.token, Token::Whitespace(_)));
        Ok(Self(tokens))
    }

    /// The tokens.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Token> {
        self.0.iter().map(|token| &token.token)
    }

    /// Numbers with a word right behind them, as in `500ms`, and where they stand.
    pub(crate) fn measured(&self) -> impl Iterator<Item = (String, Option<Place>)> {
        self.0.windows(2).filter_map(|pair| match pair {
            [number, word] if number.span.end == word.span.start => {
                match (&number.token, &word.token) {
                    (Token::Number(digits, _), Token::Word(unit)) if unit.quote_style.is_none() => {
                        let place = Place::between(number.span.start, word.span.end);
                        Some((format!("{digits}{}", unit.value), place))
                    }
                    _ => None,
                }
            }
            _ => None,
        })
    }

    /// One behind the last token.
    pub(crate) fn end(&self) -> Option<Place> {
        let end = self.0.last()?.span.end;
        Place::new(end.line, end.column, 1)
    }

    /// From the token that starts there to the end of the one that ends there, or of the same.
    pub(crate) fn at(&self, start: Location, end: Option<Location>) -> Option<Place> {
        let first = self.index_at(start)?;
        let end = end.map(|end| TextLocation::new(end.line, end.column));
        let last = self.0.iter().skip(first).find(|token| Some(token.span.end) == end);
        let first = self.0.get(first)?;
        Place::between(first.span.start, last.unwrap_or(first).span.end)
    }

    /// The token at a place, when it is a word.
    pub(crate) fn word_at(&self, place: Place) -> Option<&Word> {
        let column = u64::try_from(place.column).ok()?;
        let index = self.index_at(Location { line: u64::try_from(place.line).ok()?, column })?;
        self.word(index)
    }

    /// The one token that is spelled so; `None` when there are several.
    pub(crate) fn only(&self, spelling: &str) -> Option<Place> {
        let spelled = |token: &Token| match token {
            Token::Word(word) if word.quote_style.is_none() => {
                word.value.eq_ignore_ascii_case(spelling)
            }
            other => other.to_string() == spelling,
        };
        let mut found = self.0.iter().filter(|token| spelled(&token.token));
        let first = found.next().filter(|_| found.next().is_none())?;
        Place::between(first.span.start, first.span.end)
    }

    /// The one place where a column is named so, behind its table where there is one.
    pub(crate) fn column(&self, table: Option<&str>, name: &str) -> Option<Place> {
        let mut found = (0..self.0.len()).filter(|index| self.is_column(*index, table, name));
        let index = found.next().filter(|_| found.next().is_none())?;
        let mut first = index;
        while first >= 2 && self.is(first - 1, &Token::Period) && self.word(first - 2).is_some() {
            first -= 2;
        }
        Place::between(self.0.get(first)?.span.start, self.0.get(index)?.span.end)
    }

    fn is_column(&self, index: usize, table: Option<&str>, name: &str) -> bool {
        if self.word(index).is_none_or(|word| value(word) != name) {
            return false;
        }
        let before = index.checked_sub(1);
        let dotted = before.is_some_and(|i| self.is(i, &Token::Period));
        match table {
            Some(table) => {
                let owner = index.checked_sub(2).and_then(|i| self.word(i));
                dotted && owner.is_some_and(|word| value(word) == table)
            }
            None => {
                let named = before.and_then(|i| self.word(i)).is_some_and(is_as);
                let follows = [Token::Period, Token::LParen];
                !dotted && !named && !follows.iter().any(|token| self.is(index + 1, token))
            }
        }
    }

    /// Whether something is named so, behind AS or right behind an item of a list.
    pub(crate) fn names(&self, name: &str) -> bool {
        (1..self.0.len()).any(|index| {
            self.word(index).is_some_and(|word| value(word) == name)
                && (self.word(index - 1).is_some_and(is_as) || self.ends_item(index))
        })
    }

    /// Whether a word stands behind an expression and before a comma or FROM.
    fn ends_item(&self, index: usize) -> bool {
        let behind = match self.0.get(index - 1).map(|token| &token.token) {
            Some(Token::Word(word)) => !BEFORE_EXPRESSIONS.contains(&word.keyword),
            Some(Token::RParen | Token::RBracket | Token::Number(..)) => true,
            Some(Token::SingleQuotedString(_)) => true,
            _ => false,
        };
        let is_from = |word: &Word| word.keyword == Keyword::FROM;
        behind && (self.is(index + 1, &Token::Comma) || self.word(index + 1).is_some_and(is_from))
    }

    /// A column of attributes and the words behind its dots, as in `attributes.http.route`; with
    /// its place where it is the only one.
    pub(crate) fn dotted_attribute(&self) -> Option<(String, String, Option<Place>)> {
        let is_dotted = |index: &usize| {
            self.word(*index).is_some_and(|word| value(word).ends_with("attributes"))
                && self.is(index + 1, &Token::Period)
                && self.word(index + 2).is_some()
        };
        let mut found = (0..self.0.len()).filter(is_dotted);
        let first = found.next()?;
        let mut last = first;
        let mut key: Vec<&str> = Vec::new();
        while self.is(last + 1, &Token::Period)
            && let Some(word) = self.word(last + 2)
        {
            key.push(&word.value);
            last += 2;
        }
        let place = match found.next() {
            Some(_) => None,
            None => Place::between(self.0.get(first)?.span.start, self.0.get(last)?.span.end),
        };
        Some((value(self.word(first)?), key.join("."), place))
    }

    fn index_at(&self, start: Location) -> Option<usize> {
        let start = TextLocation::new(start.line, start.column);
        self.0.iter().position(|token| token.span.start == start)
    }

    fn word(&self, index: usize) -> Option<&Word> {
        match &self.0.get(index)?.token {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is(&self, index: usize, token: &Token) -> bool {
        self.0.get(index).is_some_and(|found| found.token == *token)
    }
}

/// Words that an expression follows.
const BEFORE_EXPRESSIONS: [Keyword; 17] = [
    Keyword::SELECT,
    Keyword::DISTINCT,
    Keyword::ALL,
    Keyword::AND,
    Keyword::OR,
    Keyword::NOT,
    Keyword::BY,
    Keyword::CASE,
    Keyword::WHEN,
    Keyword::THEN,
    Keyword::ELSE,
    Keyword::LIKE,
    Keyword::ILIKE,
    Keyword::BETWEEN,
    Keyword::IN,
    Keyword::FROM,
    Keyword::EXTEND,
];

fn is_as(word: &Word) -> bool {
    word.keyword == Keyword::AS
}

/// The name that a word means.
fn value(word: &Word) -> String {
    match word.quote_style {
        Some(_) => word.value.clone(),
        None => word.value.to_lowercase(),
    }
}
