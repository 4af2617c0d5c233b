//! From a page's task to the capabilities that it starts with.

use alloc::{string::String, string::ToString, vec::Vec};
use libipc::{
    handle::Rights,
    interfaces::clients::{ClientArgument, ExportArgument, PartitionArgument},
};
use tessera_page::{Device, Grant, Page, Power, Right, SystemObject, Task};

/// Something that a task holds, and the name under which it finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding<'p> {
    /// The name in its start information.
    pub name: &'p str,
    /// What it is.
    pub what: What<'p>,
    /// Without it the task starts nevertheless.
    pub optional: bool,
}

/// What a holding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What<'p> {
    /// The right to receive from an endpoint.
    Server(&'p str),
    /// That right, and the one to end calls with any transport error.
    Proxy(&'p str),
    /// An endpoint of another task, with these rights.
    Client(&'p str, Rights),
    /// A power of the supervisor.
    Power(Power),
    /// A kernel object.
    System(SystemObject),
    /// Registers and interrupt of a device.
    Device(&'p Device),
}

/// All that `task` holds.
pub fn holdings(task: &Task) -> impl Iterator<Item = Holding<'_>> {
    let provided = task.provides.iter().map(|name| Holding {
        name,
        what: match task.proxies.contains(name) {
            true => What::Proxy(name),
            false => What::Server(name),
        },
        optional: false,
    });
    let used = task.uses.iter().map(|used| Holding {
        name: &used.name,
        what: What::Client(&used.endpoint, rights(&used.rights)),
        optional: used.optional,
    });
    let powers = task.powers.iter().map(|power| Holding {
        name: power.name(),
        what: What::Power(*power),
        optional: false,
    });
    let system = task.system.iter().map(|object| Holding {
        name: object.name(),
        what: What::System(*object),
        optional: false,
    });
    let devices = task.devices.iter().map(|device| Holding {
        name: &device.name,
        what: What::Device(device),
        optional: false,
    });
    provided
        .chain(used)
        .chain(powers)
        .chain(system)
        .chain(devices)
}

/// What a shell may hand on under `name`.
pub fn grant<'p>(shell: &'p Task, name: &str) -> Option<Holding<'p>> {
    let grant = shell.grants.iter().find(|grant| grant.name() == name)?;
    let what = match grant {
        Grant::System(object) => What::System(*object),
        Grant::Power(power) => What::Power(*power),
        Grant::Endpoint(endpoint) | Grant::Named(_, endpoint) => {
            What::Client(endpoint, Rights::CALL)
        }
    };
    Some(Holding {
        name: grant.name(),
        what,
        optional: false,
    })
}

/// The kernel's rights for those of a page.
fn rights(rights: &[Right]) -> Rights {
    let one = |right: &Right| match right {
        Right::Call => Rights::CALL,
        Right::Signal => Rights::SIGNAL,
        Right::Grant => Rights::GRANT,
        Right::Export => Rights::EXPORT,
        Right::FarOnly => Rights::FAR_ONLY,
    };
    rights.iter().map(one).fold(Rights::empty(), Rights::union)
}

/// The right to a kernel's `System` object, if it is a part of that.
pub const fn system_right(object: SystemObject) -> Option<Rights> {
    match object {
        SystemObject::Shutdown => Some(Rights::SHUTDOWN),
        SystemObject::KernelLog => Some(Rights::LOG),
        SystemObject::Counters => Some(Rights::COUNTERS),
        SystemObject::Time => Some(Rights::TIME),
        SystemObject::Devices => Some(Rights::DEVICES),
        SystemObject::Archive => None,
    }
}

