//! What a tool reads: its operands one after another, or standard input.

use alloc::string::String;
use alloc::vec::Vec;

use crate::arguments::Operand;
use crate::error::IoError;
use crate::io::{File, Io, Node};

/// Bytes read at once.
pub const PIECE: usize = 4096;

/// An open input.
pub enum Input<F> {
    /// Standard input.
    Standard,
    /// A file, and how far it has been read.
    File(F, u64),
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

    /// Reads on; 0 bytes are the end.
    pub fn read<I: Io<File = F>>(&mut self, io: &mut I, into: &mut [u8]) -> Result<usize, IoError> {
        match self {
            Input::Standard => io.read(into),
            Input::File(file, offset) => {
                let count = file.read_at(*offset, into)?;
                *offset += count as u64;
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
        match result {
            Ok(()) => {}
            Err(error @ (IoError::Closed | IoError::NoFiles)) => return Err(error),
            Err(error) => {
                io.complain(tool, operand.text, &error)?;
                code = 1;
            }
        }
    }
    Ok(code)
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
        bytes.extend_from_slice(&piece[..count]);
    }
}

/// The last name of a path, or what was written if it has none.
pub fn last_name(path: &str) -> String {
    let trimmed = path.trim_end_matches('/');
    trimmed.rsplit('/').next().unwrap_or(path).into()
}
