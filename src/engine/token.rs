//! Revision tokens: revisions as opaque text for clients.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::Revision;

/// A revision of one store. A client returns it to read a State at least as new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    pub store_id: u32,
    pub number: u64,
    pub tag: u32,
}

impl Token {
    pub fn new(store_id: u32, revision: Revision) -> Self {
        Self { store_id, number: revision.number, tag: revision.tag }
    }

    /// Returns 22 characters: base64url of store (4 bytes), number (8), tag (4), big-endian.
    pub fn encode(&self) -> String {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.store_id.to_be_bytes());
        bytes[4..12].copy_from_slice(&self.number.to_be_bytes());
        bytes[12..].copy_from_slice(&self.tag.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text of [`Self::encode`]. `None` for any other text.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let [s0, s1, s2, s3, number @ .., t0, t1, t2, t3] = bytes;
        Some(Self {
            store_id: u32::from_be_bytes([s0, s1, s2, s3]),
            number: u64::from_be_bytes(number),
            tag: u32::from_be_bytes([t0, t1, t2, t3]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_nothing_else_does() {
        let token = Token { store_id: 0x0102_0304, number: u64::MAX - 5, tag: 0xdead_beef };
        let text = token.encode();
        assert_eq!(text.len(), 22);
        assert_eq!(Token::decode(&text), Some(token));
        for bad in ["", "abc", &text[1..], &format!("{text}A"), "!!!!!!!!!!!!!!!!!!!!!!"] {
            assert_eq!(Token::decode(bad), None, "{bad}");
        }
    }
}
