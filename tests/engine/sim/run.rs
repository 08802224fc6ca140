//! A store that lives through a script.

use std::io::ErrorKind;
use std::sync::Arc;

use amida::{CrashModel, Durability, Error, Fault, ManualClock, MemoryFs, Options, Result, Store};

use super::ledger::{Fate, Ledger, View};
use super::script::{Op, Script};
use crate::common::{DIR, NOW_NS, options};

/// A store, its disk, and what it answered.
#[derive(Debug)]
pub struct Run<'a> {
    pub script: &'a Script,
    pub fs: MemoryFs,
    pub ledger: Ledger,
    clock: Arc<ManualClock>,
    store: Option<Store>,
    /// Which case this is, for messages.
    pub about: String,
    /// Somebody lets calls fail: an operation may fail, too.
    pub faulty: bool,
    full: bool,
    /// The calls work again, but nobody asked yet whether the store is poisoned.
    healed: bool,
    /// The store said so.
    poisoned: bool,
    /// Whether a call had failed when the store was opened.
    opened_after_fault: bool,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("case: {}\nscript: {:?}", self.about, self.script);
        }
    }
}

impl<'a> Run<'a> {
    /// The morning: a new disk, or one with half a record at the end of the log.
    pub fn new(script: &'a Script, about: impl Into<String>) -> Self {
        let mut ledger = Ledger::new(script.durability == Durability::Sync);
        ledger.age_max_ns = script.age_max.map(|age| age.as_nanos() as i64);
        ledger.drops_for_bytes = script.bytes_max.is_some();
        let mut run = Self {
            script,
            fs: MemoryFs::new(),
            ledger,
            clock: Arc::new(ManualClock::at(NOW_NS)),
            store: None,
            about: about.into(),
            faulty: false,
            full: false,
            healed: false,
            poisoned: false,
            opened_after_fault: false,
        };
        if script.torn {
            run.append(2, 0);
            run.append(1, 0);
            run.faulty = true;
            // The first call of the append is its write: it stops in the middle, and the cut fails.
            run.fs.fail_after(0, Fault::new(ErrorKind::Other).short_write(150));
            run.append(3, 0);
            run.faulty = false;
            run = run.after_crash(CrashModel::KeepAll, "");
        }
        run
    }

    /// The same day on what a crash leaves of the disk; no store is open.
    pub fn after_crash(&self, model: CrashModel, about: &str) -> Self {
        Self {
            script: self.script,
            fs: self.fs.crash(model),
            ledger: self.ledger.clone(),
            clock: self.clock.clone(),
            store: None,
            about: format!("{}{about}", self.about),
            faulty: false,
            full: self.full,
            healed: false,
            poisoned: false,
            opened_after_fault: false,
        }
    }

    /// The settings of the store.
    pub fn options(&self) -> Options {
        self.script.apply(options(&self.fs).clock(self.clock.clone()))
    }

    fn now_ns(&self) -> i64 {
        amida::Clock::now_ns(&*self.clock)
    }

    /// Whether a call failed by intent.
    pub fn failed(&self) -> bool {
        self.fs.last_fault().is_some()
    }

    /// Does operations until all are done, or a call has failed and `more` further were done.
    pub fn play(&mut self, more: usize) {
        self.open(View::Reopened);
        let mut left = more;
        let script = self.script;
        for op in &script.ops {
            if self.failed() {
                match left.checked_sub(1) {
                    Some(fewer) => left = fewer,
                    None => return,
                }
            }
            self.act(op);
        }
    }

    pub fn act(&mut self, op: &Op) {
        match op {
            Op::Hours(hours) => {
                return self.clock.advance(std::time::Duration::from_secs(hours * 3_600));
            }
            Op::Fill(bytes) => {
                self.full = true;
                return self.fs.limit_bytes(Some(self.fs.used_bytes() + bytes));
            }
            Op::Free => {
                self.full = false;
                return self.fs.limit_bytes(None);
            }
            Op::Reopen => {
                self.close();
                self.open(View::Reopened);
                return;
            }
            _ => {}
        }
        if self.store.is_none() {
            self.open(View::Reopened);
        }
        match op {
            Op::Append(spans) => self.append(*spans, 0),
            Op::Large => self.append(1, 70_000),
            Op::Group(requests) => self.group(*requests),
            Op::Flush => self.make_durable(Store::flush),
            Op::Compact => self.make_durable(Store::compact),
            Op::Sync => self.make_durable(Store::sync),
            _ => self.look(),
        }
    }

    /// Opens the store and holds what it shows against what must be there. When that fails, as it
    /// may while calls fail, no store is open.
    pub fn open(&mut self, mut view: View) {
        if self.failed() && !self.ledger.acknowledged_is_synced {
            // A sync that failed lost what was not synced, as power loss does.
            view = View::PowerLost;
        }
        let opened = self.options().open(DIR);
        let store = match opened {
            Ok(store) => store,
            Err(error) => return self.excuse("open", &error),
        };
        let about = format!("{}, opened", self.about);
        if !store.recovery().damage.is_empty() {
            // A segment that could not be opened; its rows are not seen, but not given up.
            assert!(self.faulty, "{about}: {:?}", store.recovery().damage);
            return;
        }
        match self.ledger.look(&store.snapshot(), &about) {
            Ok(present) => {
                self.ledger.judge(&present, view, self.now_ns(), &about);
                self.ledger.resolve(&present, view);
            }
            Err(error) => return self.excuse("look", &error),
        }
        self.poisoned = false;
        self.opened_after_fault = self.failed();
        self.store = Some(store);
    }

