//! Tools as programs, with what the shell opens for them, at a file server:
//! everything but the supervisor between them.

use libipc::fake::{self, Task};
use libipc::interfaces::clients::{ClientArgument, SERVER_BADGES};
use libipc::interfaces::{DirectoryClient, StreamClient};
use libipc::note::{Image, Note, capability_name};
use libipc::objects::EndpointClient;
use libipc::start::{Header, StartInfo, write};
use libipc::{Capability, Start, output};
use tessera_files::{
    namespace::Namespace,
    quota::{Accounts, Limits},
    server::Server,
    service::Service,
};
use tessera_shell::execute::absolute;
use tessera_shell::native::files::Files;
use tessera_tools::native::{self, Native};
use tessera_tools::{IoError, tools};

/// A running file server, as the shell sees it.
struct World {
    files: Files,
    // It ends with its task.
    _server: Task,
}

impl World {
    fn new() -> Self {
        let server = Task::new();
        let endpoint = fake::endpoint();
        let root: DirectoryClient = endpoint.mint_client(3).unwrap();
        server.spawn_with(Capability::from(endpoint), |endpoint: EndpointClient| {
            let shell = ClientArgument::parse("client:3=shell").unwrap();
            let limits = Limits {
                bytes: 1 << 20,
                nodes: 100,
                open: 100,
            };
            let accounts = Accounts::of_clients(limits, &[shell], &[]);
            let service = Service::new(
                Namespace::in_memory(),
                accounts,
                &[shell],
                SERVER_BADGES + 1,
            );
            Server::new(&endpoint, service, Vec::new()).run()
        });
        World {
            files: Files::new(root),
            _server: server,
        }
    }

    fn write(&mut self, path: &str, text: &str) {
        let stream = self.files.open_output(path, false).unwrap();
        native::write_all(&stream, text.as_bytes()).unwrap();
    }

    fn text(&mut self, path: &str) -> String {
        String::from_utf8(self.files.read_file(path).unwrap()).unwrap()
    }

    /// Runs a tool as a program: its exit code, its output and its errors.
    fn run(&mut self, words: &[&str]) -> (u8, String, String) {
        let tool = tools::find::<Native>(words[0]).unwrap();
        let image = Image::new(tool.about.paths, "");
        let note = Note::parse(image.text()).unwrap();
        let mut given: Vec<(String, Capability)> = Vec::new();
        for (number, used, path) in note.files(&words[1..]) {
            let written = if number == 0 { "/tmp" } else { path };
            match self.files.open_for(&absolute("/tmp", written), used) {
                Ok(capability) => given.push((capability_name(number).as_str().into(), capability)),
                Err(error) => assert_eq!(error, IoError::NotFound, "{written}"),
            }
        }
        for (name, path) in [(output::OUT, "/tmp/.out"), (output::ERR, "/tmp/.err")] {
            let stream: StreamClient = self.files.open_output(path, false).unwrap();
            given.push((name.into(), stream.into()));
        }
        let given: Vec<_> = given
            .into_iter()
            .map(|(name, capability)| (name, capability.into_handle()))
            .collect();
        let page: &'static mut [u8] = Box::leak(Box::new([0; 4096]));
        let named = given.iter().map(|(name, handle)| (name.as_str(), *handle));
        write(page, Header::default(), named, words.iter().copied()).unwrap();
        let start = Start::new(&StartInfo::new(page).unwrap());
        let code = native::run(start, &tool).0;
        (code, self.text("/tmp/.out"), self.text("/tmp/.err"))
    }
}

fn fine(output: &str) -> (u8, String, String) {
    (0, output.into(), String::new())
}

#[test]
fn tools_read_what_the_shell_opened() {
    let mut world = World::new();
    world.write("/tmp/a", "one two\nthree\n");
    assert_eq!(
        world.run(&["cat", "a", "/tmp/a"]),
        fine("one two\nthree\none two\nthree\n")
    );
    assert_eq!(world.run(&["wc", "/tmp/a"]), fine("2  3  14  /tmp/a\n"));
    assert_eq!(world.run(&["grep", "t.*e", "a"]), fine("three\n"));
    assert_eq!(world.run(&["stat", "a"]), fine("a: file of 14 bytes\n"));
    assert_eq!(world.run(&["ls", "/"]), fine("boot/\ntmp/\n"));
    assert_eq!(world.run(&["ls"]).1, ".err\n.out\na\n");
    let (code, output, errors) = world.run(&["cat", "none", "a"]);
    assert_eq!((code, output.as_str()), (1, "one two\nthree\n"));
    assert_eq!(errors, "cat: none: no such file or directory\n");
}

#[test]
fn tools_change_what_the_shell_let_them() {
    let mut world = World::new();
    world.write("/tmp/a", "text");
    assert_eq!(
        world.run(&["mkdir", "d", "d/e"]),
        (
            1,
            String::new(),
            "mkdir: d/e: no such file or directory\n".into()
        )
    );
    assert_eq!(world.run(&["mkdir", "d/e"]), fine(""));
    assert_eq!(world.run(&["cp", "a", "d"]), fine(""));
    assert_eq!(world.run(&["cp", "a", "d/e/b"]), fine(""));
    assert_eq!(world.run(&["mv", "a", "d/e"]), fine(""));
    assert_eq!(world.text("/tmp/d/e/a"), "text");
    assert_eq!(
        world.run(&["ls", "d/e", "d"]),
        fine("d/e:\na\nb\n\nd:\na\ne/\n")
    );
    let full = "rm: d: the directory is not empty\n";
    assert_eq!(world.run(&["rm", "d"]), (1, String::new(), full.into()));
    assert_eq!(world.run(&["rm", "-r", "d"]), fine(""));
    assert_eq!(world.files.list("/tmp/d"), Err(IoError::NotFound));
}

#[test]
fn without_the_capability_a_tool_can_do_nothing() {
    let mut world = World::new();
    let (code, _, errors) = world.run(&["kill", "files"]);
    assert_eq!(code, 1);
    assert_eq!(
        errors,
        "kill: needs the capability `kill-any`: run --grant kill-any kill\n"
    );
}
