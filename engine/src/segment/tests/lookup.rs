use std::ops::Range;

use super::*;
use crate::model::predicate::Predicate;
use crate::segment::index::{IndexBuilder, TraceIndex, fingerprint, which_have};

#[test]
fn every_trace_is_found_with_exactly_its_spans() {
    let disk = Disk::new();
    let groups = groups(SEED, &[150, 80, 40]);
    let segment = disk.write(1, &groups, &[]);
    for id in trace_ids(&groups) {
        assert_eq!(all(&segment.read_trace(id).unwrap()), all(&spans_of(&groups, id)), "{id}");
        assert!(segment.trace_rows(id).unwrap().len() <= 2, "{id}");
    }
    let random = &mut Random(SEED + 1);
    for _ in 0..200 {
        let id = TraceId::from_bytes(&trace(random)).unwrap();
        assert!(segment.trace_rows(id).unwrap().is_empty());
        assert!(segment.read_trace(id).unwrap().is_empty());
    }
}

#[test]
fn ids_between_two_bounds_are_listed_in_order() {
    let disk = Disk::new();
    let groups = groups(SEED + 2, &[300, 200]);
    let segment = disk.write(1, &groups, &[]);
    let ids = trace_ids(&groups);
    let between = |low: &[u8; 16], high: &[u8; 16]| segment.trace_ids_between(low, high).unwrap();
    assert_eq!(between(&[0; 16], &[0xff; 16]), ids);
    let (low, high) = (ids[40], ids[77]);
    assert_eq!(between(low.as_bytes(), high.as_bytes()), ids[40..=77]);
    assert_eq!(between(ids[9].as_bytes(), ids[9].as_bytes()), ids[9..=9]);
    assert!(between(&[0; 16], &[0; 16]).is_empty());
    assert!(between(&[0xff; 16], &[0; 16]).is_empty());
}

#[test]
fn two_traces_with_one_fingerprint_are_told_apart() {
    // For any first half there is a second half with this fingerprint.
    let random = &mut Random(SEED);
    let wanted = fingerprint(&[9; 16]);
    let base = |first: u64| {
        let mut id = [0u8; 16];
        id[..8].copy_from_slice(&first.to_le_bytes());
        id
    };
    let other = (0..)
        .map(|_| base(random.next()))
        .map(|mut id| {
            let second = unmix(wanted) ^ unmix(fingerprint(&id));
            id[8..].copy_from_slice(&second.to_le_bytes());
            id
        })
        .next()
        .unwrap();
    assert_eq!(fingerprint(&other), wanted);
    let mut rows: Vec<Row> = (0..3).map(|_| row(random, [9; 16])).collect();
    rows.extend((0..2).map(|_| row(random, other)));
    let groups = [batch(rows)];
    let disk = Disk::new();
    let segment = Arc::new(disk.write(1, &groups, &[]));
    for (id, spans) in [([9; 16], 3), (other, 2)] {
        let id = TraceId::from_bytes(&id).unwrap();
        assert_eq!(segment.trace_rows(id).unwrap().len(), 2);
        let found = segment.read_trace(id).unwrap();
        assert_eq!(found.iter().map(SpanBatch::len).sum::<usize>(), spans);
        let scanned = segment.clone().scan(&Predicate::new().trace(id)).unwrap();
        assert_eq!(scanned.map(|batch| batch.unwrap().len()).sum::<usize>(), 5);
    }
}

/// The inverse of the fingerprint's last step.
fn unmix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(inverse(0xc4ce_b9fe_1a85_ec53));
    x ^= x >> 33;
    x = x.wrapping_mul(inverse(0xff51_afd7_ed55_8ccd));
    x ^ (x >> 33)
}

/// The inverse of an odd number modulo 2^64, by Newton's method.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))))
}

