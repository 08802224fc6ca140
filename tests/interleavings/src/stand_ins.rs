//! What the engine's files name and these tests do not look into: small, with the same faces.

pub mod manifest {
    use super::model::catalog::Catalog;

    #[derive(Debug, Clone, Default)]
    pub struct SegmentEntry {
        pub number: u64,
    }

    #[derive(Debug, Clone, Default)]
    pub struct Version {
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
    use std::sync::Mutex;

    use loom::sync::atomic::{AtomicBool, Ordering};
    use loom::thread::{ThreadId, current};

    /// The disk, as far as segments are concerned, and who has the state locked: both are looked at
    /// only, so they are not loom's.
    #[derive(Debug, Default)]
    pub struct Disk {
        pub files: Mutex<BTreeSet<u64>>,
        pub state_locked_by: Mutex<Option<ThreadId>>,
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

        pub fn number(&self) -> u64 {
            self.number
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
    use super::segment::Segment;

    #[derive(Debug)]
    pub struct Snapshot {
        pub segments: Arc<Vec<Arc<Segment>>>,
        pub hot: Vec<MemtableView>,
    }

    impl Snapshot {
        pub fn new(
            segments: Arc<Vec<Arc<Segment>>>,
            hot: Vec<MemtableView>,
            _: Arc<Catalog>,
        ) -> Self {
            Self { segments, hot }
        }

        /// All rows, in order.
        pub fn rows(&self) -> Vec<u64> {
            let cold = self.segments.iter().flat_map(|segment| segment.rows.iter().copied());
            cold.chain(self.hot.iter().flat_map(|view| view.rows.iter().copied())).collect()
        }
    }
}
