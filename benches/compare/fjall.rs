//! fjall in the comparison: `fjall ingest CORPUS DIR [--sync]`, `fjall ask DIR FACTS`. Keys as in
//! Jaeger's store on badger, without those for attributes; see README.md.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use amida_benches::corpus::frames::Frames;
use amida_benches::process::{Clocks, OnDisk, Result, lookups, report};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use serde_json::{Value, json};

/// Measures fjall for the comparison; prints one JSON object.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Writes a corpus and settles it.
    Ingest {
        corpus: PathBuf,
        dir: PathBuf,
        /// Sync the journal after each request.
        #[arg(long)]
        sync: bool,
    },
    /// Looks traces up.
    Ask { dir: PathBuf, facts: PathBuf },
}

/// The fields of a protobuf message: number, the value of a number, the bytes of anything else.
struct Fields<'a>(&'a [u8]);

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let key = varint(&mut self.0)?;
        let len = match key & 7 {
            0 => {
                let from = self.0;
                varint(&mut self.0)?;
                let len = from.len() - self.0.len();
                self.0 = from;
                len
            }
            1 => 8,
            2 => usize::try_from(varint(&mut self.0)?).ok()?,
            _ => 4,
        };
        let (value, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some((key >> 3, value))
    }
}

fn field(message: &[u8], number: u64) -> &[u8] {
    Fields(message).find(|(at, _)| *at == number).map_or(&[], |(_, value)| value)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// `service.name` of a resource.
fn service(resource: &[u8]) -> &[u8] {
    let attributes = Fields(resource).filter(|(number, _)| *number == 1);
    let mut found = attributes.filter(|(_, attribute)| field(attribute, 1) == b"service.name");
    found.next().map_or(&[], |(_, attribute)| field(field(attribute, 2), 1))
}

fn open(dir: &Path) -> Result<(Database, [Keyspace; 2])> {
    let database = Database::builder(dir).open()?;
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
    let keyspaces = [keyspace("spans")?, keyspace("index")?];
    Ok((database, keyspaces))
}

/// The keys of a span, as Jaeger has them: itself under trace, start and id; then by service, by
/// service and operation, and by duration.
fn insert(
    batch: &mut fjall::OwnedWriteBatch,
    [spans, index]: &[Keyspace; 2],
    service: &[u8],
    span: &[u8],
) {
    let (trace, id, name) = (field(span, 1), field(span, 2), field(span, 5));
    let (start, end) = (number(field(span, 7)), number(field(span, 8)));
    let time = start.to_be_bytes();
    let value = [&[service.len() as u8], service, span].concat();
    batch.insert(spans, [trace, &time, id].concat(), value);
    batch.insert(index, [&[0x81], service, &time, trace].concat(), b"");
    batch.insert(index, [&[0x82], service, name, &time, trace].concat(), b"");
    let duration = end.saturating_sub(start).to_be_bytes();
    batch.insert(index, [&[0x84], &duration[..], &time, trace].concat(), b"");
}

fn ingest(corpus: &Path, dir: &Path, sync: bool) -> Result<Value> {
    let mut clocks = Clocks::start();
    let (database, keyspaces) = open(dir)?;
    let mut count = 0u64;
    for body in Frames::open(corpus)? {
        let body: Bytes = body?;
        let mode = if sync { Some(PersistMode::SyncData) } else { None };
        let mut batch = database.batch().durability(mode);
        for (_, of) in Fields(&body) {
            let service = service(field(of, 1));
            for (_, of) in Fields(of).filter(|(number, _)| *number == 2) {
                for (_, span) in Fields(of).filter(|(number, _)| *number == 2) {
                    insert(&mut batch, &keyspaces, service, span);
                    count += 1;
                }
            }
        }
        batch.commit()?;
    }
    let ingest = clocks.lap();
    for keyspace in &keyspaces {
        keyspace.rotate_memtable_and_wait()?;
        keyspace.major_compact()?;
    }
    drop(keyspaces);
    drop(database);
    let settle = clocks.lap();
    // What was compacted away is deleted when the database is opened again.
    let (database, keyspaces) = open(dir)?;
    let bytes = keyspaces.iter().map(Keyspace::disk_space).sum::<u64>();
    drop(database);
    let with_journal = OnDisk::of(dir)?.bytes;
    Ok(json!({
        "spans": count,
        "bytes": bytes,
        "bytes_with_journal": with_journal,
        "ingest": ingest.json(),
        "settle": settle.json(),
    }))
}

fn trace(spans: &Keyspace, id: &[u8]) -> Result<Vec<fjall::KvPair>> {
    Ok(spans.prefix(id).map(|guard| guard.into_inner()).collect::<fjall::Result<_>>()?)
}

fn ask(dir: &Path, facts: &Path) -> Result<Value> {
    let facts: Value = serde_json::from_slice(&std::fs::read(facts)?)?;
    let traces: Vec<(String, usize)> = serde_json::from_value(facts["traces"].clone())?;
    let id = |hex: &str| u128::from_str_radix(hex, 16).map(u128::to_be_bytes);
    let ids: Vec<[u8; 16]> =
        traces.iter().map(|(hex, _)| id(hex)).collect::<std::result::Result<_, _>>()?;
    let (_database, [spans, _]) = open(dir)?;
    let mut found = Vec::new();
    for id in &ids {
        found.push(trace(&spans, id)?.len());
    }
    let (mut clocks, mut times) = (Clocks::start(), Vec::new());
    for id in &ids {
        let begun = std::time::Instant::now();
        std::hint::black_box(trace(&spans, id)?);
        times.push(begun.elapsed());
    }
    let lookup = lookups(times, clocks.lap().cpu_s, &found);
    Ok(json!({ "lookup": lookup, "questions": [] }))
}

fn main() -> ExitCode {
    let measured = match Args::parse().what {
        What::Ingest { corpus, dir, sync } => ingest(&corpus, &dir, sync),
        What::Ask { dir, facts } => ask(&dir, &facts),
    };
    report("fjall", measured)
}
