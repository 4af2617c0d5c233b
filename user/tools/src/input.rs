//! What a tool reads: its operands one after another, or standard input.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use crate::arguments::Operand;
use crate::error::IoError;
use crate::io::{Directory, File, Io, Kind, Node};

/// Bytes read at once.
pub const PIECE: usize = 4096;

/// An open input.
pub enum Input<F> {
    /// Standard input.
    Standard,
    /// A file, and how far it has been read.
    File(F, u64),
    /// What came of a file when it was opened, and the file, if there is more.
    Front(Vec<u8>, Option<F>),
}

impl<F: File> Input<F> {
    /// The input that an operand names; `-` is standard input.
    pub fn open<I: Io<File = F>>(io: &mut I, operand: &Operand<'_>) -> Result<Self, IoError> {
        if operand.text == "-" {
            return Ok(Input::Standard);
        }
        match io.open(operand)? {
            Node::File(file) => Ok(Input::File(file, 0)),
            Node::Directory(_) => Err(IoError::IsADirectory),
        }
    }

    /// A file in a directory.
    pub fn inside<D: Directory<File = F>>(directory: &mut D, name: &str) -> Result<Self, IoError> {
        let mut front = vec![0; PIECE];
        let (count, rest) = directory.open_read(name, &mut front)?;
        front.truncate(count);
        Ok(Input::Front(front, rest))
    }

    /// Reads on; 0 bytes are the end.
    pub fn read<I: Io<File = F>>(&mut self, io: &mut I, into: &mut [u8]) -> Result<usize, IoError> {
        match self {
            Input::Standard => io.read(into),
            Input::File(file, offset) => {
                let count = file.read_at(*offset, into)?;
                *offset += count as u64;
                Ok(count)
            }
            Input::Front(front, rest) => {
                let count = front.len().min(into.len());
                into[..count].copy_from_slice(&front[..count]);
                *self = match rest.take() {
                    Some(file) => Input::File(file, count as u64),
                    None => Input::Front(front.split_off(count), None),
                };
                Ok(count)
            }
        }
    }
}

/// Does `each` with every operand's input, or with standard input if there are
/// none. An input that fails is reported and the next one goes on; the result is
/// the exit code. A failure of the tool's own streams ends it all.
pub fn each_input<I: Io>(
    io: &mut I,
    tool: &str,
    operands: &[Operand<'_>],
    mut each: impl FnMut(&mut I, &str, &mut Input<I::File>) -> Result<(), IoError>,
) -> Result<i32, IoError> {
    if operands.is_empty() {
        each(io, "", &mut Input::Standard)?;
        return Ok(0);
    }
    let mut code = 0;
    for operand in operands {
        let result =
            Input::open(io, operand).and_then(|mut input| each(io, operand.text, &mut input));
        code |= told(io, tool, operand.text, result)?;
    }
    Ok(code)
}

/// The same with one operand or more, and with every file below those that are
/// directories.
pub fn each_input_below<I: Io>(
    io: &mut I,
    tool: &str,
    operands: &[Operand<'_>],
    mut each: impl FnMut(&mut I, &str, &mut Input<I::File>) -> Result<(), IoError>,
) -> Result<i32, IoError> {
    let mut code = 0;
    for operand in operands {
        let path = operand.text;
        let result = match io.open(operand) {
            Ok(Node::Directory(mut directory)) => {
                let path = path.trim_end_matches('/');
                code |= below(io, tool, path, &mut directory, &mut each)?;
                continue;
            }
            Ok(Node::File(file)) => each(io, path, &mut Input::File(file, 0)),
            Err(error) => Err(error),
        };
        code |= told(io, tool, path, result)?;
    }
    Ok(code)
}

fn below<I: Io>(
    io: &mut I,
    tool: &str,
    path: &str,
    directory: &mut I::Directory,
    each: &mut impl FnMut(&mut I, &str, &mut Input<I::File>) -> Result<(), IoError>,
) -> Result<i32, IoError> {
    let entries = match directory.list() {
        Ok(entries) => entries,
        Err(error) => return told(io, tool, path, Err(error)),
    };
    let mut code = 0;
    for entry in entries {
        let path = format!("{path}/{}", entry.name);
        let result = match entry.kind {
            Kind::File => Input::inside(directory, &entry.name)
                .and_then(|mut input| each(io, &path, &mut input)),
            Kind::Directory => match directory.open(&entry.name, false) {
                Ok(Node::Directory(mut inner)) => {
                    code |= below(io, tool, &path, &mut inner, each)?;
                    Ok(())
                }
                // It has become one meanwhile.
                Ok(Node::File(file)) => each(io, &path, &mut Input::File(file, 0)),
                Err(error) => Err(error),
            },
        };
        code |= told(io, tool, &path, result)?;
    }
    Ok(code)
}

/// Reports what came of one input, unless nothing more can be written: the exit code.
fn told<I: Io>(
    io: &mut I,
    tool: &str,
    name: &str,
    result: Result<(), IoError>,
) -> Result<i32, IoError> {
    match result {
        Ok(()) => Ok(0),
        Err(error @ (IoError::Closed | IoError::NoFiles)) => Err(error),
        Err(error) => {
            io.complain(tool, name, &error)?;
            Ok(1)
        }
    }
}

/// Does `each` with every line of `input`, without its line end.
pub fn each_line<I: Io>(
    io: &mut I,
    input: &mut Input<I::File>,
    mut each: impl FnMut(&mut I, &[u8]) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let mut piece = [0; PIECE];
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let count = input.read(io, &mut piece)?;
        if count == 0 {
            break;
        }
        let mut rest = &piece[..count];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            pending.extend_from_slice(&rest[..end]);
            each(io, &pending)?;
            pending.clear();
            rest = &rest[end + 1..];
        }
        pending.extend_from_slice(rest);
    }
    if !pending.is_empty() {
        each(io, &pending)?;
    }
    Ok(())
}

/// All of a file.
pub fn read_all<F: File>(file: &mut F) -> Result<Vec<u8>, IoError> {
    let mut bytes = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        let count = file.read_at(bytes.len() as u64, &mut piece)?;
        if count == 0 {
            return Ok(bytes);
        }
        let room = bytes.try_reserve(count);
        room.map_err(|_| IoError::Failed("it does not fit into memory".into()))?;
        bytes.extend_from_slice(&piece[..count]);
    }
}

/// The last name of a path, or what was written if it has none.
pub fn last_name(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(path).into()
}
