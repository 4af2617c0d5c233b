use super::bus::remote;
use super::*;
use crate::fake::World;
use libipc::Text;

struct Session(Shell<World>);

impl Session {
    fn new() -> Self {
        Session(Shell::new(World::new()))
    }

    fn file(&mut self, path: &str, text: &str) {
        self.0.host.file(path, text);
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.0.host.files[path].borrow().clone()).unwrap()
    }

    /// What a line prints.
    fn line(&mut self, text: &str) -> String {
        assert_eq!(self.0.run_line(text), Ok(Flow::Next), "{text}");
        self.printed()
    }

    fn printed(&mut self) -> String {
        String::from_utf8(self.0.host.terminal.take()).unwrap()
    }

    fn errors(&mut self) -> String {
        String::from_utf8(self.0.host.errors.take()).unwrap()
    }
}

#[test]
fn lists_go_by_exit_codes() {
    let mut session = Session::new();
    assert_eq!(session.line("echo a; fail; echo $?"), "a\n3\n");
    assert_eq!(
        session.line("fail && echo no || echo yes && echo and"),
        "yes\nand\n"
    );
    assert_eq!(session.line("true || echo no; false; echo $?"), "1\n");
    assert_eq!(session.line("echo one\necho two # three"), "one\ntwo\n");
}

#[test]
fn variables_and_arguments() {
    let mut session = Session::new();
    assert_eq!(
        session.line("x='a  b'; echo $x \"$x\"; y=$x; echo \"$y\""),
        "a b a  b\na  b\n"
    );
    assert_eq!(session.line("args \"$x\" $x"), "args|a  b|a|b\n");
    assert_eq!(
        session.line("set; unset x; echo \"[$x]\""),
        "x='a  b'\ny='a  b'\n[]\n"
    );
    session.line("z=1 args");
    assert!(session.errors().contains("set `z` in a command of its own"));
    session.line("unset 0");
    assert_eq!(session.errors(), "unset: `0` is the shell's own\n");
}

#[test]
fn pipes_and_redirections() {
    let mut session = Session::new();
    assert_eq!(session.line("echo hi | cat | cat"), "hi\n");
    assert_eq!(
        session.line("echo hi > /tmp/x; echo ho >> /tmp/x; cat < /tmp/x"),
        "hi\nho\n"
    );
    assert_eq!(session.line("echo hi | upper | cat"), "HI\n");
    assert_eq!(session.line("> /tmp/empty; cat < /tmp/empty"), "");
    assert_eq!(session.line("cat < /tmp/none 2> /tmp/e"), "");
    assert_eq!(session.errors(), "/tmp/none: no such file or directory\n");
    session.line("echo hi > /boot/x");
    assert_eq!(session.errors(), "/boot/x: is read-only\n");
    session.line("cat < /tmp/*.txt");
    assert!(
        session
            .errors()
            .contains("one file name is needed, and this is 2")
    );
    session.line("cd /none 2> /tmp/e");
    assert_eq!(
        session.text("/tmp/e"),
        "cd: /none: no such file or directory\n"
    );
    assert_eq!(
        session.line("fail | cat; echo $?; echo x | fail; echo $?"),
        "0\n3\n"
    );
}

#[test]
fn directories_and_patterns() {
    let mut session = Session::new();
    assert_eq!(
        session.line("cd tmp; pwd; args *.txt"),
        "/tmp\nargs|a.txt|b.txt\n"
    );
    assert_eq!(
        session.line("cd ..; args /*/motd; cd /boot; args ../tmp/a*"),
        "args|/boot/motd\nargs|../tmp/a.txt\n"
    );
    assert_eq!(session.line("cd nowhere || echo $?; cd; pwd"), "1\n/\n");
    assert_eq!(session.errors(), "cd: nowhere: no such file or directory\n");
}

