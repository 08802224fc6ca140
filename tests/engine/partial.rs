//! Reading around damage: an error that names the file where it is asked for, nothing where it is
//! not, and in a partial view exactly what is damaged is left out, and said.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use amida::schema::col;
use amida::{
    Error, Fs, ManualClock, MemoryFs, Missing, Predicate, Retention, Snapshot, TraceId, days,
};
use amida_tests::damaged::Damage::{self, Column, Cut, Footer, Header, Index, Removed, Table};
use amida_tests::damaged::*;

use crate::common::within_a_minute;

static DISK: LazyLock<Disk> = LazyLock::new(Disk::new);

const WHOLE: Range<u64> = GROUPS[0].start..GROUPS[1].end;

/// What a damage costs a reader of all columns.
fn lost(damage: Damage) -> Option<Range<u64>> {
    match damage {
        Index => None,
        Column(_, group) => Some(GROUPS[group].clone()),
        _ => Some(WHOLE),
    }
}

const EVERY_DAMAGE: [Damage; 9] = [
    Header,
    Column(col::ATTRIBUTES, 1),
    Column(col::TRACE_ID, 0),
    Column(col::TRACE_ID, 1),
    Index,
    Table,
    Footer,
    Cut,
    Removed,
];

fn snapshot(fs: &MemoryFs) -> Snapshot {
    options(fs).open_reader(DIR).unwrap().snapshot()
}

/// The numbers of the spans that a scan gives; each may come once.
fn numbers(snapshot: &Snapshot, predicate: &Predicate) -> Result<BTreeSet<u64>, Error> {
    let mut found = BTreeSet::new();
    for batch in snapshot.scan(predicate)? {
        for span in batch?.spans() {
            let number = u64::from_be_bytes(*span.span_id().as_bytes()) - 1;
            assert_eq!(span.start_time_ns(), start_ns(number));
            assert!(found.insert(number), "{number} came twice");
        }
    }
    Ok(found)
}

fn without(lost: Option<Range<u64>>) -> BTreeSet<u64> {
    (0..HOT.end).filter(|n| lost.as_ref().is_none_or(|lost| !lost.contains(n))).collect()
}

fn trace_of(number: u64) -> TraceId {
    TraceId::from_bytes(&trace_id(number)).unwrap()
}

/// The spans of the trace of this span; `None`: no such trace.
fn trace(snapshot: &Snapshot, number: u64) -> Result<Option<usize>, Error> {
    Ok(snapshot.trace(trace_of(number))?.map(|trace| trace.spans().len()))
}

/// The error names the file.
fn names_the_file<T: std::fmt::Debug>(result: &Result<T, Error>) {
    let Err(Error::Corrupt { path, .. } | Error::Io { path, .. }) = result else {
        panic!("{result:?}")
    };
    assert_eq!(*path, DISK.path);
}

/// The view left out these rows of the file, and nothing else.
fn left_out(snapshot: &Snapshot, rows: Option<&Range<u64>>) {
    let missing = snapshot.missing();
    let Some(rows) = rows else { return assert_eq!(missing, []) };
    let [Missing { path, rows: found, start_times: times, what, .. }] = missing.as_slice() else {
        panic!("{missing:?}")
    };
    assert_eq!((path, found, *times), (&DISK.path, rows, start_times(rows)));
    assert!(!what.is_empty());
    let words = missing[0].to_string();
    let part = format!("rows {}..{} of {}", rows.start, rows.end, path.display());
    assert!(words.contains(&part) && words.contains(what.as_str()), "{words}");
}

#[test]
fn a_scan_over_damage_fails_and_a_partial_one_leaves_out_exactly_what_is_damaged() {
    for damage in EVERY_DAMAGE {
        let view = snapshot(&DISK.damaged(&[damage]));
        let lost = lost(damage);
        let all = numbers(&view, &Predicate::new());
        match &lost {
            None => assert_eq!(all.unwrap(), without(None), "{damage:?}"),
            Some(_) => names_the_file(&all),
        }
        assert_eq!(view.missing(), [], "nothing is left out of an error");
        assert_eq!(view.span_count(), HOT.end, "{damage:?}");
        assert_eq!(view.start_times(), Some(start_times(&(0..HOT.end))), "{damage:?}");
        let partial = view.allow_partial();
        let clone = partial.clone();
        for _ in 0..2 {
            let found = numbers(&partial, &Predicate::new()).unwrap();
            assert!(found == without(lost.clone()), "{damage:?}: {}", found.len());
            left_out(&clone, lost.as_ref());
        }
        left_out(&view.allow_partial(), None);
        assert_eq!((view.missing(), view.is_partial(), clone.is_partial()), (vec![], false, true));
    }
}

