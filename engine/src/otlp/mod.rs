//! Stub
pub mod build;
pub mod json;
