//! Accounts and login sessions (CC-AUTH, CC-USER): [`routes`] is what clients call, [`calls`]
//! what the front asks of the Directory, [`store`] the SQL behind it, [`passes`] what rooms are told
//! when a login session ends.

pub mod calls;
pub mod passes;
pub mod routes;
pub mod store;
pub mod validate;
