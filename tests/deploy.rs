//! The deployment as containers. There is no Docker daemon where tests run: docker-compose.yml is read, and each service's
//! very command and environment runs as a process, at the very servers, with the very keys, logins and certificates that
//! deploy/setup makes.

mod compose;
mod site;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use store::{Kind, Store, keys_after};

use self::compose::Compose;
use self::site::Site;
use crate::harness::archive;
use crate::harness::broker::Broker;
use crate::harness::process::{files, said};
use crate::harness::wait_for;

/// The services that are Sealog: the stages, and what runs once before them.
const STAGES: [&str; 4] = ["ingestor", "chainer", "archiver", "trimmer"];
/// They run once and end.
const ONCE: [&str; 3] = ["topics", "identities", "init"];
const SENT_OVER_HTTP: usize = 100;
const SENT_OVER_KAFKA: usize = 20;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn skipped(what: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {why}");
}

#[test]
fn each_container_can_do_no_more_than_it_needs() {
    let compose = Compose::read();
    for (name, service) in compose.services() {
        assert_eq!(service.list("cap_drop"), ["ALL"], "{name}");
        assert_eq!(service.list("cap_add"), [""; 0], "{name}");
        assert_eq!(service.list("security_opt"), ["no-new-privileges:true"], "{name}");
        assert!(service.value("privileged").is_null() && service.value("network_mode").is_null(), "{name}");
        // Kafka's image writes its configuration to where its programs are.
        let writes_beside_its_volumes = matches!(name, "kafka" | "topics");
        assert_eq!(service.value("read_only") == true, !writes_beside_its_volumes, "{name}");
        let ports = service.list("ports");
        assert!(
            ports.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name} is open to others: {ports:?}"
        );
        let image = service.value("image").as_str().unwrap().to_owned();
        let version = image.split_once(':').expect("a version").1;
        assert!(version.contains(|c: char| c.is_ascii_digit()), "{name}: {image} is not of one version");
        let restart = if ONCE.contains(&name) { "no" } else { "unless-stopped" };
        assert_eq!(service.value("restart"), restart, "{name}");
    }
    for stage in STAGES {
        let service = compose.service(stage);
        assert_eq!(service.value("image"), compose.service("init").value("image"));
        assert_eq!(service.value("depends_on")["init"]["condition"], "service_completed_successfully");
    }
    let with = |what: &str| -> Vec<&str> {
        compose
            .services()
            .filter(|(_, s)| s.secrets().iter().any(|s| s.name == what))
            .map(|(name, _)| name)
            .collect()
    };
    assert_eq!(with("chainer.key"), ["chainer", "init"], "who can sign");
    assert_eq!(with("tokens"), ["ingestor"]);
    let logins: BTreeSet<String> = ["init", "chainer", "archiver", "trimmer"]
        .map(|name| compose.service(name).secrets().iter().find(|s| s.target == "s3").unwrap().name.clone())
        .into();
    assert_eq!(logins.len(), 4, "each has a login of its own: {logins:?}");
    assert!(!compose.service("ingestor").secrets().iter().any(|secret| secret.target == "s3"));
    assert!(!compose.service("ingestor").list("networks").contains(&"archive".to_owned()));
    let outside = compose.services().filter(|(_, s)| s.list("networks").contains(&"outside".to_owned()));
    assert_eq!(outside.map(|(name, _)| name).collect::<Vec<_>>(), ["ingestor", "kafka", "prometheus", "s3"]);
}

#[test]
fn nothing_secret_is_checked_in_or_gets_into_an_image() {
    let compose = Compose::read();
    for (name, file) in compose.secret_files() {
        assert!(file.starts_with("./deploy/site/"), "{name}: {file} is not among what deploy/setup makes");
    }
    assert!(
        fs::read_to_string(root().join("deploy/.gitignore")).unwrap().lines().any(|line| line == "/site")
    );
    let into_the_image = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let kept: Vec<&str> = into_the_image.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(kept[0], "*", "all is left out but what is named");
    assert!(!kept.iter().any(|line| line.contains("deploy")), "{kept:?}");
    for name in Compose::read().services().filter_map(|(_, s)| s.value("environment").as_object().cloned()) {
        let named = |name: &String| ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| name.contains(word));
        for (name, value) in name.iter().filter(|(name, _)| named(name)) {
            assert!(
                value.as_str().is_some_and(|value| value.starts_with('/')),
                "{name} is no path of a file"
            );
        }
    }
}

