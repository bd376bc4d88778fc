//! Surviving files that are cut short, or sectors that cannot be read, while they are mapped.
//!
//! Touching a lost page of a mapping raises SIGBUS, whose default is to end the process. With [`install`] a handler
//! puts a page of zeros in its place and counts it; whoever reads the mapping asks afterwards
//! ([`MappedFile::check`](super::MappedFile::check)) and throws away what it read. Without the handler nothing changes.
//!
//! The handler runs on whatever thread touched the page, at any instruction, so it may use nothing but atomics and
//! `mmap`. Mappings are registered in a table of fixed size before they are read and taken out before they are unmapped.
//! A fault anywhere else gets the default action, as without us.

#![expect(unsafe_code, reason = "a signal handler that maps pages cannot be written without it")]

use std::ffi::c_int;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Mappings that can be registered at a time: more than a process keeps open, far fewer than the kernel allows.
const SLOTS: usize = 4096;

struct Slot {
    /// First address, 0 while the slot is free, 1 while it is being filled.
    start: AtomicUsize,
    end: AtomicUsize,
    lost: AtomicUsize,
    /// The lowest address that was lost.
    first_lost: AtomicUsize,
}

static TABLE: [Slot; SLOTS] = [const {
    Slot {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        lost: AtomicUsize::new(0),
        first_lost: AtomicUsize::new(usize::MAX),
    }
}; SLOTS];
static LOST: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(4096);

/// Installs the handler for the whole process. Calling it again does nothing.
///
/// It replaces a SIGBUS handler that the process already has; programs that have one should not call this.
pub fn install() -> io::Result<()> {
    if INSTALLED.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    PAGE_SIZE.store(rustix::param::page_size(), Ordering::SeqCst);
    // SAFETY: an all-zero sigaction is a valid value of the plain C struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_sigbus as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
    // SAFETY: `action` is initialised, its handler has the signature that SA_SIGINFO demands and is
    // async-signal-safe; no previous action is asked for.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) } != 0 {
        INSTALLED.store(false, Ordering::SeqCst);
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Pages that all mappings of the process lost so far, and that plain reads in their place did not get.
///
/// A program that ends with a verdict asks this last: a mapping that nobody checked may have been among them.
pub fn lost_pages() -> usize {
    LOST.load(Ordering::Relaxed)
}

/// Counts a page that a plain read did not get, which the reader has zeros for.
pub(super) fn count_lost_page() {
    LOST.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn on_sigbus(signal: c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands a valid siginfo to a handler installed with SA_SIGINFO; for SIGBUS it holds an address.
    let address = unsafe { (*info).si_addr() } as usize;
    if address > 1 && replace_page(address) {
        return;
    }
    // Not ours: back to the default, and the instruction that faulted faults again.
    // SAFETY: resetting a signal to its default is async-signal-safe.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Puts a page of zeros where `address` is, if it lies in a registered mapping.
fn replace_page(address: usize) -> bool {
    for slot in &TABLE {
        let start = slot.start.load(Ordering::Acquire);
        if start > 1 && start <= address && address < slot.end.load(Ordering::Acquire) {
            let page_size = PAGE_SIZE.load(Ordering::Relaxed);
            let page = (address & !(page_size - 1)) as *mut libc::c_void;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            // SAFETY: the page lies whole in a live mapping of ours (mappings start at pages, and a registered one is
            // not unmapped before it is taken out of the table), which is read-only and private: replacing a page of
            // it by zeros changes what readers see and nothing else.
            let got = unsafe { libc::mmap(page, page_size, libc::PROT_READ, flags, -1, 0) };
            // Before the thread goes on with the zeros, so that it cannot miss what it has read.
            slot.first_lost.fetch_min(page.addr(), Ordering::Relaxed);
            slot.lost.fetch_add(1, Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
            return got == page;
        }
    }
    false
}

/// The place of a mapping in the table; gives it back when dropped.
#[derive(Debug)]
pub(super) struct Registration(Option<usize>);

impl Registration {
    /// Registers a mapping. Does nothing without a handler, and beyond the table's size.
    pub(super) fn new(bytes: &[u8]) -> Self {
        if !INSTALLED.load(Ordering::Relaxed) {
            return Self(None);
        }
        let start = bytes.as_ptr().addr();
        let free = |slot: &Slot| slot.start.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let index = TABLE.iter().position(free);
        if let Some(slot) = index.and_then(|index| TABLE.get(index)) {
            slot.lost.store(0, Ordering::Relaxed);
            slot.first_lost.store(usize::MAX, Ordering::Relaxed);
            slot.end.store(start.saturating_add(bytes.len()), Ordering::Release);
            slot.start.store(start, Ordering::Release);
        }
        Self(index)
    }

    /// Address of the first page that was lost so far.
    pub(super) fn first_lost(&self) -> Option<usize> {
        let slot = TABLE.get(self.0?)?;
        let first = slot.first_lost.load(Ordering::Relaxed);
        (first != usize::MAX).then_some(first)
    }

    /// Pages that were lost so far.
    pub(super) fn lost_pages(&self) -> usize {
        self.0.and_then(|index| TABLE.get(index)).map_or(0, |slot| slot.lost.load(Ordering::Relaxed))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(slot) = self.0.and_then(|index| TABLE.get(index)) {
            slot.end.store(0, Ordering::Release);
            slot.start.store(0, Ordering::Release);
        }
    }
}
