//! What the spans of the corpus say of themselves: names, about eleven typed attributes, events.

use fastrand::Rng;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;

use super::random::{log_normal, skewed};
use super::services::{Protocol, SERVICES};
use super::trace::{Node, Role, Trace};

const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/131.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
    "okhttp/4.12.0",
    "shop-android/9.41.2",
    "python-requests/2.32.3",
    "kube-probe/1.31",
];
const FAILURES: [(&str, &str); 6] = [
    ("TimeoutError", "deadline exceeded after 2000 ms"),
    ("ConnectionResetError", "connection reset by peer"),
    ("java.sql.SQLTransientConnectionException", "no connection within 500 ms"),
    ("IllegalStateException", "stock was reserved by another order"),
    ("io.grpc.StatusRuntimeException", "UNAVAILABLE: upstream connect error"),
    ("ValidationError", "field 'quantity' must be positive"),
];
const STATUSES_FAILED: [i64; 4] = [503, 500, 504, 502];
const STATUSES_REFUSED: [i64; 4] = [404, 401, 409, 429];

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn int(key: &str, value: impl Into<i64>) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

/// What an instance of a service says of itself.
pub fn resource(random: &mut Rng, service: usize, instance: usize) -> Resource {
    let Some(of) = SERVICES.get(service) else { return Resource::default() };
    let pod = format!("{}-{:08x}-{instance}", of.name, random.u32(..));
    let id = format!("{:016x}-{:08x}", random.u64(..), random.u32(..));
    let attributes = vec![
        text("service.name", of.name),
        text("service.namespace", "shop"),
        text("service.version", format!("{}.{}.0", 1 + service % 4, random.u8(0..30))),
        text("service.instance.id", id),
        text("deployment.environment.name", "production"),
        text("k8s.pod.name", pod),
        text("host.name", format!("node-{:02}.eu-central-1.compute.internal", random.u8(0..12))),
        text("telemetry.sdk.language", of.language),
        int("process.pid", random.i32(2..40_000)),
    ];
    Resource { attributes, ..Resource::default() }
}

/// The name of a span.
pub fn name(node: &Node) -> String {
    match node.role {
        Role::Producer => format!("{} publish", node.what),
        Role::Consumer => format!("{} process", node.what),
        Role::Client if node.protocol() == Protocol::Http => method_and_route(node.what).0.into(),
        _ => node.what.split('|').next().unwrap_or(node.what).to_owned(),
    }
}

fn method_and_route(what: &str) -> (&str, &str) {
    what.split_once(' ').unwrap_or((what, ""))
}

/// The path that was asked for, with what the route leaves open.
fn path(route: &str, entity: u32) -> String {
    match route.split_once('{').and_then(|(head, rest)| Some((head, rest.split_once('}')?.1))) {
        Some((head, tail)) => format!("{head}{entity}{tail}"),
        None => route.to_owned(),
    }
}

/// The attributes of a span.
pub fn attributes(random: &mut Rng, trace: &Trace, node: &Node) -> Vec<KeyValue> {
    let mut list = Vec::with_capacity(14);
    match (node.role, node.protocol()) {
        (Role::Server, Protocol::Http) => http_server(random, trace, node, &mut list),
        (Role::Client, Protocol::Http) => http_client(random, trace, node, &mut list),
        (Role::Server | Role::Client, _) => rpc(random, trace, node, &mut list),
        (Role::Database, _) => database(random, node, &mut list),
        (Role::Internal, _) => internal(random, trace, node, &mut list),
        (Role::Producer | Role::Consumer, _) => message(random, trace, node, &mut list),
    }
    let thread = 1 + skewed(random, 48, 1.5) as i64;
    list.push(int("thread.id", thread));
    if node.service().language != "nodejs" {
        list.push(text("thread.name", format!("worker-{thread}")));
    }
    list
}

fn status(random: &mut Rng, failed: bool) -> i64 {
    if failed {
        return STATUSES_FAILED[skewed(random, STATUSES_FAILED.len(), 2.0)];
    }
    match random.u8(0..100) {
        0..3 => STATUSES_REFUSED[skewed(random, STATUSES_REFUSED.len(), 2.0)],
        3..9 => 201,
        9..12 => 204,
        _ => 200,
    }
}

