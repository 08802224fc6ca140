//! The trace-ID index and the block table of a segment: any bytes; and indexes of known rows,
//! which find each trace.

use amida::TraceId;
use amida::decoders::{BlockTable, IndexBuilder, TraceIndex, crc32, trace_index};
use amida_tests::input::{Input, random_bytes};
use bytes::Bytes;
use fastrand::Rng;

/// An input that reaches the decoders.
pub fn seed(number: u64) -> Vec<u8> {
    let mut random = Rng::with_seed(number);
    let mut seed = vec![number as u8];
    let entries = random.usize(0..20);
    seed.extend((0..entries * 16).map(|_| random.u8(..)));
    seed.extend(random_bytes(&mut random, 20));
    seed
}

/// Panics when an index or a table is not read as it must be.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.u8() % 3 {
        0 => any_index(&mut input),
        1 => known_rows(&mut input),
        _ => table(&mut input),
    }
}

fn id(input: &mut Input<'_>) -> TraceId {
    // Few different ids, so that they meet.
    let mut bytes = [1; 16];
    bytes[input.below(16)] = input.u8();
    TraceId::from_bytes(&bytes).unwrap_or_else(|| TraceId::from_bytes(&[1; 16]).expect("an id"))
}

/// Entries in any order, with any numbers: a search ends, and what it gives is in the index.
fn any_index(input: &mut Input<'_>) {
    let ids = [id(input), id(input)];
    let bytes = input.rest();
    let Some(index) = trace_index(Bytes::copy_from_slice(bytes)) else {
        assert!(!bytes.len().is_multiple_of(16));
        return;
    };
    assert_eq!(index.is_empty(), bytes.is_empty());
    for id in ids {
        assert!(index.candidates(id).len() <= bytes.len() / 16);
        assert!(index.candidates(id).iter().all(|rows| rows.start <= rows.end));
    }
    // Copied into another segment it is the same, in order.
    let mut builder = IndexBuilder::new();
    builder.append(&index, 1);
    let sorted = builder.encode();
    assert_eq!(sorted.len(), bytes.len());
    let fingerprints = |bytes: &[u8]| {
        let (each, _) = bytes[..bytes.len() / 2].as_chunks::<8>();
        let mut each: Vec<u64> = each.iter().map(|f| u64::from_le_bytes(*f)).collect();
        each.sort_unstable();
        each
    };
    assert_eq!(fingerprints(&sorted), fingerprints(bytes));
}

/// Rows of some traces in row groups: of each trace all rows are found, and no others unless two
/// share a fingerprint, which 16 bytes that differ in one never do.
fn known_rows(input: &mut Input<'_>) {
    let mut builder = IndexBuilder::new();
    let mut rows: Vec<TraceId> = Vec::new();
    let absent = id(input);
    while !input.is_empty() {
        let id = id(input);
        for _ in 0..=input.u8() % 4 {
            builder.push(id.as_bytes());
            rows.push(id);
        }
        if input.u8().is_multiple_of(8) {
            builder.end_row_group();
        }
    }
    let bytes = builder.encode();
    let index = trace_index(Bytes::from(bytes.clone())).expect("an index of whole entries");
    let mut ids = rows.clone();
    ids.push(absent);
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let found: Vec<usize> =
            index.candidates(id).into_iter().flatten().map(|row| row as usize).collect();
        let own = (0..rows.len()).filter(|row| rows[*row] == id);
        assert_eq!(found, own.collect::<Vec<_>>(), "rows of {id}");
    }
    let copied = |index: &TraceIndex| {
        let mut builder = IndexBuilder::new();
        builder.append(index, rows.len() as u32);
        builder.encode()
    };
    assert_eq!(copied(&index), bytes);
}

/// A table of any bytes; and that of given content, in pieces of any length.
fn table(input: &mut Input<'_>) {
    let step = usize::from(input.u8()) * 64 + 1;
    // Few inputs are repeated to more than a block.
    let times = if input.u8().is_multiple_of(16) { 64 } else { 1 };
    let bytes = input.rest();
    if let Some(table) = BlockTable::decode(bytes) {
        assert_eq!(table.encode(), bytes);
        assert_eq!(bytes.len() as u64, 8 + table.covered().div_ceil(4096) * 4);
    }
    let content = bytes.repeat(times);
    let mut table = BlockTable::new();
    content.chunks(step).for_each(|piece| table.update(piece));
    table.finish();
    let crcs = content.chunks(4096).flat_map(|block| crc32(&[block]).to_le_bytes());
    let expected: Vec<u8> = (content.len() as u64).to_le_bytes().into_iter().chain(crcs).collect();
    assert_eq!(table.encode(), expected);
    let again = BlockTable::decode(&expected).expect("a table that was encoded");
    assert_eq!(again.covered(), content.len() as u64);
}
