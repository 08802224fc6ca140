//! `verify`: a sound store is clean, damage anywhere is found in the right file, and nothing is
//! written.

use std::path::{Path, PathBuf};

use amida::{CrashModel, Durability, Error, Fault, Fs, MemoryFs, Verification};
use amida_tests::corpus::Corpus;

use crate::common::{DIR, one_span, open, options, spans};

fn verify(fs: &MemoryFs) -> Verification {
    amida::verify(DIR, &options(fs), |_, _| {}).unwrap()
}

fn folder(fs: &MemoryFs, folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(DIR).join(folder);
    fs.list(&folder).unwrap().iter().map(|name| folder.join(name)).collect()
}

/// A store with several segments, one of them merged, and a log that is not flushed.
fn sound() -> MemoryFs {
    let fs = MemoryFs::new();
    // Alone: no step of maintenance is half done when the disk is looked at.
    let store = options(&fs).single_threaded().open(DIR).unwrap();
    let mut corpus = Corpus::new(20_261_125);
    for round in 0..6 {
        let _ = store.append_otlp(corpus.body(40)).unwrap();
        let _ = store.append_otlp(one_span(round + 1)).unwrap();
        store.flush().unwrap();
        if round == 3 {
            store.compact().unwrap();
        }
    }
    let _ = store.append_otlp(spans(100..110)).unwrap();
    let _ = store.append_otlp(one_span(110)).unwrap();
    // As after a kill: the log is neither sealed nor flushed.
    fs.crash(CrashModel::KeepAll)
}

