//! The limits of the consumers of views, checked before a hand-off and explained to the caller.

use std::fmt;
use std::str::FromStr;

use crate::buffer::ALIGNMENT;
use crate::dtype::DType;
use crate::error::{CopyReason, Error, Result};
use crate::layout::Order;
use crate::view::View;

/// A library that views are handed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consumer {
    /// PyTorch, through DLPack. It has no negative strides, and no read-only tensors: it ignores
    /// DLPack's flag.
    Torch,
    /// NumPy, through the buffer protocol. It takes every layout.
    NumPy {
        /// Whether it has the dtypes of the package `ml_dtypes`: bfloat16 and the 8-bit floats.
        ml_dtypes: bool,
    },
    /// JAX on the CPU, through DLPack without a version. It takes packed memory with its axes in
    /// any order. It copies memory that does not start at a multiple of 64 bytes, and 64-bit
    /// elements for which it has no dtype (observed with JAX 0.10).
    Jax,
    /// `memoryview`, through the buffer protocol. It takes every layout.
    MemoryView,
}

impl FromStr for Consumer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "torch" => Ok(Consumer::Torch),
            "numpy" => Ok(Consumer::NumPy { ml_dtypes: false }),
            "jax" => Ok(Consumer::Jax),
            "memoryview" => Ok(Consumer::MemoryView),
            _ => Err(Error::UnknownConsumer { got: name.to_owned() }),
        }
    }
}

impl fmt::Display for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Consumer::Torch => "torch",
            Consumer::NumPy { .. } => "numpy",
            Consumer::Jax => "jax",
            Consumer::MemoryView => "memoryview",
        })
    }
}

impl Consumer {
    /// The same consumer with the package `ml_dtypes`, if that is installed.
    #[must_use]
    pub fn with_ml_dtypes(self, installed: bool) -> Self {
        match self {
            Consumer::NumPy { .. } => Consumer::NumPy { ml_dtypes: installed },
            Consumer::Torch | Consumer::Jax | Consumer::MemoryView => self,
        }
    }

    /// Whether the consumer has this dtype.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedDType`], [`Error::ByteOrder`].
    pub fn check_dtype(self, dtype: &DType) -> Result<()> {
        let (target, known) = match self {
            Consumer::Torch => ("torch", dtype.dlpack().is_some()),
            Consumer::Jax => ("jax", dtype.dlpack().is_some()),
            Consumer::NumPy { ml_dtypes: true } => {
                ("numpy", dtype.format().is_some() || dtype.carrier().is_some())
            }
            Consumer::NumPy { ml_dtypes: false } => {
                ("numpy without ml_dtypes", dtype.format().is_some())
            }
            Consumer::MemoryView => ("the buffer protocol", dtype.format().is_some()),
        };
        if known { Ok(()) } else { Err(dtype.unsupported_by(target)) }
    }
}

/// Whether a hand-off copies, why, and how to avoid it. `Display` gives sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    consumer: Consumer,
    call: &'static str,
    /// Obstacles, each with its remedy.
    obstacles: Vec<String>,
    /// Reasons why the consumer itself copies.
    copies: Vec<String>,
}

impl Explanation {
    /// Whether the consumer uses the same memory.
    pub fn is_zero_copy(&self) -> bool {
        self.obstacles.is_empty() && self.copies.is_empty()
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { consumer, call, obstacles, copies } = self;
        match (&obstacles[..], &copies[..]) {
            ([], []) => write!(f, "Zero-copy: {call} uses the same memory."),
            ([], copies) => write!(f, "{consumer} copies: {}.", copies.join("; ")),
            (obstacles, _) => {
                write!(f, "{consumer} cannot take this view: {}.", obstacles.join("; "))
            }
        }
    }
}

impl View {
    /// Whether PyTorch can hold this view. PyTorch has no negative strides and no read-only
    /// tensors: it ignores DLPack's flag, and a write reaches the memory. `allow_read_only` takes
    /// that risk.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::CopyRequired`].
    pub fn check_torch(&self, allow_read_only: bool) -> Result<()> {
        if !allow_read_only {
            self.check_writable_for_torch()?;
        }
        self.check_forwards("torch()")
    }

    fn check_writable_for_torch(&self) -> Result<()> {
        if !self.is_read_only() {
            return Ok(());
        }
        let hint = if self.buffer().is_protected() {
            "open the file with copy=True, call .copy() first, or pass readonly=\"allow\" and \
             never write to the tensor: \
             here a write ends the process, since there was no memory to set aside for a private \
             map (`ulimit -d`, vm.overcommit_memory)"
        } else {
            "open the file with mode=\"c\" (copy-on-write), call .copy() first, or pass \
             readonly=\"allow\" and never write to the tensor"
        };
        Err(Error::ReadOnly { operation: "torch()", hint })
    }

    /// Whether every axis of more than one element has a stride of 0 or more, as `operation` needs.
    ///
    /// # Errors
    ///
    /// [`Error::CopyRequired`].
    pub fn check_forwards(&self, operation: &'static str) -> Result<()> {
        let backwards =
            self.shape().iter().zip(self.strides()).position(|(&n, &stride)| n > 1 && stride < 0);
        let Some(axis) = backwards.filter(|_| !self.is_empty()) else { return Ok(()) };
        let reason = CopyReason::NegativeStride { axis, stride_bytes: self.strides()[axis] };
        Err(Error::CopyRequired { operation, reason })
    }

