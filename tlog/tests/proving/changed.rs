//! What a checker refuses: proofs that were changed on their way, or made by somebody else. Rows 16 to 19 of what must be
//! caught.

use schemas::{
    AuditEvent, Checkpoint, ConsistencyProof, Hash, ProofData, Seq, Signing, TlogProof, Vkey, event_hash,
    node_hash,
};
use tlog::{NoProof, check};
use verifier::testing::ChainBuilder;

use crate::site::{ORIGIN, archive, cut_at, open};

struct Site {
    chain: ChainBuilder,
    key: Vkey,
    proof: TlogProof,
}

/// The proof of seq 300 in a tree of 900.
fn site() -> Site {
    let chain = cut_at(&[200, 600, 900]);
    let opened = open(&archive(&chain));
    let proof = opened.prove(Seq(300), &opened.signed(900).unwrap()).unwrap();
    Site { key: chain.vkey(), chain, proof: TlogProof::parse(proof.as_bytes()).unwrap() }
}

impl Site {
    fn refused(&self, change: impl FnOnce(&mut TlogProof)) -> NoProof {
        let mut proof = self.proof.clone();
        change(&mut proof);
        self.refused_text(&proof.to_text())
    }

    fn refused_text(&self, text: &str) -> NoProof {
        check(text.as_bytes(), std::slice::from_ref(&self.key)).expect_err(text)
    }

    fn data(&self) -> ProofData<'_> {
        ProofData::parse(self.proof.extra.as_deref().unwrap()).unwrap()
    }
}

#[test]
fn any_bit_that_is_flipped_is_refused() {
    let site = site();
    let text = site.proof.to_text();
    // Of the extra data one byte in seven: it is the most of it, and all alike.
    let extra = text.find("index ").unwrap();
    for at in (0..text.len()).filter(|at| *at >= extra || at % 7 == 0) {
        for bit in 0..8 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            assert!(check(&bytes, std::slice::from_ref(&site.key)).is_err(), "byte {at}, bit {bit}");
        }
    }
    for cut in (0..text.len()).filter(|at| *at >= extra || at % 61 == 0) {
        assert!(check(&text.as_bytes()[..cut], std::slice::from_ref(&site.key)).is_err(), "cut at {cut}");
    }
    assert!(check((text + "\n").as_bytes(), std::slice::from_ref(&site.key)).is_err());
}

#[test]
fn row_16_an_inner_node_is_not_taken_for_a_leaf() {
    let site = site();
    let leaf = |seq: usize| site.chain.records[seq].link.hash();
    // What is hashed of an inner node is 0x01 and two hashes: no link is of that length or begins so.
    let node = [[1].as_slice(), leaf(300).bytes(), leaf(301).bytes()].concat();
    for link in [&node[..], &node[1..], &[&node[1..], &[0; 20]].concat()[..]] {
        let data = site.data();
        let length = (data.schema.len() as u32).to_be_bytes();
        let extra = [b"SLP1", link, &length, data.schema, data.event_bytes].concat();
        let refused = site.refused(|proof| {
            proof.extra = Some(extra);
            proof.hashes.remove(0);
        });
        assert!(matches!(refused, NoProof::Malformed(_)), "{refused}");
    }
    // Nor a leaf's path from a level above.
    let above = node_hash(&leaf(300), &leaf(301));
    let refused = site.refused(|proof| {
        proof.hashes.remove(0);
        proof.hashes[0] = above;
    });
    assert!(matches!(refused, NoProof::Path { .. }), "{refused}");
}

#[test]
fn row_17_an_index_past_the_size_or_a_hash_too_many_or_too_few_is_refused() {
    let site = site();
    for refused in [
        site.refused(|proof| proof.hashes.push(Hash([7; 32]))),
        site.refused(|proof| proof.hashes.insert(0, Hash([7; 32]))),
        site.refused(|proof| proof.hashes.truncate(proof.hashes.len() - 1)),
        site.refused(|proof| proof.hashes.rotate_left(1)),
        site.refused(|proof| proof.hashes = proof.hashes[1..].to_vec()),
        site.refused(|proof| proof.hashes.clear()),
        site.refused(|proof| proof.hashes.swap(0, 1)),
    ] {
        assert!(matches!(refused, NoProof::Path { seq: 300, size: 900 }), "{refused}");
    }
    for index in [0, 299, 301, 899, 900, i64::MAX as u64] {
        let refused = site.refused(|proof| proof.index = index);
        assert_eq!(refused, NoProof::Index { index, seq: 300 });
    }
    // An event of a larger tree under a Checkpoint that does not reach it.
    let opened = open(&archive(&site.chain));
    let note = opened.signed(200).unwrap().note;
    let refused = site.refused(|proof| proof.checkpoint = note);
    assert_eq!(refused, NoProof::Path { seq: 300, size: 200 });
}

