//! Memory of batches.

pub(crate) mod external;
pub(crate) mod pool;
pub(crate) mod store_policy;
