//! Sources between pages that must not be touched.

#![expect(unsafe_code, reason = "maps pages and protects them")]

use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use ndlens_core::{Access, Buffer, DType, Layout, Owner, View};

use crate::simd::level::Level;
use crate::tests::map::check_map;
use crate::tests::resize::{FILTERS, byte_steps, check_resize};
use crate::tests::{bytes, normalize, to};
use crate::{ResizeScratch, Stores, Take, ValueMap};

unsafe extern "C" {
    fn mmap(
        addr: *mut c_void,
        len: usize,
        prot: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    fn mprotect(addr: *mut c_void, len: usize, prot: c_int) -> c_int;
    fn munmap(addr: *mut c_void, len: usize) -> c_int;
    fn getpagesize() -> c_int;
}

/// Bytes of a page: 4096 on x86-64, up to 65536 on aarch64.
fn page_bytes() -> usize {
    // SAFETY: it has no precondition.
    usize::try_from(unsafe { getpagesize() }).unwrap()
}

/// One page of memory between two that cannot be read.
pub(crate) struct Fenced(usize);

impl Owner for Fenced {}

impl Fenced {
    pub(crate) fn page() -> Buffer {
        const PROT_READ_WRITE: c_int = 3;
        const MAP_PRIVATE_ANONYMOUS: c_int = 0x22;
        let len = page_bytes();
        // SAFETY: a new mapping of three pages, of which the middle one is made accessible; it
        // lives in the owner.
        unsafe {
            let start = mmap(ptr::null_mut(), 3 * len, 0, MAP_PRIVATE_ANONYMOUS, -1, 0);
            assert_ne!(start.addr(), usize::MAX);
            let page = start.byte_add(len);
            assert_eq!(mprotect(page, len, PROT_READ_WRITE), 0);
            for (i, byte) in bytes(len).into_iter().enumerate() {
                page.cast::<u8>().add(i).write(byte);
            }
            let owner = Arc::new(Fenced(start.expose_provenance()));
            Buffer::from_raw(NonNull::new(page.cast()).unwrap(), len, Access::ReadWrite, owner)
        }
    }
}

impl Drop for Fenced {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `page` and is unmapped only here.
        unsafe { munmap(ptr::with_exposed_provenance_mut(self.0), 3 * page_bytes()) };
    }
}

#[test]
fn no_body_reads_a_byte_outside_the_source() {
    let buffer = Fenced::page();
    let page = buffer.len();
    for width in 1..=67usize {
        for stride in 1..=5usize {
            let extent = (width - 1) * stride + 1;
            for backwards in [false, true] {
                for start in [0, page - extent] {
                    let (offset, stride) = if backwards {
                        (start + extent - 1, -(stride as isize))
                    } else {
                        (start, stride as isize)
                    };
                    let layout = Layout::new(&[width], &[stride], offset, 1, page).unwrap();
                    let view = View::new(buffer.clone(), layout, DType::U8).unwrap();
                    check_map(&view, None, 1, &[to(&DType::F32, true), normalize(1)]);
                }
            }
        }
    }
}

#[test]
fn no_body_reads_a_byte_beside_pixels() {
    let buffer = Fenced::page();
    let page = buffer.len();
    for width in (1..=40usize).chain([63, 64, 65, 128, 140, 257, 320]) {
        for channels in 2..=4usize {
            let (row, chains) = (
                width * channels,
                [vec![], vec![to(&DType::F16, true)], vec![to(&DType::F32, true)]],
            );
            let height = 3.min(page / row);
            let strides = [row as isize, channels as isize, 1];
            for start in [0, page - height * row] {
                let layout =
                    Layout::new(&[height, width, channels], &strides, start, 1, page).unwrap();
                let view = View::new(buffer.clone(), layout, DType::U8).unwrap();
                for steps in &chains {
                    check_map(&view.permute(&[2, 0, 1]).unwrap(), Some(0), channels, steps);
                    check_map(
                        &view.flip(&[1]).unwrap().permute(&[2, 0, 1]).unwrap(),
                        Some(0),
                        channels,
                        steps,
                    );
                }
            }
        }
    }
}

