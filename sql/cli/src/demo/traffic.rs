//! How services talk: HTTP, gRPC, databases, caches, with the attributes of OpenTelemetry's
//! semantic conventions.

use super::scene::{Kind, MS, Scene, US};
use super::world::Service;

/// A request: what the caller's and the called side's spans have in common.
pub struct Http {
    pub method: &'static str,
    pub route: &'static str,
    pub path: String,
}

impl Http {
    pub fn new(method: &'static str, route: &'static str, path: impl Into<String>) -> Self {
        Self { method, route, path: path.into() }
    }
}

/// How an RPC or a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// An HTTP status, or a gRPC code.
    pub code: i64,
    /// The words of a failure; empty where it went well.
    pub words: &'static str,
}

impl Outcome {
    pub const HTTP_OK: Outcome = Outcome { code: 200, words: "" };
    pub const RPC_OK: Outcome = Outcome { code: 0, words: "" };

    pub const fn new(code: i64, words: &'static str) -> Self {
        Self { code, words }
    }

    pub fn is_failure(self) -> bool {
        !self.words.is_empty()
    }
}

impl Scene<'_> {
    /// An HTTP request from the open span's instance: a client span, and a server span in it.
    pub fn http(
        &mut self,
        to: Service,
        request: Http,
        body: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        self.http_with(to, request, |_| (), body)
    }

    /// The same, with what the caller's span says besides.
    pub fn http_with(
        &mut self,
        to: Service,
        request: Http,
        caller: impl FnOnce(&mut Self),
        body: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let mut outcome = Outcome::HTTP_OK;
        let name = format!("{} {}", request.method, request.route);
        self.own(Kind::Client, name, |s| {
            s.set("http.request.method", request.method);
            s.set("url.full", format!("http://{}:8080{}", to.name(), request.path));
            s.set("server.address", to.name());
            s.set("server.port", 8080i64);
            s.peer(8080);
            s.set("http.request.body.size", s.rng.i64(0..2_400));
            caller(s);
            s.work(350 * US);
            outcome = s.serve(to, request, body);
            s.work(250 * US);
            s.set("http.response.status_code", outcome.code);
            if outcome.code >= 400 {
                s.set("error.type", outcome.code.to_string());
                s.fail(outcome.words);
            }
        });
        outcome
    }

    /// The called side of an HTTP request.
    pub fn serve(
        &mut self,
        to: Service,
        request: Http,
        body: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let mut outcome = Outcome::HTTP_OK;
        let instance = self.pick(to);
        let name = format!("{} {}", request.method, request.route);
        self.span(instance, Kind::Server, name, |s| {
            s.set("http.request.method", request.method);
            s.set("http.route", request.route);
            s.set("url.path", request.path);
            s.set("url.scheme", "http");
            s.set("network.protocol.version", "1.1");
            s.set("server.address", to.name());
            s.set("user_agent.original", "Go-http-client/1.1");
            s.peer(8080);
            outcome = body(s);
            s.set("http.response.status_code", outcome.code);
            s.set("http.response.body.size", s.rng.i64(80..24_000));
            if outcome.code >= 500 {
                s.set("error.type", outcome.code.to_string());
                s.fail(outcome.words);
            }
        });
        outcome
    }

    /// A gRPC call from the open span's instance: a client span, and a server span in it.
    pub fn rpc(
        &mut self,
        to: Service,
        service: &'static str,
        method: &'static str,
        body: impl FnOnce(&mut Self) -> Outcome,
    ) -> Outcome {
        let name = format!("{service}/{method}");
        let mut outcome = Outcome::RPC_OK;
        self.own(Kind::Client, name.clone(), |s| {
            s.rpc_attributes(service, method);
            s.set("server.address", to.name());
            s.set("server.port", 9090i64);
            s.work(200 * US);
            let instance = s.pick(to);
            s.span(instance, Kind::Server, name, |s| {
                s.rpc_attributes(service, method);
                s.set("user_agent.original", "grpc-go/1.76.0");
                s.set("rpc.message.received.size", s.rng.i64(24..900));
                outcome = body(s);
                s.rpc_end(outcome);
            });
            s.work(150 * US);
            s.rpc_end(outcome);
        });
        outcome
    }

    fn rpc_attributes(&mut self, service: &'static str, method: &'static str) {
        self.set("rpc.system", "grpc");
        self.set("rpc.service", service);
        self.set("rpc.method", method);
        self.set("network.transport", "tcp");
        self.peer(9090);
    }

    /// The other end of the connection.
    fn peer(&mut self, port: i64) {
        let address = format!("10.2.{}.{}", self.rng.u8(0..8), self.rng.u8(2..250));
        self.set("network.peer.address", address);
        self.set("network.peer.port", port);
        self.set("network.type", "ipv4");
    }

    fn rpc_end(&mut self, outcome: Outcome) {
        self.set("rpc.grpc.status_code", outcome.code);
        if outcome.is_failure() {
            self.fail(outcome.words);
        }
    }

    /// A statement to a PostgreSQL of the open span's service.
    pub fn query(
        &mut self,
        operation: &'static str,
        table: &'static str,
        text: &'static str,
        median_ns: i64,
    ) {
        self.own(Kind::Client, format!("{operation} {table}"), |s| {
            s.set("db.system.name", "postgresql");
            s.set("db.namespace", "main");
            s.set("db.operation.name", operation);
            s.set("db.collection.name", table);
            s.set("db.query.text", text);
            s.set("server.address", "postgres-primary");
            s.set("db.query.summary", format!("{operation} {table}"));
            s.set("db.client.connection.pool.name", "primary");
            s.peer(5432);
            s.set("server.port", 5432i64);
            s.set("db.response.returned_rows", s.rng.i64(0..60));
            s.work_spread(median_ns, 0.6);
        });
    }

    /// A look into the shared cache; true when it was there.
    pub fn cached(&mut self, prefix: &'static str, hits: f64) -> bool {
        let hit = self.rng.chance(hits);
        let key = format!("{prefix}:{}", self.rng.u32(1..50_000));
        self.own(Kind::Client, "GET", |s| {
            s.set("db.system.name", "redis");
            s.set("db.operation.name", "GET");
            s.set("db.query.text", format!("GET {key}"));
            s.set("server.address", "cache");
            s.peer(6379);
            s.set("server.port", 6379i64);
            s.work(120 * US);
            let instance = s.pick(Service::Cache);
            s.span(instance, Kind::Server, "cache.get", |s| {
                s.set("cache.key", key);
                s.set("cache.hit", hit);
                s.set("cache.shard", s.rng.i64(0..16));
                s.set("cache.memory.used_ratio", (s.rng.f64() * 1000.0).round() / 1000.0);
                s.work(80 * US);
            });
            s.work(60 * US);
        });
        hit
    }

    /// Time in the process: serialising, rendering, computing.
    pub fn compute(&mut self) {
        self.work_spread(MS, 0.5);
    }
}