#[test]
fn fingerprints_of_awkward_ids_are_spread_evenly() {
    let count_up: fn(u64) -> [u8; 16] = |n| u128::from(n).to_be_bytes();
    let count_up_first: fn(u64) -> [u8; 16] = |n| (u128::from(n) << 64).to_be_bytes();
    let swapped: fn(u64) -> [u8; 16] = |n| u128::from(n).to_le_bytes();
    let timed: fn(u64) -> [u8; 16] =
        |n| ((0x6745_0000 + u128::from(n / 100)) << 96 | u128::from(n)).to_be_bytes();
    for id in [count_up, count_up_first, swapped, timed] {
        let mut buckets = [0u32; 64];
        let mut all: Vec<u64> = (1..=64_000).map(|n| fingerprint(&id(n))).collect();
        all.iter().for_each(|f| buckets[(f >> 58) as usize] += 1);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 64_000);
        assert!(buckets.iter().all(|n| (800..1200).contains(n)), "{buckets:?}");
    }
}

#[test]
fn a_lookup_finds_what_a_plain_search_finds() {
    let random = &mut Random(SEED + 3);
    for len in [0, 1, 2, 3, 10, 1000, 20_000] {
        let ids: Vec<[u8; 16]> = (0..len).map(|_| trace(random)).collect();
        let mut builder = IndexBuilder::new();
        for id in &ids {
            builder.push(id);
            builder.push(id);
        }
        let bytes = builder.encode();
        assert_eq!(bytes.len(), 16 * len);
        let index = TraceIndex::decode(bytes.into()).unwrap();
        for (at, id) in ids.iter().enumerate() {
            let first = 2 * at as u64;
            let found = index.candidates(TraceId::from_bytes(id).unwrap());
            assert_eq!(found, [first..first + 2]);
        }
        for _ in 0..100 {
            assert!(index.candidates(TraceId::from_bytes(&trace(random)).unwrap()).is_empty());
        }
    }
    assert!(TraceIndex::decode(vec![0; 17].into()).is_none());
}

#[test]
fn a_trace_is_found_in_the_segments_that_have_it_among_many() {
    let random = &mut Random(SEED + 4);
    let lens = [0, 1, 3, 17, 1000, 20_000, 64];
    let ids: Vec<Vec<[u8; 16]>> =
        lens.map(|len| (0..len).map(|_| trace(random)).collect()).into_iter().collect();
    let everywhere = trace(random);
    let indexes = ids.iter().map(|ids| {
        let mut builder = IndexBuilder::new();
        ids.iter().chain([&everywhere].into_iter().filter(|_| ids.len() > 1)).for_each(|id| {
            builder.push(id);
        });
        TraceIndex::decode(builder.encode().into()).unwrap()
    });
    let indexes: Vec<TraceIndex> = indexes.collect();
    let indexes: Vec<&TraceIndex> = indexes.iter().collect();
    let have = |id: &[u8; 16]| which_have(&indexes, TraceId::from_bytes(id).unwrap());
    assert_eq!(have(&everywhere), lens.map(|len| len > 1));
    for (at, ids) in ids.iter().enumerate() {
        for id in ids {
            assert!(have(id).into_iter().enumerate().all(|(other, has)| has == (other == at)));
        }
    }
    (0..100).for_each(|_| assert!(!have(&trace(random)).contains(&true)));
}

#[test]
fn parsed_footers_stay_within_their_bytes_and_go_with_their_segment() {
    let disk = Disk::new();
    let groups = groups(SEED + 4, &[3]);
    let first = disk.write(1, &groups, &[]);
    first.metadata().unwrap();
    let one = disk.cache.bytes();
    assert!(one > 0);
    drop(first);
    assert_eq!(disk.cache.bytes(), 0);
    let cache = Arc::new(MetadataCache::new(one * 5 / 2));
    let open = |_| Segment::open(&disk.fs, &disk.path(1), 1, None, &cache).unwrap();
    let many: Vec<Segment> = (0..10).map(open).collect();
    for segment in many.iter().chain(&many) {
        assert_eq!(segment.metadata().unwrap().num_row_groups(), 1);
        assert!(cache.bytes() <= one * 5 / 2);
    }
    assert!(cache.bytes() >= one);
}

