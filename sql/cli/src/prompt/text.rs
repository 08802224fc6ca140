//! What was typed, cut into statements and commands.
//!
//! The scanner knows just what can hide a semicolon: literals, quoted names, dollar quotes and
//! comments, as the SQL parser reads them. It takes any text; what is no SQL the parser says.

use std::ops::Range;

/// A word, a literal, a sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    /// Where it stands, in bytes.
    pub at: Range<usize>,
    /// Whether its end was found: of a literal, a quoted name or a comment.
    pub closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name or a key word.
    Word,
    /// A number, or a place for a value, such as `$1`.
    Number,
    /// A name in quotes.
    Quoted,
    /// A text literal.
    Literal,
    /// A comment.
    Comment,
    /// Any other character.
    Sign(char),
}

/// The tokens of a text.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(token) = next_token(text, at) {
        at = token.at.end;
        tokens.push(token);
    }
    tokens
}

/// The first token at or behind this place.
fn next_token(text: &str, from: usize) -> Option<Token> {
    let rest = &text[from..];
    let start = from + (rest.len() - rest.trim_start().len());
    let rest = &text[start..];
    let first = rest.chars().next()?;
    let (kind, length) = if rest.starts_with("--") {
        (Kind::Comment, Some(rest.find(['\n', '\r']).unwrap_or(rest.len())))
    } else if rest.starts_with("/*") {
        (Kind::Comment, comment(rest))
    } else if rest.starts_with(['e', 'E', 'x', 'X']) && rest[1..].starts_with('\'') {
        (Kind::Literal, quoted(&rest[1..], '\'', true).map(|length| length + 1))
    } else if first == '\'' {
        (Kind::Literal, quoted(rest, first, false))
    } else if first == '"' || first == '`' {
        (Kind::Quoted, quoted(rest, first, false))
    } else if let Some(delimiter) = dollar_delimiter(rest) {
        let length = rest[delimiter.len()..].find(delimiter);
        (Kind::Literal, length.map(|length| length + 2 * delimiter.len()))
    } else if first.is_alphabetic() || "_#@".contains(first) {
        let end = |c: char| !(c.is_alphanumeric() || "_#@$".contains(c));
        (Kind::Word, Some(rest.find(end).unwrap_or(rest.len())))
    } else if first.is_ascii_digit() {
        (Kind::Number, Some(number(rest)))
    } else if let Some(name) = rest.strip_prefix('$') {
        let end = |c: char| !(c.is_alphanumeric() || c == '_');
        (Kind::Number, Some(1 + name.find(end).unwrap_or(name.len())))
    } else if rest.starts_with("//") {
        // A division, whose second stroke begins no comment.
        (Kind::Sign('/'), Some(2))
    } else {
        (Kind::Sign(first), Some(first.len_utf8()))
    };
    let end = length.map_or(text.len(), |length| start + length);
    Some(Token { kind, at: start..end, closed: length.is_some() })
}

/// The length of a text in quotes; a quote within is doubled. `None` where it does not end.
fn quoted(text: &str, quote: char, backslash: bool) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && backslash {
            chars.next();
        } else if c == quote {
            if chars.peek().is_none_or(|(_, next)| *next != quote) {
                return Some(at + 1);
            }
            chars.next();
        }
    }
    None
}

/// The length of a number's digits and exponent.
fn number(text: &str) -> usize {
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let whole = digits(text);
    let exponent = text[whole..].strip_prefix(['e', 'E']).unwrap_or("");
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    match digits(exponent) {
        0 => whole,
        more => text.len() - exponent.len() + more,
    }
}

/// The length of a comment, which may hold others.
fn comment(text: &str) -> Option<usize> {
    let (mut depth, mut at) = (0, 0);
    loop {
        let rest = &text[at..];
        let step = rest.find(['/', '*'])?;
        let rest = &rest[step..];
        at += step;
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += 1;
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// `$$` or `$tag$` at the beginning of a text.
fn dollar_delimiter(text: &str) -> Option<&str> {
    let tag = text.strip_prefix('$')?;
    let end = tag.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    tag[end..].starts_with('$').then(|| &text[..end + 2])
}

/// A part of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    pub what: What,
    /// Without white space around it, and without the semicolon.
    pub text: &'a str,
    /// Where it stands, in bytes, with the semicolon.
    pub at: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A statement that ended.
    Statement,
    /// A line with a command.
    Command,
    /// A statement whose semicolon has not come.
    Unfinished,
}

/// Words that are commands when they stand alone, as people type them.
const BARE_COMMANDS: [&str; 3] = ["help", "quit", "exit"];

/// The statements and commands of a text. Comments alone, and semicolons alone, are none.
pub fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let start = at + (rest.len() - rest.trim_start().len());
        if start == text.len() {
            return pieces;
        }
        let line = &text[start..];
        let line = line.lines().next().unwrap_or(line);
        if is_command(line) {
            at = start + line.len();
            pieces.push(Piece { what: What::Command, text: line.trim_end(), at: start..at });
            continue;
        }
        let statement = statement(text, start);
        at = statement.end;
        let Some(what) = statement.what else { continue };
        let length = if what == What::Statement { at - 1 } else { at };
        pieces.push(Piece { what, text: text[start..length].trim_end(), at: start..at });
    }
}