#[test]
fn what_a_query_does_not_ask_for_is_no_error_by_its_times() {
    for damage in EVERY_DAMAGE {
        let view = snapshot(&DISK.damaged(&[damage]));
        for numbers_asked in [OTHER, HOT] {
            let (from, to) = start_times(&numbers_asked);
            let then = Predicate::new().start_from(from).start_before(to + 1);
            for view in [view.clone(), view.allow_partial()] {
                let found = numbers(&view, &then).unwrap();
                assert_eq!(found, numbers_asked.clone().collect(), "{damage:?}");
                left_out(&view, None);
            }
        }
        // Of the segment's own row groups one is sound, where a column is all that is damaged.
        if let Column(_, group) = damage {
            let sound = &GROUPS[1 - group];
            let (from, to) = start_times(sound);
            let then = Predicate::new().start_from(from).start_before(to + 1);
            assert!(numbers(&view, &then).unwrap() == sound.clone().collect(), "{damage:?}");
        }
    }
}

#[test]
fn a_trace_may_be_in_any_segment_that_cannot_be_opened() {
    for damage in [Header, Table, Footer, Cut, Removed] {
        let view = snapshot(&DISK.damaged(&[damage]));
        for number in [5, GROUP + 5, OTHER.start + 5, HOT.start + 5] {
            let is_lost = WHOLE.contains(&number);
            // Where the index can be read, it says which traces the segment does not have.
            let needs_it = is_lost || damage != Footer;
            let found = trace(&view, number);
            match needs_it {
                true => names_the_file(&found),
                false => assert_eq!(found.unwrap(), Some(4), "{damage:?}, {number}"),
            }
            let partial = view.allow_partial();
            let expected = (!is_lost).then_some(4);
            assert_eq!(trace(&partial, number).unwrap(), expected, "{damage:?}, {number}");
            left_out(&partial, needs_it.then_some(&WHOLE));
            let scanned = numbers(&partial, &Predicate::new().trace(trace_of(number))).unwrap();
            assert_eq!(scanned.len(), expected.unwrap_or(0), "{damage:?}, {number}");
            left_out(&partial, needs_it.then_some(&WHOLE));
        }
    }
}

#[test]
fn a_trace_in_damaged_pages_is_lost_and_others_of_the_row_group_are_found() {
    for (column, group) in [(col::ATTRIBUTES, 1), (col::TRACE_ID, 0)] {
        let view = snapshot(&DISK.damaged(&[Column(column, group)]));
        let lost = DISK.hit(column, group);
        names_the_file(&trace(&view, lost));
        let partial = view.allow_partial();
        assert_eq!(trace(&partial, lost).unwrap(), None);
        left_out(&partial, Some(&GROUPS[group]));
        let sound = [GROUPS[group].end - 4, GROUPS[1 - group].start, OTHER.start, HOT.start];
        for number in sound {
            for view in [view.clone(), view.allow_partial()] {
                assert_eq!(trace(&view, number).unwrap(), Some(4), "{column}, {number}");
                let scan = numbers(&view, &Predicate::new().trace(trace_of(number)));
                assert_eq!(scan.unwrap().len(), 4, "{column}, {number}");
                left_out(&view, None);
            }
        }
    }
}

#[test]
fn ids_are_found_by_prefix_around_damage() {
    for damage in EVERY_DAMAGE {
        let view = snapshot(&DISK.damaged(&[damage]));
        let number = match damage {
            Column(column, group) => DISK.hit(column, group),
            _ => 9,
        };
        let id = trace_of(number).to_string();
        let needs_it = !matches!(damage, Column(col::ATTRIBUTES, _) | Index);
        let found = view.traces_with_prefix(&id[..31], 100);
        match needs_it {
            true => names_the_file(&found),
            false => assert!(found.unwrap().contains(&trace_of(number)), "{damage:?}"),
        }
        let partial = view.allow_partial();
        let found = partial.traces_with_prefix(&id[..31], 100).unwrap();
        assert_eq!(found.contains(&trace_of(number)), !needs_it, "{damage:?}");
        left_out(&partial, lost(damage).filter(|_| needs_it).as_ref());
    }
}

#[test]
fn a_trace_is_found_by_its_ids_where_the_index_and_another_row_group_are_damaged() {
    let view = snapshot(&DISK.damaged(&[Index, Column(col::TRACE_ID, 0)]));
    names_the_file(&trace(&view, GROUP + 5));
    let partial = view.allow_partial();
    assert_eq!(trace(&partial, GROUP + 5).unwrap(), Some(4));
    assert_eq!(trace(&partial, 5).unwrap(), None);
    left_out(&partial, Some(&GROUPS[0]));
}