#[test]
fn what_is_unknown_or_wrong_says_what_would_be_right() {
    let mut session = Session::new();
    session.line("ct");
    assert_eq!(
        session.errors(),
        "unknown command `ct`; did you mean `cat`?\n"
    );
    assert_eq!(session.line("echo $?"), "127\n");
    session.line("frobnicate > /tmp/out");
    assert_eq!(
        session.errors(),
        "unknown command `frobnicate`; `help` lists what there is\n"
    );
    assert!(!session.0.host.files.contains_key("/tmp/out"));
    session.line("| cat");
    assert!(
        session
            .errors()
            .starts_with("a command should stand before `|`")
    );
    session.line("exit never; cd a b");
    assert_eq!(
        session.errors(),
        "exit: a code is a number from 0 to 255\ncd: usage: cd [DIRECTORY]\n"
    );
    session.line("cat /none");
    assert_eq!(session.errors(), "cat: /none: no such file or directory\n");
    session.line("crash; echo $? > /tmp/code");
    assert_eq!(
        session.errors(),
        "stopped by a fault, which the log tells about: crash\n"
    );
    assert_eq!(session.text("/tmp/code"), "139\n");
    assert!(matches!(
        session.0.run_line("echo 'a"),
        Err(SyntaxError::Incomplete(_))
    ));
}

#[test]
fn grants_are_named_and_checked() {
    let mut session = Session::new();
    session.line("run --grant kill-any --grant shutdown args x; run args y; kill console");
    assert_eq!(
        session.0.host.started,
        ["kill-any+shutdown: args x", ": args y", ": kill console"]
    );
    session.line("run --grant all args");
    assert!(
        session
            .errors()
            .contains("cannot grant `all`; it can grant kill-any, shutdown")
    );
    session.line("/tmp/../bin/own x; nothing/there");
    assert_eq!(
        session.0.host.started[3..],
        [": /tmp/../bin/own x", ": nothing/there"]
    );
    session.line("run --all args; run; run --grant");
    assert_eq!(
        session.errors().matches("usage: run [--grant NAME").count(),
        3
    );
    session.0.alias("off", "run --grant shutdown args off");
    session.line("off now; 'off'");
    assert_eq!(
        session.0.host.started.last().unwrap(),
        "shutdown: args off now"
    );
    assert_eq!(
        session.errors(),
        "unknown command `off`; `help` lists what there is\n"
    );
    assert_eq!(
        session.line("alias"),
        "alias off='run --grant shutdown args off'\n"
    );
}

#[test]
fn jobs_run_end_and_are_killed() {
    let mut session = Session::new();
    session.line("spin & args b &");
    assert_eq!(session.0.host.started, [": spin &", ": args b &"]);
    assert_eq!(session.errors(), "[1] spin\n[2] args b\n");
    assert_eq!(
        session.line("jobs"),
        "args|b\n[1] runs: spin\n[2] done: args b\n"
    );
    session.0.report_jobs();
    assert_eq!(session.errors(), "");
    session.line("kill %1; kill %7");
    assert_eq!(session.0.host.killed, ["spin"]);
    assert_eq!(
        session.errors(),
        "kill: %7: no such job (`jobs` lists them)\n"
    );
    session.0.report_jobs();
    assert_eq!(session.errors(), "[1] killed: spin\n");
    session.line("echo x &");
    assert!(session.errors().contains("`echo` runs inside the shell"));
    assert_eq!(session.line("args c & wait"), "args|c\n");
}

#[test]
fn control_c_abandons_the_line() {
    let mut session = Session::new();
    session.0.host.interrupt = "spin";
    assert_eq!(session.0.run_line("spin; echo no"), Ok(Flow::Abandon));
    assert_eq!(session.0.status, code::INTERRUPTED);
    assert_eq!(session.printed(), "");
    session.file("/tmp/s", "spin\necho no");
    assert_eq!(
        session.0.run_line("sh /tmp/s || echo no"),
        Ok(Flow::Abandon)
    );
    assert_eq!(session.printed(), "");
}

#[test]
fn scripts_have_arguments_streams_and_an_end() {
    let mut session = Session::new();
    session.file("/tmp/s", "echo $0 $1 $# \"$@\"\ncat\nexit 4\necho no\n");
    assert_eq!(
        session.line("echo in | sh /tmp/s 'a b' c > /tmp/out; echo $?"),
        "4\n"
    );
    assert_eq!(session.text("/tmp/out"), "/tmp/s a b 2 a b c\nin\n");
    assert_eq!(session.line("echo $0 $#"), "shell 0\n");
    session.file("/tmp/bad", "echo fine\nnonsense\n");
    assert_eq!(session.line("cd /tmp; sh bad; echo $?"), "fine\n127\n");
    assert!(
        session
            .errors()
            .starts_with("bad: unknown command `nonsense`")
    );
    session.file("/tmp/open", "echo 'x");
    session.line("sh open; sh nothing");
    assert_eq!(
        session.errors(),
        "open: a `'` is missing at the end\nsh: nothing: no such file or directory\n"
    );
    session.file("/tmp/self", "sh /tmp/self");
    assert_eq!(session.0.run_line("sh /tmp/self"), Ok(Flow::Abandon));
    assert!(
        session
            .errors()
            .contains("more than 8 scripts inside one another")
    );
}

