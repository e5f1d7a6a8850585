//! The machine below the engine.

use codecrafter_shared::limits;

use super::size;
use crate::doctor::facts::{Cgroups, Kill, Machine, Wants};
use crate::doctor::{Check, Finding};

pub fn machine(machine: &Machine, wants: &Wants) -> Vec<Check> {
    vec![
        Check::new("cgroup.version", "cgroups", cgroups(machine)),
        Check::new("cgroup.kill", "cgroup.kill", kill(machine)),
        Check::new("memory", "memory", memory(machine, wants)),
    ]
}

fn cgroups(machine: &Machine) -> Finding {
    match machine.cgroups {
        Cgroups::V2 => Finding::ok("version 2"),
        Cgroups::V1 => Finding::ok("version 1"),
        Cgroups::Hybrid => Finding::ok("version 1, with version 2 beside it"),
        Cgroups::Unseen => Finding::weak(
            "the machine's cgroups cannot be seen from here: what programs use is measured less \
             exactly, and ending them takes longer",
            "run executor-host on the machine itself, or give its container /sys/fs/cgroup and \
             the machine's process ids (`--pid host`)",
        ),
    }
}

fn kill(machine: &Machine) -> Finding {
    match machine.kill {
        Kill::Usable => Finding::ok("usable"),
        Kill::Forbidden => Finding::weak(
            "only root may use it: the engine ends containers instead, which takes longer",
            "nothing, unless that matters: results are the same. As root it is used",
        ),
        Kill::Missing => Finding::weak(
            "there is none: the engine ends containers instead, which takes longer",
            "use Linux 5.14 or newer, with cgroups of version 2",
        ),
    }
}

fn memory(machine: &Machine, wants: &Wants) -> Finding {
    let each = limits::MEMORY_BYTES_DEFAULT;
    let needed = each.saturating_mul(wants.slots.into());
    let needs = format!(
        "{} jobs of {} each need {}",
        wants.slots,
        size(each),
        size(needed)
    );
    match machine.available {
        None => Finding::weak("how much is free cannot be read", "look at /proc/meminfo"),
        Some(free) if free < each => Finding::broken(
            format!("{} are free: not enough for one job", size(free)),
            "end what else runs here, or use a larger machine",
        ),
        Some(free) if free < needed => Finding::weak(
            format!("{} are free, and {needs}", size(free)),
            "lower --slots, or use a larger machine",
        ),
        Some(free) => Finding::ok(format!("{} are free; {needs}", size(free))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_measured_by_what_is_asked_of_it() {
        let wants = Wants {
            slots: 4,
            runtime: None,
        };
        let sound = Machine {
            cgroups: Cgroups::Hybrid,
            kill: Kill::Usable,
            available: Some(512 << 20),
        };
        let ill = |change: fn(&mut Machine)| {
            let mut machine = sound.clone();
            change(&mut machine);
            let checks = super::machine(&machine, &wants);
            let ill = checks.iter().map(|check| (check.id, check.result.word()));
            ill.filter(|(_, word)| *word != "ok").collect::<Vec<_>>()
        };
        assert_eq!(ill(|_| {}), []);
        assert_eq!(
            ill(|of| of.cgroups = Cgroups::Unseen),
            [("cgroup.version", "weak")]
        );
        assert_eq!(
            ill(|of| of.kill = Kill::Forbidden),
            [("cgroup.kill", "weak")]
        );
        assert_eq!(ill(|of| of.kill = Kill::Missing), [("cgroup.kill", "weak")]);
        assert_eq!(
            ill(|of| of.available = Some(511 << 20)),
            [("memory", "weak")]
        );
        assert_eq!(
            ill(|of| of.available = Some(100 << 20)),
            [("memory", "broken")]
        );
    }
}
