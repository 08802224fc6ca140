//! The shop's checkout, with a card network that is slow for a while, and what follows an order: a
//! trace of its own, linked to the message that caused it.

use super::scene::{Kind, MS, Place, S, Scene, US};
use super::shop::{page, price};
use super::traffic::{Http, Outcome};
use super::world::Service;

/// The part of the demo's window in which the card network is slow.
const SLOW_CARDS: std::ops::Range<f64> = 0.2..0.3;

const STACK: &str = "com.example.payment.AcquirerTimeout: read timed out\n\tat \
    com.example.payment.Acquirer.authorise(Acquirer.java:212)\n\tat \
    com.example.payment.ChargeService.charge(ChargeService.java:74)";

/// The message that says that there is an order.
pub struct Message {
    place: Place,
    order: String,
}

/// A checkout; gives the message that it sent, if it got that far.
pub fn checkout(s: &mut Scene<'_>) -> Option<Message> {
    let mut sent = None;
    page(s, "POST", "/checkout", "/checkout".into(), |s| {
        s.http(Service::Checkout, Http::new("POST", "/v1/orders", "/v1/orders"), |s| {
            let order = format!("o-{:09}", s.rng.u32(..));
            let outcome = order_steps(s, &order);
            if !outcome.is_failure() {
                sent = Some(Message { place: publish(s, &order), order });
            }
            outcome
        })
    });
    sent
}

fn order_steps(s: &mut Scene<'_>, order: &str) -> Outcome {
    let items = s.rng.i64(1..7);
    let total = (s.rng.f64() * 50_000.0).round() / 100.0;
    s.set("order.id", order.to_owned());
    s.set("order.items", items);
    s.set("order.total", total);
    s.set("order.gift", s.rng.u8(..10) == 0);
    s.rpc(Service::Cart, "shop.Cart", "Get", |s| {
        s.cached("cart", 0.98);
        Outcome::RPC_OK
    });
    let mut fork = s.fork();
    for _ in 0..items {
        s.branch(&mut fork, price);
    }
    s.branch(&mut fork, |s| {
        s.rpc(Service::Shipping, "shop.Shipping", "Quote", |s| {
            let carrier = s.rng.one_of(&["yamato", "sagawa", "jp-post"]);
            s.set("shipping.carrier", carrier);
            s.work(9 * MS);
            Outcome::RPC_OK
        });
    });
    s.join(fork);
    let reserved = s.rpc(Service::Inventory, "shop.Inventory", "Reserve", |s| {
        let text = "UPDATE stock SET reserved = reserved + $2 WHERE product = $1 AND free >= $2";
        s.query("UPDATE", "stock", text, 4 * MS);
        let is_out = s.rng.chance(0.015);
        if is_out { Outcome::new(9, "out of stock") } else { Outcome::RPC_OK }
    });
    if reserved.is_failure() {
        return Outcome::new(409, "out of stock");
    }
    let paid = pay(s, total);
    if paid.is_failure() {
        let code = if paid.code == 4 { 504 } else { 402 };
        return Outcome::new(code, paid.words);
    }
    s.rpc(Service::OrderDb, "orders.Store", "Insert", |s| {
        s.query(
            "INSERT",
            "orders",
            "INSERT INTO orders (id, customer, total) VALUES ($1, $2, $3)",
            5 * MS,
        );
        Outcome::RPC_OK
    });
    Outcome::new(201, "")
}

fn pay(s: &mut Scene<'_>, total: f64) -> Outcome {
    s.rpc(Service::Payment, "shop.Payments", "Charge", |s| {
        s.set("payment.amount", total);
        let method = s.rng.one_of(&["card", "card", "card", "konbini", "wallet"]);
        s.set("payment.method", method);
        let checked = s.http(Service::Fraud, Http::new("POST", "/score", "/score"), |s| {
            let score = (s.rng.f64().powi(6) * 1000.0).round() / 1000.0;
            s.set("fraud.score", score);
            s.work_spread(35 * MS, 0.5);
            if score > 0.95 { Outcome::new(403, "looks like fraud") } else { Outcome::HTTP_OK }
        });
        if checked.is_failure() {
            return Outcome::new(7, "looks like fraud");
        }
        authorise(s)
    })
}

/// The card network, outside of the house.
fn authorise(s: &mut Scene<'_>) -> Outcome {
    let is_slow = SLOW_CARDS.contains(&s.progress);
    let mut outcome = Outcome::RPC_OK;
    s.own(Kind::Client, "POST /authorise", |s| {
        s.set("http.request.method", "POST");
        s.set("url.full", "https://acquirer.example/authorise");
        s.set("server.address", "acquirer.example");
        s.set("server.port", 443i64);
        let begin = s.now;
        s.work_spread(if is_slow { 1_400 * MS } else { 160 * MS }, 0.55);
        if s.now - begin > 3 * S {
            s.now = begin + 3 * S;
            s.set("error.type", "timeout");
            s.throw("com.example.payment.AcquirerTimeout", "read timed out", STACK);
            outcome = Outcome::new(4, "the card network did not answer within 3 s");
        } else if s.rng.chance(0.02) {
            s.set("http.response.status_code", 402i64);
            outcome = Outcome::new(9, "card declined");
        } else {
            s.set("http.response.status_code", 200i64);
        }
    });
    outcome
}

fn publish(s: &mut Scene<'_>, order: &str) -> Place {
    let producer = s.pick(Service::Checkout);
    s.span(producer, Kind::Producer, "send orders", |s| {
        message_attributes(s, "send", order);
        s.work(1_800 * US);
    })
}

fn message_attributes(s: &mut Scene<'_>, operation: &'static str, order: &str) {
    s.set("messaging.system", "kafka");
    s.set("messaging.operation.name", operation);
    s.set("messaging.destination.name", "orders");
    s.set("messaging.destination.partition.id", s.rng.u8(0..12).to_string());
    s.set("messaging.kafka.offset", s.rng.i64(1_000_000..9_000_000));
    s.set("order.id", order.to_owned());
}

/// What follows an order.
pub fn fulfil(s: &mut Scene<'_>, message: &Message) {
    let consumer = s.pick(Service::KafkaConsumer);
    s.span(consumer, Kind::Consumer, "process orders", |s| {
        s.link(message.place);
        message_attributes(s, "process", &message.order);
        s.rpc(Service::Inventory, "shop.Inventory", "Commit", |s| {
            s.query(
                "UPDATE",
                "stock",
                "UPDATE stock SET free = free - $2 WHERE product = $1",
                3 * MS,
            );
            Outcome::RPC_OK
        });
        let mut fork = s.fork();
        s.branch(&mut fork, |s| {
            s.http(Service::Email, Http::new("POST", "/send", "/send"), |s| {
                s.set("email.template", "order-confirmation");
                s.set("email.recipients", vec!["customer", "archive"]);
                s.work_spread(120 * MS, 0.7);
                if s.rng.chance(0.01) {
                    return Outcome::new(503, "the mail relay refused the connection");
                }
                Outcome::new(202, "")
            });
        });
        s.branch(&mut fork, |s| {
            s.rpc(Service::Shipping, "shop.Shipping", "Book", |s| {
                s.work(60 * MS);
                Outcome::RPC_OK
            });
        });
        s.join(fork);
    });
}
