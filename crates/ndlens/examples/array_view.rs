//! A view as an `ndarray::ArrayView`: the algorithms of `ndarray` on a crop of a mapped file.
//!
//! An `ArrayView` is a pointer, a shape and strides, and so is a view: nothing is copied, also
//! where the crop has gaps. `ndarray` has two conditions of its own, aligned elements and strides
//! that are not negative, which [`array_view`] checks.
//!
//! `cargo run --release -p ndlens --example array_view`

#![expect(unsafe_code, reason = "an ArrayView is made of a pointer")]

use ndarray::{ArrayView, ArrayViewD, Axis, Ix3, ShapeBuilder};
use ndlens::store::{self, MapMode};
use ndlens::{Element, View, s};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The elements of a view as an `ArrayView` of the same memory, for as long as the view is
/// borrowed.
///
/// # Errors
///
/// The elements are of another type or not aligned, or a stride is negative or not a whole number
/// of elements.
///
/// # Safety
///
/// Nothing writes to the elements while the result lives: no other view of the memory, and no other
/// process where it is a shared map. A file under the view is not shortened.
unsafe fn array_view<T: Element>(view: &View) -> Result<ArrayViewD<'_, T>> {
    if *view.dtype() != T::DTYPE {
        return Err(format!("the view has dtype {}, expected {}", view.dtype(), T::DTYPE).into());
    }
    let first = view.as_ptr().cast_const().cast::<T>();
    if !first.is_aligned() {
        return Err("the elements are not aligned: copy the view".into());
    }
    let strides = view
        .strides()
        .iter()
        .map(|&stride_bytes| match usize::try_from(stride_bytes) {
            Ok(bytes) if bytes % size_of::<T>() == 0 => Ok(bytes / size_of::<T>()),
            _ => Err(format!("ndarray takes no stride of {stride_bytes} bytes: copy the view")),
        })
        .collect::<std::result::Result<Vec<usize>, String>>()?;
    // SAFETY: the layout of a view is in its buffer, which the borrowed view keeps valid, so every
    // offset that shape and strides reach is an element of it, and distances fit an isize. The
    // pointer is aligned and not null, strides are not negative, and every bit pattern is a T, as
    // `Element` promises. The caller vouches that nothing writes.
    Ok(unsafe { ArrayView::from_shape_ptr(view.shape().to_vec().strides(strides), first) })
}

fn main() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("images.npy");
    let pixels: Vec<f32> = (0..4 * 32 * 48 * 3).map(|value| (value % 251) as f32).collect();
    store::save_npy(&path, &[View::from_vec(pixels).reshape(&[4, 32, 48, 3])?])?;

    let images = store::open(&path, MapMode::Read)?;
    let crop = images.index(&[s(2), s(8..24), s(10..40)])?;
    // SAFETY: the file and its map are this program's, which writes to neither.
    let array = unsafe { array_view::<f32>(&crop) }?.into_dimensionality::<Ix3>()?;
    assert_eq!(array.as_ptr().cast::<u8>(), crop.as_ptr().cast_const());
    assert_eq!(array.strides(), [48 * 3, 3, 1]);

    // `ndarray` reads the pages of the map.
    let means = array.mean_axis(Axis(0)).and_then(|rows| rows.mean_axis(Axis(0)));
    let means = means.ok_or("the crop has pixels")?;
    println!("a crop {:?}, strides {:?}: channel means {means:.2}", array.shape(), array.strides());
    for (channel, mean) in means.iter().enumerate() {
        let plane = crop.index(&[s(..), s(..), s(channel as isize)])?.to_vec::<f32>()?;
        let expected = plane.iter().sum::<f32>() / plane.len() as f32;
        assert!((mean - expected).abs() < 1e-2, "{mean} is not {expected}");
    }

    let mirrored = crop.flip(&[1])?;
    // SAFETY: as above.
    let refused = unsafe { array_view::<f32>(&mirrored) };
    let message = refused.err().map(|error| error.to_string());
    assert_eq!(message.as_deref(), Some("ndarray takes no stride of -12 bytes: copy the view"));
    println!("mirrored: refused, since ndarray takes no negative strides");
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> super::Result<()> {
        super::main()
    }
}
