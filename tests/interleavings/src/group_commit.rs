//! Every request that was taken into the queue is committed, in the order of submission, and
//! answered once, after its group was written and synced; nobody waits for ever.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Mutex as StdMutex;
use std::task::{Poll, Wake, Waker};

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::every_interleaving;
use crate::store::group::{GroupCommit, Poison, Refused, Request, Ticket};
use crate::sync::lock;

/// Why a request is not stored.
pub type Failed = String;

pub struct Append {
    number: u32,
    ticket: Arc<Ticket<Result<u32, Failed>>>,
}

impl Request for Append {
    type Answer = Result<u32, Failed>;

    fn bytes(&self) -> usize {
        1
    }

    fn ticket(&self) -> &Arc<Ticket<Self::Answer>> {
        &self.ticket
    }
}

#[derive(Default)]
pub struct Log {
    written: Vec<u32>,
    syncs: usize,
    dirty: bool,
    ended: bool,
}

/// A store reduced to its group commit: as store/commit.rs goes about it, with a disk that is a
/// list. What is only looked at by assertions is not loom's.
pub struct Store {
    commits: GroupCommit<Append, Log>,
    poison: Poison,
    /// As `Durability::Sync`: each group is synced before it is answered.
    syncs_groups: bool,
    /// The sync with this number, counted from 0, fails, and no other.
    failing_sync: Option<usize>,
    synced: StdMutex<Vec<u32>>,
    answered: StdMutex<BTreeSet<u32>>,
}

impl Store {
    pub fn new(group_bytes_max: usize, failing_sync: Option<usize>) -> Arc<Self> {
        Self::with_durability(group_bytes_max, failing_sync, true)
    }

    /// As with `Durability::Os`.
    pub fn without_syncs(failing_sync: Option<usize>) -> Arc<Self> {
        Self::with_durability(100, failing_sync, false)
    }

    fn with_durability(max: usize, failing_sync: Option<usize>, syncs_groups: bool) -> Arc<Self> {
        Arc::new(Self {
            commits: GroupCommit::new(Log::default(), max),
            poison: Poison::default(),
            syncs_groups,
            failing_sync,
            synced: StdMutex::default(),
            answered: StdMutex::default(),
        })
    }

    pub fn submit(&self, number: u32) -> Result<Arc<Ticket<Result<u32, Failed>>>, Refused> {
        let ticket = Arc::new(Ticket::new());
        self.commits.submit(Append { number, ticket: ticket.clone() }, 100)?;
        Ok(ticket)
    }

    pub fn wait(&self, ticket: &Ticket<Result<u32, Failed>>) -> Result<u32, Failed> {
        let answer = self.commits.wait(ticket, |log, group| self.commit(log, group));
        if let Ok(number) = answer
            && self.syncs_groups
        {
            assert!(self.is_synced(number), "{number} was acknowledged and is not synced");
        }
        answer
    }

    /// Submits and waits.
    pub fn append(&self, number: u32) -> Result<u32, Failed> {
        let ticket = self.submit(number).map_err(|refused| format!("{refused:?}"))?;
        let answer = self.wait(&ticket);
        assert!(answer.as_ref().is_err() || answer == Ok(number));
        answer
    }

    /// What `Store::sync` does.
    pub fn sync(&self) -> Result<(), Failed> {
        self.commits.with_log(|log| match self.poison.cause() {
            Some(cause) => Err(cause),
            None if log.dirty => self.sync_log(log),
            None => Ok(()),
        })
    }

    pub fn close(&self) {
        assert!(self.commits.close(|log, group| self.commit(log, group)));
        self.commits.with_log(|log| log.ended = true);
    }

    pub fn is_synced(&self, number: u32) -> bool {
        self.synced.lock().unwrap().contains(&number)
    }

    /// What the committer thread does.
    fn commit_in_background(&self) {
        while self.commits.committer.wait(None) {
            self.commits.commit_all(|log, group| self.commit(log, group));
        }
    }

    fn commit(&self, log: &mut Log, group: Vec<Append>) {
        assert!(!group.is_empty());
        assert!(!log.ended, "a group is written after the log was ended");
        let written = match self.poison.cause() {
            Some(cause) => Err(cause),
            None => {
                log.written.extend(group.iter().map(|append| append.number));
                log.dirty = true;
                if self.syncs_groups { self.sync_log(log) } else { Ok(()) }
            }
        };
        for Append { number, ticket } in group {
            assert!(self.answered.lock().unwrap().insert(number), "{number} is answered twice");
            ticket.answer(written.clone().map(|()| number));
        }
    }

    fn sync_log(&self, log: &mut Log) -> Result<(), Failed> {
        log.syncs += 1;
        log.dirty = false;
        // A later sync would succeed, and say nothing about what the failed one lost.
        if self.failing_sync == Some(log.syncs - 1) {
            return Err(self.poison.set(format!("sync {} failed", log.syncs - 1)));
        }
        self.synced.lock().unwrap().clone_from(&log.written);
        Ok(())
    }

