//! A corpus as a file: each request behind its length in four bytes, big-endian, as the Collector's
//! file exporter writes and `amida import` reads.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use amida::REQUEST_BYTES_MAX;
use bytes::Bytes;

/// What a file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Requests.
    pub requests: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// Writes requests into a new file.
///
/// # Errors
/// What the disk says.
pub fn write(path: &Path, bodies: impl Iterator<Item = Bytes>) -> io::Result<Written> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut written = Written::default();
    for body in bodies {
        let len = u32::try_from(body.len()).map_err(io::Error::other)?;
        file.write_all(&len.to_be_bytes())?;
        file.write_all(&body)?;
        written.requests += 1;
        written.bytes += u64::from(len);
    }
    file.into_inner()?.sync_all()?;
    Ok(written)
}

/// The requests of a file, one after the other.
#[derive(Debug)]
pub struct Frames {
    file: BufReader<File>,
}

impl Frames {
    /// Opens a file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufReader::with_capacity(1 << 20, File::open(path)?) })
    }

    fn frame(&mut self) -> io::Result<Bytes> {
        let mut len = [0; 4];
        self.file.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len) as usize;
        if len > REQUEST_BYTES_MAX {
            return Err(io::Error::other(format!("no corpus: a request of {len} bytes")));
        }
        let mut body = vec![0; len];
        self.file.read_exact(&mut body)?;
        Ok(Bytes::from(body))
    }
}

impl Iterator for Frames {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.file.fill_buf() {
            Ok([]) => None,
            Ok(_) => Some(self.frame()),
            Err(error) => Some(Err(error)),
        }
    }
}
