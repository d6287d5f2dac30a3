//! The kind of access that caused a fault, which the handler of `sigbus.rs` must know: a write that
//! cannot reach its file must not be repaired.
//!
//! On x86-64 the registers of a signal's context have the error code of the fault. On aarch64 Linux
//! puts records behind the registers (`asm/sigcontext.h`), one of which has the syndrome:
//!
//! ```text
//!  fault_address, 31 registers, sp, pc, pstate | to a multiple of 16 | record, record, .., 0 0
//!  record: its kind and its bytes, 4 bytes each, then its contents
//! ```

#![expect(unsafe_code, reason = "reads the context of a signal; see UNSAFE.md")]

use std::ffi::c_void;

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
pub(crate) use aarch64::access_of;

/// The kind of access to the lost memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(
    not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))),
    allow(dead_code, reason = "other systems do not say")
)]
pub(crate) enum FaultAccess {
    Read,
    Write,
    /// The system does not say.
    Unknown,
}

/// # Safety
///
/// Called by a handler with `SA_SIGINFO`, with its context.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) unsafe fn access_of(context: *mut c_void) -> FaultAccess {
    /// The bit of a page fault's error code that says it was a write.
    const WRITE: i64 = 1 << 1;
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: a handler with SA_SIGINFO is given a whole context.
    let code = unsafe { (*context).uc_mcontext.gregs[libc::REG_ERR as usize] };
    if code & WRITE == 0 { FaultAccess::Read } else { FaultAccess::Write }
}

/// # Safety
///
/// None.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) unsafe fn access_of(_: *mut c_void) -> FaultAccess {
    FaultAccess::Unknown
}

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
mod aarch64 {
    use super::{FaultAccess, c_void};

    /// Bytes of the records.
    const RECORDS_BYTES: usize = 4096;
    /// The record with the exception syndrome, of 8 bytes after its head.
    const SYNDROME: u32 = 0x4553_5201;
    /// Bytes of a record's head.
    const HEAD_BYTES: usize = 8;
    /// Exception class of an access to data, from a process.
    const DATA_ABORT: u64 = 0b10_0100;
    /// The bits of a syndrome that say that it was a write, and that it was cache maintenance,
    /// which counts as a read.
    const WRITE: u64 = 1 << 6;
    const MAINTENANCE: u64 = 1 << 8;

    /// # Safety
    ///
    /// Called by a handler with `SA_SIGINFO`, with its context.
    pub(crate) unsafe fn access_of(context: *mut c_void) -> FaultAccess {
        // SAFETY: passed on; nothing changes the records while the handler runs.
        records_access(unsafe { &*records_of(context) })
    }

    /// # Safety
    ///
    /// As [`access_of`].
    unsafe fn records_of(context: *mut c_void) -> *const [u8; RECORDS_BYTES] {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: a handler with SA_SIGINFO is given a whole context, in which the records are at
        // the next multiple of 16 after `pstate`.
        unsafe {
            let registers_end = (&raw const (*context).uc_mcontext.pstate).add(1);
            registers_end.map_addr(|address| address.next_multiple_of(16)).cast()
        }
    }

    /// The access that the syndrome among the records tells, if there is one.
    fn records_access(records: &[u8; RECORDS_BYTES]) -> FaultAccess {
        let word = |at: usize| {
            let bytes = records.get(at..at + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let mut at = 0;
        loop {
            let (Some(kind), Some(len)) = (word(at), word(at + 4)) else {
                return FaultAccess::Unknown;
            };
            let len = len as usize;
            // The end, or what is no record.
            if len < HEAD_BYTES {
                return FaultAccess::Unknown;
            }
            if kind == SYNDROME {
                let (Some(low), Some(high)) = (word(at + HEAD_BYTES), word(at + HEAD_BYTES + 4))
                else {
                    return FaultAccess::Unknown;
                };
                return syndrome_access(u64::from(high) << 32 | u64::from(low));
            }
            at += len;
        }
    }

    fn syndrome_access(syndrome: u64) -> FaultAccess {
        if syndrome >> 26 & 0x3f != DATA_ABORT {
            return FaultAccess::Unknown;
        }
        if syndrome & (WRITE | MAINTENANCE) == WRITE {
            FaultAccess::Write
        } else {
            FaultAccess::Read
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::ffi::c_int;
        use std::ptr;
        use std::sync::atomic::{AtomicU32, Ordering};

        /// The kind of the record of vector registers.
        const VECTORS: u32 = 0x4650_8001;

        #[test]
        fn the_records_of_a_signal_are_behind_its_registers() {
            static FIRST: AtomicU32 = AtomicU32::new(0);
            extern "C" fn handler(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
                // SAFETY: the system's own.
                let records = unsafe { *records_of(context) };
                let kind = u32::from_ne_bytes(records[..4].try_into().unwrap());
                FIRST.store(kind, Ordering::SeqCst);
            }
            // SAFETY: a zeroed action is a valid one; the function has the arguments that
            // SA_SIGINFO says. No other test uses the signal.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
                assert_eq!(libc::sigaction(libc::SIGWINCH, &raw const action, ptr::null_mut()), 0);
                libc::raise(libc::SIGWINCH);
            }
            assert_eq!(FIRST.load(Ordering::SeqCst), VECTORS);
        }

        /// Records of these kinds, each with its contents.
        fn records(all: &[(u32, &[u8])]) -> [u8; RECORDS_BYTES] {
            let mut records = [0; RECORDS_BYTES];
            let mut at = 0;
            for (kind, contents) in all {
                let len = HEAD_BYTES + contents.len();
                records[at..at + 4].copy_from_slice(&kind.to_ne_bytes());
                records[at + 4..at + 8].copy_from_slice(&(len as u32).to_ne_bytes());
                records[at + HEAD_BYTES..at + len].copy_from_slice(contents);
                at += len;
            }
            records
        }

        #[test]
        fn the_syndrome_of_a_fault_says_whether_it_was_a_write() {
            let of = |syndrome: u64| {
                records_access(&records(&[
                    (VECTORS, &[0xff; 520]),
                    (SYNDROME, &syndrome.to_ne_bytes()),
                ]))
            };
            // A translation fault at the last level, as the system reports it.
            assert_eq!(of(0x9200_0007), FaultAccess::Read);
            assert_eq!(of(0x9200_0047), FaultAccess::Write);
            assert_eq!(of(0x9200_0147), FaultAccess::Read);
            // An instruction is not data.
            assert_eq!(of(0x8200_0007), FaultAccess::Unknown);
        }

        #[test]
        fn records_without_a_syndrome_tell_nothing() {
            assert_eq!(records_access(&records(&[])), FaultAccess::Unknown);
            assert_eq!(records_access(&records(&[(7, &[0; 100])])), FaultAccess::Unknown);
            assert_eq!(records_access(&[0xff; RECORDS_BYTES]), FaultAccess::Unknown);
            // A record that ends with the memory, and one that is cut off by it.
            let head = |kind: u32, len: usize| [kind.to_ne_bytes(), (len as u32).to_ne_bytes()];
            for left in [0, 4, 8, 12] {
                let mut all = [0; RECORDS_BYTES];
                let first = RECORDS_BYTES - left;
                all[..8].copy_from_slice(head(7, first).as_flattened());
                if left >= 8 {
                    all[first..first + 8].copy_from_slice(head(SYNDROME, 16).as_flattened());
                }
                assert_eq!(records_access(&all), FaultAccess::Unknown);
            }
        }
    }
}
