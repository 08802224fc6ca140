use super::*;

/// A list of structures in field `id` after field `before`: its header.
fn list(before: u8, id: u8, count: u8) -> [u8; 2] {
    [(id - before) << 4 | 9, count << 4 | 12]
}

/// `FileMetaData` of a schema whose elements have these numbers of children, zigzag.
fn schema(children: &[u8]) -> Vec<u8> {
    let mut file = list(0, 2, children.len() as u8).to_vec();
    for children in children {
        // Field 4 is the name, field 5 the number of children.
        file.extend([0x48, 1, b'n', 0x15, *children, 0]);
    }
    file.push(0);
    file
}

fn refused(bytes: &[u8]) -> String {
    check_file_metadata(bytes).expect_err("what is wrong is refused")
}

#[test]
fn a_schema_is_one_tree() {
    // A root of two, the first of them of one.
    // Behind the header of the list, six bytes each.
    let places = check_file_metadata(&schema(&[4, 2, 0, 0])).expect("a tree");
    assert_eq!(places.schema, 2..26);
    assert!(refused(&schema(&[4, 0])).contains("lacks 1 elements"));
    assert!(refused(&schema(&[2, 0, 0])).contains("element 2 of the schema is no child"));
    assert!(refused(&schema(&[])).contains("lacks 1 elements"));
    // More children than there are elements, and fewer than none.
    assert!(refused(&schema(&[4, 0x7e, 0])).contains("element 1 of the schema cannot have 63"));
    assert!(refused(&schema(&[1])).contains("cannot have -1 children"));
    // The count of a list stands in four bits up to 14: fourteen elements, a chain.
    let mut chain = vec![2; 13];
    chain.push(0);
    assert!(check_file_metadata(&schema(&chain)).is_ok());
    let children: Vec<i64> = [1; 40].into_iter().chain([0]).collect();
    assert!(check_tree(&children).is_err(), "a chain of forty");
}

#[test]
fn a_list_has_no_more_values_than_bytes() {
    let forged = [0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
    assert!(refused(&forged).starts_with("2147483647 values in fewer bytes"));
    let pages = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0];
    assert!(check_offset_index(&pages).is_err());
    // Of nulls of pages each takes a byte.
    assert_eq!(check_column_index(&[0x19, 0x21, 1, 2, 0]), Ok(()));
    assert!(check_column_index(&[0x19, 0xf1, 0x80, 0x01, 0]).is_err());
}

#[test]
fn what_amida_does_not_write_is_refused() {
    // An unknown field, which Parquet's reader would skip: a list of booleans.
    assert!(refused(&[0xf9, 0x11, 0]).starts_with("the unknown field 15"));
    // Version twice.
    assert!(refused(&[0x15, 2, 0x05, 2, 2, 0]).starts_with("field 1 after field 1"));
    // Version as text.
    assert!(refused(&[0x18, 1, b'1', 0]).starts_with("type 8 where another belongs"));
    assert!(refused(&[0x15]).starts_with("an early end at byte 1"));
    assert!(refused(&[0x15, 0xff, 0xff]).starts_with("an early end at byte 3"));
    assert!(refused(&[[0x15].as_slice(), &[0xff; 11]].concat()).starts_with("a long varint"));
    assert!(refused(&[0x68, 5, b'a', 0]).starts_with("an early end"));
}
