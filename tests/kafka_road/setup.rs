//! `sealog init` and `sealog doctor`: what they make, what they refuse, and what they say to do.

use std::collections::BTreeMap;

use crate::harness::archive::own_acts;
use crate::harness::deployment::{Deployment, ORIGIN, broker};
use crate::harness::process::{Up, said};
use crate::harness::wait_for;

const QUICK: &str = "[segment]\nmax_age = \"2s\"\n";

fn error(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn init_makes_what_is_missing_says_so_and_is_safe_to_repeat() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::new(&broker, 2, &[("app", 1)], QUICK);
    let before = deployment.sealog(&["doctor"]);
    assert_eq!(before.status.code(), Some(1));
    assert!(said(&before).contains("audit.events is missing: run `sealog init`"), "{}", said(&before));
    let chainer = deployment.sealog(&["chainer"]);
    assert!(!chainer.status.success() && error(&chainer).contains("sealog init"), "{}", error(&chainer));

    let first = deployment.sealog(&["init"]);
    assert_eq!(first.status.code(), Some(0), "{}", error(&first));
    for made in ["made topic audit.sealed", "made key", "began chain acme.example/audit/1"] {
        assert!(said(&first).contains(made), "{}", said(&first));
    }
    let second = deployment.sealog(&["init"]);
    assert_eq!(second.status.code(), Some(0), "{}", error(&second));
    assert!(said(&second).contains("nothing was changed"), "{}", said(&second));
    let after = deployment.sealog(&["doctor"]);
    assert_eq!(after.status.code(), Some(0), "{}", said(&after));
    assert!(said(&after).contains("Nothing is wrong."), "{}", said(&after));
}

#[test]
fn wrong_settings_are_refused_by_every_stage_and_mended_only_with_yes() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made(&broker, 1, &[("app", 1)], QUICK);
    let wrong = BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]);
    deployment.kafka.set_topic(stream::topics::EVENTS, &wrong).unwrap();
    for stage in ["ingestor", "chainer", "archiver", "trimmer", "up"] {
        let config = deployment.config.to_str().unwrap();
        let refused = Up::try_run(&[stage, "--config", config], &[]).err().expect("it refuses");
        assert!(
            refused.contains("retention.ms") && refused.contains("sealog init --yes"),
            "{stage}: {refused}"
        );
    }
    let doctor = deployment.sealog(&["doctor"]);
    assert!(said(&doctor).contains("WRONG") && said(&doctor).contains("retention.ms"), "{}", said(&doctor));
    let init = deployment.sealog(&["init"]);
    assert!(!init.status.success() && error(&init).contains("nothing was touched"), "{}", error(&init));
    let init = deployment.sealog(&["init", "--yes"]);
    assert!(
        said(&init).contains("set on topic audit.events: retention.ms=-1"),
        "{}{}",
        said(&init),
        error(&init)
    );
    assert_eq!(deployment.sealog(&["doctor"]).status.code(), Some(0));
}

#[test]
fn chains_grow_when_it_is_asked_for_and_every_chain_records_it() {
    let Some(broker) = broker() else { return };
    let deployment = Deployment::made(&broker, 1, &[("app", 2)], QUICK);
    let up = deployment.start("up");
    wait_for("it has begun to seal", 30, || (deployment.sealed(0) > 0).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    let three = [("SEALOG_CHAINS", "3")];
    let config = deployment.config.to_str().unwrap();
    let refused = Up::try_run(&["up", "--config", config], &three).err().expect("it refuses");
    assert!(refused.contains("--grow"), "{refused}");
    let grown = std::fs::read_to_string(&deployment.config).unwrap().replace("chains = 1", "chains = 3");
    std::fs::write(&deployment.config, grown).unwrap();
    let refused = deployment.sealog(&["init"]);
    assert!(!refused.status.success() && error(&refused).contains("--grow"), "{}", error(&refused));
    let init = deployment.sealog(&["init", "--grow"]);
    assert_eq!(init.status.code(), Some(0), "{}", error(&init));
    let deployment = Deployment { chains: 3, ..deployment };
    let up = deployment.start("up");
    let archived = |chain: u32| {
        let archive = deployment.archive();
        own_acts(archive, &format!("{ORIGIN}/{chain}"), "sealog.chains_grew")
    };
    wait_for("every chain has recorded it", 30, || (0..3).all(|chain| archived(chain) == 1).then_some(()));
    assert_eq!(up.stop().0.code(), Some(0));
    deployment.verified("after growing");
    let fewer = std::fs::read_to_string(&deployment.config).unwrap().replace("chains = 3", "chains = 2");
    std::fs::write(&deployment.config, fewer).unwrap();
    let refused = deployment.sealog(&["init", "--grow"]);
    assert!(!refused.status.success() && error(&refused).contains("set chains = 3"), "{}", error(&refused));
}
