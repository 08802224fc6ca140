//! Who commits, and when: requests queue up, one thread takes the whole queue as a group, and
//! whoever waits for one of them is answered. What a request is, what the log is and how a group is
//! committed is handed in.
//!
//! There is no timer: whoever arrives during one sync is in the next group. Any thread that waits
//! for its own request commits; for requests that nobody blocks on, the committer thread does.
//!
//! Every request that was taken into the queue is committed, in order, whatever becomes of the
//! thread that sent it. tests/interleavings runs this file under loom.

use std::task::Waker;

use super::signal::Signal;
use crate::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError, lock};

/// A request that waits to be committed.
pub trait Request {
    /// What it is answered.
    type Answer;

    /// Bytes that it takes in the queue and in a group.
    fn bytes(&self) -> usize;

    /// Where its answer goes.
    fn ticket(&self) -> &Arc<Ticket<Self::Answer>>;
}

/// Why a request was not taken into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No more are taken.
    Closed,
    /// Too many bytes wait.
    Full,
}

/// The place where the answer to one request will be.
#[derive(Debug)]
pub struct Ticket<A> {
    state: Mutex<TicketState<A>>,
    changed: Condvar,
}

#[derive(Debug)]
struct TicketState<A> {
    answer: Option<A>,
    waker: Option<Waker>,
    /// A thread waits for this ticket and can commit the next group.
    waits: bool,
    /// That thread was asked to do so.
    called: bool,
}

