//! The policies in deploy/iam, on MinIO: under its own each stage does its work with its real command, and nobody does
//! anything else. MinIO enforces all of them but the condition `s3:if-none-match`, which it does not know.

mod deeds;

use std::process::{Command, Output, Stdio};

use serde_json::Value;
use store::Mode;
use store::Store;

use crate::harness::deployment::{Deployment, broker};
use crate::harness::process::{Up, said};
use crate::harness::s3::Bucket;
use crate::harness::s3::identity::{self, IDENTITIES};
use crate::harness::s3::intruder::Intruder;
use crate::harness::s3::server::{Make, Server};
use crate::harness::wait_for;
use deeds::{Actor, Deed, Victims};

const CHAIN: &str = "acme.example/audit/0";
const WORM: [&str; 5] = ["segments", "trees", "checkpoints", "keys", "schemas"];
const NOTES: [&str; 3] = ["checkpoint", "checkpoints", "keys"];

/// What a policy lets its identity do, out of all deeds.
fn may(identity: &str) -> Vec<Deed> {
    use Deed::*;
    let read = |folders: &[&'static str]| -> Vec<Deed> {
        let each = folders.iter().flat_map(|folder| {
            [Read(folder), ReadVersion(folder), SeeLock(folder), List(folder), ListVersions(folder)]
        });
        each.collect()
    };
    let everywhere = [&WORM[..], &["checkpoint"]].concat();
    let mut may = match identity {
        "chainer" | "trimmer" => return read(&NOTES),
        _ => read(&everywhere),
    };
    may.extend([List(""), ListVersions(""), LookAtVersioning, LookAtObjectLock]);
    match identity {
        "auditor" => may.push(SeeHold),
        "archiver" => {
            may.extend(WORM.map(PutNew));
            may.extend([PutOver("checkpoint"), Lengthen]);
        }
        _ => {
            may.extend(everywhere.iter().map(|folder| PutOver(folder)));
            may.extend(WORM.map(PutNew));
            may.extend([SeeHold, PutNew("probe"), PutUnknown, CopyOver, BeginMultipart, Lengthen]);
            may.extend([DeleteProbe, ChangeDefault]);
        }
    }
    may
}

/// What AWS refuses. MinIO does not know the archiver's condition, and lets whoever may put a retention shorten one in
/// governance mode, right to bypass or not.
fn only_minio_lets(identity: &str) -> Vec<Deed> {
    let mut lets = match identity {
        "archiver" => [&WORM.map(Deed::PutOver)[..], &[Deed::CopyOver, Deed::BeginMultipart]].concat(),
        "administrator" => Vec::new(),
        _ => return Vec::new(),
    };
    lets.push(Deed::Shorten(Mode::Governance));
    lets
}

/// What the lock or the server refuses, whatever a policy says.
fn refused_by_the_server(identity: &str) -> Vec<Deed> {
    let mut refused = vec![Deed::Shorten(Mode::Compliance), Deed::Downgrade];
    if identity == "administrator" {
        refused.push(Deed::SuspendVersions);
    }
    refused
}

