//! `Exporter`: the SDK's door into a store.

use std::time::{Duration, Instant};

use amida::{Error, Pending, Receipt, Store};
use opentelemetry::Context;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, SpanData, SpanExporter};
use prost::bytes::Bytes;

use crate::batch::{self, BatchProcessor};
use crate::counts::{Counts, Loss};
use crate::request::{Request, requests};

/// The pause before a busy store is asked again. The store itself waits for room before it says
/// that it is busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Puts the spans of a tracer provider into a store.
///
/// An export returns when its spans are stored as the store's `Durability` says, or lost with an
/// error and counted. It waits while the store is busy, at most `retry_max`. Requests larger than
/// the store takes are split.
///
/// The store stays the caller's: `shutdown` of the provider syncs it and does not close it. Shut
/// the provider down first, then close the store. In the other order the spans that still wait are
/// counted as failed, and [`BatchProcessor`] says so in the result of `shutdown`.
///
/// ```
/// use amida::Store;
/// use amida_otel::Exporter;
/// use amida_otel::opentelemetry::trace::{Tracer, TracerProvider};
/// use amida_otel::opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::in_memory();
/// let exporter = Exporter::new(&store);
/// let counts = exporter.counts();
/// let provider = SdkTracerProvider::builder()
///     .with_resource(Resource::builder().with_service_name("checkout").build())
///     .with_span_processor(exporter.batch())
///     .build();
/// provider.tracer("checkout").in_span("POST /checkout", |_| ());
/// provider.shutdown()?;
/// assert_eq!(counts.stored(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Exporter {
    store: Store,
    resource: ResourceAttributesWithSchema,
    counts: Counts,
    retry_max: Duration,
}

impl Exporter {
    /// An exporter into this store.
    pub fn new(store: &Store) -> Self {
        Self {
            store: store.clone(),
            resource: ResourceAttributesWithSchema::default(),
            counts: Counts::default(),
            retry_max: Duration::from_secs(10),
        }
    }

    /// How long an export, from its beginning, goes on asking a busy store before its spans are
    /// refused; 10 s by default, as OTLP's exporters do. Whoever exports waits that long: the
    /// thread of the batch processor, or, with the simple processor, the application's. `ZERO`: the
    /// store is asked once; it waits for room itself, `Options::stall_max`.
    pub fn retry_max(mut self, wait: Duration) -> Self {
        self.retry_max = wait;
        self
    }

    /// What becomes of the spans; a handle to keep when the exporter goes into a provider.
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// The SDK's batch processor around this exporter, with a count of what its queue drops. Limits
    /// are the SDK's: a queue of 2,048 spans, exported within 5 s or when there are 512, unless
    /// `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_SCHEDULE_DELAY` and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` in
    /// the environment say otherwise.
    pub fn batch(self) -> BatchProcessor {
        self.batch_with(batch::default_queue(), BatchConfigBuilder::default())
    }

    /// As `batch`, with a queue of this many spans instead of the configuration's. Spans that are
    /// being exported count as queued.
    pub fn batch_with(self, queue_spans_max: usize, config: BatchConfigBuilder) -> BatchProcessor {
        let (store, counts) = (self.store.clone(), self.counts());
        BatchProcessor::new(self, store, counts, queue_spans_max, config)
    }

    async fn store_all(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        if self.counts.is_closed() {
            self.counts.add_lost(Loss::Failed, spans, "the exporter was shut down before");
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let begun = Instant::now();
        let mut lost = 0;
        let mut first_error = None;
        for request in requests(batch, &self.resource) {
            if let Err((spans, why)) = self.store_one(request, begun).await {
                lost += spans;
                first_error.get_or_insert(why);
            }
        }
        match first_error {
            None => Ok(()),
            Some(why) => Err(failure(format!("{lost} of {spans} spans were not stored: {why}"))),
        }
    }

    /// Stores a request; else how many spans of it were lost, and why.
    async fn store_one(&self, request: Request, begun: Instant) -> Result<(), (u64, String)> {
        let (loss, lost, why) = match self.append(request.body, begun).await {
            Ok(receipt) => {
                self.counts.add_stored(receipt.accepted());
                if receipt.rejected() == 0 {
                    return Ok(());
                }
                let reasons: Vec<String> = receipt
                    .rejections()
                    .iter()
                    .map(|(reason, spans)| format!("{reason} {spans}"))
                    .collect();
                (Loss::Rejected, receipt.rejected(), format!("rejected: {}", reasons.join(", ")))
            }
            Err(error) if error.is_retryable() => (Loss::Refused, request.spans, error.to_string()),
            Err(Error::Closed) => (
                Loss::Failed,
                request.spans,
                "the store is closed; shut the tracer provider down before".to_owned(),
            ),
            Err(error) => (Loss::Failed, request.spans, error.to_string()),
        };
        self.counts.add_lost(loss, lost, &why);
        Err((lost, why))
    }

    /// Appends, and again while the store is busy and there is time. The SDK's processors shut an
    /// exporter down only when no export runs.
    async fn append(&self, body: Bytes, begun: Instant) -> amida::Result<Receipt> {
        loop {
            match self.submit(body.clone()).await {
                Err(Error::Busy { .. }) if begun.elapsed() < self.retry_max => {
                    std::thread::park_timeout(PAUSE);
                }
                answer => return answer,
            }
        }
    }

    /// Hands a request over. The store's own threads write it: what they log belongs to no span of
    /// the application, whose thread this may be.
    fn submit(&self, body: Bytes) -> Pending {
        let _not_traced = Context::enter_telemetry_suppressed_scope();
        self.store.submit_otlp(body)
    }
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let stored = self.store_all(batch).await;
        self.counts.leave_queue(spans);
        stored
    }

    /// Ends exporting: later exports fail and are counted. The store is synced and stays open.
    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.counts.close();
        sync(&self.store)
    }

    /// Returns once everything that was exported is on stable storage, whatever the store's
    /// `Durability` is. The SDK's processors of 0.33 do not call this: `force_flush` of
    /// [`BatchProcessor`] does the same, elsewhere there is `Store::sync`.
    fn force_flush(&self) -> OTelSdkResult {
        sync(&self.store)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Syncs a store; one that was closed was synced by that.
pub fn sync(store: &Store) -> OTelSdkResult {
    match store.sync() {
        Ok(()) | Err(Error::Closed) => Ok(()),
        Err(error) => Err(failure(error.to_string())),
    }
}

pub fn failure(what: String) -> OTelSdkError {
    OTelSdkError::InternalFailure(what)
}
