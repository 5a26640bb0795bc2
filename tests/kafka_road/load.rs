//! What services send while things die around them: records to raw topics, and requests to gateways, repeated under
//! their Idempotency-Key until they are answered.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use runtime::{Deadline, Stop};
use stream::kafka::{Kafka, Options};
use stream::{Batch, Lane, Log};

use crate::harness::deployment::Deployment;
use crate::harness::process::{Up, post_with_key};

/// A broker that was killed is back by then.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);
const RECORDS: usize = 20;
const ITEMS: usize = 5;

/// Services that send.
pub struct Load<'a> {
    deployment: &'a Deployment,
    partitions: u32,
    gateways: Vec<Gateway>,
    quiet: AtomicBool,
    over: AtomicBool,
}

/// Where one of them sends its requests.
struct Gateway {
    /// Another after each start.
    url: Mutex<String>,
    answered: AtomicUsize,
}

impl<'a> Load<'a> {
    /// To the raw topics, which have so many partitions each, and to these gateways.
    pub fn new<'b>(
        deployment: &'a Deployment,
        partitions: u32,
        gateways: impl IntoIterator<Item = &'b Up>,
    ) -> Load<'a> {
        let gateway = |up: &Up| Gateway { url: Mutex::new(up.url.clone()), answered: AtomicUsize::new(0) };
        Load {
            deployment,
            partitions,
            gateways: gateways.into_iter().map(gateway).collect(),
            quiet: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Sends while `work` goes on. Answers what became of it, and the ids of all that was sent, sorted: each was
    /// acknowledged, once.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        thread::scope(|services| {
            let raw = services.spawn(|| self.send_records());
            let posts: Vec<_> =
                (0..self.gateways.len()).map(|n| services.spawn(move || self.send_requests(n))).collect();
            let done = {
                let _over = Over(&self.over);
                work()
            };
            let mut ids = raw.join().unwrap();
            posts.into_iter().for_each(|sender| ids.extend(sender.join().unwrap()));
            ids.sort();
            (done, ids)
        })
    }

    /// The gateway of this number is somewhere else now.
    pub fn moved(&self, gateway: usize, up: &Up) {
        *self.gateways[gateway].url.lock().unwrap() = up.url.clone();
    }

    /// How many requests that gateway has answered.
    pub fn answered(&self, gateway: usize) -> usize {
        self.gateways[gateway].answered.load(Ordering::SeqCst)
    }

    /// Nothing new is sent until `resume`; what was begun is ended.
    pub fn pause(&self) {
        self.quiet.store(true, Ordering::SeqCst);
    }

    /// Sends again.
    pub fn resume(&self) {
        self.quiet.store(false, Ordering::SeqCst);
    }

    /// Whether there is more to send; waits a little for it.
    fn goes_on(&self) -> bool {
        let over = || self.over.load(Ordering::SeqCst);
        Stop::new().wait(PAUSE);
        while self.quiet.load(Ordering::SeqCst) && !over() {
            Stop::new().wait(PAUSE);
        }
        !over()
    }

    fn send_records(&self) -> Vec<String> {
        let options = Options { patience: PATIENCE, ..Options::new(&self.deployment.broker) };
        let kafka = Kafka::connect(options).unwrap();
        let (mut ids, mut batch) = (Vec::new(), Batch::new());
        let topics =
            (0..self.partitions).flat_map(|n| self.deployment.raw.iter().map(move |topic| (topic, n)));
        for (topic, partition) in topics.collect::<Vec<_>>().into_iter().cycle() {
            if !self.goes_on() {
                break;
            }
            batch.clear(0);
            let lane = batch.lane(&Lane::new(topic, partition));
            for _ in 0..RECORDS {
                let id = format!("raw-{:06}", ids.len());
                batch.push(lane, None, &[], event(&id).as_bytes());
                ids.push(id);
            }
            // An idempotent producer: what it had to repeat is there once.
            kafka.append(&batch).unwrap();
        }
        ids
    }

    fn send_requests(&self, gateway: usize) -> Vec<String> {
        let mut ids = Vec::new();
        while self.goes_on() {
            let items: Vec<String> =
                (0..ITEMS).map(|n| format!("post-{gateway}-{:06}", ids.len() + n)).collect();
            let body: String = items.iter().map(|id| event(id) + "\n").collect();
            self.send_until_answered(gateway, &items[0], &body);
            ids.extend(items);
        }
        ids
    }

    fn send_until_answered(&self, gateway: usize, key: &str, body: &str) {
        let Gateway { url, answered } = &self.gateways[gateway];
        let deadline = Deadline::after(PATIENCE);
        loop {
            let url = url.lock().unwrap().clone();
            match post_with_key(&url, key, body) {
                Some((202, _)) => break,
                None | Some((429 | 503, _)) => {}
                Some(other) => panic!("{key}: {other:?}"),
            }
            assert!(!deadline.passed(), "{key}: no answer of {url}");
            Stop::new().wait(PAUSE);
        }
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn event(id: &str) -> String {
    format!("{{\"id\":\"{id}\",\"action\":\"record.read\",\"actor\":\"somebody\"}}")
}

/// Also when the work panics: the senders end.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
