//! Crops of photographs between `ndarray` and ndlens.
//!
//! An `ndarray` becomes a view without a copy. A crop of a view is a view of the same memory; a
//! crop that goes back to `ndarray` is copied once, to the desired layout.
//!
//! `cargo run --release -p ndlens --example crops_to_ndarray`

use ndarray::{Array4, ArrayD, s as slice};
use ndlens::{View, s};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A view of the memory of an array in C order. The view owns the array.
fn view_of(array: Array4<u8>) -> Result<View> {
    let shape: Vec<isize> = array.shape().iter().map(|&size| size as isize).collect();
    let (elements, offset) = array.into_raw_vec_and_offset();
    assert_eq!(offset.unwrap_or(0), 0, "the array starts at its first element");
    Ok(View::from_vec(elements).reshape(&shape)?)
}

/// The elements of a view in an array of the same shape.
fn array_of(view: &View) -> Result<ArrayD<u8>> {
    Ok(ArrayD::from_shape_vec(view.shape(), view.to_vec()?)?)
}

fn main() -> Result<()> {
    let photographs = Array4::from_shape_fn((4, 48, 64, 3), |(image, row, column, channel)| {
        (image * 50 + row + column + channel) as u8
    });
    let expected = photographs.slice(slice![.., 8..40, 16..48, ..]).to_owned();

    let address = photographs.as_ptr();
    let view = view_of(photographs)?;
    assert_eq!(view.as_ptr().cast_const(), address);

    // NumPy's `view[:, 8:40, 16:48]`, then its `transpose(0, 3, 1, 2)`: neither copies.
    let crops = view.index(&[s(..), s(8..40), s(16..48)])?;
    let planes = crops.permute(&[0, 3, 1, 2])?;
    println!("crops: shape {:?}, strides {:?}", crops.shape(), crops.strides());
    println!("planes: shape {:?}, strides {:?}", planes.shape(), planes.strides());

    assert_eq!(array_of(&crops)?, expected.clone().into_dyn());
    assert_eq!(array_of(&planes)?, expected.permuted_axes([0, 3, 1, 2]).into_dyn());

    // Unlike a slice of a list, an index of -1 counts from the end, as in NumPy.
    let last_red = array_of(&planes.index(&[s(-1), s(0)])?)?;
    println!("the last crop's red plane: {:?}, mean {:?}", last_red.shape(), mean(&last_red));
    Ok(())
}

fn mean(array: &ArrayD<u8>) -> f64 {
    array.iter().map(|&value| f64::from(value)).sum::<f64>() / array.len() as f64
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> super::Result<()> {
        super::main()
    }
}
