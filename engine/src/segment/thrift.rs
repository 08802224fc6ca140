//! What is looked at in a footer before Parquet's reader takes it apart.
//!
//! The reader believes counts: it takes memory for as many values as a list says it has, and walks
//! lists of no bytes as often as they say. Checksums keep accidents away from it, not a file that
//! was made with right ones. So footer and page index are walked here first, by the structures
//! that Amida's writer fills (`parquet.thrift` of the Parquet format, in Thrift's compact
//! protocol). What is not exactly of these, or has more values than bytes, is refused.

use std::ops::Range;

/// A type of the compact protocol, which has a number there.
enum Kind {
    Bool,
    I8,
    /// Integers of 16, 32 and 64 bits, all of them varints, by their number in the protocol.
    Int(u8),
    Binary,
    List(&'static Kind),
    Struct(&'static Struct),
    /// A `SchemaElement`, and its field that says how many children it has.
    Element,
    Children,
    /// A `RowGroup`.
    RowGroup,
}

/// The fields that a structure may have, by their ids.
type Struct = [(i64, Kind)];

const I16: Kind = Kind::Int(4);
const I32: Kind = Kind::Int(5);
const I64: Kind = Kind::Int(6);
const EMPTY: Kind = Kind::Struct(&[]);
const INTEGERS: Kind = Kind::List(&I64);

/// `FileMetaData`.
const FILE: &Struct = &[
    (1, I32),
    (2, Kind::List(&Kind::Element)),
    (3, I64),
    (4, Kind::List(&Kind::RowGroup)),
    (5, Kind::List(&KEY_VALUE)),
    (6, Kind::Binary),
    (7, Kind::List(&Kind::Struct(&[(1, EMPTY), (2, EMPTY)]))),
];
const KEY_VALUE: Kind = Kind::Struct(&[(1, Kind::Binary), (2, Kind::Binary)]);
const SCHEMA_ELEMENT: &Struct = &[
    (1, I32),
    (2, I32),
    (3, I32),
    (4, Kind::Binary),
    (5, Kind::Children),
    (6, I32),
    (7, I32),
    (8, I32),
    (9, I32),
    (10, Kind::Struct(LOGICAL_TYPE)),
];
const TIME_UNIT: Kind = Kind::Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);
const TIME: Kind = Kind::Struct(&[(1, Kind::Bool), (2, TIME_UNIT)]);
const LOGICAL_TYPE: &Struct = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Kind::Struct(&[(1, I32), (2, I32)])),
    (6, EMPTY),
    (7, TIME),
    (8, TIME),
    (10, Kind::Struct(&[(1, Kind::I8), (2, Kind::Bool)])),
    (11, EMPTY),
];
const ROW_GROUP: &Struct = &[
    (1, Kind::List(&Kind::Struct(COLUMN_CHUNK))),
    (2, I64),
    (3, I64),
    (4, Kind::List(&Kind::Struct(&[(1, I32), (2, Kind::Bool), (3, Kind::Bool)]))),
    (5, I64),
    (6, I64),
    (7, I16),
];
const COLUMN_CHUNK: &Struct = &[
    (1, Kind::Binary),
    (2, I64),
    (3, Kind::Struct(COLUMN)),
    (4, I64),
    (5, I32),
    (6, I64),
    (7, I32),
];
/// `ColumnMetaData`.
const COLUMN: &Struct = &[
    (1, I32),
    (2, Kind::List(&I32)),
    (3, Kind::List(&Kind::Binary)),
    (4, I32),
    (5, I64),
    (6, I64),
    (7, I64),
    (8, Kind::List(&KEY_VALUE)),
    (9, I64),
    (10, I64),
    (11, I64),
    (12, Kind::Struct(STATISTICS)),
    (13, Kind::List(&Kind::Struct(&[(1, I32), (2, I32), (3, I32)]))),
    (14, I64),
    (15, I32),
    (16, Kind::Struct(&[(1, I64), (2, INTEGERS), (3, INTEGERS)])),
];
const STATISTICS: &Struct = &[
    (1, Kind::Binary),
    (2, Kind::Binary),
    (3, I64),
    (4, I64),
    (5, Kind::Binary),
    (6, Kind::Binary),
    (7, Kind::Bool),
    (8, Kind::Bool),
];
const OFFSET_INDEX: &Struct =
    &[(1, Kind::List(&Kind::Struct(&[(1, I64), (2, I32), (3, I64)]))), (2, INTEGERS)];
const COLUMN_INDEX: &Struct = &[
    (1, Kind::List(&Kind::Bool)),
    (2, Kind::List(&Kind::Binary)),
    (3, Kind::List(&Kind::Binary)),
    (4, I32),
    (5, INTEGERS),
    (6, INTEGERS),
    (7, INTEGERS),
];

/// Groups within groups of a schema at most; a segment's has four.
const DEPTH_MAX: usize = 16;

type Checked<T = ()> = std::result::Result<T, String>;

