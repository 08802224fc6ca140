//! Where spans come from: the files behind the paths that were given, and their bytes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use walkdir::WalkDir;

use super::sniff::{self, Compression, SNIFF_BYTES};

/// Bytes read from a file at a time.
const READ_BYTES: usize = 256 << 10;

/// One input: a file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    /// Bytes in it, as far as that is known.
    pub bytes: u64,
    /// Why it cannot be read, if that is known already.
    pub error: Option<String>,
}

impl Source {
    /// Whether this is standard input.
    pub fn is_stdin(&self) -> bool {
        self.path.as_path() == Path::new("-")
    }

    /// The name for people.
    pub fn name(&self) -> String {
        if self.is_stdin() { "standard input".to_owned() } else { self.path.display().to_string() }
    }

    fn failed(path: PathBuf, error: String) -> Self {
        Self { path, bytes: 0, error: Some(error) }
    }

    /// Its bytes, decompressed, and the first of them. Counts what is read in the progress bar.
    pub fn open(&self, progress: &ProgressBar) -> io::Result<(Box<dyn Read>, Vec<u8>)> {
        let raw: Box<dyn Read> =
            if self.is_stdin() { Box::new(io::stdin()) } else { Box::new(File::open(&self.path)?) };
        let mut counted = BufReader::with_capacity(READ_BYTES, progress.wrap_read(raw));
        // A pipe may give its first bytes one by one.
        let (head, rest) = peek(&mut counted, sniff::ZSTD.len())?;
        let raw = BufReader::with_capacity(READ_BYTES, io::Cursor::new(rest).chain(counted));
        let mut plain: Box<dyn Read> = match sniff::compression(&head) {
            Compression::None => Box::new(raw),
            Compression::Gzip => Box::new(MultiGzDecoder::new(raw)),
            Compression::Zstd => Box::new(zstd::Decoder::with_buffer(raw)?),
        };
        let (head, rest) = peek(&mut plain, SNIFF_BYTES)?;
        Ok((Box::new(io::Cursor::new(rest).chain(plain)), head))
    }
}

/// Reads up to this many bytes; twice, to look at and to put back.
fn peek(from: &mut impl Read, bytes: usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::with_capacity(bytes);
    from.by_ref().take(bytes as u64).read_to_end(&mut head)?;
    Ok((head.clone(), head))
}

/// The inputs behind these paths: folders give their files, sorted. The store itself is left out.
pub fn sources(paths: &[PathBuf], store: &Path) -> Vec<Source> {
    let store = store.canonicalize().ok();
    let mut found = Vec::new();
    for path in paths {
        if path.as_path() == Path::new("-") {
            found.push(Source { path: path.clone(), bytes: 0, error: None });
        } else if path.is_dir() {
            folder(path, store.as_deref(), &mut found);
        } else {
            found.push(file(path.clone()));
        }
    }
    found
}

fn folder(path: &Path, store: Option<&Path>, found: &mut Vec<Source>) {
    let entries = WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter();
    let is_store = |path: &Path| store.is_some() && path.canonicalize().ok().as_deref() == store;
    for entry in
        entries.filter_entry(|entry| !entry.file_type().is_dir() || !is_store(entry.path()))
    {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if entry.file_type().is_file() => found.push(file(entry.into_path())),
            // A pipe that nobody writes to would keep the import waiting for ever.
            Ok(entry) => {
                let why = "not a regular file; name it to read it".to_owned();
                found.push(Source::failed(entry.into_path(), why));
            }
            Err(error) => {
                let path = error.path().unwrap_or(path).to_owned();
                found.push(Source::failed(path, error.to_string()));
            }
        }
    }
}

fn file(path: PathBuf) -> Source {
    match std::fs::metadata(&path) {
        Ok(about) if about.is_dir() => Source::failed(path, "this is a folder".to_owned()),
        // Named pipes too: `amida import DIR <(zcat x)`.
        Ok(about) => Source { path, bytes: about.len(), error: None },
        Err(error) => Source::failed(path, error.to_string()),
    }
}
