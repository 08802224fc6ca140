//! `BatchProcessor`: the SDK's batch processor, whose queue drops nothing uncounted.
//!
//! The SDK drops spans when its queue is full and tells a log, but no program. So the queue is
//! bounded here, before it: a span that finds room has a place in the SDK's queue, which has as
//! many, and one that finds none is counted.

use std::time::Duration;

use amida::Store;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT, Span, SpanData, SpanProcessor,
};

use crate::counts::Counts;
use crate::exporter::{Exporter, failure, sync};

/// The SDK's batch processor around an [`Exporter`]; made by [`Exporter::batch`].
///
/// It never makes the application wait: a span that finds the queue full is dropped and counted in
/// [`Counts::dropped`]. Spans that are not sampled are not exported.
///
/// `force_flush` of the provider exports what ended before and syncs the store; `shutdown` does so
/// for the last time. Both give an error when an export lost spans meanwhile, and when the SDK's
/// timeout passes (5 s). Spans that end after `shutdown` do not exist for the SDK: nobody counts
/// them.
///
/// ```
/// use std::time::Duration;
///
/// use amida::Store;
/// use amida_otel::Exporter;
/// use amida_otel::opentelemetry_sdk::trace::{BatchConfigBuilder, SdkTracerProvider};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::in_memory();
/// let config = BatchConfigBuilder::default()
///     .with_max_export_batch_size(4_096)
///     .with_scheduled_delay(Duration::from_secs(1));
/// let processor = Exporter::new(&store).batch_with(65_536, config);
/// let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
/// provider.shutdown()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BatchProcessor {
    inner: BatchSpanProcessor,
    store: Store,
    counts: Counts,
    queue_spans_max: u64,
}

/// The SDK's limit of a queue.
pub fn default_queue() -> usize {
    let wanted = std::env::var(OTEL_BSP_MAX_QUEUE_SIZE).ok();
    let wanted = wanted.and_then(|spans| spans.parse().ok());
    wanted.unwrap_or(OTEL_BSP_MAX_QUEUE_SIZE_DEFAULT)
}

impl BatchProcessor {
    pub(crate) fn new(
        exporter: Exporter,
        store: Store,
        counts: Counts,
        queue_spans_max: usize,
        config: BatchConfigBuilder,
    ) -> Self {
        let spans_max = queue_spans_max.max(1);
        let config = config.with_max_queue_size(spans_max).build();
        let inner = BatchSpanProcessor::new(exporter, config);
        Self { inner, store, counts, queue_spans_max: spans_max as u64 }
    }

    /// Runs a step that exports; an error when it lost spans. The SDK gives the result of the last
    /// batch only, and at shutdown none.
    fn exporting(&self, step: impl FnOnce() -> OTelSdkResult) -> OTelSdkResult {
        let before = self.counts.lost_by_exports();
        let done = step();
        let lost = self.counts.lost_by_exports() - before;
        if lost > 0 {
            let why = self.counts.last_error().unwrap_or_default();
            let spans = if lost == 1 { "1 span was" } else { &format!("{lost} spans were") };
            return Err(failure(format!("{spans} not stored: {why}")));
        }
        done.and_then(|()| sync(&self.store))
    }
}

impl SpanProcessor for BatchProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() && self.counts.enter_queue(self.queue_spans_max) {
            self.inner.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporting(|| self.inner.force_flush())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporting(|| self.inner.shutdown_with_timeout(timeout))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