/// Where parts of `FileMetaData` stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The elements of the schema, one behind the other.
    pub schema: Range<usize>,
    /// How many they are.
    pub elements: usize,
    pub row_groups: Vec<Range<usize>>,
}

/// Whether `FileMetaData` is as Amida's writer fills it, with a schema that is one tree; and where
/// its parts stand.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn check_file_metadata(bytes: &[u8]) -> Checked<Places> {
    let mut walk = Walk::of(bytes);
    walk.structure(FILE)?;
    check_tree(&walk.children)?;
    walk.places.elements = walk.children.len();
    Ok(walk.places)
}

/// Whether these bytes are an `OffsetIndex`.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn check_offset_index(bytes: &[u8]) -> Checked {
    Walk::of(bytes).structure(OFFSET_INDEX)
}

/// Whether these bytes are a `ColumnIndex`.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn check_column_index(bytes: &[u8]) -> Checked {
    Walk::of(bytes).structure(COLUMN_INDEX)
}

/// The schema is a list, from the root on, of elements that say how many of the next are their
/// children.
fn check_tree(children: &[i64]) -> Checked {
    let most = children.len() as i64;
    let mut open: Vec<i64> = vec![1];
    for (element, children) in children.iter().enumerate() {
        while open.last() == Some(&0) {
            open.pop();
        }
        let Some(parent) = open.last_mut() else {
            return Err(format!("element {element} of the schema is no child of any other"));
        };
        *parent -= 1;
        if !(0..=most).contains(children) || open.len() > DEPTH_MAX {
            return Err(format!("element {element} of the schema cannot have {children} children"));
        }
        open.push(*children);
    }
    match open.iter().sum() {
        0_i64 => Ok(()),
        missing => Err(format!("the schema lacks {missing} elements")),
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Of each element of the schema, how many children it says it has.
    children: Vec<i64>,
    places: Places,
}

impl<'a> Walk<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, children: Vec::new(), places: Places::default() }
    }

    fn wrong<T>(&self, what: &str) -> Checked<T> {
        Err(format!("{what} at byte {} of the structure", self.at))
    }

    fn byte(&mut self) -> Checked<u8> {
        let Some(byte) = self.bytes.get(self.at) else { return self.wrong("an early end") };
        self.at += 1;
        Ok(*byte)
    }

    fn pass(&mut self, bytes: u64) -> Checked {
        if bytes > (self.bytes.len() - self.at) as u64 {
            return self.wrong("an early end");
        }
        self.at += bytes as usize;
        Ok(())
    }

    fn varint(&mut self) -> Checked<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        self.wrong("a long varint")
    }

    fn zigzag(&mut self) -> Checked<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, fields: &Struct) -> Checked {
        let mut id = 0_i64;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Ok(());
            }
            let before = id;
            id = match header >> 4 {
                0 => self.zigzag()?,
                more => id.saturating_add(i64::from(more)),
            };
            // Of a field that comes twice, Parquet may take another than was looked at here.
            if id <= before {
                return self.wrong(&format!("field {id} after field {before}"));
            }
            let Some((_, kind)) = fields.iter().find(|(known, _)| *known == id) else {
                return self.wrong(&format!("the unknown field {id}"));
            };
            let code = header & 0xf;
            match kind {
                // The value stands in the type.
                Kind::Bool if matches!(code, 1 | 2) => {}
                _ => self.value(kind, code)?,
            }
        }
    }

    /// A value after a header that gives its type by this number.
    fn value(&mut self, kind: &Kind, code: u8) -> Checked {
        match (kind, code) {
            (Kind::I8, 3) => self.pass(1),
            (Kind::Int(int), code) if *int == code => self.varint().map(drop),
            (Kind::Binary, 8) => {
                let len = self.varint()?;
                self.pass(len)
            }
            (Kind::List(element), 9) => self.list(element),
            (Kind::Struct(fields), 12) => self.structure(fields),
            (Kind::Element, 12) => {
                if self.children.is_empty() {
                    self.places.schema.start = self.at;
                }
                self.children.push(0);
                self.structure(SCHEMA_ELEMENT)?;
                self.places.schema.end = self.at;
                Ok(())
            }
            (Kind::RowGroup, 12) => {
                let start = self.at;
                self.structure(ROW_GROUP)?;
                self.places.row_groups.push(start..self.at);
                Ok(())
            }
            (Kind::Children, 5) => {
                let children = self.zigzag()?;
                self.children.pop();
                self.children.push(children);
                Ok(())
            }
            _ => self.wrong(&format!("type {code} where another belongs")),
        }
    }

    fn list(&mut self, element: &Kind) -> Checked {
        let header = self.byte()?;
        if header == 0 {
            return Ok(());
        }
        let count = match header >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        // Every value takes a byte at least.
        if count > (self.bytes.len() - self.at) as u64 {
            return self.wrong(&format!("{count} values in fewer bytes"));
        }
        let code = header & 0xf;
        for _ in 0..count {
            match element {
                Kind::Bool if matches!(code, 1 | 2) => self.pass(1)?,
                _ => self.value(element, code)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
