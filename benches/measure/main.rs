//! Whole runs of the engine over a corpus file, each as one JSON object: CPU-seconds, memory, bytes
//! on disk, latencies. Criterion's benches measure single calls; see the files above.
//!
//! ```text
//! measure corpus 2000000 corpus.otlp
//! measure ingest corpus.otlp store.amida --durability os
//! measure lookup store.amida
//! ```

mod ingest;
mod lookup;
mod reopen;
mod scale;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use amida_benches::corpus::{Corpus, RATE, frames};
use amida_benches::process::{Result, report, rounded};
use amida_benches::stores::SEED;
use clap::{Parser, Subcommand, ValueEnum};
use serde_json::{Value, json};

/// Measures Amida over a corpus of realistic traces; prints one JSON object.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Writes a corpus, which `amida import` reads, too.
    Corpus {
        /// How many spans.
        spans: usize,
        /// The new file.
        file: PathBuf,
        /// Another seed gives other traces of the same shape.
        #[arg(long, default_value_t = SEED)]
        seed: u64,
        /// Spans a second of the time that the spans tell; a busy production has 50,000.
        #[arg(long, default_value_t = RATE)]
        rate: f64,
    },
    /// Appends a corpus to a new store, flushes, compacts and closes it.
    Ingest {
        /// The corpus.
        file: PathBuf,
        /// The store's directory, which must not exist.
        dir: PathBuf,
        /// When an append returns.
        #[arg(long, default_value = "sync")]
        durability: Durability,
        /// Threads that append.
        #[arg(long, default_value_t = 1)]
        appenders: usize,
    },
    /// Looks traces of 20 to 40 spans up in a store that nothing else writes.
    Lookup {
        /// The store's directory.
        dir: PathBuf,
        /// How many different traces.
        #[arg(long, default_value_t = 500)]
        traces: usize,
    },
    /// The same for traces that are in memory only: the beginning of a corpus.
    Hot {
        /// The corpus.
        file: PathBuf,
        /// How many different traces.
        #[arg(long, default_value_t = 500)]
        traces: usize,
    },
    /// Makes a store of many small segments, for `lookup`.
    Segments {
        /// How many.
        segments: usize,
        /// The store's directory, which must not exist.
        dir: PathBuf,
        /// Spans of each.
        #[arg(long, default_value_t = 2_048)]
        spans: usize,
    },
    /// What a span costs in stores of 1, 4 and 16 million, settled.
    Scale {
        /// A directory for the stores, which are removed.
        dir: PathBuf,
        /// Other sizes, in spans.
        #[arg(long, value_delimiter = ',', default_value = "1000000,4000000,16000000")]
        sizes: Vec<usize>,
    },
    /// Opens a store that a crash left with 96 MiB of log, and looks a trace up.
    Reopen {
        /// The corpus.
        file: PathBuf,
        /// The store's directory, which must not exist.
        dir: PathBuf,
    },
    /// Appends 96 MiB and aborts; `reopen` runs it.
    #[command(hide = true)]
    Leave { file: PathBuf, dir: PathBuf },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Durability {
    /// After the sync.
    Sync,
    /// After the operating system took the bytes.
    Os,
}

impl From<Durability> for amida::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Sync => Self::Sync,
            Durability::Os => Self::Os,
        }
    }
}

fn corpus(spans: usize, file: &Path, seed: u64, rate: f64) -> Result<Value> {
    let written = frames::write(file, Corpus::new(seed, spans).rate(rate))?;
    Ok(json!({
        "what": "corpus",
        "seed": seed,
        "spans_per_second": rate,
        "spans": spans,
        "requests": written.requests,
        "bytes_per_span": rounded(written.bytes as f64 / spans as f64),
    }))
}

fn run(what: What) -> Result<Value> {
    match what {
        What::Corpus { spans, file, seed, rate } => corpus(spans, &file, seed, rate),
        What::Ingest { file, dir, durability, appenders } => {
            ingest::run(&file, &dir, durability, appenders.max(1))
        }
        What::Lookup { dir, traces } => lookup::stored(&dir, traces),
        What::Hot { file, traces } => lookup::hot(&file, traces),
        What::Segments { segments, dir, spans } => scale::segments(segments, spans, &dir),
        What::Scale { dir, sizes } => scale::run(&dir, &sizes),
        What::Reopen { file, dir } => reopen::run(&file, &dir),
        What::Leave { file, dir } => reopen::leave(&file, &dir),
    }
}

fn main() -> ExitCode {
    report("measure", run(Args::parse().what))
}
