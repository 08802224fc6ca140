use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};

use super::*;
use crate::error::Error;
use crate::fs::{Fault, RealFs, names};
use crate::model::json;
use crate::model::predicate::Predicate;

#[test]
fn rows_come_back_as_they_were_written() {
    let disk = Disk::new();
    let groups = groups(SEED, &[300, 200, 1]);
    let segment = disk.write(1, &groups, &promoted());
    assert!(segment.rows() > 2500);
    let rows = segment.rows();
    assert_eq!(all(&segment.read_rows(&[0..rows]).unwrap()), all(&groups));
    let whole = all(&groups);
    for (from, to) in [(0, 1), (1000, 1030), (rows - 1, rows), (5, 5)] {
        let part = all(&segment.read_rows(&[from..to]).unwrap());
        assert_eq!(part, whole.slice(from as usize, (to - from) as usize));
    }
    let parts = all(&segment.read_rows(&[3..7, 7..9, 2000..2500]).unwrap());
    let expected = [(3, 6), (2000, 500)].map(|(at, len)| whole.slice(at, len));
    assert_eq!(parts, arrow::compute::concat_batches(&whole.schema(), &expected).unwrap());
    segment.verify().unwrap();
    assert_eq!(all(&scan(segment).unwrap()), whole);
}

#[test]
fn any_number_of_threads_writes_the_same_file() {
    let groups = groups(SEED + 7, &[120, 90]);
    let written = [1, 2, 5, 100].map(|threads| {
        let disk = Disk::new();
        disk.write_by(threads, 1, &groups, &promoted());
        disk.bytes(1)
    });
    assert!(written.iter().all(|bytes| *bytes == written[0]));
}

#[test]
fn the_operating_systems_files_serve_as_well() {
    let dir = std::env::temp_dir().join(format!("amida-segment-{}", std::process::id()));
    let disk = Disk::on(Arc::new(RealFs), dir.clone());
    let groups = groups(SEED + 1, &[40, 30]);
    let segment = disk.write(1, &groups, &promoted());
    let id = trace_ids(&groups)[11];
    assert_eq!(all(&segment.read_trace(id).unwrap()), all(&spans_of(&groups, id)));
    segment.verify().unwrap();
    let mut writer =
        SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &promoted(), ORIGIN).unwrap();
    writer.append_row_groups(&segment).unwrap();
    writer.finish().unwrap();
    assert_eq!(all(&scan(disk.open(2).unwrap()).unwrap()), all(&groups));
    segment.remove_on_drop();
    drop(segment);
    assert_eq!(disk.fs.list(&dir).unwrap(), ["2.parquet"]);
    disk.fs.remove(&disk.path(2)).unwrap();
    #[allow(clippy::disallowed_methods)] // a store removes no directories
    std::fs::remove_dir(&dir).unwrap();
}

#[test]
fn any_parquet_reader_sees_the_spans_and_the_promoted_columns() {
    let disk = Disk::new();
    let groups = groups(SEED + 2, &[100, 50]);
    disk.write(1, &groups, &promoted());
    let file = bytes::Bytes::from(disk.bytes(1));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batches: Vec<RecordBatch> =
        reader.with_batch_size(1 << 20).build().unwrap().map(|batch| batch.unwrap()).collect();
    let found = arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap();
    let whole = SpanBatch::concat(&groups).unwrap();
    assert_eq!(found.num_rows(), whole.len());
    let column = |name: &str| found.column_by_name(name).unwrap().clone();
    let (routes, codes) = (column("attr.http.route"), column("attr.code"));
    let (mixed, nans) = (column("attr.mixed"), column("attr.nan"));
    let (pids, quoted) = (column("resource.pid"), column("attr.quoted \"key\""));
    for (row, span) in whole.spans().enumerate() {
        let text = |array: &ArrayRef| array.as_string_view().value(row).to_owned();
        let int = |array: &ArrayRef| {
            let array = array.as_primitive::<Int64Type>();
            (!array.is_null(row)).then(|| json::Value::Int(array.value(row)))
        };
        let attribute = |key| span.attribute(key);
        assert_eq!(Some(json::Value::String(text(&routes))), attribute("http.route"));
        assert_eq!(Some(json::Value::String(text(&quoted))), attribute("quoted \"key\""));
        assert_eq!(int(&codes), attribute("code"));
        assert_eq!(int(&pids), json::get(span.resource_attributes(), "pid"));
        let only_ints = attribute("mixed").filter(|v| matches!(v, json::Value::Int(_)));
        assert_eq!(int(&mixed), only_ints);
        let nans = nans.as_primitive::<Float64Type>();
        assert_eq!(nans.is_valid(row) && nans.value(row).is_nan(), attribute("nan").is_some());
    }
    assert_eq!(column("attr.absent").null_count(), whole.len());
}

