//! Prompt, line, execution, again and again.

use alloc::format;
use alloc::string::String;

use crate::complete::Here;
use crate::execute::{Flow, Host, Shell, code};
use crate::line::{Editor, Event};

/// Columns of the terminal: a serial line does not tell, and this is usual.
const COLUMNS: usize = 80;
/// Longest directory that the prompt shows whole.
const DIRECTORY: usize = 40;
/// The prompt for the rest of a line that is not complete.
const MORE: &str = "> ";

/// The terminal at which a person sits.
pub trait Terminal {
    /// Makes the terminal the shell's: keys as they are typed, Ctrl-C reported.
    fn prepare(&mut self);
    /// A line was entered: what runs gets lines, and Ctrl-C stops it.
    fn entered(&mut self);
    /// The next byte; `None` if the terminal had to be prepared again, and what
    /// was typed is lost.
    fn read(&mut self) -> Option<u8>;
    /// Shows text.
    fn show(&mut self, text: &str);
}

/// Reads lines and runs them, until the end of input or `exit`. The result is
/// the shell's exit code.
pub fn run<H: Host + Terminal>(shell: &mut Shell<H>) -> i32 {
    let mut editor = Editor::new(COLUMNS);
    // What was entered of a line that is not complete.
    let mut pending = String::new();
    loop {
        shell.report_jobs();
        let prompt = if pending.is_empty() {
            prompt(&shell.directory)
        } else {
            MORE.into()
        };
        let entered = match read_line(shell, &mut editor, &prompt) {
            Event::Line(line) => pending + &line,
            Event::Abandoned => {
                shell.status = code::INTERRUPTED;
                pending = String::new();
                continue;
            }
            Event::End => {
                shell.kill_jobs();
                return shell.status;
            }
        };
        if let Some(line) = editor.history.lines().last()
            && shell.history.last().is_none_or(|last| last != line)
        {
            shell.history.push(line.into());
        }
        match shell.run_line(&entered) {
            Ok(Flow::Next | Flow::Abandon) => pending = String::new(),
            Ok(Flow::Exit(code)) => {
                shell.kill_jobs();
                return code;
            }
            Err(_incomplete) => pending = entered + "\n",
        }
    }
}

fn read_line<H: Host + Terminal>(shell: &mut Shell<H>, editor: &mut Editor, prompt: &str) -> Event {
    loop {
        shell.host.prepare();
        let mut output = String::new();
        editor.begin(prompt, &mut output);
        shell.host.show(&output);
        while let Some(byte) = shell.host.read() {
            let mut output = String::new();
            let event = editor.feed(byte, &mut Here(shell), &mut output);
            if !output.is_empty() {
                shell.host.show(&output);
            }
            if let Some(event) = event {
                shell.host.entered();
                return event;
            }
        }
    }
}

/// The prompt: the end of the directory, if it is long.
fn prompt(directory: &str) -> String {
    let length = directory.chars().count();
    if length <= DIRECTORY {
        return format!("tessera:{directory}$ ");
    }
    let end: String = directory.chars().skip(length - DIRECTORY).collect();
    format!("tessera:...{end}$ ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::World;

    /// What is on the terminal after this was typed, and the exit code.
    fn session(typed: &str) -> (String, i32) {
        let mut shell = Shell::new(World::new());
        shell.host.typed = typed.bytes().collect();
        let code = run(&mut shell);
        let shown = String::from_utf8(shell.host.terminal.take()).unwrap();
        (shown.replace("\r\x1b[K", ""), code)
    }

    #[test]
    fn lines_run_until_the_end_of_input() {
        let (shown, code) = session("cd tmp\recho hi\rfalse\r\x04");
        assert!(shown.starts_with("tessera:/$ cd tmp"), "{shown:?}");
        assert!(shown.contains("hi\ntessera:/tmp$ "), "{shown:?}");
        assert_eq!(code, 1);
        assert_eq!(session("exit 3\recho no\r").1, 3);
    }

    #[test]
    fn a_line_goes_on_until_it_is_complete() {
        let (shown, _) = session("echo 'a\rb' |\rcat\r\x04");
        assert!(shown.contains("> b' |"), "{shown:?}");
        assert!(shown.contains("a\nb\ntessera:/$ "), "{shown:?}");
        let (shown, code) = session("echo 'a\r\x03echo b\r\x04");
        assert!(shown.contains("> ^C\r\ntessera:/$ "), "{shown:?}");
        assert!(shown.contains("b\ntessera:/$ "), "{shown:?}");
        assert_eq!(code, 0);
    }

    #[test]
    fn history_and_completion_reach_the_shell() {
        let (shown, _) = session("echo one\r\x1b[A\rhistory\rcat /t\ta\t\r\x04");
        assert!(
            shown.contains("   1  echo one\n   2  history\n"),
            "{shown:?}"
        );
        assert!(shown.contains("cat /tmp/a.txt "), "{shown:?}");
    }

    #[test]
    fn a_long_directory_is_cut() {
        assert_eq!(prompt("/"), "tessera:/$ ");
        let text = prompt(&"/abcdefghi".repeat(9));
        assert_eq!(text, format!("tessera:...{}$ ", "/abcdefghi".repeat(4)));
    }
}
