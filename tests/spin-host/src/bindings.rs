//! What Spin offers to a component, as traits to implement; generated from `wit/`.

wasmtime::component::bindgen!({
    path: ["wit/sqlite", "wit/key-value", "wit/variables"],
    inline: "
        package codecrafter:spin-host;
        world offered {
            import spin:sqlite/sqlite@3.1.0;
            import spin:key-value/key-value@3.0.0;
            import spin:variables/variables@3.0.0;
        }
    ",
    imports: { default: trappable },
    with: {
        "spin:sqlite/sqlite.connection": crate::sqlite::Connection,
        "spin:key-value/key-value.store": crate::key_value::Store,
    },
});

pub use spin::key_value::key_value;
pub use spin::sqlite::sqlite;
pub use spin::variables::variables;
