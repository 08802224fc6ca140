//! The pipe of an export, with its compression.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use super::format::Compression;
use crate::output::sink::Pipe;

/// An open sink that compresses what it is given.
pub enum Compressed {
    Plain(Pipe),
    Gzip(GzEncoder<Pipe>),
    Zstd(zstd::Encoder<'static, Pipe>),
}

impl Compressed {
    /// Compresses into this pipe.
    ///
    /// # Errors
    /// When the compressor has no memory.
    pub fn new(pipe: Pipe, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(pipe),
            Compression::Gzip => Self::Gzip(GzEncoder::new(pipe, flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(pipe, 3)?),
        })
    }

    /// Writes what is still held back.
    pub fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(pipe) => pipe,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        }
        .flush()
    }
}

impl Write for Compressed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(pipe) => pipe.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(pipe) => pipe.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
