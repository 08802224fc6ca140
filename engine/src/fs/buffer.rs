//! The memory of a group of log records, which stays until its spans are flushed.

use bytes::Bytes;
use memmap2::MmapMut;

/// From this size on a group has pages of its own.
///
/// Any thread may commit a group, and an allocator that keeps an arena a thread would hold on to
/// the memory of each: 16 threads that append at once took 180 MiB more than one.
const PAGES_MIN: usize = 1 << 20;

/// Bytes that grow up to the capacity that they begin with.
#[derive(Debug)]
pub enum Buffer {
    /// On the heap.
    Heap(Vec<u8>),
    /// In pages that go back to the system at once: these, and how many of their bytes are used.
    Pages(MmapMut, usize),
}

impl Buffer {
    /// Nothing yet, with room for so many bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        if capacity >= PAGES_MIN
            && let Ok(pages) = MmapMut::map_anon(capacity)
        {
            return Self::Pages(pages, 0);
        }
        Self::Heap(Vec::with_capacity(capacity))
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Adds bytes at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        match self {
            Self::Heap(heap) => heap.extend_from_slice(bytes),
            Self::Pages(pages, used) => {
                if let Some(free) = pages.get_mut(*used..*used + bytes.len()) {
                    free.copy_from_slice(bytes);
                    *used += bytes.len();
                } else {
                    *self = Self::Heap([self.as_ref(), bytes].concat());
                }
            }
        }
    }

    /// The same bytes, to be shared.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Heap(heap) => heap.into(),
            pages => Bytes::from_owner(pages),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Heap(heap) => heap,
            Self::Pages(pages, used) => pages.get(..*used).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_keeps_its_bytes_where_it_has_pages_and_where_it_outgrows_them() {
        for (capacity, has_pages) in [(100, false), (1 << 20, true)] {
            let mut buffer = Buffer::with_capacity(capacity);
            assert_eq!(matches!(buffer, Buffer::Pages(..)), has_pages);
            let mut expected = Vec::new();
            while expected.len() < capacity + 70_000 {
                let piece = vec![(expected.len() / 7) as u8; 65_537];
                buffer.extend(&piece);
                expected.extend(piece);
                assert_eq!(buffer.len(), expected.len());
            }
            assert!(buffer.as_ref() == expected);
            assert!(buffer.into_bytes() == expected);
        }
        let mut buffer = Buffer::with_capacity(1 << 20);
        buffer.extend(b"in pages");
        assert!(matches!(buffer, Buffer::Pages(..)));
        assert_eq!(buffer.into_bytes(), "in pages");
    }
}
