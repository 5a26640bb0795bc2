//! Prints how fast the core is: `cargo run --release -p ingestor --example normalize`.

fn main() {
    for _ in 0..3 {
        let measured = ingestor::bench::normalize(&runtime::SystemClock, 1_000_000);
        println!("{:.0} events/s of 600 B: {measured:?}", measured.events_per_second());
    }
}