impl<A> Ticket<A> {
    /// Without an answer yet.
    pub fn new() -> Self {
        let state = TicketState { answer: None, waker: None, waits: false, called: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Answers.
    pub fn answer(&self, answer: A) {
        let waker = {
            let mut state = lock(&self.state);
            state.answer = Some(answer);
            state.waker.take()
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Asks the thread that waits for this ticket to commit the next group; whether there is one.
    fn call(&self) -> bool {
        let mut state = lock(&self.state);
        if state.waits {
            state.called = true;
            self.changed.notify_all();
        }
        state.waits
    }

    /// Waits until there is an answer, or the thread is called to commit.
    fn wait(&self) {
        let mut state = lock(&self.state);
        while state.answer.is_none() && !state.called {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.called = false;
    }
}

#[derive(Debug)]
struct Queue<R> {
    waiting: Vec<R>,
    bytes: usize,
    closed: bool,
}

/// The queue, and the log that one thread at a time writes.
#[derive(Debug)]
pub struct GroupCommit<R, L> {
    log: Mutex<L>,
    queue: Mutex<Queue<R>>,
    group_bytes_max: usize,
    /// Wakes the thread that commits what nobody blocks on.
    pub committer: Signal,
}

impl<R: Request, L> GroupCommit<R, L> {
    /// An empty queue before this log; a group has at most this many bytes, or one request.
    pub fn new(log: L, group_bytes_max: usize) -> Self {
        let queue = Queue { waiting: Vec::new(), bytes: 0, closed: false };
        Self {
            log: Mutex::new(log),
            queue: Mutex::new(queue),
            group_bytes_max,
            committer: Signal::default(),
        }
    }

    /// Puts a request into the queue, unless more than this many bytes would wait there.
    ///
    /// # Errors
    /// Why not.
    pub fn submit(&self, request: R, queue_bytes_max: u64) -> Result<(), Refused> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(Refused::Closed);
        }
        let bytes = queue.bytes + request.bytes();
        if queue.bytes > 0 && bytes as u64 > queue_bytes_max {
            return Err(Refused::Full);
        }
        queue.bytes = bytes;
        queue.waiting.push(request);
        Ok(())
    }

    /// Whether no more requests are taken.
    pub fn is_closed(&self) -> bool {
        lock(&self.queue).closed
    }

    /// Takes no more requests, commits those that wait and ends the committer thread; `false` when
    /// that was done already. Nobody commits any more when it returns.
    pub fn close(&self, commit: impl Fn(&mut L, Vec<R>)) -> bool {
        if std::mem::replace(&mut lock(&self.queue).closed, true) {
            return false;
        }
        self.commit_all(commit);
        self.committer.stop();
        true
    }

    /// Works on the log while nobody else does. Whoever wanted to commit meanwhile is called
    /// afterwards: every use of the log goes through here or `try_with_log`, or a thread would wait
    /// for a commit that nobody does.
    pub fn with_log<T>(&self, work: impl FnOnce(&mut L) -> T) -> T {
        self.use_log(lock(&self.log), work)
    }

    /// As `with_log`, unless somebody else works on the log.
    pub fn try_with_log<T>(&self, work: impl FnOnce(&mut L) -> T) -> Option<T> {
        match self.log.try_lock() {
            Ok(log) => Some(self.use_log(log, work)),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(self.use_log(poisoned.into_inner(), work))
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn use_log<T>(&self, mut log: MutexGuard<'_, L>, work: impl FnOnce(&mut L) -> T) -> T {
        let done = work(&mut log);
        drop(log);
        // Whoever is called commits what stands before its own request, too.
        let queue = lock(&self.queue);
        let nobody = !queue.waiting.iter().any(|request| request.ticket().call());
        if nobody && !queue.waiting.is_empty() {
            self.committer.wake();
        }
        drop(queue);
        done
    }

    /// Commits everything that waits, after what somebody else is committing.
    pub fn commit_all(&self, commit: impl Fn(&mut L, Vec<R>)) {
        loop {
            self.with_log(|log| self.commit_one(log, &commit));
            if lock(&self.queue).waiting.is_empty() {
                return;
            }
        }
    }

    /// Waits for the answer; commits groups while nobody else does.
    pub fn wait(&self, ticket: &Ticket<R::Answer>, commit: impl Fn(&mut L, Vec<R>)) -> R::Answer {
        lock(&ticket.state).waits = true;
        loop {
            if let Some(answer) = lock(&ticket.state).answer.take() {
                return answer;
            }
            if self.try_with_log(|log| self.commit_one(log, &commit)).is_none() {
                ticket.wait();
            }
        }
    }

    /// The answer if it is there; else the waker is told, and the committer thread commits.
    pub fn poll(&self, ticket: &Ticket<R::Answer>, waker: &Waker) -> Option<R::Answer> {
        {
            let mut state = lock(&ticket.state);
            if let Some(answer) = state.answer.take() {
                return Some(answer);
            }
            state.waker = Some(waker.clone());
        }
        self.leave();
        None
    }

    /// No thread blocks on a request: the committer thread commits it, if it still waits.
    pub fn leave(&self) {
        if !lock(&self.queue).waiting.is_empty() {
            self.committer.wake();
        }
    }

    fn commit_one(&self, log: &mut L, commit: &impl Fn(&mut L, Vec<R>)) {
        let group = self.take_group();
        if !group.is_empty() {
            commit(log, group);
        }
    }

    fn take_group(&self) -> Vec<R> {
        let mut queue = lock(&self.queue);
        let mut bytes = 0;
        let within = |request: &&R| {
            let first = bytes == 0;
            bytes += request.bytes();
            first || bytes <= self.group_bytes_max
        };
        let len = queue.waiting.iter().take_while(within).count();
        let group: Vec<R> = queue.waiting.drain(..len).collect();
        queue.bytes -= group.iter().map(R::bytes).sum::<usize>();
        group
    }
}

/// Why nothing may be written any more; nothing yet.
#[derive(Debug, Default)]
pub struct Poison(Mutex<Option<String>>);

impl Poison {
    /// Stops all writing for good; the first cause is kept and answered.
    pub fn set(&self, cause: String) -> String {
        lock(&self.0).get_or_insert(cause).clone()
    }

    /// Why nothing may be written.
    pub fn cause(&self) -> Option<String> {
        lock(&self.0).clone()
    }
}
