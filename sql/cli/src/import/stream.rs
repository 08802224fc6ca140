//! JSON documents read piece by piece: nothing but the piece at hand is in memory.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use serde_json::Deserializer;
use serde_json::de::IoRead;

/// Bytes asked from the input at a time.
const CHUNK: usize = 256 << 10;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Longest text of one span.
pub const SPAN_BYTES_MAX: u64 = 16 << 20;

/// Longest text of what has to be held together, such as a Jaeger trace.
pub const PIECE_BYTES_MAX: u64 = 256 << 20;

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
}

impl Gauge {
    /// Bytes read so far.
    pub fn read(&self) -> u64 {
        self.0.read.get()
    }

    /// Lets this many more be read.
    pub fn allow(&self, bytes: u64) {
        self.allow_until(self.read() + bytes);
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
        let Marks { read, limit } = &*self.gauge.0;
        if read.get() >= limit.get() {
            return Err(io::Error::other(format!(
                "byte {}: a span has more than {} MiB, or a trace more than {} MiB",
                read.get(),
                SPAN_BYTES_MAX >> 20,
                PIECE_BYTES_MAX >> 20
            )));
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
        gauge.allow(PIECE_BYTES_MAX);
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
