//! The library's error type. Every message is one sentence: what is wrong, where, and what to do.

use crate::nearest::did_you_mean;
use std::io;
use std::path::{Path, PathBuf};

/// Result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Shapes, element types or attributes that don't fit together.
    #[error("{layer}{op}: {message} (built at {location})")]
    Shape {
        /// Path of the layer that was being built, with a separator, or empty.
        layer: String,
        /// Name of the operation.
        op: &'static str,
        /// What does not fit.
        message: String,
        /// Source line of the caller.
        location: String,
    },
    /// An invalid graph: a bug in the code that built it.
    #[error("invalid graph: {0}")]
    Graph(String),
    /// A model, run or settings file that can't be used as written.
    #[error("{0}")]
    Config(String),
    /// A data set that can't be used.
    #[error("{0}")]
    Data(String),
    /// A shader that does not compile, or that does not match what the host binds to it.
    #[error("shader {shader}: {message}")]
    Shader {
        /// Path under `shaders/`.
        shader: String,
        /// What is wrong.
        message: String,
    },
    /// No adapter, a lost device, a failed submission.
    #[error("{0}")]
    Device(String),
    /// The adapter can't hold what the plan needs.
    #[error("{0}")]
    Memory(String),
    /// The training failed.
    #[error("{0}")]
    Training(String),
    /// A loss, a weight or another value of the training is not finite.
    #[error("{0}")]
    Diverged(String),
    /// The training was stopped on request; the message tells how to resume it.
    #[error("{0}")]
    Stopped(String),
    /// A file or folder that can't be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, `create`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Wraps an [`io::Error`] with the attempted action and the path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    /// The file at `path` does not exist; `what` says which kind of file to name. A file in its folder with a similar name is
    /// suggested.
    pub fn missing(path: &Path, what: &str) -> Error {
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        let entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")));
        let beside = entries.into_iter().flatten().flatten();
        let names: Vec<String> = beside
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let wanted = path.file_name().unwrap_or_default().to_string_lossy();
        let similar = did_you_mean(&wanted, names.iter().map(String::as_str));
        Error::Config(format!(
            "{} does not exist; name {what}{similar}",
            path.display()
        ))
    }

    /// The message for a user, to whom the source location at which a node was built means nothing.
    pub fn sentence(&self) -> String {
        match self {
            Error::Shape {
                layer, op, message, ..
            } => format!("{layer}{op}: {message}"),
            other => other.to_string(),
        }
    }

    /// Whether it is a usage error (exit code 2) rather than a failure during execution.
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Shape { .. } | Error::Config(_))
    }
}
