use super::examined::damage_of;
use super::*;
use crate::segment::constant::Constant;

/// The spans of a row group, with other columns.
fn with(batch: &SpanBatch, columns: Vec<(usize, ArrayRef)>) -> SpanBatch {
    let mut all = batch.record_batch().columns().to_vec();
    for (column, array) in columns {
        all[column] = array;
    }
    SpanBatch::try_new(RecordBatch::try_new(span_schema().clone(), all).unwrap()).unwrap()
}

/// One value in all rows but one in the middle.
fn texts(rows: usize, all: Option<&str>, odd: Option<&str>) -> ArrayRef {
    let texts = (0..rows).map(|row| if row == rows / 2 { odd } else { all });
    Arc::new(texts.collect::<StringViewArray>())
}

fn counts(rows: usize, all: u32, odd: u32) -> ArrayRef {
    let counts = (0..rows).map(|row| if row == rows / 2 { odd } else { all });
    Arc::new(UInt32Array::from_iter_values(counts))
}

#[test]
fn one_value_in_all_rows_is_known_and_one_odd_row_is_read() {
    let group = &groups(SEED, &[30])[0];
    let rows = group.len();
    // Longer than what statistics keep, and different only behind that.
    let (long, longer) = ("x".repeat(100), format!("{}y", "x".repeat(100)));
    let alike = with(
        group,
        vec![
            (col::TRACE_STATE, texts(rows, None, None)),
            (col::SCOPE_NAME, texts(rows, Some("a"), Some("a"))),
            (col::SCOPE_SCHEMA_URL, texts(rows, Some(&long), Some(&long))),
            (col::FLAGS, counts(rows, 7, 7)),
            (col::MARKS, counts(rows, u32::MAX, u32::MAX)),
        ],
    );
    let odd = with(
        group,
        vec![
            (col::TRACE_STATE, texts(rows, None, Some("s"))),
            (col::SCOPE_NAME, texts(rows, Some("a"), None)),
            (col::SCOPE_VERSION, texts(rows, Some("a"), Some("b"))),
            (col::SCOPE_SCHEMA_URL, texts(rows, Some(&long), Some(&longer))),
            (col::FLAGS, counts(rows, 7, 8)),
            (col::MARKS, counts(rows, u32::MAX, 0)),
        ],
    );
    let disk = Disk::new();
    let segment = disk.write(1, &[alike.clone(), odd.clone()], &[]);
    let footer = segment.footer().unwrap();
    let known = |groups: &[usize], column| Constant::of(&footer.layout, groups, column);
    let text = |text: &str| Some(Constant::Text(Some(text.to_owned())));
    assert_eq!(known(&[0], col::TRACE_STATE), Some(Constant::Text(None)));
    assert_eq!(known(&[0], col::SCOPE_NAME), text("a"));
    assert_eq!(known(&[0], col::FLAGS), Some(Constant::Count(7)));
    assert_eq!(known(&[0], col::MARKS), Some(Constant::Count(u32::MAX)));
    assert_eq!(known(&[0], col::SCOPE_SCHEMA_URL), None);
    for column in [
        col::TRACE_STATE,
        col::SCOPE_NAME,
        col::SCOPE_VERSION,
        col::SCOPE_SCHEMA_URL,
        col::FLAGS,
        col::MARKS,
    ] {
        assert_eq!(known(&[1], column), None, "{column}");
        assert_eq!(known(&[0, 1], column), None, "{column}");
    }
    // Of both groups, and of spans without scope attributes.
    assert_eq!(known(&[0, 1], col::SCOPE_ATTRIBUTES), text("{}"));
    let alone = segment.read_rows(&[0..rows as u64]).unwrap();
    assert_eq!(all(&alone), all(std::slice::from_ref(&alike)));
    assert_eq!(all(&scan(segment).unwrap()), all(&[alike, odd]));
}

#[test]
fn statistics_that_lie_are_found_by_who_reads_everything() {
    let group = &groups(SEED, &[30])[0];
    let name = texts(group.len(), Some("name-that-is"), Some("name-that-is"));
    let disk = Disk::new();
    disk.write(1, &[with(group, vec![(col::SCOPE_NAME, name)])], &[]);
    let mut bytes = disk.bytes(1);
    let header = Header::decode(&disk.path(1), &bytes).unwrap();
    assert_eq!(damage_of(&disk), []);
    let footer = header.footer();
    let footer = usize::try_from(footer.start).unwrap()..usize::try_from(footer.end).unwrap();
    let (is, lies) = (b"name-that-is", b"name-it-is-n");
    let mut changed = 0;
    for at in footer.start..footer.end - is.len() {
        if bytes[at..].starts_with(is) {
            bytes[at..at + is.len()].copy_from_slice(lies);
            changed += 1;
        }
    }
    assert!(changed >= 2, "minimum and maximum");
    disk.put(1, &with_right_checksum(bytes, &header));
    let found = damage_of(&disk);
    assert!(found.len() == 1 && found[0].1.contains("scope_name is not what its"), "{found:?}");
}