#[test]
fn what_the_image_is_built_from_is_not_left_out_of_it() {
    let into_the_image = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let kept: Vec<&str> = into_the_image.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let root = root().canonicalize().unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    let mut needed: Vec<String> = members.iter().map(|member| format!("{member}/Cargo.toml")).collect();
    for source in members.iter().flat_map(|member| files(&root.join(member).join("src"))) {
        let text = fs::read_to_string(&source).unwrap();
        for include in text.split("include_").skip(1).filter_map(|rest| rest.split_once("!(\"")) {
            let path = source.parent().unwrap().join(include.1.split('"').next().unwrap());
            let path = path.canonicalize().unwrap();
            needed.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(needed.contains(&"docs/openapi.json".to_owned()), "{needed:?}");
    let is_kept = |path: &str| kept.iter().any(|kept| path == *kept || path.starts_with(&format!("{kept}/")));
    // What only tests read is no part of the build.
    let missing = |path: &&String| !is_kept(path) && !path.starts_with("tests/");
    assert_eq!(needed.iter().filter(missing).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_s3_server_in_the_image_is_the_one_that_tests_run_against() {
    let file = fs::read_to_string(root().join("deploy/minio/Dockerfile")).unwrap();
    let script = fs::read_to_string(root().join("tests/services/s3")).unwrap();
    let version = file.split("github.com/minio/minio@").nth(1).unwrap().split_whitespace().next().unwrap();
    assert!(script.contains(&format!("version={version}\n")), "{version}");
}

#[test]
fn docker_compose_takes_the_file() {
    if Command::new("docker-compose").arg("version").stdout(Stdio::null()).status().is_err() {
        return skipped("docker-compose.yml is not looked at by docker-compose", "it is not installed");
    }
    let mut command = Command::new("docker-compose");
    command.args(["--file", "docker-compose.yml", "config", "--quiet"]).current_dir(root());
    let output = command.env("SEALOG_USER", "1000:1000").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn prometheus_asks_each_stage_where_it_shows_its_metrics() {
    let compose = Compose::read();
    let text = fs::read_to_string(root().join("deploy/prometheus.yml")).unwrap();
    for stage in STAGES {
        let listen = compose.service(stage).listen().expect("where it listens");
        let port = listen.strip_prefix("0.0.0.0:").expect("for the other containers");
        assert!(text.contains(&format!("\"{stage}:{port}\"")), "{stage} listens on {listen}");
        assert!(compose.service(stage).list("networks").contains(&"metrics".to_owned()), "{stage}");
    }
    match Command::new("promtool")
        .args(["check", "config"])
        .arg(root().join("deploy/prometheus.yml"))
        .output()
    {
        Err(_) => skipped("deploy/prometheus.yml is not looked at by promtool", "it is not installed"),
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn the_services_commands_run_the_whole_road() {
    if let Some(missing) = Site::missing().or_else(Broker::missing) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI runs the services, but {missing}");
        return skipped("the services of docker-compose.yml are not run", &missing);
    }
    let site = Site::start(Compose::read());
    site.run_once("topics");
    site.run_once("identities");
    let words = site.run_once("init");
    assert!(words.contains("began chain demo.example/audit/1"), "{words}");
    let again = site.run_once("init");
    assert!(again.contains("Everything was there already"), "{again}");

    let stages = STAGES.map(|stage| site.start_stage(stage));
    let over_http = site.send(0..SENT_OVER_HTTP, &["--url", &stages[0].url]);
    assert!(over_http.status.success(), "{}", String::from_utf8_lossy(&over_http.stderr));
    let over_kafka = site.send_to_topic(SENT_OVER_HTTP..SENT_OVER_HTTP + SENT_OVER_KAFKA);
    assert!(over_kafka.status.success(), "{}", String::from_utf8_lossy(&over_kafka.stderr));

    let archive = site.archive_as("auditor");
    let chains = || (0..2).map(|chain| format!("demo.example/audit/{chain}"));
    let archived = || chains().flat_map(|chain| archive::ids(&archive, &chain)).collect::<BTreeSet<_>>();
    let sent: BTreeSet<String> = (0..SENT_OVER_HTTP + SENT_OVER_KAFKA).map(|n| format!("n-{n:03}")).collect();
    wait_for("everything is archived", 90, || (archived() == sent).then_some(()));
    let all = chains().map(|chain| archive::ids(&archive, &chain).len()).sum::<usize>();
    assert_eq!(all, sent.len(), "each once");

    // What the chainer's login is for, and no more.
    let by_chainer = site.archive_as("chainer");
    let origin = "demo.example/audit/0";
    assert!(store::Notes::read(&by_chainer, origin).unwrap().newest.expect("a checkpoint").size > 0);
    let segment = keys_after(&archive, &format!("{origin}/segments/"), "").unwrap().remove(0);
    archive.get(&segment, None, None, 1 << 20).unwrap();
    let refused = by_chainer.get(&segment, None, None, 1 << 20).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused, "{refused}");

    for (stage, name) in stages.iter().zip(STAGES) {
        let metrics = site.metrics(&stage.url);
        assert!(metrics.contains("# TYPE sealog_"), "{name}: {metrics}");
    }
    for (stage, name) in stages.into_iter().zip(STAGES) {
        stage.terminate();
        let (status, words) = stage.ends(30);
        assert_eq!(status.code(), Some(0), "{name}: {words}");
    }
    let verify = site.verify();
    assert_eq!(verify.status.code(), Some(0), "{}{}", said(&verify), String::from_utf8_lossy(&verify.stderr));
    assert!(said(&verify).contains("intact but unanchored"), "{}", said(&verify));
}
