//! A broker that asks who comes and what they may do: the rights that docs/OPERATING.md lists are enough for each
//! identity, each of them is needed, and no process says a password.

mod site;
mod table;

use std::path::Path;
use std::thread;

use stream::kafka::MAX_MESSAGE_BYTES;
use stream::{Batch, Kind, Lane, Limit, Log, topics};

use self::site::{Site, names};
use self::table::{Names, Right, TABLE, allow, allow_all_but, own_rights_of, rights_of, rows_of};
use crate::harness::archive::own_acts;
use crate::harness::deployment::{Deployment, ORIGIN};
use crate::harness::process::{Up, post_with_key, said};
use crate::harness::wait_for;

/// The stages, in the order of the road, and who runs `init`.
const STAGES: [&str; 4] = ["ingestor", "chainer", "archiver", "trimmer"];
const INITS: [&str; 3] = ["init", "init --yes", "init --grow"];
/// Chains of another origin, so that their owners fence none of the road's.
const OTHER: &str = "acme.example/other";
const CHAINS: u32 = 2;
const EVENTS: usize = 200;

const MORE: &str =
    "[segment]\nmax_age = \"2s\"\n[trimmer]\nafter = \"0s\"\nretries = \"0s\"\nwait_for = [\"siem\"]\n";

/// `init --yes` comes as `init-yes`.
fn user(who: &str) -> String {
    who.trim_start_matches("a ").replace(" --", "-")
}

/// Who has all rights of `who` but the one of this number.
fn without(who: &str, n: usize) -> String {
    format!("{}-without-{n}", user(who))
}