/// One request of each kind with the credentials of each identity. Afterwards the evidence is what it was.
#[test]
fn what_an_identity_is_not_for_is_refused() {
    let Some(server) = minio() else { return };
    let mut wrong = Vec::new();
    for name in IDENTITIES {
        let mut bucket = Bucket::named_at(&server);
        // No lock by default: what is put without one is to be deleted.
        bucket.options.retention = None;
        let options = bucket.options.clone();
        assert!(bucket.store().make_bucket().unwrap());
        let victims = Victims::put(&Actor::new(&options, CHAIN));
        let stolen = bucket.with(identity::credentials(&options, name));
        let actor = Actor::new(&stolen.options, CHAIN);
        let (may, minio_lets, refused) = (may(name), only_minio_lets(name), refused_by_the_server(name));
        for deed in Deed::all() {
            let is_right = match actor.tries(deed, &victims) {
                Ok(()) => may.contains(&deed) || minio_lets.contains(&deed),
                Err(_) if refused.contains(&deed) => true,
                Err(code) => code == "AccessDenied" && !may.contains(&deed) && !minio_lets.contains(&deed),
            };
            if !is_right {
                wrong.push(format!("{name}: {deed:?}: {:?}", actor.tries(deed, &victims)));
            }
        }
        let store = bucket.store();
        let evidence = victims.versions.iter().map(|(folder, version)| (actor.key(folder, "0"), version));
        let locked = [&victims.compliance, &victims.governance].map(|(key, version)| (key.clone(), version));
        for (key, version) in evidence.chain(locked) {
            let key = key.strip_prefix(&format!("{}/", options.prefix)).unwrap().to_owned();
            let object = store.get(&key, Some(version), None, 100).unwrap();
            assert_eq!(
                (object.bytes.as_slice(), object.lock.is_some()),
                (b"evidence".as_slice(), true),
                "{name} {key}"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What no server here can show: the condition stands where AWS needs it, and nobody is given what breaks a lock.
#[test]
fn the_policies_say_what_they_must() {
    for name in IDENTITIES {
        let policy: Value = serde_json::from_str(&identity::policy(name)).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            assert_eq!(statement["Effect"], "Allow", "{name}");
            let (actions, resources) = (texts(&statement["Action"]), texts(&statement["Resource"]));
            assert!(resources.iter().all(|resource| resource.starts_with("arn:aws:s3:::BUCKET")), "{name}");
            for action in &actions {
                assert!(!action.contains('*') && !action.contains("Bypass"), "{name}: {action}");
                assert!(!action.contains("LegalHold") || action.starts_with("s3:Get"), "{name}: {action}");
                // An origin may have a part `probe`, and then its evidence stands below one. None has `0/probe`.
                let is_probe = resources == ["arn:aws:s3:::BUCKET/PREFIX/*/0/probe/*"];
                assert!(!action.contains("Delete") || is_probe, "{name}: {action}");
            }
            if name == "archiver" && actions == ["s3:PutObject"] {
                let is_conditional = statement["Condition"]["Null"]["s3:if-none-match"] == "false";
                let is_hint = resources == ["arn:aws:s3:::BUCKET/PREFIX/*/checkpoint"];
                assert!(is_conditional != is_hint, "{statement}");
            }
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        list => list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect(),
    }
}

/// From the empty server to a verified archive, each command with the credentials of its own identity.
#[test]
fn each_command_does_its_work_under_its_own_policy() {
    let (Some(broker), Some(server)) = (broker(), minio()) else { return };
    let bucket = Bucket::named_at(&server);
    let of = |name: &str| bucket.with(identity::credentials(&bucket.options, name)).env();
    let administrator = bucket.with(identity::credentials(&bucket.options, "administrator"));
    let more = "[segment]\nmax_events = 10\nmax_age = \"1s\"\n[trimmer]\nafter = \"0s\"\n";
    let deployment = Deployment::made_in(&administrator, &broker, 1, &[("app", 1)], more);

    let probed = deployment.sealog(&["doctor", "--probe"]);
    assert!(probed.status.success(), "{}{}", said(&probed), String::from_utf8_lossy(&probed.stderr));

    let start = |stage: &str, identity: &str| {
        let env = of(identity);
        let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        deployment.start_with(stage, &env)
    };
    // It has no business in the bucket.
    let nobody =
        [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", "none"), ("AWS_SESSION_TOKEN", "")];
    let ingestor = deployment.start_with("ingestor", &nobody);
    let stages = ["chainer", "archiver", "trimmer"].map(|stage| start(stage, stage));
    deployment.produce(
        &deployment.raw[0],
        0,
        (0..50).map(|n| format!("{{\"id\":\"e-{n}\",\"action\":\"user.login\"}}")),
    );
    wait_for("all is archived", 60, || (deployment.events().len() == 50).then_some(()));
    wait_for("what is archived is trimmed", 60, || {
        (stages[2].metric("sealog_trimmer_passes_total") > 1.0).then_some(())
    });
    // Started anew, the chainer compares the archive's notes with its Head, and the archiver goes on from there.
    for (up, name) in [ingestor].into_iter().chain(stages).zip(["ingestor", "chainer", "archiver", "trimmer"])
    {
        let (status, log) = Up::stop(up);
        assert!(status.success(), "{name}: {log}");
    }
    let stages = ["chainer", "archiver"].map(|stage| start(stage, stage));
    let ingestor = deployment.start_with("ingestor", &nobody);
    deployment.produce(
        &deployment.raw[0],
        0,
        (50..60).map(|n| format!("{{\"id\":\"e-{n}\",\"action\":\"user.login\"}}")),
    );
    wait_for("more is archived", 60, || (deployment.events().len() == 60).then_some(()));
    for up in [ingestor].into_iter().chain(stages) {
        assert!(up.stop().0.success());
    }

    let auditor = bucket.with(identity::credentials(&bucket.options, "auditor"));
    let verify = read(&auditor, &["verify"], &[]);
    assert!(verify.status.success() && said(&verify).contains("intact but unanchored"), "{}", all(&verify));
    let cat = read(&auditor, &["cat"], &[]);
    assert!(cat.status.success() && said(&cat).contains("\"e-59\""), "{}", all(&cat));
    let locks = read(&auditor, &["locks"], &[]);
    assert!(locks.status.success() && said(&locks).contains("no findings"), "{}", all(&locks));
    let refused = read(&auditor, &["locks"], &["--extend", "2d", "--yes"]);
    assert_eq!(refused.status.code(), Some(3), "{}", all(&refused));
    let extended = read(&administrator, &["locks"], &["--extend", "2d", "--yes"]);
    assert!(
        extended.status.success() && said(&extended).contains("locked for longer: "),
        "{}",
        all(&extended)
    );

    let note =
        format!("{}/{}/0/checkpoints/00000000000000000000.note", bucket.options.prefix, deployment.origin);
    Intruder::as_root(&server, &bucket.options.bucket).lay_over(&note, b"junk");
    let repair = read(&administrator, &["archive", "repair"], &["--yes"]);
    assert!(repair.status.success(), "{}", all(&repair));
    let locks = read(&auditor, &["locks"], &["--findings"]);
    assert_eq!(locks.status.code(), Some(1), "what was laid over stays to be seen: {}", all(&locks));
}

fn minio() -> Option<std::sync::Arc<Server>> {
    // It keeps the server, should nobody else have it.
    let _bucket = Bucket::new(Make::Minio)?;
    Some(Server::shared(Make::Minio))
}

/// Runs a command that reads the archive, with the credentials of the one who comes to it.
fn read(bucket: &Bucket, verb: &[&str], flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealog"));
    command.args(verb).args(bucket.place()).args(flags).envs(bucket.env());
    command.stdin(Stdio::null()).output().unwrap()
}

fn all(output: &Output) -> String {
    format!("{}{}", said(output), String::from_utf8_lossy(&output.stderr))
}
