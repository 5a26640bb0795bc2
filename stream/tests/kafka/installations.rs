//! Several installations on one cluster, told apart by their prefixes.

use std::sync::Arc;
use std::time::Duration;

use stream::kafka::{Kafka, Options, Topic};
use stream::{Fence, Groups, Kind, Lane, Log, Role, topics};

use super::{PATIENCE, Site, all, batch, take_one, texts, win};

/// With the topics that every installation has, and the raw topic that all of them read.
fn installation(site: &Site, prefix: &str) -> Arc<Kafka> {
    let kafka = Kafka::connect(Options { prefix: prefix.to_owned(), ..Options::new(&site.broker) }).unwrap();
    for name in [topics::EVENTS, topics::SEALED] {
        let name = kafka.topic_name(name);
        assert_eq!(name, format!("{prefix}{}", &name[prefix.len()..]));
        let topic =
            Topic { name: name.clone(), partitions: 1, replicas: Some(1), config: Default::default() };
        assert_eq!(kafka.create_topics(&[topic]).unwrap(), [name]);
    }
    Arc::new(kafka)
}

#[test]
fn installations_have_topics_groups_and_positions_of_their_own_under_the_same_names() {
    let Some(site) = Site::new() else { return };
    let here = installation(&site, &format!("{}.", site.name("here")));
    let there = installation(&site, &format!("{}.", site.name("there")));
    let (source, output) = (topics::events(0), topics::sealed(0));
    let role = Role {
        group: "sealog.worker".into(),
        sources: vec![topics::EVENTS.into()],
        fence: Fence::Whole("worker-0".into()),
    };
    let mut claims = Vec::new();
    for (kafka, value) in [(&here, "here"), (&there, "there")] {
        kafka.append(&batch(&source, &[value, "2"])).unwrap();
        let mut member = kafka.join(&role).unwrap();
        let mut claim = win(&mut *member);
        assert_eq!(claim.lanes(), std::slice::from_ref(&source));
        claim.start_at(&source, 0).unwrap();
        assert_eq!(take_one(&mut *claim), (value.to_owned(), 0));
        claims.push((member, claim));
    }
    // The same id of another installation does not fence: both commit.
    for ((_, claim), position) in claims.iter_mut().zip([1, 2]) {
        claim.commit(&batch(&output, &["sealed"]), &[(source.clone(), position)]).unwrap();
    }
    let lanes = std::slice::from_ref(&source);
    assert_eq!(here.positions(&role.group, lanes).unwrap(), [Some(1)]);
    assert_eq!(there.positions(&role.group, lanes).unwrap(), [Some(2)]);
    assert_eq!((all(&here, &output), all(&there, &output)), (vec!["sealed".into()], vec!["sealed".into()]));
    assert_eq!(texts(&here.last(&source).unwrap()), ["2"]);

    here.trim(&source, 2).unwrap();
    let mut got = stream::Batch::new();
    let gone = here.read(&source, 0, &mut got, super::AMPLE, PATIENCE).unwrap_err();
    assert!(matches!(gone.kind(), Kind::OutOfRange { start: 2, .. }), "{gone}");
    // What is said bears the name that Kafka knows; what is decided by, the one that stages know.
    assert!(gone.to_string().contains(&here.topic_name(topics::EVENTS)), "{gone}");
    assert_eq!(gone.lane(), Some(&source));
    there.read(&source, 0, &mut got, super::AMPLE, PATIENCE).unwrap();
    assert_eq!(texts(&got), ["there", "2"]);
}

#[test]
fn what_is_not_sealogs_own_bears_no_prefix() {
    let Some(site) = Site::new() else { return };
    let (lane, prefix) = (site.lane("raw"), format!("{}.", site.name("here")));
    let here = installation(&site, &prefix);
    site.kafka.append(&batch(&lane, &["a"])).unwrap();
    let group = site.name("siem");
    let role = Role { group: group.clone(), sources: vec![lane.topic.to_string()], fence: Fence::Reader };
    let mut member = here.join(&role).unwrap();
    let mut claim = win(&mut *member);
    claim.start_at(&lane, 0).unwrap();
    assert_eq!(take_one(&mut *claim).0, "a");
    claim.commit(&stream::Batch::new(), &[(lane.clone(), 1)]).unwrap();
    assert_eq!(
        site.kafka.positions(&group, &[lane.clone(), Lane::new(&lane.topic, 9)]).unwrap(),
        [Some(1), None]
    );
    assert_eq!(here.topic_name(&lane.topic), *lane.topic);

    let missing = Role { sources: vec![topics::REJECTED.into()], ..role };
    let error = here.join(&missing).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(&format!("{prefix}audit.rejected")), "{error}");
    let refused = Kafka::connect(Options { prefix: "no/name".into(), ..Options::new(&site.broker) });
    assert_eq!(refused.map(|_| ()).unwrap_err().kind(), Kind::Refused);
}

/// A reader keeps marks too: what it read up to is looked at when it goes on.
#[test]
fn a_reader_goes_on_only_behind_the_record_that_it_has_read() {
    let Some(site) = Site::new() else { return };
    let (lane, other) = (site.lane("read"), site.lane("other"));
    for lane in [&lane, &other] {
        site.kafka.append(&batch(lane, &[&lane.topic, "b"])).unwrap();
    }
    let role = |lane: &Lane, group: &str| Role {
        group: group.to_owned(),
        sources: vec![lane.topic.to_string()],
        fence: Fence::Reader,
    };
    let group = site.name("group");
    for _ in 0..2 {
        let mut member = site.kafka.join(&role(&lane, &group)).unwrap();
        let mut claim = win(&mut *member);
        let position = site.kafka.positions(&group, std::slice::from_ref(&lane)).unwrap()[0].unwrap_or(0);
        claim.start_at(&lane, position).unwrap();
        let (_, offset) = take_one(&mut *claim);
        assert_eq!(offset, position, "the record before is looked at, not given out");
        claim.commit(&stream::Batch::new(), &[(lane.clone(), offset + 1)]).unwrap();
    }
    // With the mark of a record of another lane, as if this one had been another then.
    let beside = site.beside_position(&group, &lane);
    assert!(beside.starts_with("sealog/1:"), "{beside}");
    site.kafka.append(&batch(&other, &["c"])).unwrap();
    site.put_position(&group, &other, 2, &beside);
    let mut member = site.kafka.join(&role(&other, &group)).unwrap();
    let mut claim = win(&mut *member);
    claim.start_at(&other, 2).unwrap();
    let mut got = stream::Batch::new();
    let refused = claim.take(&mut got, super::AMPLE, PATIENCE).unwrap_err();
    assert_eq!((refused.kind(), refused.lane(), got.len()), (Kind::Refused, Some(&other), 0), "{refused}");
    assert!(claim.take(&mut got, super::AMPLE, Duration::ZERO).is_err(), "the claim has ended");
}