#[test]
fn the_table_of_rights_is_the_one_in_the_docs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATING.md");
    let page = std::fs::read_to_string(page).unwrap();
    let row = |(who, on, to): &(&str, &str, &[&str])| {
        (who.to_string(), on.to_string(), to.iter().map(|to| to.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(rows_of(&page), TABLE.iter().map(row).collect::<Vec<_>>());
}

#[test]
fn the_rights_in_the_docs_are_enough_and_each_is_needed() {
    if !super::can_run_a_broker() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cases = |who: &&str| (0..own_rights_of(who).len()).map(|n| without(who, n)).collect::<Vec<_>>();
    let all = || STAGES.iter().chain(&INITS).chain(&["doctor"]);
    let mut users: Vec<String> = all().map(|who| user(who)).chain(all().flat_map(cases)).collect();
    users.extend(["service", "stranger"].map(str::to_owned));
    let site = Site::start(folder.path(), &users);
    let (road, other) = (site.deployment(CHAINS, MORE), site.deployment(1, MORE));
    site.broker.acls(&rules(&road, &other));
    let stages = thread::scope(|scope| {
        scope.spawn(|| beginnings(&site, &other));
        strangers(&site, &road);
        the_road(&site, &road)
    });
    let each = own_rights_of("ingestor").len();
    let mut ids =
        [events("a"), events("b"), events("c")[..1].to_vec(), events("w")[..each].to_vec()].concat();
    if std::env::var_os("SEALOG_TEST_LONG").is_some() {
        ids.extend(outlive_a_silent_broker(&site, &stages));
    }
    let mut ids: Vec<String> = ids.iter().map(|event| event[7..12].to_owned()).collect();
    ids.sort();
    wait_for("all is archived", 60, || (road.ids().len() >= ids.len()).then_some(()));
    stages.into_iter().for_each(|up| site.stop(up));
    assert_eq!(road.ids(), ids);
    let rejected = |chain| own_acts(road.archive(), &format!("{ORIGIN}/{chain}"), "sealog.rejected");
    assert_eq!((0..CHAINS).map(rejected).sum::<usize>(), 2 + each);
    road.verified("of a broker with rights");
}

fn events(part: &str) -> Vec<String> {
    (0..EVENTS).map(|n| format!("{{\"id\":\"{part}-{n:03}\"}}")).collect()
}

/// Everyone's rights, in one call.
fn rules(road: &Deployment, other: &Deployment) -> String {
    let (here, there) = (names(road, ORIGIN), names(other, OTHER));
    let mut rules = allow("service", &rights_of("a service"), &here);
    rules += &allow("init", &rights_of("init"), &here);
    for who in STAGES.into_iter().chain(["doctor"]) {
        rules += &allow(who, &rights_of(who), &here);
        for (n, missing) in own_rights_of(who).into_iter().enumerate() {
            rules += &allow_all_but(&without(who, n), who, missing, &here);
        }
    }
    rules += &allow("chainer", &rights_of("chainer"), &there);
    for who in INITS {
        rules += &allow(&user(who), &rights_of(who), &there);
        for (n, missing) in own_rights_of(who).into_iter().enumerate() {
            let names = Names { prefix: prefix_of(missing, n, other), ..there.clone() };
            rules += &allow_all_but(&without(who, n), who, missing, &names);
        }
    }
    rules
}

/// What could not be made by one could be made by the next: whoever lacks Create has topics of its own to make.
fn prefix_of(missing: Right, n: usize, place: &Deployment) -> String {
    if missing.to == "Create" { format!("{}{n}.", place.prefix) } else { place.prefix.clone() }
}

/// `init`, three times: on a new cluster, over wrong settings, and to grow.
fn beginnings(site: &Site, place: &Deployment) {
    let origin = ("SEALOG_ORIGIN", OTHER);
    let refused = |who: &str, n: usize, missing: Right, chains: &str| {
        let prefix = prefix_of(missing, n, place);
        let data = place.folder.path().join(if missing.to == "Create" { &prefix } else { "data" });
        let data = data.to_str().unwrap();
        let env =
            [origin, ("SEALOG_CHAINS", chains), ("SEALOG_KAFKA_PREFIX", &prefix), ("SEALOG_DATA_DIR", data)];
        let args: Vec<&str> = who.split(' ').collect();
        let (output, last) = site.command(place, &without(who, n), &args, &env);
        assert!(!output.status.success(), "{who} without {missing:?} goes through: {}", said(&output));
        is_named(&last, who, missing, &names(place, OTHER));
    };
    let goes_through = |who: &str, chains: &str| {
        let args: Vec<&str> = who.split(' ').collect();
        let (output, last) = site.command(place, &user(who), &args, &[origin, ("SEALOG_CHAINS", chains)]);
        assert!(output.status.success(), "{who}: {last}");
        said(&output)
    };
    // What is read of a chain that has not begun is nothing, and settings are read where there is a topic.
    let needed_to_repeat = |right: &Right| {
        right.to == "DescribeConfigs" || (right.to == "Read" && right.on == "topic `audit.sealed`")
    };
    let (later, first): (Vec<_>, Vec<_>) =
        own_rights_of("init").into_iter().enumerate().partition(|(_, right)| needed_to_repeat(right));
    first.into_iter().for_each(|(n, right)| refused("init", n, right, "1"));
    goes_through("init", "1");
    later.into_iter().for_each(|(n, right)| refused("init", n, right, "1"));
    assert!(goes_through("init", "1").contains("nothing was changed"));

    let small = [("max.message.bytes".to_owned(), "1000".to_owned())].into();
    for (n, right) in own_rights_of("init --yes").into_iter().enumerate() {
        for topic in [topics::EVENTS, topics::REJECTED, topics::SEALED] {
            place.kafka.set_topic(topic, &small).unwrap();
        }
        refused("init --yes", n, right, "1");
    }
    let mended = goes_through("init --yes", "1");
    assert!(mended.contains(&format!("max.message.bytes={MAX_MESSAGE_BYTES}")), "{mended}");

    // It is a growth once something is sealed, and is recorded once there is room for it.
    let chainer = site.start_as(place, "chainer", "chainer", &[origin]);
    wait_for("its start is sealed", 30, || (place.sealed(0) > 0).then_some(()));
    site.stop(chainer);
    let mut grow: Vec<_> = own_rights_of("init --grow").into_iter().enumerate().collect();
    grow.sort_by_key(|(_, right)| right.to == "Write");
    grow.into_iter().for_each(|(n, right)| refused("init --grow", n, right, "2"));
    let grown = goes_through("init --grow", "2");
    assert!(grown.contains("began chain acme.example/other/1"), "{grown}");
}

/// Who is nobody here, or takes somebody else for the broker, is told so at the start.
fn strangers(site: &Site, place: &Deployment) {
    let login = site.login("chainer");
    let without =
        |name: &str| login.split(',').filter(|pair| !pair.starts_with(name)).collect::<Vec<_>>().join(",");
    for stage in STAGES.into_iter().chain(["up"]) {
        let words = site.refused(place, "stranger", stage);
        assert!(words.contains("audit.") && words.contains("an ACL to Describe"), "{stage}: {words}");
        // Whoever the machine itself trusts has not signed this broker's certificate.
        let words = site.refused_with(place, &without("ssl.ca.location"), stage);
        assert!(words.contains("certificate") && words.contains("ssl.ca.location"), "{stage}: {words}");
    }
    let another = login.replace("sasl.username=chainer", "sasl.username=archiver");
    let words = site.refused_with(place, &another, "chainer");
    assert!(words.contains("invalid credentials") && words.contains("sasl.password"), "{words}");
    let misspelt = login.replace("sasl.password", "sasl.pasword");
    let words = site.refused_with(place, &misspelt, "chainer");
    assert!(words.contains("sasl.pasword"), "{words}");
}

/// Each stage, first as those who lack one right, while there is work for it; then with all that it needs.
fn the_road(site: &Site, place: &Deployment) -> [Up; 4] {
    let (init, last) = site.command(place, "init", &["init"], &[]);
    assert!(init.status.success(), "{last}");
    let raw = &place.raw[0];
    let produce = |values: &[String]| site.produce("service", raw, values).unwrap();
    assert_eq!(site.produce("stranger", raw, &events("x")).unwrap_err().kind(), Kind::Refused);

    // What is in audit.events is read back by the next ingestor.
    produce(&[vec!["no event".to_owned()], events("a")].concat());
    let ingestor = site.start_as(place, "ingestor", "ingestor", &[]);
    wait_for("the first part is taken", 30, || {
        (ingestor.metric("sealog_ingestor_events_total{source=\"kafka\"}") > EVENTS as f64).then_some(())
    });
    site.stop(ingestor);
    produce(&[vec!["no event either".to_owned()], events("b")].concat());
    // Who may not read back takes what there is before that is seen: there is something for each.
    each_is_needed(site, place, "ingestor", |n| {
        produce(&["no event for this one".to_owned(), events("w")[n].clone()])
    });
    let ingestor = site.start_as(place, "ingestor", "ingestor", &[]);
    each_is_needed(site, place, "chainer", |_| ());
    let chainer = site.start_as(place, "chainer", "chainer", &[]);
    each_is_needed(site, place, "archiver", |_| ());
    let archiver = site.start_as(place, "archiver", "archiver", &[]);
    assert_eq!(ingestor.post(&events("c")[0]).0, 202);
    wait_for("all is archived", 60, || (place.archived() > 2 * EVENTS as u64 + 5).then_some(()));
    site.siem_has_read(&place.kafka.topic_name(topics::SEALED), CHAINS, 1 << 40);
    each_is_needed(site, place, "trimmer", |_| ());
    let trimmer = site.start_as(place, "trimmer", "trimmer", &[]);
    wait_for("both topics are trimmed", 30, || {
        let starts = |topic| (0..CHAINS).any(|chain| start_of(place, &Lane::new(topic, chain)) > 0);
        (starts(topics::EVENTS) && starts(topics::SEALED)).then_some(())
    });
    a_doctor_looks(site, place);
    [ingestor, chainer, archiver, trimmer]
}

/// A right that nobody needs explains no timeout: a broker that does not answer is waited for. Answers what was sent.
fn outlive_a_silent_broker(site: &Site, stages: &[Up; 4]) -> Vec<String> {
    let [ingestor, _, _, trimmer] = stages;
    let sent = events("d");
    // Whether it was taken is not known after a 503, so it is sent under a key.
    let post = |event: &str| post_with_key(&ingestor.url, "d", event).map(|(status, _)| status);
    let before = trimmer.metric("sealog_trimmer_failures_total");
    site.broker.stopped_while(|| {
        assert_eq!(post(&sent[0]), Some(503));
        wait_for("the trimmer has waited in vain", 60, || {
            (trimmer.metric("sealog_trimmer_failures_total") > before).then_some(())
        });
    });
    wait_for("it is taken", 60, || (post(&sent[0]) == Some(202)).then_some(()));
    sent[..1].to_vec()
}

/// `doctor` finds nothing wrong, or what it may not see.
fn a_doctor_looks(site: &Site, place: &Deployment) {
    let looks = |user: &str| said(&site.command(place, user, &["doctor"], &[]).0);
    let well = looks("doctor");
    assert!(well.contains("Nothing is wrong.") && !well.contains("note "), "{well}");
    for (n, missing) in own_rights_of("doctor").into_iter().enumerate() {
        let said = looks(&without("doctor", n));
        let finding = said.lines().filter(|line| line.starts_with("WRONG") || line.starts_with("note"));
        is_named(&finding.collect::<Vec<_>>().join("\n"), "doctor", missing, &names(place, ORIGIN));
    }
}

/// One user after the other, each with all rights of the stage but one, `before` which there is work. Whoever may not see where a group stands waits
/// long to be told, and does nothing before: those wait side by side.
fn each_is_needed(site: &Site, place: &Deployment, stage: &str, before: impl Fn(usize) + Sync) {
    let is_needed = &|n: usize, missing: Right| {
        before(n);
        let words = site.refused(place, &without(stage, n), stage);
        is_named(&words, stage, missing, &names(place, ORIGIN));
    };
    let waits_long = |right: &Right| right.on.contains("group") && right.to == "Describe";
    let (slow, quick): (Vec<_>, Vec<_>) =
        own_rights_of(stage).into_iter().enumerate().partition(|(_, right)| waits_long(right));
    thread::scope(|scope| {
        for (n, missing) in slow {
            scope.spawn(move || is_needed(n, missing));
        }
        quick.into_iter().for_each(|(n, missing)| is_needed(n, missing));
    });
}

/// Whoever reads the last words knows what to allow, and on what.
fn is_named(words: &str, who: &str, missing: Right, names: &Names) {
    let thing = missing.thing(names);
    let thing = thing.strip_prefix(&names.prefix).unwrap_or(&thing);
    let is_said = words.contains(missing.to) || words.contains("an ACL of the topic");
    assert!(words.contains(thing) && is_said, "{who} without {missing:?} says: {words}");
}

/// The first offset that a lane still holds.
fn start_of(place: &Deployment, lane: &Lane) -> u64 {
    let one = Limit { records: 1, bytes: 1 };
    match place.kafka.read(lane, 0, &mut Batch::new(), one, std::time::Duration::ZERO) {
        Err(error) => match error.kind() {
            Kind::OutOfRange { start, .. } => start,
            _ => panic!("{error}"),
        },
        Ok(()) => 0,
    }
}
