//! The command `amida`, run as its users run it.

#![allow(clippy::unwrap_used)] // in tests

mod demo;
