//! Stock tools for transparency logs read any archive. Tessera's fsck rebuilds the tree of a log from its entries and
//! compares every tile; a checker on the Go libraries for notes and Merkle proofs takes nothing of ours but the files.

mod archives;
mod tools;

use std::fs;
use std::path::Path;

use schemas::{Hash, Place};
use verifier::testing::{ChainBuilder, event};

use self::archives::{ORIGIN, SIZES, archive_of, small, stored, vkey_file, whole};
use self::tools::{Fsck, Tools};
use crate::harness::process::{Up, said, sealog};
use crate::harness::wait_for;

/// Writes an archive's logs into a folder, as the command does.
fn export(archive: &Path, to: &Path) {
    let export = sealog(&["export-tlog", archive.to_str().unwrap(), to.to_str().unwrap()]);
    assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
    assert!(said(&export).starts_with(&format!("{ORIGIN}: size ")), "{}", said(&export));
}

fn serve(archive: &Path) -> Up {
    Up::run(&["serve-tlog", archive.to_str().unwrap()], &[])
}

#[test]
fn fsck_passes_logs_of_every_kind_of_size_exported_and_served() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vkey = vkey_file(&folder.path().join("vkey"), &whole().vkey());
    // One folder takes all exports, as it does where an archive grows.
    let exported = folder.path().join("tlog");
    for size in SIZES {
        let archive = stored(&folder.path().join(format!("archive-{size}")), &archive_of(size));
        export(&archive, &exported);
        let log = exported.join(ORIGIN);
        assert_eq!(
            tools.fsck(&format!("file://{}", log.display()), &vkey),
            Fsck::passed(size),
            "exported, {size}"
        );
        let served = serve(&archive);
        assert_eq!(tools.fsck(&served.url, &vkey), Fsck::passed(size), "served, {size}");
        let (status, last_words) = served.stop();
        assert_eq!(status.code(), Some(0), "{last_words}");
    }
}

#[test]
fn fsck_passes_what_sealog_up_shows_while_it_runs() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (data, vkey) = (folder.path().join("data"), folder.path().join("vkey"));
    let up =
        Up::start(&data, &[("SEALOG_ORIGIN", "acme.example/audit"), ("SEALOG_SEGMENT_MAX_EVENTS", "200")]);
    let key = up.banner.lines().find_map(|line| line.trim().strip_prefix("public ")).unwrap();
    fs::write(&vkey, key.trim()).unwrap();
    let lines: Vec<String> = (0..600).map(|n| format!(r#"{{"action":"user.login","n":{n}}}"#)).collect();
    fs::write(data.join("events"), lines.join("\n")).unwrap();
    let send = sealog(&["send", data.join("events").to_str().unwrap(), "--url", &up.url]);
    assert!(send.status.success(), "{}", String::from_utf8_lossy(&send.stderr));
    let log = format!("{}/tlog/{ORIGIN}", up.url);
    // The start of it is an event too.
    wait_for("all of it is archived", 20, || {
        (up.metric("sealog_archiver_archived_size") >= 601.0).then_some(())
    });
    let checkpoint =
        ureq::get(format!("{log}/checkpoint")).call().unwrap().body_mut().read_to_string().unwrap();
    let (checkpoint, _) = schemas::Checkpoint::parse(checkpoint.as_bytes()).unwrap();
    assert!(checkpoint.size >= 601, "{checkpoint:?}");
    assert_eq!(tools.fsck(&log, &vkey), Fsck::Passed { size: checkpoint.size, root: checkpoint.root });
    assert_eq!(up.stop().0.code(), Some(0));
}

/// TAMPER row 5: entry bundle and leaf tile disagree in the exported view; and what else can be wrong in it.
#[test]
fn fsck_does_not_pass_a_damaged_export() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vkey = vkey_file(&folder.path().join("vkey"), &whole().vkey());
    let archive = stored(&folder.path().join("archive"), &archive_of(70_000));
    let exported = folder.path().join("tlog");
    export(&archive, &exported);
    let log = exported.join(ORIGIN);
    let url = format!("file://{}", log.display());
    let signed_for_another = whole().sign_as(70_000, Hash([7; 32])).into_bytes();
    let flipped = |path: &str, at: usize| {
        let mut bytes = fs::read(log.join(path)).unwrap();
        bytes[at] ^= 1;
        (path.to_owned(), Some(bytes))
    };
    for (what, (path, bytes)) in [
        ("an entry, which its leaf tile contradicts", flipped("tile/entries/005", 60)),
        ("a leaf tile, which its entries contradict", flipped("tile/0/005", 60)),
        ("an entry of the last bundle", flipped("tile/entries/273.p/112", 111 * 86 + 85)),
        ("a full tile of level 1", flipped("tile/1/000", 8191)),
        ("a partial tile", flipped("tile/2/000.p/1", 0)),
        ("the root", ("checkpoint".to_owned(), Some(signed_for_another))),
        ("a bundle that is gone", ("tile/entries/100".to_owned(), None)),
        ("a tile that is gone", ("tile/0/100".to_owned(), None)),
    ] {
        let whole = fs::read(log.join(&path)).unwrap();
        match bytes {
            Some(bytes) => fs::write(log.join(&path), bytes).unwrap(),
            None => fs::remove_file(log.join(&path)).unwrap(),
        }
        assert!(matches!(tools.fsck(&url, &vkey), Fsck::Failed(_)), "{what}");
        fs::write(log.join(&path), whole).unwrap();
    }
    assert_eq!(tools.fsck(&url, &vkey), Fsck::passed(70_000), "whole again");
}

