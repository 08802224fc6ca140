//! What this process used: CPU time, memory, disk; and how figures are shown.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};
use serde_json::{Value, json};

/// Any error of a program that measures; it is only shown.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Memory is looked at this often.
const EVERY: Duration = Duration::from_millis(10);

/// CPU-seconds of the calling thread so far, user and system.
pub fn thread_cpu() -> f64 {
    ThreadTime::now().as_duration().as_secs_f64()
}

/// CPU-seconds of all threads of this process so far, those that ended included.
pub fn process_cpu() -> f64 {
    ProcessTime::now().as_duration().as_secs_f64()
}

/// Looks at the wall and at the CPU-seconds of the whole process.
#[derive(Debug)]
pub struct Clocks {
    wall: Instant,
    cpu_s: f64,
}

/// What passed between two looks.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    /// Seconds on the wall.
    pub wall_s: f64,
    /// CPU-seconds of all threads.
    pub cpu_s: f64,
}

impl Clocks {
    /// The first look.
    pub fn start() -> Self {
        Self { wall: Instant::now(), cpu_s: process_cpu() }
    }

    /// What passed since the last look.
    pub fn lap(&mut self) -> Lap {
        let last = std::mem::replace(self, Self::start());
        let wall_s = self.wall.duration_since(last.wall).as_secs_f64();
        Lap { wall_s, cpu_s: self.cpu_s - last.cpu_s }
    }
}

impl Lap {
    /// Both.
    pub fn json(self) -> Value {
        json!({ "wall_s": rounded(self.wall_s), "cpu_s": rounded(self.cpu_s) })
    }
}

/// Bytes of memory as the kernel counts them for this process.
fn status_bytes(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

fn mib(bytes: u64) -> f64 {
    rounded(bytes as f64 / f64::from(1 << 20))
}

/// The most memory that was ever resident, mapped files included.
pub fn peak_resident_mib() -> f64 {
    mib(status_bytes("VmHWM:").unwrap_or(0))
}

/// Watches this process's anonymous memory (heap and stacks, not mapped files) from a thread of its
/// own.
#[derive(Debug)]
pub struct Memory {
    stop: Sender<()>,
    thread: JoinHandle<u64>,
}

impl Memory {
    /// Starts watching.
    pub fn watch() -> Self {
        let (stop, stopped) = channel();
        let thread = std::thread::spawn(move || {
            let mut peak = 0;
            while matches!(stopped.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout)) {
                peak = peak.max(status_bytes("RssAnon:").unwrap_or(0));
            }
            peak
        });
        Self { stop, thread }
    }

    /// The most that was seen, in MiB.
    pub fn peak_mib(self) -> f64 {
        drop(self.stop);
        mib(self.thread.join().unwrap_or(0))
    }
}

/// What all files below a directory take.
#[derive(Debug, Clone, Copy, Default)]
pub struct OnDisk {
    /// Their lengths.
    pub bytes: u64,
    /// The blocks that the file system gave them.
    pub allocated: u64,
}

impl OnDisk {
    /// Looks at all files.
    ///
    /// # Errors
    /// What the disk says.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let mut sum = Self::default();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let one = match metadata.is_dir() {
                true => Self::of(&entry.path())?,
                false => Self { bytes: metadata.len(), allocated: metadata.blocks() * 512 },
            };
            sum.bytes += one.bytes;
            sum.allocated += one.allocated;
        }
        Ok(sum)
    }
}

/// Three digits behind the point are enough for everything.
pub fn rounded(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

/// What half, nine of ten, and 99 of 100 are not above, and the largest; in microseconds.
pub fn percentiles(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        let time = times.get(place.min(times.len().saturating_sub(1))).copied();
        rounded(time.unwrap_or_default().as_secs_f64() * 1e6)
    };
    json!({ "p50_us": at(0.5), "p90_us": at(0.9), "p99_us": at(0.99), "max_us": at(1.0) })
}

/// Lookups by id: the percentiles of their times, CPU for each, and how many spans each found.
pub fn lookups(times: Vec<Duration>, cpu_s: f64, spans: &[usize]) -> Value {
    let cpu_us = rounded(cpu_s / times.len() as f64 * 1e6);
    let mut measured = percentiles(times);
    measured["cpu_us"] = json!(cpu_us);
    measured["spans"] = json!(spans);
    measured
}

/// The end of a program: what it measured on stdout, or its error on stderr.
pub fn report(program: &str, measured: Result<Value>) -> ExitCode {
    match measured {
        Ok(measured) => {
            println!("{measured:#}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}
