//! A keyed 93-bit hash that replaces a text in memory, with a proven bound on collisions.
//!
//! The text is a polynomial over the field of 2^61 - 1 elements. Its coefficients are the length and then 7 bytes each.
//! The hash is its value at two secret points (polynomial hashing: Carter and Wegman 1979; den Boer 1993). Two
//! different texts of at most `d - 1` words agree at a random point with probability at most `d / 2^61`, since a
//! polynomial has no more roots than its degree. Only 32 bits of the second value are kept, which leaves `d / 2^31`.
//! For ids of 128 bytes (`d` = 20) a pair of ids collides with probability below 2^-83, even if an attacker chose them,
//! as long as the key is secret. The key is drawn at start, and the hashes never leave the process. `docs/decisions.md`
//! explains the bound.

/// 2^61 - 1, a Mersenne prime: reducing needs only an addition.
const P: u64 = (1 << 61) - 1;

/// The secret points of one process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HashKey {
    first: u64,
    second: u64,
}

/// The hash of a text. Comparable only with hashes made with the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        Self { first: point(random as u64), second: point((random >> 64) as u64) }
    }

    #[inline]
    pub fn text(&self, text: &str) -> TextHash {
        self.bytes(text.as_bytes())
    }

    /// Hashes bytes of at most 2^56 length.
    #[inline]
    pub fn bytes(&self, bytes: &[u8]) -> TextHash {
        let mut first = bytes.len() as u64 + 1;
        let mut second = first;
        let mut step = |word: u64| {
            first = multiply(first, self.first) + word;
            second = multiply(second, self.second) + word;
        };
        let mut left = bytes;
        while let Some(eight) = left.first_chunk::<8>() {
            step(u64::from_le_bytes(*eight) & ((1 << 56) - 1));
            left = &left[7..];
        }
        if !left.is_empty() {
            let mut word = [0; 8];
            word[..left.len()].copy_from_slice(left);
            step(u64::from_le_bytes(word));
        }
        let first = canonical(multiply(first, self.first));
        let second = canonical(multiply(second, self.second));
        TextHash { tag: spread(first), rest: second as u32 }
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

/// `a * b` modulo P, not fully reduced: below 2^62 for `a` below 2^63 and `b` below 2^61.
#[inline]
fn multiply(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    let sum = (product as u64 & P) + (product >> 61) as u64;
    (sum & P) + (sum >> 61)
}

#[inline]
fn canonical(value: u64) -> u64 {
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

    #[test]
    fn is_the_polynomial_it_claims_to_be() {
        let key = HashKey::new(*b"0123456789abcdef");
        let text: Vec<u8> = (0..=255).collect();
        for length in 0..=256 {
            let hash = key.bytes(&text[..length]);
            assert_eq!(hash.tag, spread(slow(&text[..length], key.first)), "length {length}");
            assert_eq!(hash.rest, slow(&text[..length], key.second) as u32, "length {length}");
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
