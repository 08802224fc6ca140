//! Finds the documents in a stream: JSON objects after each other, with any white space between.
//!
//! Only brackets and strings are looked at, so that a document is one slice for the parser; what is
//! wrong inside it the parser will say.

use std::fmt;
use std::io::{ErrorKind, Read};

use super::looks;
use crate::error::{Error, Result};

/// Bytes asked from the reader at a time.
const CHUNK: usize = 256 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A place in the input, both from 1; columns are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// Where the input begins.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place at this line and column of what starts here.
    pub fn plus(self, line: usize, column: usize) -> Self {
        if line <= 1 {
            Self { line: self.line, column: (self.column + column).saturating_sub(1).max(1) }
        } else {
            Self { line: self.line + line - 1, column: column.max(1) }
        }
    }

    /// The place behind these bytes.
    fn after(self, bytes: &[u8]) -> Self {
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        match bytes.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => Self { line: self.line + lines, column: bytes.len() - last },
            None => Self { line: self.line, column: self.column + bytes.len() },
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// The documents of a stream.
#[derive(Debug)]
pub struct Documents<R> {
    reader: R,
    bytes_max: usize,
    buffer: Vec<u8>,
    /// Where the unread part of the buffer begins.
    start: usize,
    position: Position,
    at_end: bool,
    any: bool,
}

/// How far the end of a document has been looked for.
#[derive(Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl<R: Read> Documents<R> {
    pub fn new(reader: R, bytes_max: usize) -> Self {
        Self {
            reader,
            bytes_max,
            buffer: Vec::new(),
            start: 0,
            position: Position::START,
            at_end: false,
            any: false,
        }
    }

    /// The next document and where it starts; `None` at the end of the input.
    ///
    /// # Errors
    /// `Invalid` when no document stands there, when the input is empty, when a document is larger
    /// than the limit, or when reading fails.
    pub fn next(&mut self) -> Result<Option<(&[u8], Position)>> {
        let Some(first) = self.skip_space()? else {
            return if self.any {
                Ok(None)
            } else {
                Err(Error::invalid("there is no JSON document: the input is empty"))
            };
        };
        self.any = true;
        if first != b'{' {
            return Err(self.refuse(first));
        }
        let len = self.document_len()?;
        let (at, position) = (self.start, self.position);
        let text = &self.buffer[at..at + len];
        self.position = position.after(text);
        self.start += len;
        Ok(Some((text, position)))
    }

    /// The next byte that is not white space, left where it is.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        loop {
            let rest = &self.buffer[self.start..];
            let mut skip = 0;
            loop {
                skip += rest[skip..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                if !rest[skip..].starts_with(BOM) {
                    break;
                }
                skip += BOM.len();
            }
            let first = rest.get(skip).copied();
            // The byte order mark may be cut by the end of the buffer.
            let cut = !self.at_end && BOM.starts_with(&rest[skip..]);
            self.position = self.position.after(&rest[..skip]);
            self.start += skip;
            match first {
                Some(byte) if !cut => return Ok(Some(byte)),
                _ if self.at_end => return Ok(first),
                _ => self.fill()?,
            }
        }
    }

    /// The length of the document that starts here; to the end of the input when it is unfinished.
    fn document_len(&mut self) -> Result<usize> {
        let mut scan = Scan::default();
        loop {
            let rest = &self.buffer[self.start..];
            let end = scan.end(rest).or(self.at_end.then_some(rest.len()));
            if let Some(len) = end.filter(|len| *len <= self.bytes_max) {
                return Ok(len);
            }
            if end.is_some() || rest.len() > self.bytes_max {
                return Err(Error::invalid(format!(
                    "{}: a document of more than {} MiB; split it, for instance into JSON Lines \
                     with some resourceSpans each",
                    self.position,
                    self.bytes_max >> 20
                )));
            }
            self.fill()?;
        }
    }

    /// Reads more behind what is there, after moving that to the front.
    fn fill(&mut self) -> Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        // A growing document is read in growing steps, so that moving and clearing stay linear.
        let room = self.bytes_max.saturating_sub(filled) + 1;
        let step = CHUNK.max((filled / 2).min(room));
        self.buffer.resize(filled + step, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[filled..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.truncate(filled);
                    return Err(Error::invalid(format!("cannot read further: {error}")));
                }
            }
        };
        self.buffer.truncate(filled + read);
        self.at_end = read == 0;
        Ok(())
    }

    fn refuse(&mut self, first: u8) -> Error {
        let position = self.position;
        if first != b'[' {
            let found = first.escape_ascii();
            return Error::invalid(format!("{position}: expected a JSON object, found '{found}'"));
        }
        // Enough of it to say what it is.
        while !self.at_end && self.buffer.len() - self.start < looks::LOOK_BYTES {
            if let Err(error) = self.fill() {
                return error;
            }
        }
        Error::invalid(format!("{position}: {}", looks::refusal(&self.buffer[self.start..])))
    }
}

impl Scan {
    /// The length of the document that begins the text, if its end is there.
    fn end(&mut self, text: &[u8]) -> Option<usize> {
        for (ahead, &byte) in text.get(self.at..)?.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.at + ahead + 1);
                    }
                }
                _ => {}
            }
        }
        self.at = text.len();
        None
    }
}
