//! What is sent: realistic events of one size, in bulk and one by one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use runtime::{Clock, Stop, SystemClock};

use crate::http::Connection;
use crate::server::Server;

/// The size of an event's JSON.
pub const EVENT_BYTES: usize = 600;

pub struct Bulk {
    pub acknowledged: f64,
    pub archived: f64,
}

pub struct Singles {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub slowest_ms: f64,
}

/// An event such as a shop's account service sends, of exactly `EVENT_BYTES`.
pub fn event(n: u64) -> String {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut event = format!(
        "{{\"id\":\"{mixed:016x}-{n:08x}\",\"action\":\"account.{}\",\"actor\":{{\"id\":\"user-{}\",\"type\":\"user\"}},\
         \"target\":{{\"id\":\"order-{mixed}\",\"type\":\"order\"}},\"outcome\":\"{}\",\"time\":\"2026-11-21T09:{:02}:{:02}.{:03}Z\",\
         \"service\":\"accounts\",\"host\":\"accounts-{}\",\"region\":\"eu-west-1\",\"ip\":\"10.{}.{}.{}\",\
         \"trace_id\":\"{mixed:016x}{:016x}\",\"amount\":{},\"currency\":\"EUR\",\"session\":\"{:016x}\",\"note\":\"",
        ["login", "update", "delete", "export"][(mixed >> 3) as usize % 4],
        mixed % 50_000,
        if mixed.is_multiple_of(17) { "failure" } else { "success" },
        mixed % 60,
        (mixed >> 8) % 60,
        mixed % 1_000,
        mixed % 12,
        mixed % 256,
        (mixed >> 8) % 256,
        (mixed >> 16) % 256,
        mixed.rotate_left(17),
        mixed % 100_000,
        mixed.rotate_left(31),
    );
    let words = ["changed", "by", "request", "of", "the", "owner", "after", "review", "support", "ticket"];
    let mut word = mixed;
    while event.len() < EVENT_BYTES - 2 {
        event.push_str(words[(word >> 60) as usize % words.len()]);
        event.push(' ');
        word = word.rotate_left(5).wrapping_add(n);
    }
    event.truncate(EVENT_BYTES - 2);
    event + "\"}"
}

fn seconds_since(start_us: i64) -> f64 {
    (SystemClock.boot().0 - start_us) as f64 / 1e6
}

/// Sends `events` in requests of `batch` and waits until all are archived.
pub fn bulk(server: &Server, events: u64, batch: u64, senders: usize) -> Result<Bulk> {
    // Bodies are made before the clock starts: a sender's own work is not what is measured.
    let bodies: Vec<Vec<u8>> = (0..events.div_ceil(batch))
        .map(|b| {
            (b * batch..((b + 1) * batch).min(events)).flat_map(|n| (event(n) + "\n").into_bytes()).collect()
        })
        .collect();
    let archived_before = server.metric("sealog_archiver_archived_size")?;
    let next = AtomicU64::new(0);
    let start = SystemClock.boot().0;
    thread::scope(|scope| -> Result<()> {
        let sending: Vec<_> = (0..senders)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut connection = Connection::open(&server.host)?;
                    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                        let pause = Stop::new();
                        loop {
                            match connection.post("application/x-ndjson", body)? {
                                202 => break,
                                429 | 503 => drop(pause.wait(Duration::from_millis(50))),
                                other => anyhow::bail!("the gateway answered {other}"),
                            }
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        sending
            .into_iter()
            .try_for_each(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))?)
    })?;
    let acknowledged = events as f64 / seconds_since(start);
    let pause = Stop::new();
    while server.metric("sealog_archiver_archived_size")? < archived_before + events as f64 {
        ensure!(seconds_since(start) < 300.0, "not archived within five minutes");
        pause.wait(Duration::from_millis(20));
    }
    Ok(Bulk { acknowledged, archived: events as f64 / seconds_since(start) })
}

/// Sends `count` requests of one event each over `connections`.
pub fn singles(server: &Server, count: u64, connections: usize) -> Result<Singles> {
    let next = AtomicU64::new(0);
    let start = SystemClock.boot().0;
    let mut times_us: Vec<i64> = thread::scope(|scope| -> Result<Vec<i64>> {
        let sending: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> Result<Vec<i64>> {
                    let (mut connection, mut times) = (Connection::open(&server.host)?, Vec::new());
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= count {
                            return Ok(times);
                        }
                        let body = event((1 << 40) + n);
                        let sent = SystemClock.boot().0;
                        let status = connection.post("application/json", body.as_bytes())?;
                        ensure!(status == 202, "the gateway answered {status}");
                        times.push(SystemClock.boot().0 - sent);
                    }
                })
            })
            .collect();
        let mut all = Vec::new();
        for sender in sending {
            all.extend(sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))??);
        }
        Ok(all)
    })?;
    let per_second = count as f64 / seconds_since(start);
    times_us.sort_unstable();
    let at =
        |part: f64| times_us.get((times_us.len() as f64 * part) as usize).map_or(0.0, |us| *us as f64 / 1e3);
    let slowest_ms = times_us.last().map_or(0.0, |us| *us as f64 / 1e3);
    Ok(Singles { per_second, p50_ms: at(0.5), p99_ms: at(0.99), slowest_ms })
}
