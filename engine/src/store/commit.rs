//! Group commit: requests queue up, one thread writes and syncs the whole queue, and all of it
//! becomes visible and is answered.
//!
//! There is no timer: whoever arrives during one sync is in the next group. Any thread that waits
//! for its own request commits; for requests that nobody blocks on, the committer thread does.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use bytes::Bytes;

use super::record;
use super::ticket::{self, Pending, Receipt, Ticket};
use super::{Inner, lock, worker};
use crate::error::{Error, Result};
use crate::model::hot::{HotBatch, HotRequest};
use crate::model::time::nanoseconds;
use crate::options::{Durability, REQUEST_BYTES_MAX};
use crate::otlp::walk::{Rejection, Verdict, walk};
use crate::wal::{FileHeader, Group, RecordKind, WalWriter};

/// Most bytes of requests in one group; the queue is cut there.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// Requests that wait to be committed.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Vec<Queued>,
    bytes: u64,
    /// No more are taken.
    pub closed: bool,
}

impl Queue {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[derive(Debug)]
struct Queued {
    request: HotRequest,
    rejected: Vec<Rejection>,
    ingest_ns: i64,
    since: Instant,
    ticket: Arc<Ticket>,
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
            worker::work_here(self);
        }
    }

    /// A ticket, or the receipt at once when there is nothing to store.
    fn enqueue(&self, body: Bytes) -> Result<std::result::Result<Arc<Ticket>, Receipt>> {
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
        let ticket = Arc::new(Ticket::default());
        let bytes = walked.request.body.len() as u64;
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(Error::Closed);
        }
        if queue.bytes > 0 && queue.bytes + bytes > self.options.queue_bytes_max {
            return Err(Error::Busy { what: "too many bytes wait to be committed" });
        }
        queue.bytes += bytes;
        queue.waiting.push(Queued {
            request: walked.request,
            rejected: walked.rejected,
            ingest_ns,
            since: Instant::now(),
            ticket: ticket.clone(),
        });
        Ok(Ok(ticket))
    }

    /// A request of which nothing is stored takes no place in the log; its rejections are counted.
    fn answer_empty(&self, rejected: &[Rejection]) -> Result<Receipt> {
        if lock(&self.queue).closed {
            return Err(Error::Closed);
        }
        let mut state = lock(&self.state);
        add(&mut state.active_rejected, rejected);
        Ok(Receipt::new(0, rejected, None))
    }

    fn ingest_now(&self) -> i64 {
        let mut clock = lock(&self.clock);
        clock.ingest(self.options.clock.now_ns())
    }

    /// Works on the log while nobody else does. Whoever wanted to commit meanwhile is called
    /// afterwards: every use of the log goes through here or `try_with_log`, or a thread would wait
    /// for a commit that nobody does.
    pub(super) fn with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> T {
        self.use_log(lock(&self.log), work)
    }

    /// As `with_log`, unless somebody else works on the log.
    pub(super) fn try_with_log<T>(&self, work: impl FnOnce(&mut Log) -> T) -> Option<T> {
        match self.log.try_lock() {
            Ok(log) => Some(self.use_log(log, work)),
            Err(TryLockError::Poisoned(poisoned)) => {
                Some(self.use_log(poisoned.into_inner(), work))
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn use_log<T>(&self, mut log: MutexGuard<'_, Log>, work: impl FnOnce(&mut Log) -> T) -> T {
        let done = work(&mut log);
        drop(log);
        let next = lock(&self.queue).waiting.first().map(|queued| queued.ticket.clone());
        if let Some(next) = next
            && !next.call()
        {
            self.committer.wake();
        }
        done
    }

    /// Commits one group if nobody else works on the log; whether it had the chance.
    pub(super) fn try_commit(&self) -> bool {
        self.try_with_log(|log| self.commit(log)).is_some()
    }

    /// Commits everything that waits.
    pub(super) fn commit_all(&self) {
        while !lock(&self.queue).is_empty() {
            self.with_log(|log| self.commit(log));
        }
    }

    /// Commits one group.
    fn commit(&self, log: &mut Log) {
        let group = self.take_group();
        if !group.is_empty() {
            self.commit_group(log, group);
        }
    }

    fn take_group(&self) -> Vec<Queued> {
        let mut queue = lock(&self.queue);
        let mut bytes = 0;
        let len = queue
            .waiting
            .iter()
            .take_while(|queued| {
                let first = bytes == 0;
                bytes += queued.request.body.len();
                first || bytes <= GROUP_BYTES_MAX
            })
            .count();
        let group: Vec<Queued> = queue.waiting.drain(..len).collect();
        let taken: usize = group.iter().map(|queued| queued.request.body.len()).sum();
        queue.bytes -= taken as u64;
        group
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
        if self.options.durability == Durability::Sync {
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
        let bytes = Bytes::from(bytes);
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
