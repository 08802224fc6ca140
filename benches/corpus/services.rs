//! The system whose traces the corpus holds: a shop of twenty services, what they serve, what they
//! ask of databases, and whom they call.

/// How a service is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Operations are `METHOD /route`.
    Http,
    /// Operations are `package.Service/Method`.
    Grpc,
    /// Operations are topics that the service consumes.
    Messages,
}

/// A service; everywhere the first of a list is the most frequent.
#[derive(Debug)]
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// `telemetry.sdk.language`.
    pub language: &'static str,
    /// How it is called.
    pub protocol: Protocol,
    /// What it serves.
    pub operations: &'static [&'static str],
    /// Its internal functions.
    pub internal: &'static [&'static str],
    /// `db.system`; empty where it has none.
    pub database: &'static str,
    /// What it asks its database: operation and collection, then the statement after a bar.
    pub statements: &'static [&'static str],
    /// Services that it calls, as places in `SERVICES`.
    pub calls: &'static [usize],
    /// Topics that it sends to, each with the service that consumes it.
    pub topics: &'static [(&'static str, usize)],
}

use Protocol::{Grpc, Http, Messages};

/// Traces start at these.
pub const ENTRIES: [usize; 4] = [0, 1, 2, 3];

/// All services.
pub const SERVICES: [Service; 20] = [
    Service {
        name: "web-frontend",
        language: "nodejs",
        protocol: Http,
        operations: &[
            "GET /api/v1/products",
            "GET /api/v1/products/{id}",
            "GET /api/v1/cart",
            "GET /",
            "POST /api/v1/cart/items",
            "GET /api/v1/recommendations",
            "POST /api/v1/checkout",
            "GET /api/v1/orders/{id}",
            "GET /static/{asset}",
            "GET /healthz",
        ],
        internal: &["render page", "load session", "merge props", "hydrate state"],
        database: "redis",
        statements: &["GET session|GET session:?", "SETEX session|SETEX ? 1800 ?"],
        calls: &[4, 5, 6, 7, 8],
        topics: &[("page-views", 19)],
    },
    Service {
        name: "mobile-gateway",
        language: "go",
        protocol: Http,
        operations: &[
            "GET /api/v2/feed",
            "GET /api/v2/products/{id}",
            "POST /api/v2/sessions",
            "POST /api/v2/orders",
            "GET /api/v2/orders/{id}",
            "GET /api/v2/users/{id}/profile",
            "PUT /api/v2/users/{id}/profile",
            "DELETE /api/v2/cart/items/{id}",
        ],
        internal: &["authorize", "shape response", "negotiate version"],
        database: "redis",
        statements: &["HGETALL tokens|HGETALL token:?", "EXPIRE tokens|EXPIRE ? ?"],
        calls: &[5, 4, 6, 9, 7],
        topics: &[("page-views", 19)],
    },
    Service {
        name: "partner-api",
        language: "java",
        protocol: Http,
        operations: &[
            "GET /api/partners/v1/stock",
            "GET /api/partners/v1/prices",
            "POST /api/partners/v1/orders",
            "PATCH /api/partners/v1/orders/{id}",
            "GET /api/partners/v1/invoices/{id}",
            "GET /actuator/health",
        ],
        internal: &["checkQuota", "verifySignature", "mapOrder"],
        database: "postgresql",
        statements: &[
            "SELECT partners|SELECT id, name, quota, secret FROM partners WHERE api_key = $1",
            "UPDATE quotas|UPDATE quotas SET used = used + 1 WHERE partner_id = $1",
        ],
        calls: &[10, 11, 7, 12],
        topics: &[("orders-placed", 15)],
    },
    Service {
        name: "scheduler",
        language: "python",
        protocol: Http,
        operations: &[
            "POST /internal/jobs/reprice",
            "POST /internal/jobs/reindex",
            "POST /internal/jobs/settle",
            "POST /internal/jobs/expire-carts",
        ],
        internal: &["pick_batch", "acquire_lease", "release_lease"],
        database: "postgresql",
        statements: &[
            "SELECT jobs|SELECT * FROM jobs WHERE due < now() FOR UPDATE SKIP LOCKED LIMIT 50",
            "UPDATE jobs|UPDATE jobs SET state = 'done', finished = now() WHERE id = $1",
        ],
        calls: &[11, 4, 12, 5],
        topics: &[("catalogue-changed", 18)],
    },
    Service {
        name: "catalogue",
        language: "go",
        protocol: Grpc,
        operations: &[
            "shop.Catalogue/ListProducts",
            "shop.Catalogue/GetProduct",
            "shop.Catalogue/SearchProducts",
            "shop.Catalogue/GetCategory",
            "shop.Catalogue/PutProduct",
        ],
        internal: &["rank results", "expand variants", "decode image set"],
        database: "postgresql",
        statements: &[
            "SELECT products|SELECT id, sku, title, price FROM products WHERE id = ANY($1)",
            "SELECT variants|SELECT * FROM variants WHERE product_id = $1 ORDER BY rank",
            "SELECT categories|SELECT id, path, title FROM categories WHERE path <@ $1",
        ],
        calls: &[10, 11, 17],
        topics: &[("catalogue-changed", 18)],
    },
    Service {
        name: "cart",
        language: "dotnet",
        protocol: Grpc,
        operations: &[
            "shop.Cart/GetCart",
            "shop.Cart/AddItem",
            "shop.Cart/RemoveItem",
            "shop.Cart/EmptyCart",
        ],
        internal: &["ComputeTotals", "ValidateItems"],
        database: "redis",
        statements: &["HGET carts|HGET cart:? items", "HSET carts|HSET cart:? items ?"],
        calls: &[11, 10, 4],
        topics: &[],
    },
    Service {
        name: "identity",
        language: "java",
        protocol: Http,
        operations: &[
            "POST /api/identity/v1/tokens",
            "GET /api/identity/v1/users/{id}",
            "POST /api/identity/v1/introspect",
            "DELETE /api/identity/v1/sessions/{id}",
        ],
        internal: &["hashPassword", "signToken", "loadRoles"],
        database: "postgresql",
        statements: &[
            "SELECT users|SELECT id, email, password_hash, roles FROM users WHERE email = $1",
            "INSERT sessions|INSERT INTO sessions (id, user_id, expires) VALUES ($1, $2, $3)",
            "DELETE sessions|DELETE FROM sessions WHERE id = $1",
        ],
        calls: &[17],
        topics: &[("audit", 19), ("mail", 16)],
    },
    Service {
        name: "orders",
        language: "java",
        protocol: Http,
        operations: &[
            "GET /api/orders/v3/orders/{id}",
            "POST /api/orders/v3/orders",
            "GET /api/orders/v3/customers/{id}/orders",
            "POST /api/orders/v3/orders/{id}/cancel",
        ],
        internal: &["applyDiscounts", "reserveStock", "assignNumber", "toView"],
        database: "mysql",
        statements: &[
            "SELECT orders|SELECT * FROM orders JOIN order_lines USING (order_id) WHERE id = ?",
            "INSERT orders|INSERT INTO orders (id, customer_id, total) VALUES (?, ?, ?)",
            "INSERT order_lines|INSERT INTO order_lines (order_id, sku, qty) VALUES (?, ?, ?)",
            "UPDATE orders|UPDATE orders SET state = ? WHERE id = ? AND state = ?",
        ],
        calls: &[12, 10, 13, 11],
        topics: &[("orders-placed", 15), ("orders-paid", 14), ("mail", 16)],
    },
    Service {
        name: "recommendations",
        language: "python",
        protocol: Grpc,
        operations: &["shop.Recommendations/List", "shop.Recommendations/Similar"],
        internal: &["load_model", "score_candidates", "filter_seen"],
        database: "mongodb",
        statements: &[
            "find profiles|{\"find\":\"profiles\",\"filter\":{\"user\":\"?\"},\"limit\":1}",
            "aggregate views|{\"aggregate\":\"views\",\"pipeline\":[{\"$match\":\"?\"}]}",
        ],
        calls: &[4, 17],
        topics: &[],
    },
    Service {
        name: "profiles",
        language: "nodejs",
        protocol: Http,
        operations: &[
            "GET /api/profiles/v1/{id}",
            "PUT /api/profiles/v1/{id}",
            "GET /api/profiles/v1/{id}/addresses",
        ],
        internal: &["normalize address", "check consent"],
        database: "mongodb",
        statements: &[
            "find profiles|{\"find\":\"profiles\",\"filter\":{\"_id\":\"?\"},\"limit\":1}",
            "update profiles|{\"update\":\"profiles\",\"updates\":[{\"q\":{\"_id\":\"?\"}}]}",
        ],
        calls: &[6, 17],
        topics: &[("audit", 19)],
    },
    Service {
        name: "inventory",
        language: "go",
        protocol: Grpc,
        operations: &[
            "shop.Inventory/GetStock",
            "shop.Inventory/Reserve",
            "shop.Inventory/Release",
        ],
        internal: &["pick warehouse", "lock bins"],
        database: "postgresql",
        statements: &[
            "SELECT stock|SELECT sku, bin, qty FROM stock WHERE sku = ANY($1) FOR SHARE",
            "UPDATE stock|UPDATE stock SET qty = qty - $2 WHERE sku = $1 AND qty >= $2",
        ],
        calls: &[17],
        topics: &[("stock-changed", 18)],
    },
    Service {
        name: "pricing",
        language: "dotnet",
        protocol: Grpc,
        operations: &["shop.Pricing/Quote", "shop.Pricing/QuoteMany", "shop.Pricing/Reprice"],
        internal: &["EvaluateRules", "ConvertCurrency", "RoundAmounts"],
        database: "redis",
        statements: &["MGET prices|MGET price:? price:? price:?", "GET rates|GET rate:?"],
        calls: &[17],
        topics: &[],
    },
    Service {
        name: "payments",
        language: "java",
        protocol: Http,
        operations: &[
            "POST /api/payments/v1/charges",
            "POST /api/payments/v1/charges/{id}/refunds",
            "GET /api/payments/v1/charges/{id}",
        ],
        internal: &["screenFraud", "tokenizeCard", "bookLedger"],
        database: "postgresql",
        statements: &[
            "INSERT charges|INSERT INTO charges (id, order_id, amount) VALUES ($1, $2, $3)",
            "SELECT charges|SELECT id, amount, currency, state FROM charges WHERE id = $1",
            "INSERT ledger|INSERT INTO ledger (account, amount, booked) VALUES ($1, $2, now())",
        ],
        calls: &[13, 6],
        topics: &[("orders-paid", 14)],
    },
    Service {
        name: "fraud",
        language: "python",
        protocol: Grpc,
        operations: &["risk.Fraud/Score", "risk.Fraud/Explain"],
        internal: &["build_features", "run_model"],
        database: "mongodb",
        statements: &[
            "find devices|{\"find\":\"devices\",\"filter\":{\"fingerprint\":\"?\"}}",
            "find rules|{\"find\":\"rules\",\"filter\":{\"active\":true}}",
        ],
        calls: &[17],
        topics: &[],
    },
    Service {
        name: "billing",
        language: "java",
        protocol: Messages,
        operations: &["orders-paid"],
        internal: &["renderInvoice", "numberInvoice"],
        database: "mysql",
        statements: &[
            "INSERT invoices|INSERT INTO invoices (id, order_id, pdf_key) VALUES (?, ?, ?)",
            "SELECT customers|SELECT name, vat_id, address FROM customers WHERE id = ?",
        ],
        calls: &[9, 17],
        topics: &[("mail", 16)],
    },
    Service {
        name: "fulfilment",
        language: "go",
        protocol: Messages,
        operations: &["orders-placed"],
        internal: &["plan shipment", "print label", "choose carrier"],
        database: "postgresql",
        statements: &[
            "INSERT shipments|INSERT INTO shipments (id, order_id, carrier) VALUES ($1, $2, $3)",
            "UPDATE shipments|UPDATE shipments SET label = $2, state = 'ready' WHERE id = $1",
        ],
        calls: &[10, 17],
        topics: &[("mail", 16)],
    },
    Service {
        name: "notifications",
        language: "nodejs",
        protocol: Messages,
        operations: &["mail"],
        internal: &["render template", "check suppression"],
        database: "redis",
        statements: &["SISMEMBER suppressed|SISMEMBER suppressed ?", "INCR sent|INCR sent:?"],
        calls: &[9, 17],
        topics: &[],
    },
    Service {
        name: "feature-flags",
        language: "rust",
        protocol: Grpc,
        operations: &["flags.Flags/Evaluate", "flags.Flags/EvaluateAll"],
        internal: &["match segments"],
        database: "",
        statements: &[],
        calls: &[],
        topics: &[],
    },
    Service {
        name: "search-indexer",
        language: "rust",
        protocol: Messages,
        operations: &["catalogue-changed", "stock-changed"],
        internal: &["build document", "merge segments", "tokenize"],
        database: "elasticsearch",
        statements: &[
            "bulk products|POST /products/_bulk",
            "search products|POST /products/_search {\"query\":{\"match\":\"?\"}}",
        ],
        calls: &[4],
        topics: &[],
    },
    Service {
        name: "analytics",
        language: "python",
        protocol: Messages,
        operations: &["page-views", "audit"],
        internal: &["parse_event", "enrich_geo", "write_batch"],
        database: "postgresql",
        statements: &[
            "INSERT page_views|INSERT INTO page_views (at, path) SELECT * FROM unnest($1)",
            "SELECT geo|SELECT country, region FROM geo WHERE net >>= $1 LIMIT 1",
        ],
        calls: &[17],
        topics: &[],
    },
];
