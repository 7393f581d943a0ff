//! Writes remote-write 1.0 bodies: for sending on, for tools and for tests.

use super::protobuf::FieldWriter;
use crate::model::Batch;

/// A batch as a remote-write 1.0 body: a snappy block that holds a `prometheus.WriteRequest`.
pub fn encode_remote_write(batch: &Batch) -> Vec<u8> {
    let mut request = FieldWriter::default();
    let (mut series, mut part) = (FieldWriter::default(), FieldWriter::default());
    let mut samples = batch.samples().iter().peekable();
    for (index, labels) in batch.series().iter().enumerate() {
        series.bytes.clear();
        for label in labels.iter() {
            part.bytes.clear();
            part.bytes_field(1, label.name.as_bytes());
            part.bytes_field(2, label.value.as_bytes());
            series.bytes_field(1, &part.bytes);
        }
        while let Some(sample) = samples.next_if(|sample| sample.series as usize == index) {
            part.bytes.clear();
            part.double_field(1, sample.sample.v);
            part.int64_field(2, sample.sample.t.0);
            series.bytes_field(2, &part.bytes);
        }
        request.bytes_field(1, &series.bytes);
    }
    snap::raw::Encoder::new().compress_vec(&request.bytes).expect("a batch stays far below the 4 GiB of a snappy block")
}