fn address(service: usize, instance: usize) -> String {
    format!("10.{}.{}.{}", 40 + service % 4, 16 * service % 250, 11 + 7 * instance)
}

fn user(trace: &Trace) -> String {
    format!("u-{:05}", trace.user)
}

fn http_server(random: &mut Rng, trace: &Trace, node: &Node, list: &mut Vec<KeyValue>) {
    let (method, route) = method_and_route(node.what);
    list.push(text("http.request.method", method));
    list.push(text("http.route", route));
    list.push(text("url.path", path(route, trace.entity)));
    list.push(text("url.scheme", if node.parent.is_some() { "http" } else { "https" }));
    list.push(int("http.response.status_code", status(random, node.failed)));
    list.push(text("user.id", user(trace)));
    list.push(text("server.address", format!("{}.shop.svc.cluster.local", node.service().name)));
    if node.parent.is_none() {
        let [a, b, c] = [trace.user % 223, trace.user % 251, trace.user % 241];
        list.push(text("client.address", format!("{}.{b}.{c}.{}", 1 + a, trace.user % 239)));
        list.push(text("user_agent.original", AGENTS[trace.user % AGENTS.len()]));
        list.push(double("sampling.ratio", 0.25));
    } else {
        list.push(text("network.peer.address", address(node.peer, trace.user % 3)));
        list.push(int("network.peer.port", random.i32(32_768..60_999)));
    }
    list.push(int("http.response.body.size", log_normal(random, 1_800.0, 1.1) as i64));
}

fn http_client(random: &mut Rng, trace: &Trace, node: &Node, list: &mut Vec<KeyValue>) {
    let (method, route) = method_and_route(node.what);
    let peer = SERVICES[node.peer].name;
    list.push(text("http.request.method", method));
    let path = path(route, trace.entity);
    list.push(text("url.full", format!("http://{peer}.shop.svc.cluster.local:8080{path}")));
    list.push(text("url.path", path));
    list.push(int("http.response.status_code", status(random, node.failed)));
    list.push(text("server.address", format!("{peer}.shop.svc.cluster.local")));
    list.push(int("server.port", 8080));
    list.push(text("network.peer.address", address(node.peer, trace.user % 3)));
    list.push(text("network.protocol.version", "1.1"));
    list.push(int("http.request.resend_count", i64::from(node.failed)));
    list.push(boolean("connection.reused", random.u8(0..20) > 0));
}

fn rpc(random: &mut Rng, trace: &Trace, node: &Node, list: &mut Vec<KeyValue>) {
    let (service, method) = node.what.split_once('/').unwrap_or((node.what, ""));
    list.push(text("rpc.system", "grpc"));
    list.push(text("rpc.service", service));
    list.push(text("rpc.method", method));
    list.push(int("rpc.grpc.status_code", if node.failed { 14 } else { 0 }));
    let served = if node.role == Role::Client { node.peer } else { node.service };
    let name = SERVICES[served].name;
    list.push(text("server.address", format!("{name}.shop.svc.cluster.local")));
    list.push(int("server.port", 9090));
    list.push(text("network.peer.address", address(node.peer, trace.user % 3)));
    if node.role == Role::Server {
        list.push(text("user.id", user(trace)));
        list.push(int("network.peer.port", random.i32(32_768..60_999)));
    } else {
        list.push(text("network.transport", "tcp"));
        list.push(double("rpc.deadline_s", 2.0));
    }
    list.push(int("rpc.response.size", log_normal(random, 600.0, 1.0) as i64));
}

fn database(random: &mut Rng, node: &Node, list: &mut Vec<KeyValue>) {
    let (short, statement) = node.what.split_once('|').unwrap_or((node.what, ""));
    let (operation, collection) = short.split_once(' ').unwrap_or((short, ""));
    let service = node.service();
    list.push(text("db.system", service.database));
    list.push(text("db.namespace", format!("{}_production", service.name)));
    list.push(text("db.operation.name", operation));
    list.push(text("db.collection.name", collection));
    list.push(text("db.statement", statement));
    list.push(text("server.address", format!("{}-db.shop.svc.cluster.local", service.name)));
    list.push(int("server.port", 5432));
    list.push(int("db.response.returned_rows", log_normal(random, 4.0, 1.2) as i64));
    list.push(double("db.pool.wait_ms", (log_normal(random, 0.05, 1.0) * 1e3).round() / 1e3));
    list.push(boolean("db.statement.prepared", random.u8(0..10) > 2));
}

