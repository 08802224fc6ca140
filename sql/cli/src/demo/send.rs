//! From the play to the store: OTLP requests as a collector would send them, in at the same door as
//! anyone's.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use amida::{Receipt, Store};
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::director::Director;
use super::request::request;

/// Spans of one request.
const REQUEST_SPANS: usize = 1_000;
/// How long the demo waits for a store that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was sent, and how long it took.
#[derive(Debug, Default, serde::Serialize)]
pub struct Sent {
    pub spans: u64,
    pub traces: u64,
    pub requests: u64,
    pub bytes: u64,
    pub seconds: f64,
}

impl Sent {
    /// Accepted spans per second.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.spans as f64 / self.seconds } else { 0.0 }
    }
}

/// Plays everything into the store.
///
/// # Errors
/// Words for the user: the store refused a request.
pub fn send(store: &Store, mut director: Director, spans: u64) -> Result<Sent, String> {
    let progress = Progress::new(spans);
    let begin = Instant::now();
    let mut sent = Sent::default();
    let mut plays = Vec::new();
    let mut waiting = 0;
    loop {
        let play = director.next();
        let is_last = play.is_none();
        if let Some(play) = play {
            waiting += play.spans.len();
            sent.traces += 1;
            plays.push(play);
        }
        if waiting < REQUEST_SPANS && !is_last {
            continue;
        }
        if waiting > 0 {
            let body = request(&director.world, &plays).finish();
            sent.bytes += body.len() as u64;
            sent.requests += 1;
            sent.spans += append(|| store.append_otlp(body.clone()), waiting as u64)?;
            progress.at(sent.spans);
            plays.clear();
            waiting = 0;
        }
        if is_last {
            break;
        }
    }
    sent.seconds = begin.elapsed().as_secs_f64();
    progress.end();
    Ok(sent)
}

/// One request; a busy store is asked again.
fn append(send: impl Fn() -> amida::Result<Receipt>, spans: u64) -> Result<u64, String> {
    let begin = Instant::now();
    loop {
        match send() {
            Ok(receipt) if receipt.rejected() == 0 && receipt.accepted() == spans => {
                return Ok(receipt.accepted());
            }
            Ok(receipt) => {
                return Err(format!(
                    "the store took {} of {spans} spans of the demo: {:?}",
                    receipt.accepted(),
                    receipt.rejections()
                ));
            }
            Err(error) if error.is_retryable() && begin.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A bar on a terminal; lines elsewhere.
struct Progress {
    bar: ProgressBar,
    spans: u64,
    is_terminal: bool,
    /// Quarters said so far.
    quarters: std::cell::Cell<u64>,
}

impl Progress {
    fn new(spans: u64) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target =
            if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(spans), target);
        let template = "  {bar:36} {human_pos} of {human_len} spans  {rate} spans/s  {elapsed}";
        // The template is a constant; should it not suit, the default bar does.
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                // Writing to the bar's text cannot fail.
                let _ = write!(out, "{}", count(state.per_sec()));
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("##-"));
        }
        Self { bar, spans, is_terminal, quarters: std::cell::Cell::new(0) }
    }

    fn at(&self, spans: u64) {
        self.bar.set_position(spans.min(self.spans));
        let quarter = spans.min(self.spans) * 4 / self.spans.max(1);
        if !self.is_terminal && quarter > self.quarters.replace(quarter) {
            let rate = count(self.bar.per_sec());
            eprintln!(
                "  {} of {} spans  {rate} spans/s",
                HumanCount(spans),
                HumanCount(self.spans)
            );
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A whole number with its thousands apart.
pub fn count(number: f64) -> HumanCount {
    HumanCount(number.round() as u64)
}
