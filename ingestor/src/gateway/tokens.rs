//! Bearer tokens: a file says which producer each stands for. Tokens are kept as digests and never shown.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use schemas::Hash;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::normalize::ANONYMOUS;
use schemas::own_act::SEALOG;

/// A token may not be shorter: what can be guessed protects nothing.
pub const MIN_TOKEN_CHARS: usize = 16;
const MAX_PRODUCER_CHARS: usize = 200;

/// Who may send, and as whom.
pub struct Tokens(Vec<(Hash, String)>);

/// Why a token file cannot be used. No message holds anything of a token.
#[derive(Debug, Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("cannot read the token file {path}: {source}")]
    Unread {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("everyone can read the token file {0}: take that right away (chmod o= {0})")]
    Exposed(String),
    /// A line is not what it should be.
    #[error("line {line} of the token file: {what}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// It names nobody.
    #[error("the token file has no token: write `<token> <producer>` a line")]
    Empty,
}

impl Tokens {
    /// Reads a file of lines `<token> <producer>`; empty lines and those that start with # are nothing.
    pub fn load(path: &Path) -> Result<Tokens, TokensError> {
        let unread = |source| TokensError::Unread { path: path.display().to_string(), source };
        let mode = fs::metadata(path).map_err(unread)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(TokensError::Exposed(path.display().to_string()));
        }
        Tokens::parse(&fs::read_to_string(path).map_err(unread)?)
    }

    /// Reads the text of such a file.
    pub fn parse(text: &str) -> Result<Tokens, TokensError> {
        let mut tokens: Vec<(Hash, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line_error = |what: &str| TokensError::Line { line: index + 1, what: what.to_owned() };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (token, producer) = line
                .split_once(char::is_whitespace)
                .ok_or_else(|| line_error("no producer behind the token"))?;
            let producer = producer.trim();
            if token.len() < MIN_TOKEN_CHARS || !token.bytes().all(|b| b.is_ascii_graphic()) {
                let what = format!("a token is at least {MIN_TOKEN_CHARS} visible ASCII characters");
                return Err(line_error(&what));
            }
            check_producer(producer).map_err(|what| line_error(&what))?;
            let digest = Hash::of(&[token.as_bytes()]);
            if tokens.iter().any(|(known, _)| *known == digest) {
                return Err(line_error("the token stands twice"));
            }
            tokens.push((digest, producer.to_owned()));
        }
        if tokens.is_empty() { Err(TokensError::Empty) } else { Ok(Tokens(tokens)) }
    }

    /// The producer that a token stands for. Takes the same time for every token, known or not.
    pub fn producer_of(&self, token: &[u8]) -> Option<&str> {
        let digest = Hash::of(&[token]);
        let mut found = None;
        for (known, producer) in &self.0 {
            if bool::from(known.0.ct_eq(&digest.0)) {
                found = Some(producer.as_str());
            }
        }
        found
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({} of them)", self.0.len())
    }
}

/// A producer's name goes into every event and decides the chain. Colons are for transports.
fn check_producer(name: &str) -> Result<(), String> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'/' | b'@');
    if name.is_empty() || name.len() > MAX_PRODUCER_CHARS || !name.bytes().all(fits) {
        // The name is not repeated: where the columns are swapped it is the token.
        return Err(format!(
            "what follows the token cannot name a producer: letters, digits and . _ - / @, {MAX_PRODUCER_CHARS} at most"
        ));
    }
    if [ANONYMOUS, SEALOG].contains(&name) {
        return Err(format!("no token can make a producer {name}: choose another name"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    #[test]
    fn a_token_stands_for_its_producer() {
        let text = format!("# comment\n\n{TOKEN} billing\n  {TOKEN}2\tiam/eu  \n");
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.producer_of(TOKEN.as_bytes()), Some("billing"));
        assert_eq!(tokens.producer_of(format!("{TOKEN}2").as_bytes()), Some("iam/eu"));
        for unknown in ["", "0123456789abcde", "0123456789abcdef ", "billing"] {
            assert_eq!(tokens.producer_of(unknown.as_bytes()), None);
        }
        assert_eq!(format!("{tokens:?}"), "Tokens(2 of them)");
    }

    #[test]
    fn a_bad_line_is_named_without_its_token() {
        for (text, line) in [
            (TOKEN.to_owned(), 1),
            (format!("#\n{TOKEN} sealog"), 2),
            (format!("{TOKEN} anonymous"), 1),
            (format!("{TOKEN} a:b"), 1),
            ("short billing".to_owned(), 1),
            (format!("{TOKEN} a\n{TOKEN} b"), 2),
        ] {
            let error = Tokens::parse(&text).unwrap_err();
            assert!(matches!(error, TokensError::Line { line: l, .. } if l == line), "{error}");
            assert!(!error.to_string().contains(TOKEN) && !error.to_string().contains("short"));
        }
        assert!(matches!(Tokens::parse("# none\n"), Err(TokensError::Empty)));
    }

    #[test]
    fn a_file_that_everyone_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        fs::write(&path, format!("{TOKEN} billing\n")).unwrap();
        for (mode, fine) in [(0o600, true), (0o640, true), (0o644, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Tokens::load(&path).is_ok(), fine, "{mode:o}");
        }
        assert!(matches!(Tokens::load(&dir.path().join("none")), Err(TokensError::Unread { .. })));
    }
}
