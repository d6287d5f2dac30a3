//! Handles and packed bytes, as they come out of a pickle.
//!
//! A handle holds process ids, inodes and random numbers, so it is not the same twice. The input is
//! a list of changes of a genuine one. Packed bytes are taken as they are, too.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Result, Unstructured};
use ndlens_core::{DType, Order, View, s};
use ndlens_store::{
    Arrays, Error, Handle, MapMode, PackedView, ViewHandle, save_safetensors, share,
};

use crate::files;
use crate::memory;
use crate::numbers::{self, list};
use crate::target::FuzzTarget;
use crate::targets::npy;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "handles",
    promise: "a damaged handle is an error, or a view within the memory that it leads to",
    run: |data| numbers::read(data, run),
    max_len: 512,
};

/// One change: a byte replaced, removed or put in.
#[derive(Debug, Arbitrary)]
enum Change {
    Byte { at: u8, to: u8 },
    Remove { at: u8 },
    Insert { at: u8, byte: u8 },
    Cut { at: u8 },
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |at: u8, len: usize| usize::from(at) % len.max(1);
        let len = bytes.len();
        match *change {
            Change::Byte { at, to } if len > 0 => bytes[place(at, len)] = to,
            Change::Remove { at } if len > 0 => drop(bytes.remove(place(at, len))),
            Change::Insert { at, byte } => bytes.insert(place(at, len + 1), byte),
            Change::Cut { at } => bytes.truncate(place(at, len)),
            Change::Byte { .. } | Change::Remove { .. } => {}
        }
    }
    bytes
}

/// Memory that handles lead to, for as long as the process lives.
struct Memory {
    shared: View,
    mapped: View,
    arrays: Arrays,
    _directory: tempfile::TempDir,
}

fn memory() -> &'static Memory {
    static MEMORY: OnceLock<Memory> = OnceLock::new();
    MEMORY.get_or_init(|| {
        let numbers = View::from_vec((0..60u16).collect());
        let numbers = numbers.reshape(&[3, 4, 5]).expect("60 elements");
        // Not in memory: the mapping must survive the file, which no destructor removes.
        let directory = tempfile::tempdir().expect("a directory");
        let path = files::file(&directory, "x.npy", &npy::framed(1, HEADER));
        let tensors = directory.path().join("x.safetensors");
        save_safetensors(&tensors, &[("a".to_owned(), numbers.clone())]).expect("a file");
        Memory {
            shared: share(&[numbers]).expect("shared memory").remove(0),
            mapped: ndlens_store::open(&path, MapMode::Read).expect("our file"),
            arrays: Arrays::open(&tensors, MapMode::Read).expect("our file"),
            _directory: directory,
        }
    })
}

const HEADER: &[u8] = b"{'descr': '<u4', 'fortran_order': False, 'shape': (4, 4)}\n";

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let Memory { shared, mapped, arrays, .. } = memory();
    let kind = u8::arbitrary(u)? % 6;
    let changes: Vec<Change> = list(u, 4)?;
    match kind {
        0 | 1 => {
            let view = if kind == 0 { shared } else { mapped };
            let view = view.index(&[s(1..)]).expect("rows");
            let genuine = ViewHandle::of(&view).expect("a handle").expect("it has one").to_bytes();
            check(&changed(genuine, &changes), (&view, changes.is_empty()));
        }
        2 => {
            let genuine = arrays.to_handle().expect("a handle");
            match Arrays::from_handle(&changed(genuine, &changes)) {
                Ok(arrays) => {
                    for name in arrays.names().expect("names that fit memory") {
                        drop(arrays.get(name).map(|view| files::walk(&view)));
                    }
                }
                Err(error) => drop(error.to_string()),
            }
        }
        3 => {
            let bytes = u.bytes(u.len())?;
            drop(memory::within(bytes.len(), 64, || Handle::from_bytes(bytes)));
            check(bytes, (shared, false));
        }
        4 => {
            let view = shared.flip(&[0]).expect("an axis");
            let (packed, raw) = PackedView::of(&view).expect("packed");
            let same = PackedView::from_bytes(&changed(packed.to_bytes(), &changes));
            if let Some(again) = same.ok().and_then(|packed| opened(&packed, &raw)) {
                assert!(!changes.is_empty() || again.equals(&view) == Ok(Some(true)));
            }
        }
        _ => {
            let bytes = u.bytes(u.len())?;
            let raw = View::from_vec((0..64u8).collect());
            if let Ok(packed) = memory::within(bytes.len(), 64, || PackedView::from_bytes(bytes)) {
                opened(&packed, &raw);
            }
        }
    }
    Ok(())
}

fn check(handle: &[u8], (view, genuine): (&View, bool)) {
    match memory::within(handle.len(), 64, || ViewHandle::from_bytes(handle)) {
        Ok(handle) => match handle.open() {
            Ok(again) => {
                files::walk(&again);
                assert!(!genuine || again.equals(view) == Ok(Some(true)));
                assert!(!view.is_read_only() || again.is_read_only() || !genuine);
            }
            Err(error) => assert!(!genuine && !error.to_string().is_empty(), "{error}"),
        },
        Err(Error::DamagedHandle { .. }) => assert!(!genuine),
        Err(error) => panic!("{error}"),
    }
}

fn opened(packed: &PackedView, raw: &View) -> Option<View> {
    let view = packed.open(raw).ok()?;
    // Elements are those bytes, in their order.
    let elements = files::walk(&view)?;
    if view.packed_order() == Order::C && !elements.is_empty() {
        assert_eq!(elements, raw.packed_bytes().ok()?);
    }
    assert!(view.is_empty() || raw.dtype() == &DType::U8 && view.shares_memory(raw));
    Some(view)
}
