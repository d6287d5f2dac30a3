//! The memory of batches.
//!
//! - `pool.rs`: memory that is leased, written, handed out and given back.
//! - `batch_pools.rs`: the pools of a loader's fields.
//! - `external.rs`: memory that the consumer supplies.
//! - `store_policy.rs`: whether batches are written through the cache.

pub(crate) mod batch_pools;
pub(crate) mod external;
pub(crate) mod pool;
pub(crate) mod store_policy;
