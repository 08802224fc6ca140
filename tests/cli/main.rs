//! Stub
mod demo;
