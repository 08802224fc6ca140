//! JSON documents read piece by piece: nothing but the piece at hand is in memory.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use serde_json::Deserializer;
use serde_json::de::IoRead;

/// Bytes asked from the input at a time.
const CHUNK: usize = 256 << 10;

/// What a text may begin with.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// How much of a text is held in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Longest text of one span, and of anything else that is read as a whole.
    pub span: u64,
    /// Longest text of what has to be held together, such as a Jaeger trace.
    pub piece: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { span: 16 << 20, piece: 256 << 20 }
    }
}

/// What a row that waits takes in memory at least, however short its text is.
pub const HELD_BYTES_MIN: u64 = 512;

/// What is read from.
pub type Json<'r> = Deserializer<IoRead<Gauged<'r>>>;

/// Counts the bytes that are read, and ends reading at a limit: a piece that would not fit in
/// memory is refused before it is there.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Rc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    read: Cell<u64>,
    limit: Cell<u64>,
    limits: Limits,
}

impl Gauge {
    /// A gauge for these limits.
    pub fn within(limits: Limits) -> Self {
        Self(Rc::new(Marks { limits, ..Marks::default() }))
    }

    /// How much is held in memory.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.0.read.get()
    }

    /// Lets the next span be read, or what is as long; not beyond this byte.
    pub fn allow_span_until(&self, limit: u64) {
        self.allow_until(limit.min(self.read() + self.0.limits.span));
    }

    /// Lets the next span be read.
    pub fn allow_span(&self) {
        self.allow_span_until(u64::MAX);
    }

    /// Lets bytes be read up to here.
    pub fn allow_until(&self, limit: u64) {
        self.0.limit.set(limit);
    }
}

/// An input under a gauge.
pub struct Gauged<'r> {
    from: BufReader<&'r mut dyn Read>,
    gauge: Gauge,
}

impl Read for Gauged<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Marks { read, limit, limits } = &*self.gauge.0;
        if read.get() >= limit.get() {
            return Err(io::Error::other(format!(
                "byte {}: a span has more than {} MiB, or a trace more than {} MiB",
                read.get(),
                limits.span >> 20,
                limits.piece >> 20
            )));
        }
        // The parser takes one byte at a time.
        if let ([into], [byte, ..]) = (&mut *into, self.from.buffer()) {
            *into = *byte;
            self.from.consume(1);
            read.set(read.get() + 1);
            return Ok(1);
        }
        let taken = self.from.read(into).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot read further: {error}"))
        })?;
        read.set(read.get() + taken as u64);
        Ok(taken)
    }
}

/// Calls `each` for the documents of the input, which stand after each other with any white space
/// between, on lines (JSON Lines) or not.
///
/// # Errors
/// What is wrong and where, in words.
pub fn documents(
    input: &mut dyn Read,
    gauge: &Gauge,
    mut each: impl FnMut(&mut Json<'_>) -> serde_json::Result<()>,
) -> Result<(), String> {
    let mut from = BufReader::with_capacity(CHUNK, input);
    let start = from.fill_buf().map_err(|error| format!("cannot read further: {error}"))?;
    if start.starts_with(BOM) {
        from.consume(BOM.len());
    }
    let mut json = Deserializer::from_reader(Gauged { from, gauge: gauge.clone() });
    let mut any = false;
    loop {
        gauge.allow_until(gauge.read() + gauge.limits().piece);
        match json.end() {
            Ok(()) if any => return Ok(()),
            Ok(()) => return Err("there is no JSON document: the input is empty".to_owned()),
            // More text: the next document.
            Err(error) if error.is_syntax() => {}
            Err(error) => return Err(words(&error)),
        }
        any = true;
        each(&mut json).map_err(|error| words(&error))?;
    }
}

/// The parser's words, place first.
fn words(error: &serde_json::Error) -> String {
    let words = error.to_string();
    if error.is_io() {
        return words;
    }
    let what = words.rsplit_once(" at line ").map_or(words.as_str(), |(what, _)| what);
    let what = if what.contains("recursion limit") {
        "nested too deeply (more than 127 levels)"
    } else {
        what
    };
    format!("line {} column {}: {what}", error.line(), error.column())
}

/// The methods of a visitor for a value that is neither list nor object nor `null`.
macro_rules! visit_scalars {
    ($self:ident, $what:block) => {
        visit_scalars!(@ $self, $what,
            visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    };
    (@ $self:ident, $what:block, $($method:ident: $value:ty),+) => {
        $(fn $method<E: serde::de::Error>($self, _: $value) -> Result<(), E> {
            $what
            Ok(())
        })+
    };
}
pub(super) use visit_scalars;
