//! The engine's integration tests, in one binary.
//!
//! | file | asks |
//! |---|---|
//! | differential | does the engine take and give what prost and the rules say? |
//! | bad_spans | what becomes of each kind of bad span? |
//! | bad_inputs | and of bad directories? |
//! | bad_requests | and of bad requests? |
//! | lifecycle | opening, closing, locks, readers beside the writer |
//! | compaction | what it tells, and what goes on beside it |
//! | fixtures | are stores of earlier versions read? |
//! | opening | what opening leaves alone; newer formats, full disks, wrong clocks |
//! | readers | and when the directory is moved under a reader? |
//! | sim | is what was acknowledged there after a crash or a failure at any call? |
//! | crashes | and when many threads append? |
//! | faults | full disks, failed writes and syncs |
//! | damage | torn and rotten bytes on the disk |
//! | verify | is damage anywhere found, and is a sound store clean? |
//! | checkpoint | is a copy whole, and what is left of one that failed? |
//! | rebuild | is a lost manifest made again as it was? |
//! | full_disk | a real disk that is full |
//! | flips | every byte of a store flipped, cut, in a wrong place |
//! | killed | a process that writes is killed, at random and at every call |
//! | log_format | is the log what docs/format.md says? |
//! | promises | single promises that no other file asks for |
//! | partial | and what is answered from the rest? |
//! | json | what becomes of OTLP/JSON, good and bad? |
//! | export | are spans that were exported the same spans again? |
//! | real | are real traces stored as an independent reader read them? |
//! | traces | how do spans hang together, and what is the critical path? |
//! | fuzzed | the bodies of the fuzz targets, on seeds |
#![allow(clippy::unwrap_used)] // in tests, a panic with its place is the answer

mod allocator;
mod bad_inputs;
mod bad_requests;
mod bad_spans;
mod checkpoint;
mod common;
mod compaction;
mod crashes;
mod damage;
mod differential;
mod export;
mod faults;
mod fixtures;
mod flips;
mod full_disk;
mod fuzzed;
mod golden;
mod json;
mod killed;
mod lifecycle;
mod log_format;
mod opening;
mod partial;
mod promises;
mod readers;
mod real;
mod rebuild;
mod rows;
mod sim;
mod tap;
mod traces;
mod verify;
