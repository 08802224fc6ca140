//! A log file: its header, its records, their payloads. What is read was written in that very
//! place, whatever stands around it, and honest records are all found.

use amida::decoders::{self, FileHeader, RecordHeader, RecordKind, crc32};
use amida_tests::corpus;
use amida_tests::input::{Damage, Input, random_bytes};
use bytes::Bytes;
use fastrand::Rng;

const FILE_HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 40;

/// An input that reaches the decoders.
pub fn seed(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    let mut seed = vec![(number % 5) as u8];
    match number % 5 {
        0 => {
            let mut log = Log::new(random.u64(..));
            (0..random.usize(0..4)).for_each(|_| log.honest(&random_bytes(&mut random, 40)));
            seed.extend(log.bytes);
        }
        3 => {
            let rejected = random.u32(0..3);
            seed.extend(random.i64(..).to_le_bytes());
            seed.extend(rejected.to_le_bytes());
            for ordinal in 0..rejected {
                seed.extend(ordinal.to_le_bytes());
                seed.push(random.u8(0..6));
            }
            let spans = (0..3).map(|span| corpus::plain_span(1, span, "span"));
            seed.extend(corpus::body("service", spans.collect()));
        }
        _ => seed.extend(random_bytes(&mut random, 200)),
    }
    seed
}

/// Panics when a log is not read as it must be.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 5 {
        0 => raw(input.rest()),
        1 => forged(&mut input),
        2 => damaged(&mut input),
        3 => payload(input.rest()),
        _ => headers(&mut input),
    }
}

/// A log file that is being written, and the records that stand in it.
struct Log {
    header: FileHeader,
    bytes: Vec<u8>,
    records: Vec<(usize, RecordHeader, Vec<u8>)>,
}

impl Log {
    fn new(salt: u64) -> Self {
        let header = FileHeader { store_id: [7; 16], number: 3, salt, first_sequence: 5 };
        Self { header, bytes: header.encode().to_vec(), records: Vec::new() }
    }

    /// Bytes that are no record, up to where the next one may begin.
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }

    /// A record as the store writes it; an empty payload makes none.
    fn honest(&mut self, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let header = RecordHeader {
            kind: if payload.len() == 8 { RecordKind::Seal } else { RecordKind::Request },
            payload_bytes: payload.len() as u32,
            payload_crc: crc32(&[payload]),
            sequence: self.header.first_sequence + self.records.len() as u64,
            durable_sequence: self.header.first_sequence,
        };
        let at = self.bytes.len();
        self.put(&header.encode(&self.header, at as u64));
        self.put(payload);
        self.records.push((at, header, payload.to_vec()));
    }

    /// A record whose header says anything, under the right checksum.
    fn forged(&mut self, mut covered: [u8; 32], payload: &[u8]) {
        covered[..4].copy_from_slice(b"AMRC");
        let at = self.bytes.len() as u64;
        let (salt, number) = (self.header.salt.to_le_bytes(), self.header.number.to_le_bytes());
        let crc = crc32(&[&salt, &number, &at.to_le_bytes(), &covered]);
        self.put(&[&covered[..], &crc.to_le_bytes(), &[0; 4]].concat());
        self.put(payload);
    }
}

/// Reads a file and holds what is given against the bytes.
fn read(file: &[u8]) -> Option<decoders::Log> {
    let id = file.get(16..32)?.try_into().expect("16 bytes");
    let number = u64::from_le_bytes(file.get(32..40)?.try_into().expect("8 bytes"));
    let bytes = Bytes::copy_from_slice(file);
    let log = decoders::log(bytes, &id, number).ok()?;
    assert_eq!(log.header.encode()[16..56], file[16..56]);
    let mut end = FILE_HEADER_BYTES;
    for record in &log.records {
        let at = record.offset as usize;
        let payload = at + RECORD_HEADER_BYTES;
        assert!(at >= end && at.is_multiple_of(8), "records overlap at {at}");
        assert_eq!(file[at..payload], record.header.encode(&log.header, record.offset));
        end = payload + record.payload.len();
        assert_eq!(file[payload..end], record.payload[..]);
        assert_eq!(crc32(&[&record.payload]), record.header.payload_crc);
    }
    assert!(log.bad.is_sorted());
    Some(log)
}

/// A fuzzer learns to forge checksums, as it knows the file's salt; no sender of requests does.
fn may_hide_a_record(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"AMRC")
}

fn raw(file: &[u8]) {
    let log = read(file);
    // A file header of 64 bytes and its checksum are all that must hold.
    let crc = file.get(..56).map(|covered| crc32(&[covered]).to_le_bytes());
    let whole = crc.is_some_and(|crc| file.get(56..60) == Some(&crc))
        && file.starts_with(b"AMIDAWAL\x01\0\0\0");
    assert_eq!(log.is_some(), whole);
}