#[test]
fn fsck_does_not_pass_a_damaged_archive_and_no_export_of_it_ends() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vkey = vkey_file(&folder.path().join("vkey"), &small().vkey());
    type Damage = (&'static str, fn(&mut ChainBuilder));
    let damages: [Damage; 4] = [
        ("an entry", |chain| {
            let mut records = chain.records_of(1).to_vec();
            records[3].event = event(1 << 40);
            chain.lay_segment(1, &records);
        }),
        ("a full tile", |chain| chain.change_trees(1, |trees| trees.completed[0].hashes[3] = Hash([3; 32]))),
        ("the last tiles", |chain| chain.change_trees(2, |trees| trees.partial[0][3] = Hash([3; 32]))),
        ("the root", |chain| {
            let note = chain.sign_as(700, Hash([7; 32])).into_bytes();
            chain.objects.insert(chain.key(&Place::Checkpoint(700)), note);
        }),
    ];
    for (n, (what, damage)) in damages.into_iter().enumerate() {
        let mut chain = small();
        damage(&mut chain);
        let archive = stored(&folder.path().join(format!("archive-{n}")), &chain.objects);
        let served = serve(&archive);
        assert!(matches!(tools.fsck(&served.url, &vkey), Fsck::Failed(_)), "{what}");
        drop(served);
        let exported = folder.path().join(format!("tlog-{n}"));
        let export = sealog(&["export-tlog", archive.to_str().unwrap(), exported.to_str().unwrap()]);
        let errors = String::from_utf8_lossy(&export.stderr);
        assert!(export.status.code() == Some(1) && errors.contains("sealog verify"), "{what}: {errors}");
        assert!(!exported.join(ORIGIN).join("checkpoint").exists(), "{what}");
    }
}

#[test]
fn after_a_change_of_keys_the_new_key_opens_the_log() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut chain = small();
    let old = vkey_file(&folder.path().join("old"), &chain.vkey());
    chain.rotate(9).seal((700..900).map(event));
    let new = vkey_file(&folder.path().join("new"), &chain.vkey());
    let archive = stored(&folder.path().join("archive"), &chain.objects);
    let served = serve(&archive);
    assert!(matches!(tools.fsck(&served.url, &new), Fsck::Passed { size: 900, .. }));
    assert!(matches!(tools.fsck(&served.url, &old), Fsck::Failed(_)));
}

#[test]
fn sumdb_opens_every_note_and_refuses_any_other() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vkey = vkey_file(&folder.path().join("vkey"), &whole().vkey());
    let note = folder.path().join("note");
    for size in SIZES {
        fs::write(&note, whole().note(size)).unwrap();
        let (opened, _) = schemas::Checkpoint::parse(&whole().note(size)).unwrap();
        assert_eq!(tools.checks("note", &vkey, &[&note]), Ok(archives::in_words(&opened)));
    }
    let text = String::from_utf8(whole().note(70_000)).unwrap();
    for other in [text.replace("70000", "70001"), text.replace("audit/0", "audit/1")] {
        fs::write(&note, &other).unwrap();
        assert!(tools.checks("note", &vkey, &[&note]).is_err(), "{other}");
    }
}

