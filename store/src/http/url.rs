//! URLs: which are taken, and how keys stand in them.

use std::fmt::Write;
use std::net::IpAddr;

/// A key as it stands in a URL.
pub(super) fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'=' => {
                text.push(char::from(byte));
            }
            _ => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

/// A URL as its site and its path.
pub(super) fn split(url: &str) -> Result<(String, String), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || url.contains(|c: char| c.is_whitespace() || c.is_control() || "?#\\".contains(c)) {
        return Err("give the archive's folder as https://host/path, and nothing behind it".to_owned());
    }
    if host.contains('@') {
        return Err(
            "a URL with a name or a password in it ends up where others read it: leave them out".to_owned()
        );
    }
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("the path has a part `.` or `..`".to_owned());
    }
    match scheme {
        "https" => {}
        "http" if is_loopback(host) => {}
        "http" => {
            return Err(
                "over http:// anybody on the way can hide what is there: use https://, or copy the archive"
                    .to_owned(),
            );
        }
        _ => return Err("the URL of a web server begins with https://".to_owned()),
    }
    let root = match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        path => format!("/{path}/"),
    };
    Ok((format!("{scheme}://{host}"), root))
}

/// Whether host and port are on this machine.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_only_if_what_comes_from_it_can_be_believed() {
        let split = |url| split(url).map_err(drop);
        let some = |site: &str, root: &str| Ok((site.to_owned(), root.to_owned()));
        assert_eq!(split("https://acme.example/audit/copy/"), some("https://acme.example", "/audit/copy/"));
        assert_eq!(split("https://acme.example:8443"), some("https://acme.example:8443", "/"));
        assert_eq!(split("http://127.0.0.1:80/a%20b"), some("http://127.0.0.1:80", "/a%20b/"));
        assert_eq!(split("http://[::1]:80/"), some("http://[::1]:80", "/"));
        for bad in [
            "http://acme.example/",
            "http://127.0.0.1.acme.example/",
            "ftp://acme.example/",
            "https://",
            "https:///audit",
            "https://acme.example/?x",
            "https://acme.example/#x",
            "https://acme.example/a b",
            "https://me:secret@acme.example/",
            "https://acme.example/a/../b",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_stands_in_a_url_so_that_no_server_reads_it_otherwise() {
        assert_eq!(encoded("a/date=2026-11-21/00.avro"), "a/date=2026-11-21/00.avro");
        assert_eq!(encoded("é +%?#"), "%C3%A9%20%2B%25%3F%23");
    }
}