/// Honest records, forged ones, garbage and zeros in turn.
fn forged(input: &mut Input<'_>) {
    let mut log = Log::new(input.u64());
    let mut forged = false;
    while !input.is_empty() {
        match input.u8() % 4 {
            0 | 1 => {
                let len = usize::from(input.u8());
                let payload = input.bytes(len);
                forged |= may_hide_a_record(payload);
                log.honest(payload);
            }
            2 => {
                forged = true;
                let mut covered = input.array();
                let len = usize::from(input.u8());
                let payload = input.bytes(len);
                if input.u8().is_multiple_of(2) {
                    covered[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
                    covered[12..16].copy_from_slice(&crc32(&[payload]).to_le_bytes());
                    covered[8] %= 4;
                    covered[9..12].fill(0);
                }
                log.forged(covered, payload);
            }
            _ => {
                let len = usize::from(input.u8());
                let garbage = input.bytes(len);
                forged |= may_hide_a_record(garbage);
                log.put(if input.u8().is_multiple_of(2) { garbage } else { &[0; 16] });
            }
        }
    }
    let found = read(&log.bytes).expect("the file header is whole");
    if !forged {
        same_records(&log, &found, |_, _| true);
    }
}

/// One damage: no record is another one, and those that it does not touch are found.
fn damaged(input: &mut Input<'_>) {
    let mut log = Log::new(input.u64());
    let damage_bytes = input.bytes(9);
    while !input.is_empty() {
        let len = usize::from(input.u8());
        let payload = input.bytes(len);
        if may_hide_a_record(payload) {
            return;
        }
        log.honest(payload);
    }
    let mut bytes = log.bytes.clone();
    let damage = Damage::choose(&mut Input::new(damage_bytes), bytes.len());
    let touched = damage.apply(&mut bytes);
    let Some(found) = read(&bytes) else {
        let in_header = touched.is_some_and(|(from, _)| from < FILE_HEADER_BYTES);
        assert!(in_header, "{damage:?}: no log any more");
        return;
    };
    same_records(&log, &found, |from, to| {
        touched.is_none_or(|(first, end)| to <= first || end <= from)
    });
}

/// All records found were written; those of which `untouched` says so were found.
fn same_records(log: &Log, found: &decoders::Log, untouched: impl Fn(usize, usize) -> bool) {
    let mut found = found.records.iter().peekable();
    for (at, header, payload) in &log.records {
        let here = found.next_if(|record| record.offset == *at as u64);
        if let Some(record) = here {
            assert_eq!((&record.header, &record.payload), (header, payload));
        }
        let end = at + RECORD_HEADER_BYTES + payload.len();
        assert!(here.is_some() || !untouched(*at, end), "the record at {at} is lost");
    }
    assert!(found.next().is_none(), "a record that nobody wrote");
}

fn payload(bytes: &[u8]) {
    let Some(request) = decoders::payload(bytes.to_vec()) else { return };
    assert!(bytes.ends_with(request.body()));
    if request.accepted() > 0 {
        assert_eq!(request.spans().expect("small columns").len(), request.accepted());
    }
    // What a store would log for these spans reads as the same spans.
    let Ok(first) = decoders::request(request.body().clone(), request.ingest_ns) else {
        panic!("a payload holds what is no request")
    };
    let logged = decoders::payload_bytes(first.ingest_ns, first.rejected(), first.body());
    let again = decoders::payload(logged).expect("what was logged is read");
    assert_eq!(again.ingest_ns, first.ingest_ns);
    assert_eq!((again.rejected(), again.accepted()), (first.rejected(), first.accepted()));
}

/// Headers with any fields: decoded they are the same again; with any bytes: encoded again.
fn headers(input: &mut Input<'_>) {
    let file = FileHeader {
        store_id: input.array(),
        number: input.u64(),
        salt: input.u64(),
        first_sequence: input.u64(),
    };
    assert_eq!(decoders::file_header(&file.encode()), Ok(file));
    let offset = input.u64();
    let header = RecordHeader {
        kind: if input.u8().is_multiple_of(2) { RecordKind::Request } else { RecordKind::Seal },
        payload_bytes: u32::from_le_bytes(input.array()),
        payload_crc: u32::from_le_bytes(input.array()),
        sequence: input.u64(),
        durable_sequence: input.u64(),
    };
    let bytes = header.encode(&file, offset);
    let fits = (1..=64 << 20).contains(&header.payload_bytes);
    assert_eq!(decoders::record_header(&bytes, &file, offset), fits.then_some(header));
    // Nowhere else is it a record.
    let elsewhere = offset ^ (1 << (input.u8() % 64));
    assert_eq!(decoders::record_header(&bytes, &file, elsewhere), None);
    let mut covered: [u8; 56] = input.array();
    covered[..8].copy_from_slice(b"AMIDAWAL");
    let crc = crc32(&[&covered]).to_le_bytes();
    let bytes = [&covered[..], &crc, &[0; 4]].concat();
    if let Ok(file) = decoders::file_header(&bytes) {
        assert_eq!(file.encode()[16..56], bytes[16..56]);
    }
}
