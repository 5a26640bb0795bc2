//! Makes the golden files of v1, once. Run it by hand: `cargo run -p schemas --example make_golden`. It refuses to
//! touch a file that is there: what has been written under a version is never written differently again.

use std::fs::File;
use std::io::Write;
use std::path::Path;

#[path = "../tests/support/golden.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests use the rest of it")]
mod golden;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/v1");
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in golden::files() {
        let path = folder.join(name);
        match File::create_new(&path).and_then(|mut file| file.write_all(&bytes)) {
            Ok(()) => println!("{name}: {} bytes", bytes.len()),
            Err(error) => {
                eprintln!(
                    "{}: {error}. Golden files are made once: remove it only if v1 may still change.",
                    path.display()
                );
                return Err(error);
            }
        }
    }
    Ok(())
}
