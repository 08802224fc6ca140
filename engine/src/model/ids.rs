//! Trace and span ids: fixed bytes inside, lower-case hex outside.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $bytes;

            /// What stands where no valid id can: all zeros. No stored span has it.
            pub(crate) const INVALID: Self = Self([0; $bytes]);

            /// The id of these bytes; `None` when the length is wrong or all bytes are zero, which
            /// the W3C trace context calls invalid.
            pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
                let bytes: [u8; $bytes] = bytes.try_into().ok()?;
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0u8; $bytes * 2];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Reads hex of either case.
            ///
            /// # Errors
            /// `Invalid` when the text is not exactly the id's hex digits, or all zero.
            fn from_str(text: &str) -> Result<Self> {
                let mut bytes = [0u8; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| {
                    Error::invalid(format!(
                        "{text:?} is not a {}: expected {} hex digits",
                        $what,
                        $bytes * 2
                    ))
                })?;
                Self::from_bytes(&bytes).ok_or_else(|| {
                    Error::invalid(format!("a {} of all zeros is not valid", $what))
                })
            }
        }
    };
}

id!(
    /// A trace id: 16 bytes, never all zero.
    TraceId, 16, "trace id"
);
id!(
    /// A span id: 8 bytes, never all zero.
    SpanId, 8, "span id"
);
