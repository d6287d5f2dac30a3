//! Reads of mapped files that become shorter meanwhile: an error, not SIGBUS.
//!
//! The pages of a file that is truncated are lost at once, also from its maps. A thread that
//! accesses one of them gets SIGBUS, which ends the process. A check of the size beforehand does
//! not close that window. So a handler replaces the lost pages by zeros and marks the map as
//! damaged. The reader goes on, checks the mark at the end, and discards the data:
//!
//! ```text
//!  reader                     handler (same thread)
//!  begin a Reading
//!  read .. fault -----------> is it in one of MAPS, and is this thread guarded? no: old handler
//!       .. zeros <----------- mark the map; anonymous pages over the lost ones
//!  end the Reading
//!  damaged? then an error
//! ```
//!
//! Guarded are the threads that hold a [`Reading`], as those of a loader do, and after
//! [`guard_all_threads`] all. A thread that is not guarded gets its SIGBUS as before, since it does
//! not check the mark and would take zeros for data.
//!
//! # Writes
//!
//! A write to a map that is shared with the file (`"r+"`) must reach the file or be an error. So
//! the handler repairs reads alone there: a write that finds the disk full goes to the handler that
//! was there before, and pages that stand in for lost ones cannot be written. A private map's
//! writes stay in memory, and repaired pages take them.
//!
//! # The handler
//!
//! It takes no lock and no memory. It reads only atomics, and calls only functions that POSIX
//! allows in handlers, such as `stat`, and `mmap`, a bare system call. Signals that are not about a
//! map of ours go to the handler that was there before. Code that puts a handler in place of ours
//! (`faulthandler.enable`, a `DataLoader`'s worker) finds it replaced when the next `Reading`
//! begins, and is asked first from then on; should it ask us in turn, or raise the signal again,
//! the one before us both is asked.
//!
//! # Limitations
//!
//! - [`MAPS_MAX`] maps, which is as many as there are, and [`READINGS_MAX`] threads at a time.
//!   Threads beyond are not guarded: [`Owner::verify`](ndlens_core::Owner) looks at the size of
//!   what they read before, and that is all.
//! - Pages that were replaced are so for the whole process, and for good: the map is damaged until
//!   it is dropped, and all that ndlens reads of it is an error, also where the file has grown
//!   back. What was changed in memory in lost pages is lost.
//! - The end of the last page of a shortened file reads as zeros without any signal; only a check
//!   of the size after the read detects that.
//! - A file on hugetlbfs has larger pages than we put in place of them: its SIGBUS is passed on.
//! - A system call given lost memory fails with EFAULT; that is not a signal, and the map is not
//!   marked.

#![expect(unsafe_code, reason = "handles a signal and replaces pages of maps; see UNSAFE.md")]

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::mem;
use std::ptr;
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
};

use crate::file::fault_access::{FaultAccess, access_of};
use crate::file::origin::Origin;
use crate::os::process::PerProcess;

/// Maps that are guarded at most at a time, and that `map.rs` makes at most: as many as Linux
/// allows a process unless it is told otherwise.
pub const MAPS_MAX: usize = 1 << 16;

/// Threads that hold a [`Reading`] at most at a time.
pub const READINGS_MAX: usize = 512;

/// `si_code` of a fault at a page that a map has and its file has not (`asm-generic/siginfo.h`).
/// Other causes of SIGBUS, such as broken memory and unaligned access, cannot be repaired by other
/// pages.
const BUS_ADRERR: c_int = 2;

/// A map, as the handler finds it.
///
/// # Invariants
///
/// 1. `version` is even while nothing changes, and only grows. Only the thread that makes it odd
///    changes the rest until it is even again.
/// 2. A slot is free where `end` is 0. From registration to drop, the map is there and `path`
///    points to a C string.
struct Slot {
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    /// An absolute path, and the device and the inode that it must lead to.
    path: AtomicPtr<c_char>,
    device: AtomicU64,
    inode: AtomicU64,
    /// Whether writes go to the file.
    shared: AtomicBool,
    damaged: AtomicBool,
}

