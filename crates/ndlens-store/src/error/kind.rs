//! The kind of each error.

use std::io;

use ndlens_core::ErrorKind;

use crate::error::Error;

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UnknownMode { .. }
            | Error::CopyOfFile
            | Error::RawShape { .. }
            | Error::RawHeader { .. }
            | Error::ArchiveInPlace { .. }
            | Error::BadPattern { .. }
            | Error::BadBraces { .. }
            | Error::CopyOfArchive { .. }
            | Error::NoShards
            | Error::UnknownSuffix { .. }
            | Error::ReservedKey { .. }
            | Error::ReservedName { .. }
            | Error::UnreadableHeader { .. }
            | Error::BadName { .. }
            | Error::OtherContents { .. }
            | Error::NothingToShare { .. } => ErrorKind::Value,
            Error::Io { .. }
            | Error::TooManyMaps { .. }
            | Error::NoGuard
            | Error::NoNewFile { .. }
            | Error::OwnerLost { .. }
            | Error::AttributeLost { .. }
            | Error::NoProcesses { .. }
            | Error::NameHidden { .. }
            | Error::NameLock { .. } => ErrorKind::System,
            Error::NotRegular { .. }
            | Error::NotNpy { .. }
            | Error::UnknownFormat { .. }
            | Error::EncodedImage { .. }
            | Error::SeveralArrays { .. }
            | Error::SharedName { .. }
            | Error::GitLfsPointer { .. }
            | Error::TorchPickle { .. }
            | Error::CompressedArchive { .. }
            | Error::BadTar { .. }
            | Error::NotTar { .. }
            | Error::MissingMember { .. }
            | Error::BadIndex { .. }
            | Error::BadNote { .. }
            | Error::DuplicateName { .. }
            | Error::RawRemainder { .. }
            | Error::OutsideFile { .. }
            | Error::BadJson { .. }
            | Error::BadTensor { .. }
            | Error::FileSize { .. }
            | Error::BadArchive { .. }
            | Error::ArchiveEntries { .. }
            | Error::BadMember { .. }
            | Error::ShardRank { .. }
            | Error::EmptyShard { .. }
            | Error::ShardMismatch { .. }
            | Error::UnsupportedVersion { .. }
            | Error::HeaderTooLong { .. }
            | Error::HeaderTruncated { .. }
            | Error::BadHeader { .. }
            | Error::UnsupportedDType { .. }
            | Error::Shape { .. }
            | Error::Truncated { .. }
            | Error::DamagedHandle { .. } => ErrorKind::Format,
            Error::IsRagged { .. }
            | Error::WrongContents { .. }
            | Error::NoMetadata { .. }
            | Error::Unsavable { .. } => ErrorKind::Type,
            Error::NoSuchArray { .. } | Error::NoSuchField { .. } => ErrorKind::Key,
            Error::NoMatch { .. } => ErrorKind::NotFound,
            Error::SharedMemoryExhausted { .. } => ErrorKind::OutOfMemory,
            Error::SharedMemoryGone { .. }
            | Error::SharedMemoryHidden { .. }
            | Error::FileChanged { .. }
            | Error::ChangedMeanwhile { .. }
            | Error::FileTooLong { .. }
            | Error::FileReplaced { .. } => ErrorKind::StaleHandle,
            Error::Map { source, .. } | Error::SharedMemory { source, .. } => {
                if is_of_memory(source) { ErrorKind::OutOfMemory } else { ErrorKind::System }
            }
            Error::SharedMemoryRefused { source, .. } => {
                if is_of_memory(source) {
                    ErrorKind::OutOfMemory
                } else {
                    ErrorKind::StaleHandle
                }
            }

            Error::Core(source) => source.kind(),
        }
    }
}

/// Whether the system refused because memory or addresses ran out.
fn is_of_memory(source: &io::Error) -> bool {
    use io::ErrorKind as E;
    matches!(source.kind(), E::OutOfMemory | E::StorageFull | E::FileTooLarge)
}
