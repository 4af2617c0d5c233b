//! The pages of the project pass the check, and each mistake gets its error
//! with file and line.

use std::path::{Path, PathBuf};

use tessera_page::Grant;
use xtask::page::{self, CheckedPage};
use xtask::workspace::{Programs, root};

const GOOD: &str = r#"name = "sample"
ram = "8M"
supervisor-quota = "1M"
programs = ["ls"]

[[task]]
name = "log"
program = "log"
quota = "1M"
priority = 10
provides = ["log"]

[[task]]
name = "console"
program = "console"
quota = "1M"
priority = 20
restart = { policy = "always" }
provides = ["console"]
devices = [{ name = "uart", compatible = ["ns16550a"], interrupt = true }]

[[task]]
name = "shell"
program = "shell"
quota = "1M"
priority = 5
uses = { console = ["call"], output = { endpoint = "log", rights = ["call"] } }
powers = ["start"]
grants = ["kill-any", "shutdown", "log"]
"#;

fn load(text: &str) -> Result<CheckedPage, String> {
    let names = ["tessera-init", "log", "console", "shell", "ls"];
    let mut programs = Programs::from_names(&names);
    let unique = format!("page-{}-{:p}.toml", std::process::id(), text);
    let path: PathBuf = std::env::temp_dir().join(unique);
    std::fs::write(&path, text).unwrap();
    let loaded = page::load(&path, &mut programs);
    std::fs::remove_file(&path).unwrap();
    loaded.map_err(|error| format!("{error:#}").replace(&path.display().to_string(), "page.toml"))
}

/// The good page with one text replaced has exactly this problem.
#[track_caller]
fn problem(from: &str, to: &str, expected: &str) {
    assert_eq!(
        GOOD.matches(from).count(),
        1,
        "`{from}` must be in the page once"
    );
    let error = load(&GOOD.replace(from, to)).expect_err("the page should be refused");
    assert_eq!(error, format!("the system page is not right\n{expected}"));
}

#[test]
fn the_good_page_is_good() {
    let checked = load(GOOD).unwrap();
    assert_eq!(checked.programs, ["console", "init", "log", "ls", "shell"]);
    let shell = checked.page.task("shell").unwrap();
    assert_eq!(
        (shell.uses[1].name.as_str(), shell.uses[1].endpoint.as_str()),
        ("output", "log")
    );
    assert_eq!(shell.grants.len(), 3);
    assert_eq!((shell.heap, shell.stack), (64 << 10, 16 << 10));
}

#[test]
fn the_pages_of_the_project_are_good() {
    for folder in ["boot/systems", "tests/systems"] {
        let Ok(entries) = std::fs::read_dir(root().join(folder)) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
            {
                let mut programs = Programs::of_workspace().unwrap();
                page::load(&path, &mut programs).unwrap();
            }
        }
    }
    assert!(
        page::find("standard")
            .unwrap()
            .ends_with("boot/systems/standard.toml")
    );
    let error = page::find("standrad").unwrap_err().to_string();
    assert!(error.contains("standard, tiny"), "{error}");
}

#[test]
fn syntax_keys_and_kinds() {
    problem(
        "ram = \"8M\"",
        "ram = 8M",
        "page.toml:2: string values must be quoted, expected literal string",
    );
    problem(
        "priority = 10",
        "priorty = 10",
        "page.toml:10: unknown field `priorty`, expected one of `name`, `program`, `args`, \
         `quota`, `heap`, `stack`, `priority`, `core`, `reservation`, `placement`, `cell-mates`, \
         `restart`, `provides`, `proxies`, `uses`, `powers`, `system`, `devices`, `grants`, `accounts`",
    );
    problem(
        "priority = 10\n",
        "",
        "page.toml:6: missing field `priority`",
    );
    problem(
        "ram = \"8M\"",
        "ram = \"8X\"",
        "page.toml:2: `8X` is no size: write bytes, or 64K, 2M, 1G",
    );
}

#[test]
fn cores() {
    let with = |core: &str| {
        load(&GOOD.replacen(
            "priority = 10\n",
            &format!("priority = 10\ncore = {core}\n"),
            1,
        ))
    };
    let page = with("7").unwrap().page;
    assert_eq!(page.tasks[0].core, Some(7));
    assert!(page.tasks[1..].iter().all(|task| task.core.is_none()));
    for core in ["8", "-1", "256"] {
        problem(
            "priority = 10\n",
            &format!("priority = 10\ncore = {core}\n"),
            "page.toml:11: a core is a number from 0 to 7",
        );
    }
}

