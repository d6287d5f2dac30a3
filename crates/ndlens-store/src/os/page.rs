//! The size of a page.

#![expect(unsafe_code, reason = "asks the system; see UNSAFE.md")]

/// Bytes of a page. Not for a signal handler, which may not ask.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: it has no precondition.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page_bytes).unwrap_or(4096)
}