/// Whether Enter may end the text: nothing in it waits for a semicolon.
pub fn is_complete(text: &str) -> bool {
    pieces(text).iter().all(|piece| piece.what != What::Unfinished)
}

fn is_command(line: &str) -> bool {
    let word = line.trim_end().trim_end_matches(';').trim_end();
    line.starts_with(['.', '\\'])
        || BARE_COMMANDS.iter().any(|bare| word.eq_ignore_ascii_case(bare))
}

struct Statement {
    end: usize,
    /// `None` where there is nothing in it.
    what: Option<What>,
}

fn statement(text: &str, start: usize) -> Statement {
    let (mut at, mut empty) = (start, true);
    while let Some(token) = next_token(text, at) {
        at = token.at.end;
        match token.kind {
            Kind::Sign(';') => {
                return Statement { end: at, what: (!empty).then_some(What::Statement) };
            }
            Kind::Comment if token.closed => {}
            _ => empty = false,
        }
    }
    Statement { end: text.len(), what: (!empty).then_some(What::Unfinished) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amida_sql::datafusion::sql::sqlparser::dialect::GenericDialect;
    use amida_sql::datafusion::sql::sqlparser::tokenizer::{Token as Sql, Tokenizer};

    fn cut(text: &str) -> Vec<(What, &str)> {
        pieces(text).into_iter().map(|piece| (piece.what, piece.text)).collect()
    }

    #[test]
    fn a_statement_ends_with_its_semicolon() {
        use What::{Command, Statement, Unfinished};
        assert_eq!(cut("SELECT 1;"), [(Statement, "SELECT 1")]);
        assert_eq!(cut("SELECT 1"), [(Unfinished, "SELECT 1")]);
        assert_eq!(
            cut(" SELECT\n1 ; \n.tables \nSELECT 2;SELECT"),
            [
                (Statement, "SELECT\n1"),
                (Command, ".tables"),
                (Statement, "SELECT 2"),
                (Unfinished, "SELECT"),
            ]
        );
        assert_eq!(
            cut("exit ;\nHELP\n\\q"),
            [(Command, "exit ;"), (Command, "HELP"), (Command, "\\q"),]
        );
        assert_eq!(cut(" ;; \n"), []);
    }

    #[test]
    fn semicolons_in_literals_names_and_comments_end_nothing() {
        for text in [
            "SELECT ';'",
            "SELECT 'it''s;'",
            "SELECT E'\\';'",
            "SELECT \";\"",
            "SELECT `;`",
            "SELECT $$;$$",
            "SELECT $a$ ; $b$ ; $a$",
            "SELECT 1 -- ;",
            "SELECT /* ; /* ; */ ; */ 1",
        ] {
            assert_eq!(cut(text), [(What::Unfinished, text)]);
            let ended = format!("{text}\n;");
            assert_eq!(cut(&ended), [(What::Statement, text)]);
        }
    }

    #[test]
    fn what_does_not_end_waits_for_more() {
        for text in ["SELECT 'a;", "SELECT \"a;", "/* a;", "SELECT $$ a;", "SELECT E'a\\';"] {
            assert!(!is_complete(text), "{text}");
        }
        for text in ["", " \n", "-- nothing", "/* nothing */", "SELECT 1; -- done", ".help"] {
            assert!(is_complete(text), "{text}");
        }
    }

    /// The scanner against the tokenizer of the parser, on texts of whatever can hide a semicolon.
    #[test]
    fn it_finds_the_semicolons_that_the_parser_finds() {
        const PARTS: [&str; 23] = [
            "'",
            "''",
            "\"",
            "`",
            "$$",
            "$a$",
            "$1",
            "7",
            "--",
            "\n",
            "/*",
            "*/",
            ";",
            ";",
            "E'",
            "\\'",
            " ",
            "x",
            "e",
            "attributes['k']",
            "\u{65e5}",
            "*",
            "/",
        ];
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut closed = 0;
        for _ in 0..20_000 {
            let count = random.usize(0..12);
            let text: String = (0..count).map(|_| PARTS[random.usize(0..PARTS.len())]).collect();
            let ours = tokens(&text);
            let open = ours.iter().any(|token| !token.closed);
            let theirs = Tokenizer::new(&GenericDialect {}, &text).tokenize();
            assert_eq!(open, theirs.is_err(), "{text:?}: {theirs:?}");
            if let Ok(theirs) = theirs {
                let semicolons = ours.iter().filter(|token| token.kind == Kind::Sign(';')).count();
                let parser = theirs.iter().filter(|token| **token == Sql::SemiColon).count();
                assert_eq!(semicolons, parser, "{text:?}: {theirs:?}");
                closed += 1;
            }
        }
        assert!(closed > 1000, "{closed} texts were closed");
    }
}
