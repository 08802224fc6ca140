//! The rules of the house, as functions over source text. tests/tidy.rs applies them to every file.

/// The rooms of engine/src from the top down, with their floors. A room imports only from lines
/// below its own. Two floors have a step: every room may name `error`, and options hold plain data
/// of the model.
pub const FLOORS: &[(&str, &[&str])] = &[
    ("7", &["decoders"]),
    ("6", &["store"]),
    ("5", &["snapshot", "maintenance"]),
    ("4", &["manifest"]),
    ("3", &["memtable", "segment", "wal", "otlp"]),
    ("2, upper step", &["options"]),
    ("2", &["model", "codec"]),
    ("1, upper step", &["fs"]),
    ("1", &["error", "planted", "sync"]),
];

/// Most lines of a file, lines of a function, columns of a line.
pub const FILE_LINES_MAX: usize = 400;
/// See `FILE_LINES_MAX`.
pub const FUNCTION_LINES_MAX: usize = 70;
/// See `FILE_LINES_MAX`.
pub const COLUMNS_MAX: usize = 100;

/// What must not stand in code, and why.
pub const BANNED: &[(&str, &str)] = &[
    ("todo!(", "unfinished"),
    ("unimplemented!(", "unfinished"),
    ("dbg!(", "left from debugging"),
    ("#[ignore", "a test that never runs says nothing"),
    ("#[should_panic", "a panic is no contract"),
];

/// What must not stand in the engine and in tests, and why.
pub const SLEEP: (&str, &str) = ("thread::sleep", "wait for a condition instead");

/// Characters beyond ASCII that user interfaces draw with: boxes, blocks, Braille spinners, and a
/// few signs.
const DRAWN: &str = "…·→×µ•✓✗▸▾‥";

/// Where a room of engine/src stands in `FLOORS`; `None` for names that are no room.
fn place(room: &str) -> Option<usize> {
    FLOORS.iter().position(|(_, rooms)| rooms.contains(&room))
}

/// The source with comments and the content of literals blanked; lines stay where they are.
pub fn code_only(source: &str) -> String {
    Scanner { rest: source, out: String::with_capacity(source.len()) }.scan()
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn scan(mut self) -> String {
        while let Some(c) = self.rest.chars().next() {
            let word_before =
                self.out.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_');
            if self.rest.starts_with("//") {
                self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
            } else if self.rest.starts_with("/*") {
                self.blank(block_comment_len(self.rest));
            } else if let Some(len) = raw_string_len(self.rest).filter(|_| !word_before) {
                self.blank(len);
            } else if c == '"' {
                self.blank(string_len(self.rest));
            } else if let Some(len) = char_len(self.rest) {
                self.blank(len);
            } else {
                self.out.push(c);
                self.rest = &self.rest[c.len_utf8()..];
            }
        }
        self.out
    }

    /// Blanks that many bytes, keeping line breaks.
    fn blank(&mut self, len: usize) {
        let (blanked, rest) = self.rest.split_at(len);
        self.out.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }
}

fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a raw string that starts here.
fn raw_string_len(text: &str) -> Option<usize> {
    let from_r = text.strip_prefix('b').or(text.strip_prefix('c')).unwrap_or(text);
    let after_r = from_r.strip_prefix('r')?;
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let head = text.len() - after_r.len() + hashes + 1;
    Some(text[head..].find(&end).map_or(text.len(), |at| head + at + end.len()))
}

/// Length of a character literal that starts here; a lifetime is none.
fn char_len(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|at| at + 4);
    }
    let c = inner.chars().next()?;
    inner[c.len_utf8()..].starts_with('\'').then_some(c.len_utf8() + 2)
}

/// Code without the modules that only tests compile.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(at) = out.find("#[cfg(test)]") {
        let rest = &out[at..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(open), semicolon) if semicolon.is_none_or(|s| open < s) => {
                at + open + braces_len(&rest[open..])
            }
            (_, Some(semicolon)) => at + semicolon + 1,
            _ => out.len(),
        };
        let blanked: String =
            out[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        out.replace_range(at..end, &blanked);
    }
    out
}

/// Length of a block that starts with `{`, with its closing brace.
fn braces_len(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// The rooms that code of a module names, with the lines: `crate::room`, and `super::` from the
/// module so often that it reaches the crate. `depth` is 1 for `room/mod.rs`, 2 for `room/file.rs`.
pub fn rooms_named(code: &str, depth: usize) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let roots = ["crate::".to_owned(), "super::".repeat(depth)];
    for root in roots {
        for (at, _) in code.match_indices(&root) {
            let before = code[..at].chars().last().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == ':' || before == '$' {
                continue;
            }
            let after = &code[at + root.len()..];
            if after.starts_with("super::") {
                continue;
            }
            let names = if after.starts_with('{') { group(after) } else { vec![name(after)] };
            found.extend(names.into_iter().map(|name| (line_of(code, at), name)));
        }
    }
    found
}

fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of the paths in `{a::b, c::{d, e}}`.
fn group(text: &str) -> Vec<String> {
    let (mut depth, mut names, mut expects_name) = (0, Vec::new(), false);
    for (at, c) in text[..braces_len(text)].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 1 && matches!(c, '{' | ',') {
            expects_name = true;
        } else if expects_name && !c.is_whitespace() {
            names.push(name(&text[at..]));
            expects_name = false;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Imports of a module of `room` that do not run downward.
pub fn upward_imports(room: &str, depth: usize, code: &str) -> Vec<String> {
    let Some(own) = place(room) else {
        return vec![format!("{room} is not in the table of floors")];
    };
    let mut wrong = Vec::new();
    for (line, named) in rooms_named(code, depth) {
        match place(&named) {
            _ if named == room => {}
            Some(below) if below > own => {}
            Some(other) => wrong.push(format!(
                "line {line}: {room} (floor {}) names {named} (floor {})",
                FLOORS[own].0, FLOORS[other].0
            )),
            None => wrong.push(format!("line {line}: crate::{named} is not a room; name its room")),
        }
    }
    wrong
}

/// Functions that are too long: name, first line, number of lines.
pub fn long_functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut long = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().last().unwrap_or(' ');
        let name = name(&code[at + 3..]);
        if !before.is_whitespace() && before != '(' || name.is_empty() {
            continue;
        }
        let rest = &code[at..];
        let Some(open) = rest.find('{') else { continue };
        if rest[..open].contains(';') && !rest[..open].contains('[') {
            continue;
        }
        let body = &rest[..open + braces_len(&rest[open..])];
        let lines = body.matches('\n').count() + 1;
        if lines > FUNCTION_LINES_MAX {
            long.push((name, line_of(code, at), lines));
        }
    }
    long
}

/// Lines that are too wide, with their widths.
pub fn wide_lines(source: &str) -> Vec<(usize, usize)> {
    let widths = source.lines().map(|line| line.chars().count()).enumerate();
    widths.filter(|(_, width)| *width > COLUMNS_MAX).map(|(at, width)| (at + 1, width)).collect()
}

/// Characters that source must not have, with their lines.
pub fn strange_characters(source: &str) -> Vec<(usize, char)> {
    let drawn = |c: char| matches!(c, '\u{2500}'..='\u{259f}' | '\u{2800}'..='\u{28ff}');
    let strange = |c: &char| !c.is_ascii() && !drawn(*c) && !DRAWN.contains(*c);
    let lines = source.lines().enumerate();
    lines.filter_map(|(at, line)| line.chars().find(strange).map(|c| (at + 1, c))).collect()
}

/// The banned words in code, with their lines and why.
pub fn banned_words(code: &str, may_sleep: bool) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (word, why) in BANNED.iter().chain((!may_sleep).then_some(&SLEEP)) {
        let hits = code.match_indices(word);
        found.extend(hits.map(|(at, _)| (line_of(code, at), *word, *why)));
    }
    found
}

/// The number of `# ` titles of a document; what stands in fences is none.
pub fn titles(markdown: &str) -> usize {
    let (mut fenced, mut titles) = (false, 0);
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with("# ") {
            titles += 1;
        }
    }
    titles
}

/// Names of types that a crate's face (`lib.rs`) gives away.
pub fn public_types(lib: &str) -> Vec<String> {
    let uses = lib.split("\npub use ").skip(1).filter_map(|rest| rest.split_once(';'));
    let words = uses.flat_map(|(list, _)| list.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect()
}

/// Lines and names of the types among these whose documentation shows no example.
pub fn without_example(source: &str, types: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut example = false;
    for (at, line) in source.lines().enumerate() {
        let keyword = ["pub struct ", "pub enum ", "pub trait "];
        let declared = keyword.iter().find_map(|keyword| line.strip_prefix(keyword));
        if let Some(rest) = declared {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
            let name = name.unwrap_or_default().to_owned();
            if !example && types.contains(&name) {
                found.push((at + 1, name));
            }
        }
        // Attributes stand between the documentation and the type, over several lines at times.
        let between = [")]", "    ", "#["].iter().any(|start| line.starts_with(start));
        example = line.starts_with("/// ```") || (example && (line.starts_with("//") || between));
    }
    found
}

/// The source with string literals that go on in the next line joined.
pub fn joined_literals(source: &str) -> String {
    let mut lines = source.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |joined, line| joined + line.trim_start())
}

/// The fixed parts of an error that a heading or the beginning of a list item quotes: words in
/// capitals, numbers and dots stand for what differs. `None` for a line that quotes none.
pub fn quoted_error(line: &str) -> Option<Vec<String>> {
    let quoted = line.strip_prefix("### `").or_else(|| line.strip_prefix("- `"))?;
    let quoted = quoted.split_once('`')?.0;
    let differs = |word: &&str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.chars().all(|c| c.is_uppercase() || c.is_ascii_digit())
    };
    let mut parts = vec![String::new()];
    for word in quoted.split(' ') {
        match parts.last_mut() {
            Some(part) if !differs(&word) => {
                part.push_str(if part.is_empty() { "" } else { " " });
                part.push_str(word);
            }
            _ => parts.push(String::new()),
        }
    }
    Some(parts.into_iter().filter(|part| part.len() > 8).collect())
}