/// Arguments by which `server` learns who its clients are, those of the page, which of
/// them sees a partition only, and whose capability may leave the device.
pub fn client_arguments(page: &Page, server: &Task) -> Vec<String> {
    let is_client = |task: &&Task| {
        let mut used = task.uses.iter().map(|used| &used.endpoint);
        used.any(|endpoint| server.provides.contains(endpoint))
    };
    let argument = |task: &Task| {
        let badge = page.badge(&task.name)?;
        let name = &task.name;
        Some(ClientArgument { badge, name }.to_string())
    };
    let partition = |task: &Task| {
        let badge = page.badge(&task.name)?;
        let mut used = task.uses.iter();
        let used = used.find(|used| server.provides.contains(&used.endpoint))?;
        let partition = used.partition.as_deref()?;
        Some(PartitionArgument { badge, partition }.to_string())
    };
    let export = |task: &Task| {
        let badge = page.badge(&task.name)?;
        let mut used = task.uses.iter();
        let may_leave = used.any(|used| {
            server.provides.contains(&used.endpoint) && used.rights.contains(&Right::Export)
        });
        may_leave.then(|| ExportArgument { badge }.to_string())
    };
    let clients = || page.tasks.iter().filter(is_client);
    let names = clients().filter_map(argument);
    let exports = clients().filter_map(export);
    names
        .chain(clients().filter_map(partition))
        .chain(exports)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use tessera_page::{Restart, RestartPolicy, Use};

    fn task(name: &str) -> Task {
        Task {
            name: name.into(),
            program: name.into(),
            args: vec![],
            quota: 0,
            heap: 0,
            stack: 0,
            priority: 1,
            core: None,
            reservation: None,
            restart: Restart {
                policy: RestartPolicy::Never,
                backoff_ms: 0,
                max_backoff_ms: 0,
                max: 0,
            },
            provides: vec![],
            proxies: vec![],
            uses: vec![],
            powers: vec![],
            system: vec![],
            devices: vec![],
            grants: vec![],
        }
    }

    fn shell() -> Task {
        Task {
            uses: vec![Use {
                name: "pipes".into(),
                endpoint: "files".into(),
                rights: vec![Right::Call, Right::Grant],
                partition: None,
                optional: false,
            }],
            powers: vec![Power::Start],
            system: vec![SystemObject::Shutdown],
            grants: vec![
                Grant::Endpoint("log".into()),
                Grant::Named("screen".into(), "console".into()),
                Grant::Power(Power::KillAny),
            ],
            ..task("shell")
        }
    }

    #[test]
    fn a_task_holds_what_its_page_says_and_no_more() {
        let shell = shell();
        let held: Vec<_> = holdings(&shell).map(|one| (one.name, one.what)).collect();
        let expected = [
            ("pipes", What::Client("files", Rights::CALL | Rights::GRANT)),
            ("start", What::Power(Power::Start)),
            ("shutdown", What::System(SystemObject::Shutdown)),
        ];
        assert_eq!(held, expected);
    }

    #[test]
    fn grants_are_those_of_the_page() {
        let shell = shell();
        let granted = |name| grant(&shell, name).map(|holding| holding.what);
        assert_eq!(granted("log"), Some(What::Client("log", Rights::CALL)));
        assert_eq!(granted("kill-any"), Some(What::Power(Power::KillAny)));
        assert_eq!(
            granted("screen"),
            Some(What::Client("console", Rights::CALL))
        );
        assert_eq!(granted("shutdown"), None);
        assert_eq!(granted("files"), None);
    }

    #[test]
    fn a_server_learns_its_clients() {
        let files = Task {
            provides: vec!["files".into()],
            ..task("files")
        };
        let page = Page {
            name: "test".into(),
            ram: 0,
            supervisor_quota: 0,
            tasks: vec![files.clone(), task("other"), shell()],
            programs: vec![],
        };
        assert_eq!(client_arguments(&page, &files), ["client:3=shell"]);
        let mut page = page;
        page.tasks[2].uses[0].partition = Some("data".into());
        let arguments = client_arguments(&page, &files);
        assert_eq!(arguments, ["client:3=shell", "partition:3=data"]);
    }
}
