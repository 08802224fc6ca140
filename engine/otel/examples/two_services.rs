//! Two services that call each other over HTTP end as one trace, whether they pass it on as W3C's
//! `traceparent` or as Zipkin's B3 headers.
//!
//! `shop` takes an order and asks `payments` for the money; `payments` asks `shop` what the order
//! costs. Each has its resource, its tracer provider and its server, as in a process of its own;
//! they share a store. `cargo run --example two_services`
#![allow(clippy::disallowed_methods)] // a service is a thread here

use std::collections::BTreeSet;
use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use amida::{Store, Trace, TraceId};
use amida_otel::opentelemetry::propagation::TextMapPropagator;
use amida_otel::opentelemetry::trace::{TraceContextExt, TracerProvider};
use amida_otel::opentelemetry_sdk::propagation::TraceContextPropagator;
use amida_otel::opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use amida_otel::{Counts, Exporter};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::{get, post};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use tokio::sync::oneshot;
use tracing::{Dispatch, Instrument, Span, error, info, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::prelude::*;

type Failure = Box<dyn Error + Send + Sync>;
type Answer = Result<String, StatusCode>;
type Propagator = Arc<dyn TextMapPropagator + Send + Sync>;

fn main() -> Result<(), Failure> {
    let store = Store::in_memory(); // Store::open("traces.amida")? for a directory
    let propagators: [(&str, Propagator); 2] =
        [("W3C traceparent", Arc::new(TraceContextPropagator::new())), ("B3 headers", b3())];
    for (name, propagator) in propagators {
        let trace_id = buy(&store, propagator)?;
        let trace = store.snapshot().trace(trace_id)?.ok_or("the trace is not there")?;
        println!("{name}: one trace over both services\n\n{trace}");
        check(&trace)?;
    }
    store.close()?; // after the providers were shut down
    Ok(())
}

/// B3 lives in the crate of the Zipkin exporter, which is deprecated as a whole; the propagator has
/// no other home yet.
#[allow(deprecated)]
fn b3() -> Propagator {
    Arc::new(opentelemetry_zipkin::Propagator::new())
}

/// Starts both services, buys something, and stops them; the trace of it.
fn buy(store: &Store, propagator: Propagator) -> Result<TraceId, Failure> {
    // Both addresses are known before either service runs.
    let listeners = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [shop, payments] = [listeners[0].local_addr()?, listeners[1].local_addr()?];
    let [shop_listener, payments_listener] = listeners;
    let peer = |address| App { propagator: propagator.clone(), peer: address };

    let routes = Router::new().route("/checkout", post(check_out)).route("/price", get(price));
    let shop_service = Service::start("shop", store, shop_listener, routes, peer(payments))?;
    let routes = Router::new().route("/charge", post(charge));
    let payments_service =
        Service::start("payments", store, payments_listener, routes, peer(shop))?;

    let request = Request::post(format!("http://{shop}/checkout")).body(())?;
    let trace_id = ureq::run(request)?.body_mut().read_to_string()?;
    for (name, service) in [("shop", shop_service), ("payments", payments_service)] {
        println!("{name}: {}", service.stop()?);
    }
    Ok(trace_id.parse()?)
}

/// The spans of both services are there, and only the first has no parent.
fn check(trace: &Trace) -> Result<(), Failure> {
    let services: BTreeSet<&str> = trace.spans().map(|span| span.service_name()).collect();
    let (spans, tops) = (trace.spans().len(), trace.tops().count());
    if services == BTreeSet::from(["payments", "shop"]) && spans == 5 && tops == 1 {
        return Ok(());
    }
    Err(format!("not one trace: {spans} spans of {services:?}, {tops} of them without parent")
        .into())
}

/// A service that runs: in life a process with a `main` that does what `start` and `stop` do.
struct Service {
    provider: SdkTracerProvider,
    counts: Counts,
    thread: JoinHandle<Result<(), Failure>>,
    stop: oneshot::Sender<()>,
}

impl Service {
    fn start(
        name: &'static str,
        store: &Store,
        listener: TcpListener,
        routes: Router<Arc<App>>,
        app: App,
    ) -> Result<Self, Failure> {
        let exporter = Exporter::new(store);
        let counts = exporter.counts();
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name(name).build())
            .with_span_processor(exporter.batch())
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracer(provider.tracer(name));
        // A process would say `.init()`; here each thread has its own.
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(spans));

        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let server = axum::serve(listener, routes.with_state(Arc::new(app)));
            // A sender that is gone says stop, too.
            Ok(server.with_graceful_shutdown(async { drop(stopped.await) }).await?)
        };
        let thread = std::thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || runtime.block_on(serve))
        });
        Ok(Self { provider, counts, thread, stop })
    }

    /// Ends the server, then the spans; what became of them.
    fn stop(self) -> Result<Counts, Failure> {
        drop(self.stop);
        self.thread.join().map_err(|_| "a service panicked")??;
        self.provider.shutdown()?;
        Ok(self.counts)
    }
}

/// What handlers need: how a trace is passed on, and where the other service is.
struct App {
    propagator: Propagator,
    peer: SocketAddr,
}

impl App {
    /// The span of a request that came: the caller's, read from the headers, is its parent.
    fn server_span(&self, headers: &HeaderMap, operation: &str) -> Span {
        let span = info_span!("server", otel.name = operation, otel.kind = "server");
        let parent = self.propagator.extract(&HeaderExtractor(headers));
        // Fails only where no layer of OpenTelemetry is installed.
        let _ = span.set_parent(parent);
        span
    }

    /// Calls the other service; the headers name the span of the call.
    async fn call(&self, method: &str, path: &str) -> Answer {
        let operation = format!("{method} {path}");
        let span = info_span!("client", otel.name = operation, otel.kind = "client");
        let url = format!("http://{}{path}", self.peer);
        let request = Request::builder().method(method).uri(url).body(());
        let mut request = request.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
        let headers = &mut HeaderInjector(request.headers_mut());
        self.propagator.inject_context(&span.context(), headers);
        async {
            // ureq blocks, and this thread serves others.
            let answer = tokio::task::spawn_blocking(move || {
                ureq::run(request).and_then(|mut answer| answer.body_mut().read_to_string())
            });
            match answer.await {
                Ok(Ok(text)) => Ok(text),
                failed => {
                    error!("no answer: {failed:?}");
                    Err(StatusCode::BAD_GATEWAY)
                }
            }
        }
        .instrument(span)
        .await
    }
}

/// shop: POST /checkout
async fn check_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let span = app.server_span(&headers, "POST /checkout");
    let trace_id = span.context().span().span_context().trace_id();
    async {
        info!("the cart has 3 items");
        app.call("POST", "/charge").await
    }
    .instrument(span)
    .await?;
    Ok(trace_id.to_string())
}

/// payments: POST /charge
async fn charge(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let span = app.server_span(&headers, "POST /charge");
    async {
        let price = app.call("GET", "/price").await?;
        info!(price, "charged");
        Ok(price)
    }
    .instrument(span)
    .await
}

/// shop: GET /price
async fn price(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let span = app.server_span(&headers, "GET /price");
    span.in_scope(|| Ok("24.90".to_owned()))
}
