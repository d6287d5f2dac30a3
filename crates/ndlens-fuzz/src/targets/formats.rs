//! Names of dtypes: formats of the buffer protocol (PEP 3118), typestrs of the array interface, and
//! the names that users write.

use ndlens_core::{DType, Error};

use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "formats",
    promise: "a name of a dtype means one dtype, which has that name again, or is refused",
    run,
    max_len: 128,
};

fn run(data: &[u8]) {
    let Some((&itemsize, name)) = data.split_first() else { return };
    let Ok(name) = std::str::from_utf8(name) else { return };
    memory::within(name.len(), 64, || {
        if let Ok(dtype) = DType::from_format(name, itemsize.into()) {
            assert_eq!(dtype.itemsize(), usize::from(itemsize));
            is_one(&dtype);
            let letters: String = name.split(':').step_by(2).collect();
            assert!(!letters.contains('O'), "references to Python objects");
        }
        match DType::parse(name) {
            Ok(dtype) => is_one(&dtype),
            Err(
                Error::UnknownDType { .. }
                | Error::AmbiguousDType { .. }
                | Error::DateTime { .. }
                | Error::PythonObjects { .. },
            ) => {}
            Err(error) => panic!("{name:?}: {error}"),
        }
        if let Ok(dtype) = DType::from_typestr(name) {
            is_one(&dtype);
            assert_eq!(DType::parse(name).map(|own| own.itemsize()), Ok(dtype.itemsize()));
        }
    });
}

/// Every name that the dtype has leads back to it.
fn is_one(dtype: &DType) {
    if let Some(format) = dtype.format() {
        let format = format.to_str().expect("a format of text");
        assert_eq!(DType::from_format(format, dtype.itemsize()).as_ref(), Ok(dtype), "{format:?}");
    }
    if let Some(typestr) = dtype.to_typestr() {
        assert_eq!(DType::from_typestr(&typestr).as_ref(), Ok(dtype), "{typestr:?}");
    }
    if let Some(code) = dtype.dlpack() {
        assert_eq!(DType::from_dlpack(code).as_ref(), Some(dtype));
    }
    if let Some(native) = dtype.swapped() {
        assert_eq!(native.itemsize(), dtype.itemsize());
        let mut element = vec![1; native.itemsize()];
        native.swap_bytes(&mut element);
    }
    assert!(!dtype.to_string().is_empty());
}
