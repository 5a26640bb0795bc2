//! What this machine is called.

use rustix::system::uname;

/// The host's name; `sealog` where it has none.
pub fn host_name() -> String {
    let name = uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "sealog".to_owned() } else { name }
}
