//! Text and functions of an ELF file.

use std::ops::Range;

use anyhow::{Context, Result};
use elf::ElfBytes;
use elf::abi::{SHF_EXECINSTR, STT_FUNC, STT_NOTYPE};
use elf::endian::LittleEndian;

use crate::branches::map::readable;

/// Bytes of the table of vectors on aarch64, which is no function.
const VECTORS: u64 = 2048;

/// What `trap.S` of either architecture has in front of its trap for bugs.
const RIM: [&str; 4] = ["tessera_leave", "tessera_trap", "user_trap", "call_trap"];

/// A function, or what assembly has in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its first address.
    pub address: u64,
    /// Its bytes, or 0 if it goes on to the next one.
    pub size: u64,
    /// Its name.
    pub name: String,
}

/// The code of a program.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The program's name.
    pub name: String,
    /// Executable sections: first address and bytes.
    pub sections: Vec<(u64, Vec<u8>)>,
    /// By address.
    pub functions: Vec<Function>,
}

impl Code {
    /// Reads an ELF file.
    pub fn read(name: &str, elf: &[u8]) -> Result<Self> {
        let file = ElfBytes::<LittleEndian>::minimal_parse(elf).context("is no ELF file")?;
        let mut sections = Vec::new();
        for header in file.section_headers().context("has no sections")? {
            if header.sh_flags & u64::from(SHF_EXECINSTR) != 0 {
                sections.push((header.sh_addr, file.section_data(&header)?.0.to_vec()));
            }
        }
        let (symbols, strings) = file.symbol_table()?.context("has no symbols")?;
        let mut functions: Vec<_> = symbols
            .iter()
            .filter(|symbol| [STT_FUNC, STT_NOTYPE].contains(&symbol.st_symtype()))
            .map(|symbol| Function {
                address: symbol.st_value,
                size: symbol.st_size,
                name: readable(strings.get(symbol.st_name as usize).unwrap_or_default()),
            })
            // What compilers mark data and code with is no name.
            .filter(|function| !function.name.is_empty() && !function.name.starts_with(['$', '.']))
            .filter(|function| {
                let inside = |(first, bytes): &(u64, Vec<u8>)| {
                    (*first..first + bytes.len() as u64).contains(&function.address)
                };
                sections.iter().any(inside)
            })
            .collect();
        // Of two at one address the one whose size is known comes last, and is found.
        functions.sort_by_key(|function| (function.address, function.size));
        Ok(Self {
            name: name.into(),
            sections,
            functions,
        })
    }

    /// The function at this address, and how far into it that is.
    pub fn find(&self, address: u64) -> Option<(&Function, u64)> {
        let after = self.functions.partition_point(|f| f.address <= address);
        let function = self.functions[..after].last()?;
        let offset = address - function.address;
        (function.size == 0 || offset < function.size).then_some((function, offset))
    }

    /// The bytes at this address.
    pub fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.sections.iter().find_map(|(first, bytes)| {
            let begin = usize::try_from(address.checked_sub(*first)?).ok()?;
            bytes.get(begin..begin.checked_add(length)?)
        })
    }

    /// Where a kernel saves and restores the registers of programs (`trap.S`).
    pub fn rim(&self) -> Option<Range<u64>> {
        let find = |name: &str| self.functions.iter().find(|f| f.name == name);
        let begins = RIM.iter().filter_map(|name| Some(find(name)?.address));
        let begin = begins.min()?;
        let end = match find("tessera_vectors") {
            Some(vectors) => vectors.address + VECTORS,
            None => find("bug_trap")?.address,
        };
        Some(begin..end)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A program with these bytes at 0x1000, and these functions.
    pub(crate) fn program(name: &str, text: &[u8], functions: &[(u64, u64, &str)]) -> Code {
        let function = |&(address, size, name): &(u64, u64, &str)| Function {
            address,
            size,
            name: name.into(),
        };
        Code {
            name: name.into(),
            sections: vec![(0x1000, text.to_vec())],
            functions: functions.iter().map(function).collect(),
        }
    }

    #[test]
    fn functions_are_found_by_any_of_their_addresses() {
        let functions = [(0x1000, 8, "a"), (0x1010, 0, "b"), (0x1020, 4, "c")];
        let code = program("p", &[0; 64], &functions);
        let name = |address| {
            let (function, offset) = code.find(address)?;
            Some((function.name.as_str(), offset))
        };
        assert_eq!(name(0x1004), Some(("a", 4)));
        assert_eq!(name(0x1008), None);
        assert_eq!(name(0x101c), Some(("b", 12)));
        assert_eq!(name(0x1024), None);
        assert_eq!(name(0xfff), None);
    }

    #[test]
    fn the_rim_ends_with_the_vectors_or_before_the_trap_for_bugs() {
        let rim = |functions| program("kernel", &[0; 64], functions).rim();
        let vectors = [(0x1000, 8, "tessera_leave"), (0x1800, 0, "tessera_vectors")];
        assert_eq!(rim(&vectors), Some(0x1000..0x2000));
        let none = [
            (0x1040, 8, "call_trap"),
            (0x1000, 8, "tessera_trap"),
            (0x1100, 4, "bug_trap"),
        ];
        assert_eq!(rim(&none), Some(0x1000..0x1100));
        assert_eq!(rim(&[]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn our_own_text_is_read() {
        let elf = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let code = Code::read("self", &elf).unwrap();
        let main = code.functions.iter().find(|f| f.name == "main").unwrap();
        assert_eq!(code.find(main.address).unwrap().1, 0);
        assert!(code.bytes(main.address, 4).is_some());
    }
}
