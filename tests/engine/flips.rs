//! Rotten bytes everywhere: each byte of a small store flipped, each file cut at each length, pages
//! and files and records in wrong places. What comes out is reported, or the same rows; never a
//! panic, a wrong row, or more memory than the store has.
//!
//! `AMIDA_FLIPS_SEED` chooses the bits and the swaps, `AMIDA_FLIPS_SWAPS` how many swaps there are,
//! `AMIDA_FLIPS_BITS=8` flips each bit of each byte, `AMIDA_FLIPS_STEP=n` looks at each n-th case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};

use amida::{Error, MemoryFs, Predicate, Segment};
use fastrand::Rng;

use crate::allocator::largest;
use crate::common::{DIR, number_from};
use crate::golden::{Golden, Seen, records, said};

/// Most bytes that reading may ask for at once; the whole store has a fifth of it.
const ALLOCATION_MAX: usize = 1 << 20;

/// After so many failures nobody looks for more.
const SHOWN_MAX: usize = 5;

const PAGE: usize = 4096;

fn seed() -> u64 {
    number_from("AMIDA_FLIPS_SEED", 1)
}

/// Runs cases on two threads. Each says whether the damage was reported; the number of those that
/// did.
fn run(
    golden: &Golden,
    cases: u64,
    case: impl Fn(&Golden, u64) -> Result<bool, String> + Sync,
) -> u64 {
    let step = number_from("AMIDA_FLIPS_STEP", 1);
    let failures = Mutex::new(Vec::new());
    let part = |first: u64| {
        let mut reported = 0;
        for at in (first * step..cases).step_by(2 * step as usize) {
            if failures.lock().unwrap().len() >= SHOWN_MAX {
                break;
            }
            let (done, bytes) = largest(|| catch_unwind(AssertUnwindSafe(|| case(golden, at))));
            let failed = match done {
                Ok(Ok(_)) if bytes > ALLOCATION_MAX => Some(format!("{bytes} bytes at once")),
                Ok(Ok(was)) => {
                    reported += u64::from(was);
                    None
                }
                Ok(Err(what)) => Some(what),
                Err(_) => Some("it panicked".to_owned()),
            };
            if let Some(what) = failed {
                failures.lock().unwrap().push(format!("case {at}: {what}"));
            }
        }
        reported
    };
    let reported = std::thread::scope(|scope| {
        #[allow(clippy::disallowed_methods)] // two cores
        let other = scope.spawn(|| part(1));
        part(0) + other.join().unwrap()
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "seed {}:\n{}", seed(), failures.join("\n"));
    reported * step
}

/// An error is good when it names this file.
fn names(error: &Error, path: &Path) -> Result<(), String> {
    match error {
        Error::Corrupt { path: named, .. } | Error::Unsupported { path: named, .. }
            if named == path =>
        {
            Ok(())
        }
        other => Err(format!("{} is damaged, but: {other}", path.display())),
    }
}

/// What becomes of the store when this file has these bytes, which are not its own.
fn look(golden: &Golden, path: &Path, bytes: Vec<u8>) -> Result<bool, String> {
    let fs = golden.with(&[(path, bytes)]);
    let kept = golden.in_folder("manifest");
    if path.extension().is_some_and(|e| e == "parquet") {
        look_at_segment(golden, &fs, path)
    } else if path.extension().is_some_and(|e| e == "wal") {
        look_at_log(golden, &fs, path)
    } else if kept.last().is_some_and(|(newest, _)| newest == path) {
        match Golden::options(&fs).open_reader(DIR) {
            Err(error) => names(&error, path).map(|()| true),
            Ok(_) => Err("a damaged manifest was read".to_owned()),
        }
    } else {
        // The manifest before the newest is for a look at what changed.
        let reader = Golden::options(&fs).open_reader(DIR).map_err(|e| e.to_string())?;
        let rows = usize::try_from(reader.snapshot().span_count()).unwrap();
        if rows == golden.rows() { Ok(false) } else { Err(format!("{rows} rows")) }
    }
}

/// Every byte of a segment is under a checksum: a look at the whole file finds the damage, and
/// whoever reads rows finds it or is not concerned.
fn look_at_segment(golden: &Golden, fs: &MemoryFs, path: &Path) -> Result<bool, String> {
    let reader = Golden::options(fs).open_reader(DIR).map_err(|e| e.to_string())?;
    let damage = reader.stats().damage;
    let snapshot = reader.snapshot();
    let Some(segment) = snapshot.segments().iter().find(|segment| segment.path() == path) else {
        let named = damage.len() == 1 && damage[0].contains(path.to_str().unwrap());
        return if named { Ok(true) } else { Err(format!("not open, but: {damage:?}")) };
    };
    match segment.verify() {
        Err(error) => names(&error, path)?,
        Ok(()) => return Err("verify finds nothing".to_owned()),
    }
    let mut seen = Seen::default();
    let first = scan(golden, segment, &mut seen);
    if let Err(error) = first? {
        names(&error, path)?;
        // What was refused once is refused again.
        if scan(golden, segment, &mut Seen::default())?.is_ok() {
            return Err("an error, and then rows".to_owned());
        }
    } else if seen.len() as u64 != segment.rows() {
        return Err(format!("{} of {} rows", seen.len(), segment.rows()));
    } else {
        find_traces(golden, segment)?;
    }
    Ok(true)
}

/// The rows of a segment, or its error; the outer error is a wrong row.
fn scan(
    golden: &Golden,
    segment: &Arc<Segment>,
    seen: &mut Seen,
) -> Result<Result<(), Error>, String> {
    let batches = match segment.clone().scan(&Predicate::new()) {
        Ok(batches) => batches,
        Err(error) => return Ok(Err(error)),
    };
    for batch in batches {
        match batch {
            Ok(batch) => golden.take(&batch, seen)?,
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(()))
}

/// All rows can be read: then the segment's traces are found, or that is an error too.
fn find_traces(golden: &Golden, segment: &Arc<Segment>) -> Result<(), String> {
    for (id, rows) in golden.traces_in(segment.path()) {
        let mut seen = Seen::default();
        match segment.read_trace(*id) {
            Ok(batches) => batches.iter().try_for_each(|batch| golden.take(batch, &mut seen))?,
            Err(error) => {
                names(&error, segment.path())?;
                continue;
            }
        }
        if seen.len() != *rows {
            return Err(format!("{} of {rows} rows of trace {id}", seen.len()));
        }
    }
    Ok(())
}

/// A log is read when a store is opened: rows are missing only if that is said, or if they are the
/// end of the newest file, which may be what a crash left.
fn look_at_log(golden: &Golden, fs: &MemoryFs, path: &Path) -> Result<bool, String> {
    let store = match Golden::options(fs).open(DIR) {
        Err(error) => return names(&error, path).map(|()| true),
        Ok(store) => store,
    };
    let mut seen = Seen::default();
    for batch in store.snapshot().hot_batches().map_err(|e| e.to_string())? {
        golden.take(&batch, &mut seen)?;
    }
    let said = said(&store);
    if !golden.has_log(&seen)? && said.is_empty() && !golden.misses_only_its_end(&seen) {
        return Err("rows are missing and nothing is said".to_owned());
    }
    let wal = format!("{DIR}/wal/");
    let aside = path.file_name().unwrap().to_str().unwrap();
    match said.iter().find(|what| !what.contains(&wal) && !what.contains(aside)) {
        None => Ok(!said.is_empty()),
        Some(what) => Err(format!("this names no log: {what}")),
    }
}

#[test]
fn a_flipped_bit_in_any_byte_is_reported_or_changes_no_row() {
    let golden = Golden::new();
    let bits = number_from("AMIDA_FLIPS_BITS", 1);
    let reported = run(&golden, golden.bytes() as u64 * bits, |golden, case| {
        let (byte, bit) = (case / bits, case % bits);
        let (path, original, at) = golden.byte(byte);
        let bit = if bits == 8 { bit } else { Rng::with_seed(seed() ^ byte).u64(0..8) };
        let mut bytes = original.to_vec();
        bytes[at] ^= 1 << bit;
        look(golden, path, bytes)
            .map_err(|what| format!("{}, byte {at}, bit {bit}: {what}", path.display()))
    });
    let all = golden.bytes() as u64 * bits;
    println!("{all} flips in {} files, {reported} reported", golden.files.len());
    // What is not: the manifest before the newest.
    assert!(reported * 100 > all * 85, "{reported} of {all} flips were reported");
}

#[test]
fn a_file_cut_at_any_length_is_reported_or_loses_only_the_end_of_the_log() {
    let golden = Golden::new();
    let all = golden.bytes() as u64;
    let reported = run(&golden, all, |golden, case| {
        let (path, original, len) = golden.byte(case);
        look(golden, path, original[..len].to_vec())
            .map_err(|what| format!("{}, cut at {len}: {what}", path.display()))
    });
    println!("{all} lengths, {reported} reported");
    assert!(reported * 100 > all * 85, "{reported} of {all} cuts were reported");
}

/// Puts something into a wrong place; what that was, and all files with their bytes then.
fn swap(golden: &Golden, random: &mut Rng) -> (String, Vec<Vec<u8>>) {
    let mut all: Vec<Vec<u8>> = golden.files.iter().map(|(_, bytes)| bytes.clone()).collect();
    let (i, j) = (random.usize(0..all.len()), random.usize(0..all.len()));
    let folder = |file: usize| golden.files[file].0.parent();
    let logs: Vec<usize> =
        (0..all.len()).filter(|file| folder(*file).unwrap().ends_with("wal")).collect();
    let (i, j, what) = match random.u32(0..4) {
        0 | 1 => (i, j, move_page(&mut all, i, j, random)),
        2 => {
            let alike: Vec<usize> = (0..all.len()).filter(|j| folder(*j) == folder(i)).collect();
            let j = *random.choice(&alike).unwrap();
            all.swap(i, j);
            (i, j, "whole files exchanged".to_owned())
        }
        _ => {
            let (i, j) = (*random.choice(&logs).unwrap(), *random.choice(&logs).unwrap());
            (i, j, move_record(&mut all, i, j, random))
        }
    };
    let (i, j) = (&golden.files[i].0, &golden.files[j].0);
    (format!("{} and {}: {what}", i.display(), j.display()), all)
}

/// A page of file `i` and one of file `j`: exchanged, one over the other, or zeroed.
fn move_page(all: &mut [Vec<u8>], i: usize, j: usize, random: &mut Rng) -> String {
    let mut page = |file: &[u8]| {
        let from = random.usize(0..file.len().div_ceil(PAGE)) * PAGE;
        from..file.len().min(from + PAGE)
    };
    let (p, q) = (page(&all[i]), page(&all[j]));
    let len = p.len().min(q.len());
    let (p, q) = (p.start..p.start + len, q.start..q.start + len);
    let (one, other) = (all[i][p.clone()].to_vec(), all[j][q.clone()].to_vec());
    let how = random.u32(0..3);
    match how {
        0 => {
            all[i][p.clone()].copy_from_slice(&other);
            all[j][q.clone()].copy_from_slice(&one);
        }
        1 => all[j][q.clone()].copy_from_slice(&one),
        _ => all[i][p.clone()].fill(0),
    }
    format!("bytes {p:?} {} {q:?}", ["exchanged with", "over", "zeroed, not"][how as usize])
}

/// A record of log `i` and one of log `j`: exchanged, one over or before the other, or gone.
fn move_record(all: &mut [Vec<u8>], i: usize, j: usize, random: &mut Rng) -> String {
    let mut record = |log: &[u8]| random.choice(records(log)).unwrap();
    let (r, s) = (record(&all[i]), record(&all[j]));
    let (one, other) = (all[i][r.clone()].to_vec(), all[j][s.clone()].to_vec());
    let how = random.u32(0..4);
    match how {
        0 if i != j => {
            all[i].splice(r.clone(), other);
            all[j].splice(s.clone(), one);
        }
        0 if r.start < s.start => {
            all[i].splice(s.clone(), one);
            all[i].splice(r.clone(), other);
        }
        0 if s.start < r.start => {
            all[i].splice(r.clone(), other);
            all[i].splice(s.clone(), one);
        }
        0 => {}
        1 => drop(all[j].splice(s.clone(), one)),
        2 => drop(all[j].splice(s.start..s.start, one)),
        _ => drop(all[i].drain(r.clone())),
    }
    let how = ["exchanged with", "over", "before", "gone, not"][how as usize];
    format!("record {r:?} {how} {s:?}")
}

/// What becomes of a store in which several files have other bytes.
fn look_at_all(golden: &Golden, all: Vec<Vec<u8>>) -> Result<bool, String> {
    let files = golden.files.iter().zip(all);
    let changed: Vec<(&Path, Vec<u8>)> = files
        .filter(|((_, original), bytes)| original != bytes)
        .map(|((path, _), bytes)| (path.as_path(), bytes))
        .collect();
    let touched = |error: &Error| {
        let named = changed.iter().any(|(path, _)| names(error, path).is_ok());
        if named { Ok(()) } else { Err(format!("not about a file that was changed: {error}")) }
    };
    let fs = golden.with(&changed);
    let store = match Golden::options(&fs).open(DIR) {
        Err(error) => return touched(&error).map(|()| true),
        Ok(store) => store,
    };
    let said = said(&store);
    let mut reported = !said.is_empty();
    let mut seen = Seen::default();
    let snapshot = store.snapshot();
    for segment in snapshot.segments() {
        if let Err(error) = scan(golden, segment, &mut seen)? {
            touched(&error)?;
            reported = true;
        }
    }
    for batch in snapshot.hot_batches().map_err(|e| e.to_string())? {
        golden.take(&batch, &mut seen)?;
    }
    golden.has_log(&seen)?;
    let end_only = golden.has_segments(&seen) && golden.misses_only_its_end(&seen);
    if !golden.has_all(&seen) && !reported && !end_only {
        return Err("rows are missing and nothing is said".to_owned());
    }
    Ok(reported)
}

#[test]
fn pages_files_and_records_in_wrong_places_are_reported_or_change_no_row() {
    let golden = Golden::new();
    let all = number_from("AMIDA_FLIPS_SWAPS", 5_000);
    let reported = run(&golden, all, |golden, case| {
        let (what, all) = swap(golden, &mut Rng::with_seed(seed() << 32 | case));
        look_at_all(golden, all).map_err(|error| format!("{what}: {error}"))
    });
    println!("{all} swaps, {reported} reported");
    assert!(reported * 2 > all, "{reported} of {all} swaps were reported");
}
