//! What it takes in memory that something waits.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::docker::Engine;
use crate::ours::Ours;
use crate::report::{Table, short};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// Bytes of it that are in memory.
    resident: u64,
    /// The same, with its share only of what it shares.
    own_share: u64,
}

/// What a container takes that waits.
#[derive(Debug, Clone, Copy)]
pub struct Pooled {
    /// Bytes that its cgroup counts.
    cgroup: u64,
    /// What the engine keeps beside it.
    shim: Process,
}

/// Prints what was measured before.
pub fn table(host: Process, pooled: &[(String, Pooled)]) {
    println!("### Memory of what waits\n");
    let columns = ["MiB", "its cgroup", "its shim, RSS", "its shim, PSS"];
    let table = Table::new(&columns);
    for (id, Pooled { cgroup, shim }) in pooled {
        table.row(&[
            format!("a container of {id}"),
            mebibytes(*cgroup),
            mebibytes(shim.resident),
            mebibytes(shim.own_share),
        ]);
    }
    println!(
        "\nThe idle host itself, with every language: RSS {} MiB, PSS {} MiB.\n",
        mebibytes(host.resident),
        mebibytes(host.own_share)
    );
}

fn mebibytes(bytes: u64) -> String {
    short(bytes as f64 / f64::from(1 << 20))
}

/// What a process holds; `self` for this one.
pub fn of_process(id: &str) -> Result<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let field = |name: &str| -> Result<u64> {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_suffix("kB"));
        let value = value.ok_or_else(|| format!("no {name} in smaps_rollup"))?;
        Ok(value.trim().parse::<u64>()? << 10)
    };
    Ok(Process {
        resident: field("Rss:")?,
        own_share: field("Pss:")?,
    })
}

/// What the first of a host's waiting containers takes.
pub async fn of_pooled(engine: &Engine, host: &Ours) -> Result<Pooled> {
    let containers = host.containers().await?;
    let first = containers.into_iter().find_map(|container| container.id);
    let pid = engine.pid(&first.ok_or("no container waits")?).await?;
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let counted = cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let file = match controllers {
            "memory" => format!("/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"),
            "" => format!("/sys/fs/cgroup{path}/memory.current"),
            _ => return None,
        };
        fs::read_to_string(Path::new(&file)).ok()
    });
    let cgroup = counted.ok_or("no counter of the container's memory")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(Pooled {
        cgroup: cgroup.trim().parse()?,
        shim: of_process(parent.ok_or("no parent in the status")?.trim())?,
    })
}
