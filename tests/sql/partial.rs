//! Damaged segments under queries: an error that names the file, unless an answer from the rest is
//! allowed; then exactly what is damaged is left out, and said.

use std::ops::Range;
use std::sync::LazyLock;

use amida::schema::col;
use amida_sql::{Error, Session, SessionOptions};
use amida_tests::damaged::Damage::{self, Column, Cut, Footer, Header, Index, Removed, Table};
use amida_tests::damaged::*;

use crate::common::lines;

static DISK: LazyLock<Disk> = LazyLock::new(Disk::new);

const WHOLE: Range<u64> = GROUPS[0].start..GROUPS[1].end;

/// A session that fails over damage, and one that answers from the rest.
fn sessions(all: &[Damage], partitions: usize) -> [Session; 2] {
    let snapshot = options(&DISK.damaged(all)).open_reader(DIR).expect("a reader").snapshot();
    [false, true].map(|allow| {
        let options = SessionOptions::new().target_partitions(partitions).allow_partial(allow);
        Session::with_options(&snapshot, options)
    })
}

/// The rows of an answer, and the rows of the damaged file that it leaves out.
async fn ask(session: &Session, sql: &str) -> Result<(Vec<String>, Vec<Range<u64>>), Error> {
    let rows = session.query(sql).await?;
    let missing = rows.missing().to_vec();
    for missing in &missing {
        assert_eq!(missing.path, DISK.path, "{sql}");
        assert_eq!(missing.start_times, start_times(&missing.rows), "{sql}");
        assert!(rows.notes().contains(&missing.to_string()), "{sql}: {:?}", rows.notes());
    }
    let table = rows.collect().await?;
    Ok((lines(table.batches()), missing.into_iter().map(|missing| missing.rows).collect()))
}

fn names_the_file(sql: &str, result: Result<(Vec<String>, Vec<Range<u64>>), Error>) {
    let Err(Error::Engine(amida::Error::Corrupt { path, .. } | amida::Error::Io { path, .. })) =
        &result
    else {
        panic!("{sql}: {result:?}")
    };
    assert_eq!(*path, DISK.path, "{sql}");
    let words = result.expect_err("an error").to_string();
    assert!(words.ends_with("; allow_partial answers from what can be read"), "{words}");
}