#[test]
fn a_stock_client_proves_from_the_tiles_alone() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let vkey = vkey_file(&folder.path().join("vkey"), &whole().vkey());
    let archive = stored(&folder.path().join("archive"), &archive_of(70_000));
    let served = serve(&archive);
    let (newest, _) = schemas::Checkpoint::parse(&whole().note(70_000)).unwrap();
    for (seq, known) in [(0, 1), (255, 255), (256, 257), (40_000, 65_536), (69_999, 70_000)] {
        let old = folder.path().join("old");
        fs::write(&old, whole().note(known)).unwrap();
        let proven = tools.checks("view", &vkey, &[served.url.as_ref(), seq.to_string().as_ref(), &old]);
        assert_eq!(proven, Ok(format!("{seq} {}", archives::in_words(&newest))), "from {known}");
    }
    let other = folder.path().join("other");
    fs::write(&other, whole().sign_as(65_536, Hash([1; 32]))).unwrap();
    let refused = tools.checks("view", &vkey, &[served.url.as_ref(), "0".as_ref(), &other]);
    assert!(refused.as_ref().is_err_and(|why| why.contains("does not extend size 65536")), "{refused:?}");
}

/// Runs a command that writes a proof, and keeps what it writes.
fn proof(archive: &Path, args: &[&str], to: &Path) {
    let proof = sealog(&[&["prove", archive.to_str().unwrap()], args].concat());
    assert!(proof.status.success(), "{args:?}: {}", String::from_utf8_lossy(&proof.stderr));
    fs::write(to, &proof.stdout).unwrap();
}

#[test]
fn stock_libraries_check_our_proofs() {
    let Some(tools) = Tools::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let vkey = vkey_file(&file("vkey"), &whole().vkey());
    let archive = stored(&file("archive"), &archive_of(70_000));
    let signed = |size| archives::in_words(&schemas::Checkpoint::parse(&whole().note(size)).unwrap().0);
    for (seq, tree) in
        [(0, 1), (254, 255), (255, 256), (256, 257), (40_001, 65_536), (0, 70_000), (69_999, 70_000)]
    {
        proof(&archive, &[&seq.to_string(), "--in-tree", &tree.to_string()], &file("proof"));
        assert_eq!(tools.checks("proof", &vkey, &[&file("proof")]), Ok(format!("{seq} {}", signed(tree))));
        // What holds for one place does not for another.
        let text = fs::read_to_string(file("proof")).unwrap();
        fs::write(
            file("proof"),
            text.replace(&format!("\nindex {seq}\n"), &format!("\nindex {}\n", seq + 1)),
        )
        .unwrap();
        assert!(tools.checks("proof", &vkey, &[&file("proof")]).is_err(), "{seq}");
    }
    for (old, new) in [(1, 70_000), (255, 256), (256, 257), (257, 65_536), (65_536, 70_000), (70_000, 70_000)]
    {
        let [before, after] = [old, new].map(|size| {
            fs::write(file(&size.to_string()), whole().note(size)).unwrap();
            file(&size.to_string()).to_str().unwrap().to_owned()
        });
        proof(&archive, &["--consistency", &before, &after], &file("grown"));
        let checked = tools.checks("consistency", &vkey, &[&file("grown")]);
        assert_eq!(checked, Ok(format!("{} {}", signed(old), signed(new))));
        if old != new {
            let text = fs::read_to_string(file("grown")).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            fs::write(file("grown"), lines.join("\n") + "\n").unwrap();
            assert!(tools.checks("consistency", &vkey, &[&file("grown")]).is_err(), "{old} to {new}");
        }
    }
}

#[test]
fn tiles_are_cached_for_ever_and_checkpoints_never() {
    let folder = tempfile::tempdir().unwrap();
    let archive = stored(&folder.path().join("archive"), &small().objects);
    let served = serve(&archive);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let ask = |path: &str| {
        let mut answer = agent.get(format!("{}/{path}", served.url)).call().unwrap();
        let header =
            |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (kind, cache) = (header("content-type"), header("cache-control"));
        (answer.status().as_u16(), kind, cache, answer.body_mut().read_to_vec().unwrap())
    };
    let (status, kind, cache, body) = ask("checkpoint");
    assert_eq!((status, kind.as_str(), cache.as_str()), (200, "text/plain; charset=utf-8", "no-cache"));
    assert_eq!(body, small().note(700));
    let (status, kind, cache, full) = ask("tile/0/001");
    assert_eq!((status, kind.as_str()), (200, "application/octet-stream"));
    assert!(cache.contains("immutable") && full.len() == 8192, "{cache}");
    let (status, _, _, narrow) = ask("tile/0/001.p/44");
    assert_eq!((status, narrow.as_slice()), (200, &full[..44 * 32]), "for who holds an older checkpoint");
    for missing in
        ["tile/0/003", "tile/0/002.p/189", "segments/", "keys/00000000000000000000.note", "tile/0/1"]
    {
        let (status, _, cache, _) = ask(missing);
        assert_eq!((status, cache.as_str()), (404, "no-store"), "{missing}");
    }
}