#[test]
fn names() {
    problem(
        "name = \"log\"",
        "name = \"Log\"",
        "page.toml:7: `Log` is no name: use lower case letters, digits and `-`, at most 24",
    );
    problem(
        "name = \"console\"",
        "name = \"log\"",
        "page.toml:14: there are two tasks `log`",
    );
    problem(
        "name = \"shell\"",
        "name = \"init\"",
        "page.toml:23: `init` is the supervisor, which the kernel starts: no page lists it",
    );
    problem(
        "provides = [\"console\"]",
        "provides = [\"console\", \"log\"]",
        "page.toml:19: endpoint `log` is provided by `log` too",
    );
    problem(
        "provides = [\"console\"]",
        "provides = [\"console\", \"caps\"]",
        "page.toml:19: `caps` is a name of the system's own, choose another",
    );
    problem(
        "program = \"shell\"",
        "program = \"shel\"",
        "page.toml:24: there is no program `shel`; did you mean `shell`?",
    );
    problem(
        "programs = [\"ls\"]",
        "programs = [\"ls\", \"wc\"]",
        "page.toml:4: there is no program `wc`; there are console, log, ls, shell, init",
    );
}

#[test]
fn endpoints_and_rights() {
    problem(
        "uses = { console = [\"call\"],",
        "uses = { consol = [\"call\"],",
        "page.toml:27: nobody provides an endpoint `consol`; did you mean `console`?",
    );
    problem(
        "console = [\"call\"]",
        "console = [\"grant\"]",
        "page.toml:27: `console` can do nothing without the right `call` or `signal`",
    );
    problem(
        "console = [\"call\"]",
        "console = [\"call\", \"receive\"]",
        "page.toml:27: `receive` is no right of an endpoint; there are call, signal, grant, export, far-only",
    );
    problem(
        "console = [\"call\"]",
        "console = [\"call\", \"call\"]",
        "page.toml:27: `call` stands here twice",
    );
    problem(
        "output = {",
        "start = {",
        "page.toml:28: `shell` would have two capabilities named `start`",
    );
}

#[test]
fn partitions() {
    let uses = "output = { endpoint = \"log\", rights = [\"call\"] }";
    let two = |one: &str, other: &str| {
        format!(
            "output = {{ endpoint = \"log\", rights = [\"call\"], partition = \"{one}\" }}, \
             error = {{ endpoint = \"log\", rights = [\"call\"]{other} }}"
        )
    };
    problem(
        uses,
        &two("data", ""),
        "page.toml:27: `log` would be another partition in another use",
    );
    problem(
        uses,
        &two("", ", partition = \"\""),
        "page.toml:27: a partition has a name, or a number from 1 on",
    );
}

#[test]
fn proxies() {
    let provides = "provides = [\"log\"]";
    let good = GOOD.replace(provides, &format!("{provides}\nproxies = [\"log\"]"));
    assert_eq!(load(&good).unwrap().page.tasks[0].proxies, ["log"]);
    problem(
        provides,
        &format!("{provides}\nproxies = [\"lag\"]"),
        "page.toml:12: `lag` is not provided here; did you mean `log`?",
    );
}

#[test]
fn accounts() {
    let provides = "provides = [\"log\"]";
    let with = |accounts: &str| format!("{provides}\naccounts = [{accounts}]");
    let own = "{ client = \"shell\", id = 1000, bytes = \"2M\" }";
    let good = load(&GOOD.replace(provides, &with(own))).unwrap();
    assert_eq!(good.page.tasks[0].args, ["account:1000=shell,2097152,-"]);
    problem(
        provides,
        &with("{ client = \"shell\", through = \"console\", id = 1000 }"),
        "page.toml:12: `console` uses nothing that `log` provides",
    );
    problem(
        provides,
        &with("{ client = \"nobody\", id = 1000 }"),
        "page.toml:12: there is no task `nobody`",
    );
    problem(
        provides,
        &with(&format!("{own}, {{ client = \"shell\", id = 1000 }}")),
        "page.toml:12: 1000 is the id of another account\npage.toml:12: `shell` has an account already",
    );
}

