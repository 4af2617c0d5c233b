//! `edit`: a small full-screen editor.
//!
//! [`text`] is what is edited, [`view`] what of it is on the screen; here keys
//! become changes.

mod text;
mod view;

use alloc::string::String;

use libipc::note::{Operand, Rule, Use};

use crate::about::About;
use crate::arguments::Arguments;
use crate::error::{Error, IoError};
use crate::input::read_all;
use crate::io::{File, Io, Node};
use crate::keys::{Decoder, Key};
use text::Text;
use view::View;

/// What it says of itself.
pub const ABOUT: About = About {
    operands: (1, 1),
    paths: &[Rule(
        Operand::Nth(0),
        Use::READ.union(Use::WRITE).union(Use::CREATE),
    )],
    ..About::new(
        "edit",
        "edit FILE",
        "edit a text file; Ctrl-S saves, Ctrl-Q leaves",
    )
};

/// Does it.
pub fn run<I: Io>(io: &mut I, arguments: &Arguments<'_>) -> Result<i32, Error> {
    let Some(operand) = arguments.operands.first() else {
        return Err(Error::Usage("something is missing".into()));
    };
    let at = || Error::at(operand.text);
    let mut file = match io.open(operand).map_err(at())? {
        Node::File(file) => file,
        Node::Directory(_) => {
            return Err(Error::At(operand.text.into(), IoError::IsADirectory));
        }
    };
    let bytes = read_all(&mut file).map_err(at())?;
    let contents = String::from_utf8(bytes).map_err(|_| {
        Error::At(operand.text.into(), IoError::Failed("is no UTF-8 text".into()))
    })?;
    let mut editor = Editor::new(operand.text, &contents);
    io.raw_keys(true)?;
    let result = editor.run(io, &mut file);
    io.raw_keys(false)?;
    io.write(view::LEAVE)?;
    result?;
    Ok(0)
}

/// A file being edited.
struct Editor<'a> {
    name: &'a str,
    text: Text,
    view: View,
    /// What the last line says, until the next key.
    message: String,
    /// Leaving was refused once, because of changes that are not saved.
    warned: bool,
}

/// What to do after a key.
enum After {
    Show,
    Save,
    Leave,
}

impl<'a> Editor<'a> {
    fn new(name: &'a str, contents: &str) -> Self {
        Editor {
            name,
            text: Text::new(contents),
            view: View::default(),
            message: "Ctrl-S saves, Ctrl-Q leaves".into(),
            warned: false,
        }
    }

    fn run<I: Io>(&mut self, io: &mut I, file: &mut I::File) -> Result<(), IoError> {
        let mut decoder = Decoder::default();
        let mut bytes = [0; 64];
        loop {
            let screen = self.view.draw(&self.text, self.name, &self.message);
            io.write(screen.as_bytes())?;
            io.flush()?;
            let count = io.read(&mut bytes)?;
            if count == 0 {
                return Ok(());
            }
            for &byte in &bytes[..count] {
                let Some(key) = decoder.feed(byte) else {
                    continue;
                };
                match self.key(key) {
                    After::Show => {}
                    After::Save => self.save(file),
                    After::Leave => return Ok(()),
                }
            }
        }
    }

    fn save<F: File>(&mut self, file: &mut F) {
        let contents = self.text.contents();
        let saved = file
            .write_at(0, contents.as_bytes())
            .and_then(|()| file.set_length(contents.len() as u64));
        self.message = match saved {
            Ok(()) => {
                self.text.changed = false;
                alloc::format!("saved {} bytes", contents.len())
            }
            Err(error) => alloc::format!("not saved: {error}"),
        };
    }

    fn key(&mut self, key: Key) -> After {
        self.message.clear();
        let text = &mut self.text;
        match key {
            Key::Char(character) => text.insert(character),
            Key::Tab => text.insert('\t'),
            Key::Enter => text.split(),
            Key::Backspace => text.backspace(),
            Key::Delete => text.delete(),
            Key::Left => text.left(),
            Key::Right => text.right(),
            Key::Up => text.vertical(-1),
            Key::Down => text.vertical(1),
            Key::PageUp => text.vertical(-(view::LINES as isize)),
            Key::PageDown => text.vertical(view::LINES as isize),
            Key::WordLeft | Key::Home | Key::Control('a') => text.home(),
            Key::WordRight | Key::End | Key::Control('e') => text.end(),
            Key::Control('k') => text.cut(),
            Key::Control('u') => text.put(),
            Key::Control('s') => return After::Save,
            Key::Control('q' | 'x') if text.changed && !self.warned => {
                self.warned = true;
                self.message = "not saved: Ctrl-S saves, Ctrl-Q again leaves".into();
                return After::Show;
            }
            Key::Control('q' | 'x') => return After::Leave,
            Key::Control(_) => self.message = "Ctrl-S saves, Ctrl-Q leaves".into(),
        }
        self.warned = false;
        After::Show
    }
}

#[cfg(test)]
mod tests {
    use crate::fake::Fake;

    #[test]
    fn a_new_file_is_typed_saved_and_left() {
        let mut fake = Fake::new();
        fake.directory("/tmp");
        fake.input("hello\rworld\x1b[A!\x13\x11");
        assert_eq!(fake.run(&["edit", "/tmp/a"]), 0);
        assert_eq!(fake.contents("/tmp/a"), b"hello!\nworld\n");
        assert!(!fake.raw);
    }

    #[test]
    fn leaving_with_changes_asks_once() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one\ntwo\n");
        fake.input("\x0b\x11xy\x11\x11never");
        assert_eq!(fake.run(&["edit", "/tmp/a"]), 0);
        assert_eq!(fake.contents("/tmp/a"), b"one\ntwo\n");
        assert!(fake.output().contains("not saved"));
    }

    #[test]
    fn cut_and_put_and_shorter_contents() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"one\ntwo\nthree");
        fake.input("\x0b\x1b[B\x15\x13\x11");
        assert_eq!(fake.run(&["edit", "/tmp/a"]), 0);
        assert_eq!(fake.contents("/tmp/a"), b"two\none\nthree");
        fake.input("\x0b\x13\x11");
        fake.run(&["edit", "/tmp/a"]);
        assert_eq!(fake.contents("/tmp/a"), b"one\nthree");
    }

    #[test]
    fn what_cannot_be_edited() {
        let mut fake = Fake::new();
        fake.file("/tmp/a", b"\xff");
        assert_eq!(fake.run(&["edit", "/tmp/a"]), 1);
        assert_eq!(fake.errors(), "edit: /tmp/a: is no UTF-8 text\n");
        assert_eq!(fake.run(&["edit", "/tmp"]), 1);
        assert_eq!(fake.errors(), "edit: /tmp: is a directory\n");
    }
}
