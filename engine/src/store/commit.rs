//! What a commit is: a group of requests is written to the log and synced, becomes visible and is
//! answered. Who commits, and when, is in `group`.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use super::group::{GroupCommit, Refused, Request, Ticket};
use super::record;
use super::ticket::{self, Pending, Receipt};
use super::{Inner, lock, worker};
use crate::error::{Error, Result};
use crate::model::hot::{HotBatch, HotRequest};
use crate::model::time::nanoseconds;
use crate::options::{Durability, REQUEST_BYTES_MAX};
use crate::otlp::walk::{Rejection, Verdict, walk};
use crate::sync::{Arc, PoisonError};
use crate::wal::{FileHeader, Group, RecordKind, WalWriter};

/// Most bytes of requests in one group; the queue is cut there.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// The queue of requests before the log.
pub type Commits = GroupCommit<Queued, Log>;

/// A walked request that waits to be committed.
#[derive(Debug)]
pub struct Queued {
    request: HotRequest,
    rejected: Vec<Rejection>,
    ingest_ns: i64,
    since: Instant,
    ticket: Arc<Ticket<Result<Receipt>>>,
}

impl Request for Queued {
    type Answer = Result<Receipt>;

    fn bytes(&self) -> usize {
        self.request.body.len()
    }

    fn ticket(&self) -> &Arc<Ticket<Self::Answer>> {
        &self.ticket
    }
}

/// The log, and what must be known to go on with it.
#[derive(Debug)]
pub struct Log {
    /// The file that is written; `None` when the next group begins a new one.
    pub writer: Option<WalWriter>,
    /// The number of the next file.
    pub next_file: u64,
    /// The sequence of the next file's first record.
    pub next_sequence: u64,
    /// When the oldest bytes were written that are not synced.
    pub dirty_since: Option<Instant>,
}

impl Log {
    /// Gives the file up: nothing more is written to it.
    fn leave(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.next_sequence = writer.next_sequence();
        }
    }
}

/// A ticket, or the receipt at once.
type Submitted = std::result::Result<Arc<Ticket<Result<Receipt>>>, Receipt>;

/// The queue before a log.
pub fn queue(log: Log) -> Commits {
    Commits::new(log, GROUP_BYTES_MAX)
}

impl Inner {
    /// Walks a request and puts it into the queue.
    pub(super) fn submit(self: &Arc<Self>, body: Bytes) -> Pending {
        if self.options.single_threaded {
            self.make_room(body.len() as u64);
        }
        match self.enqueue(body) {
            Ok(Ok(ticket)) => Pending::queued(ticket, self.clone()),
            Ok(Err(receipt)) => Pending::answered(Ok(receipt)),
            Err(error) => Pending::answered(Err(error)),
        }
    }

    /// Flushes where the log has no room for so many bytes: in a store without threads nobody else
    /// would. What keeps it from that is told to whoever appends, as `Busy`.
    fn make_room(&self, bytes: u64) {
        if lock(&self.state).unflushed_bytes() + bytes > self.options.wal_bytes_max {
            if let Err(error) = self.with_log(|log| self.seal(log)) {
                self.counters.failed(&error);
            }
            self.wake_maintenance();
            worker::work_here(self);
        }
    }

