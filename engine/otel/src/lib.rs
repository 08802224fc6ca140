//! A span exporter for opentelemetry_sdk.
