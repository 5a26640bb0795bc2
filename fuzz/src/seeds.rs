//! The seeds as files, from which a run begins.

use std::path::Path;
use std::{fs, io};

use crate::TARGETS;

/// Writes each target's seeds below a folder, as `NAME/N`. What a run needs to know of each target comes back, a line
/// each: its name, its part of the time, and how long an input may be.
pub fn write_seeds(folder: &Path) -> io::Result<String> {
    let mut lines = String::new();
    for target in TARGETS {
        let own = folder.join(target.name);
        fs::create_dir_all(&own)?;
        for (n, seed) in (target.seeds)().iter().enumerate() {
            fs::write(own.join(n.to_string()), seed)?;
        }
        lines += &format!("{} {} {}\n", target.name, target.weight, target.max_input_bytes);
    }
    Ok(lines)
}