#[test]
fn help_lists_and_explains() {
    let mut session = Session::new();
    let text = session.line("help");
    assert!(text.contains("cd        go to a directory"), "{text}");
    assert!(text.contains("cat       print files"), "{text}");
    assert!(
        text.contains("Other programs: fail crash args upper spin"),
        "{text}"
    );
    assert_eq!(
        session.line("help pwd"),
        "usage: pwd\nshow the working directory\n"
    );
    assert_eq!(
        session.line("pwd --help"),
        "usage: pwd\nshow the working directory\n"
    );
    assert!(session.line("help kill").contains("kill %JOB"));
    session.line("help hlep");
    assert_eq!(
        session.errors(),
        "unknown command `hlep`; did you mean `help`?\n"
    );
}

#[test]
fn time_and_history() {
    let mut session = Session::new();
    assert_eq!(session.line("time echo a"), "a\n");
    assert_eq!(session.errors(), "time 0.001s\n");
    session.0.history.push("first".into());
    assert_eq!(session.line("history"), "   1  first\n");
    assert_eq!(session.0.run_line("exit 7; echo no"), Ok(Flow::Exit(7)));
    assert_eq!(session.0.run_line("exit"), Ok(Flow::Exit(7)));
}

#[test]
fn disks_are_mounted_and_unmounted() {
    let mut shell = Shell::new(World::new());
    let mut run = |text: &str| {
        shell.run_line(text).unwrap();
        let said = shell.host.terminal.take();
        let errors = shell.host.errors.take();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (shell.status, text(said), text(errors))
    };
    let fine = |said: &str| (0, said.into(), String::new());
    let wrong = |code, told: &str| (code, String::new(), told.into());
    assert_eq!(run("mount"), fine("DISK  DIRECTORY  TYPE  ACCESS\n"));
    assert_eq!(run("cd /tmp; mount @disk a"), fine(""));
    assert_eq!(run("mount -r @disk /b fat"), fine(""));
    assert_eq!(
        run("mount"),
        fine(
            "DISK   DIRECTORY  TYPE  ACCESS\n\
             @disk  /tmp/a     ext4  write\n\
             @disk  /b         fat   read\n"
        )
    );
    let none = wrong(1, "mount: @none: no such file or directory\n");
    assert_eq!(run("mount @none /b"), none);
    for bad in [
        "mount @disk",
        "mount -r",
        "mount -x @disk /b",
        "mount -r a b c d",
    ] {
        assert_eq!(run(bad).0, 2, "{bad}");
    }
    assert_eq!(run("umount a"), fine(""));
    let gone = wrong(1, "umount: a: nothing is mounted there\n");
    assert_eq!(run("umount a"), gone);
    assert_eq!(run("mount @disk gone"), fine(""));
    let open = wrong(1, "umount: gone: 2 files are open\n");
    assert_eq!(run("umount gone /b"), open);
    assert_eq!(
        run("umount -f gone /b; mount"),
        fine("DISK  DIRECTORY  TYPE  ACCESS\n")
    );
    assert_eq!(run("umount -x /b").0, 2);
    assert_eq!(run("umount").0, 2);
}

#[test]
fn what_another_device_lends_is_granted_by_its_name() {
    let mut session = Session::new();
    session.line("run --grant sensor=kitchen/sensor args x");
    session.line("bus open kitchen/sensor args y; bus open a=kitchen/b args z");
    let started = &session.0.host.started;
    assert_eq!(started[0], "sensor=kitchen/sensor: args x");
    assert_eq!(started[1], "sensor=kitchen/sensor: args y");
    assert_eq!(started[2], "a=kitchen/b: args z");
    assert_eq!(
        remote("kitchen/a"),
        Some(("kitchen", Text::new("a").unwrap()))
    );
    assert_eq!(remote("kitchen/"), None);
    assert_eq!(remote("/a"), None);
    session.line("bus");
    assert!(session.errors().contains("bus: "));
    session.line("bus mount kitchen/files /b");
    assert_eq!(
        session.errors(),
        "mount: kitchen/files: no such file or directory\n"
    );
    session.line("bus pair a b c d; bus dance");
    assert!(session.errors().contains("usage: bus"));
}