    /// Whether a hand-off of this view to `consumer` copies, why, and how to avoid it.
    pub fn explain(&self, consumer: Consumer) -> Explanation {
        let mut obstacles = vec![];
        let mut copies = vec![];
        let mut note =
            |checked: Result<()>| obstacles.extend(checked.err().map(|error| error.to_string()));
        note(consumer.check_dtype(self.dtype()));
        let call = match consumer {
            Consumer::Torch => {
                note(self.check_forwards("torch()"));
                note(self.check_writable_for_torch());
                if self.dtype().dlpack().is_some() {
                    note(self.check_dlpack_strides());
                }
                "view.torch()"
            }
            Consumer::NumPy { .. } => "view.numpy()",
            Consumer::MemoryView => "memoryview(view)",
            Consumer::Jax => {
                if self.is_read_only() {
                    obstacles.push(
                        "it asks for DLPack without a version, which cannot say read-only; call \
                         .copy()"
                            .into(),
                    );
                }
                if !self.is_permuted_contiguous() {
                    obstacles.push(
                        "its elements have gaps, repeat or run backwards; call .copy() first"
                            .into(),
                    );
                }
                let misaligned = self.as_ptr().addr() % ALIGNMENT;
                if misaligned != 0 && !self.is_empty() {
                    copies.push(format!(
                        "its first element is {misaligned} bytes past a multiple of {ALIGNMENT}; \
                         .copy() starts at one"
                    ));
                }
                if matches!(self.dtype(), DType::I64 | DType::U64 | DType::F64 | DType::C128) {
                    copies.push(format!(
                        "{} becomes 32-bit unless jax_enable_x64 is set",
                        self.dtype()
                    ));
                }
                "jax.dlpack.from_dlpack(view)"
            }
        };
        Explanation { consumer, call, obstacles, copies }
    }

    /// Whether the elements are packed with the axes in some order.
    fn is_permuted_contiguous(&self) -> bool {
        let mut axes: Vec<isize> = (0..self.ndim() as isize).collect();
        axes.sort_by_key(|&axis| {
            std::cmp::Reverse((self.strides()[axis as usize], self.shape()[axis as usize]))
        });
        self.permute(&axes).is_ok_and(|view| view.is_contiguous(Order::C))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::index::s;

    #[test]
    fn torch_gets_no_view_that_it_would_misread() {
        let view = View::from_vec(vec![1u8, 2, 3]);
        assert_eq!(view.check_torch(false), Ok(()));
        assert_eq!(
            view.flip(&[0]).unwrap().check_torch(false).unwrap_err().to_string(),
            "torch() would need a copy: axis 0 has the negative stride -1; call .copy() first"
        );
        let read_only = view.to_read_only();
        assert_eq!(
            read_only.check_torch(false).unwrap_err().to_string(),
            "torch() needs writable memory, but the view is read-only; open the file with \
             mode=\"c\" (copy-on-write), \
             call .copy() first, or pass readonly=\"allow\" and never write to the tensor"
        );
        assert_eq!(read_only.check_torch(true), Ok(()));
    }

    #[test]
    fn explanations_are_sentences_that_say_what_to_do() {
        let view = View::zeros(&[4, 6], DType::F32, Order::C).unwrap();
        let say = |view: &View, consumer| view.explain(consumer).to_string();
        assert_eq!(say(&view, Consumer::Torch), "Zero-copy: view.torch() uses the same memory.");
        assert_eq!(
            say(&view.flip(&[1]).unwrap(), Consumer::Torch),
            "torch cannot take this view: torch() would need a copy: axis 1 has the negative \
             stride -4; call .copy() first."
        );
        assert!(
            view.flip(&[1]).unwrap().explain(Consumer::NumPy { ml_dtypes: false }).is_zero_copy()
        );
        assert!(view.permute(&[1, 0]).unwrap().explain(Consumer::Jax).is_zero_copy());
        assert_eq!(
            say(&view.index(&[s(..), s(1..3)]).unwrap(), Consumer::Jax),
            "jax cannot take this view: its elements have gaps, repeat or run backwards; call \
             .copy() first."
        );
        assert_eq!(
            say(&view.index(&[s(1)]).unwrap(), Consumer::Jax),
            "jax copies: its first element is 24 bytes past a multiple of 64; .copy() starts at \
             one."
        );
        let half = View::zeros(&[2], DType::Bf16, Order::C).unwrap();
        assert_eq!(
            say(&half, Consumer::MemoryView),
            "memoryview cannot take this view: the buffer protocol has no dtype for bfloat16."
        );
        assert_eq!(
            say(&half, Consumer::NumPy { ml_dtypes: false }),
            "numpy cannot take this view: numpy without ml_dtypes has no dtype for bfloat16."
        );
        assert!(half.explain(Consumer::NumPy { ml_dtypes: true }).is_zero_copy());
        assert_eq!(
            "tensorflow".parse::<Consumer>().unwrap_err().to_string(),
            "unknown target \"tensorflow\": expected \"torch\", \"numpy\", \"jax\" or \
             \"memoryview\""
        );
    }
}
