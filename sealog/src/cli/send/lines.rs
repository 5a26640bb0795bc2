//! Lines in batches. A file's batches are the same every time; standard input's are sent as soon as nothing more comes.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

/// A batch is full with so many bytes, too.
const BATCH_BYTES: usize = 4 << 20;
/// How long standard input may be silent before what has come is sent.
const SILENCE: Duration = Duration::from_millis(100);
/// Lines read ahead.
const AHEAD: usize = 1_000;

/// One line that says something.
pub struct Line {
    /// Which, from 1, empty ones counted.
    pub number: u64,
    /// Without its end.
    pub bytes: Vec<u8>,
}

/// The batches of one input, read by a thread of its own.
pub struct Batches {
    lines: Receiver<io::Result<Line>>,
    most: usize,
    /// Whether a batch may end before it is full.
    flows: bool,
    /// What came in place of a line while a batch was gathered.
    failed: Option<io::Error>,
}

impl Batches {
    /// Of up to `most` lines.
    pub fn read(input: impl Read + Send + 'static, most: usize, flows: bool) -> Batches {
        let (put, lines) = sync_channel(AHEAD);
        thread::spawn(move || {
            let mut input = BufReader::with_capacity(1 << 18, input);
            for number in 1.. {
                let mut bytes = Vec::new();
                let sent = match input.read_until(b'\n', &mut bytes) {
                    Ok(0) => return,
                    Ok(_) => {
                        while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                            bytes.pop();
                        }
                        if bytes.trim_ascii().is_empty() {
                            continue;
                        }
                        put.send(Ok(Line { number, bytes }))
                    }
                    Err(error) => {
                        let _ = put.send(Err(error));
                        return;
                    }
                };
                if sent.is_err() {
                    return;
                }
            }
        });
        Batches { lines, most, flows, failed: None }
    }

    fn next_line(&self, first: bool) -> Option<io::Result<Line>> {
        if first || !self.flows {
            return self.lines.recv().ok();
        }
        self.lines.recv_timeout(SILENCE).ok()
    }
}

impl Iterator for Batches {
    type Item = io::Result<Vec<Line>>;

    fn next(&mut self) -> Option<io::Result<Vec<Line>>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < self.most && bytes < BATCH_BYTES {
            match self.next_line(batch.is_empty()) {
                Some(Ok(line)) => {
                    bytes += line.bytes.len();
                    batch.push(line);
                }
                Some(Err(error)) if batch.is_empty() => return Some(Err(error)),
                Some(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
                None => break,
            }
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }
}
