//! What a configuration may say, and what is said of one that is wrong.

use super::archive::{Bucket, Encryption};
use super::*;

fn read(toml: &str, env: &[(&str, &str)]) -> Result<Config> {
    let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::read(Given::parse("sealog.toml", toml, env)?)
}

fn error(toml: &str, env: &[(&str, &str)]) -> String {
    format!("{:#}", read(toml, env).unwrap_err())
}

#[test]
fn nothing_given_is_a_whole_configuration() {
    let config = read("", &[]).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:7740");
    assert_eq!((config.segment.max_events, config.segment.max_age_us), (50_000, 60_000_000));
    assert_eq!(config.archive, Archive::Directory(None));
    assert!(config.kafka.is_none());
}

#[test]
fn the_example_is_a_configuration_and_names_every_key() {
    let config = read(EXAMPLE, &[]).unwrap();
    assert_eq!(config.origin.as_deref(), Some("acme.example/audit"));
    let settings = EXAMPLE.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let is_setting = |line: &&str| {
        let name = line.split(" = ").next().unwrap_or_default();
        line.starts_with('[')
            || (line.contains(" = ") && name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'))
    };
    let uncommented: Vec<&str> = settings.filter(is_setting).collect();
    let mut keys = Given::parse("example", &uncommented.join("\n"), []).unwrap().keys();
    keys.sort();
    let mut all: Vec<String> = text::KEYS.iter().map(|key| (*key).to_owned()).collect();
    all.sort();
    assert_eq!(keys, all);
}

#[test]
fn the_environment_comes_before_the_file() {
    let config = read("[segment]\nmax_events = 7\n", &[("SEALOG_SEGMENT_MAX_EVENTS", "8")]).unwrap();
    assert_eq!(config.segment.max_events, 8);
    let config =
        read("", &[("SEALOG_KAFKA_BROKERS", "h:1"), ("SEALOG_KAFKA_PROPERTIES", "a.b=c,d=e")]).unwrap();
    assert_eq!(config.kafka.unwrap().properties["a.b"], "c");
}

#[test]
fn an_error_names_the_key_and_says_what_would_be_right() {
    let e = error("[segment]\nmax_age = \"60 parsecs\"\n", &[]);
    assert!(e.contains("sealog.toml") && e.contains("segment.max_age") && e.contains("60s"), "{e}");
    let e = error("", &[("SEALOG_CHAINS", "none")]);
    assert!(e.contains("SEALOG_CHAINS") && e.contains("1 to 4096"), "{e}");
    let e = error("[segment]\nmax_event = 3\n", &[]);
    assert!(e.contains("segment.max_event") && e.contains("segment.max_events"), "{e}");
    let e = error("", &[("SEALOG_HTTP_LISTN", "x")]);
    assert!(e.contains("SEALOG_HTTP_LISTN") && e.contains("SEALOG_HTTP_LISTEN"), "{e}");
    let e = error("[archive]\nurl = \"ftp:x\"\n", &[]);
    assert!(e.contains("archive.url") && e.contains("file:DIR"), "{e}");
    let e = error("chains = 1\n[kafka]\nproperties = { \"sasl.password\" = \"hunter2 }\n", &[]);
    assert!(e.contains("sealog.toml, line 3") && !e.contains("hunter2"), "{e}");
    assert!(!error("[http]\ntokens = [\"hunter2\"]\n", &[]).contains("hunter2"));
}

#[test]
fn on_kafka_some_defaults_are_others() {
    let config = read("[kafka]\nbrokers = \"h:1\"\n", &[]).unwrap();
    let kafka = config.kafka.unwrap();
    assert_eq!((kafka.durability, kafka.replicas), (Durability::Replicated, 3));
    assert!(!kafka.ingestor_id.is_empty());
    assert_eq!((config.segment.max_idle_us, config.trimmer.after_us), (None, 86_400_000_000));
    let trial = "[kafka]\nbrokers = \"h:1\"\ndurability = \"single-broker\"\n[segment]\nmax_idle = \"2s\"\n";
    let config = read(trial, &[]).unwrap();
    assert_eq!(config.kafka.unwrap().replicas, 1);
    assert_eq!(config.segment.max_idle_us, Some(2_000_000));
    assert_eq!(read("[segment]\nmax_idle = \"off\"\n", &[]).unwrap().segment.max_idle_us, None);
    let e = error("[kafka]\nbrokers = \"h:1\"\ndurability = \"none\"\n", &[]);
    assert!(e.contains("kafka.durability") && e.contains("single-broker"), "{e}");
    let e = error("[kafka]\nprefix = \"a.\"\n", &[]);
    assert!(e.contains("kafka.brokers"), "{e}");
    let e = error("[kafka]\nbrokers = \"h:1\"\nraw_topics = [\"audit.events\"]\n", &[]);
    assert!(e.contains("kafka.raw_topics") && e.contains("audit.events"), "{e}");
}

const BUCKET: &str = "[archive]\nurl = \"s3://acme-audit/prod\"\nmode = \"compliance\"\nretention = \"7y\"\n";

fn bucket(more: &str) -> Bucket {
    match read(&format!("{BUCKET}{more}"), &[]).unwrap().archive {
        Archive::S3(bucket) => bucket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bucket_is_read_with_its_retention() {
    let plain = bucket("");
    assert_eq!(plain.to_string(), "s3://acme-audit/prod");
    let years = std::time::Duration::from_secs(7 * 365 * 86_400);
    assert_eq!(plain.retention, store::Retention { mode: store::Mode::Compliance, period: years });
    assert_eq!(
        (plain.endpoint.clone(), plain.path_style, plain.encryption.clone()),
        (None, false, Encryption::Bucket)
    );

    let own =
        bucket("endpoint = \"https://s3.acme.example:9000/\"\nencryption = \"kms:audit\"\nca = \"ca.pem\"\n");
    assert_eq!(own.endpoint.as_deref(), Some("https://s3.acme.example:9000"));
    assert!(own.path_style, "a server that is not AWS is asked by its path");
    assert_eq!(own.encryption, Encryption::Kms(Some("audit".to_owned())));
    assert_eq!(own.for_readers(), "s3://acme-audit/prod --endpoint https://s3.acme.example:9000 --ca ca.pem");
    assert!(!bucket("endpoint = \"https://s3.acme.example\"\npath_style = false\n").path_style);

    let env = [
        ("SEALOG_ARCHIVE_URL", "s3://acme-audit"),
        ("SEALOG_ARCHIVE_MODE", "governance"),
        ("SEALOG_ARCHIVE_RETENTION", "1s"),
        ("SEALOG_ARCHIVE_PATH_STYLE", "true"),
    ];
    let Archive::S3(by_env) = read("", &env).unwrap().archive else { panic!() };
    assert_eq!(by_env.retention.mode, store::Mode::Governance);
    assert_eq!(by_env.promise_for_readers(), " --locked governance:1s");
    assert_eq!(plain.promise_for_readers(), "", "the bucket's default says it");
    assert!(by_env.path_style && by_env.retention.period.as_secs() == 1);
}

#[test]
fn mode_and_retention_are_given_for_a_bucket_and_never_guessed() {
    let url = "[archive]\nurl = \"s3://acme-audit\"\n";
    let e = error(url, &[]);
    assert!(
        e.contains("archive.mode is missing") && e.contains("compliance") && e.contains("governance"),
        "{e}"
    );
    let e = error(&format!("{url}mode = \"governance\"\n"), &[]);
    assert!(e.contains("archive.retention is missing") && e.contains("7y"), "{e}");
    for bad in ["0s", "250ms", "7", "101y", "for ever"] {
        let e = error(&format!("{url}mode = \"governance\"\nretention = \"{bad}\"\n"), &[]);
        assert!(e.contains("archive.retention") && e.contains("1s to 100y"), "{bad}: {e}");
    }
    let e = error(&format!("{url}mode = \"worm\"\nretention = \"7y\"\n"), &[]);
    assert!(e.contains("archive.mode") && e.contains("compliance"), "{e}");
}

#[test]
fn what_belongs_to_a_bucket_is_refused_for_a_folder() {
    for (key, value) in [("mode", "\"compliance\""), ("retention", "\"7y\""), ("insecure", "true")] {
        for url in ["", "url = \"file:/srv/audit\"\n"] {
            let e = error(&format!("[archive]\n{url}{key} = {value}\n"), &[]);
            assert!(e.contains(&format!("archive.{key}")) && e.contains("a folder locks nothing"), "{e}");
        }
    }
}

#[test]
fn evidence_goes_in_clear_only_where_it_was_said() {
    bucket("endpoint = \"http://127.0.0.1:9000\"\n");
    bucket("endpoint = \"http://minio:9000\"\ninsecure = true\n");
    let e = error(&format!("{BUCKET}endpoint = \"http://minio:9000\"\n"), &[]);
    assert!(e.contains("archive.endpoint") && e.contains("archive.insecure = true"), "{e}");
    for bad in ["minio:9000", "ftp://minio", "https://", "https://minio/path", "https://mi nio"] {
        let e = error(&format!("{BUCKET}endpoint = \"{bad}\"\n"), &[]);
        assert!(e.contains("archive.endpoint") && e.contains("without a path"), "{bad}: {e}");
    }
    let e = error(&format!("{BUCKET}endpoint = \"https://me:hunter2@minio\"\n"), &[]);
    assert!(e.contains("without credentials") && !e.contains("hunter2"), "{e}");
    let e = error(&format!("{BUCKET}endpoint = \"http://localhost:9\"\nca = \"ca.pem\"\n"), &[]);
    assert!(e.contains("archive.ca"), "{e}");
    let e = error(&format!("{BUCKET}encryption = \"kms:\"\n"), &[]);
    assert!(e.contains("archive.encryption") && e.contains("kms:KEY"), "{e}");
    let e = error(&format!("{BUCKET}secret = \"hunter2\"\n"), &[]);
    assert!(e.contains("archive.secret") && !e.contains("hunter2"), "{e}");
}

#[test]
fn a_bucket_s_name_is_checked_before_anything_is_asked() {
    let e = error(&BUCKET.replace("acme-audit", "Acme"), &[]);
    assert!(e.contains("archive.url") && e.contains("lower-case"), "{e}");
    let e = error(&BUCKET.replace("/prod", "//prod"), &[]);
    assert!(e.contains("archive.url") && e.contains("single slashes"), "{e}");
}

/// `deploy/iam` lets an administrator delete below `*/0/probe/`, whatever stands before it.
#[test]
fn no_origin_has_its_evidence_where_probes_are_deleted() {
    for bad in ["acme.example/0/probe", "acme.example/0/probe/audit", "0/probe", "a/0/0/probe/1"] {
        let e = error(&format!("origin = \"{bad}\"\n"), &[]);
        assert!(e.contains(bad) && e.contains("`0/probe`") && e.contains("doctor --probe"), "{e}");
        let e = error("", &[("SEALOG_ORIGIN", bad)]);
        assert!(e.contains("SEALOG_ORIGIN") && e.contains("`0/probe`"), "{e}");
    }
    for good in ["probe", "acme.example/probe/0", "acme.example/1/probe", "a/00/probe", "a/0/probes", "a/0"] {
        let config = read(&format!("origin = \"{good}\"\n"), &[]).unwrap();
        assert_eq!(config.origin.as_deref(), Some(good));
    }
}
