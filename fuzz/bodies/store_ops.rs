//! Operations on a store, with faults, full disks, crashes and restarts between them: what was
//! acknowledged is there once, a request is there whole or not at all, and what a restart did not
//! bring back never comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use amida::{CrashModel, Fault, ManualClock, MemoryFs, Predicate, Retention, Store};
use amida_tests::corpus::{self, START_NS};
use amida_tests::input::Input;
use fastrand::Rng;

/// Spans of each request: request `k` has the numbers `2k + 1` and `2k + 2`.
const SPANS: u64 = 2;

const KINDS: [ErrorKind; 4] = [
    ErrorKind::Other,
    ErrorKind::StorageFull,
    ErrorKind::PermissionDenied,
    ErrorKind::QuotaExceeded,
];

/// Operations of one input at most.
const OPERATIONS_MAX: usize = 16;

/// A list of operations.
pub fn seed(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    (0..random.usize(4..60)).map(|_| random.u8(..)).collect()
}

/// Panics when something acknowledged is lost, or something else appears.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = World {
        fs: MemoryFs::new(),
        store: None,
        acknowledged: BTreeSet::new(),
        gone: BTreeSet::new(),
        tried: 0,
    };
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        world.step(&mut input);
    }
    world.crash(CrashModel::LoseUnsynced);
    world.restart("at the end");
}

/// A disk, the store on it, and what is known of it.
struct World {
    fs: MemoryFs,
    store: Option<Store>,
    acknowledged: BTreeSet<u64>,
    /// Requests that a restart did not bring back.
    gone: BTreeSet<u64>,
    tried: u64,
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) {
        if self.store.is_none() {
            // Opening may fail while something fails.
            self.store = open(&self.fs).ok();
        }
        match input.u8() % 16 {
            0..=4 => self.append(),
            5 | 6 => drop(self.store.as_ref().map(Store::flush)),
            7 => drop(self.store.as_ref().map(Store::compact)),
            8 | 9 => {
                let kind = KINDS[usize::from(input.u8()) % KINDS.len()];
                let (calls, how, short) = (input.u8() % 64, input.u8(), input.u8());
                let mut fault = Fault::new(kind);
                if how & 1 != 0 {
                    fault = fault.once();
                }
                if how & 2 != 0 {
                    fault = fault.short_write(usize::from(short));
                }
                if how & 4 != 0 {
                    fault = fault.syncs_only();
                }
                self.fs.fail_after(u64::from(calls), fault);
            }
            10 => self.fs.heal(),
            11 => {
                let full = input.u8();
                let room = self.fs.used_bytes() + u64::from(full) * 64;
                self.fs.limit_bytes((full < 128).then_some(room));
            }
            12 => {
                self.heal();
                self.store = None;
                self.restart("closed and opened");
            }
            13 => drop(self.look("while it runs")),
            _ => {
                let model = model(input);
                self.crash(model);
                self.restart(&format!("{model:?}"));
            }
        }
    }

    fn heal(&self) {
        self.fs.heal();
        self.fs.limit_bytes(None);
    }

    fn append(&mut self) {
        let Some(store) = &self.store else { return };
        let request = self.tried;
        self.tried += 1;
        let first = request * SPANS + 1;
        let spans = (first..first + SPANS).map(|n| corpus::plain_span(1, n, &n.to_string()));
        if let Ok(receipt) = store.append_otlp(corpus::body("numbers", spans.collect())) {
            assert_eq!(receipt.accepted(), SPANS);
            self.acknowledged.insert(request);
        }
    }

    /// The power fails; the old process is gone.
    fn crash(&mut self, model: CrashModel) {
        let after = self.fs.crash(model);
        self.store = None;
        self.fs = after;
        self.heal();
    }

    /// Opens the store on a disk that works. What it has now is there to stay, what it has not
    /// never comes back.
    fn restart(&mut self, when: &str) {
        let store = open(&self.fs).unwrap_or_else(|e| panic!("{when}: {e}"));
        let damage = store.stats().damage;
        assert!(damage.is_empty(), "{when}: {damage:?}");
        self.store = Some(store);
        let found = self.look(when);
        self.gone.extend((0..self.tried).filter(|request| !found.contains(request)));
        self.acknowledged.extend(found);
    }

    /// The requests that are there.
    fn look(&self, when: &str) -> BTreeSet<u64> {
        let Some(store) = &self.store else { return BTreeSet::new() };
        let mut found: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for batch in store.snapshot().scan(&Predicate::new()).expect("a scan starts") {
            for span in batch.unwrap_or_else(|e| panic!("{when}: {e}")).spans() {
                let number = u64::from_be_bytes(*span.span_id().as_bytes());
                assert_eq!(span.name(), number.to_string());
                assert!(seen.insert(number), "{when}: span {number} is there twice");
                *found.entry((number - 1) / SPANS).or_default() += 1;
            }
        }
        for (request, spans) in &found {
            assert_eq!(*spans, SPANS, "{when}: half of request {request}");
            assert!(*request < self.tried, "{when}: request {request} was never sent");
            assert!(!self.gone.contains(request), "{when}: request {request} came back");
        }
        for request in &self.acknowledged {
            assert!(found.contains_key(request), "{when}: request {request} is lost");
        }
        found.into_keys().collect()
    }
}

fn open(fs: &MemoryFs) -> amida::Result<Store> {
    Store::options()
        .fs(Arc::new(fs.clone()))
        .clock(Arc::new(ManualClock::at(START_NS)))
        .disk_floor_bytes(0)
        .retention(Retention::forever())
        // A little room in the log, so that files change often.
        .seal_bytes(2_000)
        .stall_max(Duration::ZERO)
        .single_threaded()
        .open("/store")
}

fn model(input: &mut Input<'_>) -> CrashModel {
    let (model, seed) = (input.u8(), u64::from(input.u8()));
    match model % 7 {
        0 => CrashModel::LoseUnsynced,
        1 => CrashModel::KeepAll,
        2 => CrashModel::Random { seed },
        3 => CrashModel::Torn { seed, sector: 512 },
        4 => CrashModel::Torn { seed, sector: 4096 },
        5 => CrashModel::LengthsFirst { seed },
        _ => CrashModel::NamesFirst,
    }
}
