//! Where the spans of a file go, and why some do not.

/// The row is not a JSON object.
pub const NOT_AN_OBJECT: &str = "not_an_object";
/// There is no id, it is zero, or it is neither text nor an integer; the store's word.
pub const BAD_TRACE_ID: &str = "bad_trace_id";
/// The same for the id of a span.
pub const BAD_SPAN_ID: &str = "bad_span_id";
/// A start or a duration that is no number.
pub const BAD_TIME: &str = "bad_time";
/// A time before 1970 or after 2262; the store's word.
pub const TIME_OUT_OF_RANGE: &str = "time_out_of_range";
/// A trace without a list of spans.
pub const NO_SPANS: &str = "no_spans";
/// A span of Zipkin's first format, which is another one.
pub const ZIPKIN_V1: &str = "zipkin_v1";

/// Takes what is read of a file.
pub trait Sink {
    /// Stores a request.
    ///
    /// # Errors
    /// Why it cannot be stored, in words; nothing more of the file is then read.
    fn append(&mut self, request: Vec<u8>) -> Result<(), String>;

    /// Counts a row that cannot be a span.
    fn reject(&mut self, reason: &'static str);
}

/// A sink for tests: takes everything.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Taken {
    pub requests: Vec<Vec<u8>>,
    pub rejected: std::collections::BTreeMap<&'static str, u64>,
}

#[cfg(test)]
impl Sink for Taken {
    fn append(&mut self, request: Vec<u8>) -> Result<(), String> {
        self.requests.push(request);
        Ok(())
    }

    fn reject(&mut self, reason: &'static str) {
        *self.rejected.entry(reason).or_default() += 1;
    }
}
