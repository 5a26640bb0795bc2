//! Pages: beside the events, and on a listener of their own.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ingestor::gateway::{Gateway, GatewayConfig, Page, Pages, PagesServer};
use prometheus::Registry;
use runtime::{Stop, SystemClock};

use crate::client::{Answer, connect};
use crate::site::{Gated, until};

/// Says back what it was asked for; what begins with `/held` once it is let go.
#[derive(Default)]
struct Echo {
    at_work: AtomicUsize,
    most_at_work: AtomicUsize,
    let_go: (Mutex<bool>, Condvar),
}

impl Echo {
    fn let_go(&self) {
        *self.let_go.0.lock().unwrap() = true;
        self.let_go.1.notify_all();
    }
}

impl Pages for Echo {
    fn page(&self, path: &str) -> Page {
        let now = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_work.fetch_max(now, Ordering::SeqCst);
        if path.starts_with("/held") {
            let free = self.let_go.0.lock().unwrap();
            drop(self.let_go.1.wait_while(free, |free| !*free).unwrap());
        }
        self.at_work.fetch_sub(1, Ordering::SeqCst);
        match path {
            "/gone" => Page::Missing,
            "/away" => Page::Away("the disk is away".to_owned()),
            "/bug" => panic!("a bug"),
            _ => Page::Found { kind: "text/plain", cache: "no-cache", body: path.as_bytes().to_vec() },
        }
    }
}

/// Serves pages on a listener of their own while `ask` asks.
fn served(pages: &Arc<Echo>, ask: impl FnOnce(std::net::SocketAddr)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), Stop::new());
    let (server, stop_it) = (PagesServer { pages: pages.clone() }, stop.clone());
    let serving = std::thread::spawn(move || server.serve(listener, &stop_it));
    ask(address);
    stop.set();
    serving.join().unwrap().unwrap();
}

fn get(address: std::net::SocketAddr, path: &str) -> Answer {
    connect(address).ask(&format!("GET {path}"), &[], b"")
}

#[test]
fn a_page_comes_as_it_was_made() {
    let pages = Arc::new(Echo::default());
    served(&pages, |address| {
        for path in ["/", "/a/b", "/a/../b", "/a%2fb", "//"] {
            let answer = get(address, path);
            assert_eq!((answer.status, answer.body.as_slice()), (200, path.as_bytes()), "{path}");
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
            assert_eq!(answer.header("content-type"), Some("text/plain"));
        }
        assert_eq!(get(address, "/a?b=c").body, b"/a", "what stands behind a question mark is not looked at");
        assert_eq!(get(address, "/gone").status, 404);
        let away = get(address, "/away");
        assert_eq!((away.status, away.header("cache-control")), (503, Some("no-store")));
        assert!(away.json()["error"].as_str().unwrap().contains("the disk is away"), "{away:?}");
        assert!(away.header("retry-after").is_some());
        assert_eq!(get(address, "/bug").status, 503, "and the server lives on");
        assert_eq!(get(address, &format!("/{}", "x".repeat(600))).status, 404);
    });
}

#[test]
fn pages_are_only_read() {
    let pages = Arc::new(Echo::default());
    served(&pages, |address| {
        for verb in ["POST", "PUT", "DELETE", "PATCH"] {
            let answer = connect(address).ask(&format!("{verb} /a"), &[], b"x");
            assert_eq!(answer.status, 405, "{verb}");
        }
    });
}

#[test]
fn only_so_many_pages_are_made_at_once_and_those_that_wait_are_answered_too() {
    let pages = Arc::new(Echo::default());
    served(&pages, |address| {
        let asking: Vec<_> =
            (0..12).map(|n| std::thread::spawn(move || get(address, &format!("/held/{n}")).status)).collect();
        until("four are at work", || pages.at_work.load(Ordering::SeqCst) == 4);
        pages.let_go();
        assert!(asking.into_iter().all(|asked| asked.join().unwrap() == 200));
        assert_eq!(pages.most_at_work.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn a_gateway_shows_them_below_its_prefix_and_its_own_paths_stay() {
    let registry = Registry::new();
    let stream = Arc::new(Gated::new(1));
    let gateway = Gateway::new(GatewayConfig::new(1), stream, Arc::new(SystemClock), &registry).unwrap();
    let gateway = gateway.with_pages("/tlog", Arc::new(Echo::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), Stop::new());
    let stop_it = stop.clone();
    let serving = std::thread::spawn(move || gateway.serve(listener, &stop_it));
    assert_eq!(get(address, "/tlog/").body, b"/");
    assert_eq!(get(address, "/tlog/a/0/checkpoint").body, b"/a/0/checkpoint");
    assert_eq!(get(address, "/healthz").status, 200);
    assert_eq!(get(address, "/elsewhere").status, 404);
    stop.set();
    serving.join().unwrap().unwrap();
}
