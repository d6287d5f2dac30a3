//! A target: what it promises, and the function that checks it.

/// A function of bytes that panics if a promise is broken.
#[derive(Debug, Clone, Copy)]
pub struct FuzzTarget {
    /// The name, which its corpus has too.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    /// Runs the target on one input.
    pub run: fn(&[u8]),
    /// The largest input of which the fuzzer may hope for new results, in bytes.
    pub max_len: usize,
}
