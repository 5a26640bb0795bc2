//! The rights that each identity needs: one table, for the broker and for the reader.

use std::fmt::Write;

/// Who, on what, may do what. The same rows, in the same words, stand in docs/OPERATING.md.
pub const TABLE: &[(&str, &str, &[&str])] = &[
    ("a service", "its topics of `kafka.raw_topics`", &["Write"]),
    ("ingestor", "the topics of `kafka.raw_topics`", &["Read"]),
    ("ingestor", "topic `audit.events`", &["Read", "Write", "DescribeConfigs"]),
    ("ingestor", "topic `audit.rejected`", &["Write", "DescribeConfigs"]),
    ("ingestor", "group `sealog.ingestor`", &["Read"]),
    ("ingestor", "transactional id `<origin>/ingestor/<ingestor_id>`", &["Write"]),
    ("chainer", "topic `audit.events`", &["Read", "DescribeConfigs"]),
    ("chainer", "topic `audit.sealed`", &["Read", "Write", "DescribeConfigs"]),
    ("chainer", "group `sealog.chainer`", &["Read"]),
    ("chainer", "transactional ids `<origin>/*`", &["Write"]),
    ("archiver", "topic `audit.events`", &["Write", "DescribeConfigs"]),
    ("archiver", "topic `audit.sealed`", &["Read", "DescribeConfigs"]),
    ("archiver", "group `sealog.archiver`", &["Read"]),
    ("trimmer", "topic `audit.events`", &["Read", "Delete", "DescribeConfigs"]),
    ("trimmer", "topic `audit.sealed`", &["Read", "Delete", "DescribeConfigs"]),
    ("trimmer", "group `sealog.archiver`", &["Describe"]),
    ("trimmer", "the groups of `trimmer.wait_for`", &["Describe"]),
    ("init", "topic `audit.events`", &["Create", "Describe", "DescribeConfigs"]),
    ("init", "topic `audit.rejected`", &["Create", "Describe", "DescribeConfigs"]),
    ("init", "topic `audit.sealed`", &["Create", "Read", "Write", "DescribeConfigs"]),
    ("init", "group `sealog.chainer`", &["Read"]),
    ("init", "transactional ids `<origin>/*`", &["Write"]),
    ("init --yes", "topic `audit.events`", &["AlterConfigs"]),
    ("init --yes", "topic `audit.rejected`", &["AlterConfigs"]),
    ("init --yes", "topic `audit.sealed`", &["AlterConfigs"]),
    ("init --grow", "topic `audit.events`", &["Alter", "Write"]),
    ("init --grow", "topic `audit.rejected`", &["Alter"]),
    ("init --grow", "topic `audit.sealed`", &["Alter"]),
    ("doctor", "the topics of `kafka.raw_topics`", &["Describe", "DescribeConfigs"]),
    ("doctor", "topic `audit.events`", &["Read", "DescribeConfigs"]),
    ("doctor", "topic `audit.rejected`", &["Describe", "DescribeConfigs"]),
    ("doctor", "topic `audit.sealed`", &["Read", "DescribeConfigs"]),
    ("doctor", "the `cluster`", &["DescribeConfigs"]),
];

/// Where rights are given.
#[derive(Clone, Debug)]
pub struct Names {
    /// What stands before names.
    pub prefix: String,
    /// The base origin.
    pub origin: String,
    /// The topic of `kafka.raw_topics`.
    pub raw: String,
}

/// One right: what it is on, and the operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// In the table's words.
    pub on: &'static str,
    /// As Kafka calls it.
    pub to: &'static str,
}

/// All rights of an identity. `init` with a flag has those of `init` too.
pub fn rights_of(who: &str) -> Vec<Right> {
    let base = who.split(" --").next().filter(|base| *base != who);
    let rows = TABLE.iter().filter(|(identity, ..)| *identity == who || Some(*identity) == base);
    rows.flat_map(|(_, on, to)| to.iter().map(|to| Right { on, to })).collect()
}

/// The rights that the table lists for this identity alone.
pub fn own_rights_of(who: &str) -> Vec<Right> {
    let base = rights_of(who.split(" --").next().filter(|base| *base != who).unwrap_or(""));
    rights_of(who).into_iter().filter(|right| !base.contains(right)).collect()
}

impl Right {
    /// The name of the thing, as an error must say it.
    pub fn thing(&self, names: &Names) -> String {
        self.resource(names).split_once(':').unwrap().1.trim_end_matches('*').to_owned()
    }

    /// The thing as `Broker::acls` wants it.
    fn resource(&self, names: &Names) -> String {
        let Names { prefix, origin, raw } = names;
        let name = self.on.split('`').nth(1).unwrap();
        match (self.on.split(' ').next().unwrap(), name) {
            (_, "kafka.raw_topics") => format!("topic:{raw}"),
            (_, "trimmer.wait_for") => "group:siem".to_owned(),
            (_, "cluster") => "cluster:cluster".to_owned(),
            ("transactional", name) if name.contains("ingestor") => {
                format!("transactional-id:{prefix}{origin}/ingestor/one")
            }
            ("transactional", _) => format!("transactional-id:{prefix}{origin}/*"),
            (kind, name) => format!("{kind}:{prefix}{name}"),
        }
    }

    /// What is still allowed when this right alone is missing, although it came with it.
    fn implied(&self) -> Option<Right> {
        let to = match self.to {
            "Read" | "Write" | "Delete" | "Alter" => "Describe",
            "AlterConfigs" => "DescribeConfigs",
            _ => return None,
        };
        Some(Right { to, ..*self })
    }
}

/// The rules that give `user` these rights.
pub fn allow(user: &str, rights: &[Right], names: &Names) -> String {
    let mut rules = String::new();
    for right in rights {
        writeln!(rules, "allow {user} {} {}", right.resource(names), kebab(right.to)).unwrap();
    }
    rules
}

/// The rules that give `user` the rights of `who` but for one. What that one implies stays: it is the right itself
/// that must be seen to be needed.
pub fn allow_all_but(user: &str, who: &str, missing: Right, names: &Names) -> String {
    let rest: Vec<Right> = rights_of(who).into_iter().filter(|right| *right != missing).collect();
    allow(user, &rest, names) + &allow(user, &missing.implied().into_iter().collect::<Vec<_>>(), names)
}

/// `DescribeConfigs` is `describe-configs`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// The rows of the table below "## Rights" of the page.
pub fn rows_of(page: &str) -> Vec<(String, String, Vec<String>)> {
    let section = page.split("\n## Rights on Kafka\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = rows.skip(1).map(|row| row.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    rows.map(|cells| {
        let to = cells[2].split(", ").map(str::to_owned).collect();
        (cells[0].trim_matches('`').to_owned(), cells[1].clone(), to)
    })
    .collect()
}
