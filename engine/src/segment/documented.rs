use super::format::Header;
use super::index::IndexBuilder;
use crate::codec::documented::assert_documented;
use crate::fs::BlockTable;
use crate::model::ids::TraceId;

#[test]
fn the_documented_bytes_of_a_segment_are_the_ones_that_are_written() {
    let header = Header {
        row_groups: 1,
        store_id: [0x11; 16],
        number: 3,
        rows: 2,
        start_min_ns: 1_700_000_000_000_000_000,
        start_max_ns: 1_700_000_000_000_000_001,
        index_offset: 500,
        table_offset: 532,
        footer_offset: 544,
        file_bytes: 900,
        index_crc: 1,
        table_crc: 2,
        footer_crc: 3,
    };
    assert_documented("SEGMENT_HEADER", &header.encode());
    let mut table = BlockTable::new();
    table.update(b"abc");
    table.finish();
    assert_documented("BLOCK_TABLE", &table.encode());
    let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
    let mut index = IndexBuilder::new();
    index.push(id.as_bytes());
    index.push(id.as_bytes());
    assert_documented("TRACE_INDEX", &index.encode());
}
