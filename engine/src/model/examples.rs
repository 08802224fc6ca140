//! A value of each type that a key had, kept in the catalog so that people see what a key holds.

use super::json::ValueType;

/// One value of each type that a key had, as text: the first that was seen. By `ValueType::ALL`'s
/// order.
///
/// ```
/// use amida::Examples;
/// use amida::json::ValueType;
///
/// let mut examples = Examples::default();
/// examples.add(ValueType::Int, "503");
/// examples.add(ValueType::Int, "200"); // the first one stays
/// assert_eq!(examples.get(ValueType::Int), Some("503"));
/// assert!(examples.wants(ValueType::String));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Examples([Option<Box<str>>; 5]);

impl Examples {
    /// Most bytes of an example; longer values are cut, and end in `...` then.
    pub const BYTES_MAX: usize = 64;

    /// Whether a value of this type is still wanted.
    pub fn wants(&self, value_type: ValueType) -> bool {
        self.0[value_type as usize].is_none()
    }

    /// Takes a value as text, unless there is one of its type.
    pub fn add(&mut self, value_type: ValueType, text: &str) {
        let example = &mut self.0[value_type as usize];
        if example.is_none() {
            *example = Some(if text.len() <= Self::BYTES_MAX {
                text.into()
            } else {
                const MORE: &str = "...";
                let cut = text.floor_char_boundary(Self::BYTES_MAX - MORE.len());
                format!("{}{MORE}", &text[..cut]).into()
            });
        }
    }

    /// The value of this type, as text.
    pub fn get(&self, value_type: ValueType) -> Option<&str> {
        self.0[value_type as usize].as_deref()
    }

    /// Takes the values of another, where there are none of their types.
    pub(super) fn merge(&mut self, other: &Examples) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
    }
}
