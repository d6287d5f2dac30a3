//! [DLPack](https://dmlc.github.io/dlpack/latest/c_api.html): the exchange of tensors between
//! libraries in one process. `abi` has the C structs; `tensor` converts between them and views.

pub(crate) mod abi;
mod tensor;

pub use crate::dlpack::abi::{
    DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPACK_FLAG_IS_COPIED,
    DLPACK_FLAG_READ_ONLY, DLPACK_VERSION, DLPackExchangeAPI, DLPackExchangeAPIHeader,
    DLPackVersion, DLTensor,
};
