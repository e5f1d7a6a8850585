//! `spin:variables`: the component's variables, all resolved at the start.

use wasmtime::component::{Accessor, HasSelf};

use crate::bindings::variables::{Error, Host, HostWithStore};
use crate::instance::Ctx;
use crate::manifest::check_name;

impl Host for Ctx {}

impl HostWithStore<Ctx> for HasSelf<Ctx> {
    async fn get(
        accessor: &Accessor<Ctx, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        if let Err(error) = check_name(&name) {
            return Ok(Err(Error::InvalidName(format!("{name:?}: {error}"))));
        }
        let found = accessor.with(|mut ctx| ctx.get().offer.variables.get(&name).cloned());
        Ok(
            found
                .ok_or_else(|| Error::Undefined(format!("the component has no variable {name:?}"))),
        )
    }
}