#[test]
fn no_copy_reads_a_byte_outside_the_source() {
    let buffer = Fenced::page();
    let page = buffer.len();
    for len in [1, 63, 1024, 1100, 2047, page] {
        for start in [0, page - len] {
            let layout = Layout::new(&[len], &[1], start, 1, page).unwrap();
            check_copy(&View::new(buffer.clone(), layout, DType::U8).unwrap());
        }
    }
}

#[test]
fn no_row_is_read_beyond_its_bytes() {
    let buffer = Fenced::page();
    let page = buffer.len();
    for len in [1, 64, 100, 256, 1024, 1100, 2047, page] {
        for start in [0, page - len] {
            let layout = Layout::new(&[2, len], &[0, 1], start, 1, page).unwrap();
            let view = View::new(buffer.clone(), layout, DType::U8).unwrap();
            for stores in [Stores::Cached, Stores::Stream] {
                let mut out = vec![0; 2 * len];
                Take::new(&view).unwrap().rows(&[1, 0], &mut out, stores).unwrap();
                assert!(out == view.to_vec::<u8>().unwrap());
            }
        }
    }
}

fn check_copy(view: &View) {
    for level in Level::all() {
        let map = ValueMap::at_level(&DType::U8, 1, &[], level).unwrap();
        let mut out = vec![0; view.len()];
        map.apply(&view.as_ref(), None, &mut out, Stores::Stream).unwrap();
        assert!(out == view.to_vec::<u8>().unwrap());
    }
}

#[test]
fn no_resize_reads_a_byte_outside_the_image() {
    let buffer = Fenced::page();
    let page = buffer.len();
    let mut scratch = ResizeScratch::default();
    for (height, channels, most) in [(3, 3, 70), (2, 1, 70), (2, 2, 67), (2, 4, 67), (1, 3, 300)] {
        for width in (1..=most).step_by(if most > 100 { 37 } else { 1 }) {
            let row = width * channels;
            for start in [0, page - height * row] {
                for mirrored in [false, true] {
                    let (offset, pixel) = if mirrored {
                        (start + row - channels, -(channels as isize))
                    } else {
                        (start, channels as isize)
                    };
                    let layout = Layout::new(
                        &[height, width, channels],
                        &[row as isize, pixel, 1],
                        offset,
                        1,
                        page,
                    );
                    let view = View::new(buffer.clone(), layout.unwrap(), DType::U8).unwrap();
                    let steps = &byte_steps(channels)[2];
                    check_resize(
                        &view,
                        [2, width.div_ceil(2)],
                        FILTERS[3],
                        None,
                        steps,
                        &mut scratch,
                    );
                    check_resize(&view, [2, 3], FILTERS[5], None, steps, &mut scratch);
                }
            }
        }
    }
}

#[test]
fn no_resize_of_floats_reads_a_byte_outside_the_image() {
    let buffer = Fenced::page();
    let page = buffer.len();
    let mut scratch = ResizeScratch::default();
    for (height, channels, most) in
        [(3, 3, 60), (2, 1, 60), (7, 2, 60), (1, 3, 300), (2, 4, 60), (2, 5, 60)]
    {
        for width in (1..=most).step_by(if most > 100 { 37 } else { 1 }) {
            let row = 4 * width * channels;
            for start in [0, page - height * row] {
                let strides = [row as isize, 4 * channels as isize, 4];
                let layout =
                    Layout::new(&[height, width, channels], &strides, start, 4, page).unwrap();
                let view = View::new(buffer.clone(), layout, DType::F32).unwrap();
                for view in [view.clone(), view.flip(&[1]).unwrap()] {
                    check_resize(
                        &view,
                        [2, width.div_ceil(2)],
                        FILTERS[3],
                        None,
                        &[],
                        &mut scratch,
                    );
                }
            }
        }
    }
}
