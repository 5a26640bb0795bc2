//! How a command ends whose exit code is an answer: nothing that goes wrong may end in one that reads as another answer.

use std::io::{self, Write};
use std::process::ExitCode;

/// Says on stderr why it ends with this code.
pub fn said(command: &str, code: u8, what: &str) -> ExitCode {
    note(command, what);
    ExitCode::from(code)
}

/// Says something on stderr.
pub fn note(command: &str, what: &str) {
    // Without stderr there is nowhere left to say it.
    let _ = writeln!(io::stderr(), "sealog {command}: {what}");
}

/// From now on a bug ends the process with this code, whatever the build does about panics. The answer is printed at the
/// very end, so none has been begun. `what`: the first words, which say what is not answered.
#[allow(clippy::disallowed_methods)] // there is no main to return to
pub fn end_with_on_a_bug(command: &'static str, code: u8, what: &'static str) {
    std::panic::set_hook(Box::new(move |bug| {
        said(command, code, &format!("{what}: {bug}"));
        std::process::exit(i32::from(code));
    }));
}

/// All at once, and on its way before the exit code says how it ended.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