#[test]
fn other_readers_learn_which_row_groups_lack_a_trace_before_and_after_a_merge() {
    let disk = Disk::new();
    let groups = groups(SEED + 8, &[60, 45]);
    let segment = disk.write(1, &groups, &promoted());
    let mut writer =
        SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &promoted(), ORIGIN).unwrap();
    writer.append_row_groups(&segment).unwrap();
    writer.finish().unwrap();
    for file in 1..=2 {
        let reader = SerializedFileReader::new_with_options(
            bytes::Bytes::from(disk.bytes(file)),
            ReadOptionsBuilder::new()
                .with_reader_properties(
                    ReaderProperties::builder().set_read_bloom_filter(true).build(),
                )
                .build(),
        )
        .unwrap();
        for (group, rows) in groups.iter().enumerate() {
            let group = reader.get_row_group(group).unwrap();
            let filter = group.get_column_bloom_filter(col::TRACE_ID).expect("a filter");
            let has = |id: &[u8; 16]| filter.check(id.as_slice());
            assert!(trace_ids(std::slice::from_ref(rows)).iter().all(|id| has(id.as_bytes())));
            let absent = (1..=1_000u128).map(|n| (n << 64 | n).to_be_bytes());
            let wrong = absent.filter(has).count();
            assert!(wrong < 50, "{wrong} of 1,000 other traces");
        }
    }
}

#[test]
fn a_column_is_complete_unless_a_value_has_another_type() {
    let disk = Disk::new();
    let segment = disk.write(1, &groups(SEED + 3, &[50, 50]), &promoted());
    let complete = segment.complete_columns().unwrap();
    let expected: Vec<Promoted> = promoted().into_iter().filter(|key| key.key != "mixed").collect();
    assert_eq!(*complete, *expected);
    assert_eq!(*segment.promoted().unwrap(), *promoted());
    assert_eq!(segment.complete_in_row_groups().unwrap().len(), 2);
}

#[test]
fn row_groups_of_two_files_are_copied_and_read_like_one() {
    let disk = Disk::new();
    let (one, two) = (groups(SEED + 4, &[200, 100]), groups(SEED + 5, &[150]));
    let first = disk.write(1, &one, &promoted());
    let second = disk.write(2, &two, &promoted());
    let mut writer =
        SegmentWriter::create(&disk.fs, &disk.path(3), 3, STORE, &promoted(), ORIGIN).unwrap();
    writer.append_row_groups(&first).unwrap();
    writer.append_row_groups(&second).unwrap();
    let extra = groups(SEED + 6, &[10]);
    writer.write_row_group(&in_order(&extra[..1]), &Helpers::none()).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(summary.row_groups, 4);
    let merged = disk.open(3).unwrap();
    merged.verify().unwrap();
    let every: Vec<SpanBatch> = [one, two, extra].concat();
    for id in trace_ids(&every) {
        assert_eq!(all(&merged.read_trace(id).unwrap()), all(&spans_of(&every, id)));
    }
    let metadata = merged.metadata().unwrap();
    assert!(metadata.column_index().is_some() && metadata.offset_index().is_some());
    assert_eq!(merged.complete_columns().unwrap(), first.complete_columns().unwrap());
    assert_eq!(all(&scan(merged).unwrap()), all(&every));
}

#[test]
fn row_groups_of_other_columns_are_not_copied() {
    let disk = Disk::new();
    let segment = disk.write(1, &groups(SEED, &[5]), &[]);
    let mut writer =
        SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &promoted(), ORIGIN).unwrap();
    let refused = writer.append_row_groups(&segment);
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(writer.finish().is_err());
}

