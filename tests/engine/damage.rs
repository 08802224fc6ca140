//! Torn and rotten bytes: a torn end of the log is cut off silently, everything else is reported,
//! and the store works on. `flips` asks for every byte what it does to rows.

use std::path::{Path, PathBuf};

use amida::{CrashModel, Error, Fs, MemoryFs, Predicate};
use amida_tests::compare::same_rows;
use amida_tests::corpus::Corpus;
use amida_tests::oracle::Row;

use crate::common::{DIR, numbers, once, one_span, open, options, spans};
use crate::rows;

fn only_file(fs: &MemoryFs, folder: &str) -> PathBuf {
    let folder = Path::new(DIR).join(folder);
    let names = fs.list(&folder).unwrap();
    folder.join(names.last().unwrap())
}

fn bytes(fs: &MemoryFs, path: &Path) -> Vec<u8> {
    fs.map(path).unwrap().to_vec()
}

/// A copy of the disk on which this file has other bytes.
fn with(fs: &MemoryFs, path: &Path, bytes: &[u8]) -> MemoryFs {
    let copy = fs.crash(CrashModel::KeepAll);
    let file = copy.open_write(path).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file.sync_data().unwrap();
    copy
}

/// The disk of a process that was killed after three requests, its log file, and where each of the
/// three records ends.
fn killed_after_three() -> (MemoryFs, PathBuf, [usize; 3]) {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let ends = [1, 2, 3].map(|number| {
        let _ = store.append_otlp(one_span(number)).unwrap();
        let bytes = bytes(&fs, &only_file(&fs, "wal"));
        bytes.iter().rposition(|b| *b != 0).unwrap() + 1
    });
    (fs.crash(CrashModel::KeepAll), only_file(&fs, "wal"), ends)
}

#[test]
fn a_log_torn_at_every_byte_of_its_last_record_ends_there_silently() {
    let (fs, path, [_, two, three]) = killed_after_three();
    let log = bytes(&fs, &path);
    for cut in two..three {
        let mut zeros = log.clone();
        zeros[cut..].fill(0);
        let mut garbage = log.clone();
        garbage.truncate(cut);
        garbage.extend([0x5a; 33]);
        for torn in [log[..cut].to_vec(), zeros, garbage] {
            let fs = with(&fs, &path, &torn);
            let store = open(&fs);
            assert_eq!(numbers(&store.snapshot()), once([1, 2]), "cut at {cut}");
            assert!(store.stats().damage.is_empty(), "{:?}", store.stats().damage);
            let _ = store.append_otlp(one_span(4)).unwrap();
            store.close().unwrap();
            assert_eq!(numbers(&open(&fs).snapshot()), once([1, 2, 4]), "cut at {cut}");
        }
    }
}

#[test]
fn a_rotten_byte_in_the_middle_of_the_log_is_reported_and_later_records_are_kept() {
    let (fs, path, [one, two, three]) = killed_after_three();
    let log = bytes(&fs, &path);
    let mut reported = 0;
    for at in one..two {
        let mut rotten = log.clone();
        rotten[at] ^= 0x10;
        let fs = with(&fs, &path, &rotten);
        let store = open(&fs);
        let found = numbers(&store.snapshot());
        if store.stats().damage.is_empty() {
            // Padding between records belongs to none.
            assert_eq!(found, once([1, 2, 3]), "byte {at}");
            continue;
        }
        reported += 1;
        assert_eq!(found, once([1, 3]), "byte {at}: {:?}", store.stats().damage);
        assert!(store.stats().damage[0].contains(path.to_str().unwrap()));
        // It stays so, and what is damaged is kept aside.
        store.flush().unwrap();
        let _ = store.append_otlp(one_span(4)).unwrap();
        store.close().unwrap();
        assert_eq!(numbers(&open(&fs).snapshot()), once([1, 3, 4]), "byte {at}");
        let quarantine = fs.list(&Path::new(DIR).join("quarantine")).unwrap();
        assert_eq!(quarantine.len(), 1, "byte {at}");
    }
    assert!(reported > (two - one) - 16, "{reported} of {}", three - two);
}

