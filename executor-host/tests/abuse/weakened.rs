use std::pin::Pin;
pub fn controls() -> Vec<(&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>)> {
    vec![]
}