    /// A ticket, or the receipt at once when there is nothing to store.
    fn enqueue(&self, body: Bytes) -> Result<Submitted> {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a request may have at most {REQUEST_BYTES_MAX} bytes, this one has {}: split it",
                body.len()
            )));
        }
        self.check_poison()?;
        let ingest_ns = self.ingest_now();
        let future_max = self.options.future_max;
        let start_max_ns = future_max.map(|ahead| ingest_ns.saturating_add(nanoseconds(ahead)));
        let walked = walk(body, ingest_ns, Verdict::Judge { start_max_ns })
            .map_err(|malformed| Error::invalid(malformed.to_string()))?;
        if walked.request.spans.is_empty() {
            return self.answer_empty(&walked.rejected).map(Err);
        }
        let ticket = Arc::new(Ticket::new());
        let queued = Queued {
            request: walked.request,
            rejected: walked.rejected,
            ingest_ns,
            since: Instant::now(),
            ticket: ticket.clone(),
        };
        match self.commits.submit(queued, self.options.queue_bytes_max) {
            Ok(()) => Ok(Ok(ticket)),
            Err(Refused::Closed) => Err(Error::Closed),
            Err(Refused::Full) => Err(Error::Busy { what: "too many bytes wait to be committed" }),
        }
    }

    /// A request of which nothing is stored takes no place in the log; its rejections are counted.
    fn answer_empty(&self, rejected: &[Rejection]) -> Result<Receipt> {
        if self.commits.is_closed() {
            return Err(Error::Closed);
        }
        let mut state = lock(&self.state);
        add(&mut state.active_rejected, rejected);
        Ok(Receipt::new(0, rejected, None))
    }

    fn ingest_now(&self) -> i64 {
        // Read first: the clock is the embedder's code, and may take its time.
        let reading_ns = self.options.clock.now_ns();
        lock(&self.clock).ingest(reading_ns)
    }

    /// Works on the log while nobody else does.
    pub(super) fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> T {
        self.commits.with_log(work)
    }

    /// As `with_log`, unless the store is closed: the directory may be another writer's by then.
    pub(super) fn with_open_log(&self, work: impl FnOnce(&mut Log) -> Result<()>) -> Result<()> {
        self.with_log(|log| if self.commits.is_closed() { Err(Error::Closed) } else { work(log) })
    }

    /// As `with_log`, unless somebody else works on the log.
    pub(super) fn try_with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        self.commits.try_with_log(work)
    }

    /// Waits for the answer to a request; commits while nobody else does.
    pub(super) fn wait(&self, ticket: &Ticket<Result<Receipt>>) -> Result<Receipt> {
        self.commits.wait(ticket, |log, group| self.commit_group(log, group))
    }

    /// Commits everything that waits.
    pub(super) fn commit_all(&self) {
        self.commits.commit_all(|log, group| self.commit_group(log, group));
    }

    /// Takes no more requests and commits those that wait; `false` when that was done already.
    pub(super) fn close_queue(&self) -> bool {
        self.commits.close(|log, group| self.commit_group(log, group))
    }

    fn commit_group(&self, log: &mut Log, group: Vec<Queued>) {
        let written = match self.wait_for_room(log, &group) {
            Ok(()) => self.write(log, &group),
            Err(error) => Err(error),
        };
        match written {
            Ok((written, first_sequence)) => self.make_visible(log, group, written, first_sequence),
            Err(error) => {
                if error.is_retryable() {
                    tracing::debug!(target: "amida::store", %error, "an append was put off");
                } else {
                    tracing::warn!(target: "amida::store", %error, "an append failed");
                }
                for queued in group {
                    queued.ticket.answer(Err(error.clone()));
                }
            }
        }
    }

    /// Waits while the log has no room for the group, at most `stall_max` from the time its oldest
    /// request came.
    fn wait_for_room(&self, log: &mut Log, group: &[Queued]) -> Result<()> {
        self.check_poison()?;
        let floor = self.options.disk_floor_bytes;
        if floor > 0 {
            let free_bytes = self.fs.free_bytes(&self.path)?;
            if free_bytes < floor {
                return Err(Error::DiskFull { path: self.path.clone(), free_bytes });
            }
        }
        let bytes: usize = group.iter().map(|queued| queued.request.body.len()).sum();
        let since = group.iter().map(|queued| queued.since).min().unwrap_or_else(Instant::now);
        let full =
            |unflushed: u64| unflushed > 0 && unflushed + bytes as u64 > self.options.wal_bytes_max;
        let mut state = lock(&self.state);
        if !full(state.unflushed_bytes()) {
            return Ok(());
        }
        if state.sealed.is_empty() {
            // Nothing would be flushed until the active memtable is sealed.
            drop(state);
            self.seal(log)?;
            state = lock(&self.state);
        }
        if log.dirty_since.is_some() && self.options.durability != Durability::Os {
            // What was acknowledged must not wait for the flush, too.
            drop(state);
            self.sync_log(log)?;
            state = lock(&self.state);
        }
        self.counters.stalls.fetch_add(1, Ordering::Relaxed);
        while full(state.unflushed_bytes()) {
            let left = self.options.stall_max.saturating_sub(since.elapsed());
            if left.is_zero() || self.options.single_threaded {
                return Err(Error::Busy { what: "the log is full and waits to be flushed" });
            }
            self.wake_maintenance();
            let waited = self.room.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Writes a group to the log and, where that was promised, syncs it.
    fn write(&self, log: &mut Log, group: &[Queued]) -> Result<(Group, u64)> {
        let writer = match &mut log.writer {
            Some(writer) => writer,
            none => none.insert(self.next_file(log.next_file, log.next_sequence)?),
        };
        log.next_file = writer.number() + 1;
        let heads: Vec<Vec<u8>> =
            group.iter().map(|q| record::head(q.ingest_ns, &q.rejected)).collect();
        let bytes = group.iter().zip(&heads);
        let capacity = bytes.map(|(q, head)| q.request.body.len() + head.len() + 64).sum();
        let mut records = writer.group(capacity);
        for (queued, head) in group.iter().zip(&heads) {
            let pieces: [&[u8]; 2] = [head, &queued.request.body];
            writer.add(&mut records, RecordKind::Request, &pieces)?;
        }
        let first_sequence = writer.next_sequence();
        if let Err(error) = writer.write(&records) {
            let cut = writer.cut_back();
            return Err(self.after_failed_write(log, cut, error));
        }
        log.dirty_since.get_or_insert_with(Instant::now);
        if self.options.durability == Durability::Sync && !planted!("ack_before_sync") {
            self.sync_log(log)?;
        }
        Ok((records, first_sequence))
    }

    fn next_file(&self, number: u64, first_sequence: u64) -> Result<WalWriter> {
        let header =
            FileHeader { store_id: self.store_id, number, salt: new_salt()?, first_sequence };
        WalWriter::create(&*self.fs, &self.path, header).map_err(|error| self.name_full_disk(error))
    }

    /// Half a group may have stood in the file: it was cut off, and the file is not used any more.
    /// When even that failed, nobody knows what stands there.
    fn after_failed_write(&self, log: &mut Log, cut: Result<()>, error: Error) -> Error {
        match cut {
            Ok(()) if planted!("full_disk_is_final") && error.is_full_disk() => self.poison(&error),
            Ok(()) => {
                log.leave();
                log.dirty_since = None;
                self.name_full_disk(error)
            }
            Err(cut) => self.poison(&cut),
        }
    }

    /// A disk without room is an error of its own: it goes away, and the request can be sent again.
    fn name_full_disk(&self, error: Error) -> Error {
        if !error.is_full_disk() {
            return error;
        }
        let free_bytes = self.fs.free_bytes(&self.path).unwrap_or(0);
        Error::DiskFull { path: self.path.clone(), free_bytes }
    }

    /// Syncs the log. After a failed sync nobody knows what is on the disk: writing stops.
    pub(super) fn sync_log(&self, log: &mut Log) -> Result<()> {
        let Some(writer) = &mut log.writer else { return Ok(()) };
        let begun = Instant::now();
        let synced = writer.sync();
        self.counters.synced(begun.elapsed());
        log.dirty_since = None;
        synced.map_err(|error| self.poison(&error))
    }

    /// Makes a written group visible and answers its requests.
    fn make_visible(&self, log: &mut Log, group: Vec<Queued>, written: Group, first_sequence: u64) {
        let Group { bytes, payloads, .. } = written;
        let bytes = bytes.into_bytes();
        let last_sequence = first_sequence + group.len() as u64 - 1;
        let mut requests = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        let mut rejected_all = Vec::new();
        let ingest = group.iter().map(|queued| queued.ingest_ns);
        let ingest_times = (ingest.clone().min().unwrap_or(0), ingest.max().unwrap_or(0));
        for (index, (queued, payload)) in group.into_iter().zip(payloads).enumerate() {
            let Queued { mut request, rejected, ticket, .. } = queued;
            // The log's buffer is the only copy: the sender's bytes are let go.
            request.body = bytes.slice(payload.end - request.body.len()..payload.end);
            let sequence = Some(first_sequence + index as u64);
            answers.push((ticket, Receipt::new(request.spans.len(), &rejected, sequence)));
            rejected_all.extend(rejected);
            requests.push(request);
        }
        let full = {
            let mut state = lock(&self.state);
            state.active.insert(HotBatch::new(requests), last_sequence, ingest_times);
            add(&mut state.active_rejected, &rejected_all);
            state.active_since.get_or_insert_with(Instant::now);
            state.active.facts().bytes >= self.options.seal_bytes
        };
        for (ticket, receipt) in answers {
            ticket.answer(Ok(receipt));
        }
        if full && let Err(error) = self.seal(log) {
            self.counters.failed(&error);
        }
    }

    /// Ends the log file and the active memtable together.
    pub(super) fn seal(&self, log: &mut Log) -> Result<()> {
        if lock(&self.state).active.facts().rows == 0 {
            return Ok(());
        }
        self.check_poison()?;
        self.end_file(log)?;
        lock(&self.state).seal(log.next_file.saturating_sub(1));
        self.wake_maintenance();
        Ok(())
    }

    /// Ends the log file with a seal. Without it a file is as good, so a disk that has no room for
    /// one is no error, once half a seal is cut off.
    pub(super) fn end_file(&self, log: &mut Log) -> Result<()> {
        if log.dirty_since.is_some() {
            // The seal says that what stands before it is durable: so it must be before.
            self.sync_log(log)?;
        }
        let Some(writer) = &mut log.writer else { return Ok(()) };
        if let Err(error) = writer.write_seal() {
            let cut = writer.cut_back();
            return match self.after_failed_write(log, cut, error) {
                poisoned @ Error::Poisoned { .. } => Err(poisoned),
                error => {
                    tracing::warn!(target: "amida::store", %error, "a log file has no seal");
                    Ok(())
                }
            };
        }
        self.sync_log(log)?;
        log.leave();
        Ok(())
    }
}

fn add(counts: &mut [u64], rejected: &[Rejection]) {
    for (count, more) in counts.iter_mut().zip(ticket::count(rejected)) {
        *count += more;
    }
}

/// A random number for a log file's header.
pub(super) fn new_salt() -> Result<u64> {
    getrandom::u64().map_err(|e| Error::invalid(format!("the system gives no random numbers: {e}")))
}
