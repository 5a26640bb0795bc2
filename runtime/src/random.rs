//! Randomness, from the operating system alone.

use schemas::Micros;

/// Bytes from the operating system. Without them no key and no id is safe, so failing is the end of the process.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// A UUIDv7 (RFC 9562): the milliseconds of `now`, then 74 random bits.
pub fn uuid_v7(now: Micros) -> String {
    let mut b: [u8; 16] = random_bytes();
    let ms = (now.0.max(0) / 1_000) as u64;
    b[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
    b[6] = 0x70 | (b[6] & 0x0f);
    b[8] = 0x80 | (b[8] & 0x3f);
    let h = schemas::hex(&b);
    format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])
}
