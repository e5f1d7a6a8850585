use crate::world::Attack;
pub fn attacks() -> Vec<Attack> {
    vec![]
}
