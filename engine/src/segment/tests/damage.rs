use super::*;
use crate::error::Error;
use crate::model::schema::Marks;
use crate::segment::format::{BODY_OFFSET, FORMAT_VERSION, HEADER_BYTES};

/// A file as small as it gets with two row groups.
fn small(disk: &Disk) -> (Vec<u8>, Vec<SpanBatch>) {
    let groups = groups(SEED, &[1, 1]);
    disk.write(1, &groups, &promoted()[..2]);
    (disk.bytes(1), groups)
}

/// Everything that a reader asks of a file, or the first error.
fn read_everything(disk: &Disk, id: TraceId) -> Result<(Vec<SpanBatch>, Vec<SpanBatch>)> {
    let segment = disk.open(1)?;
    let trace = segment.read_trace(id)?;
    segment.complete_columns()?;
    Ok((trace, scan(segment)?))
}

#[test]
fn any_flipped_bit_is_an_error_or_changes_no_row() {
    let disk = Disk::new();
    let (bytes, groups) = small(&disk);
    let header = Header::decode(&disk.path(1), &bytes).unwrap();
    let id = trace_ids(&groups)[0];
    let (trace, rows) = (all(&spans_of(&groups, id)), all(&groups));
    let random = &mut Random(SEED);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << random.below(8);
        disk.put(1, &damaged);
        match read_everything(&disk, id) {
            Ok((found_trace, found)) => {
                assert_eq!((all(&found_trace), all(&found)), (trace.clone(), rows.clone()));
                // Rows need neither the index nor promoted columns, which end each row group.
                let at = at as u64;
                let spare = header.index().contains(&at) || header.body().contains(&at);
                assert!(spare, "byte {at} was not noticed");
            }
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "byte {at}: {error}"),
        }
        if let Ok(segment) = disk.open(1) {
            let verified = segment.verify();
            assert!(matches!(verified, Err(Error::Corrupt { .. })), "byte {at}: {verified:?}");
        }
    }
}

#[test]
fn a_file_that_was_cut_or_has_grown_is_refused() {
    let disk = Disk::new();
    let (mut bytes, _) = small(&disk);
    for len in 0..bytes.len() {
        disk.put(1, &bytes[..len]);
        let opened = disk.open(1);
        assert!(matches!(opened, Err(Error::Corrupt { .. })), "{len} bytes");
    }
    bytes.push(0);
    disk.put(1, &bytes);
    assert!(matches!(disk.open(1), Err(Error::Corrupt { .. })));
}

#[test]
fn a_damaged_index_is_built_again_and_answers_the_same() {
    let disk = Disk::new();
    let groups = groups(SEED + 1, &[60, 30]);
    let segment = disk.write(1, &groups, &[]);
    let ids = trace_ids(&groups);
    let before: Vec<_> = ids.iter().map(|id| segment.trace_rows(*id).unwrap()).collect();
    let mut bytes = disk.bytes(1);
    let index = Header::decode(&disk.path(1), &bytes).unwrap().index();
    bytes[usize::try_from(index.start).unwrap() + 3] ^= 0x40;
    disk.put(1, &bytes);
    let damaged = disk.open(1).unwrap();
    let after: Vec<_> = ids.iter().map(|id| damaged.trace_rows(*id).unwrap()).collect();
    assert_eq!(before, after);
    // A merge takes the rebuilt index, and the new file is sound.
    let mut writer = SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &[], ORIGIN).unwrap();
    writer.append_row_groups(&damaged).unwrap();
    writer.finish().unwrap();
    let merged = disk.open(2).unwrap();
    merged.verify().unwrap();
    let merged: Vec<_> = ids.iter().map(|id| merged.trace_rows(*id).unwrap()).collect();
    assert_eq!(before, merged);
}

#[test]
fn damaged_rows_are_never_copied_into_a_new_segment() {
    let disk = Disk::new();
    let (bytes, _) = small(&disk);
    let body = Header::decode(&disk.path(1), &bytes).unwrap().body();
    for at in [body.start, body.start + 777, body.end - 1] {
        let mut damaged = bytes.clone();
        damaged[usize::try_from(at).unwrap()] ^= 1;
        disk.put(1, &damaged);
        let segment = disk.open(1).unwrap();
        let mut writer =
            SegmentWriter::create(&disk.fs, &disk.path(2), 2, STORE, &promoted()[..2], ORIGIN)
                .unwrap();
        let copied = writer.append_row_groups(&segment);
        assert!(matches!(copied, Err(Error::Corrupt { .. })), "{copied:?}");
        assert!(writer.finish().is_err());
        assert!(!disk.fs.exists(&disk.path(2)).unwrap());
    }
}

