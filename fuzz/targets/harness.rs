//! What all targets share: a corpus to begin with, a limit on memory, and panics.
//!
//! The engine puts a fence around Parquet's decoder, whose panics become errors; libFuzzer's crate
//! would abort on them. Here only a panic that leaves the target's body ends the process, or one on
//! another thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::ThreadId;

/// Bytes that are allocated now, and how many may be.
static USED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);
/// The last panic's words.
static PANIC: Mutex<String> = Mutex::new(String::new());

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does the work; beside it only counters change.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        take(size);
        USED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(block, layout) }
    }
}

fn take(bytes: usize) {
    let used = USED.fetch_add(bytes, Relaxed) + bytes;
    if used > LIMIT.load(Relaxed) {
        LIMIT.store(usize::MAX, Relaxed);
        eprintln!("{bytes} bytes more make {used}: over the limit");
        eprintln!("{}", Backtrace::force_capture());
        std::process::abort();
    }
}

/// Writes seeds into the folder that AMIDA_FUZZ_SEEDS names, if it does, and takes panics over.
pub fn start(seeds: u64, seed: impl Fn(u64) -> Vec<u8>) {
    if let Some(folder) = std::env::var_os("AMIDA_FUZZ_SEEDS").map(PathBuf::from) {
        for number in 0..seeds {
            let path = folder.join(format!("seed-{number:04}"));
            std::fs::write(&path, seed(number)).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        }
    }
    let main: ThreadId = std::thread::current().id();
    std::panic::set_hook(Box::new(move |panic| {
        let words = panic.to_string();
        if std::thread::current().id() != main {
            eprintln!("a thread panicked: {words}");
            std::process::abort();
        }
        *PANIC.lock().expect("no panic while the words are written") = words;
    }));
}

/// Runs a body that may allocate this much; ends the process when it panics.
pub fn run(bytes_max: usize, body: impl FnOnce()) {
    LIMIT.store(USED.load(Relaxed).saturating_add(bytes_max), Relaxed);
    let result = catch_unwind(AssertUnwindSafe(body));
    LIMIT.store(usize::MAX, Relaxed);
    if result.is_err() {
        eprintln!("{}", PANIC.lock().expect("no panic while the words are read"));
        std::process::abort();
    }
}
