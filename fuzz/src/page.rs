//! A folder's page as a web server shows it.

use store::http::names_on;

const FOLDER: &str = "/audit/a%20b/";

pub(crate) fn page(bytes: &[u8]) -> bool {
    let Ok(names) = names_on(FOLDER, bytes) else { return false };
    assert!(names.len() <= bytes.len(), "no name without a byte on the page");
    for name in names {
        let is_one_part = !name.is_empty() && !name.contains(['/', '\0']) && name != "." && name != "..";
        assert!(is_one_part, "{name:?} leads out of its folder");
    }
    true
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let nginx = "<html>\n<head><title>Index of /audit/a b/</title></head>\n<body>\n<h1>Index of /audit/a b/</h1><hr><pre>\
        <a href=\"../\">../</a>\n<a href=\"date%3D2026-11-21/\">date=2026-11-21/</a>   21-Nov-2026 09:30       -\n\
        <a href=\"00000000000000000000.avro\">00000000000000000000.avro</a>  21-Nov-2026 09:30    21923\n</pre><hr></body>\n</html>\n";
    let json = r#"[{"name":"keys","type":"directory","mtime":"Sat, 21 Nov 2026 09:30:00 GMT"},
        {"name":"checkpoint","type":"file","mtime":"Sat, 21 Nov 2026 09:30:00 GMT","size":200},{"name":"s","type":"other"}]"#;
    let apache = "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 3.2 Final//EN\">\n<html>\n <head>\n  <title>Index of /audit/a b</title>\n \
        </head>\n <body>\n<pre><img src=\"/icons/blank.gif\" alt=\"Icon \"> <a href=\"?C=N;O=D\">Name</a>\n\
        <img src=\"/icons/back.gif\"> <a href=\"/audit/\">Parent Directory</a>   -\n\
        <img src=\"/icons/folder.gif\"> <a href=\"./a:b/\">a:b/</a>   2026-11-21 09:30    -\n\
        <a href='/audit/a%20b/%C3%A9&amp;&#x62;'>x</a> 2026-11-21 09:30   21K\n</pre>\n</body></html>\n";
    let python = "<!DOCTYPE HTML>\n<html lang=\"en\">\n<head>\n<title>Directory listing for /</title>\n</head>\n<body>\n<ul>\n\
        <li><a href=\"%C3%A9%26%22/\">é&amp;&quot;/</a></li>\n<li><a href=\"a%2Fb\">a/b</a></li>\n<li><a href=\"%ff%00\">?</a></li>\n\
        </ul>\n</body>\n</html>\n";
    [nginx, json, apache, python].map(|page| page.as_bytes().to_vec()).to_vec()
}
