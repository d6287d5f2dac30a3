"""The exceptions of ndlens, for errors without a built-in exception."""


class CopyRequired(BufferError, ValueError):
    """An operation that never copies would have to.

    The message says why, and what to call instead.
    """


class ReadOnlyError(BufferError, TypeError):
    """Memory to write to is read-only.

    The message says how to get writable memory.
    """


class FormatError(ValueError):
    """A file or a pickle is damaged or not of a format that ndlens reads.

    The message names the file and says what is wrong with it.
    """


class ImageError(FormatError):
    """An encoded image cannot be decoded.

    It is damaged, truncated, larger than the limit, or of a format or coding that is not decoded.
    The message names the file, if there is one, and says what is wrong with it.
    """


class TruncatedError(OSError):
    """A mapped file has become shorter, or was when it was read.

    The message names the file, and in a loader the item.
    """


class MovedError(BufferError):
    """The memory of a view has moved, as torch moves a tensor to shared memory.

    Make another view of the tensor.
    """


class StaleHandleError(OSError):
    """The memory or file that a pickled view names is gone.

    The process that owned it has ended, or the file has changed.
    """
