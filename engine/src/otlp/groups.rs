//! Resources and scopes of the spans that are resolved together: each is read once, however many
//! requests it comes with and spans it has.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::{ArrayRef, StringViewArray, UInt32Array};
use arrow::compute::take;
use arrow::error::Result as ArrowResult;
use foldhash::fast::RandomState;

use super::attributes::Attributes;
use super::keys::{KeyNumber, ScopeKeys};
use super::text::{limits, text};
use super::wire::Fields;
use crate::model::hot::{HotRequest, Pieces};
use crate::model::json::ValueType;
use crate::model::schema::{Marks, UNKNOWN_SERVICE};

/// A resource or a scope as its spans need it.
#[derive(Debug, Default)]
pub struct Group {
    /// Its columns. Empty text is absent text, as protobuf has it.
    texts: Vec<String>,
    /// What was noticed while it was read.
    pub marks: Marks,
    /// Its attributes, to be counted for each of its spans.
    counted: Vec<(KeyNumber, ValueType)>,
}

/// Reads a message that may have come in pieces.
type Read = fn(&HotRequest, &Pieces, &mut ScopeKeys) -> Group;

/// Distinct groups, and the group of each span.
#[derive(Debug)]
pub struct Groups {
    read: Read,
    groups: Vec<Group>,
    /// Numbers of groups by their bytes.
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    /// The bytes of the group that is looked up.
    scratch: Vec<u8>,
    /// The number of each span's group.
    spans: Vec<u32>,
}

impl Groups {
    /// No resource yet. Columns: service name, attributes, schema URL.
    pub fn resources() -> Self {
        Self::new(read_resource)
    }

    /// No scope yet. Columns: name, version, attributes, schema URL.
    pub fn scopes() -> Self {
        Self::new(read_scope)
    }

    fn new(read: Read) -> Self {
        Self {
            read,
            groups: Vec::new(),
            numbers: HashMap::default(),
            scratch: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The number of each group of a request that has spans; `of` is the group of each span.
    pub fn numbers(
        &mut self,
        request: &HotRequest,
        groups: &[Pieces],
        of: impl Iterator<Item = u32>,
        keys: &mut ScopeKeys,
    ) -> Vec<u32> {
        let mut spans = vec![0; groups.len()];
        for group in of {
            if let Some(spans) = spans.get_mut(group as usize) {
                *spans += 1;
            }
        }
        let number = |(pieces, spans): (&Pieces, u64)| match spans {
            0 => 0,
            spans => self.number(request, pieces, keys, spans),
        };
        groups.iter().zip(spans).map(number).collect()
    }

    fn number(
        &mut self,
        request: &HotRequest,
        pieces: &Pieces,
        keys: &mut ScopeKeys,
        spans: u64,
    ) -> u32 {
        let bytes = &mut self.scratch;
        bytes.clear();
        bytes.extend(slice(request, &pieces.schema_url));
        for piece in &pieces.message {
            // Where a text ends is told by the length of all before it.
            bytes.extend((bytes.len() as u64).to_le_bytes());
            bytes.extend(slice(request, piece));
        }
        let number = self.numbers.get(bytes.as_slice()).copied().unwrap_or_else(|| {
            let number = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
            self.groups.push((self.read)(request, pieces, keys));
            self.numbers.insert(bytes.as_slice().into(), number);
            number
        });
        for (key, value_type) in self.groups.get(number as usize).map_or(&[][..], |g| &g.counted) {
            keys.count_more(*key, *value_type, spans);
        }
        number
    }

    /// Adds a span with this group; the marks of the group.
    pub fn add_span(&mut self, number: u32) -> Marks {
        self.spans.push(number);
        self.groups.get(number as usize).map_or(Marks::default(), |group| group.marks)
    }

    /// One of the columns, with a row for each span.
    pub fn column(&self, at: usize) -> ArrowResult<ArrayRef> {
        let text = |group: &'_ Group| group.texts.get(at).filter(|text| !text.is_empty()).cloned();
        let texts = StringViewArray::from_iter(self.groups.iter().map(text));
        take(&texts, &UInt32Array::from(self.spans.clone()), None)
    }
}

/// The bytes of a request that a range names.
pub fn slice<'a>(request: &'a HotRequest, range: &Range<u32>) -> &'a [u8] {
    request.body.get(range.start as usize..range.end as usize).unwrap_or_default()
}

fn read_resource(request: &HotRequest, pieces: &Pieces, keys: &mut ScopeKeys) -> Group {
    let mut group = Group::default();
    let mut attributes = Attributes::begin(keys);
    for piece in &pieces.message {
        let mut fields = Fields::new(slice(request, piece), 0);
        while let Ok(Some((field, value))) = fields.next() {
            if field == 1 {
                attributes.push(value.bytes(), keys, &mut group.marks);
            }
        }
    }
    let object = group.write(&attributes, keys);
    let named = attributes.string("service.name", keys).filter(|name| !name.is_empty());
    let service_name = match named {
        Some(name) => text(name, limits::VALUE_BYTES_MAX, &mut group.marks).into_owned(),
        None => {
            group.marks.add(Marks::NO_SERVICE);
            UNKNOWN_SERVICE.to_owned()
        }
    };
    let schema_url = group.text(slice(request, &pieces.schema_url));
    group.texts = vec![service_name, object, schema_url];
    group
}

fn read_scope(request: &HotRequest, pieces: &Pieces, keys: &mut ScopeKeys) -> Group {
    let mut group = Group::default();
    let mut attributes = Attributes::begin(keys);
    let (mut name, mut version): (&[u8], &[u8]) = (&[], &[]);
    for piece in &pieces.message {
        let mut fields = Fields::new(slice(request, piece), 0);
        while let Ok(Some((field, value))) = fields.next() {
            match field {
                1 => name = value.bytes(),
                2 => version = value.bytes(),
                3 => attributes.push(value.bytes(), keys, &mut group.marks),
                _ => {}
            }
        }
    }
    let object = group.write(&attributes, keys);
    let schema_url = group.text(slice(request, &pieces.schema_url));
    group.texts = vec![group.text(name), group.text(version), object, schema_url];
    group
}

impl Group {
    /// The attributes' object; they are to be counted.
    fn write(&mut self, attributes: &Attributes<'_>, keys: &mut ScopeKeys) -> String {
        let mut object = Vec::new();
        let counted = &mut self.counted;
        attributes.write(&mut object, keys, &mut self.marks, |keys, key, value_type, raw| {
            counted.push((key, value_type));
            keys.count(key, value_type, raw, 0);
        });
        // It is UTF-8, as all that is put into it.
        String::from_utf8_lossy(&object).into_owned()
    }

    fn text(&mut self, bytes: &[u8]) -> String {
        text(bytes, limits::VALUE_BYTES_MAX, &mut self.marks).into_owned()
    }
}
