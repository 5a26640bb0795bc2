//! The help of each command is a golden file: whoever changes it sees the change as a newcomer does. To write one anew,
//! delete it and run with SEALOG_TEST_WRITE_HELP=1.

use std::path::Path;

use crate::harness::process::{said, sealog};

const COMMANDS: [&str; 20] = [
    "",
    "up",
    "ingestor",
    "chainer",
    "archiver",
    "trimmer",
    "init",
    "doctor",
    "recover",
    "send",
    "verify",
    "cat",
    "prove",
    "check",
    "serve-tlog",
    "export-tlog",
    "locks",
    "archive",
    "archive repair",
    "keygen",
];

#[test]
fn the_help_of_each_command_is_as_checked_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/help");
    let mut differ = Vec::new();
    for command in COMMANDS {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = sealog(&args);
        assert_eq!(output.status.code(), Some(0), "{command} --help");
        let name = if command.is_empty() { "sealog".to_owned() } else { command.replace(' ', "-") };
        let file = folder.join(format!("{name}.txt"));
        if !file.exists() && std::env::var("SEALOG_TEST_WRITE_HELP").is_ok() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, said(&output)).unwrap();
        }
        if std::fs::read_to_string(&file).ok().as_deref() != Some(&said(&output)) {
            differ.push(format!("{}:\n{}", file.display(), said(&output)));
        }
    }
    assert!(differ.is_empty(), "these differ from the golden files:\n{}", differ.join("\n"));
}

#[test]
fn a_wrong_word_is_a_usage_error_with_exit_2() {
    for args in [vec!["sael"], vec!["up", "--lisen"], vec!["verify"], vec![]] {
        assert_eq!(sealog(&args).status.code(), Some(2), "{args:?}");
    }
    assert_eq!(sealog(&["--version"]).status.code(), Some(0));
}
