//! `sealog verify` without a process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use clap::Parser;
use schemas::Signing;
use store::Mode;
use store::directory::{Directory, Options as DirectoryOptions};
use verifier::testing::{ChainBuilder, events, store_objects};

use super::promise::*;
use super::*;

fn args(archive: &Path, key: Option<String>, known: Vec<PathBuf>) -> Verify {
    let (archive, at) = (archive.display().to_string(), AtS3::default());
    Verify {
        archive,
        at,
        key,
        revoked: Vec::new(),
        known,
        from: None,
        to: None,
        quick: false,
        sample: 20,
        seed: None,
        locked: None,
        keep: None,
        json: true,
        require_anchor: false,
    }
}

#[test]
fn a_key_is_taken_as_text_or_file_and_the_secret_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let signing = Signing::from_seed(&[7; 32]);
    let (vkey, file) = (signing.vkey("a/0"), folder.path().join("key"));
    assert_eq!(pinned(&vkey.to_string()).unwrap(), std::slice::from_ref(&vkey));
    fs::write(&file, format!("# ours\n{vkey}\n\n{}\n", vkey.renamed("a/1"))).unwrap();
    assert_eq!(pinned(file.to_str().unwrap()).unwrap(), [vkey.clone(), vkey.renamed("a/1")]);
    fs::write(&file, signing.to_file().as_bytes()).unwrap();
    let refused = format!("{:#}", pinned(file.to_str().unwrap()).unwrap_err());
    assert!(refused.contains("secret key") && !refused.contains("sealog-key-v1"), "{refused}");
    assert!(pinned("a+00000000+AAAA").is_err());
}

#[test]
fn a_revoked_key_is_one_as_for_a_pin_and_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let (vkey, file) = (Signing::from_seed(&[7; 32]).vkey("a/0"), folder.path().join("stolen@home"));
    let given = |given: String| given::revoked(&[given]);
    assert_eq!(given(format!("{vkey}@4200")).unwrap(), [(vkey.clone(), 4_200)]);
    fs::write(&file, format!("{vkey}\n{}\n", vkey.renamed("a/1"))).unwrap();
    let both = [(vkey.clone(), 7), (vkey.renamed("a/1"), 7)];
    assert_eq!(given(format!("{}@7", file.display())).unwrap(), both);
    for bad in [format!("{vkey}"), format!("{vkey}@"), format!("{vkey}@-1"), format!("{vkey}@soon")] {
        let refused = format!("{:#}", given(bad.clone()).unwrap_err());
        assert!(refused.contains("KEY@SIZE"), "{bad}: {refused}");
    }
    assert!(given("a+00000000+AAAA@7".to_owned()).is_err());
    let asking = Verify { revoked: vec![format!("{vkey}@4200")], ..args(folder.path(), None, vec![]) };
    assert_eq!(asked(&asking).unwrap().revoked, [(vkey, 4_200)]);
}

fn asked(args: &Verify) -> Result<Options> {
    options(args, &Place::of(&args.archive, &args.at)?)
}

#[test]
fn a_file_may_hold_many_kept_checkpoints_one_behind_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut chain = ChainBuilder::begin("acme.example/audit/0", 7);
    chain.seal(events(0..3)).seal(events(3..5));
    let (one, many) = (folder.path().join("one"), folder.path().join("many"));
    fs::write(&one, chain.note(3)).unwrap();
    fs::write(&many, [chain.note(5), chain.note(3), b"\n".to_vec(), chain.note(0)].concat()).unwrap();
    let names: Vec<String> =
        known(&[one.clone(), many.clone()]).unwrap().into_iter().map(|one| one.name).collect();
    let many_as = |nth| format!("{}#{nth}", many.display());
    assert_eq!(names, [one.display().to_string(), many_as(1), many_as(2), many_as(3)]);
    for spoiled in
        [[chain.note(5), b"junk\n".to_vec()].concat(), [&chain.note(5)[..40], &chain.note(3)].concat()]
    {
        fs::write(&many, spoiled).unwrap();
        assert!(
            format!("{:#}", known(std::slice::from_ref(&many)).unwrap_err()).contains("is no checkpoint")
        );
    }
    fs::write(&many, chain.note(3).repeat(30_000)).unwrap();
    assert!(format!("{:#}", known(&[many]).unwrap_err()).contains("longer than"));
}

