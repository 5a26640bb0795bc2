//! What a configuration may say, and what is said of one that is wrong.

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