    /// Ends the store; what it could not end in order was said before.
    pub fn close(&mut self) {
        let Some(store) = self.store.take() else { return };
        match store.close() {
            Ok(()) => self.ledger.all_is_synced(),
            Err(error) => self.excuse("close", &error),
        }
    }

    pub fn append(&mut self, spans: u64, bytes: usize) {
        if self.store.is_none() {
            self.open(View::Reopened);
        }
        let now_ns = self.now_ns();
        let Some(store) = &self.store else { return };
        let (request, body) = self.ledger.submit(spans, bytes, now_ns);
        let answer = store.append_otlp(body);
        self.take_answer(request, answer.map(|receipt| receipt.accepted()), self.poisoned);
    }

    fn group(&mut self, requests: u64) {
        let (now_ns, was_poisoned) = (self.now_ns(), self.poisoned);
        let Some(store) = &self.store else { return };
        let mut pending = Vec::new();
        for n in 0..requests {
            let (request, body) = self.ledger.submit(1 + n % 2, 0, now_ns);
            pending.push((request, store.submit_otlp(body)));
        }
        let answers: Vec<_> =
            pending.into_iter().map(|(request, pending)| (request, pending.wait())).collect();
        for (request, answer) in answers {
            self.take_answer(request, answer.map(|receipt| receipt.accepted()), was_poisoned);
        }
    }

    fn take_answer(&mut self, request: usize, answer: Result<u64>, was_poisoned: bool) {
        let fate = match &answer {
            Ok(_) => Fate::Stored,
            // A store that is poisoned already does not even write it.
            Err(Error::Poisoned { .. }) if !was_poisoned => Fate::Unknown,
            Err(_) => Fate::Absent,
        };
        self.ledger.decide(request, fate);
        if let Err(error) = answer {
            return self.excuse("append", &error);
        }
        assert!(!was_poisoned, "{}: a poisoned store acknowledged", self.about);
    }

    fn make_durable(&mut self, work: impl Fn(&Store) -> Result<()>) {
        let Some(store) = &self.store else { return };
        match work(store) {
            // A poisoned store may say so, too, when it has nothing that is not in segments.
            Ok(()) => self.ledger.all_is_synced(),
            Err(error) => self.excuse("flush, compact or sync", &error),
        }
    }

    /// Holds what the open store shows against what must be there.
    pub fn look(&mut self) {
        let Some(store) = &self.store else { return };
        let about = format!("{}, while it runs", self.about);
        match self.ledger.look(&store.snapshot(), &about) {
            Ok(present) => {
                self.ledger.judge(&present, View::Live, self.now_ns(), &about);
                self.ledger.resolve(&present, View::Live);
            }
            Err(error) => self.excuse("look", &error),
        }
    }

    /// An operation may fail when a call was made to fail, the disk is full, or the store is
    /// poisoned; and nothing that fails for such a reason is called damage.
    fn excuse(&mut self, what: &str, error: &Error) {
        let about = &self.about;
        let poisoned = matches!(error, Error::Poisoned { .. });
        let full = self.full && error.is_full_disk();
        let known = poisoned && (self.poisoned || self.healed);
        assert!(self.faulty || full || known, "{about}, {what}: {error}");
        assert!(!matches!(error, Error::Corrupt { .. }), "{about}, {what}: {error}");
        self.poisoned |= poisoned;
    }

    /// The calls work again and the disk has room: the store must go on without being opened again,
    /// unless it is poisoned; and it must be poisoned when a sync of its log failed.
    pub fn goes_on_when_healed(&mut self, once: bool) {
        let fault = self.fs.last_fault().unwrap_or_default();
        let log_sync_failed = fault.contains(": Sync ") && fault.ends_with(".wal");
        let must = self.store.is_some() && !self.opened_after_fault && log_sync_failed;
        // What fails once is cut off, unless it is the sync itself.
        // On a full disk the fault may hit the cut itself.
        let cut_failed = fault.contains(": SetLen ") && fault.ends_with(".wal");
        let may = !once || log_sync_failed || cut_failed;
        self.fs.heal();
        self.act(&Op::Free);
        (self.faulty, self.healed) = (false, true);
        self.append(1, 0);
        self.healed = false;
        assert!(self.poisoned || !must, "{}: a failed sync was forgotten", self.about);
        assert!(may || !self.poisoned, "{}: poisoned without need", self.about);
        if self.poisoned {
            self.append(1, 0);
            self.look();
            self.close();
            self.open(View::Reopened);
        }
        self.append(2, 0);
        self.look();
        self.make_durable(Store::flush);
        self.append(1, 0);
    }

    /// Opens what is left and looks; where asked, the store must work on from there, and what was
    /// seen once does not go away.
    pub fn check(&mut self, view: View, works_on: bool) {
        if works_on && self.store.is_none() {
            self.verify("before it is opened");
        }
        if self.full {
            // A full disk may keep it from opening, but not for good.
            self.open(view);
            self.act(&Op::Free);
        }
        if self.store.is_none() {
            self.open(view);
        }
        if !works_on {
            return;
        }
        self.append(2, 0);
        self.make_durable(Store::flush);
        self.append(1, 0);
        self.close();
        self.verify("closed");
        self.after_crash(CrashModel::LoseUnsynced, ", once more").open(View::PowerLost);
    }

    /// Every checksum and count must hold; the end of a torn log is no damage.
    fn verify(&self, when: &str) {
        match amida::verify(DIR, &self.options(), |_, _| {}) {
            Ok(found) => {
                assert!(found.problems.is_empty(), "{}, {when}: {:?}", self.about, found.problems);
            }
            // The power failed before there was a store.
            Err(Error::Invalid { .. }) if when != "closed" => {}
            Err(error) => panic!("{}, {when}: {error}", self.about),
        }
    }
}
