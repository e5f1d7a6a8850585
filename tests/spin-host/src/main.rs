//! Placeholder of the skeleton; replaced before the first landing.
fn main() {}