#[test]
fn keys_that_make_no_column_are_refused() {
    let disk = Disk::new();
    let twice = [promoted()[0].clone(), promoted()[0].clone()];
    let event = [Promoted { scope: Scope::Event, ..promoted()[0].clone() }];
    for keys in [&twice[..], &event] {
        assert!(SegmentWriter::create(&disk.fs, &disk.path(1), 1, STORE, keys, ORIGIN).is_err());
    }
    assert_eq!(disk.fs.list(&disk.dir).unwrap(), [""; 0]);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing_behind() {
    let disk = Disk::new();
    let path = disk.path(1);
    let mut writer = SegmentWriter::create(&disk.fs, &path, 1, STORE, &[], ORIGIN).unwrap();
    writer.write_row_group(&in_order(&groups(SEED, &[5])), &Helpers::none()).unwrap();
    assert!(disk.fs.exists(&names::tmp(&path)).unwrap());
    drop(writer);
    let empty = SegmentWriter::create(&disk.fs, &path, 1, STORE, &[], ORIGIN).unwrap();
    assert!(matches!(empty.finish(), Err(Error::Invalid { .. })));
    assert_eq!(disk.fs.list(&disk.dir).unwrap(), [""; 0]);
}

#[test]
fn an_error_of_the_disk_keeps_its_kind() {
    let memory = Arc::new(MemoryFs::new());
    let disk = Disk::on(memory.clone(), PathBuf::from("/store"));
    let mut failures = 0;
    for calls in 0.. {
        memory.fail_after(calls, Fault::new(std::io::ErrorKind::StorageFull));
        let written = SegmentWriter::create(&disk.fs, &disk.path(1), 1, STORE, &[], ORIGIN)
            .and_then(|mut writer| {
                writer.write_row_group(&in_order(&groups(SEED, &[20])), &Helpers::none())?;
                writer.finish()
            });
        memory.heal();
        match written {
            Ok(_) => break,
            Err(error) => {
                let full = matches!(&error, Error::DiskFull { .. })
                    || matches!(&error, Error::Io { kind, .. }
                        if *kind == std::io::ErrorKind::StorageFull);
                assert!(full, "call {calls}: {error}");
                failures += 1;
            }
        }
    }
    assert!(failures >= 4, "{failures}");
    disk.open(1).unwrap().verify().unwrap();
}

#[test]
fn a_scan_leaves_out_row_groups_that_cannot_match() {
    let disk = Disk::new();
    let groups = groups(SEED + 7, &[20, 20]);
    let segment = Arc::new(disk.write(1, &groups, &[]));
    let rows = |predicate: &Predicate| -> usize {
        segment.clone().scan(predicate).unwrap().map(|batch| batch.unwrap().len()).sum()
    };
    let (min, max) = segment.start_times();
    assert_eq!(
        rows(&Predicate::new().start_from(min).start_before(max + 1)) as u64,
        segment.rows()
    );
    assert_eq!(rows(&Predicate::new().start_before(min)), 0);
    assert_eq!(rows(&Predicate::new().start_from(max + 1)), 0);
    assert_eq!(rows(&Predicate::new().service("zzz")), 0);
    assert_eq!(rows(&Predicate::new().service("service-3")) as u64, segment.rows());
    assert_eq!(rows(&Predicate::new().name("A")), 0);
    let id = trace_ids(&groups)[3];
    assert_eq!(rows(&Predicate::new().trace(id)), all(&spans_of(&groups, id)).num_rows());
}

#[test]
fn integers_that_hardly_repeat_measure_something() {
    let key =
        |key: &str| Promoted { scope: Scope::Span, key: key.into(), value_type: PromotedType::Int };
    // `code` is any of 1000, `mixed` is 1 where it is a number.
    let keys = vec![key("code"), key("mixed")];
    let many = &groups(SEED, &[40])[0];
    assert!(many.len() > 200);
    assert_eq!(measures(many, keys.clone()), [key("code")]);
    let few = many.slice(0, 60);
    assert_eq!(measures(&few, keys), []);
}