#[derive(Parser)]
struct Given {
    #[command(flatten)]
    verify: Verify,
}

#[test]
fn a_part_is_a_range_or_a_sample_and_not_both() {
    let asked = |given: &[&str]| {
        let given = Given::try_parse_from(["verify", "archive"].iter().chain(given));
        given
            .map_err(|error| error.to_string())
            .and_then(|given| scope(&given.verify).map_err(|e| e.to_string()))
    };
    assert_eq!(asked(&[]), Ok(Scope::Full));
    let range = |from, to| Ok(Scope::Range { from, to });
    assert_eq!(asked(&["--from", "7"]), range(Some(Bound::Seq(7)), None));
    assert_eq!(
        asked(&["--to", "1970-01-02"]),
        range(None, Some(Bound::Time(schemas::Micros(86_400_000_000))))
    );
    assert!(asked(&["--from", "7", "--to", "6"]).unwrap_err().contains("behind --to"));
    assert_eq!(asked(&["--quick", "--seed", "9"]), Ok(Scope::Quick { sample: 20, seed: 9 }));
    let drawn = |asked| if let Ok(Scope::Quick { seed, .. }) = asked { seed } else { panic!("no sample") };
    assert_ne!(drawn(asked(&["--quick"])), drawn(asked(&["--quick"])), "each draws anew");
    for bad in [&["--quick", "--from", "7"][..], &["--seed", "9"], &["--sample", "3"], &["--from", "soon"]] {
        assert!(asked(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_no_checkpoint_is_a_question_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let garbage = args(folder.path(), None, vec![file]);
    assert!(format!("{:#}", asked(&garbage).unwrap_err()).contains("is no checkpoint"));
}

#[test]
fn what_a_bucket_is_held_to_is_a_mode_and_a_period() {
    let year = std::time::Duration::from_secs(365 * 86_400);
    assert_eq!(locked("compliance:7y"), Ok(Retention { mode: Mode::Compliance, period: 7 * year }));
    assert_eq!(locked("governance:365d"), Ok(Retention { mode: Mode::Governance, period: year }));
    for bad in ["compliance", "7y", "compliance:", "strict:7y", "compliance:0d", "compliance:7"] {
        assert!(locked(bad).is_err(), "{bad}");
    }
    let folder = tempfile::tempdir().unwrap();
    let locked = Verify { locked: locked("compliance:7y").ok(), ..args(folder.path(), None, vec![]) };
    assert!(format!("{:#}", asked(&locked).unwrap_err()).contains("--locked is for s3://"));
}

#[test]
fn an_archive_in_a_folder_is_checked_against_key_and_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let mut chain = ChainBuilder::begin("acme.example/audit/0", 7);
    chain.seal(events(0..3)).seal(events(3..5));
    let store = Directory::open(&archive, DirectoryOptions { make_root: true }).unwrap();
    store_objects(&chain.objects, &store).unwrap();
    let kept = folder.path().join("kept.note");
    fs::write(&kept, chain.note(3)).unwrap();
    let options = asked(&args(&archive, Some(chain.vkey().to_string()), vec![kept])).unwrap();
    let report = verifier::verify(&Directory::open_read_only(&archive).unwrap(), &options);
    assert_eq!(report.verdict.words(), "intact", "{report}");

    // What is kept of it is what the next check is held against, and nothing is written over it.
    let taken = folder.path().join("taken.notes");
    let asking = Verify { keep: Some(taken.clone()), ..args(&archive, None, vec![]) };
    asked(&asking).unwrap();
    keep(&asking, &report).unwrap();
    assert_eq!(fs::read(&taken).unwrap(), chain.note(5));
    assert!(format!("{:#}", asked(&asking).unwrap_err()).contains("it is there already"));
    assert_eq!(known(&[taken]).unwrap()[0].origin(), "acme.example/audit/0");
    // Of a check of a part nothing is kept, for it may continue nothing that was kept before.
    let none = folder.path().join("none");
    let asking = Verify { keep: Some(none.clone()), ..asking };
    for part in [["--quick", "--sample=9"], ["--from=0", "--to=9"]] {
        let part = Given::parse_from(["verify", "archive"].iter().chain(&part)).verify;
        let asked = Options { scope: scope(&part).unwrap(), ..options.clone() };
        let report = verifier::verify(&Directory::open_read_only(&archive).unwrap(), &asked);
        assert_eq!(report.exit_code(false), 0, "{report}");
        keep(&asking, &report).unwrap();
        assert!(!none.exists(), "{part:?}");
    }
    fs::remove_file(archive.join(chain.trees_key(0))).unwrap();
    let broken = verifier::verify(&Directory::open_read_only(&archive).unwrap(), &options);
    keep(&asking, &broken).unwrap();
    assert!(!none.exists(), "of what is broken nothing is kept");
}

/// A bucket in which what its name says may not be read, and from which one key has gone since it was listed.
#[cfg(feature = "s3")]
struct Withheld(store::memory::Memory);

#[cfg(feature = "s3")]
impl store::Store for Withheld {
    fn put_new(&self, key: &str, body: &[u8], keep: store::Keep) -> store::Result<store::Version> {
        self.0.put_new(key, body, keep)
    }

    fn replace_if(
        &self,
        key: &str,
        tag: Option<&store::Tag>,
        body: &[u8],
        keep: store::Keep,
    ) -> store::Result<store::Version> {
        self.0.replace_if(key, tag, body, keep)
    }

    fn get(
        &self,
        key: &str,
        version: Option<&store::Version>,
        range: Option<std::ops::Range<u64>>,
        max_bytes: u64,
    ) -> store::Result<store::Object> {
        match key {
            "a/0/checkpoint" => Err(store::Error::new(store::Kind::Refused, key, "another's key")),
            "a/0/checkpoints/00000000000000000000.note" => {
                Err(store::Error::new(store::Kind::Missing, key, "nothing is there"))
            }
            _ if verifier::place_of(key).is_none() => {
                Err(store::Error::new(store::Kind::Away, key, "not reached"))
            }
            _ => self.0.get(key, version, range, max_bytes),
        }
    }

    fn retention(&self) -> Option<Retention> {
        self.0.retention()
    }

    fn list(&self, prefix: &str, after: &str, listing: store::Listing) -> store::Result<store::Page> {
        self.0.list(prefix, after, listing)
    }
}

#[test]
#[cfg(feature = "s3")]
fn junk_in_a_bucket_does_not_keep_the_check_from_seeing_whether_it_may_see_locks() {
    let memory = store::memory::Memory::new(std::sync::Arc::new(SystemClock));
    let mut chain = ChainBuilder::begin("a/0", 7);
    chain.seal(events(0..3));
    store_objects(&chain.objects, &memory).unwrap();
    (0..250).for_each(|n| drop(memory.lay_over(&format!(".tmp/{n}"), b"junk")));
    let asked = std::cell::RefCell::new(Vec::new());
    let may_see = |answer: bool| {
        asked.borrow_mut().clear();
        may_see_locks(&Withheld(memory.clone()), |key, _| {
            asked.borrow_mut().push(key.to_owned());
            Ok(answer)
        })
    };
    assert!(may_see(true).unwrap());
    assert_eq!(asked.borrow().len(), LOCKS_LOOKED_AT, "{asked:?}");
    assert!(!may_see(false).unwrap());
    assert!(asked.borrow()[0].starts_with("a/0/checkpoints/00000000000000000003"), "{asked:?}");
}

/// Not a test of its own: what the next one runs.
#[test]
#[ignore = "ends the process"]
fn a_bug() {
    end_with_4_on_a_bug();
    panic!("a bug");
}

#[test]
fn a_bug_in_the_verifier_ends_with_4_and_without_a_report() {
    let itself = std::env::current_exe().unwrap();
    let run = Command::new(itself)
        .args(["--exact", "--ignored", "--nocapture", "cli::verify::tests::a_bug"])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(4));
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(!out.contains("verdict"), "{out}");
    assert!(err.contains("says nothing about the archive"), "{err}");
}
