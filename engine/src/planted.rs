//! Known mistakes, planted on purpose: the tests must find each of them (docs/testing.md).
//!
//! `planted!("name")` stands where the mistake would be made. It is the constant `false` unless the
//! engine is built with its feature `planted`, which no build of ours has but that of
//! tests/planted/run.sh: there it is true where the environment variable AMIDA_PLANTED is `name`.

#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($name:literal) => {
        false
    };
}

#[cfg(feature = "planted")]
macro_rules! planted {
    ($name:literal) => {{
        const { assert!($crate::planted::is_listed($name), "the bug is not in the list") };
        $crate::planted::is_on($name)
    }};
}

/// The mistakes: name, and what is wrong then. tests/planted/bugs.txt has the test that finds each.
#[cfg(feature = "planted")]
const BUGS: &[(&str, &str)] = &[
    ("ack_before_sync", "a request is acknowledged before its bytes are synced"),
    ("block_remembered_unchecked", "a block counts as checked although its checksum did not hold"),
    ("block_unchecked", "a block of a segment is handed out without a look at its checksum"),
    ("compaction_loses_input", "a merge leaves the rows of an input out"),
    ("damaged_index_hides_spans", "a trace-ID index that does not match its checksum is empty"),
    ("damaged_manifest_skipped", "a damaged newest manifest falls back to the one before it"),
    ("durable_claims_itself", "a record claims that it was on stable storage itself"),
    ("full_disk_is_final", "a full disk stops all writing until the store is opened again"),
    ("half_record_stays", "what a failed write left of a record is not cut off"),
    ("held_segment_unlinked", "a segment's file is unlinked while a snapshot holds it"),
    ("ingest_time_goes_back", "the time of ingest follows a clock that goes backwards"),
    ("length_unchecked", "the header's checksum does not cover the length of the record"),
    ("lock_ignored", "a lock that somebody else holds does not stop a writer"),
    ("log_removed_before_commit", "a log file is removed before the manifest is durable"),
    ("manifest_number_unchecked", "a manifest is taken under whatever name it stands"),
    ("manifest_unchecked", "a manifest is read without a look at its checksum"),
    ("middle_taken_for_tail", "damage in the middle of the log ends it silently"),
    ("names_not_synced", "a new file's directory is not synced"),
    ("offset_unchecked", "the header's checksum does not cover where the record stands"),
    ("payload_unchecked", "a record is taken without a look at its payload's checksum"),
    ("published_in_two_steps", "a segment is visible before the memtable that it replaces goes"),
    ("reader_skips_unfinished", "a reader goes past a record that is being written"),
    ("renamed_before_sync", "a file gets its name before its bytes are synced"),
    ("replayed_twice", "the log is replayed although its records are in segments"),
    ("reserve_kept", "a manifest that finds no room does not get the reserve"),
    ("retention_by_span_time", "retention looks at the spans' own times"),
    ("salt_unchecked", "the header's checksum does not cover the file's salt"),
    ("sealed_dropped_on_failure", "a memtable is let go when its flush fails"),
    ("segment_place_unchecked", "a segment is taken under whatever name it stands"),
    ("sequences_reused", "numbers of records are given again after a reopen"),
    ("sync_retried", "a failed sync is tried again, and believed"),
    ("tail_deleted", "the end of a torn log is cut off and not kept in quarantine"),
    ("tail_taken_for_damage", "an unfinished record at the end of the log is called damage"),
    ("verify_skips_index", "verifying a segment looks at its row groups only"),
    ("zero_length_legal", "a record of no bytes is a record"),
];

/// Whether a name is in the list.
#[cfg(feature = "planted")]
pub const fn is_listed(name: &str) -> bool {
    let mut at = 0;
    while at < BUGS.len() {
        if same(BUGS[at].0.as_bytes(), name.as_bytes()) {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(feature = "planted")]
const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// Whether this mistake is to be made.
#[cfg(feature = "planted")]
pub fn is_on(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("AMIDA_PLANTED").ok()).as_deref() == Some(name)
}