#[test]
fn a_reader_says_that_the_middle_of_the_log_is_damaged_and_goes_on() {
    let (fs, path, [one, two, _]) = killed_after_three();
    let log = bytes(&fs, &path);
    let without = open(&fs.crash(CrashModel::KeepAll)).snapshot().start_times();
    let mut reported = 0;
    for at in (one..two).step_by(3) {
        let mut rotten = log.clone();
        rotten[at] ^= 0x10;
        let fs = with(&fs, &path, &rotten);
        let reader = options(&fs).open_reader(DIR).unwrap();
        let damage = reader.stats().damage;
        if damage.is_empty() {
            // Padding between records belongs to none.
            assert_eq!(numbers(&reader.snapshot()), once([1, 2, 3]), "byte {at}");
            continue;
        }
        reported += 1;
        // An answer without it must be asked for.
        let refused = reader.snapshot().scan(&Predicate::new()).map(drop);
        assert!(
            matches!(&refused, Err(Error::Corrupt { path: p, .. }) if *p == path),
            "{refused:?}"
        );
        let partial = reader.snapshot().allow_partial();
        assert_eq!(numbers(&partial), once([1, 3]), "byte {at}: {damage:?}");
        assert_eq!(partial.missing().len(), 1);
        // Nobody knows of which times the log was; that changes no other answer.
        assert_eq!(partial.start_times(), without);
        assert!(damage.len() == 1 && damage[0].contains(path.to_str().unwrap()), "{damage:?}");
        reader.refresh().unwrap();
        assert_eq!(reader.stats().damage, damage, "byte {at}");
    }
    assert!(reported > 30, "{reported}");
    // A file that is no log any more is damage too.
    let fs = with(&fs, &path, &[0x5a; 300]);
    let reader = options(&fs).open_reader(DIR).unwrap();
    assert_eq!(reader.stats().damage.len(), 1);
    assert_eq!(numbers(&reader.snapshot().allow_partial()), once([]));
}

#[test]
fn a_reader_says_that_a_log_file_is_missing() {
    let fs = MemoryFs::new();
    for number in 1..4 {
        // Each writer leaves a log file of its own.
        let store = options(&fs).single_threaded().open(DIR).unwrap();
        let _ = store.append_otlp(one_span(number)).unwrap();
        store.close().unwrap();
    }
    let folder = Path::new(DIR).join("wal");
    let names = fs.list(&folder).unwrap();
    assert_eq!(names.len(), 3);
    for (gone, left) in [(0, [2, 3]), (1, [1, 3])] {
        let fs = fs.crash(CrashModel::KeepAll);
        fs.remove(&folder.join(&names[gone])).unwrap();
        let reader = options(&fs).open_reader(DIR).unwrap();
        let damage = reader.stats().damage;
        assert!(damage.len() == 1 && damage[0].contains("missing"), "{damage:?}");
        reader.snapshot().scan(&Predicate::new()).map(drop).unwrap_err();
        assert_eq!(numbers(&reader.snapshot().allow_partial()), once(left));
    }
}

#[test]
fn a_missing_log_file_in_the_middle_is_reported() {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let mut disks = Vec::new();
    for number in 1..4 {
        let _ = store.append_otlp(one_span(number)).unwrap();
        disks.push((only_file(&fs, "wal"), fs.crash(CrashModel::KeepAll)));
        store.flush().unwrap();
    }
    // The segments and manifests of the beginning with log files of the end.
    let (first, early) = &disks[0];
    let (third, late) = &disks[2];
    early.create(third).unwrap();
    let early = with(early, third, &bytes(late, third));
    assert_ne!(first, third);
    let store = open(&early);
    assert_eq!(numbers(&store.snapshot()), once([1, 3]));
    assert_eq!(store.stats().damage.len(), 1, "{:?}", store.stats().damage);
}

