//! A folder's page as web servers write it: which names it shows.

use schemas::Micros;
use serde::Deserialize;

use super::date;
use crate::directory::spell;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Without the slash at a folder's end.
    pub(super) name: String,
    pub(super) what: What,
    /// 0 where the page does not say it.
    pub(super) size_bytes: u64,
    pub(super) modified: Micros,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    /// It cannot be part of a key.
    Odd,
}

/// No link of a name is longer: a page that somebody made up must not take for ever.
const MAX_TAG_BYTES: usize = 4_096;

/// No page is read that shows more.
const MAX_NAMES: usize = 1_000_000;

/// How the pages begin that are known to list a folder.
const TITLES: [&str; 2] = ["index of ", "directory listing for "];

/// The names on a page. `folder`: the folder's path in the URL, with a slash at its end. Err: why it lists nothing.
pub(super) fn parse(folder: &str, page: &[u8]) -> Result<Vec<Found>, String> {
    let text = String::from_utf8_lossy(page);
    match text.trim_start().starts_with('[') {
        true => json(&text),
        false => html(folder, &text),
    }
}

/// A line of nginx's `autoindex_format json`.
#[derive(Deserialize)]
struct Line {
    name: String,
    r#type: String,
    #[serde(default)]
    mtime: String,
    #[serde(default)]
    size: u64,
}

fn json(text: &str) -> Result<Vec<Found>, String> {
    // Before they are made: a line in memory is many times as large as on the page.
    if text.matches('{').count() > MAX_NAMES {
        return Err(too_many());
    }
    let lines: Vec<Line> = serde_json::from_str(text)
        .map_err(|error| format!("its page is not the JSON of nginx's autoindex: {error}"))?;
    let found = |line: Line| {
        let what = match line.r#type.as_str() {
            "directory" => What::Folder,
            "file" => What::File,
            _ => What::Odd,
        };
        let modified = date::parse(&line.mtime).unwrap_or_default();
        let (name, what) = named(line.name.into_bytes(), what);
        Found { name, what, size_bytes: line.size, modified }
    };
    Ok(lines.into_iter().map(found).collect())
}

fn html(folder: &str, text: &str) -> Result<Vec<Found>, String> {
    let lower = text.to_ascii_lowercase();
    let title = lower.split_once("<title>").map_or("", |(_, rest)| rest.trim_start());
    if !TITLES.iter().any(|begin| title.starts_with(begin)) {
        return Err(
            "its page does not list it: take away what is shown instead, and let nginx (autoindex), Apache \
                    (Options +Indexes) or Python (http.server) list it"
                .to_owned(),
        );
    }
    if !lower.trim_end().ends_with("</html>") {
        return Err("its page has no end".to_owned());
    }
    if lower.matches("<a ").count() > MAX_NAMES {
        return Err(too_many());
    }
    let mut found = Vec::new();
    for (at, _) in lower.match_indices("<a ") {
        let tag = beginning(&text[at + 2..], MAX_TAG_BYTES);
        let Some(end) = tag.find('>') else { continue };
        let Some(link) = href(&tag[..end]) else { continue };
        let behind = beginning(&text[at + 2 + end..], MAX_TAG_BYTES).split('\n').next().unwrap_or_default();
        let said = behind.split_once("</a>").map_or("", |(_, said)| said);
        if let Some((name, what)) = inside(folder, &unescaped(link)) {
            found.push(Found { name, what, size_bytes: nginx_size(said), modified: Micros(0) });
        }
    }
    Ok(found)
}

fn too_many() -> String {
    format!("its page shows more than {MAX_NAMES} names: no folder of an archive holds so many")
}

