//! The tokens of API keys (W6).
//!
//! A token is `rk_live_` or `rk_test_`, 43 random characters of base 62 (256 bits), and 6 characters of the CRC-32 of all
//! characters before. The checksum finds a typo without a lookup. The prefix lets scanners find tokens in source
//! code.

use sha2::{Digest, Sha256};

use crate::domain::model::api_key::TokenHash;
use crate::domain::model::project::Environment;

const LIVE: &str = "rk_live_";
const TEST: &str = "rk_test_";
const RANDOM_LEN: usize = 43;
const CHECKSUM_LEN: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Creates a token from the system's randomness.
pub fn new(environment: Environment) -> Result<String, getrandom::Error> {
    let mut token = String::from(if environment == Environment::Live { LIVE } else { TEST });
    let full = token.len() + RANDOM_LEN;
    while token.len() < full {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        // Larger bytes would make some digits more likely.
        let digits = bytes.iter().filter(|&&byte| byte < 248).map(|&byte| char::from(DIGITS[usize::from(byte % 62)]));
        token.extend(digits.take(full - token.len()));
    }
    let checksum = checksum(&token);
    token.push_str(&checksum);
    Ok(token)
}

/// Returns true if the text begins as a token of an API key.
pub fn is_key(text: &str) -> bool {
    text.starts_with("rk_")
}

/// Returns the hash of a token. `None` if it is mistyped or cut.
pub fn hash(token: &str) -> Option<TokenHash> {
    let random = token.strip_prefix(LIVE).or_else(|| token.strip_prefix(TEST))?;
    if random.len() != RANDOM_LEN + CHECKSUM_LEN || !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (checked, sum) = token.split_at(token.len() - CHECKSUM_LEN);
    (checksum(checked) == sum).then(|| Sha256::digest(token).into())
}

fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits.iter().map(|&digit| char::from(digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w6_a_token_is_told_from_a_typo() {
        for (environment, prefix) in [(Environment::Live, LIVE), (Environment::Test, TEST)] {
            let token = new(environment).unwrap();
            assert!(token.starts_with(prefix) && token.len() == prefix.len() + 49, "{token}");
            assert_eq!(hash(&token), Some(Sha256::digest(&token).into()));
            assert_ne!(new(environment).unwrap(), token);
            // One character changed, at every place.
            for at in 0..token.len() {
                let mut mistyped = token.clone().into_bytes();
                mistyped[at] = if mistyped[at] == b'a' { b'b' } else { b'a' };
                assert_eq!(hash(std::str::from_utf8(&mistyped).unwrap()), None, "{at}");
            }
            for cut in 0..token.len() {
                assert_eq!(hash(&token[..cut]), None);
            }
        }
        assert!(is_key("rk_") && !is_key("eyJhbGciOi"));
    }

    #[test]
    fn w6_the_checksum_stays_what_scanners_look_for() {
        assert_eq!(checksum(""), "000000");
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
