//! Stub: OTLP/JSON to OTLP protobuf, see the plan.
