//! From a WebAssembly file to something that can be instantiated, by way of a cache: compiling
//! takes seconds, loading what was compiled before takes a millisecond.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy};
use wasmtime_wasi_http::p3::bindings::ServicePre;

use crate::bindings::Offered;
use crate::instance::Ctx;

/// The engine for all components.
///
/// # Errors
/// What wasmtime says.
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    // A pool of memories makes a fresh instance twice as quick, and needs terabytes of addresses:
    // where they may not be had, every instance gets its own.
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    if let Ok(engine) = Engine::new(&config) {
        return Ok(engine);
    }
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Ok(Engine::new(&config)?)
}

/// The component of a file, linked to all that Spin would give it.
///
/// # Errors
/// A file that is not there, is no component, or imports what is not offered.
pub fn load(engine: &Engine, path: &Path) -> Result<ServicePre<Ctx>> {
    let bytes = std::fs::read(path).with_context(|| {
        let path = path.display();
        format!("cannot read {path} (has the component been built?)")
    })?;
    let cache = cache_path(engine, path, &bytes);
    let component = match from_cache(engine, &cache) {
        Some(component) => component,
        None => compile(engine, path, &bytes, &cache)?,
    };
    let mut linker = Linker::<Ctx>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    Offered::add_to_linker::<_, HasSelf<Ctx>>(&mut linker, |ctx| ctx)?;
    Ok(ServicePre::new(linker.instantiate_pre(&component)?)?)
}

/// Beside the component, under a name made of its content and of everything of the engine that
/// shapes the machine code.
fn cache_path(engine: &Engine, path: &Path, bytes: &[u8]) -> PathBuf {
    let mut shape = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut shape);
    let mut content = Sha256::new();
    content.update(shape.finish().to_le_bytes());
    content.update(bytes);
    let key: String = content.finalize()[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    path.with_extension(format!("{key}.cwasm"))
}

fn from_cache(engine: &Engine, cache: &Path) -> Option<Component> {
    if !cache.exists() {
        return None;
    }
    #[expect(unsafe_code, reason = "runs machine code from a file")]
    // SAFETY: the file was made by `compile` below, is complete because it was renamed into its
    // place, and lies in a folder whose owner also decides which host binary runs.
    let component = unsafe { Component::deserialize_file(engine, cache) };
    component
        .inspect_err(|error| tracing::warn!(%error, "the compiled component is of no use"))
        .ok()
}

fn compile(engine: &Engine, path: &Path, bytes: &[u8], cache: &Path) -> Result<Component> {
    let started = Instant::now();
    let component = Component::new(engine, bytes)
        .map_err(anyhow::Error::from)
        .with_context(|| format!("{} is no component that can be served", path.display()))?;
    tracing::info!(
        compile.ms = started.elapsed().as_millis(),
        "compiled the component"
    );
    // Only a convenience: what cannot be written is compiled again the next time.
    if let Err(error) = write_cache(&component, path, cache) {
        tracing::warn!(%error, "cannot keep the compiled component");
    }
    Ok(component)
}

/// Writes aside and renames, so that a host that starts at the same moment sees all or nothing,
/// and takes away what older builds left.
fn write_cache(component: &Component, path: &Path, cache: &Path) -> Result<()> {
    let aside = cache.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::write(&aside, component.serialize()?)?;
    std::fs::rename(&aside, cache)?;
    let (Some(folder), Some(stem)) = (path.parent(), path.file_stem()) else {
        return Ok(());
    };
    let prefix = format!("{}.", stem.to_string_lossy());
    for entry in std::fs::read_dir(folder)? {
        let other = entry?.path();
        let ours = other.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".cwasm")
        });
        if ours && other != cache {
            // Somebody else may have been quicker; a host that runs from it keeps it open.
            let _ = std::fs::remove_file(other);
        }
    }
    Ok(())
}