#[test]
fn row_18_a_proof_holds_for_its_own_event_and_schema_only() {
    let site = site();
    let (data, other) = (site.data(), &site.chain.records[301]);
    let with = |data: ProofData<'_>| {
        let extra = data.to_bytes();
        site.refused(|proof| proof.extra = Some(extra))
    };
    assert!(matches!(with(ProofData { event_bytes: &other.event, ..data }), NoProof::Malformed(_)));
    let schema = [data.schema, b" "].concat();
    assert!(matches!(with(ProofData { schema: &schema, ..data }), NoProof::Malformed(_)));
    let micros = String::from_utf8(data.schema.to_vec()).unwrap();
    let millis = micros.replacen("timestamp-micros", "timestamp-millis", 1);
    assert_ne!(micros, millis);
    assert!(matches!(with(ProofData { schema: millis.as_bytes(), ..data }), NoProof::Malformed(_)));

    // All of another event: its link too, so that the data fits itself.
    let whole = ProofData { link: other.link, event_bytes: &other.event, ..data };
    assert_eq!(with(whole), NoProof::Index { index: 300, seq: 301 });
    let mut link = data.link;
    link.event_hash = other.link.event_hash;
    let forged = ProofData { link, event_bytes: &other.event, ..data };
    assert_eq!(with(forged), NoProof::Path { seq: 300, size: 900 });
    // The same event under a schema of its own making.
    link.event_hash = event_hash(&Hash::of(&[&schema]), data.event_bytes);
    let forged = ProofData { link, schema: &schema, ..data };
    assert_eq!(with(forged), NoProof::Path { seq: 300, size: 900 });
    // Sealed at another time, or behind another event.
    for change in [0, 1] {
        let mut link = data.link;
        if change == 0 {
            link.sealed_at.0 += 1
        } else {
            link.prev = Hash([7; 32])
        }
        assert_eq!(with(ProofData { link, ..data }), NoProof::Path { seq: 300, size: 900 });
    }
    assert_eq!(site.refused(|proof| proof.extra = None), NoProof::NoEvent);
}

#[test]
fn row_19_a_checkpoint_counts_only_in_its_one_spelling_and_under_a_key_that_was_given() {
    let site = site();
    let note = site.proof.checkpoint.clone();
    let line = note.lines().last().unwrap().to_owned();
    let other = Signing::from_seed(&[8; 32]);
    let root = site.chain.objects[&site.chain.key(&schemas::Place::Checkpoint(900))].clone();
    let root = Checkpoint::parse(&root).unwrap().0.root;
    let by = |signing: &Signing, origin: &str| {
        Checkpoint { origin: origin.to_owned(), size: 900, root }.sign(signing)
    };
    let body = note.split_once("\n\n").unwrap().0;
    let own = Signing::from_seed(&[7; 32]);
    let collision = {
        // Another key's signature under the id of ours.
        let theirs = by(&other, ORIGIN);
        let bytes = |line: &str| from_base64(line.rsplit(' ').next().unwrap());
        let (ours, theirs) = (bytes(&line), bytes(theirs.lines().last().unwrap()));
        format!("{body}\n\n— {ORIGIN} {}\n", to_base64(&[&ours[..4], &theirs[4..]].concat()))
    };
    let bad = [
        ("signed by another key", by(&other, ORIGIN)),
        ("an id that another key has taken", collision),
        (
            "a second signature line",
            format!("{note}{}", by(&other, ORIGIN).lines().last().unwrap().to_owned() + "\n"),
        ),
        ("a doubled signature line", format!("{note}{line}\n")),
        ("no signature line", format!("{body}\n\n")),
        ("another origin", by(&own, "acme.example/audit/1").replace("audit/1\n900", "audit/0\n900")),
        ("leading zeros", note.replacen("\n900\n", "\n0900\n", 1)),
        ("CRLF", note.replace('\n', "\r\n")),
        ("no newline at the end", note.trim_end().to_owned()),
        ("an extension line", note.replacen("\n\n", "\nmore\n\n", 1)),
        ("another size", note.replacen("\n900\n", "\n901\n", 1)),
    ];
    for (what, note) in bad {
        assert_ne!(note, site.proof.checkpoint, "{what}");
        let refused = site.refused(|proof| proof.checkpoint = note);
        assert!(matches!(refused, NoProof::Signature { .. } | NoProof::Malformed(_)), "{what}: {refused}");
    }
    assert!(check(site.proof.to_text().as_bytes(), &[]).is_err(), "no key");
    let other_key = [other.vkey(ORIGIN)];
    assert!(check(site.proof.to_text().as_bytes(), &other_key).is_err(), "another key");
    // A key for this chain is given: one for another chain does not stand in for it.
    let named = [other.vkey(ORIGIN), own.vkey("acme.example/audit/9")];
    assert!(check(site.proof.to_text().as_bytes(), &named).is_err());
    // A key under which one signature fits every message is never taken.
    assert!(Vkey::parse("a+00000000+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").is_err());
}

