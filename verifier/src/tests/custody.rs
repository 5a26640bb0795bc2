//! How the evidence is kept, and what cannot be read: rows 26 and 27. Locks and versions are in `versions`.

use std::ops::Range;

use store::memory::{Between, Memory};
use store::{Error, Kind, Object, Store, Version};

use super::{both, chain_0, chain_1, check, memory, options};
use crate::testing::Objects;
use crate::{Check, Options, Report, Verdict, verify};

/// Row 26.
#[test]
fn an_object_that_the_layout_does_not_know_puts_custody_at_risk_and_no_more() {
    let (zero, one) = (chain_0(), chain_1());
    for key in [
        "README",
        "acme.example/audit/0/segments/date=2026-11-21/00000000000000000000.avro.bak",
        "acme.example/audit/0/trees/300.tiles",
        "acme.example/audit/0/schemas/none.avsc",
        "elsewhere/checkpoint",
    ] {
        let mut objects = both(&zero, &one);
        objects.insert(key.to_owned(), b"?".to_vec());
        let report = check(&objects);
        assert_eq!((report.verdict, report.exit_code(false)), (Verdict::CustodyAtRisk, 1), "{key}: {report}");
        let first = report.first.unwrap();
        assert_eq!((first.check, first.key.as_deref()), (Check::Layout, Some(key)));
    }
    let mut objects = both(&zero, &one);
    for key in ["acme.example/audit/0/probe/x/checkpoint", "acme.example/audit/0/cosignatures/w/1"] {
        objects.insert(key.to_owned(), b"?".to_vec());
    }
    assert_eq!(check(&objects).verdict, Verdict::Unanchored, "reserved folders are known");
}

/// A store that does not give some objects that it lists.
struct Withholding {
    inner: Memory,
    key_part: &'static str,
    kind: Kind,
}

impl Between for Withholding {
    fn below(&self) -> &Memory {
        &self.inner
    }

    fn get_between(
        &self,
        key: &str,
        version: Option<&Version>,
        range: Option<Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<Object> {
        match key.contains(self.key_part) {
            true => Err(Error::new(self.kind, key, "not today")),
            false => self.inner.get(key, version, range, max_bytes),
        }
    }
}

fn withheld(objects: &Objects, key_part: &'static str, kind: Kind, options: &Options) -> Report {
    verify(&Withholding { inner: memory(objects), key_part, kind }, options)
}

/// Row 27.
#[test]
fn what_cannot_be_read_is_neither_intact_nor_broken() {
    let (zero, one) = (chain_0(), chain_1());
    let objects = both(&zero, &one);
    let known = vec![super::known("kept", &zero.note(300)), super::known("new", &zero.note(565))];
    let pinned = Options { pinned: vec![zero.vkey()], known, ..options() };
    for key_part in [
        "/0/segments/",
        "00000000000000000300.avro",
        "/0/trees/",
        "/0/checkpoints/",
        "/1/keys/",
        "/0/keys/",
        "/schemas/",
        "/0/checkpoint",
        "audit",
    ] {
        for kind in [Kind::Away, Kind::Missing, Kind::Refused] {
            for options in [&options(), &pinned] {
                let report = withheld(&objects, key_part, kind, options);
                assert_eq!(
                    (report.verdict, report.exit_code(false)),
                    (Verdict::Inconclusive, 3),
                    "{key_part}: {report}"
                );
                assert!(report.findings.iter().all(|finding| finding.check == Check::Readable), "{report}");
            }
        }
    }
    let store = memory(&objects);
    store.set_away(true);
    assert_eq!(verify(&store, &pinned).verdict, Verdict::Inconclusive, "not even listed");
}

/// Row 27: damage elsewhere counts for more.
#[test]
fn broken_outweighs_what_could_not_be_read_and_that_outweighs_custody() {
    let (mut zero, one) = (chain_0(), chain_1());
    zero.objects.insert("README".to_owned(), vec![]);
    let objects = both(&zero, &one);
    assert_eq!(withheld(&objects, "/1/segments", Kind::Away, &options()).verdict, Verdict::Inconclusive);
    zero.change_trees(0, |trees| trees.segment_sha256.0[0] ^= 1);
    let report = withheld(&both(&zero, &one), "/1/segments", Kind::Away, &options());
    assert_eq!(report.verdict, Verdict::Broken);
    assert_eq!(report.first.unwrap().check, Check::SegmentDigest);
    assert_eq!(report.chains[1].verdict, Verdict::Inconclusive);
}
