//! Kafka's protocol by hand, as far as one record needs it: rdkafka cannot write what other clients can.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Produces one record without a key to partition 0 and checks that the broker took it.
pub fn produce(broker: &str, topic: &str, headers: &[(&[u8], &[u8])], value: &[u8]) {
    let batch = record_batch(headers, value);
    let mut request = Vec::new();
    // Produce, version 3, correlation id 1, no client id.
    request.extend([0, 0, 0, 3, 0, 0, 0, 1, 0xff, 0xff]);
    // No transaction, all replicas, 10 s.
    request.extend([0xff, 0xff, 0xff, 0xff]);
    request.extend(10_000_u32.to_be_bytes());
    request.extend(1_u32.to_be_bytes());
    request.extend((topic.len() as u16).to_be_bytes());
    request.extend(topic.as_bytes());
    // One partition: 0.
    request.extend(1_u32.to_be_bytes());
    request.extend(0_u32.to_be_bytes());
    request.extend((batch.len() as u32).to_be_bytes());
    request.extend(batch);

    let mut broker = TcpStream::connect(broker).unwrap();
    broker.set_read_timeout(Some(super::PATIENCE)).unwrap();
    broker.write_all(&(request.len() as u32).to_be_bytes()).unwrap();
    broker.write_all(&request).unwrap();
    let mut length = [0; 4];
    broker.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    broker.read_exact(&mut answer).unwrap();
    // Correlation id, one topic and its name, one partition and its number, then the error.
    let error = 4 + 4 + 2 + topic.len() + 4 + 4;
    assert_eq!(&answer[error..error + 2], [0, 0], "the broker refused the record: {answer:?}");
}

/// Version 2, one record.
fn record_batch(headers: &[(&[u8], &[u8])], value: &[u8]) -> Vec<u8> {
    // No attributes, no distance in time and offset, no key.
    let mut record = vec![0, 0, 0, 1];
    put_bytes(&mut record, value);
    put_varint(&mut record, headers.len());
    for (name, value) in headers {
        put_bytes(&mut record, name);
        put_bytes(&mut record, value);
    }
    let mut records = Vec::new();
    put_varint(&mut records, record.len());
    records.extend(record);

    let mut checked = Vec::new();
    // No attributes, last offset 0, times from 1 to 1, no producer id, epoch and sequence; one record.
    checked.extend([0, 0, 0, 0, 0, 0]);
    checked.extend([1_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat());
    checked.extend([0xff; 8 + 2 + 4]);
    checked.extend(1_u32.to_be_bytes());
    checked.extend(records);

    let mut batch = vec![0; 8];
    // The length counts from the leader's epoch on: epoch, version and checksum are 9 bytes.
    batch.extend((checked.len() as u32 + 9).to_be_bytes());
    batch.extend([0xff, 0xff, 0xff, 0xff, 2]);
    batch.extend(crc32c::crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(to, bytes.len());
    to.extend(bytes);
}

/// Zigzag, seven bits a byte.
fn put_varint(to: &mut Vec<u8>, n: usize) {
    let mut rest = n << 1;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}
