//! Objects of other libraries in and out, without a copy.
//!
//! | file | protocol | direction |
//! |---|---|---|
//! | `import.rs` | the first protocol that an object speaks | in |
//! | `buffer.rs` | the buffer protocol (PEP 3118), as CPython has it | in |
//! | `exporter.rs` | objects that export a buffer, if that is all they mean | in |
//! | `interface.rs` | `__array_interface__`, `__array_struct__` | in |
//! | `foreign.rs` | objects that mean more than their memory | in |
//! | `dtype.rs` | dtypes by name, or as objects of NumPy, torch and Python | in |
//! | `dlpack.rs` | DLPack capsules | both |
//! | `torch_table.rs` | torch's DLPack table of C functions | both |
//! | `exchange.rs` | DLPack's table of C functions, of `View` | both |
//! | `tensor_memory.rs` | memory of torch tensors, kept when torch frees it | both |
//! | `tensor.rs` | a view as a `torch.Tensor` | out |
//! | `export.rs` | the buffer protocol, of `View` | out |
//! | `handoff.rs` | the methods of `View` for NumPy, torch and JAX; `nl.explain` | out |

pub(crate) mod buffer;
pub(crate) mod dlpack;
pub(crate) mod dtype;
pub(crate) mod exchange;
pub(crate) mod export;
pub(crate) mod exporter;
pub(crate) mod foreign;
pub(crate) mod handoff;
pub(crate) mod import;
pub(crate) mod interface;
pub(crate) mod tensor;
pub(crate) mod tensor_memory;
pub(crate) mod torch_table;