/// At most so many bytes of a text, in whole characters.
fn beginning(text: &str, max_bytes: usize) -> &str {
    let end = (0..=max_bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// What stands behind `href=` in a tag.
fn href(tag: &str) -> Option<&str> {
    let at = tag.to_ascii_lowercase().find("href=")?;
    let value = &tag[at + "href=".len()..];
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// The name that a link leads to, if it is one in this folder.
fn inside(folder: &str, link: &str) -> Option<(String, What)> {
    let path = link.split(['?', '#']).next().unwrap_or_default();
    let name = match path.strip_prefix('/') {
        // From the site's root; another site begins with two.
        Some(_) => path.strip_prefix(folder)?,
        None => path.strip_prefix("./").unwrap_or(path),
    };
    let (name, what) = match name.strip_suffix('/') {
        Some(name) => (name, What::Folder),
        None => (name, What::File),
    };
    let has_scheme = name.find(':').is_some_and(|at| !path.starts_with("./") && !name[..at].contains('%'));
    if name.is_empty() || name.contains('/') || matches!(name, "." | "..") || (has_scheme && is_scheme(name))
    {
        return None;
    }
    let (decoded, what) = named(decoded(name), what);
    // What would change the path that it stands in is shown as it is written.
    match what == What::Odd && decoded.contains('/') || matches!(decoded.as_str(), "." | "..") {
        true => Some((name.to_owned(), What::Odd)),
        false => Some((decoded, what)),
    }
}

/// Whether it begins as another site's address or as `mailto:` and its like do.
fn is_scheme(link: &str) -> bool {
    link.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c))
    })
}

/// A name as it is shown, and whether it can be part of a key.
fn named(name: Vec<u8>, what: What) -> (String, What) {
    match String::from_utf8(name) {
        Ok(name) if name.contains(['/', '\0']) || matches!(name.as_str(), "" | "." | "..") => {
            (name, What::Odd)
        }
        Ok(name) => (name, what),
        Err(error) => {
            let mut shown = String::new();
            spell(error.as_bytes(), &mut shown);
            (shown, What::Odd)
        }
    }
}

