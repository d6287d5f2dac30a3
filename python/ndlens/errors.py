"""What ndlens raises where no built-in exception says it."""


class CopyRequired(BufferError, ValueError):
    """An operation that never copies would have to: the message says why, and what to call instead."""


class ReadOnlyError(BufferError, TypeError):
    """Something that writes was given read-only memory: the message says how to get writable memory."""


class FormatError(ValueError):
    """A file or a pickle is damaged or not of a kind ndlens reads: the message names it and what is wrong with it."""


class TruncatedError(OSError):
    """A mapped file has become shorter, or was when it was read: the message names it, and in a loader the item."""


class MovedError(BufferError):
    """The memory that a view was made of has moved, as torch moves a tensor to shared memory: view the tensor again."""


class StaleHandleError(OSError):
    """What a pickled view names is not there any more: its owner's process is gone, or its file has changed."""
