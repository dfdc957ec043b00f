//! Numbers as keys of collections.

use std::num::NonZeroU32;

/// A key that counts from 1.
pub trait Numbered: Copy {
    fn from_number(number: NonZeroU32) -> Self;
    fn index(self) -> usize;
}

#[cfg(test)]
impl Numbered for NonZeroU32 {
    fn from_number(number: NonZeroU32) -> Self {
        number
    }

    fn index(self) -> usize {
        self.get() as usize
    }
}