/// A name from its form in a URL.
fn decoded(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    loop {
        rest = match rest {
            [] => return bytes,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                rest
            }
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

fn digit(hex: u8) -> u8 {
    char::from(hex).to_digit(16).unwrap_or_default() as u8
}

/// `&#x10ffff;` is the longest way to write a character.
const MAX_ESCAPE_BYTES: usize = 10;

/// HTML's ways to write a character, as far as links need them.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = beginning(rest, MAX_ESCAPE_BYTES).split_once(';').map(|(name, _)| name);
        let escape = name.and_then(|name| Some((character(&name[1..])?, &rest[name.len() + 1..])));
        match escape {
            Some((character, behind)) => {
                out.push(character);
                rest = behind;
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// The size on a line of nginx: `21-Nov-2026 09:30    4096`. Apache rounds its sizes, and writes another date.
fn nginx_size(said: &str) -> u64 {
    match said.split_whitespace().collect::<Vec<_>>().as_slice() {
        [date, _, size] if date.split('-').nth(1).is_some_and(|month| month.len() == 3) => {
            size.parse().unwrap_or_default()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(page: &str) -> Vec<(String, What)> {
        let found = parse("/audit/a%20b/", page.as_bytes()).unwrap();
        found.into_iter().map(|found| (found.name, found.what)).collect()
    }

    fn page(lines: &str) -> String {
        format!(
            "<html>\n<head><title>Index of /audit/</title></head>\n<body><pre>{lines}</pre></body>\n</html>\n"
        )
    }

    fn file(name: &str) -> (String, What) {
        (name.to_owned(), What::File)
    }

    fn folder(name: &str) -> (String, What) {
        (name.to_owned(), What::Folder)
    }

    #[test]
    fn nginx_is_read_with_sizes() {
        let page = page(
            "<a href=\"../\">../</a>\n\
             <a href=\"date%3D2026-11-21/\">date=2026-11-21/</a>             21-Nov-2026 09:30       -\n\
             <a href=\"00000000000000000000.avro\">00000000000000000000.avro</a>  21-Nov-2026 09:30    21923\n",
        );
        assert_eq!(names(&page), [folder("date=2026-11-21"), file("00000000000000000000.avro")]);
        assert_eq!(parse("/", page.as_bytes()).unwrap()[1].size_bytes, 21_923);
    }

    #[test]
    fn nginx_is_read_as_json() {
        let page = r#"[
            {"name":"keys","type":"directory","mtime":"Sat, 21 Nov 2026 09:30:00 GMT"},
            {"name":"checkpoint","type":"file","mtime":"Sat, 21 Nov 2026 09:30:00 GMT","size":200},
            {"name":"socket","type":"other","mtime":""}
        ]"#;
        let found = parse("/", page.as_bytes()).unwrap();
        assert_eq!(
            found.iter().map(|found| found.what).collect::<Vec<_>>(),
            [What::Folder, What::File, What::Odd]
        );
        assert_eq!((found[1].size_bytes, found[1].modified), (200, Micros(1_795_253_400_000_000)));
        assert!(parse("/", b"[{]").is_err());
    }

    #[test]
    fn apache_is_read_without_what_sorts_and_leads_up() {
        let page = page(
            "<img src=\"/icons/blank.gif\" alt=\"Icon \"> <a href=\"?C=N;O=D\">Name</a> <a href=\"?C=M;O=A\">Last modified</a>\n\
             <img src=\"/icons/back.gif\"> <a href=\"/audit/\">Parent Directory</a>                       -\n\
             <img src=\"/icons/folder.gif\"> <a href=\"date=2026-11-21/\">date=2026-11-21/</a>   2026-11-21 09:30    -\n\
             <img src=\"/icons/unknown.gif\"> <a href=\"./a:b\">a:b</a>   2026-11-21 09:30   21K  of 21\n\
             <address>Apache at <a href=\"mailto:admin@acme.example\">us</a> <a href='https://acme.example/x'>x</a></address>\n",
        );
        assert_eq!(names(&page), [folder("date=2026-11-21"), file("a:b")]);
        assert_eq!(parse("/", page.as_bytes()).unwrap().last().unwrap().size_bytes, 0);
    }

    #[test]
    fn python_is_read() {
        let page = "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<title>Directory listing for /</title>\n</head>\n<body>\n\
                    <ul>\n<li><a href=\"%C3%A9%26%22/\">é&amp;&quot;/</a></li>\n<li><a href=\"a&amp;b%25\">a&amp;b%</a></li>\n\
                    </ul>\n</body>\n</html>\n";
        assert_eq!(names(page), [folder("é&\""), file("a&b%")]);
    }

    #[test]
    fn only_names_in_the_folder_are_taken() {
        let link = |href: &str| names(&page(&format!("<A HREF='{href}'>x</A>"))).pop();
        assert_eq!(link("/audit/a%20b/c"), Some(file("c")));
        assert_eq!(link("c?x#y"), Some(file("c")));
        assert_eq!(link("a%3Ab"), Some(file("a:b")));
        for out in [
            "",
            "/",
            "//elsewhere/c",
            "/audit/",
            "/audit/c",
            "/audit/a%20b/",
            "/audit/a%20b/c/d",
            "c/d",
            "../c",
            "..",
            "./",
            "https://elsewhere/c",
            "javascript:x",
            "#top",
        ] {
            assert_eq!(link(out), None, "{out}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_part_of_a_key_is_shown_and_not_followed() {
        let link = |href: &str| names(&page(&format!("<a href=\"{href}\">x</a>"))).pop();
        let odd = |name: &str| Some((name.to_owned(), What::Odd));
        assert_eq!(link("a%2Fb"), odd("a%2Fb"));
        assert_eq!(link("%2e%2e/"), odd("%2e%2e"));
        assert_eq!(link("%ff"), odd("\u{fffd}ff"));
        assert_eq!(link("a%00"), odd("a\0"));
    }

    #[test]
    fn a_page_that_was_made_up_to_take_long_does_not() {
        for part in ["<a ", "<a href=\"&", "<a href=\"x\">", "&", "<a href=\"é", "<a href='&#x110000;'>"] {
            let made_up = page(&part.repeat((1 << 20) / part.len()));
            assert!(parse("/", made_up.as_bytes()).unwrap().len() <= 1 << 20, "{part}");
        }
    }

    #[test]
    fn what_does_not_list_a_folder_is_refused() {
        for page in [
            "",
            "<html><title>Welcome</title><a href=\"a\">a</a></html>",
            "<html><title>Index of /</title><a href=\"a\">a</a>",
            "a\nb\n",
        ] {
            assert!(parse("/", page.as_bytes()).is_err(), "{page}");
        }
        assert_eq!(names(&page("")), []);
    }
}