fn hex_of(number: u64) -> String {
    trace_id(number).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The condition that spans start when these do.
fn when(numbers: &Range<u64>) -> String {
    let (from, to) = start_times(numbers);
    format!("start_time BETWEEN to_timestamp_nanos({from}) AND to_timestamp_nanos({to})")
}

const EVERY_TABLE: [&str; 11] = [
    "SELECT count(*) FROM spans",
    "SELECT min(start_time) FROM spans",
    "SELECT 1 FROM spans LIMIT 1",
    "SELECT count(*) FROM events",
    "SELECT count(*) FROM links",
    "SELECT count(*) FROM traces",
    "SELECT sum(spans) FROM services",
    "SELECT sum(spans) FROM operations",
    "SELECT count(*) FROM service_edges",
    "SELECT (SELECT count(*) FROM spans) AS n",
    "WITH s AS (FROM spans) SELECT count(*) FROM s a JOIN s b ON a.span_id = b.span_id",
];

#[tokio::test]
async fn no_table_hides_a_segment_that_cannot_be_read() {
    for damage in [Header, Table, Footer, Cut, Removed] {
        let [strict, partial] = sessions(&[damage], 2);
        for sql in EVERY_TABLE {
            names_the_file(sql, ask(&strict, sql).await);
            let (_, missing) = ask(&partial, sql).await.expect(sql);
            assert_eq!(missing, [WHOLE], "{damage:?}: {sql}");
        }
        let rest = HOT.end - WHOLE.end;
        for sql in ["SELECT count(*) FROM spans", "SELECT sum(spans) FROM services"] {
            let (answer, _) = ask(&partial, sql).await.expect(sql);
            assert_eq!(answer, [rest.to_string()], "{damage:?}: {sql}");
        }
        // The manifest has the keys of all spans.
        let keys = "SELECT key, count FROM attribute_keys WHERE scope = 'span' ORDER BY 1";
        for session in [&strict, &partial] {
            let (answer, missing) = ask(session, keys).await.expect(keys);
            assert_eq!(answer, [format!("key|{}", HOT.end), format!("n|{}", HOT.end)]);
            assert_eq!(missing, []);
        }
    }
}

#[tokio::test]
async fn a_query_of_other_times_is_answered() {
    for damage in [Header, Table, Footer, Cut, Removed, Column(col::TRACE_ID, 0)] {
        for session in sessions(&[damage], 2) {
            for asked in [OTHER, HOT] {
                let count = (asked.end - asked.start).to_string();
                let when = when(&asked);
                // That of all traces that are not in the segment.
                let prefix = &hex_of(OTHER.start)[..14];
                for sql in [
                    format!("SELECT count(*) FROM spans WHERE {when}"),
                    format!("SELECT count(attributes) FROM spans WHERE {when}"),
                    format!(
                        "SELECT count(*) FROM spans WHERE {when} AND trace_id LIKE '{prefix}%'"
                    ),
                ] {
                    let (answer, missing) = ask(&session, &sql).await.expect(&sql);
                    assert_eq!(
                        (answer, missing),
                        (vec![count.clone()], vec![]),
                        "{damage:?} {sql}"
                    );
                }
            }
        }
    }
}

/// Queries over one damaged row group, whether they need what is damaged, and their answer from
/// all spans and from the rest.
async fn one_row_group(damage: Damage, queries: &[(&str, bool, u64, u64)]) {
    let Column(_, group) = damage else { panic!("{damage:?} is no column") };
    for partitions in [1, 4] {
        let [strict, partial] = sessions(&[damage], partitions);
        for (sql, needs_it, all, rest) in queries {
            let whole = ask(&strict, sql).await;
            let (answer, missing) = ask(&partial, sql).await.expect(sql);
            if *needs_it {
                names_the_file(sql, whole);
                assert_eq!(answer, [rest.to_string()], "{damage:?}: {sql}");
                assert_eq!(missing, [GROUPS[group].clone()], "{damage:?}: {sql}");
            } else {
                assert_eq!(whole.expect(sql), (vec![all.to_string()], vec![]), "{damage:?}: {sql}");
                assert_eq!(answer, [all.to_string()], "{damage:?}: {sql}");
                assert_eq!(missing, [], "{damage:?}: {sql}");
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_column_costs_queries_that_read_it_one_row_group_and_others_nothing() {
    let (all, rest) = (HOT.end, HOT.end - GROUP);
    let sound = when(&GROUPS[0]);
    let in_time = format!("SELECT count(*) FROM spans WHERE {sound} AND attributes LIKE '%key%'");
    let queries = [
        ("SELECT count(*) FROM spans", false, all, 0),
        ("SELECT count(DISTINCT name) FROM spans", false, all, 0),
        // The key has a column of its own, which is sound.
        ("SELECT count(DISTINCT attributes['key']) FROM spans", false, all, 0),
        ("SELECT count(*) FROM spans WHERE attributes['key'] >= ''", false, all, 0),
        ("FROM spans |> WHERE attributes > '' |> AGGREGATE count(*) AS n", true, all, rest),
        ("SELECT count(*) FROM spans WHERE attributes LIKE '%key%'", true, all, rest),
        ("SELECT (SELECT count(*) FROM spans WHERE attributes LIKE '%key%')", true, all, rest),
        (in_time.as_str(), false, GROUP, 0),
    ];
    one_row_group(Column(col::ATTRIBUTES, 1), &queries).await;
}

#[tokio::test]
async fn damaged_ids_cost_look_ups_of_other_traces_nothing() {
    let one =
        |number: u64| format!("SELECT count(*) FROM spans WHERE trace_id = '{}'", hex_of(number));
    let lost = one(DISK.hit(col::TRACE_ID, 0));
    // Another page of the same row group, and another row group.
    let (page, sound) = (one(GROUPS[0].end - 4), one(GROUP + 5));
    let (other, hot) = (one(OTHER.start), one(HOT.start));
    let (all, rest) = (HOT.end.div_ceil(TRACE_SPANS), (HOT.end - GROUP).div_ceil(TRACE_SPANS));
    let queries = [
        (lost.as_str(), true, 4, 0),
        (page.as_str(), false, 4, 0),
        (sound.as_str(), false, 4, 0),
        (other.as_str(), false, 4, 0),
        (hot.as_str(), false, 4, 0),
        ("SELECT count(DISTINCT trace_id) FROM spans", true, all, rest),
        ("SELECT count(*) FROM traces", true, all, rest),
        ("SELECT count(*) FROM spans", false, HOT.end, 0),
    ];
    one_row_group(Column(col::TRACE_ID, 0), &queries).await;
}

#[tokio::test]
async fn a_damaged_index_costs_nothing_and_with_damaged_ids_one_row_group() {
    let sql = format!("SELECT count(*) FROM spans WHERE trace_id = '{}'", hex_of(GROUP + 5));
    for session in sessions(&[Index], 2) {
        assert_eq!(ask(&session, &sql).await.expect(&sql), (vec!["4".to_owned()], vec![]));
    }
    let [strict, partial] = sessions(&[Index, Column(col::TRACE_ID, 0)], 2);
    names_the_file(&sql, ask(&strict, &sql).await);
    let (answer, missing) = ask(&partial, &sql).await.expect(&sql);
    assert_eq!((answer, missing), (vec!["4".to_owned()], GROUPS[..1].to_vec()));
}

#[tokio::test]
async fn over_a_sound_store_both_answer_the_same() {
    let [strict, partial] = sessions(&[], 3);
    for sql in EVERY_TABLE {
        let whole = ask(&strict, sql).await.expect(sql);
        assert_eq!(ask(&partial, sql).await.expect(sql), whole, "{sql}");
        assert_eq!(whole.1, []);
    }
}

#[tokio::test]
async fn a_partial_snapshot_gathers_what_its_statements_leave_out() {
    let fs = DISK.damaged(&[Column(col::ATTRIBUTES, 0), Column(col::TRACE_ID, 1)]);
    let snapshot = options(&fs).open_reader(DIR).expect("a reader").snapshot().allow_partial();
    let session = Session::new(&snapshot);
    let attributes = "SELECT count(*) FROM spans WHERE attributes LIKE '%key%'";
    assert_eq!(ask(&session, attributes).await.expect(attributes).1, GROUPS[..1]);
    let ids = "SELECT count(DISTINCT trace_id) FROM spans";
    assert_eq!(ask(&session, ids).await.expect(ids).1, GROUPS);
    assert_eq!(snapshot.missing().len(), 2);
}
