//! The only unsafe code: asks the processor to read memory ahead of time, which changes no value.
#![allow(unsafe_code)]

/// Starts to read the memory of a value into the processor's caches, and does not wait for it. Does nothing on other
/// processors than x86-64.
#[inline]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is only a hint. It is defined for every address, and this one is of a live reference.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
