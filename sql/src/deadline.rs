//! A deadline that wakes whoever waits past it: one thread for all queries of the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use datafusion::common::DataFusionError;
use futures::task::AtomicWaker;

use crate::error::{Error, Result};

/// When a query must have ended.
#[derive(Debug, Clone)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    limit: Duration,
    waker: Arc<AtomicWaker>,
    cancelled: Arc<AtomicBool>,
}

impl Deadline {
    /// A deadline that lies `limit` from now.
    pub(crate) fn after(limit: Duration) -> Self {
        let at = Instant::now().checked_add(limit);
        let waker = Arc::new(AtomicWaker::new());
        if let Some(at) = at {
            let alarm = Alarm { at, waker: Arc::downgrade(&waker) };
            // Without the timer thread a deadline is only seen when something else wakes the query.
            let timer = TIMER.lock().unwrap_or_else(PoisonError::into_inner);
            timer.as_ref().map(|timer| timer.send(alarm));
        }
        Self { at, limit, waker, cancelled: Arc::default() }
    }

    /// Ends the time now, for all clones.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Why the query is to end, if it is.
    fn over(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Limit("the query was cancelled".to_owned()));
        }
        match self.at {
            Some(at) if Instant::now() >= at => Err(Error::timeout(self.limit)),
            _ => Ok(()),
        }
    }

    /// An error once the time is over; else makes sure that the task is woken then.
    pub(crate) fn check(&self, context: &Context<'_>) -> Result<()> {
        self.waker.register(context.waker());
        self.over()
    }

    /// An error once the time is over, for work that cannot wait for a waker.
    pub(crate) fn check_now(&self) -> std::result::Result<(), DataFusionError> {
        self.over().map_err(|error| DataFusionError::External(Box::new(error)))
    }

    /// Waits for a future, at most until the deadline.
    pub(crate) async fn bound<T>(&self, future: impl Future<Output = T>) -> Result<T> {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            if let Poll::Ready(value) = Pin::new(&mut future).as_mut().poll(context) {
                return Poll::Ready(Ok(value));
            }
            match self.check(context) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

struct Alarm {
    at: Instant,
    waker: Weak<AtomicWaker>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}
impl Eq for Alarm {}
impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

static TIMER: LazyLock<Mutex<Option<Sender<Alarm>>>> = LazyLock::new(|| {
    let (sender, receiver) = channel();
    let thread = std::thread::Builder::new()
        .name("amida-sql-timer".into())
        .spawn(move || wake_when_due(&receiver));
    Mutex::new(thread.ok().map(|_| sender))
});

fn wake_when_due(alarms: &Receiver<Alarm>) {
    let mut waiting: BinaryHeap<Reverse<Alarm>> = BinaryHeap::new();
    loop {
        let now = Instant::now();
        while let Some(Reverse(next)) = waiting.peek() {
            if next.at > now {
                break;
            }
            if let Some(waker) = waiting.pop().and_then(|alarm| alarm.0.waker.upgrade()) {
                waker.wake();
            }
        }
        let received = match waiting.peek() {
            Some(Reverse(next)) => {
                alarms.recv_timeout(next.at.saturating_duration_since(Instant::now()))
            }
            None => alarms.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(alarm) => waiting.push(Reverse(alarm)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