    pub fn written(&self) -> Vec<u32> {
        self.commits.with_log(|log| log.written.clone())
    }
}

/// Starts a thread that has the store.
pub fn start<T: 'static>(
    store: &Arc<Store>,
    run: impl FnOnce(&Store) -> T + 'static,
) -> thread::JoinHandle<T> {
    let store = store.clone();
    thread::spawn(move || run(&store))
}

fn sorted(mut numbers: Vec<u32>) -> Vec<u32> {
    numbers.sort_unstable();
    numbers
}

#[test]
fn three_appends_are_each_acknowledged_once_after_their_sync() {
    every_interleaving("three_appends", || {
        let store = Store::new(100, None);
        let threads: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        assert_eq!(store.append(3), Ok(3));
        for (thread, number) in threads.into_iter().zip(1..) {
            assert_eq!(thread.join().unwrap(), Ok(number));
        }
        assert_eq!(sorted(store.written()), [1, 2, 3]);
    });
}

#[test]
fn groups_that_are_cut_at_a_limit_leave_nobody_behind() {
    every_interleaving("groups_that_are_cut", || {
        let store = Store::new(1, None);
        let threads: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        assert_eq!(store.append(3), Ok(3));
        for (thread, number) in threads.into_iter().zip(1..) {
            assert_eq!(thread.join().unwrap(), Ok(number));
        }
        assert_eq!(sorted(store.written()), [1, 2, 3]);
    });
}

#[test]
fn requests_are_committed_in_the_order_of_submission() {
    every_interleaving("requests_are_committed_in_the_order", || {
        let store = Store::new(2, None);
        let other = start(&store, |store| store.append(9));
        let tickets: Vec<_> = (1..4).map(|number| store.submit(number).unwrap()).collect();
        // The last is waited for first: whoever commits, the earlier ones are committed before.
        for (ticket, number) in tickets.iter().zip([1, 2, 3]).rev() {
            assert_eq!(store.wait(ticket), Ok(number));
        }
        assert_eq!(other.join().unwrap(), Ok(9));
        let mut written = store.written();
        written.retain(|number| *number != 9);
        assert_eq!(written, [1, 2, 3]);
    });
}

#[test]
fn an_append_beside_other_work_on_the_log_does_not_wait_for_ever() {
    every_interleaving("an_append_beside_other_work", || {
        let store = Store::new(100, None);
        let appends: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        assert_eq!(store.sync(), Ok(()));
        for (append, number) in appends.into_iter().zip(1..) {
            assert_eq!(append.join().unwrap(), Ok(number));
        }
    });
}

#[test]
fn a_request_that_nobody_waits_for_is_committed_by_the_committer() {
    every_interleaving("a_request_that_nobody_waits_for", || {
        let store = Store::new(100, None);
        let committer = start(&store, Store::commit_in_background);
        let appender = start(&store, |store| store.append(2));
        // What dropping a `Pending` does.
        drop(store.submit(1).unwrap());
        store.commits.leave();
        assert_eq!(appender.join().unwrap(), Ok(2));
        store.close();
        committer.join().unwrap();
        assert_eq!(sorted(store.written()), [1, 2]);
    });
}

/// Wakes whoever blocks on a future.
#[derive(Default)]
struct Woken {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        *lock(&self.woken) = true;
        self.changed.notify_all();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut future = pin!(future);
    loop {
        let polled = future.as_mut().poll(&mut std::task::Context::from_waker(&waker));
        if let Poll::Ready(output) = polled {
            return output;
        }
        let mut again = lock(&woken.woken);
        while !std::mem::replace(&mut *again, false) {
            again = woken.changed.wait(again).unwrap();
        }
    }
}

#[test]
fn a_future_is_woken_with_its_answer_whoever_commits() {
    every_interleaving("a_future_is_woken", || {
        let store = Store::new(100, None);
        let committer = start(&store, Store::commit_in_background);
        let appender = start(&store, |store| store.append(2));
        let ticket = store.submit(1).unwrap();
        let answer = block_on(std::future::poll_fn(|context| {
            store.commits.poll(&ticket, context.waker()).map_or(Poll::Pending, Poll::Ready)
        }));
        assert_eq!(answer, Ok(1));
        assert!(store.is_synced(1));
        assert_eq!(appender.join().unwrap(), Ok(2));
        store.close();
        committer.join().unwrap();
    });
}

#[test]
fn close_answers_every_request_that_was_taken_and_refuses_the_others() {
    every_interleaving("close_answers", || {
        let store = Store::new(1, None);
        let appends: Vec<_> = (1..3).map(|n| start(&store, move |s| s.append(n))).collect();
        store.close();
        // From here on the log does not change any more.
        let written = store.written();
        assert_eq!(store.append(3), Err("Closed".to_owned()));
        for (append, number) in appends.into_iter().zip(1..) {
            let answer = append.join().unwrap();
            assert_eq!(answer.is_ok(), written.contains(&number));
            assert!(answer.is_ok() || answer == Err("Closed".to_owned()));
        }
        assert_eq!(store.written(), written);
    });
}
