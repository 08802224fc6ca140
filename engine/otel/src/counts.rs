//! `Counts`: what became of the spans.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What became of an exporter's spans; a handle that stays good when the exporter is gone into a
/// provider. Clones count the same spans.
///
/// With [`Exporter::batch`](crate::Exporter::batch), every sampled span that ends is in exactly one
/// of `stored`, `rejected`, `refused`, `failed`, `dropped` and `waiting`; with another processor,
/// every span that the processor exports is, and `dropped` and `waiting` stay 0. While exports run
/// the numbers are read one after the other, so that a sum may be off by a few.
///
/// ```
/// use amida::Store;
/// use amida_otel::Exporter;
/// use amida_otel::opentelemetry::trace::{Tracer, TracerProvider};
/// use amida_otel::opentelemetry_sdk::trace::SdkTracerProvider;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::in_memory();
/// let exporter = Exporter::new(&store);
/// let counts = exporter.counts();
/// let provider = SdkTracerProvider::builder().with_span_processor(exporter.batch()).build();
/// provider.tracer("docs").in_span("work", |_| ());
/// provider.shutdown()?;
/// assert_eq!((counts.stored(), counts.lost()), (1, 0));
/// assert_eq!(counts.to_string(), "1 stored, 0 lost, 0 waiting");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Counts(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stored: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    waiting: AtomicU64,
    last_error: Mutex<Option<String>>,
    /// The exporter was shut down: nobody takes what waits any more.
    closed: AtomicBool,
}

/// Why a span was lost.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    Rejected,
    Refused,
    Failed,
    Dropped,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counts {
    /// Spans that the store accepted: on disk, as its `Durability` says, and visible.
    pub fn stored(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// Spans that the store rejected for what is in them, such as a time that `Options::future_max`
    /// does not allow. `Stats::rejected` of the store has the reasons.
    pub fn rejected(&self) -> u64 {
        self.0.rejected.load(Ordering::Relaxed)
    }

    /// Spans that were given up because the store stayed busy (`Busy`) or its disk was full
    /// (`DiskFull`): the back-pressure.
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }

    /// Spans that the store could not take at all: it was closed, its disk failed, the span alone
    /// was larger than a request may be, or they were exported after the shutdown.
    pub fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }

    /// Spans that found the queue of a [`BatchProcessor`](crate::BatchProcessor) full, or that came
    /// while it was shut down, too late for its last export.
    pub fn dropped(&self) -> u64 {
        let left = if self.is_closed() { self.in_queue() } else { 0 };
        self.0.dropped.load(Ordering::Relaxed) + left
    }

    /// Spans that ended and are not stored yet; of a [`BatchProcessor`](crate::BatchProcessor).
    pub fn waiting(&self) -> u64 {
        if self.is_closed() { 0 } else { self.in_queue() }
    }

    /// Spans that will not be in the store: rejected, refused, failed and dropped.
    pub fn lost(&self) -> u64 {
        self.lost_by_exports() + self.dropped()
    }

    /// Why spans were lost the last time; dropped ones give no reason here.
    pub fn last_error(&self) -> Option<String> {
        lock(&self.0.last_error).clone()
    }

    pub(crate) fn lost_by_exports(&self) -> u64 {
        self.rejected() + self.refused() + self.failed()
    }

    fn in_queue(&self) -> u64 {
        self.0.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn add_stored(&self, spans: u64) {
        self.0.stored.fetch_add(spans, Ordering::Relaxed);
    }

    /// Counts spans that an export lost.
    pub(crate) fn add_lost(&self, loss: Loss, spans: u64, why: &str) {
        *lock(&self.0.last_error) = Some(why.to_owned());
        self.count_lost(loss, spans, why);
    }

    /// A span wants into the queue; `false` when it is full, and the span is counted as dropped.
    pub(crate) fn enter_queue(&self, spans_max: u64) -> bool {
        let free = |waiting: u64| (waiting < spans_max).then_some(waiting + 1);
        let entered = self.0.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free);
        if entered.is_err() {
            self.count_lost(Loss::Dropped, 1, "the queue of the batch processor is full");
        }
        entered.is_ok()
    }

    /// Spans were exported; where they came from no queue, none is there to be left.
    pub(crate) fn leave_queue(&self, spans: u64) {
        let less = |waiting: u64| Some(waiting.saturating_sub(spans));
        let _ = self.0.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Ends exporting for ever.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }

    /// Counts, and warns when there was no loss of this kind before, and each time that their
    /// number has doubled. The warning belongs to no span: it may stand within an application's.
    fn count_lost(&self, loss: Loss, spans: u64, why: &str) {
        let (counter, what) = match loss {
            Loss::Rejected => (&self.0.rejected, "rejected"),
            Loss::Refused => (&self.0.refused, "refused"),
            Loss::Failed => (&self.0.failed, "failed"),
            Loss::Dropped => (&self.0.dropped, "dropped"),
        };
        let before = counter.fetch_add(spans, Ordering::Relaxed);
        let now = before + spans;
        if (now + 1).ilog2() > (before + 1).ilog2() {
            tracing::warn!(
                target: "amida::otel", parent: None,
                loss = what, spans = now, why, "spans are not stored"
            );
        }
    }
}

impl fmt::Display for Counts {
    /// `9 stored, 3 lost, 0 waiting`, and what the loss is made of where there is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost = [
            (self.rejected(), "rejected"),
            (self.refused(), "refused"),
            (self.failed(), "failed"),
            (self.dropped(), "dropped"),
        ];
        let sum: u64 = lost.iter().map(|(spans, _)| spans).sum();
        let parts: Vec<String> = lost
            .iter()
            .filter(|(spans, _)| *spans > 0)
            .map(|(spans, what)| format!("{spans} {what}"))
            .collect();
        write!(f, "{} stored, {sum} lost", self.stored())?;
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        write!(f, ", {} waiting", self.waiting())
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Counts({self})")
    }
}