#[test]
fn damage_is_named_with_its_block() {
    let disk = Disk::new();
    disk.write(1, &groups(SEED + 2, &[400]), &[]);
    let mut bytes = disk.bytes(1);
    let third = usize::try_from(BODY_OFFSET).unwrap() + 2 * 4096;
    bytes[third + 99] ^= 8;
    disk.put(1, &bytes);
    let error = disk.open(1).unwrap().verify().unwrap_err();
    let Error::Corrupt { path, offset, what } = error else { panic!("{error}") };
    assert_eq!((path, offset), (disk.path(1), third as u64));
    assert!(what.starts_with("expected crc ") && what.contains(", found "), "{what}");
    // What stands in other blocks can still be read.
    let segment = disk.open(1).unwrap();
    assert!(segment.read(BODY_OFFSET..BODY_OFFSET + 4096).is_ok());
    assert!(segment.read(BODY_OFFSET..BODY_OFFSET + 3 * 4096).is_err());
    let end = segment.bytes();
    for range in [0..4, end - 1..end + 1, end + 5..end + 9, u64::MAX - 1..u64::MAX] {
        assert!(matches!(segment.read(range), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn another_segment_another_store_and_a_newer_version_are_refused() {
    let disk = Disk::new();
    let (mut bytes, _) = small(&disk);
    let open = |number, store| {
        Segment::open(&disk.fs, &disk.path(1), number, store, &disk.cache).map(|_| ())
    };
    open(1, None).unwrap();
    assert!(matches!(open(2, Some(STORE)), Err(Error::Corrupt { .. })));
    assert!(matches!(open(1, Some([8; 16])), Err(Error::Corrupt { .. })));
    let fields = HEADER_OFFSET..HEADER_OFFSET + HEADER_BYTES - 4;
    bytes[12..16].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
    let crc = crc32fast::hash(&bytes[fields.clone()]);
    bytes[fields.end..fields.end + 4].copy_from_slice(&crc.to_le_bytes());
    disk.put(1, &bytes);
    assert!(matches!(open(1, Some(STORE)), Err(Error::Unsupported { .. })));
}

#[test]
fn rows_that_are_not_there_are_refused() {
    let disk = Disk::new();
    small(&disk);
    let segment = disk.open(1).unwrap();
    let rows = segment.rows();
    for ranges in
        [vec![0..rows + 1], vec![4..5, 0..1], vec![0..3, 2..4], vec![u64::MAX - 1..u64::MAX]]
    {
        assert!(matches!(segment.read_rows(&ranges), Err(Error::Invalid { .. })), "{ranges:?}");
    }
    assert!(segment.read_rows(&[]).unwrap().is_empty());
    let marks = segment.read_rows(&[0..1]).unwrap()[0].span(0).unwrap().marks();
    assert!(marks.0 < Marks::NO_SERVICE.0);
}

#[test]
fn a_forged_footer_does_not_reach_parquet() {
    let disk = Disk::new();
    let (bytes, _) = small(&disk);
    let header = Header::decode(&disk.path(1), &bytes).unwrap();
    let metadata = disk.open(1).unwrap().metadata().unwrap();
    let column = metadata.row_group(1).column(col::START_TIME);
    let tail = bytes.len() - 8;
    let footer = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap());
    let at = |offset: Option<i64>| usize::try_from(offset.unwrap()).unwrap();
    for (at, part) in [
        (tail - footer as usize, "the footer"),
        (at(column.column_index_offset()), "the column index of \"start_time\""),
        (at(column.offset_index_offset()), "the offset index of \"start_time\""),
    ] {
        let mut forged = bytes.clone();
        // Field 15, a list, of which nobody knows anything: Parquet's reader would walk it.
        forged[at] = 0xf9;
        disk.put(1, &with_right_checksum(forged, &header));
        let error = disk.open(1).unwrap().metadata().unwrap_err().to_string();
        assert!(error.contains(&format!("{part} has the unknown field 15")), "{error}");
    }
}
