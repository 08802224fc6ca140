//! The web shop: about twenty services behind a gateway. A search that asks for prices one by one,
//! a recommendation service with a long tail, a review service that falls over now and then.

use super::scene::{Kind, MS, Scene, US};
use super::traffic::{Http, Outcome};
use super::world::Service;

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/18.2 Safari/605",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
];
const WORDS: [&str; 8] =
    ["kettle", "desk lamp", "headphones", "湯呑み", "raincoat", "notebook", "bicycle bell", "tea"];
const STACK: &str = "Traceback (most recent call last):\n  File \"/app/review/store.py\", line 88, \
    in list_reviews\n    rows = pool.fetch(QUERY, product)\npsycopg.errors.QueryCanceled: \
    canceling statement due to statement timeout";

/// A page of the shop: what the browser's request sets off.
pub fn page(
    s: &mut Scene<'_>,
    method: &'static str,
    route: &'static str,
    path: String,
    body: impl FnOnce(&mut Scene<'_>) -> Outcome,
) {
    let web = s.pick(Service::FrontendWeb);
    s.span(web, Kind::Server, format!("{method} {route}"), |s| {
        s.set("http.request.method", method);
        s.set("http.route", route);
        s.set("url.path", path.clone());
        s.set("url.scheme", "https");
        let browser = s.rng.one_of(&BROWSERS);
        s.set("user_agent.original", browser);
        s.set("session.id", format!("{:016x}", s.rng.u64(..)));
        let currency = s.rng.one_of(&["JPY", "JPY", "EUR", "USD"]);
        s.set("app.currency", currency);
        s.compute();
        let outcome = s.http(Service::Gateway, Http::new(method, route, path), |s| {
            if s.rng.chance(0.3) {
                s.rpc(Service::User, "shop.Users", "Session", |s| {
                    s.cached("session", 0.95);
                    Outcome::RPC_OK
                });
            }
            body(s)
        });
        s.compute();
        s.set("http.response.status_code", outcome.code);
        if outcome.code >= 500 {
            s.set("error.type", outcome.code.to_string());
            s.fail(outcome.words);
        }
    });
}

/// The home page.
pub fn home(s: &mut Scene<'_>) {
    page(s, "GET", "/", "/".into(), |s| {
        let mut fork = s.fork();
        s.branch(&mut fork, |s| {
            s.rpc(Service::Catalog, "shop.Catalog", "ListFeatured", |s| {
                if !s.cached("featured", 0.9) {
                    let text = "SELECT * FROM products WHERE featured ORDER BY rank LIMIT 24";
                    s.query("SELECT", "products", text, 12 * MS);
                }
                Outcome::RPC_OK
            });
        });
        s.branch(&mut fork, recommend);
        s.branch(&mut fork, advertise);
        s.join(fork);
        images(s, 3);
        Outcome::HTTP_OK
    });
}

/// One product.
pub fn product(s: &mut Scene<'_>) {
    let id = s.rng.u32(1..6_000);
    page(s, "GET", "/products/{id}", format!("/products/{id}"), |s| {
        let outcome = s.rpc(Service::Catalog, "shop.Catalog", "Get", |s| {
            s.set("product.id", i64::from(id));
            if !s.cached("product", 0.85) {
                s.query("SELECT", "products", "SELECT * FROM products WHERE id = $1", 3 * MS);
            }
            let is_gone = id.is_multiple_of(997);
            if is_gone { Outcome::new(5, "no such product") } else { Outcome::RPC_OK }
        });
        if outcome.is_failure() {
            return Outcome::new(404, "no such product");
        }
        let mut fork = s.fork();
        s.branch(&mut fork, price);
        s.branch(&mut fork, stock);
        s.branch(&mut fork, reviews);
        s.branch(&mut fork, recommend);
        s.join(fork);
        images(s, 2);
        Outcome::HTTP_OK
    });
}

/// A search. Version 1.14.0 of the service asks for the price of each hit alone.
pub fn search(s: &mut Scene<'_>) {
    let word = s.rng.one_of(&WORDS);
    page(s, "GET", "/search", "/search".into(), |s| {
        s.http(Service::Search, Http::new("GET", "/v1/query", "/v1/query"), |s| {
            let hits = s.rng.i64(0..18);
            s.set("search.query", word);
            s.set("search.hits", hits);
            s.own(Kind::Client, "search products", |s| {
                s.set("db.system.name", "opensearch");
                s.set("db.operation.name", "search");
                s.set("db.collection.name", "products");
                s.set("server.address", "opensearch-data");
                s.work_spread(22 * MS, 0.6);
            });
            if s.version() == "1.14.0" {
                s.set("feature.per_hit_prices", true);
                (0..hits).for_each(|_| price(s));
            } else {
                s.set("feature.per_hit_prices", false);
                s.rpc(Service::Pricing, "shop.Pricing", "QuoteMany", |s| {
                    s.set("pricing.items", hits);
                    s.cached("prices", 0.7);
                    s.work(4 * MS);
                    Outcome::RPC_OK
                });
            }
            Outcome::HTTP_OK
        })
    });
}

/// Something goes into the cart.
pub fn add_to_cart(s: &mut Scene<'_>) {
    page(s, "POST", "/cart/items", "/cart/items".into(), |s| {
        s.rpc(Service::Cart, "shop.Cart", "AddItem", |s| {
            s.set("cart.items", s.rng.i64(1..9));
            s.cached("cart", 0.98);
            s.work(2 * MS);
            Outcome::RPC_OK
        });
        price(s);
        stock(s);
        Outcome::HTTP_OK
    });
}

/// A price, in the customer's currency.
pub fn price(s: &mut Scene<'_>) {
    s.rpc(Service::Pricing, "shop.Pricing", "Quote", |s| {
        s.set("price.amount", (s.rng.f64() * 30_000.0).round() / 100.0);
        if s.rng.chance(0.3) {
            s.rpc(Service::Currency, "shop.Currency", "Convert", |s| {
                let from = s.rng.one_of(&["JPY", "EUR", "USD", "GBP"]);
                s.set("currency.from", from);
                s.work(300 * US);
                Outcome::RPC_OK
            });
        }
        s.work(1_500 * US);
        Outcome::RPC_OK
    });
}

fn stock(s: &mut Scene<'_>) {
    s.rpc(Service::Inventory, "shop.Inventory", "Available", |s| {
        let text = "SELECT sum(quantity) FROM stock WHERE product = $1";
        s.query("SELECT", "stock", text, 2 * MS);
        s.set("stock.available", s.rng.i64(0..400));
        Outcome::RPC_OK
    });
}

fn reviews(s: &mut Scene<'_>) {
    let outcome = s.http(Service::Review, Http::new("GET", "/v2/reviews", "/v2/reviews"), |s| {
        let text = "SELECT * FROM reviews WHERE product = $1 ORDER BY created DESC LIMIT 20";
        if s.rng.chance(0.012) {
            s.query("SELECT", "reviews", text, 900 * MS);
            s.throw("psycopg.errors.QueryCanceled", "canceling statement due to timeout", STACK);
            return Outcome::new(500, "canceling statement due to timeout");
        }
        s.query("SELECT", "reviews", text, 6 * MS);
        s.set("review.stars", (s.rng.f64() * 40.0 + 10.0).round() / 10.0);
        Outcome::HTTP_OK
    });
    if outcome.is_failure() {
        s.event("reviews.left_out", vec![("reason", outcome.words.into())]);
    }
}

fn recommend(s: &mut Scene<'_>) {
    s.rpc(Service::Recommendation, "shop.Recommendations", "ForUser", |s| {
        s.set("model.version", "als-2026-10");
        s.set("model.candidates", s.rng.i64(40..400));
        // The slow dependency: most are quick, the tail is long.
        s.work_spread(14 * MS, 1.1);
        Outcome::RPC_OK
    });
}

fn advertise(s: &mut Scene<'_>) {
    s.rpc(Service::Ad, "shop.Ads", "Pick", |s| {
        s.set("ad.slots", vec!["top", "side"]);
        s.work(5 * MS);
        Outcome::RPC_OK
    });
}

fn images(s: &mut Scene<'_>, number: usize) {
    let mut fork = s.fork();
    for _ in 0..number {
        let path = format!("/img/{:05}.webp", s.rng.u32(..20_000));
        s.branch(&mut fork, |s| {
            s.http(Service::Image, Http::new("GET", "/img/{name}", path), |s| {
                s.set("image.width", 640i64);
                s.work(7 * MS);
                Outcome::HTTP_OK
            });
        });
    }
    s.join(fork);
}