#[test]
fn powers_objects_and_grants() {
    problem(
        "powers = [\"start\"]",
        "powers = [\"start\", \"kil-any\"]",
        "page.toml:28: `kil-any` is no power; did you mean `kill-any`?",
    );
    problem(
        "powers = [\"start\"]",
        "powers = [\"start\"]\nsystem = [\"disk\"]",
        "page.toml:29: `disk` is no kernel object; there are shutdown, kernel-log, counters, archive, time, devices",
    );
    problem(
        "\"shutdown\", \"log\"",
        "\"shutdwn\", \"log\"",
        "page.toml:29: `shutdwn` cannot be granted; did you mean `shutdown`?",
    );
    let named = GOOD.replace("\"shutdown\", \"log\"", "\"output=log\"");
    let named = load(&named).unwrap().page.tasks[2].grants[1].clone();
    assert_eq!(named, Grant::Named("output".into(), "log".into()));
    problem(
        "\"shutdown\", \"log\"",
        "\"output=lag\"",
        "page.toml:29: `output=lag` cannot be granted; there are start, inspect, caps, kill-any, place, upgrade, shutdown, kernel-log, counters, archive, time, devices, console, log",
    );
    problem(
        "powers = [\"start\"]\n",
        "",
        "page.toml:28: `shell` has grants but not the power `start`, so it starts nothing to grant them to",
    );
}

#[test]
fn what_is_not_supported_yet_is_refused_by_name() {
    problem(
        "priority = 5",
        "priority = 5\nplacement = \"near\"",
        "page.toml:27: placement `near` is not supported yet: use `far`",
    );
    problem(
        "priority = 5",
        "priority = 5\nplacement = \"next\"",
        "page.toml:27: `next` is no placement; did you mean `near`?",
    );
    problem(
        "priority = 5",
        "priority = 5\nreservation = { budget = \"1ms\" }",
        "page.toml:27: missing field `period`",
    );
    assert!(load(&GOOD.replace("priority = 5", "priority = 5\nplacement = \"far\"")).is_ok());
}

#[test]
fn reservations() {
    let with = |reservation: &str| format!("priority = 5\nreservation = {reservation}");
    let refused = [
        (
            "{ budget = \"1\", period = \"2ms\" }",
            "`1` is no time: write 500us, 10ms or 1s",
        ),
        (
            "{ budget = \"3ms\", period = \"2ms\" }",
            "a budget is more than nothing and no more than its period",
        ),
        (
            "{ budget = \"0us\", period = \"2ms\" }",
            "a budget is more than nothing and no more than its period",
        ),
        (
            "{ budget = \"9us\", period = \"99us\" }",
            "a period is at least 100us",
        ),
    ];
    for (reservation, text) in refused {
        problem(
            "priority = 5",
            &with(reservation),
            &format!("page.toml:27: {text}"),
        );
    }
    let good = "{ budget = \"600us\", period = \"1ms\" }";
    let page = GOOD.replace("priority = 5", &with(good));
    let checked = load(&page).unwrap().page;
    let time = checked.task("shell").unwrap().reservation.unwrap();
    assert_eq!((time.budget_us, time.period_us), (600, 1000));
    // Two of them fit on two cores, and not on one.
    let both = |core: &str| {
        let other = format!("priority = 20\ncore = {core}\nreservation = {good}");
        load(
            &page
                .replace("priority = 20", &other)
                .replace("priority = 5", "priority = 5\ncore = 1"),
        )
    };
    assert!(both("0").is_ok());
    assert_eq!(
        both("1").unwrap_err(),
        "the system page is not right\npage.toml:30: the reservations of the tasks that may be on \
         core 1 add up to 120.0 % of its time"
    );
}

#[test]
fn cells() {
    problem(
        "priority = 5",
        "priority = 5\ncell-mates = [\"lok\"]",
        "page.toml:27: `lok` is no other task; did you mean `log`?",
    );
    problem(
        "priority = 5",
        "priority = 5\ncell-mates = [\"log\"]",
        "page.toml:27: both sides must agree to share a cell: `log` does not list `shell`",
    );
    let mates = GOOD
        .replace("priority = 5", "priority = 5\ncell-mates = [\"log\"]")
        .replace("priority = 10", "priority = 10\ncell-mates = [\"shell\"]");
    assert!(load(&mates).is_ok());
    let alone = mates.replace(
        "endpoint = \"log\", rights = [\"call\"]",
        "endpoint = \"log\", rights = [\"call\", \"far-only\"]",
    );
    let error = load(&alone).unwrap_err();
    assert!(
        error.ends_with(
            "page.toml:29: `far-only` demands that `log` stands alone, but it lists cell-mates"
        ),
        "{error}"
    );
}

