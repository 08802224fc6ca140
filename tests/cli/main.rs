//! The command `amida`, run as its users run it.

#![allow(clippy::unwrap_used)] // in tests
#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // tests use real files

mod demo;
mod docs;
mod export;
mod import;
mod killed;
mod partial;
mod prompt;
mod pty;
mod reading;
mod reading_output;
mod real;
mod run;
mod terminal;
mod upkeep;
mod waterfall;
