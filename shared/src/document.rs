//! The shape of a session's document (R3). Nothing else at the root of the `Y.Doc` is ours.

/// The root `Y.Text` with the main file.
pub const MAIN_TEXT: &str = "content";

/// The root `Y.Map` with further files: path → `Y.Text`.
pub const FILES_MAP: &str = "files";
