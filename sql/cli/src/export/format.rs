//! Which format and which compression: as told, else by the ending of the file.

use std::path::Path;

use super::args::ExportFormat;

/// How the bytes of a format are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// The format and the compression of an export.
///
/// # Errors
/// Words for the user where the name does not say it, or says what cannot be.
pub fn choose(
    told: Option<ExportFormat>,
    output: Option<&Path>,
) -> Result<(ExportFormat, Compression), String> {
    let Some(path) = output else {
        return Ok((told.unwrap_or(ExportFormat::OtlpJson), Compression::None));
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (compression, plain) = if let Some(plain) = name.strip_suffix(".gz") {
        (Compression::Gzip, plain)
    } else if let Some(plain) = name.strip_suffix(".zst") {
        (Compression::Zstd, plain)
    } else {
        (Compression::None, name.as_str())
    };
    let format = told.or_else(|| by_ending(plain)).ok_or_else(|| {
        format!(
            "{}: the name does not say the format; give it an ending such as .jsonl, .pb, \
             .parquet, .arrow, or give --format",
            path.display()
        )
    })?;
    let is_columns = matches!(format, ExportFormat::Parquet | ExportFormat::Arrow);
    if is_columns && compression != Compression::None {
        return Err(format!(
            "{}: {} is not compressed as a whole; name it without .gz or .zst",
            path.display(),
            format.word()
        ));
    }
    Ok((format, compression))
}

fn by_ending(name: &str) -> Option<ExportFormat> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "json" | "jsonl" | "ndjson" => ExportFormat::OtlpJson,
        "pb" | "binpb" | "otlp" => ExportFormat::OtlpProtoFramed,
        "parquet" => ExportFormat::Parquet,
        "arrow" | "ipc" => ExportFormat::Arrow,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format_and_the_compression() {
        use ExportFormat::{Arrow, OtlpJson, OtlpProto, OtlpProtoFramed, Parquet};
        for (told, name, expected) in [
            (None, "a.json", (OtlpJson, Compression::None)),
            (None, "A.JSONL.GZ", (OtlpJson, Compression::Gzip)),
            (None, "dir.x/a.pb.zst", (OtlpProtoFramed, Compression::Zstd)),
            (None, "a.parquet", (Parquet, Compression::None)),
            (None, "a.ipc", (Arrow, Compression::None)),
            (Some(OtlpProto), "a.bin.gz", (OtlpProto, Compression::Gzip)),
            (Some(Arrow), "a.parquet", (Arrow, Compression::None)),
        ] {
            assert_eq!(choose(told, Some(Path::new(name))), Ok(expected), "{name}");
        }
        assert_eq!(choose(None, None), Ok((OtlpJson, Compression::None)));
        for name in ["a", "a.csv", "json", "a.gz", "a.parquet.gz"] {
            assert!(choose(None, Some(Path::new(name))).is_err(), "{name}");
        }
    }
}
