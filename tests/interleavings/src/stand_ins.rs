//! What the engine's files name and these tests do not look into: small, with the same faces.

pub mod error {
    pub type Result<T> = std::result::Result<T, Error>;

    #[derive(Debug, Clone)]
    #[allow(dead_code)] // nothing here opens a file
    pub enum Error {
        Corrupt { path: std::path::PathBuf, what: String },
        Io { path: std::path::PathBuf, cause: String },
        Unsupported {},
    }

    impl Error {
        pub fn corrupt(path: &std::path::Path, _: u64, what: String) -> Self {
            Self::Corrupt { path: path.to_owned(), what }
        }
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match self {
                Self::Corrupt { path, what } | Self::Io { path, cause: what } => {
                    write!(f, "{}: {what}", path.display())
                }
                Self::Unsupported {} => f.write_str("unsupported"),
            }
        }
    }
}

pub mod fs {
    pub trait Fs {}

    pub mod names {
        use std::path::{Path, PathBuf};

        pub fn segment(store: &Path, number: u64) -> PathBuf {
            store.join(number.to_string())
        }
    }
}

pub mod manifest {
    use super::model::catalog::Catalog;

    #[derive(Debug, Clone, Default)]
    pub struct SegmentEntry {
        pub number: u64,
        pub rows: u64,
        pub bytes: u64,
        pub start_times: (i64, i64),
    }

    #[derive(Debug, Clone, Default)]
    pub struct StoreId(pub [u8; 16]);

    #[derive(Debug, Clone, Default)]
    pub struct Version {
        pub store_id: StoreId,
        pub segments: Vec<SegmentEntry>,
        pub catalog: Catalog,
    }
}

pub mod memtable {
    #[derive(Debug, Clone, Copy)]
    pub struct Decode;

    #[derive(Debug, Clone, Default)]
    pub struct Facts {
        pub bytes: u64,
    }

    /// Rows are numbers.
    #[derive(Debug)]
    pub struct Memtable(pub MemtableView);

    #[derive(Debug, Clone, Default)]
    pub struct MemtableView {
        pub rows: Vec<u64>,
        facts: Facts,
    }

    impl Memtable {
        pub fn new(_: Decode) -> Self {
            Self(MemtableView::default())
        }

        pub fn view(&mut self) -> MemtableView {
            self.0.clone()
        }

        pub fn facts(&self) -> &Facts {
            &self.0.facts
        }
    }

    impl MemtableView {
        pub fn facts(&self) -> &Facts {
            &self.facts
        }
    }
}

pub mod model {
    pub mod catalog {
        #[derive(Debug, Clone, Default)]
        pub struct Catalog;
    }
}

pub mod otlp {
    pub mod walk {
        pub struct Reason;

        impl Reason {
            pub const ALL: [Reason; 1] = [Reason];
        }
    }
}

pub mod segment {
    use std::collections::BTreeSet;
    use std::ops::Range;
    use std::path::Path;
    use std::sync::Mutex;

    use super::error::{Error, Result};
    use super::fs::Fs;
    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread::{ThreadId, current};

    /// The disk, as far as segments are concerned, and who has the state locked: both are looked at
    /// only, so they are not loom's.
    #[derive(Debug, Default)]
    pub struct Disk {
        pub files: Mutex<BTreeSet<u64>>,
        pub state_locked_by: Mutex<Option<ThreadId>>,
    }

    #[derive(Debug)]
    pub struct MetadataCache;

    #[derive(Debug)]
    pub struct Missing;

    impl Missing {
        pub fn new(_: &Path, _: Range<u64>, _: (i64, i64), _: &Error) -> Self {
            Self
        }
    }

    /// As the engine's, the flag and its orderings included.
    #[derive(Debug)]
    pub struct Segment {
        number: u64,
        pub rows: Vec<u64>,
        disk: std::sync::Arc<Disk>,
        obsolete: AtomicBool,
    }

    impl Segment {
        /// Writes the file.
        pub fn new(disk: &std::sync::Arc<Disk>, number: u64, rows: Vec<u64>) -> Self {
            assert!(disk.files.lock().unwrap().insert(number), "a number is used once");
            Self { number, rows, disk: disk.clone(), obsolete: AtomicBool::new(false) }
        }

        /// None of these tests opens a file.
        pub fn open(
            _: &loom::sync::Arc<dyn Fs>,
            _: &Path,
            _: u64,
            _: Option<[u8; 16]>,
            _: &loom::sync::Arc<MetadataCache>,
        ) -> Result<Self> {
            Err(Error::Unsupported {})
        }

        pub fn number(&self) -> u64 {
            self.number
        }

        pub fn rows(&self) -> u64 {
            self.rows.len() as u64
        }

        pub fn bytes(&self) -> u64 {
            0
        }

        pub fn path(&self) -> &Path {
            Path::new("segment")
        }

        pub fn remove_on_drop(&self) {
            self.obsolete.store(true, Ordering::Relaxed);
        }
    }

    impl Drop for Segment {
        fn drop(&mut self) {
            if self.obsolete.load(Ordering::Relaxed) {
                let locked = *self.disk.state_locked_by.lock().unwrap();
                assert_ne!(locked, Some(current().id()), "a file is removed under the lock");
                assert!(self.disk.files.lock().unwrap().remove(&self.number), "removed twice");
            }
        }
    }
}

pub mod snapshot {
    use loom::sync::Arc;

    use super::memtable::MemtableView;
    use super::model::catalog::Catalog;
    pub use crate::segments::Segments;

    #[derive(Debug)]
    pub struct Snapshot {
        pub segments: Arc<Segments>,
        pub hot: Vec<MemtableView>,
    }

    impl Snapshot {
        pub fn new(segments: Arc<Segments>, hot: Vec<MemtableView>, _: Arc<Catalog>) -> Self {
            Self { segments, hot }
        }

        /// All rows, in order.
        pub fn rows(&self) -> Vec<u64> {
            let open = self.segments.open.iter();
            let cold = open.flat_map(|segment| segment.rows.iter().copied());
            cold.chain(self.hot.iter().flat_map(|view| view.rows.iter().copied())).collect()
        }
    }
}
