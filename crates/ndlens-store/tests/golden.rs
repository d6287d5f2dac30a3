//! Files that NumPy 2.4 wrote, byte for byte: `numpy.lib.format.write_array` on little arrays.

use std::fs;

use ndlens_core::{DType, Order, View};
use ndlens_store::{MapMode, open};

/// What NumPy wrote: magic, version and length; the header; the spaces and the newline it padded
/// with; the data.
fn numpy_wrote(prefix: &[u8], header: &[u8], padding: usize, data: &[u8]) -> View {
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes = [prefix, header, &b" ".repeat(padding), b"\n", data].concat();
    fs::write(file.path(), &bytes).unwrap();
    let views = [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite].map(|mode| {
        let view = open(file.path(), mode).unwrap();
        assert_eq!(view.nbytes(), data.len());
        assert_eq!(view.is_read_only(), mode == MapMode::Read);
        assert_eq!(view.as_ptr() as usize % 64, 0, "data is not as aligned as NumPy wrote it");
        view
    });
    let [view, ..] = views;
    view
}

fn format(view: &View) -> (&str, usize) {
    let DType::Opaque(_) = view.dtype() else { panic!("{} is not opaque", view.dtype()) };
    (view.dtype().format().unwrap().to_str().unwrap(), view.itemsize())
}

/// The elements' bytes in C order.
fn bytes(view: &View) -> Vec<u8> {
    let mut bytes = vec![0; view.nbytes()];
    view.read_into(&mut bytes).unwrap();
    bytes
}

#[test]
fn the_three_versions_hold_the_same_array() {
    for view in [
        numpy_wrote(
            b"\x93NUMPY\x01\0v\0",
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
            58,
            b"\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@",
        ),
        numpy_wrote(
            b"\x93NUMPY\x02\0t\0\0\0",
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
            56,
            b"\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@",
        ),
        numpy_wrote(
            b"\x93NUMPY\x03\0t\0\0\0",
            b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
            56,
            b"\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\0\0\x80@\0\0\xa0@",
        ),
    ] {
        assert_eq!(view.shape(), [2, 3]);
        assert!(view.is_contiguous(Order::C));
        assert_eq!(view.to_vec::<f32>().unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    }
}

#[test]
fn fortran_order_is_strides_not_a_copy() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }",
        59,
        b"\0\0\x03\0\x01\0\x04\0\x02\0\x05\0",
    );
    assert_eq!((view.shape(), view.strides()), (&[2, 3][..], &[2, 4][..]));
    assert_eq!(view.to_vec::<i16>().unwrap(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn a_scalar_has_no_axes_and_one_element() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (), }",
        62,
        b"\x07\0\0\0\0\0\0\0",
    );
    assert_eq!((view.ndim(), view.to_vec::<i64>().unwrap()), (0, vec![7]));
}

#[test]
fn an_array_without_elements_opens_without_a_mapping() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 3), }",
        58,
        b"",
    );
    assert_eq!((view.shape(), view.dtype()), (&[0, 3][..], &DType::F64));
    assert!(view.to_vec::<f64>().unwrap().is_empty());
    assert!(view.buffer().is_empty());
}

#[test]
fn booleans_are_bytes() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }",
        60,
        b"\x01\0",
    );
    assert_eq!((view.dtype(), bytes(&view)), (&DType::Bool, vec![1, 0]));
}

#[test]
fn big_endian_numbers_pass_through() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }",
        60,
        b"\0\0\0\0?\x80\0\0@\0\0\0",
    );
    assert_eq!(format(&view), (">f", 4));
    assert_eq!(bytes(&view), [0.0f32, 1.0, 2.0].map(f32::to_be_bytes).concat());
}

#[test]
fn strings_and_raw_bytes_pass_through() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }",
        60,
        b"ab\0cde",
    );
    assert_eq!((format(&view), bytes(&view)), (("3s", 3), b"ab\0cde".to_vec()));
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '<U2', 'fortran_order': False, 'shape': (2,), }",
        60,
        b"a\0\0\0\0\0\0\0b\0\0\0c\0\0\0",
    );
    assert_eq!(format(&view), ("2w", 8));
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': '|V8', 'fortran_order': False, 'shape': (2,), }",
        60,
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    );
    assert_eq!(format(&view), ("8x", 8));
}

#[test]
fn records_pass_through_with_their_holes() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0\xb6\0",
        b"{'descr': [('a', '|u1'), ('', '|V7'), ('b', '<f8'), ('c', '>i2', (2, 2))], \
          'fortran_order': False, 'shape': (1,), }",
        66,
        b"\x01\0\0\0\0\0\x80?\0\0\0\0\0\0\x04@\0\x01\0\x02\0\x03\0\x04",
    );
    assert_eq!(format(&view), ("T{<B:a:7x<d:b:(2,2)>h:c:}", 24));
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0\xb6\0",
        b"{'descr': [('a', [('b', '|u1'), ('c', '<f8')]), ('d', '<U3'), ('e', '|S2'), \
          ('v', '|V3')], 'fortran_order': False, 'shape': (2,), }",
        50,
        &[0; 52],
    );
    assert_eq!(format(&view), ("T{T{<B:b:<d:c:}:a:<3w:d:<2s:e:<3x:v:}", 26));
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': [(('t', 'n'), '<f4')], 'fortran_order': False, 'shape': (1,), }",
        44,
        b"\0\0\0\0",
    );
    assert_eq!(format(&view), ("T{<f:n:}", 4));
}

#[test]
fn field_names_come_in_the_encoding_of_their_version() {
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': [('\xe9', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        51,
        b"\0\0\0\0",
    );
    assert_eq!(format(&view), ("T{<f:é:}", 4));
    let view = numpy_wrote(
        b"\x93NUMPY\x03\0t\0\0\0",
        b"{'descr': [('\xc3\xa9\xe6\xbc\xa2', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        45,
        b"\0\0\0\0",
    );
    assert_eq!(format(&view), ("T{<f:é漢:}", 4));
    let view = numpy_wrote(
        b"\x93NUMPY\x01\0v\0",
        b"{'descr': [('it\\'s \"x\"\\\\\\n', '<f4')], 'fortran_order': False, 'shape': (1,), }",
        39,
        b"\0\0\0\0",
    );
    assert_eq!(format(&view), ("T{<f:it's \"x\"\\\n:}", 4));
}
