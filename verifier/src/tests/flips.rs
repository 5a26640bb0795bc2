//! One bit flipped anywhere: row 1.

use super::{both, chain_0, chain_1, memory, options};
use crate::{Verdict, verify};

/// The same places in every run.
struct Places(u64);

impl Places {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Row 1.
#[test]
fn one_flipped_bit_in_any_object_is_found_and_its_object_named() {
    let objects = both(&chain_0(), &chain_1());
    let store = memory(&objects);
    let mut places = Places(1);
    for (key, bytes) in &objects {
        // Segments hold most; of each other object every format field is reached in some run of flips.
        let flips = if key.ends_with(".avro") { 60 } else { 20 };
        for _ in 0..flips {
            let bit = places.below(bytes.len() * 8);
            let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(store.damage(key, flip));
            let report = verify(&store, &options());
            assert_eq!(report.verdict, Verdict::Broken, "bit {bit} of {key}:\n{report}");
            // A digest that does not fit is about two objects.
            let named = report
                .findings
                .iter()
                .any(|finding| finding.key.as_ref() == Some(key) || finding.expected.contains(key));
            assert!(named, "bit {bit} of {key}:\n{report}");
            assert!(store.damage(key, flip));
        }
    }
    assert_eq!(verify(&store, &options()).verdict, Verdict::Unanchored);
}