#[test]
fn an_event_that_its_schema_cannot_read_is_not_shown() {
    // Whoever has the key can sign for such bytes; a checker does not print them.
    let mut chain = cut_at(&[200]);
    let mut event = Vec::new();
    AuditEvent { id: "e", ..AuditEvent::default() }.encode(&mut event);
    event.push(0);
    chain.seal([event.clone()]);
    let record = chain.records.last().unwrap().clone();
    let schema = chain.objects.iter().find(|(key, _)| key.ends_with(".avsc")).unwrap().1.clone();
    let mut hashes = schemas::Tree::new();
    chain.records[..200].iter().for_each(|record| hashes.push(record.hash));
    let extra = ProofData { link: record.link, schema: &schema, event_bytes: &event }.to_bytes();
    // The last of 201 leaves: above it stand the three subtrees before it, the smallest first.
    let hashes = hashes.edge().iter().rev().copied().collect();
    let note = String::from_utf8(chain.note(201)).unwrap();
    let proof = TlogProof { extra: Some(extra), index: 200, hashes, checkpoint: note };
    let refused = check(proof.to_text().as_bytes(), &[chain.vkey()]).unwrap_err();
    assert!(matches!(&refused, NoProof::Malformed(why) if why.format == "AuditEvent"), "{refused}");
}

#[test]
fn a_consistency_proof_that_was_changed_is_refused() {
    let site = site();
    let opened = open(&archive(&site.chain));
    let (old, new) = (opened.signed(200).unwrap(), opened.signed(900).unwrap());
    let text = opened.prove_consistency(&old, &new).unwrap();
    let key = std::slice::from_ref(&site.key);
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&bytes, key).is_err(), "bit {bit}");
        assert!(check(&text.as_bytes()[..bit / 8], key).is_err());
    }
    let proof = ConsistencyProof::parse(text.as_bytes()).unwrap();
    let swapped = ConsistencyProof { old: proof.new.clone(), new: proof.old.clone(), ..proof.clone() };
    assert_eq!(check(swapped.to_text().as_bytes(), key), Err(NoProof::NotConsistent { old: 900, new: 200 }));
    let middle = ConsistencyProof { old: opened.signed(600).unwrap().note, ..proof.clone() };
    assert!(check(middle.to_text().as_bytes(), key).is_err());
    let other = ChainBuilder::begin("acme.example/audit/1", 7).sign();
    let mixed = ConsistencyProof { old: other, hashes: Vec::new(), ..proof };
    assert!(matches!(check(mixed.to_text().as_bytes(), key), Err(NoProof::Origins { .. })));
}

/// Base64 without a library: what a test needs of it.
fn from_base64(text: &str) -> Vec<u8> {
    let value = |c: u8| ALPHABET.iter().position(|a| *a == c).unwrap() as u32;
    let mut out = Vec::new();
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = four.iter().fold(0, |bits, c| bits << 6 | value(*c)) << (6 * (4 - four.len()));
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    out
}

fn to_base64(bytes: &[u8]) -> String {
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for nth in 0..4 {
            match nth <= three.len() {
                true => out.push(ALPHABET[(bits >> (18 - 6 * nth) & 63) as usize] as char),
                false => out.push('='),
            }
        }
    }
    out
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
