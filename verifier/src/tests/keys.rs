//! Keys: what is said of one that took over, and of one that may not be.

use schemas::{Place, Signing};

use super::{CHAIN_0, CHAIN_1, assert_broken, check, memory, options};
use crate::testing::{ChainBuilder, events, rows};
use crate::{Bound, Check, Options, Scope, Verdict, verify};

#[test]
fn a_key_that_fits_every_signature_is_named_for_it() {
    let case = rows::row_19_a_key_that_fits_every_signature().remove(0);
    assert!(check(&case.objects).first.unwrap().found.contains("small order"));
}

/// A chain whose second key signs from size 11 on.
fn rotated() -> ChainBuilder {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..10)).rotate(8).seal(events(10..20));
    chain
}

#[test]
fn a_key_that_took_over_is_followed_and_either_may_be_pinned() {
    let chain = rotated();
    let store = memory(&chain.objects);
    for seed in [7, 8] {
        let pinned = vec![Signing::from_seed(&[seed; 32]).vkey(CHAIN_0)];
        let report = verify(&store, &Options { pinned, ..options() });
        assert_eq!(report.verdict, Verdict::Unanchored, "{report}");
    }
    let known = vec![super::known("kept", &chain.note(10)), super::known("later", &chain.note(20))];
    let report = verify(&store, &Options { pinned: vec![chain.vkey()], known, ..options() });
    assert_eq!(report.verdict, Verdict::Intact, "{report}");
    assert_eq!(report.chains[0].keys.len(), 2);
    // In force from the next size on, but it has signed nothing yet.
    let mut early = ChainBuilder::begin(CHAIN_0, 7);
    early.seal(events(0..10)).rotate(8);
    let pinned = Options { pinned: vec![early.vkey()], ..options() };
    let first = verify(&memory(&early.objects), &pinned).first.unwrap();
    assert_eq!((first.check, first.key), (Check::KeyPinned, Some(early.key(&Place::Key(0)))));
    assert!(first.found.contains("has signed no checkpoint"), "{}", first.found);
    assert_eq!(super::check(&early.objects).verdict, Verdict::Unanchored);
}

/// A chain of one key that is revoked from its second checkpoint on.
fn of_one_key() -> (ChainBuilder, Options) {
    let mut chain = ChainBuilder::begin(CHAIN_0, 7);
    chain.seal(events(0..10)).seal(events(10..20)).seal(events(20..30)).seal(events(30..40));
    let revoked = vec![(chain.vkey(), 20)];
    (chain, Options { revoked, ..options() })
}

#[test]
fn what_a_revoked_key_signed_is_found_however_little_is_walked() {
    let (chain, full) = of_one_key();
    let store = memory(&chain.objects);
    let range = |from, to| Scope::Range { from: Some(Bound::Seq(from)), to: Some(Bound::Seq(to)) };
    let quick = Scope::Quick { sample: 1, seed: 3 };
    for scope in [Scope::Full, quick, range(0, 3), range(12, 13), range(33, 35)] {
        let asked = Options { scope: scope.clone(), ..full.clone() };
        let report = verify(&store, &asked);
        assert_broken(&report, Check::KeyRevoked, &chain.key(&Place::Checkpoint(20)), (10, 39));
        assert_eq!(report.findings.len(), 1, "{scope:?}: {report}");
        let known = vec![super::known("kept", &chain.note(30))];
        let report = verify(&store, &Options { known, ..asked.clone() });
        assert_broken(&report, Check::KeyRevoked, &chain.key(&Place::Checkpoint(40)), (30, 39));
        let known = vec![super::known("kept", &chain.note(40))];
        let report = verify(&store, &Options { known, ..asked });
        assert_eq!((report.verdict.exit_code(false), report.findings.len()), (0, 0), "{scope:?}: {report}");
    }
}

#[test]
fn the_report_says_which_keys_are_revoked_and_why_that_breaks_it() {
    let (chain, options) = of_one_key();
    let report = verify(&memory(&chain.objects), &options);
    assert_eq!(report.revoked[0].vkey, chain.vkey().to_string());
    assert_eq!((report.revoked[0].size, report.chains[0].keys[0].revoked_from), (20, Some(20)));
    let page = report.to_string();
    for due in [
        format!("revoked: {} from size 20 on, as --revoked says\n", chain.vkey()),
        "taken from the archive on trust, revoked from size 20 on\n".to_owned(),
        "seqs 10 to 39 are vouched for by a revoked key alone".to_owned(),
        "who holds the key can sign any size".to_owned(),
    ] {
        assert!(page.contains(&due), "{due:?} in\n{page}");
    }
    assert!(!verify(&memory(&chain.objects), &super::options()).to_string().contains("revoked"));
}

#[test]
fn a_revoked_key_is_revoked_in_every_chain_and_each_has_its_own_size() {
    let (zero, one) = (super::chain_0(), super::chain_1());
    let store = memory(&super::both(&zero, &one));
    let check = |sizes: &[(&str, u64)]| {
        let revoked = sizes.iter().map(|(name, size)| (zero.vkey().renamed(name), *size)).collect();
        verify(&store, &Options { revoked, ..options() })
    };
    let report = check(&[(CHAIN_0, 305)]);
    assert_broken(&report, Check::KeyRevoked, &zero.key(&Place::Checkpoint(305)), (300, 564));
    let of_one = &report.findings[1];
    assert_eq!(
        (of_one.chain.as_deref(), of_one.first_seq, of_one.last_seq),
        (Some(CHAIN_1), Some(0), Some(19))
    );
    assert!(of_one.found.contains("no size was given for this chain"), "{}", of_one.found);
    assert_eq!(check(&[(CHAIN_0, 566), (CHAIN_1, 21)]).verdict, Verdict::Unanchored);
    let report = check(&[(CHAIN_0, 566), (CHAIN_1, 20)]);
    assert_broken(&report, Check::KeyRevoked, &one.key(&Place::Checkpoint(20)), (10, 19));
}

#[test]
fn who_was_handed_over_to_before_what_was_kept_goes_on_and_who_was_after_does_not() {
    let mut chain = rotated();
    chain.seal(events(20..30));
    let revoked = vec![(Signing::from_seed(&[7; 32]).vkey(CHAIN_0), 10)];
    let with = |size| {
        let known = vec![super::known("kept", &chain.note(size))];
        verify(&memory(&chain.objects), &Options { revoked: revoked.clone(), known, ..options() })
    };
    assert_eq!(with(20).verdict, Verdict::Unanchored, "{}", with(20));
    let report = with(10);
    assert_broken(&report, Check::KeyRevoked, &chain.key(&Place::Checkpoint(20)), (10, 29));
    assert_eq!(report.chains[0].keys[1].revoked_from, Some(11));
    assert!(report.findings[0].found.contains(&format!("it handed over to {}", chain.vkey())), "{report}");
}

#[test]
fn a_revoked_key_that_the_archive_does_not_know_may_be_mistyped_and_that_is_said() {
    let (chain, stranger) = (of_one_key().0, Signing::from_seed(&[9; 32]).vkey(CHAIN_0));
    let revoked = vec![(stranger.clone(), 0), (chain.vkey().renamed("elsewhere/0"), 41)];
    let report = verify(&memory(&chain.objects), &Options { revoked, ..options() });
    assert_eq!(report.notices.len(), 1, "a key is known whatever its name: {report}");
    let notice = &report.notices[0];
    assert_eq!(notice.kind, "revoked-unknown");
    assert!(notice.text.contains(&stranger.to_string()), "{}", notice.text);
}
