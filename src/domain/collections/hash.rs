//! A keyed 93-bit hash that replaces a text in memory, with a proven bound on collisions.
//!
//! A text is cut into words of 7 bytes. Neighbouring words form pairs, and the hash is the sum of
//! `(word + key) * (next word + next key)` over the pairs, in the field of 2^61 - 1 elements (Winograd 1968; Lemire and
//! Kaser, "Strongly universal string hashing is fast", 2014). Each place in the text has its own keys, drawn from 2^59
//! numbers. The hashes of two different texts differ by a polynomial in the keys that is not zero, of degree 2 at most.
//! So they are equal with probability at most 2^-58 (Schwartz 1980; Zippel 1979). A second sum with other keys is cut to
//! 32 bits, which leaves 2^-28. So two ids or names collide with probability at most 2^-86, even if an attacker chose
//! them, as long as the keys are secret. For longer texts, such as those of large role sets, the degree grows by one with
//! each further block of 266 bytes. The keys are made from a random number drawn at start, and the hashes never leave the
//! process. `docs/decisions.md` explains the bound.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// 2^61 - 1, a Mersenne prime: reducing needs only an addition.
const P: u64 = (1 << 61) - 1;

/// The pairs of words that have keys of their own. The longest name (256 bytes) has 19.
const PAIRS: usize = 19;

/// Bytes of these pairs.
const BLOCK: usize = PAIRS * 14;

const WORD: u64 = (1 << 56) - 1;

/// The secret keys of one process. A clone copies a pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct HashKey(Arc<Keys>);

/// All below 2^59, so that a sum of `PAIRS` products fits.
#[derive(PartialEq, Eq)]
struct Keys {
    /// For each pair the keys of its words for the first sum, then for the second.
    pairs: [[u64; 4]; PAIRS],
    /// Multiply the sums of a longer text before the next block is added.
    blocks: [u64; 2],
}

/// The hash of a text. Comparable only with hashes made with the same key.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextHash {
    /// 61 bits, spread over 64.
    pub tag: u64,
    pub rest: u32,
}

impl HashKey {
    pub fn new(random: [u8; 16]) -> Self {
        let four = |number: usize| {
            let digest = Sha256::new().chain_update(random).chain_update(number.to_le_bytes()).finalize();
            let (words, _) = digest.as_slice().as_chunks::<8>();
            let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)) >> 5;
            [word(0), word(1), word(2), word(3)]
        };
        let [first, second, ..] = four(PAIRS);
        Self(Arc::new(Keys { pairs: std::array::from_fn(four), blocks: [first, second] }))
    }

    #[inline]
    pub fn text(&self, text: &str) -> TextHash {
        self.bytes(text.as_bytes())
    }

    #[inline]
    pub fn bytes(&self, bytes: &[u8]) -> TextHash {
        let [first, second] = if bytes.len() <= BLOCK { self.block(bytes).map(reduced) } else { self.blocks(bytes) };
        TextHash { tag: spread(first), rest: second as u32 }
    }

    /// Returns the sums of a longer text, reduced.
    #[cold]
    fn blocks(&self, bytes: &[u8]) -> [u64; 2] {
        bytes.chunks(BLOCK).fold([0; 2], |before, block| {
            let sums = self.block(block).map(reduced);
            [0, 1].map(|at| reduced(before[at] as u128 * self.0.blocks[at] as u128 + sums[at] as u128))
        })
    }

    /// Returns the sums of the pairs of a block. A word is below 2^59, so a product is below 2^120.
    #[inline]
    fn block(&self, block: &[u8]) -> [u128; 2] {
        let mut sums = [0; 2];
        let mut add = |word: u64, next: u64, keys: &[u64; 4]| {
            sums[0] += (word + keys[0]) as u128 * (next + keys[1]) as u128;
            sums[1] += (word + keys[2]) as u128 * (next + keys[3]) as u128;
        };
        let mut left = block;
        for keys in &self.0.pairs {
            if let Some((pair, _)) = left.split_first_chunk::<15>() {
                let [a @ .., _, _, _, _, _, _, _] = pair;
                let [_, _, _, _, _, _, _, b @ ..] = pair;
                add(u64::from_le_bytes(*a) & WORD, u64::from_le_bytes(*b) & WORD, keys);
                left = &left[14..];
                continue;
            }
            // The number of bytes in the last word counts too: bytes of zero at the end make another text.
            let last = |bytes: usize| {
                let word = match block.last_chunk::<8>() {
                    Some(eight) => u64::from_le_bytes(*eight) >> (64 - 8 * bytes),
                    None => left.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64),
                };
                word | (bytes as u64) << 56
            };
            match left.first_chunk::<8>() {
                Some(eight) => add(u64::from_le_bytes(*eight) & WORD, last(left.len() - 7), keys),
                None if left.is_empty() => {}
                None => add(last(left.len()), 0, keys),
            }
            break;
        }
        sums
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

/// `value` modulo P, for a value below 2^125.
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

    /// The sum at one place of the keys, with all operations modulo P.
    fn slow(bytes: &[u8], keys: &Keys, at: usize) -> u64 {
        let p = P as u128;
        let mut value = 0;
        for block in bytes.chunks(BLOCK) {
            let mut words: Vec<u128> = Vec::new();
            for chunk in block.chunks(7) {
                let mut word = [0; 16];
                word[..chunk.len()].copy_from_slice(chunk);
                words.push(u128::from_le_bytes(word));
            }
            *words.last_mut().unwrap() += ((block.len() - 1) % 7 + 1) as u128 * (1 << 56);
            // The words before the last have no length.
            words.resize(words.len().next_multiple_of(2), 0);
            let pairs = words.chunks(2).zip(&keys.pairs);
            let sum: u128 = pairs
                .map(|(words, keys)| {
                    (words[0] + keys[2 * at] as u128) % p * ((words[1] + keys[2 * at + 1] as u128) % p) % p
                })
                .sum();
            value = (value * keys.blocks[at] as u128 + sum) % p;
        }
        value as u64
    }

    #[test]
    fn is_the_sum_it_claims_to_be() {
        let key = HashKey::new(*b"0123456789abcdef");
        let text: Vec<u8> = (0..=255).rev().cycle().take(1_200).collect();
        for length in 0..=1_200 {
            let hash = key.bytes(&text[..length]);
            assert_eq!(hash.tag, spread(slow(&text[..length], &key.0, 0)), "length {length}");
            assert_eq!(hash.rest, slow(&text[..length], &key.0, 1) as u32, "length {length}");
        }
    }

    #[test]
    fn the_largest_words_and_keys_do_not_overflow() {
        let largest = (1 << 59) - 1;
        let key = HashKey(Arc::new(Keys { pairs: [[largest; 4]; PAIRS], blocks: [largest; 2] }));
        for length in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let text = vec![0xff; length];
            assert_eq!(key.bytes(&text).tag, spread(slow(&text, &key.0, 0)), "length {length}");
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
