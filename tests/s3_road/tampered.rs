//! Who has got the archiver's keys, or those of the server's root, tries to get evidence out of its place: all of it is
//! refused, and each object is read again to prove it.

use schemas::Micros;
use store::s3::Credentials;
use store::{Entry, Listing, Mode, Object, Store, Version};

use crate::harness::deployment::{Deployment, broker};
use crate::harness::s3::intruder::{Answer, Intruder};
use crate::harness::s3::server::{Make, Server};
use crate::harness::s3::{Bucket, identity};
use crate::harness::wait_for;

const EVENTS: usize = 500;
const QUICK: &str = "[segment]\nmax_age = \"1h\"\nmax_events = 200\n";
/// What three segments make, at least.
const WRITTEN: [(&str, usize); 5] =
    [("/keys/", 1), ("/schemas/", 1), ("/segments/", 3), ("/trees/", 3), ("/checkpoints/", 4)];
const HOUR: i64 = 3_600_000_000;

/// An archived object, as it was before anybody touched it.
struct Archived {
    key: String,
    version: Version,
    object: Object,
}

/// The evidence in a bucket, every version of it.
fn archived(store: &dyn Store) -> Vec<Archived> {
    let page = store.list("", "", Listing::Versions(1_000)).unwrap();
    assert!(!page.more);
    let evidence = page.entries.into_iter().filter(|entry| !entry.key.ends_with("/checkpoint"));
    evidence
        .map(|Entry { key, version, .. }| {
            let object = store.get(&key, Some(&version), None, 1 << 20).unwrap();
            Archived { key, version, object }
        })
        .collect()
}

/// All that would free it, now or sooner than was promised.
fn tries(intruder: &Intruder, prefix: &str, archived: &Archived) -> Vec<(String, Answer)> {
    let Archived { key, version, object } = archived;
    let key = format!("{prefix}/{key}");
    let until = object.lock.expect("a lock").until;
    let (sooner, later) = (Micros(until.0 - HOUR), Micros(until.0 + HOUR));
    let mut tries = vec![("unlock".to_owned(), intruder.unlock(&key, version))];
    for bypass in [false, true] {
        let with = if bypass { ", bypassing governance" } else { "" };
        let retain = |mode, until| intruder.retain(&key, version, mode, until, bypass);
        tries.extend([
            (format!("delete{with}"), intruder.delete(&key, Some(version), bypass)),
            (format!("shorten{with}"), retain(Mode::Compliance, sooner)),
            (format!("downgrade{with}"), retain(Mode::Governance, until)),
            (format!("downgrade and lengthen{with}"), retain(Mode::Governance, later)),
        ]);
    }
    tries
}

fn nobody_frees_evidence(make: Make, identities: impl FnOnce(&Bucket) -> Vec<(&'static str, Credentials)>) {
    let (Some(broker), Some(bucket)) = (broker(), Bucket::new(make)) else { return };
    let server = Server::shared(make);
    let deployment = Deployment::made_in(&bucket, &broker, 1, &[("app", 1)], QUICK);
    let up = deployment.start("up");
    let ids: Vec<String> = (0..EVENTS).map(|n| format!("{n:04}")).collect();
    let event = |id: &String| format!("{{\"id\":\"{id}\",\"action\":\"a\"}}");
    deployment.produce(&deployment.raw[0], 0, ids.iter().map(event));
    wait_for("all is sealed", 60, || (deployment.sealed(0) > EVENTS as u64).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));

    let store = bucket.store();
    let evidence = archived(&store);
    let keys: Vec<&str> = evidence.iter().map(|archived| archived.key.as_str()).collect();
    for (folder, least) in WRITTEN {
        assert!(keys.iter().filter(|key| key.contains(folder)).count() >= least, "{folder}: {keys:?}");
    }
    for (name, credentials) in identities(&bucket) {
        let intruder = Intruder::with_keys_of(&server, &credentials, &bucket.options.bucket);
        for archived in &evidence {
            for (what, answer) in tries(&intruder, &bucket.options.prefix, archived) {
                assert!(answer.is_err(), "{name} was allowed to {what}: {}", archived.key);
            }
            let now = store.get(&archived.key, Some(&archived.version), None, 1 << 20).unwrap();
            assert!(now.bytes == archived.object.bytes, "{name}: {} has other bytes", archived.key);
            assert_eq!(now.lock, archived.object.lock, "{name}: {}", archived.key);
        }
    }
    // The very same call is taken when it asks for more: the others were refused for what they asked.
    let root = Intruder::as_root(&server, &bucket.options.bucket);
    let until = evidence[0].object.lock.unwrap().until;
    let longer = format!("{}/{}", bucket.options.prefix, evidence[0].key);
    root.retain(&longer, &evidence[0].version, Mode::Compliance, Micros(until.0 + HOUR), false).unwrap();

    assert_eq!(deployment.ids(), ids);
    deployment.verified("after all that was tried");
}

fn root(bucket: &Bucket) -> (&'static str, Credentials) {
    ("root", bucket.options.credentials.clone())
}

#[test]
fn neither_the_archiver_nor_root_frees_what_is_archived_on_minio() {
    nobody_frees_evidence(Make::Minio, |bucket| {
        vec![("the archiver", identity::credentials(&bucket.options, "archiver")), root(bucket)]
    });
}

#[test]
fn root_frees_nothing_that_is_archived_on_versitygw() {
    nobody_frees_evidence(Make::Versitygw, |bucket| vec![root(bucket)]);
}
