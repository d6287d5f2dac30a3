//! The services of the system, and the one place that says which of them a platform has.
//!
//! The rest of the crate names no system: what differs is in `linux` or in `portable`, which
//! have the same functions, and is used under its common name, as `os::shared`.
//!
//! | | `linux` | `portable`: macOS, and Linux in a build that tests it |
//! |---|---|---|
//! | `shared`: memory that processes share | a sealed memfd, which others find in `/proc` | a locked file, which others find in a directory of the user's |
//! | `shared`: the lock on a name | a socket in the abstract namespace | a locked file |
//! | `guard`: a read of a page that its file has lost | zeros, and a mark on the map | SIGBUS |
//! | `kernel`: available memory, settings, the file of a map | `/proc` | unknown |
//! | `advice` about pages and files | all of it | to read ahead |
//! | `huge`: memory in huge pages | if the kernel gives them | as the system decides |
//! | `files`: a link that is not followed | is held by a descriptor | is looked at twice |
//!
//! `--cfg ndlens_portable` makes a build for Linux with the functions of `portable`
//! (`make test-portable`). Nothing selects it in a published crate.

#[cfg(all(target_os = "linux", not(ndlens_portable)))]
mod linux;
#[cfg(not(all(target_os = "linux", not(ndlens_portable))))]
mod portable;

#[cfg(all(target_os = "linux", not(ndlens_portable)))]
pub(crate) use linux::{advice, files, guard, huge, kernel, shared};
#[cfg(not(all(target_os = "linux", not(ndlens_portable))))]
pub(crate) use portable::{advice, files, guard, huge, kernel, shared};

pub(crate) mod forks;
pub(crate) mod ids;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod reading;
pub(crate) mod registry;
pub(crate) mod reserve;

/// Whether this build has what Linux alone has; for tests.
#[cfg(test)]
pub(crate) const HAS_LINUX: bool = cfg!(all(target_os = "linux", not(ndlens_portable)));