#[test]
fn memory_and_budget() {
    problem(
        "ram = \"8M\"",
        "ram = \"4M\"",
        "page.toml:2: the quotas add up to 4M, but there are only 4M of RAM, kernel and image included",
    );
    problem(
        "priority = 5",
        "priority = 5\nheap = \"1M\"",
        "page.toml:25: the quota of 1M does not hold a heap of 1M, a stack of 16K and the program",
    );
    problem(
        "priority = 5",
        "priority = 5\nstack = 5000",
        "page.toml:27: 5000 bytes are not a whole number of pages of 4K",
    );
    problem(
        "priority = 5",
        "priority = 255",
        "page.toml:26: a priority is a number from 1 to 254",
    );
}

#[test]
fn restart_policies() {
    problem(
        "policy = \"always\"",
        "policy = \"allways\"",
        "page.toml:18: `allways` is no restart policy; did you mean `always`?",
    );
    problem(
        "policy = \"always\"",
        "policy = \"always\", backoff = \"9s\"",
        "page.toml:18: `backoff` must be more than nothing and at most `max-backoff`",
    );
    problem(
        "policy = \"always\"",
        "policy = \"always\", backoff = \"9\"",
        "page.toml:18: `9` is no time: write 100ms or 5s",
    );
}

#[test]
fn devices() {
    problem(
        "compatible = [\"ns16550a\"]",
        "compatible = []",
        "page.toml:20: device `uart` needs at least one `compatible` string to be found by, \
         or a type in `virtio`",
    );
    problem(
        "compatible = [\"ns16550a\"]",
        "virtio = \"modem\"",
        "page.toml:20: `modem` is no type of virtio device; there are block, entropy, net, console",
    );
    let twice = "virtio = \"block\" }, { name = \"d\", virtio = \"block\"";
    problem(
        "compatible = [\"ns16550a\"]",
        twice,
        "page.toml:20: device `block 0` is driven by `console` already",
    );
    let twice = "priority = 5\ndevices = [{ name = \"port\", compatible = [\"ns16550a\"] }]";
    problem(
        "priority = 5",
        twice,
        "page.toml:27: device `ns16550a` is driven by `console` already",
    );
    problem(
        "provides = [\"console\"]",
        "provides = [\"console\", \"uart-irq\"]",
        "page.toml:20: `console` would have two capabilities named `uart-irq`",
    );
}

#[test]
fn calls_that_could_wait_for_each_other() {
    problem(
        "priority = 20",
        "priority = 20\nuses = { out = { endpoint = \"console\", rights = [\"call\"] } }",
        "page.toml:14: these calls could wait for each other: console -> console",
    );
    let cycle = GOOD
        .replace(
            "priority = 10",
            "priority = 10\nuses = { console = [\"call\"] }",
        )
        .replace(
            "priority = 20",
            "priority = 20\nuses = { log = [\"call\"] }",
        );
    let error = load(&cycle).unwrap_err();
    assert!(
        error.ends_with("these calls could wait for each other: console -> log -> console"),
        "{error}"
    );
    let signal = cycle.replacen(
        "uses = { console = [\"call\"] }",
        "uses = { console = [\"signal\"] }",
        1,
    );
    assert!(load(&signal).is_ok(), "a signal waits for nobody");
}

#[test]
fn several_problems_are_told_at_once_in_order() {
    let text = GOOD
        .replace("priority = 5", "priority = 0")
        .replace("ram = \"8M\"", "ram = \"1M\"");
    let error = load(&text).unwrap_err();
    let lines: Vec<_> = error
        .lines()
        .skip(1)
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(lines, ["page.toml:2", "page.toml:26"]);
}

#[test]
fn files_must_exist() {
    let error = load(&GOOD.replace(
        "[[task]]\nname = \"log\"",
        "[files]\nmotd = \"gone\"\n\n[[task]]\nname = \"log\"",
    ))
    .unwrap_err();
    assert!(
        error.ends_with("page.toml:7: there is no file `gone`"),
        "{error}"
    );
    let error = page::find(Path::new("gone.toml").to_str().unwrap())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "there is no system page `gone.toml`");
}
