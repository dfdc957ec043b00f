//! A keyed 93-bit hash that replaces a text in memory, with a proven bound on collisions.
//!
//! The text is a polynomial over the field of 2^61 - 1 elements. Its coefficients are the length and then 7 bytes each.
//! The hash is its value at two secret points (polynomial hashing: Carter and Wegman 1979; den Boer 1993). Two
//! different texts of at most `d - 1` words agree at a random point with probability at most `d / 2^61`, since a
//! polynomial has no more roots than its degree. Only 32 bits of the second value are kept, which leaves `d / 2^31`.
//! For ids of 128 bytes (`d` = 20) a pair of ids collides with probability below 2^-83, even if an attacker chose them,
//! as long as the key is secret. The key is drawn at start, and the hashes never leave the process. `docs/decisions.md`
//! explains the bound.

use std::sync::Arc;

/// 2^61 - 1, a Mersenne prime: reducing needs only an addition.
const P: u64 = (1 << 61) - 1;

/// Words that are hashed at once. The longest name (256 bytes) has 37.
const WORDS_MAX: usize = 37;

/// The secret points of one process. A clone copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Arc<Powers>);

/// The powers of both points, from `WORDS_MAX + 1` down to 0. With them the terms of the polynomial do not wait for each
/// other, as they do in Horner's rule.
type Powers = [[u64; 2]; WORDS_MAX + 2];

/// The hash of a text. Comparable only with hashes made with the same key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextHash {
    /// 61 bits, spread over 64.
    pub tag: u64,
    pub rest: u32,
}

impl HashKey {
    pub fn new(random: [u8; 16]) -> Self {
        let random = u128::from_le_bytes(random);
        // 64 random bits modulo P are uniform to within 2^-61; zero would make every hash zero.
        let point = |bits: u64| (bits % (P - 1)) + 1;
        let points = [point(random as u64), point((random >> 64) as u64)];
        let mut powers = [[1; 2]; WORDS_MAX + 2];
        for at in (0..=WORDS_MAX).rev() {
            powers[at] = [0, 1].map(|point| reduced(powers[at + 1][point] as u128 * points[point] as u128));
        }
        Self(Arc::new(powers))
    }

    #[inline]
    pub fn text(&self, text: &str) -> TextHash {
        self.bytes(text.as_bytes())
    }

    /// Hashes bytes of at most 2^56 length.
    #[inline]
    pub fn bytes(&self, bytes: &[u8]) -> TextHash {
        let mut values = [bytes.len() as u64 + 1; 2];
        let mut left = bytes;
        while let Some((block, rest)) = left.split_at_checked(WORDS_MAX * 7).filter(|(_, rest)| !rest.is_empty()) {
            values = self.block(values, block, 0);
            left = rest;
        }
        let [first, second] = self.block(values, left, 1);
        TextHash { tag: spread(first), rest: second as u32 }
    }

    /// Appends the words of a block to the polynomials, and multiplies them by the points `factors` times more.
    #[inline]
    fn block(&self, values: [u64; 2], block: &[u8], factors: usize) -> [u64; 2] {
        let words = block.len().div_ceil(7);
        let end = self.0.len() - factors;
        let Some((power, powers)) = self.0.get(end - words - 1..end).and_then(<[_]>::split_first) else {
            return values;
        };
        // At most 2^61 * 2^61 + 37 * 2^56 * 2^61.
        let mut sums = [0, 1].map(|at| values[at] as u128 * power[at] as u128);
        let mut add = |word: u64, power: &[u64; 2]| {
            sums[0] += word as u128 * power[0] as u128;
            sums[1] += word as u128 * power[1] as u128;
        };
        let Some((last_power, powers)) = powers.split_last() else { return sums.map(reduced) };
        let mut left = block;
        for power in powers {
            let Some(eight) = left.first_chunk::<8>() else { break };
            add(u64::from_le_bytes(*eight) & ((1 << 56) - 1), power);
            left = &left[7..];
        }
        let last = match block.last_chunk::<8>() {
            Some(eight) => u64::from_le_bytes(*eight) >> (64 - 8 * left.len()),
            None => left.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64),
        };
        add(last, last_power);
        sums.map(reduced)
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashKey(secret)")
    }
}

impl std::fmt::Debug for TextHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TextHash")
    }
}

/// `value` modulo P, for a value below 2^124.
#[inline]
fn reduced(value: u128) -> u64 {
    let value = (value as u64 & P) + (value >> 61) as u64;
    let value = (value & P) + (value >> 61);
    if value >= P { value - P } else { value }
}

/// A bijection of 64 bits. Every bit of the result depends on all 61 bits, since tables use the high and the low ones.
#[inline]
fn spread(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(bytes: &[u8], point: u64) -> u64 {
        let p = P as u128;
        let mut value = bytes.len() as u128 + 1;
        let mut words: Vec<u128> = Vec::new();
        // 7 bytes at a time. An 8-byte read must not see the bytes that follow.
        for chunk in bytes.chunks(7) {
            let mut word = [0; 16];
            word[..chunk.len()].copy_from_slice(chunk);
            words.push(u128::from_le_bytes(word));
        }
        for word in words {
            value = (value * point as u128 + word) % p;
        }
        (value * point as u128 % p) as u64
    }

    /// Returns a secret point: its first power.
    fn point(key: &HashKey, at: usize) -> u64 {
        key.0[WORDS_MAX][at]
    }

    #[test]
    fn is_the_polynomial_it_claims_to_be() {
        let key = HashKey::new(*b"0123456789abcdef");
        let text: Vec<u8> = (0..=255).cycle().take(1_200).collect();
        for length in 0..=1_200 {
            let hash = key.bytes(&text[..length]);
            assert_eq!(hash.tag, spread(slow(&text[..length], point(&key, 0))), "length {length}");
            assert_eq!(hash.rest, slow(&text[..length], point(&key, 1)) as u32, "length {length}");
        }
    }

    #[test]
    fn zero_bytes_at_the_end_count() {
        let key = HashKey::new([7; 16]);
        assert!(key.bytes(b"a") != key.bytes(b"a\0"));
        assert!(key.bytes(b"") != key.bytes(b"\0"));
    }

    #[test]
    fn another_key_gives_another_hash() {
        assert!(HashKey::new([1; 16]).text("ann") != HashKey::new([2; 16]).text("ann"));
    }

    #[test]
    fn short_ids_in_a_row_fill_a_table_evenly() {
        let key = HashKey::new([9; 16]);
        let mut buckets = [0u32; 64];
        for number in 0..64_000 {
            buckets[(key.text(&number.to_string()).tag >> 58) as usize] += 1;
        }
        assert!(buckets.iter().all(|&count| (800..1_200).contains(&count)), "{buckets:?}");
    }
}