#[test]
fn the_writer_says_the_same_as_a_reader_and_goes_on() {
    for damage in [Header, Cut, Removed, Column(col::NAME, 0)] {
        let store = options(&DISK.damaged(&[damage])).open(DIR).unwrap();
        names_the_file(&numbers(&store.snapshot(), &Predicate::new()));
        append(&store, HOT);
        let partial = store.snapshot().allow_partial();
        let hot = Predicate::new().start_from(start_ns(HOT.start));
        let twice: usize = partial.scan(&hot).unwrap().map(|batch| batch.unwrap().len()).sum();
        assert_eq!(twice as u64, 2 * (HOT.end - HOT.start));
        left_out(&partial, None);
    }
}

#[test]
fn a_reader_sees_a_file_that_was_put_back() {
    let fs = DISK.damaged(&[Removed]);
    let reader = options(&fs).open_reader(DIR).unwrap();
    let before = reader.snapshot();
    names_the_file(&numbers(&before, &Predicate::new()));
    assert_eq!(reader.stats().damage.len(), 1, "{:?}", reader.stats().damage);
    reader.refresh().unwrap();
    names_the_file(&numbers(&reader.snapshot(), &Predicate::new()));
    DISK.restore(&fs);
    reader.refresh().unwrap();
    assert!(numbers(&reader.snapshot(), &Predicate::new()).unwrap() == without(None));
    assert!(reader.stats().damage.is_empty());
    names_the_file(&numbers(&before, &Predicate::new()));
}

#[test]
fn retention_drops_a_segment_that_cannot_be_opened_with_its_file() {
    for damage in [Header, Cut, Removed] {
        let fs = DISK.damaged(&[damage]);
        let clock = Arc::new(ManualClock::at(start_ns(HOT.end - 1) + 1));
        let store = options(&fs)
            .clock(clock.clone())
            .retention(Retention::max_age(days(30)))
            .open(DIR)
            .unwrap();
        let held = store.snapshot();
        within_a_minute(move || {
            for _ in 0..31 {
                clock.advance(days(1));
                // It says that a segment is damaged, after doing what it can.
                let _ = store.compact();
            }
            let all = WHOLE.end + (OTHER.end - OTHER.start) + (HOT.end - HOT.start);
            assert_eq!(store.stats().dropped, all);
            assert_eq!(store.snapshot().span_count(), 0);
        });
        assert!(!fs.exists(&DISK.path).unwrap(), "{damage:?}");
        names_the_file(&numbers(&held, &Predicate::new()));
        left_out(&held, None);
    }
}

/// Nine segments of one span each; a byte in the rows of the fifth is rotten.
fn nine() -> (MemoryFs, std::path::PathBuf) {
    let fs = MemoryFs::new();
    let store = options(&fs).segment_bytes_max(1).open(DIR).unwrap();
    for number in 0..9 {
        append(&store, number..number + 1);
        store.flush().unwrap();
    }
    let path = store.snapshot().segments()[4].path().to_owned();
    store.close().unwrap();
    let mut bytes = fs.map(&path).unwrap().to_vec();
    bytes[200] ^= 1;
    fs.open_write(&path).unwrap().write_all_at(&bytes, 0).unwrap();
    (fs, path)
}

#[test]
fn compaction_merges_around_a_damaged_segment_and_leaves_it_as_it_is() {
    let (fs, path) = nine();
    let before = fs.map(&path).unwrap();
    let store = options(&fs).open(DIR).unwrap();
    for _ in 0..2 {
        let compacted = store.compact();
        assert!(
            matches!(&compacted, Err(Error::Corrupt { path: named, .. }) if *named == path),
            "{compacted:?}"
        );
        assert_eq!(store.stats().segments, 3);
        let partial = store.snapshot().allow_partial();
        let found = numbers(&partial, &Predicate::new()).unwrap();
        assert_eq!(found, BTreeSet::from([0, 1, 2, 3, 5, 6, 7, 8]));
        assert_eq!(partial.missing().iter().map(Missing::spans).sum::<u64>(), 1);
    }
    assert_eq!(fs.map(&path).unwrap(), before);
    append(&store, 9..10);
    store.flush().unwrap();
    store.close().unwrap();
    assert_eq!(fs.map(&path).unwrap(), before);
}

#[test]
fn the_background_merges_around_a_damaged_segment() {
    within_a_minute(|| {
        let (fs, path) = nine();
        let store = options(&fs).open(DIR).unwrap();
        // It begins when the store is opened, and must get past the damage to what is behind.
        while store.stats().segments > 3 {
            std::thread::yield_now();
        }
        assert!(fs.exists(&path).unwrap());
        let error = store.stats().last_error.unwrap_or_default();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        let partial = store.snapshot().allow_partial();
        assert_eq!(numbers(&partial, &Predicate::new()).unwrap().len(), 8);
    });
}
