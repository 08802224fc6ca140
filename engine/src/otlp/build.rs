//! Stub: `RequestBuilder`, see the plan.
