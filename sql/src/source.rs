//! Where a session reads: whatever can give a snapshot.

use std::fmt;

use amida::{Reader, Snapshot, Store};

/// Something that gives snapshots: a store, a reader beside it or one
/// snapshot for ever.
///
/// ```
/// use amida::{Snapshot, Store};
/// use amida_sql::{Session, Source};
///
/// /// Always the newest view of whichever store is open now.
/// #[derive(Clone)]
/// struct Current(std::sync::Arc<std::sync::Mutex<Store>>);
///
/// impl Source for Current {
///     fn snapshot(&self) -> amida::Result<Snapshot> {
///         let store = self.0.lock().map_err(|_| amida::Error::Closed)?;
///         Ok(store.snapshot())
///     }
/// }
///
/// let current = Current(std::sync::Arc::new(Store::in_memory().into()));
/// let session = Session::new(&current);
/// ```
pub trait Source: Send + Sync + 'static {
    /// A consistent view of what is stored now.
    ///
    /// # Errors
    /// The engine's, when the store cannot be read.
    fn snapshot(&self) -> amida::Result<Snapshot>;
}

impl Source for Store {
    fn snapshot(&self) -> amida::Result<Snapshot> {
        Ok(Store::snapshot(self))
    }
}

impl Source for Reader {
    fn snapshot(&self) -> amida::Result<Snapshot> {
        Ok(Reader::snapshot(self))
    }
}

impl Source for Snapshot {
    fn snapshot(&self) -> amida::Result<Snapshot> {
        Ok(self.clone())
    }
}

impl<S: Source + ?Sized> Source for std::sync::Arc<S> {
    fn snapshot(&self) -> amida::Result<Snapshot> {
        (**self).snapshot()
    }
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}
