//! Handles and packed views: a round trip gives the same view, and forged bytes do no harm.

use ndlens_core::{Buffer, DType, Layout, Order, View, s};
use ndlens_store::{Error, Handle, PackedView, ViewHandle, share};
use proptest::prelude::*;

fn numbers() -> View {
    View::from_vec((0..240u16).collect()).reshape(&[4, 5, 12]).unwrap()
}

/// The view through what a chain of operations says.
fn changed(view: &View, steps: &[u8]) -> View {
    steps.iter().fold(view.clone(), |view, step| {
        let ndim = view.ndim() as isize;
        let next = match step % 6 {
            0 if ndim > 1 => view.index(&[s(0)]),
            1 if ndim > 0 => view.index(&[s(1..)]),
            2 if ndim > 0 => view.flip(&[-1]),
            3 if ndim > 1 => view.swapaxes(0, -1),
            4 => Ok(view.to_read_only()),
            5 => view.expand_dims(&[0]),
            _ => Ok(view.clone()),
        };
        next.unwrap_or(view)
    })
}

fn bytes(view: &View) -> Vec<u8> {
    let mut bytes = vec![0; view.nbytes()];
    view.read_into(&mut bytes).unwrap();
    bytes
}

proptest! {
    #[test]
    fn a_handle_gives_the_same_view(steps in prop::collection::vec(any::<u8>(), 0..8)) {
        let shared = share(&[numbers()]).unwrap().remove(0);
        let view = changed(&shared, &steps);
        let handle = ViewHandle::of(&view).unwrap().unwrap();
        let again = ViewHandle::from_bytes(&handle.to_bytes()).unwrap().open().unwrap();
        prop_assert_eq!((again.shape(), again.strides()), (view.shape(), view.strides()));
        prop_assert_eq!(again.dtype(), view.dtype());
        prop_assert_eq!(again.as_ptr(), view.as_ptr());
        prop_assert_eq!(again.is_read_only(), view.is_read_only());
    }

    #[test]
    fn packed_bytes_give_the_same_elements(steps in prop::collection::vec(any::<u8>(), 0..8)) {
        let view = changed(&numbers(), &steps);
        let (packed, raw) = PackedView::of(&view).unwrap();
        prop_assert_eq!((raw.dtype(), raw.nbytes()), (&DType::U8, view.nbytes()));
        let contiguous = view.is_contiguous(Order::C) || view.is_contiguous(Order::F);
        prop_assert_eq!(raw.shares_memory(&view), contiguous && !view.is_empty());
        let again = PackedView::from_bytes(&packed.to_bytes()).unwrap().open(&raw).unwrap();
        prop_assert_eq!((again.shape(), again.is_read_only()), (view.shape(), view.is_read_only()));
        prop_assert_eq!(bytes(&again), bytes(&view));
        // In any other memory of as many bytes, also at an odd place.
        let moved = View::from_vec([&[0], &bytes(&raw)[..]].concat()).index(&[s(1..)]).unwrap();
        prop_assert_eq!(bytes(&packed.open(&moved).unwrap()), bytes(&view));
    }

    #[test]
    fn strangers_bytes_are_errors_or_views_within_the_memory(
        noise in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let memory = View::from_vec(vec![0u8; 64]);
        let _ = Handle::from_bytes(&noise).and_then(|handle| handle.open());
        if let Ok(view) = ViewHandle::from_bytes(&noise).and_then(|handle| handle.open()) {
            prop_assert!(view.layout().check(view.itemsize(), view.buffer().len()).is_ok());
        }
        if let Ok(view) = PackedView::from_bytes(&noise).and_then(|packed| packed.open(&memory)) {
            prop_assert!(view.layout().check(view.itemsize(), view.buffer().len()).is_ok());
        }
    }

    #[test]
    fn a_handle_with_wrong_bytes_stays_within_the_memory(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        end in any::<prop::sample::Index>(),
    ) {
        let shared = share(&[numbers()]).unwrap().remove(0);
        let mut handle = ViewHandle::of(&shared).unwrap().unwrap().to_bytes();
        // Cut before it is changed: a changed length and a cut may agree.
        let cut = ViewHandle::from_bytes(&handle[..end.index(handle.len())]);
        let damaged = matches!(cut, Err(Error::DamagedHandle { .. }));
        prop_assert!(damaged);
        let at = at.index(handle.len());
        handle[at] = byte;
        if let Ok(view) = ViewHandle::from_bytes(&handle).and_then(|handle| handle.open()) {
            prop_assert!(view.layout().check(view.itemsize(), view.buffer().len()).is_ok());
        }
    }
}

#[test]
fn memory_that_no_other_process_can_find_has_no_handle() {
    assert!(ViewHandle::of(&numbers()).unwrap().is_none());
}

#[test]
fn opaque_formats_travel() {
    let dtype = DType::from_format("T{<f:x:>h:y:}", 6).unwrap();
    let layout = Layout::contiguous(&[4], 6, Order::C).unwrap();
    let records = View::new(Buffer::from_vec((0..24u8).collect()), layout, dtype.clone()).unwrap();
    let shared = share(std::slice::from_ref(&records)).unwrap().remove(0);
    let handle = ViewHandle::of(&shared).unwrap().unwrap();
    let (packed, raw) = PackedView::of(&records).unwrap();
    for again in [handle.open().unwrap(), packed.open(&raw).unwrap()] {
        assert_eq!(again.dtype(), &dtype);
        assert_eq!(again.dtype().format(), dtype.format());
        assert_eq!(bytes(&again), (0..24).collect::<Vec<u8>>());
    }
}
