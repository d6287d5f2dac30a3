//! Objects of other libraries in and out, without a copy.
//!
//! | file | protocol | direction |
//! |---|---|---|
//! | `import.rs` | the first protocol that an object speaks | in |
//! | `interface.rs` | `__array_interface__`, `__array_struct__` | in |
//! | `foreign.rs` | objects that are more than their memory | in |
//! | `dtype.rs` | dtypes by name, or as objects of NumPy, torch and Python | in |
//! | `dlpack.rs`, `exchange.rs` | DLPack: capsules, and its table of C functions | both |
//! | `tensor_memory.rs` | memory of torch tensors, kept where torch frees it | both |
//! | `export.rs` | the buffer protocol (PEP 3118) | out |
//! | `handoff.rs` | the methods of `View` for NumPy, torch, JAX, and `nl.explain` | out |

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