/// A map, as it was registered.
struct Found {
    start: usize,
    end: usize,
    path: *const c_char,
    device: u64,
    inode: u64,
    shared: bool,
}

static MAPS: [Slot; MAPS_MAX] = [const {
    Slot {
        version: AtomicUsize::new(0),
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        path: AtomicPtr::new(ptr::null_mut()),
        device: AtomicU64::new(0),
        inode: AtomicU64::new(0),
        shared: AtomicBool::new(false),
        damaged: AtomicBool::new(false),
    }
}; MAPS_MAX];

/// A slot of this index or a higher one was never used.
static MAPS_USED: AtomicUsize = AtomicUsize::new(0);

/// A slot below which none is free, most of the time: where to look for one first.
static FIRST_FREE: AtomicUsize = AtomicUsize::new(0);

/// The threads that hold a [`Reading`], as [`this_thread`] names them; 0 is no thread. Entries of
/// other threads that a fork copies name no thread of the child.
static READINGS: [AtomicU64; READINGS_MAX] = [const { AtomicU64::new(0) }; READINGS_MAX];

/// Whether all threads are guarded.
static ALL: AtomicBool = AtomicBool::new(false);

/// Bytes of a page, from when the handler is in place; nothing calls it before.
static PAGE_BYTES: AtomicUsize = AtomicUsize::new(4096);

/// The handler of SIGBUS before ours was first in place.
static BEFORE: Previous = Previous(AtomicUsize::new(libc::SIG_DFL));

/// The handler that was put in place of ours, and was replaced again.
static AFTER: Previous = Previous(AtomicUsize::new(libc::SIG_DFL));

/// The thread and the address of the signal that [`AFTER`] was asked about last.
static ASKED: (AtomicU64, AtomicUsize) = (AtomicU64::new(0), AtomicUsize::new(0));

/// Held to put the handler in place; the value says whether it ever was.
static INSTALLING: PerProcess<bool> = PerProcess::new(|installed| *installed);

/// The claim of a map on a slot. It must be dropped before the map is.
#[derive(Debug)]
pub(crate) struct Guarded(usize);

impl Guarded {
    /// Lets the handler find the map of a file at `start..start + len`; None if there are
    /// [`MAPS_MAX`] others. `shared` means that writes go to the file. The origin must outlive the
    /// claim.
    pub(crate) fn register(
        start: usize,
        len: usize,
        shared: bool,
        origin: &Origin,
    ) -> Option<Self> {
        let identity = origin.identity();
        let claim = |slot: &Slot| {
            // Acquire: `end` is at least as new as this version.
            let version = slot.version.load(Ordering::Acquire);
            let free = version.is_multiple_of(2) && slot.end.load(Ordering::Relaxed) == 0;
            free && slot.change(version, || {
                slot.start.store(start, Ordering::Relaxed);
                slot.path.store(origin.absolute().as_ptr().cast_mut(), Ordering::Relaxed);
                slot.device.store(identity.device, Ordering::Relaxed);
                slot.inode.store(identity.inode, Ordering::Relaxed);
                slot.shared.store(shared, Ordering::Relaxed);
                slot.damaged.store(false, Ordering::Relaxed);
                slot.end.store(start + len, Ordering::Relaxed);
            })
        };
        // Relaxed: a hint. One that is wrong costs a look at slots that are taken, or at all of
        // them.
        let first = FIRST_FREE.load(Ordering::Relaxed).min(MAPS_MAX);
        let index = MAPS[first..].iter().position(claim).map(|index| first + index);
        let index = index.or_else(|| MAPS[..first].iter().position(claim))?;
        FIRST_FREE.store(index + 1, Ordering::Relaxed);
        // Relaxed: a thread that reads the map was given it after this, in whatever way.
        MAPS_USED.fetch_max(index + 1, Ordering::Relaxed);
        Some(Guarded(index))
    }

