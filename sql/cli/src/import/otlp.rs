//! From bytes of a format to requests that the store takes, with bounded memory.

use std::io::{self, Read};

use amida::{JsonRequests, REQUEST_BYTES_MAX, json_to_requests};

use super::protobuf::Split;
use super::sink::Sink;
use super::sniff::ZSTD;

/// Larger ones are cut into parts of this size.
const PART_BYTES: usize = 4 << 20;

/// Small JSON documents are put together until they make a request of this size.
const JOINED_BYTES: usize = 1 << 20;

/// Most bytes that a compressed message may become.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Hands every request of JSON documents to the sink, as all functions here do.
///
/// # Errors
/// What is wrong and where, in words; or what the sink said. What was handed over before stands.
pub fn json(input: impl Read, sink: &mut dyn Sink) -> Result<(), String> {
    let mut joined = Vec::new();
    let mut first_error = None;
    let mut others = 0;
    for document in JsonRequests::new(input) {
        match document {
            Ok(requests) => {
                for request in requests {
                    // Requests one after the other are one request: that is how protobuf merges.
                    joined.extend_from_slice(&request);
                    if joined.len() >= JOINED_BYTES {
                        sink.append(std::mem::take(&mut joined))?;
                    }
                }
            }
            // Other signals may stand between traces; each document stands for itself.
            Err(error) if first_error.is_none() => first_error = Some(error.to_string()),
            Err(_) => others += 1,
        }
    }
    if !joined.is_empty() {
        sink.append(joined)?;
    }
    match (first_error, others) {
        (None, _) => Ok(()),
        (Some(why), 0) => Err(why),
        (Some(why), 1) => Err(format!("{why}; one more document is not read")),
        (Some(why), _) => Err(format!("{why}; {others} more documents are not read")),
    }
}

/// One request, cut where it is larger than the store takes.
pub fn request(input: impl Read, sink: &mut dyn Sink) -> Result<(), String> {
    let mut input = input;
    let mut start = Vec::new();
    let whole = input.by_ref().take(REQUEST_BYTES_MAX as u64 + 1).read_to_end(&mut start);
    if whole.map_err(unreadable)? <= REQUEST_BYTES_MAX {
        return sink.append(start);
    }
    for part in Split::new(io::Cursor::new(start).chain(input), PART_BYTES) {
        sink.append(part?)?;
    }
    Ok(())
}

/// Messages behind their lengths. A message may itself be compressed by zstd, or be JSON: the
/// Collector's file exporter writes these too.
pub fn framed(mut input: impl Read, sink: &mut dyn Sink) -> Result<(), String> {
    let mut at: u64 = 0;
    loop {
        let mut length = Vec::with_capacity(4);
        input.by_ref().take(4).read_to_end(&mut length).map_err(unreadable)?;
        if length.is_empty() {
            return Ok(());
        }
        let Ok(bytes) = <[u8; 4]>::try_from(length.as_slice()) else {
            return Err(format!("the file ends in the middle of a length, at byte {at}"));
        };
        let length = u64::from(u32::from_be_bytes(bytes));
        let mut frame = input.by_ref().take(length);
        message(&mut frame, length, sink).map_err(|why| format!("message at byte {at}: {why}"))?;
        if frame.limit() > 0 {
            // Something did not read it all, or the file is shorter than its length says.
            let missing =
                frame.limit() - io::copy(&mut frame, &mut io::sink()).map_err(unreadable)?;
            if missing > 0 {
                return Err(format!(
                    "message at byte {at}: {length} bytes are announced, {missing} are missing"
                ));
            }
        }
        at += 4 + length;
    }
}

fn message(frame: &mut impl Read, length: u64, sink: &mut dyn Sink) -> Result<(), String> {
    if length == 0 {
        return Ok(());
    }
    if length > REQUEST_BYTES_MAX as u64 {
        return request(frame, sink);
    }
    let mut message = Vec::new();
    frame.read_to_end(&mut message).map_err(unreadable)?;
    if message.len() as u64 != length {
        return Err(format!("{length} bytes are announced, {} are there", message.len()));
    }
    if message.starts_with(ZSTD) {
        let decoder = zstd::Decoder::new(&message[..]).map_err(unreadable)?;
        let mut plain = Vec::new();
        let read = decoder.take(MESSAGE_BYTES_MAX as u64 + 1).read_to_end(&mut plain);
        if read.map_err(unreadable)? > MESSAGE_BYTES_MAX {
            return Err(format!("more than {} MiB when decompressed", MESSAGE_BYTES_MAX >> 20));
        }
        message = plain;
    }
    if message.first() == Some(&b'{') {
        for request in json_to_requests(&message).map_err(|error| error.to_string())? {
            sink.append(request.into())?;
        }
        return Ok(());
    }
    request(&message[..], sink)
}

fn unreadable(error: io::Error) -> String {
    format!("cannot read further: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::sink::Taken;

    const SPANS: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":
        "5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}"#;

    fn body() -> Vec<u8> {
        json_to_requests(SPANS.as_bytes()).unwrap().remove(0).into()
    }

    /// The requests, and how it ended.
    fn read_all(
        read: impl Fn(&[u8], &mut dyn Sink) -> Result<(), String>,
        input: &[u8],
    ) -> (Vec<Vec<u8>>, Result<(), String>) {
        let mut taken = Taken::default();
        let ended = read(input, &mut taken);
        (taken.requests, ended)
    }

    fn frame(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    #[test]
    fn frames_hold_requests_json_or_zstd() {
        let zstd = zstd::encode_all(&body()[..], 1).unwrap();
        let messages = [body(), SPANS.as_bytes().to_vec(), zstd, Vec::new()];
        let file: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
        let (requests, ended) = read_all(|file, sink| framed(file, sink), &file);
        assert_eq!((requests, ended), (vec![body(); 3], Ok(())));
    }

    #[test]
    fn a_file_that_ends_in_a_frame_gives_the_frames_before() {
        let file = [frame(&body()), frame(&body())].concat();
        for cut in [1, 5, body().len(), body().len() + 2] {
            let cut_file = &file[..file.len() - cut];
            let (requests, ended) = read_all(|file, sink| framed(file, sink), cut_file);
            assert_eq!(requests.len(), 1, "{cut}");
            assert!(ended.is_err(), "{cut}");
        }
    }

    #[test]
    fn small_documents_are_joined_and_those_around_an_error_are_kept() {
        let text = format!("{SPANS}\n{SPANS}\n{{\"resourceSpans\":7}}\n{SPANS}");
        let (requests, ended) = read_all(|text, sink| json(text, sink), text.as_bytes());
        assert_eq!(requests, [[body(), body(), body()].concat()]);
        assert!(ended.unwrap_err().starts_with("line 5 column"));
    }

    #[test]
    fn other_signals_between_traces_cost_only_themselves() {
        let text = format!(
            "{{\"resourceMetrics\":[]}}\n{SPANS}\n{{\"resourceLogs\":[]}}\n{{}}\n{SPANS}\n{{\"a\""
        );
        let (requests, ended) = read_all(|text, sink| json(text, sink), text.as_bytes());
        assert_eq!(requests, [[body(), body()].concat()]);
        let why = ended.unwrap_err();
        assert!(why.contains("line 1 column 1: this is OTLP metrics, not traces"), "{why}");
        assert!(why.ends_with("; 3 more documents are not read"), "{why}");
    }
}
