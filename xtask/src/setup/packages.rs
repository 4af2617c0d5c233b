//! How QEMU is installed by the package managers that are around.

use std::path::PathBuf;
use std::process::Command;

use crate::process::output;

const APT_PACKAGES: &str = "qemu-system-arm qemu-system-misc";

/// What to do about a missing QEMU.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Run these commands.
    Install(Vec<Vec<String>>),
    /// The person runs this command: on such a system that is theirs to decide.
    Tell(String),
    /// We may not, so the administrator has to run this.
    AskAdministrator(String),
    /// There is no package manager that we know.
    Unknown,
}

/// Decides by the programs there are, found by `find`.
pub fn plan(find: impl Fn(&str) -> Option<PathBuf>, root: bool) -> Plan {
    let there = |program: &str| find(program).is_some();
    if there("apt-get") {
        let update = "apt-get update";
        let install = format!("apt-get install -y --no-install-recommends {APT_PACKAGES}");
        if !root && !there("sudo") {
            return Plan::AskAdministrator(format!("{update} && {install}"));
        }
        let words = |line: &str| {
            let sudo = (!root).then_some("sudo");
            sudo.into_iter()
                .chain(line.split(' '))
                .map(String::from)
                .collect()
        };
        return Plan::Install(vec![words(update), words(&install)]);
    }
    let (manager, arguments, needs_root) = if there("brew") {
        ("brew", "install qemu", false)
    } else if there("dnf") {
        (
            "dnf",
            "install -y qemu-system-aarch64-core qemu-system-riscv-core",
            true,
        )
    } else if there("pacman") {
        (
            "pacman",
            "-S --needed qemu-system-aarch64 qemu-system-riscv opensbi",
            true,
        )
    } else {
        return Plan::Unknown;
    };
    match needs_root && !root {
        true if there("sudo") => Plan::Tell(format!("sudo {manager} {arguments}")),
        true => Plan::AskAdministrator(format!("{manager} {arguments}")),
        false => Plan::Tell(format!("{manager} {arguments}")),
    }
}

/// Whether we are the administrator.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_with(programs: &[&str], root: bool) -> Plan {
        plan(
            |program| programs.contains(&program).then(PathBuf::new),
            root,
        )
    }

    #[test]
    fn apt_is_run_with_what_rights_there_are() {
        let Plan::Install(commands) = plan_with(&["apt-get", "sudo"], false) else {
            panic!()
        };
        assert_eq!(commands[0].join(" "), "sudo apt-get update");
        assert!(commands[1].join(" ").starts_with("sudo apt-get install -y"));
        let Plan::Install(commands) = plan_with(&["apt-get"], true) else {
            panic!()
        };
        assert_eq!(commands[0].join(" "), "apt-get update");
    }

    #[test]
    fn without_rights_one_line_is_for_the_administrator() {
        let Plan::AskAdministrator(line) = plan_with(&["apt-get"], false) else {
            panic!()
        };
        assert!(
            line.starts_with("apt-get update && apt-get install"),
            "{line}"
        );
        assert!(!line.contains('\n'));
        assert!(matches!(
            plan_with(&["dnf"], false),
            Plan::AskAdministrator(_)
        ));
    }

    #[test]
    fn other_managers_are_told_exactly() {
        assert_eq!(
            plan_with(&["brew"], false),
            Plan::Tell("brew install qemu".into())
        );
        let Plan::Tell(line) = plan_with(&["dnf", "sudo"], false) else {
            panic!()
        };
        assert!(line.starts_with("sudo dnf install"), "{line}");
        let Plan::Tell(line) = plan_with(&["pacman"], true) else {
            panic!()
        };
        assert!(line.starts_with("pacman -S"), "{line}");
        assert_eq!(plan_with(&[], true), Plan::Unknown);
    }
}