    /// Whether lost pages of the map were replaced, before anything that this thread has read of it
    /// until now.
    pub(crate) fn is_damaged(&self) -> bool {
        // Acquire: the mark is looked at after what was read before. A thread that read zeros did
        // so after the handler had set the mark: it is set before the pages are replaced, and both
        // the system call and the processor's walk to the new page are in between.
        fence(Ordering::Acquire);
        MAPS[self.0].damaged.load(Ordering::Relaxed)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let slot = &MAPS[self.0];
        // Relaxed: no other thread changes a slot that is taken.
        let version = slot.version.load(Ordering::Relaxed);
        slot.change(version, || slot.end.store(0, Ordering::Relaxed));
        FIRST_FREE.fetch_min(self.0, Ordering::Relaxed);
    }
}

impl Slot {
    /// Changes the slot, if it still has this version.
    fn change(&self, version: usize, change: impl FnOnce()) -> bool {
        // Acquire: of two that claim a slot, the second changes it after the first.
        let claimed = self.version.compare_exchange(
            version,
            version + 1,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        if claimed.is_ok() {
            // Release: a thread that reads something of the change and then the version finds it
            // odd or higher.
            fence(Ordering::Release);
            change();
            // Release: a thread that reads this version reads all of the change.
            self.version.store(version + 2, Ordering::Release);
        }
        claimed.is_ok()
    }

    /// Its contents, if a page begins in its range. A slot that changes meanwhile is not that of a
    /// map that a thread reads.
    fn around(&self, page: usize) -> Option<Found> {
        // Acquire and the fence: what is read in between is of one version, if that is the same
        // before and after.
        let version = self.version.load(Ordering::Acquire);
        let found = Found {
            start: self.start.load(Ordering::Relaxed),
            end: self.end.load(Ordering::Relaxed),
            path: self.path.load(Ordering::Relaxed),
            device: self.device.load(Ordering::Relaxed),
            inode: self.inode.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
        };
        fence(Ordering::Acquire);
        let same = version.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == version;
        (same && (found.start..found.end).contains(&page)).then_some(found)
    }
}

/// While a thread holds it, the thread's reads of mapped files are guarded: after them, ask whether
/// the map is damaged.
#[derive(Debug)]
pub struct Reading {
    index: Option<usize>,
    /// It is this thread's.
    thread: PhantomData<*const ()>,
}

impl Reading {
    /// Guards this thread. Puts the handler in place, if it is not.
    pub fn begin() -> Self {
        install();
        let me = this_thread();
        let claim = |entry: &AtomicU64| {
            let there = entry.load(Ordering::Relaxed);
            // Of another process: a fork copied it.
            let free = there == 0 || there >> 32 != me >> 32;
            // Acquire: reads that come after stay after. The handler runs on this very thread and
            // needs no more.
            free && entry.compare_exchange(there, me, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let index = READINGS.iter().position(claim);
        compiler_fence(Ordering::SeqCst);
        Reading { index, thread: PhantomData }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        compiler_fence(Ordering::SeqCst);
        if let Some(index) = self.index {
            // Release: reads that came before stay before.
            READINGS[index].store(0, Ordering::Release);
        }
    }
}

/// Guards all threads of this process, and of those forked from it, from now on: a read of lost
/// pages, by any code, gives zeros and marks the map as damaged. The reader must look at the
/// mark ([`View::verify`](ndlens_core::View::verify)), or takes zeros for data.
///
/// Puts the handler in place again, if another one is.
pub fn guard_all_threads() {
    install();
    // Relaxed: the threads that rely on it learn of this call in ways that order more.
    ALL.store(true, Ordering::Relaxed);
}

/// This thread of this process, as no other thread of the machine is named.
fn this_thread() -> u64 {
    // SAFETY: neither call has a precondition; both are bare system calls.
    let (process, thread) = unsafe { (libc::getpid(), libc::syscall(libc::SYS_gettid)) };
    (process as u64) << 32 | thread as u64 & 0xffff_ffff
}

/// A handler that gets the address of a fault.
type InfoHandler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// A handler that is not ours, in one word: its address, and whether it takes three arguments and
/// is to be called once only.
struct Previous(AtomicUsize);

/// Addresses of a process's code have these bits clear, on x86-64 as on aarch64.
const TAKES_INFO: usize = 1 << 63;
const ONCE: usize = 1 << 62;

impl Previous {
    fn set(&self, action: &libc::sigaction) {
        let has = |flag, bit| if action.sa_flags & flag == flag { bit } else { 0 };
        let word =
            action.sa_sigaction | has(libc::SA_SIGINFO, TAKES_INFO) | has(libc::SA_RESETHAND, ONCE);
        // Release, with Acquire in `call`: a handler is there before it is named.
        self.0.store(word, Ordering::Release);
    }

    /// Does what the system would do if this were in place.
    ///
    /// # Safety
    ///
    /// Called by a handler of `signal`, with its arguments.
    unsafe fn call(&self, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
        let word = self.0.load(Ordering::Acquire);
        if word & ONCE != 0 {
            self.0.store(libc::SIG_DFL, Ordering::Release);
        }
        // SAFETY: the system's own, of a handler that runs.
        let sent = unsafe { (*info).si_code } <= 0;
        match word & !(TAKES_INFO | ONCE) {
            // A fault cannot be ignored: the system itself would end the process.
            libc::SIG_IGN if sent => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                // SAFETY: a zeroed action is the default one. A fault happens again once we return;
                // what was sent, by `kill` for one, is sent again, and delivered then.
                unsafe {
                    let default: libc::sigaction = mem::zeroed();
                    libc::sigaction(signal, &raw const default, ptr::null_mut());
                    if sent {
                        libc::raise(signal);
                    }
                }
            }
            address if word & TAKES_INFO != 0 => {
                // SAFETY: `sigaction` gave this address, and the flag says that it is of such a
                // function.
                let handler = unsafe { mem::transmute::<usize, InfoHandler>(address) };
                handler(signal, info, context);
            }
            address => {
                // SAFETY: as above, without the flag.
                let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(address) };
                handler(signal);
            }
        }
    }
}

/// Bytes of a page. Not for the handler, which may not ask.
pub(crate) fn page_bytes() -> usize {
    // SAFETY: it has no precondition.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(page_bytes).unwrap_or(4096)
}

/// Puts the handler in place, if another one is: a system call where ours is.
fn install() {
    if is_ours(&current()) {
        return;
    }
    let mut installed = INSTALLING.lock();
    let there = current();
    if is_ours(&there) {
        return;
    }
    // Relaxed: the handler comes into place after this, by a system call.
    PAGE_BYTES.store(page_bytes(), Ordering::Relaxed);
    let ours_to_be = if *installed && !matches!(there.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        AFTER.set(&there);
        on_bus_error_asking_after
    } else {
        // Code that sets the default has taken back what was there before.
        BEFORE.set(&there);
        on_bus_error
    };
    // Signals that the other handler blocks are blocked while ours runs, since ours may call it.
    // The thread's signal stack is used if it has one, for a fault in a thread with little stack
    // left.
    let mut ours = there;
    ours.sa_sigaction = ours_to_be as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | there.sa_flags & libc::SA_RESTART;
    // SAFETY: `ours` is a whole action, and the function one with three arguments, as SA_SIGINFO
    // says. It fails for no signal but those that cannot be handled.
    unsafe { libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) };
    *installed = true;
}

