//! Parquet bytes through the engine: checked against its checksums, metadata from its cache.

use std::ops::Range;
use std::sync::Arc;

use amida::Segment;
use bytes::Bytes;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

/// Makes readers of the segments that hang on the files of a scan.
#[derive(Debug)]
pub(crate) struct SegmentReaderFactory;

impl ParquetFileReaderFactory for SegmentReaderFactory {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let segment = file
            .extension::<Arc<Segment>>()
            .cloned()
            .ok_or_else(|| exec_datafusion_err!("{} was not planned as a segment", file.path()))?;
        let metrics = ParquetFileMetrics::new(partition, file.path().as_ref(), metrics);
        Ok(Box::new(SegmentReader { segment, metrics }))
    }
}

/// Keeps its segment, and so the file, alive as long as it reads.
struct SegmentReader {
    segment: Arc<Segment>,
    metrics: ParquetFileMetrics,
}

fn failed(error: amida::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl SegmentReader {
    fn read(&self, range: Range<u64>) -> ParquetResult<Bytes> {
        let bytes = self.segment.read(range).map_err(failed)?;
        self.metrics.bytes_scanned.add(bytes.len());
        Ok(bytes)
    }
}

impl AsyncFileReader for SegmentReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        ready(self.read(range)).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        ready(ranges.into_iter().map(|range| self.read(range)).collect()).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        ready(self.segment.metadata().map_err(failed)).boxed()
    }
}
