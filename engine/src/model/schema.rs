//! THE span schema: one row per span, OpenTelemetry's names in snake_case.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | trace_id, span_id | FixedSizeBinary(16), (8) | |
//! | parent_span_id | FixedSizeBinary(8) | null: a root |
//! | name, service_name | Utf8View | `unknown_service` where the resource names none |
//! | kind, status_code | Utf8View | OpenTelemetry's words: `SERVER`, `ERROR`, ... |
//! | status_message, trace_state, scope_name, scope_version | Utf8View | null: empty |
//! | resource_schema_url, scope_schema_url | Utf8View | null: empty |
//! | start_time | Timestamp(ns, UTC) | |
//! | duration_ns | Int64 | end minus start; negative is kept and marked |
//! | attributes, resource_attributes, scope_attributes | Utf8View | complete JSON, see `json` |
//! | events, links | Utf8View | JSON array of objects, null: none; see `json` |
//! | flags, dropped_*_count, marks | UInt32 | `marks`: bits of `Marks` |

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

macro_rules! columns {
    ($($constant:ident = $index:literal, $name:literal;)*) => {
        /// Positions of the columns in the span schema.
        pub mod col {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: usize = $index;)*
        }
        /// Names of the columns, in order.
        pub const COLUMN_NAMES: &[&str] = &[$($name),*];
    };
}

columns! {
    TRACE_ID = 0, "trace_id";
    SPAN_ID = 1, "span_id";
    PARENT_SPAN_ID = 2, "parent_span_id";
    NAME = 3, "name";
    SERVICE_NAME = 4, "service_name";
    KIND = 5, "kind";
    STATUS_CODE = 6, "status_code";
    STATUS_MESSAGE = 7, "status_message";
    START_TIME = 8, "start_time";
    DURATION_NS = 9, "duration_ns";
    ATTRIBUTES = 10, "attributes";
    EVENTS = 11, "events";
    LINKS = 12, "links";
    RESOURCE_ATTRIBUTES = 13, "resource_attributes";
    RESOURCE_SCHEMA_URL = 14, "resource_schema_url";
    SCOPE_NAME = 15, "scope_name";
    SCOPE_VERSION = 16, "scope_version";
    SCOPE_ATTRIBUTES = 17, "scope_attributes";
    SCOPE_SCHEMA_URL = 18, "scope_schema_url";
    TRACE_STATE = 19, "trace_state";
    FLAGS = 20, "flags";
    DROPPED_ATTRIBUTES_COUNT = 21, "dropped_attributes_count";
    DROPPED_EVENTS_COUNT = 22, "dropped_events_count";
    DROPPED_LINKS_COUNT = 23, "dropped_links_count";
    MARKS = 24, "marks";
}

/// The version of this schema and of the text in its columns, as of the store's files.
pub const FORMAT_VERSION: u32 = 1;

/// Key in the metadata of files of spans: `FORMAT_VERSION`, as text.
pub const KEY_FORMAT_VERSION: &str = "amida.format_version";

/// The zone of `start_time`.
pub const UTC: &str = "UTC";

static SPAN_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let nullable = [
        col::PARENT_SPAN_ID,
        col::STATUS_MESSAGE,
        col::EVENTS,
        col::LINKS,
        col::RESOURCE_SCHEMA_URL,
        col::SCOPE_NAME,
        col::SCOPE_VERSION,
        col::SCOPE_SCHEMA_URL,
        col::TRACE_STATE,
    ];
    let fields: Vec<Field> = COLUMN_NAMES
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let data_type = match index {
                col::TRACE_ID => DataType::FixedSizeBinary(16),
                col::SPAN_ID | col::PARENT_SPAN_ID => DataType::FixedSizeBinary(8),
                col::START_TIME => DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into())),
                col::DURATION_NS => DataType::Int64,
                col::FLAGS..=col::MARKS => DataType::UInt32,
                _ => DataType::Utf8View,
            };
            Field::new(*name, data_type, nullable.contains(&index))
        })
        .collect();
    Arc::new(Schema::new(fields))
});

/// The schema that every `SpanBatch` has.
pub fn span_schema() -> &'static SchemaRef {
    &SPAN_SCHEMA
}

/// The service of a span whose resource does not name one, as the OpenTelemetry SDKs spell it.
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// What the store noticed about a span while storing it: bits of the `marks` column.
///
/// ```
/// use amida::Marks;
///
/// let marks = Marks(1 | 1 << 7);
/// assert!(marks.contains(Marks::NEGATIVE_DURATION) && marks.contains(Marks::NO_SERVICE));
/// assert!(!marks.contains(Marks::TRUNCATED));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(pub u32);

impl Marks {
    /// The span ends before it starts; `duration_ns` is negative.
    pub const NEGATIVE_DURATION: Marks = Marks(1);
    /// The parent span id had a wrong length; the span is stored as a root.
    pub const BAD_PARENT: Marks = Marks(1 << 1);
    /// Text that was not UTF-8 was repaired with U+FFFD.
    pub const REPAIRED_TEXT: Marks = Marks(1 << 2);
    /// A value, key or list was longer than the limits of the format and was cut.
    pub const TRUNCATED: Marks = Marks(1 << 3);
    /// An attribute key stood twice; the last value was kept.
    pub const DUPLICATE_KEYS: Marks = Marks(1 << 4);
    /// A value was nested deeper than the limit and was replaced by a placeholder.
    pub const TOO_DEEP: Marks = Marks(1 << 5);
    /// A start or end time is zero, or the start lies more than a day after the time of ingest.
    pub const STRANGE_TIME: Marks = Marks(1 << 6);
    /// The resource has no `service.name`.
    pub const NO_SERVICE: Marks = Marks(1 << 7);

    /// Names of the bits, lowest first.
    pub const NAMES: [&str; 8] = [
        "negative_duration",
        "bad_parent",
        "repaired_text",
        "truncated",
        "duplicate_keys",
        "too_deep",
        "strange_time",
        "no_service",
    ];

    /// Adds the bits of `other`.
    pub fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }
}

/// OpenTelemetry's words for a span kind number; a number it does not know counts as unspecified.
pub fn kind_word(kind: i32) -> &'static str {
    usize::try_from(kind).ok().and_then(|k| KINDS.get(k)).copied().unwrap_or(KINDS[0])
}

/// OpenTelemetry's words for a status number; a number it does not know counts as unset.
pub fn status_word(status: i32) -> &'static str {
    usize::try_from(status).ok().and_then(|s| STATUSES.get(s)).copied().unwrap_or(STATUSES[0])
}

/// The span kinds by number.
pub const KINDS: [&str; 6] =
    ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
/// The status codes by number.
pub const STATUSES: [&str; 3] = ["UNSET", "OK", "ERROR"];