/// The disk with this file changed.
fn with(fs: &MemoryFs, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> MemoryFs {
    let copy = fs.crash(CrashModel::KeepAll);
    let mut bytes = copy.map(path).unwrap().to_vec();
    change(&mut bytes);
    let file = copy.open_write(path).unwrap();
    file.set_len(0).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
    file.sync_data().unwrap();
    copy
}

#[test]
fn a_sound_store_is_clean_and_counted_and_nothing_is_written() {
    let fs = sound();
    let before = fs.calls();
    let mut told = Vec::new();
    let found = amida::verify(DIR, &options(&fs), |done, all| told.push((done, all))).unwrap();
    assert!(found.is_clean(), "{:#?}", found.problems);
    assert_eq!(found.notes, [""; 0]);
    assert_eq!(fs.calls(), before, "verify changes nothing");
    let reader = options(&fs).open_reader(DIR).unwrap();
    let stats = reader.stats();
    assert_eq!((found.segments, found.spans), (stats.segments, stats.segment_spans));
    assert_eq!((found.records, found.log_spans), (2, 11));
    assert_eq!(found.manifests, 2);
    assert!(found.segments > 1 && found.row_groups >= found.segments);
    // Progress never goes back and ends where it said.
    assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{told:?}");
    let (done, all) = *told.last().unwrap();
    assert_eq!((done, found.bytes), (all, all));
}

/// Every part of every kind of file: a flipped bit is a problem of that file, or the bytes are
/// padding that nothing reads.
#[test]
fn a_flipped_bit_in_every_part_is_found_in_its_file() {
    let fs = sound();
    let mut kinds = Vec::new();
    for kind in ["manifest", "segments", "wal"] {
        let files = folder(&fs, kind);
        let path = files.last().unwrap();
        let bytes = fs.map(path).unwrap();
        let end = bytes.iter().rposition(|b| *b != 0).unwrap() + 1;
        let (mut found, mut silent) = (0, Vec::new());
        // Each byte at the edges, where headers and footers stand, and each 97th between.
        for at in (0..end).filter(|at| *at < 200 || *at + 200 > end || at.is_multiple_of(97)) {
            let damaged = with(&fs, path, |bytes| bytes[at] ^= 1 << (at % 8));
            match amida::verify(DIR, &options(&damaged), |_, _| {}) {
                Ok(seen) if seen.is_clean() => silent.push(at),
                Ok(seen) => {
                    found += 1;
                    let own = seen.problems.iter().any(|problem| problem.path == *path);
                    assert!(own, "{} byte {at}: {:#?}", path.display(), seen.problems);
                }
                Err(error) => panic!("{} byte {at}: {error}", path.display()),
            }
        }
        kinds.push((kind, found, silent));
    }
    for (kind, found, silent) in &kinds {
        // The torn last record of the log is no damage, nor are the zeros between records.
        let (least, silent_max) = if *kind == "wal" { (150, 300) } else { (300, 0) };
        assert!(*found > least, "{kind}: {found} found");
        assert!(silent.len() <= silent_max, "{kind}: silent at {silent:?}");
    }
}

#[test]
fn a_torn_end_of_the_log_is_a_note_and_a_bad_record_before_it_is_damage() {
    let fs = sound();
    let path = folder(&fs, "wal").pop().unwrap();
    let bytes = fs.map(&path).unwrap();
    let end = bytes.iter().rposition(|b| *b != 0).unwrap();
    let found = verify(&with(&fs, &path, |bytes| bytes[end - 3] ^= 1));
    assert!(found.is_clean(), "{:#?}", found.problems);
    assert_eq!((found.records, found.notes.len()), (1, 1));
    assert!(found.notes[0].contains("unfinished record"), "{:?}", found.notes);
    // A seal says that everything before it was durable.
    let sealed = fs.crash(CrashModel::KeepAll);
    let store = open(&sealed);
    let _ = store.append_otlp(one_span(111)).unwrap();
    store.close().unwrap();
    let path = folder(&sealed, "wal").pop().unwrap();
    let found = verify(&with(&sealed, &path, |bytes| bytes[120] ^= 1));
    assert!(!found.is_clean());
    assert_eq!(found.problems[0].path, path);
}

#[test]
fn a_missing_file_is_found_and_so_are_those_that_nobody_needs() {
    let fs = sound();
    let without = |path: &Path| {
        let copy = fs.crash(CrashModel::KeepAll);
        copy.remove(path).unwrap();
        verify(&copy)
    };
    let segment = folder(&fs, "segments").remove(0);
    let found = without(&segment);
    assert_eq!(found.problems.len(), 1, "{:#?}", found.problems);
    assert_eq!(found.problems[0].path, segment);
    let manifest = folder(&fs, "manifest").pop().unwrap();
    // The older manifest is the newest now: its log file is gone, and a segment is unknown to it.
    let found = without(&manifest);
    assert!(!found.notes.is_empty());
    assert!(found.problems.iter().any(|p| p.what.contains("are missing")), "{found:#?}");
    let more = fs.crash(CrashModel::KeepAll);
    for name in ["segments/0000000000000001.parquet", "wal/x.tmp", "notes.txt"] {
        more.create(&Path::new(DIR).join(name)).unwrap();
    }
    let found = verify(&more);
    assert!(found.is_clean(), "{:#?}", found.problems);
    assert_eq!(found.notes.len(), 3, "{:#?}", found.notes);
}

#[test]
fn a_segment_in_the_place_of_another_is_found() {
    let fs = sound();
    let files = folder(&fs, "segments");
    let other = fs.map(&files[0]).unwrap().to_vec();
    let found = verify(&with(&fs, &files[1], |bytes| *bytes = other));
    assert!(found.problems.iter().all(|problem| problem.path == files[1]));
    assert!(found.problems.len() > 1, "{:#?}", found.problems);
}

#[test]
fn without_a_whole_manifest_the_rest_is_checked_all_the_same() {
    let fs = sound();
    let manifest = folder(&fs, "manifest").pop().unwrap();
    let found = verify(&with(&fs, &manifest, |bytes| bytes[30] ^= 1));
    assert_eq!(found.problems.len(), 1, "{:#?}", found.problems);
    assert!(found.problems[0].what.contains("--rebuild-manifest"));
    assert!(found.spans > 200 && found.records == 2);
    let fs = MemoryFs::new();
    let error = amida::verify(DIR, &options(&fs), |_, _| {}).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }), "{error}");
}

#[test]
fn a_disk_that_refuses_to_read_is_a_problem_or_an_error_and_never_clean() {
    let fs = sound();
    let calls = {
        let counted = fs.crash(CrashModel::KeepAll);
        let before = counted.calls_of_any_kind();
        verify(&counted);
        counted.calls_of_any_kind() - before
    };
    for call in 0..calls {
        let failing = fs.crash(CrashModel::KeepAll);
        failing.fail_after(call, Fault::new(std::io::ErrorKind::Other).any_call());
        if let Ok(found) = amida::verify(DIR, &options(&failing), |_, _| {}) {
            assert!(!found.is_clean(), "call {call} of {calls}");
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods)] // tests may start threads
fn beside_a_writer_that_flushes_and_merges_it_sees_one_version() {
    let fs = MemoryFs::new();
    let store = options(&fs).durability(Durability::Os).open(DIR).unwrap();
    let _ = store.append_otlp(one_span(1)).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 2..60 {
                let _ = store.append_otlp(one_span(number)).unwrap();
                if number % 4 == 0 {
                    store.flush().unwrap();
                }
                if number % 16 == 0 {
                    store.compact().unwrap();
                }
            }
        });
        let mut clean = 0;
        while !writer.is_finished() || clean == 0 {
            match amida::verify(DIR, &options(&fs), |_, _| {}) {
                Ok(found) => {
                    assert!(found.is_clean(), "{:#?}", found.problems);
                    clean += 1;
                }
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
        }
    });
}