#[test]
fn a_look_up_parses_what_the_footer_says_of_its_row_group() {
    let disk = Disk::new();
    let groups = groups(SEED + 7, &[20; 30]);
    let whole = disk.write(1, &groups, &promoted()).metadata().unwrap();
    // A cache that does not take a whole footer.
    let cache = Arc::new(MetadataCache::new(whole.memory_size() as u64 / 4));
    let segment = Segment::open(&disk.fs, &disk.path(1), 1, None, &cache).unwrap();
    segment.schema().unwrap();
    assert_eq!(cache.bytes(), 0);
    for id in trace_ids(&groups) {
        assert_eq!(all(&segment.read_trace(id).unwrap()), all(&spans_of(&groups, id)), "{id}");
    }
    let kept = cache.bytes();
    assert!(kept > 0);
    for group in 0..30 {
        let part = &segment.layout(group).unwrap().metadata;
        assert_eq!(part.row_groups(), &whole.row_groups()[group..=group]);
        assert_eq!(part.offset_index().unwrap()[..], whole.offset_index().unwrap()[group..=group]);
        assert_eq!(part.column_index().unwrap()[..], whole.column_index().unwrap()[group..=group]);
        assert_eq!(part.file_metadata().schema_descr(), whole.file_metadata().schema_descr());
    }
    assert!(segment.layout(30).is_err());
    drop(segment);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn rows_are_read_across_row_groups_and_no_further_than_the_last() {
    let disk = Disk::new();
    let groups = groups(SEED + 8, &[7, 5, 9]);
    let segment = disk.write(1, &groups, &[]);
    let whole =
        arrow::compute::concat_batches(span_schema(), groups.iter().map(SpanBatch::record_batch))
            .unwrap();
    let read = |ranges: &[Range<u64>]| -> usize {
        let batches = segment.read_rows(ranges).unwrap();
        let parts = batches.iter().map(SpanBatch::record_batch);
        let read = arrow::compute::concat_batches(span_schema(), parts).unwrap();
        let rows = ranges.iter().map(|r| whole.slice(r.start as usize, (r.end - r.start) as usize));
        let rows: Vec<_> = rows.collect();
        assert_eq!(read, arrow::compute::concat_batches(span_schema(), &rows).unwrap());
        batches.len()
    };
    let [a, b, c] = [0, 1, 2].map(|at| groups[at].len() as u64);
    let (b, c) = (a + b, a + b + c);
    assert_eq!(read(&[0..c]), 3);
    assert_eq!(read(&[a - 1..a, a..a + 1, b..b + 1]), 3);
    assert_eq!(read(&[0..1, 2..3, b - 1..b - 1, c - 1..c]), 2);
    assert_eq!(read(&[a - 1..a + 1]), 2);
    for wrong in [vec![0..c + 1], vec![3..4, 2..3], vec![3..5, 4..6], vec![c..c + 1]] {
        assert!(segment.read_rows(&wrong).is_err(), "{wrong:?}");
    }
    assert!(segment.read_rows(&[]).unwrap().is_empty());
}

#[test]
fn a_trace_does_not_keep_the_pages_it_came_from() {
    let disk = Disk::new();
    let groups = groups(SEED + 5, &[300]);
    let segment = disk.write(1, &groups, &[]);
    let id = trace_ids(&groups)[7];
    let bytes = |batches: &[SpanBatch]| -> usize {
        batches.iter().map(|batch| batch.record_batch().get_array_memory_size()).sum()
    };
    let rows = segment.trace_rows(id).unwrap();
    let (pages, own) = (segment.read_rows(&rows).unwrap(), segment.read_trace(id).unwrap());
    assert!(bytes(&own) < bytes(&pages) / 4, "{} of {}", bytes(&own), bytes(&pages));
}

#[test]
fn files_with_other_columns_do_not_share_a_schema() {
    let disk = Disk::new();
    let groups = groups(SEED + 6, &[20]);
    let key =
        |key: &str| Promoted { scope: Scope::Span, key: key.into(), value_type: PromotedType::Int };
    let keys = [key("code"), key("mixed"), key("code")];
    for (number, key) in (1..).zip(&keys) {
        drop(disk.write(number, &groups, std::slice::from_ref(key)));
    }
    for (number, key) in (1..).zip(&keys) {
        let segment = disk.open(number).unwrap();
        let metadata = segment.metadata().unwrap();
        let columns = metadata.file_metadata().schema_descr().columns();
        assert_eq!(columns.last().unwrap().name(), key.column_name());
        assert_eq!(segment.schema().unwrap().fields().last().unwrap().name(), &key.column_name());
        assert_eq!(segment.promoted().unwrap().as_ref(), std::slice::from_ref(key));
    }
}