fn is_ours(action: &libc::sigaction) -> bool {
    [on_bus_error as *const (), on_bus_error_asking_after as *const ()]
        .iter()
        .any(|handler| handler.addr() == action.sa_sigaction)
}

fn current() -> libc::sigaction {
    // SAFETY: all fields of the struct may be zero; the call writes it and changes nothing.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut action);
        action
    }
}

/// The handler that is put in place first.
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the system's arguments.
    unsafe { handle(signal, info, context, false) };
}

/// The handler that is put in place of another one, which had replaced the first. The code that
/// replaced that one puts it back, or calls it, without a query for the present one.
extern "C" fn on_bus_error_asking_after(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
) {
    // SAFETY: the system's arguments.
    unsafe { handle(signal, info, context, true) };
}

/// # Safety
///
/// Called by a handler of `signal`, with its arguments.
unsafe fn handle(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
    asks_after: bool,
) {
    // SAFETY: the system gives a handler with SA_SIGINFO a whole `info`; for BUS_ADRERR it has an
    // address, and for others some number that is only compared. `errno` is this thread's, and may
    // be in use where the signal struck.
    let (code, address, errno) =
        unsafe { ((*info).si_code, (*info).si_addr() as usize, *libc::__errno_location()) };
    // SAFETY: the system's own, as above.
    let access = unsafe { access_of(context) };
    if !(code == BUS_ADRERR && repair(address, access)) {
        let previous = if asks_after && is_new(code, address) { &AFTER } else { &BEFORE };
        // SAFETY: passed on as they came.
        unsafe { previous.call(signal, info, context) };
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Whether [`AFTER`] was not asked about this signal already: it may have called us, raised the
/// signal again, or left the fault as it was.
fn is_new(code: c_int, address: usize) -> bool {
    let me = this_thread();
    // Relaxed: this thread's own. What others write in between only makes AFTER be asked once more.
    let same_thread = ASKED.0.load(Ordering::Relaxed) == me;
    // What is sent, not a fault, has a code of 0 or less.
    let asked = same_thread && (code <= 0 || ASKED.1.load(Ordering::Relaxed) == address);
    ASKED.1.store(address, Ordering::Relaxed);
    ASKED.0.store(if asked { 0 } else { me }, Ordering::Relaxed);
    !asked
}

/// Replaces the page of an address by zeros, if it is in one of our maps that a guarded thread
/// reads.
fn repair(address: usize, access: FaultAccess) -> bool {
    let page_bytes = PAGE_BYTES.load(Ordering::Relaxed);
    let page = address & !(page_bytes - 1);
    // Relaxed: see `register`.
    let maps = &MAPS[..MAPS_USED.load(Ordering::Relaxed).min(MAPS_MAX)];
    // This thread reads the map, so the map is held and its slot does not change.
    let found = maps.iter().find_map(|slot| Some((slot, slot.around(page)?)));
    let Some((slot, found)) = found else { return false };
    // Relaxed: an entry of this thread was written by it.
    let is_guarded = ALL.load(Ordering::Relaxed) || {
        let me = this_thread();
        READINGS.iter().any(|entry| entry.load(Ordering::Relaxed) == me)
    };
    if !is_guarded {
        return false;
    }
    let is_past_end = found.file_len().is_some_and(|len| len <= (page - found.start) as u64);
    // A write that would not reach the file. Where the system does not say, a page that the file
    // has is taken for one that was written.
    if found.shared
        && (access == FaultAccess::Write || access == FaultAccess::Unknown && !is_past_end)
    {
        return false;
    }
    // Before the pages are replaced; see `is_damaged`.
    slot.damaged.store(true, Ordering::SeqCst);
    // All lost pages at once, if the file is shorter. Otherwise, as on a full disk, this page.
    is_past_end && replace(page, found.end, found.shared)
        || replace(page, page + page_bytes, found.shared)
}

impl Found {
    /// The bytes of the file, if its path still leads to it.
    fn file_len(&self) -> Option<u64> {
        // SAFETY: all fields of the struct may be zero. The path is a C string, by invariant 2.
        unsafe {
            let mut stat: libc::stat = mem::zeroed();
            let same = libc::stat(self.path, &raw mut stat) == 0
                && (stat.st_dev, stat.st_ino) == (self.device, self.inode);
            same.then_some(stat.st_size as u64)
        }
    }
}

/// Anonymous zero pages at `start..end`, a range of a map of ours; they can be written unless the
/// map is shared.
fn replace(start: usize, end: usize, shared: bool) -> bool {
    let protection = if shared { libc::PROT_READ } else { libc::PROT_READ | libc::PROT_WRITE };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    // SAFETY: the range begins at a page of the map and ends with its last page at the most, so
    // nothing else is replaced; the map is there, since this thread reads it, and unmaps these
    // pages as it would have the others. They can be read as those could. Nobody holds a reference
    // to them.
    let at = unsafe { libc::mmap(start as *mut c_void, end - start, protection, flags, -1, 0) };
    at != libc::MAP_FAILED
}
