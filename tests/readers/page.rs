//! docs/READING.md: its blocks are run as they stand there, before an archive where it has one.

use std::fs;
use std::iter;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::archive::Archive;
use super::{Readers, lines, root, run};

/// The blocks of a page that are marked as of this language, in order.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn what_the_page_on_reading_shows_does_what_it_says() {
    let Some(readers) = Readers::find() else { return };
    let archive = Archive::new();
    let page = fs::read_to_string(root().join("docs/READING.md")).unwrap();
    let here = archive.folder.path();
    symlink(root().join("docs").canonicalize().unwrap(), here.join("docs")).unwrap();
    let events = archive.shown(0).len();

    let python = |script: &str| {
        let mut command = Command::new(&readers.python);
        command.args(["-c", script]).current_dir(here);
        run(command, script)
    };
    let shell = |script: &str| {
        let beside = Path::new(&readers.python).parent().unwrap().display();
        let given = format!(
            "set -euo pipefail; PATH={beside}:$PATH\n\
             avro-tools() {{ java -XX:TieredStopAtLevel=1 -jar {} \"$@\" 2>/dev/null; }}\n",
            readers.avro_tools
        );
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{given}{script}")]).current_dir(here);
        run(command, script)
    };

    let [avro_tools, athena] = blocks(&page, "sh")[..] else { panic!("two blocks for the shell") };
    let [fastavro, polars] = blocks(&page, "python")[..] else { panic!("two blocks for Python") };
    let by_avro_tools = shell(avro_tools);
    assert_eq!(by_avro_tools.lines().next().unwrap().trim(), events.to_string());
    assert!(by_avro_tools.contains("sealog.checkpoint"), "{by_avro_tools}");
    assert_eq!(fs::read_to_string(here.join("events.jsonl")).unwrap().split_terminator('\n').count(), events);
    let schema: Value = serde_json::from_str(&fs::read_to_string(here.join("sealed.avsc")).unwrap()).unwrap();
    assert_eq!(schema["name"], "SealedEvent");
    let by_fastavro = python(fastavro);
    assert!(by_fastavro.contains(&format!(": {events}}}")), "{by_fastavro}");
    let by_polars = python(polars);
    assert!(by_polars.contains("user.login") && by_polars.contains("\n0 breaks"), "{by_polars}");

    let queries = json!(blocks(&page, "sql"));
    let script = format!(
        "import duckdb, json\nfor query in json.loads({:?}):\n    answer = duckdb.sql(query)\n    \
         print(json.dumps([] if answer is None else answer.fetchall(), default=str))",
        queries.to_string()
    );
    let answers = lines(&python(&script));
    assert_eq!(answers[1][0][1], events, "events a day: {}", answers[1]);
    assert_eq!(
        answers[2].as_array().unwrap().iter().map(|row| row[2].as_u64().unwrap()).sum::<u64>(),
        events as u64
    );
    assert_eq!(answers[3], json!([]), "a chain that is whole has no breaks");

    shell(athena);
    let statement = fs::read_to_string(here.join("sealed.sql")).unwrap();
    says_the_same(&page, &statement);
    assert!(!schema_of(&statement).to_string().contains("doc"), "no quotes get into the statement");
}

/// What the page shows of the statement for Athena is what is made, but for what it leaves out.
fn says_the_same(page: &str, statement: &str) {
    let shown = page.split("```\n").find(|block| block.starts_with("CREATE EXTERNAL TABLE")).unwrap();
    let made: Vec<&str> = statement.lines().collect();
    assert_eq!(shown.lines().count(), made.len());
    for (shown, made) in shown.lines().zip(made) {
        let (begins, ends) = shown.split_once(" … ").or_else(|| shown.split_once('…')).unwrap_or((shown, ""));
        assert!(made.starts_with(begins) && made.ends_with(ends), "{shown} stands for {made}");
        assert!(shown.contains('…') || shown == made, "{shown} is {made}");
    }
}

/// The columns of the statement and the schema in it are of one shape.
fn schema_of(statement: &str) -> Value {
    let literal = statement.split("'avro.schema.literal' = '").nth(1).unwrap().split('\'').next().unwrap();
    let schema: Value = serde_json::from_str(literal).unwrap();
    let fields = iter::once(&schema["fields"]).chain(iter::once(&schema["fields"][4]["type"]["fields"]));
    for field in fields.flat_map(|fields| fields.as_array().unwrap()) {
        assert!(
            statement.contains(&format!("`{}`", field["name"].as_str().unwrap())),
            "{field} is no column"
        );
    }
    schema
}