/// A log file gets its name when its header is synced, so no crash of ours leaves such a file.
#[test]
fn an_empty_or_zeroed_log_file_is_put_aside_and_hides_nothing() {
    let (fs, path, _) = killed_after_three();
    for content in [vec![], vec![0; 10], vec![0; 100_000]] {
        let copy = fs.crash(CrashModel::KeepAll);
        let next = path.with_file_name(format!("{:016}.wal", 2));
        assert_ne!(next, path);
        copy.create(&next).unwrap();
        let copy = with(&copy, &next, &content);
        let store = open(&copy);
        assert_eq!(numbers(&store.snapshot()), once([1, 2, 3]), "{} bytes", content.len());
        let damage = store.stats().damage;
        let named = damage.iter().all(|what| what.contains(next.to_str().unwrap()));
        assert!(named && damage.len() == 1, "{} bytes: {damage:?}", content.len());
        let quarantine = copy.list(&Path::new(DIR).join("quarantine")).unwrap();
        assert_eq!(quarantine, ["0000000000000002.wal.0"]);
        let _ = store.append_otlp(one_span(4)).unwrap();
        store.close().unwrap();
        assert_eq!(numbers(&open(&copy).snapshot()), once(1..5));
    }
}

/// A closed store with one segment.
fn with_segment() -> (MemoryFs, PathBuf, Vec<Row>) {
    let fs = MemoryFs::new();
    let store = open(&fs);
    let _ = store.append_otlp(Corpus::new(1).body(60)).unwrap();
    store.flush().unwrap();
    let rows = rows::of_snapshot(&store.snapshot());
    store.close().unwrap();
    let path = only_file(&fs, "segments");
    (fs, path, rows)
}

/// The rows, or that something is damaged.
fn read(fs: &MemoryFs) -> Result<Vec<Row>, String> {
    let reader = options(fs).open_reader(DIR).map_err(|e| e.to_string())?;
    if let Some(damage) = reader.stats().damage.first() {
        return Err(damage.clone());
    }
    let snapshot = reader.snapshot();
    let mut rows = Vec::new();
    for batch in snapshot.scan(&Predicate::new()).map_err(|e| e.to_string())? {
        let batch = batch.map_err(|e| e.to_string())?;
        let id = batch.span(0).map(|span| span.trace_id());
        if let Some(id) = id {
            snapshot.trace(id).map_err(|e| e.to_string())?;
        }
        rows.extend(rows::of_batch(&batch));
    }
    Ok(rows)
}

#[test]
fn a_segment_cut_at_any_length_is_reported_and_the_rest_of_the_store_is_read() {
    let (fs, path, expected) = with_segment();
    let segment = bytes(&fs, &path);
    for len in (0..segment.len()).step_by(997) {
        let fs = with(&fs, &path, &segment[..len]);
        read(&fs).unwrap_err();
        let store = open(&fs);
        assert_eq!(store.stats().damage.len(), 1, "{len} bytes: {:?}", store.stats().damage);
        assert_eq!(store.append_otlp(spans(1..4)).unwrap().accepted(), 3);
        assert_eq!(store.snapshot().span_count(), expected.len() as u64 + 3);
    }
    let without = fs.crash(CrashModel::KeepAll);
    without.remove(&path).unwrap();
    assert_eq!(open(&without).stats().damage.len(), 1);
    same_rows(&expected, &read(&fs).unwrap()).unwrap();
}

#[test]
fn a_rotten_byte_in_the_newest_manifest_is_an_error_and_nothing_is_touched() {
    let (fs, _, expected) = with_segment();
    let path = only_file(&fs, "manifest");
    let manifest = bytes(&fs, &path);
    for at in 0..manifest.len() {
        let mut rotten = manifest.clone();
        rotten[at] ^= 1 << (at % 8);
        let fs = with(&fs, &path, &rotten);
        let segments = fs.list(Path::new("/store/segments")).unwrap();
        match options(&fs).open(DIR) {
            Err(Error::Corrupt { path: named, .. } | Error::Unsupported { path: named, .. }) => {
                assert_eq!(named, path, "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!(fs.list(Path::new("/store/segments")).unwrap(), segments);
        // With the right byte back, everything is there.
        same_rows(&expected, &read(&with(&fs, &path, &manifest)).unwrap()).unwrap();
    }
}