fn internal(random: &mut Rng, trace: &Trace, node: &Node, list: &mut Vec<KeyValue>) {
    let name = node.service().name;
    list.push(text("code.function.name", node.what));
    list.push(text("code.file.path", format!("src/{name}/handlers/{}.src", node.what.len())));
    list.push(int("code.line.number", 20 + node.what.len() as i64 * 17));
    list.push(boolean("cache.hit", random.u8(0..10) > 3));
    list.push(text("cache.key", format!("{name}:{}:v3", trace.entity)));
    list.push(int("items.count", log_normal(random, 12.0, 0.9) as i64));
    list.push(double("queue.wait_ms", log_normal(random, 0.8, 1.2)));
    list.push(text("feature.variant", ["control", "a", "b"][trace.user % 3]));
    list.push(text("tenant.id", format!("tenant-{:03}", trace.user % 120)));
    list.push(double("cpu.time_ms", (log_normal(random, 1.5, 1.0) * 1e4).round() / 1e4));
    if random.u8(0..4) == 0 {
        list.push(text("user.id", user(trace)));
    }
}

fn message(random: &mut Rng, trace: &Trace, node: &Node, list: &mut Vec<KeyValue>) {
    let sends = node.role == Role::Producer;
    list.push(text("messaging.system", "kafka"));
    list.push(text("messaging.destination.name", node.what));
    list.push(text("messaging.operation.type", if sends { "publish" } else { "process" }));
    list.push(text("messaging.message.id", format!("{:016x}", random.u64(..))));
    list.push(int("messaging.destination.partition.id", (trace.user % 12) as i64));
    list.push(int("messaging.kafka.offset", i64::from(trace.entity) * 31));
    list.push(int("messaging.message.body.size", log_normal(random, 900.0, 0.8) as i64));
    list.push(text("messaging.client.id", format!("{}-{}", node.service().name, node.instance)));
    list.push(text("server.address", "kafka.shop.svc.cluster.local"));
    list.push(int("server.port", 9092));
}

/// The message of a failed span's status, and its events.
pub fn events(random: &mut Rng, node: &Node) -> (String, Vec<Event>) {
    let at = |share: f64| node.start_ns + (node.duration_ns as f64 * share) as u64;
    let event = |time_unix_nano: u64, name: &str, attributes: Vec<KeyValue>| Event {
        time_unix_nano,
        name: name.to_owned(),
        attributes,
        ..Event::default()
    };
    if node.failed {
        let (kind, message) = FAILURES[skewed(random, FAILURES.len(), 1.6)];
        let line = random.u8(20..250);
        let stack = format!(
            "{kind}: {message}\n  at handler ({}.src:{line})\n  at dispatch (server.src:211)\n",
            node.service().name
        );
        let attributes = vec![
            text("exception.type", kind),
            text("exception.message", message),
            text("exception.stacktrace", stack),
        ];
        return (message.to_owned(), vec![event(at(0.97), "exception", attributes)]);
    }
    if random.u16(0..1_000) >= 150 {
        return (String::new(), Vec::new());
    }
    let events = match (node.role, node.protocol()) {
        (Role::Server | Role::Client, Protocol::Grpc) => {
            let message = |time, kind| {
                event(time, "message", vec![text("message.type", kind), int("message.id", 1)])
            };
            vec![message(at(0.01), "RECEIVED"), message(at(0.98), "SENT")]
        }
        (Role::Internal, _) => {
            let level = int("cache.level", random.i32(1..4));
            vec![event(at(0.3), "cache.miss", vec![level])]
        }
        (Role::Database, _) => vec![event(at(0.6), "rows.fetched", Vec::new())],
        _ => {
            let attempt = vec![int("attempt", 1), double("backoff_ms", 12.5)];
            vec![event(at(0.5), "retry", attempt)]
        }
    };
    (String::new(), events)
}
