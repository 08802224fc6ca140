//! The answer to an append: `Receipt`, and `Pending` for those who wait for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::group::Ticket;
use super::{Inner, worker};
use crate::error::{Error, Result};
use crate::otlp::walk::{Reason, Rejection};
use crate::sync::Arc;

/// What became of a request.
///
/// ```
/// use amida::{RequestBuilder, Resource, SpanBuilder, Store};
///
/// # fn main() -> amida::Result<()> {
/// let trace = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// let good = SpanBuilder::new(trace, "00f067aa0ba902b7".parse()?, "good");
/// let bad = SpanBuilder::new(trace, "53995c3f42cd8ad8".parse()?, "before 1970").start_ns(-1);
/// let body = RequestBuilder::new(Resource::new("checkout")).span(good).span(bad).finish();
///
/// let receipt = Store::in_memory().append_otlp(body)?;
/// assert_eq!((receipt.accepted(), receipt.rejected()), (1, 1));
/// assert_eq!(receipt.rejections(), [("time_out_of_range", 1)]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a receipt may say that spans were rejected"]
pub struct Receipt {
    accepted: u64,
    rejected: [u64; Reason::ALL.len()],
    sequence: Option<u64>,
}

impl Receipt {
    pub(super) fn new(accepted: usize, rejected: &[Rejection], sequence: Option<u64>) -> Self {
        Self { accepted: accepted as u64, rejected: count(rejected), sequence }
    }

    /// Spans that were stored.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Spans that were not stored.
    pub fn rejected(&self) -> u64 {
        self.rejected.iter().sum()
    }

    /// How many spans were rejected for which reason, without the reasons that did not occur:
    /// `bad_trace_id`, `bad_span_id`, `time_out_of_range`, `too_far_in_future`.
    pub fn rejections(&self) -> Vec<(&'static str, u64)> {
        words(&self.rejected)
    }

    /// The position of the request in the log; `None` when nothing of it was stored.
    pub fn sequence(&self) -> Option<u64> {
        self.sequence
    }
}

/// Rejected spans by reason.
pub(super) fn count(rejected: &[Rejection]) -> [u64; Reason::ALL.len()] {
    let mut counts = [0; Reason::ALL.len()];
    for (_, reason) in rejected {
        if let Some(at) = Reason::ALL.iter().position(|r| r == reason) {
            counts[at] += 1;
        }
    }
    counts
}

/// Counts with the words of their reasons, without zeros.
pub(super) fn words(counts: &[u64; Reason::ALL.len()]) -> Vec<(&'static str, u64)> {
    let all = Reason::ALL.iter().map(|reason| reason.word()).zip(*counts);
    all.filter(|(_, count)| *count > 0).collect()
}

/// A request on its way to the disk. Wait for it, or `.await` it in any async runtime; dropped, the
/// request is committed all the same.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use amida::{RequestBuilder, Resource, SpanBuilder, Store};
/// # let store = Store::in_memory();
/// # let id = "4bf92f3577b34da6a3ce929d0e0e4736".parse()?;
/// # let span = SpanBuilder::new(id, "00f067aa0ba902b7".parse()?, "GET /cart")
/// #     .attribute("http.response.status_code", 503);
/// # let body = RequestBuilder::new(Resource::new("checkout")).span(span).finish();
/// let pending = store.submit_otlp(body); // in async code: store.submit_otlp(body).await
/// // .. other work, other requests ..
/// assert_eq!(pending.wait()?.accepted(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request is not known to be stored before its receipt is there"]
pub struct Pending(State);

#[derive(Debug)]
enum State {
    Answered(Option<Result<Receipt>>),
    Queued { ticket: Arc<Ticket<Result<Receipt>>>, inner: Arc<Inner> },
}

impl Pending {
    pub(super) fn answered(answer: Result<Receipt>) -> Self {
        Self(State::Answered(Some(answer)))
    }

    pub(super) fn queued(ticket: Arc<Ticket<Result<Receipt>>>, inner: Arc<Inner>) -> Self {
        Self(State::Queued { ticket, inner })
    }

    /// Blocks until the request is stored as `Options::durability` asks, and visible.
    ///
    /// # Errors
    /// As `Store::append_otlp`.
    pub fn wait(mut self) -> Result<Receipt> {
        let answer = match &mut self.0 {
            State::Answered(answer) => answer.take().unwrap_or(Err(Error::Closed)),
            State::Queued { ticket, inner } => {
                let answer = inner.wait(ticket);
                if inner.options.single_threaded {
                    worker::work_here(inner);
                }
                answer
            }
        };
        self.0 = State::Answered(None);
        answer
    }
}

impl Future for Pending {
    type Output = Result<Receipt>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.0 {
            State::Answered(answer) => answer.take().unwrap_or(Err(Error::Closed)),
            State::Queued { ticket, inner } => {
                if inner.options.single_threaded {
                    worker::work_here(inner);
                }
                match inner.commits.poll(ticket, context.waker()) {
                    Some(answer) => answer,
                    None => return Poll::Pending,
                }
            }
        };
        self.0 = State::Answered(None);
        Poll::Ready(answer)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let State::Queued { inner, .. } = &self.0 {
            if inner.options.single_threaded {
                worker::work_here(inner);
            }
            inner.commits.leave();
        }
    }
}
